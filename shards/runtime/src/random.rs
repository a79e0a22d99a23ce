//! Random numbers.
//!
//! Owns: the process's only source of randomness, a cryptographic generator a thread, seeded by the system.
//! Asked by: ids, salts, nonces, jitter. Never: repeats between processes or threads.

pub fn random_u64() -> u64 {
    rand::random()
}

/// Fills the whole slice; fit for salts and nonces.
pub fn random_bytes(bytes: &mut [u8]) {
    rand::fill(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_readings_agree() {
        assert_ne!(random_u64(), random_u64());
        let (mut a, mut b) = ([0; 16], [0; 16]);
        random_bytes(&mut a);
        random_bytes(&mut b);
        assert_ne!(a, b);
    }
}

//! Random numbers.
//!
//! Owns: the process's only source of randomness, a cryptographic generator a thread, seeded by the system.
//! Asked by: ids, salts, nonces, jitter. Never: repeats between processes or threads.

pub fn random_u64() -> u64 {
    #[cfg(feature = "simulation")]
    if let Some(number) = crate::sim::random_u64() {
        return number;
    }
    rand::random()
}

/// Fills the whole slice; fit for salts and nonces.
pub fn random_bytes(bytes: &mut [u8]) {
    #[cfg(feature = "simulation")]
    if crate::sim::in_run().is_some() {
        for part in bytes.chunks_mut(8) {
            let number = random_u64().to_le_bytes();
            part.copy_from_slice(&number[..part.len()]);
        }
        return;
    }
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

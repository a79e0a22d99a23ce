//! Hashes of passwords as Unix keeps them: bcrypt and MD5.
//!
//! Owns: the algorithms and their spellings. Never: draws a salt. Bounds: the caller's cost.
//! Source: Provos and Mazières, A Future-Adaptable Password Scheme, 1999; FreeBSD's `crypt-md5.c`.

use blowfish::Blowfish;
use sha1::Digest;

/// The digits of bcrypt.
pub(super) const BCRYPT: &[u8; 64] =
    b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// Those of the other kinds.
pub(super) const ITOA: &[u8; 64] =
    b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What a password says of itself beyond this many bytes is not heard.
const PASSWORD_BYTES: usize = 72;

/// `$2a$cost$salt` and the hash.
pub(super) fn bcrypt(password: &[u8], cost: u32, salt: [u8; 16]) -> String {
    let mut key = password.to_vec();
    key.push(0);
    key.truncate(PASSWORD_BYTES);
    let mut state = Blowfish::bc_init_state();
    state.salted_expand_key(&salt, &key);
    for _ in 0..1u64 << cost {
        state.bc_expand_key(&key);
        state.bc_expand_key(&salt);
    }
    let mut hash = Vec::with_capacity(24);
    for pair in b"OrpheanBeholderScryDoubt".chunks_exact(8) {
        let word = |at: usize| {
            pair.iter()
                .skip(at)
                .take(4)
                .fold(0u32, |w, b| w << 8 | u32::from(*b))
        };
        let mut both = [word(0), word(4)];
        for _ in 0..64 {
            both = state.bc_encrypt(both);
        }
        hash.extend(both.iter().flat_map(|w| w.to_be_bytes()));
    }
    hash.truncate(23);
    format!("$2a${cost:02}${}{}", to_bcrypt(&salt), to_bcrypt(&hash))
}

/// Six bits a digit, the first of a byte first, without padding.
pub(super) fn to_bcrypt(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..=chunk.len() {
            let six = (word >> (18 - 6 * at)) & 63;
            out.push(char::from(BCRYPT[six as usize]));
        }
    }
    out
}

/// A salt's 22 digits.
pub(super) fn from_bcrypt(digits: &[u8]) -> Option<[u8; 16]> {
    let mut bits = 0u128;
    for (n, digit) in digits.iter().enumerate() {
        let six = BCRYPT.iter().position(|d| d == digit)? as u128;
        // Of the last one two bits are the salt's.
        bits = match n {
            21 => bits << 2 | six >> 4,
            _ => bits << 6 | six,
        };
    }
    (digits.len() == 22).then(|| bits.to_be_bytes())
}

/// `$1$salt$` and the hash, of a salt of at most 8 bytes.
pub(super) fn md5_crypt(password: &[u8], salt: &[u8]) -> String {
    let hash = |parts: &[&[u8]]| -> [u8; 16] {
        let mut state = md5::Md5::new();
        parts.iter().for_each(|part| state.update(part));
        state.finalize().into()
    };
    let mut inner = hash(&[password, salt, password]);
    let mut text = [password, b"$1$", salt].concat();
    text.extend(inner.iter().cycle().take(password.len()));
    let mut n = password.len();
    while n > 0 {
        text.push(match n & 1 {
            1 => 0,
            _ => password.first().copied().unwrap_or(0),
        });
        n >>= 1;
    }
    inner = hash(&[&text]);
    for round in 0..1_000 {
        let (first, last): (&[u8], &[u8]) = match round & 1 {
            1 => (password, &inner),
            _ => (&inner, password),
        };
        let salted: &[u8] = if round % 3 == 0 { b"" } else { salt };
        let named: &[u8] = if round % 7 == 0 { b"" } else { password };
        inner = hash(&[first, salted, named, last]);
    }
    let mut out = format!("$1${}$", String::from_utf8_lossy(salt));
    let mut digits = |mut word: u32, count: usize| {
        for _ in 0..count {
            out.push(char::from(ITOA[(word & 63) as usize]));
            word >>= 6;
        }
    };
    let at = |i: usize| u32::from(inner.get(i).copied().unwrap_or(0));
    for (a, b, c) in [(0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5)] {
        digits(at(a) << 16 | at(b) << 8 | at(c), 4);
    }
    digits(at(11), 2);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PostgreSQL 15's answers.
    #[test]
    fn passwords_are_hashed_as_unix_does() {
        let salt = from_bcrypt(b"RQiOJ.3ELirrXwxIZY8q0O").unwrap();
        let hash = "$2a$06$RQiOJ.3ELirrXwxIZY8q0O4vZl9GnRk.YYkUQH9B0c1QQabot9dGG";
        assert_eq!(bcrypt(b"hello", 6, salt), hash);
        let hash = "$1$abcdefgh$rwnEbRiN0agqVgZBovWNQ/";
        assert_eq!(md5_crypt(b"hello", b"abcdefgh"), hash);
        assert_eq!(
            md5_crypt(b"", b"szzz0yzz"),
            "$1$szzz0yzz$WhF5zXFGT8SQKU/kHvnCp1"
        );
        assert_eq!(from_bcrypt(b"RQiOJ.3ELirrXwxIZY8q0!"), None);
        assert_eq!(from_bcrypt(b"short"), None);
    }
}

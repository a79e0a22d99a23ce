//! `hashtext`: PostgreSQL's hash of a string, whose values applications keep and lock by.
//!
//! Owns: Bob Jenkins' lookup3 with PostgreSQL's start. Source: PostgreSQL 15, `hashfn.c` (`hash_bytes`, `hash_bytes_extended`).

use super::{Function, args};
use DataType::*;
use types::{DataType, Value};

const START: u32 = 0x9E37_79B9;
const MORE: u32 = 3_923_095;

pub static FUNCTIONS: &[Function] = &[
    Function::new("hashtext", &[Text], Int4, |_, a| {
        let [_, hash] = hash(args::text(a, 0)?.as_bytes(), 0);
        Ok(Value::Int4(hash as i32))
    }),
    Function::new("hashtextextended", &[Text, Int8], Int8, |_, a| {
        let seed = args::int(a, 1)? as u64;
        let [high, low] = hash(args::text(a, 0)?.as_bytes(), seed);
        Ok(Value::Int8((u64::from(high) << 32 | u64::from(low)) as i64))
    }),
];

/// The last two words.
fn hash(bytes: &[u8], seed: u64) -> [u32; 2] {
    let start = START.wrapping_add(bytes.len() as u32).wrapping_add(MORE);
    let mut words = [start; 3];
    if seed != 0 {
        words[0] = words[0].wrapping_add((seed >> 32) as u32);
        words[1] = words[1].wrapping_add(seed as u32);
        mix(&mut words);
    }
    let mut chunks = bytes.chunks_exact(12);
    for chunk in &mut chunks {
        for (word, four) in words.iter_mut().zip(chunk.chunks_exact(4)) {
            *word = word.wrapping_add(little_endian(four));
        }
        mix(&mut words);
    }
    let rest = chunks.remainder();
    for (word, four) in words.iter_mut().zip(rest.chunks(4)) {
        *word = word.wrapping_add(little_endian(four));
    }
    // The lowest byte of the third word stands for the length.
    if let Some(third) = rest.get(8..).filter(|r| !r.is_empty()) {
        let plain = little_endian(third);
        words[2] = words[2].wrapping_sub(plain).wrapping_add(plain << 8);
    }
    finish(&mut words);
    [words[1], words[2]]
}

/// Of up to four bytes.
fn little_endian(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .rev()
        .fold(0, |word, b| word << 8 | u32::from(*b))
}

fn mix([a, b, c]: &mut [u32; 3]) {
    for [first, second, third] in [[4, 6, 8], [16, 19, 4]] {
        mixed(a, c, *b, first);
        mixed(b, a, *c, second);
        mixed(c, b, *a, third);
    }
}

fn mixed(x: &mut u32, y: &mut u32, z: u32, by: u32) {
    *x = x.wrapping_sub(*y) ^ y.rotate_left(by);
    *y = y.wrapping_add(z);
}

fn finish([a, b, c]: &mut [u32; 3]) {
    for [first, second, third] in [[14, 11, 25], [16, 4, 14]] {
        last(c, *b, first);
        last(a, *c, second);
        last(b, *a, third);
    }
    last(c, *b, 24);
}

fn last(x: &mut u32, y: u32, by: u32) {
    *x = (*x ^ y).wrapping_sub(y.rotate_left(by));
}

//! Rows divided by the hash of a key, so that equal keys come together in a part that may fit.
//!
//! Owns: one writer a part, and which part a key belongs to. Each level hashes with another seed: what one level could not
//! tell apart the next one can. Bounds: `PARTS_MAX` parts, fewer where memory is short; `LEVELS_MAX` levels.

use super::{Run, Space, Writer, places};
use std::hash::Hasher;
use types::{Result, Row, Value, order};
use xxhash_rust::xxh3::xxh3_64_with_seed;

const PARTS_MAX: usize = 16;
/// Parts are divided again at most so often. With two parts a level that is 4,000 parts, with 16 far more than keys.
pub(crate) const LEVELS_MAX: u32 = 12;

pub(crate) struct Parted {
    writers: Vec<Writer>,
    level: u32,
}

impl Parted {
    /// At `level`, in as many parts as memory allows now.
    pub(crate) fn new(space: &Space, level: u32) -> Parted {
        let parts = places(space.memory(), space.block_bytes(), PARTS_MAX);
        Parted::of(space, level, parts)
    }

    /// So many parts: to match what another input was divided into.
    pub(crate) fn of(space: &Space, level: u32, parts: usize) -> Parted {
        Parted {
            writers: (0..parts).map(|_| Writer::new(space)).collect(),
            level,
        }
    }

    pub(crate) fn level(&self) -> u32 {
        self.level
    }

    pub(crate) fn parts(&self) -> usize {
        self.writers.len()
    }

    /// The part of a key.
    pub(crate) fn part(&self, key: &[Value]) -> usize {
        // The upper half decides: it depends on every bit of the key.
        (hash(key, self.level) >> 32) as usize % self.writers.len()
    }

    pub(crate) async fn push(&mut self, part: usize, row: &Row) -> Result<()> {
        self.writers[part].push(row).await
    }

    /// The parts in order, empty ones too.
    pub(crate) async fn finish(self) -> Result<Vec<Run>> {
        let mut runs = Vec::with_capacity(self.writers.len());
        for writer in self.writers {
            runs.push(writer.finish().await?);
        }
        Ok(runs)
    }
}

/// Equal for keys that are equal as GROUP BY and joins compare them; the same in every run of the server.
fn hash(key: &[Value], level: u32) -> u64 {
    let mut hasher = Seeded(u64::from(level));
    for value in key {
        order::hash(value, &mut hasher);
    }
    hasher.0
}

struct Seeded(u64);

impl Hasher for Seeded {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

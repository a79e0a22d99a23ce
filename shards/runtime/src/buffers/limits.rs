//! How much a pool may hold, and who is sure of how much.
//!
//! Owns: `Limits` and their arithmetic. Asked by: the configuration (the least that it must allow), the pool.
//! Bounds, for a shard of `c` connections and messages of up to `m` bytes:
//!
//! | share | 4 KiB | 8 KiB | 64 KiB | 1 MiB | why |
//! |---|--:|--:|--:|--:|---|
//! | `Receive` | c + 64 | 16 | 16 | max(4, ⌈m / 1 MiB⌉) | a short message each, and some longer ones |
//! | `Send` | c + 64 | | | 1 | a piece of a reply each; 64 are for clients that are being refused |
//! | `Disk` | 256 | 64 | 64 | 2 | 7.5 MiB under way; the largest single operation is 512 KiB |
//! | `Extra` | | | | | lives off the common part |
//!
//! What `bytes_max` has beyond these floors is common: first come first served, at most so much of it a class
//! (`common_max`), and its last quarter only to those who cannot do without.

use super::class::{CLASSES, Class};

/// For whom a buffer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Share {
    /// What a client sends.
    Receive,
    /// What a client is sent.
    Send,
    /// Operations on files.
    Disk,
    /// Whatever goes quicker with more: longer reads, gathered replies. Not waited for.
    Extra,
}

pub(super) const SHARES: usize = 4;

impl Share {
    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

/// Buffers, by class.
type Counts = [usize; CLASSES];

/// Connections that are told that there is no room for them are connections too.
const REFUSALS: usize = 64;
const RECEIVE: Counts = [REFUSALS, 16, 16, 4];
const SEND: Counts = [REFUSALS, 0, 0, 1];
const DISK: Counts = [256, 64, 64, 2];

/// The common part has at least this: a few readers and writers at full speed.
const COMMON_MIN: usize = 4 << 20;

/// Of the common part, in quarters, what one class may have.
const COMMON_QUARTERS: Counts = [4, 2, 3, 2];

// A class that could not have one buffer would be waited for in vain.
const _: () = assert!(COMMON_MIN / 4 * COMMON_QUARTERS[3] >= 1 << 20);
// What one operation on a file takes at most must fit the floor.
const _: () = assert!(DISK[2] * (64 << 10) >= crate::io::IO_MAX);

/// The ceilings of one pool.
#[derive(Clone, Debug)]
pub struct Limits {
    bytes_max: usize,
    floors: [Counts; SHARES],
    common: usize,
}

/// `bytes_max` is not enough for what a shard must be able to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{bytes_max} bytes are fewer than the {least} that the buffers of a shard need")]
pub struct LimitsError {
    pub bytes_max: usize,
    pub least: usize,
}

impl Limits {
    /// For a shard with so many connections and messages of up to so many bytes.
    pub fn for_shard(
        bytes_max: usize,
        connections: usize,
        message_bytes_max: usize,
    ) -> Result<Limits, LimitsError> {
        let floors = floors(connections, message_bytes_max);
        let least = Limits::least(connections, message_bytes_max);
        match bytes_max < least {
            true => Err(LimitsError { bytes_max, least }),
            false => Ok(Limits::of(floors, bytes_max - bytes_of(&floors))),
        }
    }

    /// The least that `for_shard` accepts.
    pub fn least(connections: usize, message_bytes_max: usize) -> usize {
        bytes_of(&floors(connections, message_bytes_max)).saturating_add(COMMON_MIN)
    }

    /// Floors by share and class, and so many bytes beyond them.
    pub(super) fn of(floors: [Counts; SHARES], common: usize) -> Limits {
        Limits {
            bytes_max: bytes_of(&floors).saturating_add(common),
            floors,
            common,
        }
    }

    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// What all shares can have of a class together.
    pub fn ceiling(&self, class: Class) -> usize {
        let floors = self.floors.iter().map(|counts| counts[class.index()]);
        floors.sum::<usize>() + self.common_max(class)
    }

    /// What nobody can take from a share.
    pub fn floor(&self, share: Share, class: Class) -> usize {
        self.floors[share.index()][class.index()]
    }

    pub(super) fn common(&self) -> usize {
        self.common
    }

    /// Buffers of a class that the common part gives.
    pub(super) fn common_max(&self, class: Class) -> usize {
        self.common / 4 * COMMON_QUARTERS[class.index()] / class.bytes()
    }

    /// The most that one request can ever get.
    pub(super) fn request_max(&self, share: Share, class: Class) -> usize {
        (self.floor(share, class) + self.common_max(class)).max(1)
    }
}

impl Default for Limits {
    /// For tests and tools: 64 connections and 16 MiB for all.
    fn default() -> Limits {
        let floors = floors(64, 1 << 20);
        Limits::of(floors, 16 << 20)
    }
}

fn floors(connections: usize, message_bytes_max: usize) -> [Counts; SHARES] {
    let (mut receive, mut send) = (RECEIVE, SEND);
    receive[0] = receive[0].saturating_add(connections);
    send[0] = send[0].saturating_add(connections);
    receive[3] = receive[3].max(message_bytes_max.div_ceil(Class::Mib1.bytes()));
    [receive, send, DISK, [0; CLASSES]]
}

fn bytes_of(floors: &[Counts; SHARES]) -> usize {
    let mut bytes = 0usize;
    for counts in floors {
        for class in Class::ALL {
            bytes = bytes.saturating_add(counts[class.index()].saturating_mul(class.bytes()));
        }
    }
    bytes
}

//! Faults that a test orders from a simulated disk.
//!
//! Owns: which operation is met, and what becomes of it. Asked by: `disk` before each operation. Never: chooses by itself.
//! Bounds: a fault happens `times` times and is then over.

use super::image::Change;
use std::rc::Rc;

/// The operations that a fault can meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Open,
    Create,
    Read,
    Write,
    Sync,
    SyncDir,
    Allocate,
    Truncate,
    Rename,
    Remove,
    /// Sizes and listings, which no fault meets.
    Look,
}

/// What becomes of it.
#[derive(Clone)]
pub enum Does {
    /// The caller gets this errno. What a failed write wrote and what a failed sync covered may be there or not.
    Fail(i32),
    /// Acknowledged and not done: a dropped write, a sync that syncs nothing.
    Lie,
    /// Acknowledged, and done later than others that came behind it.
    Late(Until),
    /// Something else is done instead: misdirected, torn, damaged. On a read it changes what is read.
    Change(Rc<dyn Fn(&mut Change)>),
}

/// When an operation that was acknowledged too early is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Behind the file's next operation. A sync that was asked for in between does not cover it.
    NextOperation,
    /// Behind the file's next write, with which it changes places.
    NextWrite,
}

/// The position of a sync before which nothing was written.
pub(super) const NOTHING_WRITTEN: u64 = u64::MAX - 1;

/// An ordered fault.
#[derive(Clone)]
pub struct Fault {
    pub on: On,
    /// Part of the file's path, as it was when it was opened.
    pub path: String,
    /// It is the whole path.
    pub whole: bool,
    /// Positions (or lengths) that it meets, the upper one not included. A sync's position is the lowest one written
    /// since the file's last sync, so those of one file can be told apart.
    pub at: std::ops::Range<u64>,
    /// Lets so many pass first.
    pub skip: u64,
    pub times: u64,
    pub does: Does,
}

impl Fault {
    /// The first such operation from now on.
    pub fn new(on: On, path: &str, does: Does) -> Fault {
        Fault {
            on,
            path: path.to_string(),
            whole: false,
            at: 0..u64::MAX,
            skip: 0,
            times: 1,
            does,
        }
    }

    pub fn at(mut self, at: std::ops::Range<u64>) -> Fault {
        self.at = at;
        self
    }

    /// Meets this path alone, and not those that it is a part of.
    pub fn exactly(mut self) -> Fault {
        self.whole = true;
        self
    }

    pub fn after(mut self, skip: u64) -> Fault {
        self.skip = skip;
        self
    }

    /// Again and again.
    pub fn always(mut self) -> Fault {
        self.times = u64::MAX / 1024;
        self
    }

    pub(super) fn meets(&self, on: On, path: &str, at: u64) -> bool {
        let meant = match self.whole {
            true => path == self.path,
            false => path.contains(&self.path),
        };
        self.times > 0 && self.on == on && self.at.contains(&at) && meant
    }
}

impl Does {
    /// Written to another place.
    pub fn misdirect(to: u64) -> Does {
        Does::Change(Rc::new(move |change| {
            if let Change::Write { at, .. } = change {
                *at = to;
            }
        }))
    }

    /// Only the first `keep` bytes arrive.
    pub fn tear(keep: usize) -> Does {
        Does::Change(Rc::new(move |change| {
            if let Change::Write { bytes, .. } = change {
                *bytes = bytes[..keep.min(bytes.len())].into();
            }
        }))
    }

    /// One bit is another.
    pub fn flip(byte: usize, bit: u8) -> Does {
        Does::Change(Rc::new(move |change| {
            if let Change::Write { bytes, .. } = change {
                let mut other = bytes.to_vec();
                if let Some(b) = other.get_mut(byte) {
                    *b ^= 1 << (bit % 8);
                }
                *bytes = other.into();
            }
        }))
    }
}

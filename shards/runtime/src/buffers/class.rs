//! The four sizes of buffers.
//!
//! Owns: `Class` and which of them a length asks for. Never: has a fifth; what is longer moves in pieces, or counts as
//! several of the largest class.

/// A size of buffers. Each is a multiple of 4096 bytes and aligned to that, as direct I/O wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    Kib4,
    Kib8,
    Kib64,
    Mib1,
}

pub(super) const CLASSES: usize = 4;

impl Class {
    pub const ALL: [Class; CLASSES] = [Class::Kib4, Class::Kib8, Class::Kib64, Class::Mib1];

    pub const fn bytes(self) -> usize {
        match self {
            Class::Kib4 => 4 << 10,
            Class::Kib8 => 8 << 10,
            Class::Kib64 => 64 << 10,
            Class::Mib1 => 1 << 20,
        }
    }

    /// As metrics name it.
    pub const fn name(self) -> &'static str {
        match self {
            Class::Kib4 => "4KiB",
            Class::Kib8 => "8KiB",
            Class::Kib64 => "64KiB",
            Class::Mib1 => "1MiB",
        }
    }

    /// The smallest class that holds `len` bytes; none holds more than 1 MiB.
    pub fn fitting(len: usize) -> Option<Class> {
        Class::ALL.into_iter().find(|class| class.bytes() >= len)
    }

    /// The class and how many of it `len` bytes count as: exactly one where a class has that length, else as many of the
    /// largest class below as cover them.
    pub fn covering(len: usize) -> (Class, usize) {
        let below = |class: &Class| class.bytes() <= len;
        let class = Class::ALL.into_iter().rev().find(below);
        let class = class.unwrap_or(Class::Kib4);
        (class, len.div_ceil(class.bytes()).max(1))
    }

    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

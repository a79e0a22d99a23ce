//! The names of what can go wrong, and which level allows what.
//!
//! Source: Adya, Liskov and O'Neil 2000 (G0 to G2, by item); Kingsbury and Alvaro 2020 (Elle); Sovran et al. 2011 (long fork);
//! Fekete et al. 2005: under a snapshot every cycle has two anti-dependencies one after the other.

use super::history::Level;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Name {
    /// Writes of two transactions in different orders.
    G0,
    /// What a rolled back transaction wrote was read, or is there.
    G1a,
    /// What a transaction wrote and then wrote over was read by another.
    G1b,
    /// A circle of writes and reads of what was written.
    G1c,
    /// A circle with one anti-dependency: a reader did not see what it should have seen with the rest.
    GSingle,
    /// Two transactions read the same version of something and both wrote it.
    LostUpdate,
    /// A circle whose anti-dependencies lie apart: readers disagree about the order of writers.
    LongFork,
    /// A circle with anti-dependencies next to each other: write skew.
    G2Item,
    /// A transaction that began after another had committed did not see it.
    StaleRead,
    /// As the above, where the circle is only closed by what came before what in real time.
    G0RealTime,
    G1cRealTime,
    GSingleRealTime,
    LongForkRealTime,
    G2ItemRealTime,
    /// A committed write is not there, or only a part of a transaction is.
    LostWrite,
    /// Reads of a key that no single order of its writes explains.
    IncompatibleOrder,
    /// What a key has was never written, or is there twice.
    Garbage,
    /// A transaction does not see its own writes.
    Internal,
}

impl Name {
    /// Whether a level may show it.
    pub fn allowed(self, level: Level) -> bool {
        match level {
            Level::Serializable => false,
            Level::RepeatableRead => matches!(self, Name::G2Item | Name::G2ItemRealTime),
            Level::ReadCommitted => matches!(
                self,
                Name::GSingle
                    | Name::GSingleRealTime
                    | Name::LostUpdate
                    | Name::LongFork
                    | Name::LongForkRealTime
                    | Name::G2Item
                    | Name::G2ItemRealTime
            ),
        }
    }
}

/// One of them, and the transactions that show it.
#[derive(Clone, Debug)]
pub struct Anomaly {
    pub name: Name,
    /// For the message of a test that fails.
    #[allow(dead_code)]
    pub shown_by: String,
}

impl Anomaly {
    pub fn new(name: Name, shown_by: String) -> Anomaly {
        Anomaly { name, shown_by }
    }
}

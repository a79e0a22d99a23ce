//! Where the partitions of a data directory are.
//!
//! Owns: how many there are, and the names of their directories. Repartitioning writes a new generation of them beside the
//! old one, and the directory's `FORMAT` file says which counts. Never: does I/O.

use types::PartitionId;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    pub partitions: u16,
    /// 0 in a directory that was never repartitioned.
    pub generation: u32,
}

impl Layout {
    /// `p0007`, or `g2-p0007` in generation 2.
    pub fn name(self, partition: PartitionId) -> String {
        match self.generation {
            0 => format!("p{:04}", partition.0),
            g => format!("g{g}-p{:04}", partition.0),
        }
    }

    pub fn ids(self) -> impl Iterator<Item = PartitionId> {
        (0..self.partitions).map(PartitionId)
    }

    /// Whether a file of the data directory is a partition, of this layout or another.
    pub fn is_partition(name: &str) -> bool {
        let rest = match name.strip_prefix('g').and_then(|n| n.split_once('-')) {
            Some((generation, rest)) if is_number(generation) => rest,
            _ => name,
        };
        rest.strip_prefix('p').is_some_and(is_number)
    }

    /// Whether it is one that does not count: what a repartitioning left that was killed, or has just ended.
    pub fn is_stale(self, name: &str) -> bool {
        Layout::is_partition(name) && !self.ids().any(|p| self.name(p) == name)
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_partitions_of_other_layouts_are_stale() {
        let layout = Layout {
            partitions: 2,
            generation: 3,
        };
        assert_eq!(layout.name(PartitionId(1)), "g3-p0001");
        for stale in ["p0000", "g2-p0001", "g3-p0002", "g31-p0000"] {
            assert!(layout.is_stale(stale), "{stale}");
        }
        for other in [
            "g3-p0000", "g3-p0001", "FORMAT", "LOCK", "p", "pages", "g3-x", "gx-p0001", "tmp",
        ] {
            assert!(!layout.is_stale(other), "{other}");
        }
    }
}

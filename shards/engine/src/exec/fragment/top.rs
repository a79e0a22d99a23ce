//! The first rows of a partition in an order, for a sort that wants no others.
//!
//! Owns: at most twice as many rows as are wanted, and the keys of the last of them once there are enough: a row behind that is
//! dropped before it is projected. Asked by: `Fragment`. Bounds: the caller takes them when `bytes` is too much.

use crate::exec::operators::sort::{Direction, compare_keys};
use crate::plan::Top;
use types::row::row_bytes;
use types::{Row, Value};

/// Fewer are not sorted.
const ROWS_MIN: usize = 64;

pub(super) struct First {
    directions: Vec<Direction>,
    wanted: usize,
    held: Vec<(Row, Row)>,
    bytes: usize,
    /// Keys of the last row that is still wanted.
    last: Option<Row>,
}

impl First {
    pub(super) fn new(top: &Top) -> First {
        First {
            directions: top.keys.iter().map(Direction::of).collect(),
            wanted: usize::try_from(top.rows).unwrap_or(usize::MAX),
            held: Vec::new(),
            bytes: 0,
            last: None,
        }
    }

    /// Whether a row with these keys may be among the first. Of equal ones the earlier stays.
    pub(super) fn wants(&self, keys: &[Value]) -> bool {
        let last = self.last.as_ref();
        last.is_none_or(|last| compare_keys(keys, last, &self.directions).is_lt())
    }

    pub(super) fn push(&mut self, keys: Row, row: Row) {
        self.bytes += row_bytes(&keys) + row_bytes(&row);
        self.held.push((keys, row));
        if self.held.len() / 2 >= self.wanted.max(ROWS_MIN) {
            self.cut();
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn cut(&mut self) {
        let directions = &self.directions;
        self.held
            .sort_by(|a, b| compare_keys(&a.0, &b.0, directions));
        self.held.truncate(self.wanted);
        if self.held.len() == self.wanted {
            self.last = self.held.last().map(|(keys, _)| keys.clone());
        }
        let sizes = self.held.iter().map(|(k, r)| row_bytes(k) + row_bytes(r));
        self.bytes = sizes.sum();
    }

    /// The first rows; what comes later is compared with them all the same.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Row> + use<> {
        self.cut();
        self.bytes = 0;
        std::mem::take(&mut self.held)
            .into_iter()
            .map(|(_, row)| row)
    }
}

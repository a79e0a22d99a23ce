//! Stored rows side by side, read column by column.
//!
//! Owns: the bytes of some rows, as far as a column is wanted of them, and where each wanted value begins. Asked by: `exec::batch`,
//! which reads a column of the rows that are still of interest, and `exec::fragment` for single rows of them. Never: reads a
//! column before somebody asks. The form of the bytes is `row`'s.
//! Bounds: the owner fills it up to `ROWS_MAX` rows or `BYTES_MAX` bytes and clears it. A damaged row is refused when it is added.

use super::CodecError;
use super::bytes::Reader;
use super::row::{Layout, Place, head, take_value, width};
use types::limits::{BATCH_BYTES_MAX, BATCH_ROWS_MAX};
use types::{DataType, Numeric, Result, Row, Value};

/// Rows at a time.
pub const ROWS_MAX: usize = BATCH_ROWS_MAX;
/// Their bytes; the last row may exceed it.
pub const BYTES_MAX: usize = BATCH_BYTES_MAX;

/// Instead of a place: NULL, or that the row is too old to have the column.
const NULL: u32 = u32::MAX;
const MISSING: u32 = u32::MAX - 1;
/// So that eight bytes can be read at any place.
const PADDING: [u8; 8] = [0; 8];

pub struct Columns {
    /// By place, up to the last column that is wanted.
    steps: Vec<Step>,
    /// The same for rows without NULLs: what lies between wanted columns is passed at once.
    hops: Vec<Hop>,
    /// Fixed bytes behind the last hop.
    tail: usize,
    /// What is wanted.
    slots: Vec<Slot>,
    width: usize,
    bytes: Vec<u8>,
    /// By row, a place for each slot.
    places: Vec<u32>,
    rows: usize,
}

#[derive(Clone, Copy)]
struct Step {
    /// Stored bytes; `None`: they say so themselves.
    width: Option<usize>,
    slot: Option<usize>,
}

#[derive(Clone, Copy, Default)]
struct Hop {
    before: usize,
    slot: Option<usize>,
    prefixed: bool,
}

struct Slot {
    ty: DataType,
    ordinal: usize,
    /// What a row has that is too old for the column.
    missing: Value,
}

/// Numbers of a column as they are stored.
pub enum Decimals {
    /// Mantissas of one scale.
    Even(Vec<i64>, u16),
    Mixed(Vec<Numeric>),
}

impl Columns {
    /// By ordinal: what is `wanted`.
    pub fn new(layout: &Layout, wanted: &[bool]) -> Columns {
        let mut slots = Vec::new();
        let mut step = |place: Place| {
            let ordinal = place.ordinal.filter(|at| wanted.get(*at) == Some(&true));
            let slot = ordinal.map(|ordinal| {
                let missing = layout.missing.iter().find(|m| m.0 == ordinal);
                slots.push(Slot {
                    ty: place.ty,
                    ordinal,
                    missing: missing.map_or(Value::Null, |m| m.2.clone()),
                });
                slots.len() - 1
            });
            let width = width(place.ty);
            Step { width, slot }
        };
        let mut steps: Vec<Step> = match &layout.places {
            Some(places) => places.iter().copied().map(&mut step).collect(),
            None => {
                let place = |(at, ty): (usize, &DataType)| Place {
                    ty: *ty,
                    ordinal: Some(at),
                };
                let places = layout.types.iter().enumerate().map(place);
                places.map(step).collect()
            }
        };
        let last = steps.iter().rposition(|s| s.slot.is_some());
        steps.truncate(last.map_or(0, |at| at + 1));
        let (hops, tail) = hops(&steps);
        Columns {
            steps,
            hops,
            tail,
            slots,
            width: layout.types.len(),
            bytes: Vec::new(),
            places: Vec::new(),
            rows: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.rows
    }

    /// Time to read and clear them.
    pub fn is_full(&self) -> bool {
        self.rows >= ROWS_MAX || self.bytes.len() >= BYTES_MAX
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.places.clear();
        self.rows = 0;
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        self.bytes.capacity() + self.places.capacity() * size_of::<u32>()
    }

    /// One more row.
    #[inline]
    pub fn push(&mut self, row: &[u8]) -> Result<(), CodecError> {
        let mut r = Reader::new(row);
        let (stored, nulls) = head(&mut r)?;
        let begin = row.len() - r.rest().len();
        let base = self.bytes.len();
        let first = self.places.len();
        self.places.resize(first + self.slots.len(), MISSING);
        let places = &mut self.places[first..];
        let whole = stored >= self.steps.len() && nulls.iter().all(|b| *b == 0);
        let end = match whole {
            true => hop(&self.hops, row, begin, base, places).map(|at| at + self.tail),
            false => walk(&self.steps, row, (begin, stored, nulls), base, places),
        };
        match end.filter(|end| *end <= row.len()) {
            Some(end) => {
                self.bytes.extend_from_slice(&row[..end]);
                self.rows += 1;
                Ok(())
            }
            None => {
                self.places.truncate(first);
                Err(CodecError::Corrupt {
                    what: "it ends too early",
                })
            }
        }
    }

    /// The place among what is wanted of a column.
    pub fn slot(&self, ordinal: usize) -> Option<usize> {
        self.slots.iter().position(|s| s.ordinal == ordinal)
    }

    pub fn ty(&self, slot: usize) -> DataType {
        self.slots[slot].ty
    }

    /// All bytes of the rows, for texts by their places.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    #[inline]
    fn place(&self, row: u32, slot: usize) -> u32 {
        self.places[row as usize * self.slots.len() + slot]
    }

    /// One value.
    pub fn value(&self, row: u32, slot: usize) -> Result<Value> {
        Ok(match self.place(row, slot) {
            NULL => Value::Null,
            MISSING => self.slots[slot].missing.clone(),
            at => {
                let mut r = Reader::new(&self.bytes[at as usize..]);
                take_value(&mut r, self.slots[slot].ty)?
            }
        })
    }

    /// One row: what is wanted of it.
    pub fn row(&self, row: u32, out: &mut Row) -> Result<()> {
        out.resize(self.width, Value::Null);
        for (at, slot) in self.slots.iter().enumerate() {
            out[slot.ordinal] = self.value(row, at)?;
        }
        Ok(())
    }

    /// The stored bytes of one value, behind one byte that tells NULL: the same only for the same value. `None`: it cannot be told.
    pub fn stored(&self, row: u32, slot: usize, out: &mut Vec<u8>) -> Option<()> {
        let at = match self.place(row, slot) {
            NULL => {
                out.push(0);
                return Some(());
            }
            MISSING => return None,
            at => at as usize,
        };
        out.push(1);
        let bytes = self.bytes.get(at..)?;
        match width(self.slots[slot].ty) {
            Some(n) => out.extend_from_slice(bytes.get(..n)?),
            None => {
                let (from, n) = prefix(bytes, 0)?;
                out.extend_from_slice(bytes.get(..from + n)?);
            }
        }
        Some(())
    }

    /// Calls `f` with each row's place, none for NULL; `None` where a row has no place.
    #[inline]
    fn each(
        &self,
        slot: usize,
        rows: &[u32],
        mut f: impl FnMut(Option<usize>) -> Option<()>,
    ) -> Option<()> {
        for row in rows {
            match self.place(*row, slot) {
                NULL => f(None)?,
                MISSING => return None,
                at => f(Some(at as usize))?,
            }
        }
        Some(())
    }

    /// Whether any of these rows has NULL, and which.
    pub fn nulls(&self, slot: usize, rows: &[u32]) -> Option<Vec<bool>> {
        let null = |row: &u32| self.place(*row, slot) == NULL;
        rows.iter()
            .any(null)
            .then(|| rows.iter().map(null).collect())
    }

    /// Whole numbers of `N` bytes of these rows, 0 for NULL. `None` where they cannot be read so.
    fn fixed<const N: usize, T: Default>(
        &self,
        slot: usize,
        rows: &[u32],
        read: impl Fn([u8; N]) -> T,
    ) -> Option<Vec<T>> {
        let mut out = Vec::with_capacity(rows.len());
        self.each(slot, rows, |at| {
            out.push(match at {
                Some(at) => read(*self.bytes.get(at..)?.first_chunk()?),
                None => T::default(),
            });
            Some(())
        })?;
        Some(out)
    }

    /// Integers, dates and times.
    pub fn ints(&self, slot: usize, rows: &[u32]) -> Option<Vec<i64>> {
        match self.slots[slot].ty {
            DataType::Int2 => self.fixed(slot, rows, |b| i64::from(i16::from_le_bytes(b))),
            DataType::Int4 | DataType::Date => {
                self.fixed(slot, rows, |b| i64::from(i32::from_le_bytes(b)))
            }
            DataType::Int8 | DataType::Time | DataType::Timestamp | DataType::Timestamptz => {
                self.fixed(slot, rows, i64::from_le_bytes)
            }
            _ => None,
        }
    }

    pub fn bools(&self, slot: usize, rows: &[u32]) -> Option<Vec<bool>> {
        self.fixed(slot, rows, |b: [u8; 1]| b[0] != 0)
    }

    pub fn floats(&self, slot: usize, rows: &[u32]) -> Option<Vec<f64>> {
        self.fixed(slot, rows, f64::from_le_bytes)
    }

    /// Where the texts lie in `bytes`: begin and length.
    pub fn texts(&self, slot: usize, rows: &[u32]) -> Option<Vec<(u32, u32)>> {
        let mut out = Vec::with_capacity(rows.len());
        self.each(slot, rows, |at| {
            out.push(match at {
                Some(at) => {
                    let (from, n) = prefix(&self.bytes, at)?;
                    self.bytes.get(from..from + n)?;
                    (from as u32, n as u32)
                }
                None => (0, 0),
            });
            Some(())
        })?;
        Some(out)
    }

    pub fn decimals(&self, slot: usize, rows: &[u32]) -> Option<Decimals> {
        let mut out = Vec::with_capacity(rows.len());
        let mut common = None;
        let even = self.each(slot, rows, |at| {
            let (mantissa, scale) = match at {
                Some(at) => self.small(at)?,
                None => (0, common.unwrap_or(0)),
            };
            out.push(mantissa);
            match at.is_none() || *common.get_or_insert(scale) == scale {
                true => Some(()),
                false => None,
            }
        });
        if even.is_some() {
            return Some(Decimals::Even(out, u16::from(common.unwrap_or(0))));
        }
        let whole = |row: &&u32| self.place(**row, slot) != MISSING;
        if rows.iter().filter(whole).count() < rows.len() {
            return None;
        }
        let value = |row: &u32| match self.value(*row, slot) {
            Ok(Value::Numeric(n)) => Some(n),
            Ok(Value::Null) => Some(Numeric::zero()),
            _ => None,
        };
        rows.iter()
            .map(value)
            .collect::<Option<_>>()
            .map(Decimals::Mixed)
    }

    /// Mantissa and scale of a number whose digits fit 64 bits.
    #[inline]
    fn small(&self, at: usize) -> Option<(i64, u8)> {
        let head: [u8; 3] = *self.bytes.get(at..)?.first_chunk()?;
        let [length @ 3..=10, 0, scale @ 0..0x80] = head else {
            return None;
        };
        let digits = usize::from(length) - 2;
        let from = at + 3;
        let wide = match self.bytes.get(from..)?.first_chunk() {
            Some(wide) => i64::from_le_bytes(*wide),
            None => {
                let mut wide = PADDING;
                let there = self.bytes.get(from..from + digits)?;
                wide.get_mut(..digits)?.copy_from_slice(there);
                i64::from_le_bytes(wide)
            }
        };
        let spare = 64 - 8 * digits as u32;
        Some(((wide << spare) >> spare, scale))
    }
}

/// What to pass between two wanted columns.
fn hops(steps: &[Step]) -> (Vec<Hop>, usize) {
    let mut hops = Vec::new();
    let mut at = Hop::default();
    for step in steps {
        let prefixed = step.width.is_none();
        if step.slot.is_some() || prefixed {
            (at.slot, at.prefixed) = (step.slot, prefixed);
            hops.push(std::mem::take(&mut at));
        }
        at.before += step.width.unwrap_or(0);
    }
    (hops, at.before)
}

/// Of a row without NULLs: notes places, gives where the last one ends but for fixed bytes.
#[inline]
fn hop(hops: &[Hop], row: &[u8], mut at: usize, base: usize, places: &mut [u32]) -> Option<usize> {
    for hop in hops {
        at += hop.before;
        if let Some(slot) = hop.slot {
            places[slot] = (base + at) as u32;
        }
        if hop.prefixed {
            let (from, n) = prefix(row, at)?;
            at = from + n;
        }
    }
    Some(at)
}

fn walk(
    steps: &[Step],
    row: &[u8],
    (mut at, stored, nulls): (usize, usize, &[u8]),
    base: usize,
    places: &mut [u32],
) -> Option<usize> {
    for (place, step) in steps.iter().enumerate().take(stored) {
        if nulls.get(place / 8)? & (1 << (place % 8)) != 0 {
            if let Some(slot) = step.slot {
                places[slot] = NULL;
            }
            continue;
        }
        if let Some(slot) = step.slot {
            places[slot] = (base + at) as u32;
        }
        at = match step.width {
            Some(n) => at + n,
            None => {
                let (from, n) = prefix(row, at)?;
                from + n
            }
        };
    }
    Some(at)
}

/// Where the bytes behind a length begin, and how many they are.
#[inline]
fn prefix(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let first = *bytes.get(at)?;
    if first < 0x80 {
        return Some((at + 1, usize::from(first)));
    }
    let rest = bytes.get(at..)?;
    let mut r = Reader::new(rest);
    let n = r.varint().ok()?;
    Some((at + rest.len() - r.rest().len(), n))
}

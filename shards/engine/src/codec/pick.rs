//! Stored rows read in two steps: the columns that decide whether a row is wanted, then the others.
//!
//! Owns: for one scan, which column is read when; for the row at hand, where those that wait begin. Asked by: `exec::fragment`,
//! once for each row, with the same row of values to be filled again and again. Never: looks at a column past the last that
//! somebody reads. The form of the bytes is `row`'s.
//! Bounds: one place noted a column.

use super::CodecError;
use super::bytes::Reader;
use super::row::{Layout, Place, head, take_value, width};
use types::{DataType, Result, Row, Value};

pub struct Pick {
    /// By place, up to the last column that is read.
    steps: Vec<Step>,
    /// So many of them have a column that is read first.
    first: usize,
    /// Ordinal and place of columns that rows without them have a value of.
    missing: Vec<(usize, usize, Value)>,
    width: usize,
    noted: Vec<Noted>,
    /// Of the row at hand: where its steps went on, and what is stored.
    rest: usize,
    stored: usize,
}

struct Step {
    ty: DataType,
    /// Stored bytes; `None`: they say so themselves.
    width: Option<usize>,
    read: Read,
}

impl Step {
    #[inline]
    fn skip(&self, r: &mut Reader<'_>) -> Result<(), CodecError> {
        match self.width {
            Some(n) => r.take(n)?,
            None => r.prefixed()?,
        };
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    Never,
    First(usize),
    Then(usize),
}

/// A column that waits: its bytes begin there.
struct Noted {
    ty: DataType,
    ordinal: usize,
    at: usize,
}

impl Pick {
    /// By ordinal: what is read `first`, and all that is `wanted`.
    pub fn new(layout: &Layout, first: &[bool], wanted: &[bool]) -> Pick {
        let set = |flags: &[bool], at: usize| flags.get(at) == Some(&true);
        let step = |place: &Place| {
            let read = match place.ordinal {
                Some(at) if set(first, at) => Read::First(at),
                Some(at) if set(wanted, at) => Read::Then(at),
                _ => Read::Never,
            };
            let (ty, width) = (place.ty, width(place.ty));
            Step { ty, width, read }
        };
        let mut steps: Vec<Step> = match &layout.places {
            Some(places) => places.iter().map(step).collect(),
            None => {
                let places = layout.types.iter().enumerate();
                let place = |(at, ty): (usize, &DataType)| Place {
                    ty: *ty,
                    ordinal: Some(at),
                };
                places.map(|p| step(&place(p))).collect()
            }
        };
        let last = steps.iter().rposition(|s| s.read != Read::Never);
        steps.truncate(last.map_or(0, |at| at + 1));
        let is_first = |s: &Step| matches!(s.read, Read::First(_));
        Pick {
            first: steps.iter().rposition(is_first).map_or(0, |at| at + 1),
            steps,
            missing: layout.missing.clone(),
            width: layout.types.len(),
            noted: Vec::new(),
            rest: 0,
            stored: 0,
        }
    }

    /// Reads the first columns of `bytes` into `row`; of the others it has what an earlier row left.
    pub fn begin(&mut self, bytes: &[u8], row: &mut Row) -> Result<()> {
        row.resize(self.width, Value::Null);
        self.noted.clear();
        let mut r = Reader::new(bytes);
        let (stored, nulls) = head(&mut r)?;
        self.stored = stored;
        let all_there = stored >= self.first && nulls.iter().all(|b| *b == 0);
        for (at, step) in self.steps[..self.first].iter().enumerate() {
            if !all_there && (at >= stored || is_set(nulls, at)) {
                if let Read::First(ordinal) | Read::Then(ordinal) = step.read {
                    row[ordinal] = Value::Null;
                }
                continue;
            }
            match step.read {
                Read::First(ordinal) => row[ordinal] = take_value(&mut r, step.ty)?,
                Read::Then(ordinal) => {
                    let at = bytes.len() - r.rest().len();
                    let ty = step.ty;
                    self.noted.push(Noted { ty, ordinal, at });
                    step.skip(&mut r)?;
                }
                Read::Never => step.skip(&mut r)?,
            }
        }
        self.rest = bytes.len() - r.rest().len();
        for (ordinal, place, value) in &self.missing {
            if *place >= stored {
                row[*ordinal].clone_from(value);
            }
        }
        Ok(())
    }

    /// Reads the other columns of the same bytes.
    pub fn finish(&mut self, bytes: &[u8], row: &mut Row) -> Result<()> {
        for noted in &self.noted {
            row[noted.ordinal] = take_value(&mut from(bytes, noted.at)?, noted.ty)?;
        }
        let mut r = from(bytes, self.rest)?;
        let stored = self.stored;
        let nulls = head(&mut Reader::new(bytes))?.1;
        for (at, step) in self.steps.iter().enumerate().skip(self.first) {
            if at >= stored {
                if let Read::Then(ordinal) = step.read
                    && !self.missing.iter().any(|(missing, ..)| *missing == ordinal)
                {
                    row[ordinal] = Value::Null;
                }
                continue;
            }
            match step.read {
                Read::Then(ordinal) if is_set(nulls, at) => row[ordinal] = Value::Null,
                _ if is_set(nulls, at) => {}
                Read::Then(ordinal) => row[ordinal] = take_value(&mut r, step.ty)?,
                _ => step.skip(&mut r)?,
            }
        }
        Ok(())
    }
}

fn is_set(bits: &[u8], at: usize) -> bool {
    bits[at / 8] & (1 << (at % 8)) != 0
}

fn from(bytes: &[u8], at: usize) -> Result<Reader<'_>, CodecError> {
    let mut r = Reader::new(bytes);
    r.take(at)?;
    Ok(r)
}

#[cfg(test)]
mod tests {
    use super::super::row::{decode_some, encode};
    use super::*;

    const TYPES: [DataType; 5] = [
        DataType::Int4,
        DataType::Text,
        DataType::Int8,
        DataType::Numeric,
        DataType::Text,
    ];

    fn rows() -> Vec<Row> {
        let full = vec![
            Value::Int4(7),
            Value::from("seven"),
            Value::Int8(-7),
            Value::Numeric("7.70".parse().unwrap()),
            Value::from("VII"),
        ];
        let mut rows = vec![full.clone(), vec![Value::Null; 5]];
        for at in 0..5 {
            let mut row = full.clone();
            row[at] = Value::Null;
            rows.push(row);
        }
        rows
    }

    #[test]
    fn two_steps_read_what_one_does_whatever_row_came_before() {
        let layout = Layout::plain(TYPES.to_vec());
        let flags = |bits: u32| -> Vec<bool> { (0..5).map(|i| bits & (1 << i) != 0).collect() };
        for first in 0..32 {
            for then in 0..32 {
                let (first, wanted) = (flags(first), flags(first | then));
                let mut pick = Pick::new(&layout, &first, &wanted);
                let mut row = Row::new();
                for values in rows() {
                    let mut bytes = Vec::new();
                    encode(&values, &layout, &mut bytes);
                    pick.begin(&bytes, &mut row).unwrap();
                    for (at, _) in first.iter().enumerate().filter(|(_, f)| **f) {
                        assert_eq!(row[at], values[at]);
                    }
                    pick.finish(&bytes, &mut row).unwrap();
                    assert_eq!(row, decode_some(&bytes, &layout, &wanted).unwrap());
                }
            }
        }
    }

    #[test]
    fn columns_that_a_row_is_too_old_to_have_are_what_the_layout_says() {
        let old = Layout::plain(TYPES[..2].to_vec());
        let mut new = Layout::plain(TYPES.to_vec());
        new.missing = vec![(2, 2, Value::Int8(5)), (4, 4, Value::from("new"))];
        let rows = rows();
        for first in [[true; 5], [false; 5], [false, false, false, true, true]] {
            let mut pick = Pick::new(&new, &first, &[true; 5]);
            let mut row = Row::new();
            for (values, layout) in [(&rows[0][..], &new), (&rows[0][..2], &old)] {
                let mut bytes = Vec::new();
                encode(values, layout, &mut bytes);
                pick.begin(&bytes, &mut row).unwrap();
                pick.finish(&bytes, &mut row).unwrap();
                assert_eq!(row, decode_some(&bytes, &new, &[true; 5]).unwrap());
            }
        }
    }
}

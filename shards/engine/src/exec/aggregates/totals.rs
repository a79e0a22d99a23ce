//! sum and avg of NUMERIC, and adding up many values at once.
//!
//! Owns: a count and an exact sum, as small as they can be: there may be one for each of very many groups. Asked by: `numbers` too, which
//! adds integers up the same way. A sum alone travels as a number, an average with its count.
//! Source: PostgreSQL 15 `numeric.c`.

use super::Accumulator;
use super::numbers::{items, state};
use super::simple::bad_state;
use crate::exec::batch::{Column, Data, Vector};
use types::{Numeric, Result, Value};

/// The accumulators of this file, by unique name.
pub fn accumulator(func: &str) -> Option<Box<dyn Accumulator>> {
    let average = match func {
        "sum_numeric" => false,
        "avg_numeric" => true,
        _ => return None,
    };
    Some(Box::new(Total {
        average,
        ..Total::default()
    }))
}

#[derive(Default)]
struct Total {
    count: i64,
    sum: Option<Numeric>,
    average: bool,
}

impl Accumulator for Total {
    fn update(&mut self, args: &[Value]) -> Result<()> {
        match args.first() {
            None | Some(Value::Null) => Ok(()),
            Some(Value::Numeric(n)) => {
                self.count += 1;
                add_to(&mut self.sum, n)
            }
            Some(other) => Err(bad_state(other)),
        }
    }

    /// Mantissas of one scale are added up before they are added.
    fn update_many(&mut self, column: Option<&Column<'_>>, rows: &[u32]) -> Result<()> {
        let of = column.map(|c| (c.vector, &c.vector.data));
        let Some((vector, Data::Decimals(values, scale))) = of else {
            return each(self, column, rows);
        };
        let (sum, count) = summed(vector, values, rows);
        if count == 0 {
            return Ok(());
        }
        self.count += count;
        let sum = match i64::try_from(sum) {
            Ok(small) => Numeric::Small(small, *scale),
            Err(_) => Numeric::from_parts(sum.into(), u32::from(*scale))?,
        };
        add_to(&mut self.sum, &sum)
    }

    /// The sum alone where that is all that is wanted.
    fn partial(&self) -> Value {
        match &self.sum {
            None => Value::Null,
            Some(sum) if self.average => {
                state(vec![Value::Int8(self.count), Value::Numeric(sum.clone())])
            }
            Some(sum) => Value::Numeric(sum.clone()),
        }
    }

    fn merge(&mut self, partial: &Value) -> Result<()> {
        let (count, sum) = match partial {
            Value::Null => return Ok(()),
            Value::Numeric(sum) => (1, sum),
            other => match items(other)? {
                [Value::Int8(count), Value::Numeric(sum)] => (*count, sum),
                _ => return Err(bad_state(other)),
            },
        };
        self.count += count;
        add_to(&mut self.sum, sum)
    }

    fn finish(&self) -> Result<Value> {
        Ok(match &self.sum {
            None => Value::Null,
            Some(sum) if self.average => Value::Numeric(sum.div(&Numeric::from(self.count))?),
            Some(sum) => Value::Numeric(sum.clone()),
        })
    }

    fn memory(&self) -> usize {
        size_of::<Self>() + self.sum.as_ref().map_or(0, Numeric::memory)
    }
}

/// The sum of some of a vector's numbers, and how many of them are no NULLs. Batches are far too short for an overflow.
pub(super) fn summed(vector: &Vector, values: &[i64], rows: &[u32]) -> (i128, i64) {
    let some = rows.iter().map(|r| *r as usize);
    if vector.nulls.is_none() {
        let sum = some.map(|at| i128::from(values[at])).sum();
        return (sum, rows.len() as i64);
    }
    let there = some.filter(|at| !vector.is_null(*at));
    there.fold((0, 0), |(sum, count), at| {
        (sum + i128::from(values[at]), count + 1)
    })
}

/// Row by row.
pub(super) fn each(
    state: &mut dyn Accumulator,
    column: Option<&Column<'_>>,
    rows: &[u32],
) -> Result<()> {
    for row in rows {
        match column {
            Some(column) => state.update(&[column.value(*row as usize)?])?,
            None => state.update(&[])?,
        }
    }
    Ok(())
}

pub(super) fn add_to(total: &mut Option<Numeric>, v: &Numeric) -> Result<()> {
    *total = Some(match total {
        Some(t) => t.add(v)?,
        None => v.clone(),
    });
    Ok(())
}

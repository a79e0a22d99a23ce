//! Ordered-set and hypothetical-set aggregates: percentile_cont, percentile_disc, mode, and rank of a row that is not there.
//!
//! Owns: what is made of values that come sorted (`kept` sorts them). A row's arguments are the direct ones, the same for
//! every row of a group, then those of WITHIN GROUP. Never: has partial states: rows must come in order.
//! Source: PostgreSQL 15 `orderedsetaggs.c`.

use super::Accumulator;
use crate::exec::functions::{check_size, natural_type};
use std::cmp::Ordering;
use std::sync::Arc;
use types::time::arith;
use types::{Array, DataType, Error, Result, Row, SqlState, Value, order};

/// The accumulators of this file, by unique name.
pub fn accumulator(func: &str) -> Option<Box<dyn Accumulator>> {
    let (name, ordering) = func.split_once(':').unwrap_or((func, ""));
    let ranked = |wanted| -> Option<Box<dyn Accumulator>> {
        Some(Box::new(Hypothetical::new(wanted, ordering)))
    };
    match name {
        "hypothetical_rank" => return ranked(Wanted::Rank),
        "hypothetical_dense_rank" => return ranked(Wanted::DenseRank),
        "hypothetical_percent_rank" => return ranked(Wanted::PercentRank),
        "hypothetical_cume_dist" => return ranked(Wanted::CumeDist),
        _ => {}
    }
    let kind = match name {
        "percentile_cont_float8" | "percentile_cont_interval" => Kind::Continuous,
        "percentile_cont_float8_array" | "percentile_cont_interval_array" => Kind::Continuous,
        "percentile_disc" | "percentile_disc_array" => Kind::Discrete,
        "mode" => Kind::Mode,
        _ => return None,
    };
    Some(Box::new(Sorted {
        kind,
        fraction: Value::Null,
        values: Vec::new(),
        bytes: 0,
    }))
}

/// How many of its arguments are direct ones, where it is such an aggregate.
pub fn direct_args(func: &str, args: usize) -> Option<usize> {
    if func.starts_with("hypothetical_") {
        Some(args / 2)
    } else if func.starts_with("percentile_") {
        Some(1)
    } else {
        (func == "mode").then_some(0)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Continuous,
    Discrete,
    Mode,
}

/// All values, in order.
struct Sorted {
    kind: Kind,
    fraction: Value,
    values: Vec<Value>,
    bytes: usize,
}

impl Sorted {
    fn at(&self, fraction: &Value) -> Result<Value> {
        let Value::Float8(p) = fraction else {
            return Ok(Value::Null);
        };
        if !(0.0..=1.0).contains(p) {
            return Err(Error::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                format!("percentile value {p} is not between 0 and 1"),
            ));
        }
        let count = self.values.len();
        let value = |i: usize| self.values.get(i).cloned().unwrap_or_default();
        if self.kind == Kind::Discrete {
            let row = (p * count as f64).ceil() as usize;
            return Ok(value(row.max(1) - 1));
        }
        let place = p * (count as f64 - 1.0);
        let (low, high) = (place.floor(), place.ceil());
        if low == high {
            return Ok(value(low as usize));
        }
        between(&value(low as usize), &value(high as usize), place - low)
    }

    fn mode(&self) -> Value {
        let mut best: Option<(&Value, usize)> = None;
        for run in self.values.chunk_by(|a, b| order::compare(a, b).is_eq()) {
            if best.is_none_or(|(_, n)| run.len() > n) {
                best = run.first().map(|v| (v, run.len()));
            }
        }
        best.map_or(Value::Null, |(v, _)| v.clone())
    }
}

fn between(low: &Value, high: &Value, part: f64) -> Result<Value> {
    match (low, high) {
        (Value::Float8(low), Value::Float8(high)) => Ok(Value::Float8(low + part * (high - low))),
        (Value::Interval(low), Value::Interval(high)) => {
            let step = arith::interval_mul(&arith::interval_sub(high, low)?, part)?;
            Ok(Value::Interval(arith::interval_add(&step, low)?))
        }
        _ => Err(Error::internal("percentile_cont of another type")),
    }
}

impl Accumulator for Sorted {
    fn update(&mut self, args: &[Value]) -> Result<()> {
        let Some((value, direct)) = args.split_last() else {
            return Err(Error::internal("an ordered-set aggregate of nothing"));
        };
        if let Some(fraction) = direct.first()
            && self.values.is_empty()
        {
            self.fraction = fraction.clone();
        }
        if value.is_null() {
            return Ok(());
        }
        self.bytes += value.memory();
        check_size(self.bytes)?;
        self.values.push(value.clone());
        Ok(())
    }

    fn partial(&self) -> Value {
        Value::Null
    }

    fn merge(&mut self, _: &Value) -> Result<()> {
        Err(Error::internal(
            "ordered-set aggregates have no partial states",
        ))
    }

    fn finish(&self) -> Result<Value> {
        if self.values.is_empty() {
            return Ok(Value::Null);
        }
        if self.kind == Kind::Mode {
            return Ok(self.mode());
        }
        let Value::Array(fractions) = &self.fraction else {
            return self.at(&self.fraction);
        };
        let element = self.values.first().map_or(DataType::Text, natural_type);
        let items = fractions.items.iter().map(|p| self.at(p));
        Ok(Value::Array(Arc::new(Array {
            element,
            items: items.collect::<Result<_>>()?,
        })))
    }

    fn memory(&self) -> usize {
        size_of::<Self>() + self.bytes
    }
}

#[derive(Clone, Copy)]
enum Wanted {
    Rank,
    DenseRank,
    PercentRank,
    CumeDist,
}

/// Where the direct arguments would stand among the rows.
struct Hypothetical {
    wanted: Wanted,
    /// Descending and NULLs first, for each argument.
    ordering: Vec<(bool, bool)>,
    rows: u64,
    before: u64,
    /// Different ones among those before.
    steps: u64,
    alike: u64,
    last: Row,
}

impl Hypothetical {
    /// `ordering` has two letters an argument: `a` or `d`, then `f` or `l` for NULLs.
    fn new(wanted: Wanted, ordering: &str) -> Hypothetical {
        let pairs = ordering.as_bytes().chunks_exact(2);
        Hypothetical {
            wanted,
            ordering: pairs
                .map(|p| (p == b"df" || p == b"dl", p[1] == b'f'))
                .collect(),
            rows: 0,
            before: 0,
            steps: 0,
            alike: 0,
            last: Row::new(),
        }
    }

    fn compare(&self, a: &[Value], b: &[Value]) -> Ordering {
        for ((a, b), (descending, nulls_first)) in a.iter().zip(b).zip(&self.ordering) {
            let ordering = match (a.is_null(), b.is_null()) {
                (true, true) => Ordering::Equal,
                (null, other) if null != other => {
                    if null == *nulls_first {
                        Ordering::Less
                    } else {
                        Ordering::Greater
                    }
                }
                _ if *descending => order::compare(b, a),
                _ => order::compare(a, b),
            };
            if ordering.is_ne() {
                return ordering;
            }
        }
        Ordering::Equal
    }
}

impl Accumulator for Hypothetical {
    fn update(&mut self, args: &[Value]) -> Result<()> {
        let (direct, row) = args.split_at(args.len() / 2);
        self.rows += 1;
        match self.compare(row, direct) {
            Ordering::Less => {
                if self.before == 0 || self.compare(&self.last, row).is_ne() {
                    self.steps += 1;
                    self.last = row.to_vec();
                }
                self.before += 1;
            }
            Ordering::Equal => self.alike += 1,
            Ordering::Greater => {}
        }
        Ok(())
    }

    fn partial(&self) -> Value {
        Value::Null
    }

    fn merge(&mut self, _: &Value) -> Result<()> {
        Err(Error::internal(
            "ordered-set aggregates have no partial states",
        ))
    }

    fn finish(&self) -> Result<Value> {
        let whole = |n: u64| Value::Int8(i64::try_from(n).unwrap_or(i64::MAX));
        Ok(match self.wanted {
            Wanted::Rank => whole(self.before + 1),
            Wanted::DenseRank => whole(self.steps + 1),
            Wanted::PercentRank if self.rows == 0 => Value::Float8(0.0),
            Wanted::PercentRank => Value::Float8(self.before as f64 / self.rows as f64),
            Wanted::CumeDist => {
                let upto = self.before + self.alike + 1;
                Value::Float8(upto as f64 / (self.rows + 1) as f64)
            }
        })
    }

    fn memory(&self) -> usize {
        size_of::<Self>() + self.last.iter().map(Value::memory).sum::<usize>()
    }
}

//! What the database must hold: each client's tables after each of its transactions.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::rc::Rc;
use types::Value;

/// One client's tables, by name.
pub type World = BTreeMap<String, Content>;

#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Content {
    pub rows: BTreeMap<i32, Cells>,
    /// There is an index on `v`.
    pub by_v: bool,
    /// There is a unique index on `n`.
    pub by_n: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cells {
    pub v: String,
    pub n: i32,
    pub body: Rc<str>,
}

pub const COLUMNS: &str = "(id int primary key, v text, n int not null, body text)";

impl Cells {
    pub fn literal(&self, id: i32) -> String {
        format!("({id}, '{}', {}, '{}')", self.v, self.n, self.body)
    }

    pub fn line(&self, id: i32) -> String {
        format!("{id}\t{}\t{}\t{}\n", self.v, self.n, self.body)
    }

    /// From a row of `id, v, n, body`.
    pub fn read(row: &[Value]) -> Option<(i32, Cells)> {
        match row {
            [
                Value::Int4(id),
                Value::Text(v),
                Value::Int4(n),
                Value::Text(body),
            ] => Some((
                *id,
                Cells {
                    v: v.to_string(),
                    n: *n,
                    body: body.as_ref().into(),
                },
            )),
            _ => None,
        }
    }
}

/// Where two worlds differ, in few words.
pub fn difference(found: &World, expected: &World) -> String {
    let mut out = String::new();
    for (name, content) in expected {
        match found.get(name) {
            None => _ = write!(out, "table {name} is missing; "),
            Some(other) => differ(name, other, content, &mut out),
        }
    }
    for name in found.keys().filter(|n| !expected.contains_key(*n)) {
        _ = write!(out, "table {name} should not be there; ");
    }
    out
}

fn differ(name: &str, found: &Content, expected: &Content, out: &mut String) {
    if (found.by_v, found.by_n) != (expected.by_v, expected.by_n) {
        _ = write!(out, "{name} has other indexes; ");
    }
    for (id, cells) in &expected.rows {
        match found.rows.get(id) {
            None => _ = write!(out, "{name}.{id} is missing; "),
            Some(other) if other != cells => {
                _ = write!(
                    out,
                    "{name}.{id} is {},{},{} and not {},{},{}; ",
                    other.v,
                    other.n,
                    other.body.len(),
                    cells.v,
                    cells.n,
                    cells.body.len()
                );
            }
            Some(_) => {}
        }
    }
    for id in found
        .rows
        .keys()
        .filter(|id| !expected.rows.contains_key(id))
    {
        _ = write!(out, "{name}.{id} should not be there; ");
    }
}

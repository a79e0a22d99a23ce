//! Storage parameters: `WITH (fillfactor = 70, …)` of tables, indexes, views and columns.
//!
//! Owns: which there are, and their values. They are advice, checked and not kept. Source: PostgreSQL 15, `reloptions.c`.

use super::super::Binder;
use super::super::unsupported;
use crate::parse::define::{Parameter, Storage};
use engine::catalog::{ColumnDef, Relation as Found, Table};
use engine::plan::ddl::AlterTarget;
use sqlparser::ast::Ident;
use types::{Error, Result, SqlState};

/// What has parameters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Table,
    Index,
    View,
    Column,
}

enum Domain {
    Bool,
    Int(i64, i64),
    Real(f64, f64),
    /// Words, and how PostgreSQL lists them.
    Words(&'static [&'static str], &'static str),
}

const INT_MAX: i64 = i32::MAX as i64;

/// Of tables; those that a TOAST table has as well begin here.
const SHARED: [(&str, Domain); 19] = [
    ("autovacuum_enabled", Domain::Bool),
    ("autovacuum_vacuum_threshold", Domain::Int(0, INT_MAX)),
    (
        "autovacuum_vacuum_insert_threshold",
        Domain::Int(-1, INT_MAX),
    ),
    ("autovacuum_vacuum_cost_limit", Domain::Int(1, 10_000)),
    ("autovacuum_freeze_min_age", Domain::Int(0, 1_000_000_000)),
    (
        "autovacuum_freeze_max_age",
        Domain::Int(100_000, 2_000_000_000),
    ),
    ("autovacuum_freeze_table_age", Domain::Int(0, 2_000_000_000)),
    (
        "autovacuum_multixact_freeze_min_age",
        Domain::Int(0, 1_000_000_000),
    ),
    (
        "autovacuum_multixact_freeze_max_age",
        Domain::Int(10_000, 2_000_000_000),
    ),
    (
        "autovacuum_multixact_freeze_table_age",
        Domain::Int(0, 2_000_000_000),
    ),
    ("log_autovacuum_min_duration", Domain::Int(-1, INT_MAX)),
    ("autovacuum_vacuum_cost_delay", Domain::Real(-1.0, 100.0)),
    ("autovacuum_vacuum_scale_factor", Domain::Real(0.0, 100.0)),
    (
        "autovacuum_vacuum_insert_scale_factor",
        Domain::Real(-1.0, 100.0),
    ),
    ("vacuum_truncate", Domain::Bool),
    (
        "vacuum_index_cleanup",
        Domain::Words(
            &["auto", "on", "off", "true", "false", "yes", "no", "1", "0"],
            "\"on\", \"off\", and \"auto\"",
        ),
    ),
    // Of tables alone, from here on.
    ("autovacuum_analyze_threshold", Domain::Int(0, INT_MAX)),
    ("autovacuum_analyze_scale_factor", Domain::Real(0.0, 100.0)),
    ("fillfactor", Domain::Int(10, 100)),
];
const OF_TOAST: usize = 16;

const TABLE: [(&str, Domain); 3] = [
    ("toast_tuple_target", Domain::Int(128, 8_160)),
    ("parallel_workers", Domain::Int(0, 1_024)),
    ("user_catalog_table", Domain::Bool),
];
const INDEX: [(&str, Domain); 3] = [
    ("fillfactor", Domain::Int(10, 100)),
    ("deduplicate_items", Domain::Bool),
    ("vacuum_cleanup_index_scale_factor", Domain::Real(0.0, 1e10)),
];
const VIEW: [(&str, Domain); 3] = [
    ("security_barrier", Domain::Bool),
    ("security_invoker", Domain::Bool),
    (
        "check_option",
        Domain::Words(&["local", "cascaded"], "\"local\" and \"cascaded\""),
    ),
];
const COLUMN: [(&str, Domain); 2] = [
    ("n_distinct", Domain::Real(-1.0, f64::MAX)),
    ("n_distinct_inherited", Domain::Real(-1.0, f64::MAX)),
];

impl Binder<'_> {
    /// What ALTER TABLE says of a table's storage, or a column's.
    pub(super) fn storage(
        &self,
        table: &Table,
        column: Option<&ColumnDef>,
        s: &Storage,
    ) -> Result<()> {
        let kind = match column {
            Some(_) => Kind::Column,
            None => Kind::Table,
        };
        match s {
            Storage::Set(list) => set(list, kind),
            Storage::Reset(list) => reset(list),
            Storage::Identity(index) => self.replica_identity(table, index),
            Storage::Kept(word) => kept(word, column),
            Storage::Place(method, space) => kept_as_usual(method.as_deref(), space.as_deref()),
            Storage::Other(checked) => checked.clone(),
        }
    }

    /// USING INDEX: of whole rows, none of whose columns is NULL.
    fn replica_identity(&self, table: &Table, index: &Ident) -> Result<()> {
        let name = super::super::names::ident(index);
        let found = self.find(Some(&table.schema), &name);
        let wrong = |message| Err(Error::new(SqlState::WRONG_OBJECT_TYPE, message));
        let (of, found) = match found {
            None => {
                return Err(Error::new(
                    SqlState::UNDEFINED_OBJECT,
                    format!(
                        "index \"{name}\" for table \"{}\" does not exist",
                        table.name
                    ),
                ));
            }
            Some(Found::PrimaryKey(of)) => (of, None),
            Some(Found::Index(of, index)) => (of, Some(index)),
            Some(_) => return wrong(format!("\"{name}\" is not an index")),
        };
        if of.id != table.id {
            return wrong(format!(
                "\"{name}\" is not an index for table \"{}\"",
                table.name
            ));
        }
        let Some(index) = found else {
            return Ok(());
        };
        if !index.unique {
            return wrong(format!(
                "cannot use non-unique index \"{name}\" as replica identity"
            ));
        }
        let columns = match (index.columns(), index.predicate.is_some()) {
            (Some(columns), false) => Ok(columns),
            (None, _) => Err("expression"),
            (_, true) => Err("partial"),
        };
        let columns = columns.map_err(|what| {
            Error::unsupported(format!(
                "cannot use {what} index \"{name}\" as replica identity"
            ))
        })?;
        for column in columns
            .into_iter()
            .filter(|c| !table.primary_key.contains(c))
        {
            let column = table.columns.get(column);
            if let Some(column) = column.filter(|c| !c.not_null) {
                return wrong(format!(
                    "index \"{name}\" cannot be used as replica identity because column \"{}\" is nullable",
                    column.name
                ));
            }
        }
        Ok(())
    }
}

/// SET, or WITH of what is created.
pub(super) fn set(list: &[Parameter], kind: Kind) -> Result<()> {
    every(&list.iter().collect::<Vec<_>>(), kind)
}

/// WITH of CREATE TABLE, which may say OIDS = FALSE.
pub(super) fn of_table(list: &[Parameter]) -> Result<()> {
    let is_oids = |p: &&Parameter| p.name == "oids" && p.namespace.is_none();
    let off = |p: &Parameter| p.value.as_deref().and_then(boolean) == Some(false);
    let (oids, others): (Vec<&Parameter>, Vec<&Parameter>) = list.iter().partition(is_oids);
    if !oids.into_iter().all(off) {
        return Err(Error::unsupported(
            "tables declared WITH OIDS are not supported",
        ));
    }
    every(&others, Kind::Table)
}

fn every(list: &[&Parameter], kind: Kind) -> Result<()> {
    for (n, p) in list.iter().enumerate() {
        namespace(p, kind)?;
        let same = |q: &&Parameter| (&q.name, &q.namespace) == (&p.name, &p.namespace);
        if list.iter().skip(n + 1).any(same) {
            return Err(wrong(format!(
                "parameter \"{}\" specified more than once",
                p.name
            )));
        }
    }
    list.iter().try_for_each(|p| one(p, kind))
}

pub(super) fn reset(list: &[Parameter]) -> Result<()> {
    for p in list {
        if p.value.is_some() {
            return Err(Error::new(
                SqlState::SYNTAX_ERROR,
                "RESET must not include values for parameters",
            ));
        }
    }
    Ok(())
}

fn namespace(p: &Parameter, kind: Kind) -> Result<()> {
    match p.namespace.as_deref() {
        None => Ok(()),
        Some("toast") if kind == Kind::Table => Ok(()),
        Some(other) => Err(wrong(format!(
            "unrecognized parameter namespace \"{other}\""
        ))),
    }
}

fn one(p: &Parameter, kind: Kind) -> Result<()> {
    let toast = p.namespace.is_some();
    let known: &[&[(&str, Domain)]] = match kind {
        Kind::Table if toast => &[SHARED.split_at(OF_TOAST).0],
        Kind::Table => &[&SHARED, &TABLE],
        Kind::Index => &[&INDEX],
        Kind::View => &[&VIEW],
        Kind::Column => &[&COLUMN],
    };
    let mut known = known.iter().flat_map(|list| list.iter());
    match known.find(|(name, _)| *name == p.name) {
        Some((name, domain)) => domain.check(name, p.value.as_deref().unwrap_or("true")),
        None => Err(wrong(format!("unrecognized parameter \"{}\"", p.name))),
    }
}

impl Domain {
    fn check(&self, name: &str, value: &str) -> Result<()> {
        let invalid = |what: &str| {
            Err(wrong(format!(
                "invalid value for {what} option \"{name}\": {value}"
            )))
        };
        let outside = |low: String, high: String| {
            let message = format!("value {value} out of bounds for option \"{name}\"");
            let detail = format!("Valid values are between \"{low}\" and \"{high}\".");
            Err(wrong(message).with_detail(detail))
        };
        match self {
            Domain::Bool => match boolean(value) {
                Some(_) => Ok(()),
                None => invalid("boolean"),
            },
            Domain::Int(low, high) => match value.trim().parse::<f64>() {
                Ok(n) if n.is_finite() => {
                    let n = n.round_ties_even();
                    match n >= *low as f64 && n <= *high as f64 {
                        true => Ok(()),
                        false => outside(low.to_string(), high.to_string()),
                    }
                }
                _ => invalid("integer"),
            },
            Domain::Real(low, high) => match value.trim().parse::<f64>() {
                Ok(n) if n >= *low && n <= *high => Ok(()),
                Ok(n) if !n.is_nan() => outside(format!("{low:.6}"), format!("{high:.6}")),
                _ => invalid("floating point"),
            },
            Domain::Words(words, shown) => {
                match words.iter().any(|w| w.eq_ignore_ascii_case(value)) {
                    true => Ok(()),
                    false => Err(wrong(format!(
                        "invalid value for enum option \"{name}\": {value}"
                    ))
                    .with_detail(format!("Valid values are {shown}."))),
                }
            }
        }
    }
}

/// As `parse_bool`: any beginning of a word that tells it from the others.
fn boolean(value: &str) -> Option<bool> {
    let v = value.to_ascii_lowercase();
    let begins = |word: &str, least: usize| v.len() >= least && word.starts_with(&v);
    if begins("true", 1) || begins("yes", 1) || v == "on" || v == "1" {
        return Some(true);
    }
    let off = begins("false", 1) || begins("no", 1) || begins("off", 2) || v == "0";
    off.then_some(false)
}

/// SET STORAGE.
fn kept(word: &str, column: Option<&ColumnDef>) -> Result<()> {
    let lower = word.to_lowercase();
    if !["plain", "external", "extended", "main"].contains(&lower.as_str()) {
        return Err(wrong(format!("invalid storage type \"{word}\"")));
    }
    match column {
        Some(c) if c.ty.len() > 0 && lower != "plain" => Err(Error::unsupported(format!(
            "column data type {} can only have storage PLAIN",
            c.ty
        ))),
        _ => Ok(()),
    }
}

/// 42704 for another access method or tablespace than the one that there is.
pub(super) fn kept_as_usual(method: Option<&str>, tablespace: Option<&str>) -> Result<()> {
    let missing = |what: &str, name: &str| {
        let message = format!("{what} \"{name}\" does not exist");
        Err(Error::new(SqlState::UNDEFINED_OBJECT, message))
    };
    match (method, tablespace) {
        (Some("btree"), _) => Err(Error::new(
            SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
            "access method \"btree\" is not of type TABLE",
        )),
        (Some(method), _) if method != "heap" => missing("access method", method),
        (_, Some(other)) if other != "pg_default" => missing("tablespace", other),
        _ => Ok(()),
    }
}

/// Of ALTER INDEX.
pub(super) fn of_index(s: &Storage) -> Result<AlterTarget> {
    match s {
        Storage::Set(list) => set(list, Kind::Index)?,
        Storage::Reset(list) => reset(list)?,
        Storage::Place(None, space) => kept_as_usual(None, space.as_deref())?,
        _ => return Err(unsupported("this ALTER INDEX")),
    }
    Ok(AlterTarget::Nothing)
}

/// Of ALTER VIEW: what a view may be besides would be another view.
pub(super) fn of_view(s: &Storage) -> Result<AlterTarget> {
    match s {
        Storage::Set(list) => {
            set(list, Kind::View)?;
            Err(unsupported("ALTER VIEW … SET"))
        }
        Storage::Reset(list) => reset(list).map(|()| AlterTarget::Nothing),
        _ => Err(unsupported("this ALTER VIEW")),
    }
}

fn wrong(message: String) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

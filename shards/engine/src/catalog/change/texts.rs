//! The texts of definitions when a type or label in them is called otherwise.
//!
//! Owns: which literals and casts of a text are meant: those that its bound expression has as many of. Asked by: ALTER TYPE.
//! Never: changes what is computed; where text and expression do not count the same, the text stays. Views have marks instead
//! (`catalog::kept`); bodies of functions are their own texts, which say what they said, as in PostgreSQL.

use super::Change;
use crate::catalog::objects::{Function, Trigger, UserType, UserTypeKind};
use crate::catalog::qualify::{self, Kind, Word};
use crate::catalog::stored::Object;
use crate::catalog::{Catalog, PartOf, Table, TableKind};
use crate::exec::functions::{domains::cast_to_domain, quote_literal};
use crate::plan::Expr;
use std::sync::Arc;
use types::{DataType, EnumValue, Value};

/// What is called otherwise.
#[derive(Clone, Copy)]
pub(super) enum Renamed<'a> {
    Label(EnumValue, &'a str, &'a str),
    /// Of a type: oid, old name, and new name.
    Type(u32, &'a str, &'a str),
}

impl Renamed<'_> {
    /// The text anew, where the expression, or the trigger's table, says that a place is meant.
    fn text(&self, sql: &str, of: Of<'_>) -> Option<String> {
        let words = qualify::words(sql);
        let (places, new): (Vec<_>, String) = match self {
            Renamed::Label(value, from, to) => {
                let literal = quote_literal(from);
                let is_it = |(at, w): &(usize, &Word<'_>)| {
                    let means = match of {
                        Of::Expr(_) => true,
                        Of::Rows(catalog, table) => is_label(catalog, table, value.ty, &words, *at),
                    };
                    w.kind == Kind::Literal && w.text == literal && means
                };
                let found = words.iter().enumerate().filter(is_it);
                (found.map(|(_, w)| w).collect(), quote_literal(to))
            }
            Renamed::Type(_, from, to) => {
                let pairs = words.windows(2);
                let is_it = |pair: &&[Word<'_>]| {
                    pair[0].is("::")
                        && pair[1].kind == Kind::Name
                        && qualify::folded(pair[1].text) == **from
                };
                let found = pairs.filter(is_it).filter_map(|pair| pair.get(1));
                (
                    found.collect(),
                    crate::exec::functions::quote_identifier(to).into_owned(),
                )
            }
        };
        let meant = match of {
            Of::Expr(e) => self.count(e) >= places.len(),
            Of::Rows(..) => true,
        };
        if places.is_empty() || !meant {
            return None;
        }
        let (mut out, mut done) = (String::new(), 0);
        for place in places {
            out.push_str(&sql[done..place.at]);
            out.push_str(&new);
            done = place.at + place.text.len();
        }
        out.push_str(&sql[done..]);
        Some(out)
    }

    fn count(&self, e: &Expr) -> usize {
        let mut count = 0;
        e.each(&mut |e| {
            count += usize::from(match self {
                Renamed::Label(value, ..) => {
                    matches!(e, Expr::Const(Value::Enum(v), _) if v == value)
                }
                Renamed::Type(oid, ..) => {
                    e.ty().user_oid() == Some(*oid) || cast_to_domain(e) == Some(*oid)
                }
            });
        });
        count
    }

    fn ty(&self) -> u32 {
        match self {
            Renamed::Label(value, ..) => value.ty,
            Renamed::Type(oid, ..) => *oid,
        }
    }

    fn apply(&self, sql: &mut String, expr: &Expr, changed: &mut bool) {
        if let Some(text) = self.text(sql, Of::Expr(expr)) {
            *sql = text;
            *changed = true;
        }
    }

    fn table(&self, table: &mut Table) -> bool {
        let mut changed = false;
        for check in &mut table.checks {
            self.apply(&mut check.sql, &check.expr, &mut changed);
        }
        for column in &mut table.columns {
            for e in column.default.iter_mut().chain(&mut column.generated) {
                self.apply(&mut e.sql, &e.expr, &mut changed);
            }
        }
        for index in &mut table.indexes {
            let mut next = (**index).clone();
            let mut of_index = false;
            for part in &mut next.parts {
                if let PartOf::Expr(e) = &mut part.of {
                    self.apply(&mut e.sql, &e.expr, &mut of_index);
                }
            }
            if let Some(e) = &mut next.predicate {
                self.apply(&mut e.sql, &e.expr, &mut of_index);
            }
            if of_index {
                *index = Arc::new(next);
                changed = true;
            }
        }
        changed
    }

    fn domain(&self, ty: &mut UserType) -> bool {
        let mut changed = false;
        if let UserTypeKind::Domain {
            default, checks, ..
        } = &mut ty.kind
        {
            if let Some(e) = default {
                self.apply(&mut e.sql, &e.expr, &mut changed);
            }
            for check in checks {
                self.apply(&mut check.sql, &check.expr, &mut changed);
            }
        }
        changed
    }

    fn function(&self, function: &mut Function) -> bool {
        let mut changed = false;
        for e in function.args.iter_mut().filter_map(|a| a.default.as_mut()) {
            self.apply(&mut e.sql, &e.expr, &mut changed);
        }
        changed
    }

    /// Its condition is kept as text alone.
    fn trigger(&self, trigger: &mut Trigger, catalog: &Catalog) -> bool {
        let table = catalog.tables.get(&trigger.table);
        let when = trigger.when.as_mut();
        let when = when.filter(|w| w.uses.contains(&self.ty()));
        let (Some(table), Some(when)) = (table, when) else {
            return false;
        };
        match self.text(&when.sql, Of::Rows(catalog, table)) {
            Some(text) => {
                when.sql = text;
                true
            }
            None => false,
        }
    }
}

/// What says which places of a text are meant.
#[derive(Clone, Copy)]
enum Of<'a> {
    /// What it is bound to.
    Expr(&'a Expr),
    /// It is over rows of this table, and bound each time.
    Rows(&'a Catalog, &'a Table),
}

/// A literal that is cast to the enum, or compared with a column of it.
fn is_label(catalog: &Catalog, table: &Table, ty: u32, words: &[Word<'_>], at: usize) -> bool {
    let name = |at: usize| {
        let word = words.get(at).filter(|w| w.kind == Kind::Name);
        word.map(|w| qualify::folded(w.text))
    };
    if words.get(at + 1).is_some_and(|w| w.is("::")) {
        let own = catalog.name_of_type(ty).map(|(_, name)| name);
        return name(at + 2).as_deref() == own;
    }
    let is_sign = |w: &Word<'_>| ["=", "<", ">", "!"].iter().any(|sign| w.is(sign));
    let signs = words[..at].iter().rev().take_while(|w| is_sign(w)).count();
    let column = at.checked_sub(signs + 1).and_then(name);
    let is_it = |name: &String| {
        let found = table.column(name).and_then(|at| table.columns.get(at));
        found.is_some_and(|c| c.ty == DataType::Enum(ty))
    };
    let qualified = at.checked_sub(signs + 2).and_then(|at| words.get(at));
    signs > 0 && qualified.is_some_and(|w| w.is(".")) && column.is_some_and(|c| is_it(&c))
}

impl Change {
    /// All definitions that have it in their text.
    pub(super) fn rename_in_texts(&mut self, what: Renamed<'_>) {
        let tables: Vec<Arc<Table>> = self.catalog.tables.values().cloned().collect();
        for table in tables {
            let mut next = Table::clone(&table);
            if !matches!(table.kind, TableKind::Materialized { .. }) && what.table(&mut next) {
                self.touched(Object::Table(next.id));
                self.catalog.tables.insert(next.id, Arc::new(next));
            }
        }
        let types: Vec<Arc<UserType>> = self.catalog.types.values().cloned().collect();
        for ty in types {
            let mut next = UserType::clone(&ty);
            if what.domain(&mut next) {
                self.put_type(next);
            }
        }
        let functions: Vec<Arc<Function>> = self.catalog.functions.values().cloned().collect();
        for function in functions {
            let mut next = Function::clone(&function);
            if what.function(&mut next) {
                self.touched(Object::Function(next.oid));
                self.catalog.functions.insert(next.oid, Arc::new(next));
            }
        }
        let triggers: Vec<Arc<Trigger>> = self.catalog.triggers.values().cloned().collect();
        for trigger in triggers {
            let mut next = Trigger::clone(&trigger);
            if what.trigger(&mut next, &self.catalog) {
                self.touched(Object::Trigger(next.oid));
                let key = (next.table, next.name.clone());
                self.catalog.triggers.insert(key, Arc::new(next));
            }
        }
    }
}

//! Triggers: which a table has, in the order they fire, and how they are shown.
//!
//! Owns: the order (by name, as PostgreSQL's), and `pg_get_triggerdef`. Asked by: the binder, which lets a change of a table with
//! triggers go where they can be called; the router, which calls them; `pg_trigger`. Never: reads a function's body.
//! A table without triggers pays one look-up in a map. Source: PostgreSQL 15, `ruleutils.c` (`pg_get_triggerdef_worker`).

use super::objects::{Firing, Function, Language, Trigger};
use super::{Catalog, Table, path};
use crate::exec::functions::quote_identifier;
use std::ops::Bound;
use std::sync::Arc;
use types::TableId;

/// What happens to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Insert,
    Update,
    Delete,
}

impl Event {
    /// TG_OP.
    pub fn name(self) -> &'static str {
        match self {
            Event::Insert => "INSERT",
            Event::Update => "UPDATE",
            Event::Delete => "DELETE",
        }
    }
}

impl Trigger {
    pub fn is_of(&self, event: Event) -> bool {
        match event {
            Event::Insert => self.insert,
            Event::Update => self.update,
            Event::Delete => self.delete,
        }
    }

    pub fn is_enabled(&self) -> bool {
        matches!(self.firing, Firing::Origin | Firing::Always)
    }

    /// The ordinals of its columns: UPDATE OF.
    pub fn ordinals(&self, table: &Table) -> Vec<usize> {
        let numbers = self.columns.iter();
        numbers.filter_map(|n| table.ordinal(*n)).collect()
    }

    /// Its events, in PostgreSQL's order.
    pub fn events(&self) -> impl Iterator<Item = Event> {
        let all = [Event::Insert, Event::Delete, Event::Update];
        all.into_iter().filter(|e| self.is_of(*e))
    }
}

impl Function {
    /// It can be called by triggers, and by nothing else.
    pub fn is_of_triggers(&self) -> bool {
        self.language == Language::OfTriggers
    }

    /// It is in PL/pgSQL, whatever calls it.
    pub fn is_program(&self) -> bool {
        match self.language {
            Language::OfTriggers | Language::PlPgSql | Language::PlPgSqlProcedure => true,
            Language::Sql | Language::SqlProcedure | Language::BuiltIn => false,
        }
    }

    /// CALL calls it, and nothing else.
    pub fn is_procedure(&self) -> bool {
        matches!(
            self.language,
            Language::SqlProcedure | Language::PlPgSqlProcedure
        )
    }
}

impl Catalog {
    /// In the order that they fire.
    pub fn triggers_of(&self, table: TableId) -> impl Iterator<Item = &Arc<Trigger>> {
        let first = Bound::Included((table, String::new()));
        let end = Bound::Excluded((TableId(table.0.saturating_add(1)), String::new()));
        self.triggers.range((first, end)).map(|(_, t)| t)
    }

    /// Rows of the event are looked at one by one before they are written: by triggers, or by checks that call functions.
    pub fn fires_on(&self, table: TableId, event: Event) -> bool {
        let fires = |t: &Arc<Trigger>| t.is_enabled() && t.is_of(event) && !t.statement;
        !self.triggers.is_empty() && self.triggers_of(table).any(fires)
            || event != Event::Delete && self.calls_in_checks(table)
    }

    fn calls_in_checks(&self, table: TableId) -> bool {
        self.table(table)
            .is_some_and(|t| t.checks.iter().any(|c| c.calls()))
    }

    /// Triggers are called before or after a statement of the event.
    pub fn fires_around(&self, table: TableId, event: Event) -> bool {
        let fires = |t: &Arc<Trigger>| t.is_enabled() && t.is_of(event) && t.statement;
        !self.triggers.is_empty() && self.triggers_of(table).any(fires)
    }

    /// A statement of the event is more than its rows.
    pub fn acts_on(&self, table: TableId, event: Event) -> bool {
        self.fires_on(table, event) || self.fires_around(table, event)
    }

    pub fn has_triggers(&self, table: TableId) -> bool {
        !self.triggers.is_empty() && self.triggers_of(table).next().is_some()
    }

    pub fn trigger(&self, oid: u32) -> Option<&Arc<Trigger>> {
        self.triggers.values().find(|t| t.oid == oid)
    }

    pub fn trigger_named(&self, table: TableId, name: &str) -> Option<&Arc<Trigger>> {
        self.triggers.get(&(table, name.to_owned()))
    }

    /// EXECUTE FUNCTION and what follows.
    pub fn trigger_action(&self, t: &Trigger) -> String {
        let name = match self.functions.get(&t.function) {
            Some(f) => path::shown(&f.schema, &f.name),
            None => t.function.to_string(),
        };
        let quoted = |a: &String| format!("'{}'", a.replace('\'', "''"));
        let args: Vec<String> = t.args.iter().map(quoted).collect();
        format!("EXECUTE FUNCTION {name}({})", args.join(", "))
    }

    /// A statement that makes it again. `pretty`: as psql shows it.
    pub fn trigger_definition(&self, t: &Trigger, pretty: bool) -> String {
        let mut out = format!("CREATE TRIGGER {} ", quote_identifier(&t.name));
        out.push_str(if t.before { "BEFORE " } else { "AFTER " });
        let table = self.table(t.table);
        for (n, event) in t.events().enumerate() {
            if n > 0 {
                out.push_str(" OR ");
            }
            out.push_str(event.name());
            if event == Event::Update && !t.columns.is_empty() {
                let name = |n: &i16| {
                    let column = table.and_then(|t| t.columns.get(t.ordinal(*n)?));
                    column.map_or_else(String::new, |c| quote_identifier(&c.name).into_owned())
                };
                let names: Vec<String> = t.columns.iter().map(name).collect();
                out.push_str(" OF ");
                out.push_str(&names.join(", "));
            }
        }
        let on = match table {
            Some(table) if pretty => path::shown(&table.schema, &table.name),
            Some(table) => format!(
                "{}.{}",
                quote_identifier(&table.schema),
                quote_identifier(&table.name)
            ),
            None => t.table.to_string(),
        };
        let each = if t.statement { "STATEMENT" } else { "ROW" };
        out.push_str(&format!(" ON {on} FOR EACH {each} "));
        if let Some(when) = &t.when {
            let (open, close) = if pretty { ("", "") } else { ("(", ")") };
            out.push_str(&format!("WHEN {open}{}{close} ", when.sql));
        }
        out.push_str(&self.trigger_action(t));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trigger(table: u32, name: &str) -> ((TableId, String), Arc<Trigger>) {
        let trigger = Trigger {
            oid: table * 10,
            table: TableId(table),
            name: name.into(),
            function: 1,
            before: true,
            insert: true,
            update: true,
            delete: false,
            columns: Vec::new(),
            when: None,
            args: vec!["it's".into()],
            firing: Firing::Origin,
            statement: false,
        };
        ((trigger.table, trigger.name.clone()), Arc::new(trigger))
    }

    #[test]
    fn triggers_are_found_by_their_table_alone_and_in_the_order_of_their_names() {
        let triggers = [
            trigger(7, "b"),
            trigger(8, "a"),
            trigger(7, "B"),
            trigger(6, "z"),
        ];
        let catalog = Catalog {
            triggers: triggers.into_iter().collect(),
            ..Catalog::default()
        };
        let names: Vec<&str> = catalog
            .triggers_of(TableId(7))
            .map(|t| t.name.as_str())
            .collect();
        assert_eq!(names, ["B", "b"]);
        assert!(catalog.fires_on(TableId(7), Event::Update));
        assert!(!catalog.fires_on(TableId(7), Event::Delete));
        assert!(!catalog.has_triggers(TableId(9)));
        let b = catalog.trigger_named(TableId(7), "b").unwrap();
        assert_eq!(
            catalog.trigger_definition(b, true),
            "CREATE TRIGGER b BEFORE INSERT OR UPDATE ON 7 FOR EACH ROW EXECUTE FUNCTION 1('it''s')"
        );
    }
}

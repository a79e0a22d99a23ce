//! CREATE, ALTER and DROP TRIGGER, and ENABLE and DISABLE.
//!
//! Owns: which names are taken. A change of a table's triggers is a change of its definition: who planned a statement before it plans
//! anew, and writers wait until it is there. Source: PostgreSQL 15, `trigger.c` (`CreateTriggerFiringOn`, `renametrig`).

use super::Change;
use crate::catalog::stored::Object;
use crate::catalog::system::class_oid;
use crate::catalog::{Firing, Table, Trigger};
use crate::plan::Ddl;
use crate::plan::ddl::TableAction;
use crate::shard::call::stale;
use std::sync::Arc;
use types::{Error, Result, SqlState, TableId};

impl Change {
    /// CREATE, ALTER and DROP TRIGGER.
    pub(super) fn of_trigger(&mut self, ddl: &Ddl) -> Result<()> {
        match ddl {
            Ddl::CreateTrigger {
                trigger,
                since,
                or_replace,
            } => self.create_trigger(trigger, *since, *or_replace),
            Ddl::RenameTrigger { table, name, to } => self.rename_trigger(*table, name, to),
            Ddl::DropTrigger {
                table,
                name,
                if_exists,
            } => self.drop_trigger(*table, name, *if_exists),
            Ddl::NoTrigger { notice } => {
                self.tag = "DROP TRIGGER";
                self.skip(notice.clone());
                Ok(())
            }
            _ => Err(Error::internal("not about a trigger")),
        }
    }

    fn create_trigger(&mut self, new: &Trigger, since: u64, or_replace: bool) -> Result<()> {
        self.tag = "CREATE TRIGGER";
        let table = self.table(new.table)?;
        if table.since != since {
            return Err(stale(&table));
        }
        if !self.catalog.functions.contains_key(&new.function) {
            return Err(Error::new(
                SqlState::UNDEFINED_FUNCTION,
                format!("function with OID {} does not exist", new.function),
            ));
        }
        let mut next = new.clone();
        next.oid = match self.catalog.trigger_named(new.table, &new.name) {
            Some(_) if !or_replace => return Err(taken(&new.name, &table)),
            Some(old) => old.oid,
            None => self.oid(),
        };
        self.put_trigger(next);
        self.renew(&table);
        Ok(())
    }

    fn rename_trigger(&mut self, id: TableId, name: &str, to: &str) -> Result<()> {
        self.tag = "ALTER TRIGGER";
        let table = self.table(id)?;
        let old = self.existing_trigger(&table, name)?;
        if self.catalog.trigger_named(id, to).is_some() {
            return Err(taken(to, &table));
        }
        self.catalog.triggers.remove(&(id, name.to_owned()));
        self.put_trigger(Trigger {
            name: to.to_owned(),
            ..Trigger::clone(&old)
        });
        self.renew(&table);
        Ok(())
    }

    fn drop_trigger(&mut self, id: TableId, name: &str, if_exists: bool) -> Result<()> {
        self.tag = "DROP TRIGGER";
        let table = self.table(id)?;
        if if_exists && self.catalog.trigger_named(id, name).is_none() {
            self.skip(format!(
                "trigger \"{name}\" for relation \"{}\" does not exist, skipping",
                table.name
            ));
            return Ok(());
        }
        self.existing_trigger(&table, name)?;
        self.remove_trigger(id, name);
        Ok(())
    }

    /// ENABLE and DISABLE TRIGGER.
    pub(super) fn fire_triggers(&mut self, table: &mut Table, action: &TableAction) -> Result<()> {
        let TableAction::FireTriggers { name, firing, keys } = action else {
            return Err(Error::internal("not about triggers"));
        };
        if *keys {
            table.keys_off = matches!(firing, Firing::Disabled | Firing::Replica);
            self.touched(Object::KeysOff(table.id));
        }
        let which: Vec<Arc<Trigger>> = match name {
            Some(name) => vec![self.existing_trigger(table, name)?],
            None => self.catalog.triggers_of(table.id).cloned().collect(),
        };
        for trigger in which {
            self.put_trigger(Trigger {
                firing: *firing,
                ..Trigger::clone(&trigger)
            });
        }
        Ok(())
    }

    /// A column has another name: the conditions have it too.
    pub(super) fn reword_triggers(&mut self, action: &TableAction) {
        let TableAction::RenameColumn { triggers, .. } = action else {
            return;
        };
        for (oid, when) in triggers {
            if let Some(old) = self.catalog.trigger(*oid).cloned() {
                self.put_trigger(Trigger {
                    when: Some(when.clone()),
                    ..Trigger::clone(&old)
                });
            }
        }
    }

    fn put_trigger(&mut self, trigger: Trigger) {
        self.touched(Object::Trigger(trigger.oid));
        let key = (trigger.table, trigger.name.clone());
        self.catalog.triggers.insert(key, Arc::new(trigger));
    }

    pub(super) fn remove_trigger(&mut self, table: TableId, name: &str) {
        let gone = self.catalog.triggers.remove(&(table, name.to_owned()));
        let Some(gone) = gone else { return };
        self.touched(Object::Trigger(gone.oid));
        self.forget_comments(class_oid("pg_trigger"), gone.oid);
        if let Ok(table) = self.table(table) {
            self.renew(&table);
        }
    }

    /// It has another definition from now on.
    fn renew(&mut self, table: &Arc<Table>) {
        self.locks.push(table.id);
        self.put(Table::clone(table));
    }

    pub(super) fn existing_trigger(&self, table: &Table, name: &str) -> Result<Arc<Trigger>> {
        let found = self.catalog.trigger_named(table.id, name).cloned();
        found.ok_or_else(|| {
            Error::new(
                SqlState::UNDEFINED_OBJECT,
                format!(
                    "trigger \"{name}\" for table \"{}\" does not exist",
                    table.name
                ),
            )
        })
    }
}

fn taken(name: &str, table: &Table) -> Error {
    Error::new(
        SqlState::DUPLICATE_OBJECT,
        format!(
            "trigger \"{name}\" for relation \"{}\" already exists",
            table.name
        ),
    )
}

//! ALTER TABLE: several actions, one after the other, and then what they mean for the rows, once.
//!
//! Owns: the choice between a change of the catalog alone, a look at the rows, and a rewrite. Adding a column with a constant
//! (or without) and dropping one touch no row. Source: PostgreSQL 15, `tablecmds.c`.

use super::columns::{no_constraint, take_constraint};
use super::graph::Node;
use super::{Change, Work, taken};
use crate::catalog::{
    Check, ColumnDef, ForeignKey, Index, Relation, Sequence, Table, TableKind, kept,
};
use crate::exec::Context;
use crate::exec::eval::{self, Env, columns_used};
use crate::plan::Expr;
use crate::plan::ddl::{Alter, AlterTarget, Key, ObjectKind, OwnedSequence, TableAction};
use crate::shard::call::stale;
use std::sync::Arc;
use types::{Error, Result, SqlState, TableId, limits};

/// A table that is being changed.
pub(super) struct Draft {
    old: Arc<Table>,
    pub(super) table: Table,
    /// Each present column over the row as it is stored now.
    pub(super) row: Vec<Expr>,
    pub(super) rewrite: bool,
    /// Names of those that rows are looked at for: what they say changes with later actions.
    checks: Vec<String>,
    /// Numbers of columns whose rows are looked at.
    not_null: Vec<i16>,
    /// New ones, to be filled.
    indexes: Vec<TableId>,
    /// Oids of foreign keys that rows are held to from now on.
    foreign: Vec<u32>,
}

impl Change {
    pub(super) fn alter(&mut self, alter: &Alter, ctx: &Context) -> Result<()> {
        self.tag = match alter.kind {
            ObjectKind::Table => "ALTER TABLE",
            ObjectKind::View => "ALTER VIEW",
            ObjectKind::MaterializedView => "ALTER MATERIALIZED VIEW",
            ObjectKind::Sequence => "ALTER SEQUENCE",
            ObjectKind::Index => "ALTER INDEX",
            ObjectKind::Schema => "ALTER SCHEMA",
            ObjectKind::Type => "ALTER TYPE",
            ObjectKind::Domain => "ALTER DOMAIN",
            ObjectKind::Function => "ALTER FUNCTION",
            ObjectKind::Procedure => "ALTER PROCEDURE",
            ObjectKind::Extension => "ALTER EXTENSION",
        };
        self.notices.extend(alter.notices.iter().cloned());
        match &alter.target {
            AlterTarget::Nothing => Ok(()),
            AlterTarget::Table { id, since, actions } => {
                self.alter_table(*id, *since, actions, ctx)
            }
            AlterTarget::View { id, since, action } => self.alter_view(*id, *since, action),
            AlterTarget::Sequence { id, action } => self.alter_sequence(*id, action),
            AlterTarget::Index { id, to } => self.rename_index(*id, to),
            AlterTarget::Function { oid, action } => self.alter_function(*oid, action),
            AlterTarget::Type { oid, action } => self.alter_type(*oid, action),
            AlterTarget::Schema { from, to } => self.rename_schema(from, to),
        }
    }

    fn alter_table(
        &mut self,
        id: TableId,
        since: u64,
        actions: &[TableAction],
        ctx: &Context,
    ) -> Result<()> {
        let old = self.table(id)?;
        if old.since != since {
            return Err(stale(&old));
        }
        if actions.is_empty() {
            return Ok(());
        }
        self.locks.push(id);
        let row = old.columns.iter().enumerate();
        let row = row.map(|(at, c)| Expr::Column(at, c.ty)).collect();
        let mut draft = Draft {
            table: Table::clone(&old),
            old,
            row,
            rewrite: false,
            checks: Vec::new(),
            not_null: Vec::new(),
            indexes: Vec::new(),
            foreign: Vec::new(),
        };
        for action in actions {
            self.action(&mut draft, action, ctx)?;
            // What the next action finds in the catalog.
            self.put(draft.table.clone());
        }
        let foreign = std::mem::take(&mut draft.foreign);
        self.settle(draft);
        let refer = foreign
            .into_iter()
            .map(|key| Work::Refer { table: id, key });
        self.work.extend(refer);
        Ok(())
    }

    fn action(&mut self, d: &mut Draft, action: &TableAction, ctx: &Context) -> Result<()> {
        match action {
            TableAction::AddColumn { column, sequence } => {
                self.add_column(d, column, sequence.as_deref(), ctx)
            }
            TableAction::DropColumn { number, cascade } => self.drop_column(d, *number, *cascade),
            TableAction::RenameColumn { .. } => self.rename_column(d, action),
            TableAction::FireTriggers { .. } => self.fire_triggers(&mut d.table, action),
            TableAction::SetType { .. } => self.set_type(d, action),
            TableAction::SetDefault { number, default } => {
                column(d, *number)?.default.clone_from(default);
                Ok(())
            }
            TableAction::SetNotNull { number, on } => set_not_null(d, *number, *on),
            TableAction::AddIdentity { number, sequence } => {
                let at = ordinal(d, *number)?;
                let owned = OwnedSequence {
                    column: at,
                    ..OwnedSequence::clone(sequence)
                };
                self.own_sequence(&mut d.table, &owned)
            }
            TableAction::SetIdentity {
                number,
                always,
                sequence,
                restart,
            } => self.set_identity(d, *number, *always, sequence.as_deref(), *restart),
            TableAction::DropIdentity { number } => self.drop_identity(d, *number),
            TableAction::DropExpression { number } => {
                column(d, *number)?.generated = None;
                Ok(())
            }
            TableAction::AddCheck { check, validate } => add_check(d, check, *validate),
            TableAction::AddPrimaryKey(key) => self.add_primary_key(d, key),
            TableAction::AddForeignKey(spec) => {
                let oid = self.add_foreign_key(&mut d.table, spec)?;
                if !spec.not_valid {
                    d.foreign.push(oid);
                }
                Ok(())
            }
            TableAction::Validate { name } => validate(d, name),
            TableAction::SetTiming {
                name,
                deferrable,
                initially_deferred,
            } => {
                let key = foreign_key(d, name)?;
                key.deferrable = *deferrable;
                key.initially_deferred = *initially_deferred;
                Ok(())
            }
            TableAction::AddUnique(key) => self.add_unique(d, key),
            TableAction::UseIndex { index, name, key } => {
                self.use_index(d, (*index, name), key.as_ref())
            }
            TableAction::DropConstraint { name, cascade } => {
                self.drop_constraint(d, name, *cascade)
            }
            TableAction::RenameConstraint { from, to } => self.rename_constraint(d, from, to),
            TableAction::RenameTo(name) => self.rename_to(d, name),
            TableAction::SetSchema(schema) => self.set_schema(d, schema),
        }
    }

    fn rename_column(&mut self, d: &mut Draft, action: &TableAction) -> Result<()> {
        self.reword_triggers(action);
        rename_column(d, action)
    }

    fn drop_identity(&mut self, d: &mut Draft, number: i16) -> Result<()> {
        let column = column(d, number)?;
        if let Some(identity) = column.identity.take() {
            self.put(d.table.clone());
            self.drop_nodes(vec![Node::Sequence(identity.sequence)], false)?;
        }
        Ok(())
    }

    fn rename_to(&mut self, d: &mut Draft, name: &str) -> Result<()> {
        if self.is_taken(&d.table.schema, name) {
            return Err(taken(name));
        }
        d.table.name = name.to_owned();
        Ok(())
    }

    fn add_column(
        &mut self,
        d: &mut Draft,
        def: &ColumnDef,
        sequence: Option<&OwnedSequence>,
        ctx: &Context,
    ) -> Result<()> {
        let number = d.table.next_number();
        if usize::from(number.unsigned_abs()) > limits::COLUMNS_MAX || number == i16::MAX {
            return Err(Error::new(
                SqlState::TOO_MANY_COLUMNS,
                format!("tables can have at most {} columns", limits::COLUMNS_MAX),
            ));
        }
        let mut column = def.clone();
        column.number = number;
        d.table.columns.push(column);
        let at = d.table.columns.len() - 1;
        if let Some(sequence) = sequence {
            let owned = OwnedSequence {
                column: at,
                ..sequence.clone()
            };
            self.own_sequence(&mut d.table, &owned)?;
        }
        let column = &mut d.table.columns[at];
        let value = match (&column.generated, &column.identity, &column.default) {
            (Some(generated), ..) => over(&generated.expr, &d.row),
            (None, Some(identity), _) => {
                super::sequence::identity_value(identity.sequence, column.ty)
            }
            (None, None, Some(default)) => default.expr.clone(),
            (None, None, None) => self.catalog.implied_value(column),
        };
        // A rewrite holds each row to the domain; an empty table has none.
        let held = self.catalog.is_constrained(column.declared);
        let constant = column.generated.is_none() && !value.is_volatile() && !held;
        if constant {
            let env = Env { ctx, outer: &[] };
            let known = eval::eval(&value, &[], &env)?;
            if column.not_null && known.is_null() {
                d.not_null.push(number);
            }
            d.row.push(Expr::Const(known.clone(), column.ty));
            column.missing = (!known.is_null()).then_some(known);
        } else {
            d.row.push(value);
            d.rewrite = true;
        }
        Ok(())
    }

    fn drop_column(&mut self, d: &mut Draft, number: i16, cascade: bool) -> Result<()> {
        ordinal(d, number)?;
        let id = d.table.id;
        // What else goes with it is taken out of the catalog's copy, by the rules of DROP; rows are the draft's to order.
        let work = std::mem::take(&mut self.work);
        self.drop_nodes(vec![Node::Column(id, number)], cascade)?;
        self.work = work;
        let left = self.table(id)?;
        let before = d.table.clone();
        d.table = Table::clone(&left);
        if before.has_key() && !d.table.has_key() {
            d.rewrite = true;
        }
        // Columns that were generated from it went too.
        let kept: Vec<Expr> = before
            .columns
            .iter()
            .zip(d.row.drain(..))
            .filter(|(c, _)| d.table.ordinal(c.number).is_some())
            .map(|(_, e)| e)
            .collect();
        d.row = kept;
        Ok(())
    }

    fn set_identity(
        &mut self,
        d: &mut Draft,
        number: i16,
        always: Option<bool>,
        sequence: Option<&Sequence>,
        restart: Option<i64>,
    ) -> Result<()> {
        let name = d.table.name.clone();
        let column = column(d, number)?;
        let shown = column.name.clone();
        let Some(identity) = &mut column.identity else {
            return Err(Error::new(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("column \"{shown}\" of relation \"{name}\" is not an identity column"),
            ));
        };
        if let Some(always) = always {
            identity.always = always;
        }
        let id = identity.sequence;
        let action = match (sequence, self.catalog.sequences.get(&id)) {
            (Some(sequence), _) => sequence.clone(),
            (None, Some(now)) => Sequence::clone(now),
            (None, None) => return Ok(()),
        };
        let action = crate::plan::ddl::SequenceAction::Set {
            sequence: Box::new(action),
            restart,
        };
        self.alter_sequence(id, &action)
    }

    fn add_primary_key(&mut self, d: &mut Draft, key: &Key) -> Result<()> {
        if d.table.has_key() {
            return Err(Error::new(
                SqlState::INVALID_TABLE_DEFINITION,
                format!(
                    "multiple primary keys for table \"{}\" are not allowed",
                    d.table.name
                ),
            ));
        }
        self.set_primary_key(&mut d.table, key)?;
        for at in &key.columns {
            if let Some(column) = d.table.columns.get_mut(*at) {
                column.not_null = true;
            }
        }
        d.rewrite = true;
        Ok(())
    }

    fn add_unique(&mut self, d: &mut Draft, key: &Key) -> Result<()> {
        let index = self.unique_index(&d.table, key)?;
        d.indexes.push(index.id);
        d.table.indexes.push(Arc::new(index));
        Ok(())
    }

    /// An index becomes a constraint, or gives way to the primary key over its columns.
    fn use_index(
        &mut self,
        d: &mut Draft,
        (index, name): (TableId, &str),
        key: Option<&Key>,
    ) -> Result<()> {
        let mut indexes = d.table.indexes.iter();
        let at = indexes.position(|i| i.id == index);
        let at = at.ok_or_else(|| Error::internal("the index of a constraint is gone"))?;
        if let Some(key) = key {
            let index = d.table.indexes.remove(at);
            self.dropped.push(index.tree);
            self.forget_comments(crate::catalog::system::class_oid("pg_class"), index.id.0);
            self.put(d.table.clone());
            return self.add_primary_key(d, key);
        }
        let index = Arc::make_mut(&mut d.table.indexes[at]);
        if index.name != name && self.is_taken(&d.table.schema, name) {
            return Err(taken(name));
        }
        index.constraint = true;
        name.clone_into(&mut index.name);
        Ok(())
    }

    fn drop_constraint(&mut self, d: &mut Draft, name: &str, cascade: bool) -> Result<()> {
        if !Change::is_constraint(&d.table, name) {
            return Err(no_constraint(&d.table, name));
        }
        let id = d.table.id;
        let node = Node::Constraint(id, name.to_owned());
        let dependents = super::graph::dependents(&self.catalog, &node);
        if !dependents.is_empty() {
            // Only those that depend on it: the constraint itself is the draft's.
            let roots = dependents.into_iter().map(|(node, _)| node).collect();
            if !cascade {
                return self.drop_nodes(vec![node], false);
            }
            self.drop_nodes(roots, true)?;
        }
        let had_key = d.table.has_key();
        if let Some(trees) = take_constraint(&mut d.table, name) {
            self.dropped.extend(trees);
        }
        d.checks.retain(|c| c != name);
        if had_key && !d.table.has_key() {
            d.rewrite = true;
        }
        Ok(())
    }

    fn rename_constraint(&mut self, d: &mut Draft, from: &str, to: &str) -> Result<()> {
        if !Change::is_constraint(&d.table, from) {
            return Err(Error::new(
                SqlState::UNDEFINED_OBJECT,
                format!(
                    "constraint \"{from}\" for table \"{}\" does not exist",
                    d.table.name
                ),
            ));
        }
        if Change::is_constraint(&d.table, to) {
            return Err(Error::new(
                SqlState::DUPLICATE_OBJECT,
                format!(
                    "constraint \"{to}\" for relation \"{}\" already exists",
                    d.table.name
                ),
            ));
        }
        let is_index =
            d.table.primary_key_name == from || d.table.indexes.iter().any(|i| i.name == from);
        if is_index && self.taken(&d.table, to) {
            return Err(taken(to));
        }
        if d.table.has_key() && d.table.primary_key_name == from {
            to.clone_into(&mut d.table.primary_key_name);
        }
        for check in d.table.checks.iter_mut().map(|c| &mut c.name) {
            if check == from {
                to.clone_into(check);
            }
        }
        for check in d.checks.iter_mut().filter(|c| *c == from) {
            to.clone_into(check);
        }
        for f in d.table.foreign_keys.iter_mut().filter(|f| f.name == from) {
            to.clone_into(&mut f.name);
        }
        rename_in(&mut d.table, |i| i.name == from, to);
        Ok(())
    }

    fn set_schema(&mut self, d: &mut Draft, schema: &str) -> Result<()> {
        self.known_schema(schema)?;
        if schema == d.table.schema {
            return Ok(());
        }
        if d.table.is_temporary() {
            return Err(Error::unsupported(
                "cannot move objects into or out of temporary schemas",
            ));
        }
        let indexes = d.table.indexes.iter().map(|i| i.name.as_str());
        let names: Vec<&str> = indexes
            .chain(
                d.table
                    .has_key()
                    .then_some(d.table.primary_key_name.as_str()),
            )
            .chain([d.table.name.as_str()])
            .collect();
        if let Some(name) = names.into_iter().find(|n| self.is_taken(schema, n)) {
            return Err(taken_in(name, schema));
        }
        schema.clone_into(&mut d.table.schema);
        self.put(d.table.clone());
        for sequence in self.owned_by(d.table.id) {
            let mut next = Sequence::clone(&sequence);
            schema.clone_into(&mut next.schema);
            self.put_sequence(next);
            self.respell(sequence.id);
        }
        d.table = Table::clone(&*self.table(d.table.id)?);
        Ok(())
    }

    fn rename_index(&mut self, id: TableId, to: &str) -> Result<()> {
        let found = self.catalog.relation_by_oid(id.0);
        let table = match &found {
            Some(Relation::Index(t, _) | Relation::PrimaryKey(t)) => t.clone(),
            _ => return Err(super::no_relation(&id.to_string())),
        };
        if self.is_taken(&table.schema, to) {
            return Err(taken(to));
        }
        let mut next = Table::clone(&table);
        if next.primary_key_id == id {
            to.clone_into(&mut next.primary_key_name);
        }
        rename_in(&mut next, |i| i.id == id, to);
        self.locks.push(table.id);
        self.put(next);
        Ok(())
    }

    /// What the actions together mean for the rows.
    fn settle(&mut self, d: Draft) {
        let Draft {
            old,
            mut table,
            row,
            rewrite,
            checks,
            not_null,
            indexes,
            foreign: _,
        } = d;
        let not_null = not_null.iter().filter_map(|n| table.ordinal(*n)).collect();
        if rewrite {
            self.drop_trees(&old);
            table.tree = self.tree();
            table.indexes = self.emptied(&table.indexes);
            table.columns.iter_mut().for_each(|c| c.missing = None);
            let new = self.put(table);
            self.work.push(Work::Rewrite {
                old,
                new: new.clone(),
                row,
            });
            self.build_unique(&new);
            return;
        }
        let table = self.put(table);
        for index in table.indexes.iter().filter(|i| indexes.contains(&i.id)) {
            self.work.push(Work::BuildIndex {
                table: table.clone(),
                index: index.clone(),
                again: false,
            });
        }
        let looked_at = table.checks.iter().filter(|c| checks.contains(&c.name));
        let checks: Vec<Check> = looked_at.cloned().collect();
        if !checks.is_empty() || !Vec::is_empty(&not_null) {
            self.work.push(Work::Validate {
                table,
                checks,
                not_null,
            });
        }
    }
}

pub(super) fn ordinal(d: &Draft, number: i16) -> Result<usize> {
    d.table
        .ordinal(number)
        .ok_or_else(|| Error::internal("a column that is gone"))
}

fn column(d: &mut Draft, number: i16) -> Result<&mut ColumnDef> {
    let at = ordinal(d, number)?;
    d.table
        .columns
        .get_mut(at)
        .ok_or_else(|| Error::internal("a column that is gone"))
}

fn rename_column(d: &mut Draft, action: &TableAction) -> Result<()> {
    let TableAction::RenameColumn {
        number,
        to,
        checks,
        generated,
        ..
    } = action
    else {
        return Err(Error::internal("not another name of a column"));
    };
    if d.table.column(to).is_some() {
        return Err(Error::new(
            SqlState::DUPLICATE_COLUMN,
            format!(
                "column \"{to}\" of relation \"{}\" already exists",
                d.table.name
            ),
        ));
    }
    to.clone_into(&mut column(d, *number)?.name);
    let names: Vec<&str> = d.table.columns.iter().map(|c| c.name.as_str()).collect();
    if let TableKind::Materialized { query, .. } = &mut d.table.kind {
        query.sql = kept::with_names(&query.sql, &d.table.name, &names);
    }
    d.table.checks.clone_from(checks);
    for (number, expr) in generated {
        column(d, *number)?.generated = Some(expr.clone());
    }
    Ok(())
}

fn set_not_null(d: &mut Draft, number: i16, on: bool) -> Result<()> {
    let at = ordinal(d, number)?;
    let (name, table) = (d.table.columns[at].name.clone(), d.table.name.clone());
    if on {
        if !d.table.columns[at].not_null {
            d.not_null.push(number);
        }
    } else {
        if d.table.primary_key.contains(&at) {
            return Err(Error::new(
                SqlState::INVALID_TABLE_DEFINITION,
                format!("column \"{name}\" is in a primary key"),
            ));
        }
        if d.table.columns[at].identity.is_some() {
            return Err(Error::new(
                SqlState::SYNTAX_ERROR,
                format!("column \"{name}\" of relation \"{table}\" is an identity column"),
            ));
        }
        d.not_null.retain(|n| *n != number);
    }
    d.table.columns[at].not_null = on;
    Ok(())
}

fn add_check(d: &mut Draft, check: &Check, validate: bool) -> Result<()> {
    let mut check = check.clone();
    if check.name.is_empty() {
        let used = columns_used(&check.expr);
        let names: Vec<&str> = match used.len() {
            1 => {
                let columns = used.iter().filter_map(|c| d.table.columns.get(*c));
                columns.map(|c| c.name.as_str()).collect()
            }
            _ => Vec::new(),
        };
        check.name = Change::free_check_name(&d.table, &names);
    } else if Change::is_constraint(&d.table, &check.name) {
        return Err(Error::new(
            SqlState::DUPLICATE_OBJECT,
            format!(
                "constraint \"{}\" for relation \"{}\" already exists",
                check.name, d.table.name
            ),
        ));
    }
    if validate {
        d.checks.push(check.name.clone());
    }
    d.table.checks.push(check);
    Ok(())
}

fn rename_in(table: &mut Table, which: impl Fn(&Index) -> bool, to: &str) {
    for index in &mut table.indexes {
        if which(index) {
            let mut next = Index::clone(index);
            to.clone_into(&mut next.name);
            *index = Arc::new(next);
        }
    }
}

/// `e` over the row that these expressions make.
pub(super) fn over(e: &Expr, row: &[Expr]) -> Expr {
    let mut out = e.clone();
    out.each_mut(&mut |e| {
        if let Expr::Column(at, _) = e
            && let Some(of) = row.get(*at)
        {
            *e = of.clone();
        }
    });
    out
}

pub(super) fn taken_in(name: &str, schema: &str) -> Error {
    Error::new(
        SqlState::DUPLICATE_TABLE,
        format!("relation \"{name}\" already exists in schema \"{schema}\""),
    )
}

/// Checks are valid from the start.
fn validate(d: &mut Draft, name: &str) -> Result<()> {
    if d.table.checks.iter().any(|c| c.name == name) {
        d.checks.push(name.to_owned());
        return Ok(());
    }
    if !Change::is_constraint(&d.table, name) {
        return Err(no_constraint(&d.table, name));
    }
    let table = d.table.name.clone();
    let Ok(key) = foreign_key(d, name) else {
        return Err(Error::new(
            SqlState::WRONG_OBJECT_TYPE,
            format!(
                "constraint \"{name}\" of relation \"{table}\" is not a foreign key or check constraint"
            ),
        ));
    };
    if !std::mem::replace(&mut key.validated, true) {
        let oid = key.oid;
        d.foreign.push(oid);
    }
    Ok(())
}

fn foreign_key<'d>(d: &'d mut Draft, name: &str) -> Result<&'d mut ForeignKey> {
    if !Change::is_constraint(&d.table, name) {
        return Err(no_constraint(&d.table, name));
    }
    let table = d.table.name.clone();
    let mut keys = d.table.foreign_keys.iter_mut();
    keys.find(|k| k.name == name).ok_or_else(|| {
        Error::new(
            SqlState::WRONG_OBJECT_TYPE,
            format!(
                "constraint \"{name}\" of relation \"{table}\" is not a foreign key constraint"
            ),
        )
    })
}

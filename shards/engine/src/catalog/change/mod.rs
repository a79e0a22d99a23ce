//! Changes of the catalog: from one snapshot and a statement to the next snapshot and what must be done for it.
//!
//! Owns: names, oids, what depends on what, and the checks PostgreSQL makes of a definition against what exists. Asked by: the
//! router, which holds the catalog's lock, carries out the `Work` and commits. Never: touches rows itself.

mod alter;
mod columns;
mod comment;
mod composite;
mod database;
mod domain;
mod drop;
mod enums;
mod extension;
mod foreign;
mod function;
pub(in crate::catalog) mod graph;
mod invalid;
mod names;
mod retype;
mod schema;
mod sequence;
mod table;
mod temporary;
mod texts;
mod trigger;
mod view;

#[cfg(test)]
mod tests;

pub use invalid::gone;
pub use sequence::identity_value;

use super::objects::CommentKey;
use super::stored::Object;
use super::{Catalog, Catalogs, Check, Index, Sequence, Table};
use crate::exec::Context;
use crate::plan::{Ddl, Expr};
use std::sync::Arc;
use types::{Error, Result, SqlState, TableId, TreeId};

/// What REINDEX CONCURRENTLY cannot have here.
const WRITERS_WAIT: &str =
    "CONCURRENTLY keeps no reader out, but writers of the table wait until the index is built";

/// The next catalog and what goes with it.
pub struct Change {
    pub catalog: Catalog,
    /// What is new, different or gone.
    pub changed: Vec<Object>,
    /// Existing tables that nobody may write while this happens.
    pub locks: Vec<TableId>,
    pub work: Vec<Work>,
    /// Trees nobody needs once it has committed.
    pub dropped: Vec<TreeId>,
    /// Trees that only this transaction can reach until then.
    pub fresh: Vec<TreeId>,
    /// Of sequences: what is kept under these numbers is nobody's.
    pub fresh_states: Vec<u32>,
    pub notices: Vec<Error>,
    pub tag: &'static str,
    /// The table that CREATE TABLE AS or REFRESH fills next.
    pub fills: Option<Arc<Table>>,
    /// What a database had that goes.
    pub gone: Option<Arc<Catalog>>,
    /// What there was before, in all databases.
    pub all: Arc<Catalogs>,
}

/// Rows to be looked at or moved for a change.
pub enum Work {
    /// Fill `index` of `table` from its rows.
    BuildIndex {
        table: Arc<Table>,
        index: Arc<Index>,
        /// It has been filled before.
        again: bool,
    },
    /// Copy the rows of `old` into `new`, which has other trees: each column is an expression over the old row.
    Rewrite {
        old: Arc<Table>,
        new: Arc<Table>,
        row: Vec<Expr>,
    },
    /// No row of the table breaks one of these.
    Validate {
        table: Arc<Table>,
        checks: Vec<Check>,
        /// Ordinals.
        not_null: Vec<usize>,
    },
    /// Every row's value of the column at this ordinal is one of the domain as it is to be.
    HoldToDomain {
        table: Arc<Table>,
        at: usize,
        /// Otherwise NULL is not allowed any more.
        check: Option<Check>,
    },
    /// Every row of the table refers, by this foreign key of its, to a row that is there.
    Refer { table: TableId, key: u32 },
}

/// What `ddl` makes of `catalog`, one of `all`.
pub fn plan(all: &Arc<Catalogs>, catalog: &Catalog, ddl: &Ddl, ctx: &Context) -> Result<Change> {
    let mut change = Change::of(catalog, all);
    change.make_temporary(ddl, ctx)?;
    match ddl {
        Ddl::CreateTable(def) => change.create_table(def)?,
        Ddl::CreateView(def) => change.create_view(def)?,
        Ddl::CreateSequence(def) => change.create_sequence(def)?,
        Ddl::CreateSchema {
            name,
            if_not_exists,
            temporary,
        } => change.create_schema(name, *if_not_exists, *temporary)?,
        Ddl::CreateIndex {
            table,
            since,
            new,
            if_not_exists,
            concurrently,
        } => change.create_index(table, *since, new, (*if_not_exists, *concurrently))?,
        Ddl::IndexBuild { table, index, step } => change.index_build(*table, *index, *step)?,
        Ddl::Reindex {
            tables,
            index,
            alone,
        } => change.reindex_told(tables, *index, *alone)?,
        Ddl::Database(what) => change.of_database(what, all)?,
        Ddl::CreateEnum { name, labels } => change.create_enum(name, labels)?,
        Ddl::CreateComposite { name, attributes } => change.create_composite(name, attributes)?,
        Ddl::CreateFunction {
            function,
            or_replace,
        } => change.create_function(function, *or_replace)?,
        Ddl::NoRoles { notices } => change.no_roles(notices),
        Ddl::CreateExtension(new) => change.create_extension(new)?,
        Ddl::CreateTrigger { .. }
        | Ddl::RenameTrigger { .. }
        | Ddl::DropTrigger { .. }
        | Ddl::NoTrigger { .. } => change.of_trigger(ddl)?,
        Ddl::CreateDomain { name, domain } => change.create_domain(name, domain)?,
        Ddl::Alter(alter) => change.alter(alter, ctx)?,
        Ddl::Drop(drop) => change.drop(drop)?,
        Ddl::Truncate {
            tables,
            restart,
            cascade,
        } => change.truncate(tables, *restart, *cascade)?,
        Ddl::Comment { on, text } => change.comment(on, text.as_deref())?,
        Ddl::OnCommit { schema } => change.on_commit(schema)?,
        Ddl::DropTemporary { schemas } => change.drop_temporary(schemas)?,
        Ddl::Statistics { tables } => change.statistics(tables),
        Ddl::Refresh { view, with_data } => change.refresh(*view, *with_data)?,
    }
    change.dropped.sort_unstable();
    change.dropped.dedup();
    change.renew_referenced(catalog);
    change.tell_invalid(catalog);
    change.locks.sort_unstable();
    change.locks.dedup();
    // A table that is new with this change has no other writer.
    let known = |id: &TableId| catalog.tables.contains_key(id);
    change.locks.retain(known);
    Ok(change)
}

impl Change {
    /// None yet.
    fn of(catalog: &Catalog, all: &Arc<Catalogs>) -> Change {
        Change {
            catalog: Catalog {
                version: catalog.version + 1,
                ..catalog.clone()
            },
            changed: Vec::new(),
            locks: Vec::new(),
            work: Vec::new(),
            dropped: Vec::new(),
            fresh: Vec::new(),
            fresh_states: Vec::new(),
            notices: Vec::new(),
            tag: "",
            fills: None,
            gone: None,
            all: all.clone(),
        }
    }

    fn reindex_told(
        &mut self,
        tables: &[TableId],
        index: Option<TableId>,
        alone: Option<&str>,
    ) -> Result<()> {
        self.reindex(tables, index)?;
        if alone.is_some_and(|what| what.ends_with("CONCURRENTLY")) {
            self.skip(WRITERS_WAIT.into());
        }
        Ok(())
    }

    /// Whether anything is different from before.
    pub fn is_noop(&self) -> bool {
        self.changed.is_empty()
    }

    fn skip(&mut self, notice: String) {
        self.notices
            .push(Error::new(SqlState::SUCCESSFUL_COMPLETION, notice));
    }

    /// `relation "x" already exists`: an error, or a notice.
    fn exists(&mut self, name: &str, skip: bool) -> Result<()> {
        let error = taken(name);
        if !skip {
            return Err(error);
        }
        self.notices.push(Error::new(
            SqlState::DUPLICATE_TABLE,
            format!("{}, skipping", error.message()),
        ));
        Ok(())
    }

    fn put(&mut self, mut table: Table) -> Arc<Table> {
        table.since = self.catalog.version;
        table.admits = 0;
        let table = Arc::new(table);
        self.touched(Object::Table(table.id));
        self.catalog.tables.insert(table.id, table.clone());
        table
    }

    fn put_sequence(&mut self, sequence: Sequence) {
        self.touched(Object::Sequence(sequence.id));
        self.catalog
            .sequences
            .insert(sequence.id, Arc::new(sequence));
    }

    fn touched(&mut self, object: Object) {
        if !self.changed.contains(&object) {
            self.changed.push(object);
        }
    }

    /// What was said about an object that goes, and about its columns.
    fn forget_comments(&mut self, class: u32, object: u32) {
        let of = |key: &&CommentKey| key.class == class && key.object == object;
        let gone: Vec<CommentKey> = self.catalog.comments.keys().filter(of).copied().collect();
        for key in gone {
            self.catalog.comments.remove(&key);
            self.touched(Object::Comment(key));
        }
    }

    fn oid(&mut self) -> u32 {
        let oid = self.catalog.next_oid;
        self.catalog.next_oid += 1;
        oid
    }

    fn tree(&mut self) -> TreeId {
        let tree = TreeId(self.oid());
        self.fresh.push(tree);
        tree
    }

    /// The table as it is in the next catalog.
    fn table(&self, id: TableId) -> Result<Arc<Table>> {
        let found = self.catalog.tables.get(&id).cloned();
        found.ok_or_else(|| {
            Error::new(
                SqlState::UNDEFINED_TABLE,
                format!("relation with OID {id} does not exist"),
            )
        })
    }
}

/// Takes a column out of a definition, with the keys, checks and indexes that use it: what DROP COLUMN leaves.
pub fn without_column(table: &mut Table, number: i16) {
    let Some(at) = table.ordinal(number) else {
        return;
    };
    let uses = |e: &Expr| crate::exec::eval::columns_used(e).contains(&at);
    table.checks.retain(|c| !uses(&c.expr));
    table.foreign_keys.retain(|f| !f.columns.contains(&at));
    table
        .indexes
        .retain(|i| !graph::index_columns(i).contains(&at));
    if table.primary_key.contains(&at) {
        table.primary_key.clear();
        table.placement.clear();
    }
    columns::take_column(table, number);
}

/// Takes a constraint out of a definition. `false`: it has none of that name.
pub fn without_constraint(table: &mut Table, name: &str) -> bool {
    columns::take_constraint(table, name).is_some()
}

fn taken(name: &str) -> Error {
    Error::new(
        SqlState::DUPLICATE_TABLE,
        format!("relation \"{name}\" already exists"),
    )
}

fn no_relation(name: &str) -> Error {
    Error::new(
        SqlState::UNDEFINED_TABLE,
        format!("relation \"{name}\" does not exist"),
    )
}

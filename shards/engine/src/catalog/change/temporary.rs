//! Temporary schemas: made with the first thing in them, emptied at commits, dropped when their sessions end.
//!
//! Owns: what ON COMMIT does. Asked by: the session, of its own schema; the server at its start, of all that are left.
//! Source: PostgreSQL 15, `namespace.c`, `PreCommit_on_commit_actions`.

use super::Change;
use super::graph::Node;
use crate::catalog::model::TableKind;
use crate::catalog::{OnCommit, path};
use crate::exec::Context;
use crate::plan::Ddl;
use crate::plan::ddl::QualifiedName;
use types::Result;

impl Change {
    /// The session's schema, where something is to be made in it and it is not there yet.
    pub(super) fn make_temporary(&mut self, ddl: &Ddl, ctx: &Context) -> Result<()> {
        let schema = match ddl {
            Ddl::CreateTable(def) => &def.schema,
            Ddl::CreateView(def) => &def.view.schema,
            Ddl::CreateSequence(def) => &def.sequence.schema,
            Ddl::CreateFunction { function, .. } => &function.schema,
            _ => return Ok(()),
        };
        if *schema != path::temporary(ctx) || self.catalog.schema_oid(schema).is_some() {
            return Ok(());
        }
        self.create_schema(schema, false, true)
    }

    pub(super) fn on_commit(&mut self, schema: &str) -> Result<()> {
        let (mut emptied, mut dropped) = (Vec::new(), Vec::new());
        for t in self.catalog.tables.values().filter(|t| t.schema == schema) {
            match t.kind {
                TableKind::Temporary(OnCommit::DeleteRows) => emptied.push(QualifiedName {
                    schema: t.schema.clone(),
                    name: t.name.clone(),
                }),
                TableKind::Temporary(OnCommit::Drop) => dropped.push(Node::Table(t.id)),
                TableKind::Temporary(OnCommit::PreserveRows)
                | TableKind::Ordinary
                | TableKind::Materialized { .. } => {}
            }
        }
        self.drop_nodes(dropped, true)?;
        emptied.retain(|n| self.existing(n).is_ok());
        self.truncate(&emptied, false, false)?;
        self.notices.clear();
        Ok(())
    }

    pub(super) fn drop_temporary(&mut self, schemas: &[String]) -> Result<()> {
        let known = |s: &&String| self.catalog.schema_oid(s).is_some();
        let nodes = schemas.iter().filter(known).cloned().map(Node::Schema);
        self.drop_nodes(nodes.collect(), true)?;
        self.notices.clear();
        self.tag = "DISCARD TEMP";
        Ok(())
    }
}

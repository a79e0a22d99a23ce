//! CREATE and ALTER FUNCTION.
//!
//! Owns: which function a signature means, and what of one may be replaced.
//! Source: PostgreSQL 15, `pg_proc.c` (`ProcedureCreate`), `functioncmds.c`.

use super::Change;
use super::graph::Node;
use crate::catalog::Function;
use crate::catalog::stored::Object;
use crate::plan::ddl::{FunctionAction, QualifiedName};
use std::sync::Arc;
use types::{DataType, Error, Result, SqlState};

impl Change {
    pub(super) fn create_function(&mut self, new: &Function, or_replace: bool) -> Result<()> {
        self.tag = match new.is_procedure() {
            true => "CREATE PROCEDURE",
            false => "CREATE FUNCTION",
        };
        self.known_schema(&new.schema)?;
        let mut all = self.catalog.functions.values();
        let same = |f: &&Arc<Function>| {
            f.schema == new.schema && f.name == new.name && f.same_arguments(new)
        };
        let old = all.find(same).cloned();
        let mut next = new.clone();
        next.oid = match old {
            Some(_) if !or_replace => {
                return Err(Error::new(
                    SqlState::DUPLICATE_FUNCTION,
                    format!(
                        "function \"{}\" already exists with same argument types",
                        new.name
                    ),
                ));
            }
            Some(old) => {
                self.replaceable(&old, new)?;
                old.oid
            }
            None => self.oid(),
        };
        self.put_function(next);
        Ok(())
    }

    fn replaceable(&self, old: &Function, new: &Function) -> Result<()> {
        of_no_extension(old)?;
        let hint = format!(
            "Use DROP FUNCTION {} first.",
            self.catalog.function_signature(old)
        );
        let refused = |message: String| {
            Err(Error::new(SqlState::INVALID_FUNCTION_DEFINITION, message).with_hint(hint.clone()))
        };
        if old.is_procedure() != new.is_procedure() {
            let what = if old.is_procedure() {
                "procedure"
            } else {
                "function"
            };
            let e = Error::new(SqlState::WRONG_OBJECT_TYPE, "cannot change routine kind");
            return Err(e.with_detail(format!("\"{}\" is a {what}.", old.name)));
        }
        if old.returns != new.returns || old.is_of_triggers() != new.is_of_triggers() {
            return refused("cannot change return type of existing function".into());
        }
        for (old, new) in old.args.iter().zip(&new.args) {
            if let Some(name) = &old.name
                && old.name != new.name
            {
                return refused(format!("cannot change name of input parameter \"{name}\""));
            }
            if old.default.is_some() && new.default.is_none() {
                return refused("cannot remove parameter defaults from existing function".into());
            }
        }
        Ok(())
    }

    pub(super) fn alter_function(&mut self, oid: u32, action: &FunctionAction) -> Result<()> {
        let found = self.catalog.functions.get(&oid).cloned();
        let mut next = found.map(|f| Function::clone(&f)).ok_or_else(|| {
            Error::new(
                SqlState::UNDEFINED_FUNCTION,
                format!("function with OID {oid} does not exist"),
            )
        })?;
        of_no_extension(&next)?;
        match action {
            FunctionAction::RenameTo(name) => next.name.clone_from(name),
            FunctionAction::SetSchema(schema) => {
                self.known_schema(schema)?;
                next.schema.clone_from(schema);
            }
            FunctionAction::Traits(traits) => {
                next.volatility = traits.volatility.unwrap_or(next.volatility);
                next.strict = traits.strict.unwrap_or(next.strict);
                next.definer = traits.definer.unwrap_or(next.definer);
                self.put_function(next);
                return Ok(());
            }
        }
        let taken = |f: &Arc<Function>| {
            f.oid != oid
                && f.schema == next.schema
                && f.name == next.name
                && f.same_arguments(&next)
        };
        if self.catalog.functions.values().any(taken) {
            return Err(Error::new(
                SqlState::DUPLICATE_FUNCTION,
                format!(
                    "function {} already exists in schema \"{}\"",
                    self.catalog.function_signature(&next),
                    next.schema
                ),
            ));
        }
        // Views and definitions say its name; triggers do not.
        let users = super::graph::dependents(&self.catalog, &Node::Function(oid));
        let mut users = users.into_iter().map(|(node, _)| node);
        if let Some(user) = users.find(|u| !matches!(u, Node::Trigger(..))) {
            return Err(Error::unsupported(format!(
                "renaming a function that {} uses is not supported",
                super::graph::describe(&self.catalog, &user)
            )));
        }
        self.put_function(next);
        Ok(())
    }

    pub(super) fn function_named(
        &self,
        name: &QualifiedName,
        args: Option<&[(DataType, u32)]>,
    ) -> Result<Arc<Function>> {
        self.known_schema(&name.schema)?;
        self.catalog.function_named(name, args)
    }

    fn put_function(&mut self, function: Function) {
        self.touched(Object::Function(function.oid));
        self.catalog
            .functions
            .insert(function.oid, Arc::new(function));
    }
}

fn of_no_extension(f: &Function) -> Result<()> {
    match f.is_built_in() {
        true => Err(Error::unsupported(format!(
            "changing function {}, which an extension has made, is not supported",
            f.name
        ))),
        false => Ok(()),
    }
}

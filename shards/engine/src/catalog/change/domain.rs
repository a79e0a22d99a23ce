//! CREATE and ALTER DOMAIN.
//!
//! Owns: what becomes of the tables that have columns of a domain when its values are held to more: they are locked and looked
//! at, and count as defined anew, so that no statement that was planned before writes into them. Source: PostgreSQL 15,
//! `typecmds.c`.

use super::names::choose;
use super::{Change, Work};
use crate::catalog::domains::DOMAINS_DEEP_MAX;
use crate::catalog::objects::{UserType, UserTypeKind};
use crate::catalog::{Check, Table};
use crate::plan::ddl::{DomainAction, QualifiedName};
use std::sync::Arc;
use types::{Error, Result, SqlState};

impl Change {
    pub(super) fn create_domain(
        &mut self,
        name: &QualifiedName,
        kind: &UserTypeKind,
    ) -> Result<()> {
        self.tag = "CREATE DOMAIN";
        self.known_schema(&name.schema)?;
        self.free_type(&name.schema, &name.name)?;
        let mut kind = kind.clone();
        if let UserTypeKind::Domain { checks, .. } = &mut kind {
            for check in std::mem::take(checks) {
                add(checks, &check, &name.name)?;
            }
        }
        // As an enum's, though there are no arrays of domains: an oid's neighbour is never another type.
        let (oid, array_oid) = (self.oid(), self.oid());
        self.put_type(UserType {
            oid,
            array_oid,
            schema: name.schema.clone(),
            name: name.name.clone(),
            kind,
        });
        if self.catalog.domain_chain(oid).count() >= DOMAINS_DEEP_MAX {
            return Err(Error::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("more than {DOMAINS_DEEP_MAX} domains over each other"),
            ));
        }
        Ok(())
    }

    pub(super) fn alter_domain(&mut self, mut next: UserType, action: &DomainAction) -> Result<()> {
        let (oid, shown) = (next.oid, next.name.clone());
        let UserTypeKind::Domain {
            not_null,
            default,
            checks,
            ..
        } = &mut next.kind
        else {
            return Err(Error::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("{shown} is not a domain"),
            ));
        };
        let missing = |name: &str| {
            Error::new(
                SqlState::UNDEFINED_OBJECT,
                format!("constraint \"{name}\" of domain \"{shown}\" does not exist"),
            )
        };
        match action {
            DomainAction::SetDefault(to) => default.clone_from(to),
            DomainAction::SetNotNull(on) => {
                let more = *on && !*not_null;
                *not_null = *on;
                if more {
                    self.hold_rows(oid, None);
                }
            }
            DomainAction::AddCheck { check, validate } => {
                let check = add(checks, check, &shown)?;
                self.hold_rows(oid, Some((&check, *validate)));
            }
            DomainAction::Validate { name } => {
                let at = place(checks, name).ok_or_else(|| missing(name))?;
                let check = checks[at].clone();
                self.hold_rows(oid, Some((&check, true)));
            }
            DomainAction::DropConstraint { name, if_exists } => match place(checks, name) {
                Some(at) => {
                    checks.remove(at);
                }
                None if *if_exists => {
                    self.skip(format!("{}, skipping", missing(name).message()));
                    return Ok(());
                }
                None => return Err(missing(name)),
            },
            DomainAction::RenameConstraint { from, to } => {
                let at = place(checks, from).ok_or_else(|| missing(from))?;
                if place(checks, to).is_some() {
                    return Err(taken(to, &shown));
                }
                checks[at].name.clone_from(to);
                checks.sort_by(|a, b| a.name.cmp(&b.name));
            }
        }
        self.put_type(next);
        Ok(())
    }

    /// The tables with columns of the domain, or of one over it: no NULL (`None`), or none that the check refuses.
    fn hold_rows(&mut self, domain: u32, check: Option<(&Check, bool)>) {
        let tables: Vec<Arc<Table>> = self.catalog.tables.values().cloned().collect();
        for table in tables {
            let of = |declared: u32| {
                let mut chain = self.catalog.domain_chain(declared);
                chain.any(|t| t.oid == domain)
            };
            let columns = table.columns.iter().enumerate();
            let columns: Vec<usize> = columns
                .filter(|(_, c)| c.declared != 0 && of(c.declared))
                .map(|(at, _)| at)
                .collect();
            if columns.is_empty() {
                continue;
            }
            self.locks.push(table.id);
            let table = self.put(Table::clone(&table));
            if check.is_some_and(|(_, validate)| !validate) {
                continue;
            }
            self.work
                .extend(columns.into_iter().map(|at| Work::HoldToDomain {
                    table: table.clone(),
                    at,
                    check: check.map(|(check, _)| check.clone()),
                }));
        }
    }
}

fn place(checks: &[Check], name: &str) -> Option<usize> {
    checks.iter().position(|c| c.name == name)
}

/// Adds the check under its name, or under one that is free. They are kept in the order in which a value is held to them.
fn add(checks: &mut Vec<Check>, check: &Check, domain: &str) -> Result<Check> {
    let mut check = check.clone();
    if check.name.is_empty() {
        check.name = choose(domain, &[], "check", |n| place(checks, n).is_some());
    }
    if place(checks, &check.name).is_some() {
        return Err(taken(&check.name, domain));
    }
    let at = checks.partition_point(|c| c.name < check.name);
    checks.insert(at, check.clone());
    Ok(check)
}

fn taken(name: &str, domain: &str) -> Error {
    Error::new(
        SqlState::DUPLICATE_OBJECT,
        format!("constraint \"{name}\" for domain \"{domain}\" already exists"),
    )
}

//! CREATE and ALTER DOMAIN.
//!
//! Owns: a domain's expressions, read as those of a table that has one column, `value`. Never: looks at what has the domain
//! (`catalog::change` does). Source: PostgreSQL 15, `typecmds.c`, for the order of checks and wording.

use super::super::{Binder, names, syntax};
use crate::parse::define::{Action, ObjectKind};
use crate::parse::rename;
use crate::statement::Statement;
use engine::catalog::{Check, ColumnDef, Default, UserTypeKind};
use engine::plan::ddl::{Ddl, DomainAction};
use sqlparser::ast::{self, AlterTableOperation, ColumnOption, TableConstraint};
use types::{DataType, Error, Result, SqlState};

impl<'a> Binder<'a> {
    pub(super) fn create_domain(
        &mut self,
        name: &ast::ObjectName,
        written: &'a ast::ColumnDef,
    ) -> Result<Statement> {
        let name = self.creation(name, false)?;
        let to = self.declared_type(&written.data_type)?;
        if matches!(to.ty, DataType::Unknown | DataType::Void) {
            return Err(Error::new(
                SqlState::DATATYPE_MISMATCH,
                format!("\"{}\" is not a valid base type for a domain", to.ty),
            ));
        }
        let value = ColumnDef {
            typmod: to.typmod,
            declared: to.declared,
            ..ColumnDef::new("value", to.ty, 1)
        };
        let (default, not_null, checks) = self.domain_options(&value, &written.options)?;
        // A domain over another one has that one's DEFAULT unless it has its own.
        let inherited = || self.env.catalog.domain_default(to.declared).cloned();
        let over = self.env.catalog.is_domain(to.declared);
        let domain = UserTypeKind::Domain {
            base: match over {
                true => DataType::Enum(to.declared),
                false => to.ty,
            },
            typmod: if over { -1 } else { to.typmod },
            not_null,
            default: default.or_else(inherited),
            checks,
        };
        let domain = Box::new(domain);
        Ok(Statement::Ddl(Ddl::CreateDomain { name, domain }))
    }

    /// DEFAULT, whether it is NOT NULL, and its checks.
    fn domain_options(
        &mut self,
        value: &ColumnDef,
        options: &'a [ast::ColumnOptionDef],
    ) -> Result<(Option<Default>, bool, Vec<Check>)> {
        let (mut default, mut nullable) = (None, None);
        let mut checks: Vec<Check> = Vec::new();
        for option in options {
            match &option.option {
                ColumnOption::Default(e) => {
                    if default.is_some() {
                        return Err(syntax("multiple default expressions"));
                    }
                    default = Some(self.column_default(e, value)?);
                }
                ColumnOption::Null | ColumnOption::NotNull => {
                    let null = matches!(option.option, ColumnOption::Null);
                    if nullable.is_some_and(|before| before != null) {
                        return Err(syntax("conflicting NULL/NOT NULL constraints"));
                    }
                    nullable = Some(null);
                }
                ColumnOption::Check(c) => {
                    let given = option.name.as_ref().or(c.name.as_ref());
                    checks.push(self.domain_check(value, given, &c.expr)?);
                }
                ColumnOption::Collation(collation) => {
                    let text = engine::plan::Expr::Const(types::Value::Null, value.ty);
                    self.collate(text, collation)?;
                }
                other => return Err(not_possible(other)),
            }
        }
        Ok((default, nullable == Some(false), checks))
    }

    fn domain_check(
        &mut self,
        value: &ColumnDef,
        given: Option<&ast::Ident>,
        e: &'a ast::Expr,
    ) -> Result<Check> {
        let (expr, sql) = self.bound_check(std::slice::from_ref(value), "", e)?;
        if engine::exec::eval::has_subquery(&expr) {
            return Err(Error::unsupported(
                "functions that run queries are not supported in checks of domains",
            ));
        }
        let name = given.map(names::ident).unwrap_or_default();
        let sql = rename::renamed(&sql, "", "value", "VALUE");
        Ok(Check { name, sql, expr })
    }

    /// What of ALTER DOMAIN is not of every type; `None` for the rest.
    pub(in super::super) fn domain_action(
        &mut self,
        kind: ObjectKind,
        oid: u32,
        action: &'a Action,
    ) -> Result<Option<DomainAction>> {
        let catalog = self.env.catalog;
        let found = catalog.types.get(&oid);
        if kind != ObjectKind::Domain {
            return Ok(None);
        }
        let Some((base, typmod)) = catalog.domain_base(oid) else {
            let name = found.map_or("", |t| t.name.as_str());
            return Err(Error::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("{name} is not a domain"),
            ));
        };
        let value = ColumnDef {
            typmod,
            declared: oid,
            ..ColumnDef::new("value", base, 1)
        };
        Ok(Some(match action {
            Action::DomainDefault(None) => DomainAction::SetDefault(None),
            Action::DomainDefault(Some(e)) => {
                let default: Default = self.column_default(e, &value)?;
                DomainAction::SetDefault(Some(default))
            }
            Action::DomainNotNull(on) => DomainAction::SetNotNull(*on),
            Action::RenameConstraint { from, to } => DomainAction::RenameConstraint {
                from: names::ident(from),
                to: names::ident(to),
            },
            Action::Plain(operation) => self.domain_constraint(&value, operation)?,
            _ => return Ok(None),
        }))
    }

    fn domain_constraint(
        &mut self,
        value: &ColumnDef,
        operation: &'a AlterTableOperation,
    ) -> Result<DomainAction> {
        match operation {
            AlterTableOperation::AddConstraint {
                constraint: TableConstraint::Check(c),
                not_valid,
            } => Ok(DomainAction::AddCheck {
                check: self.domain_check(value, c.name.as_ref(), &c.expr)?,
                validate: !not_valid,
            }),
            AlterTableOperation::DropConstraint {
                if_exists, name, ..
            } => Ok(DomainAction::DropConstraint {
                name: names::ident(name),
                if_exists: *if_exists,
            }),
            AlterTableOperation::ValidateConstraint { name } => Ok(DomainAction::Validate {
                name: names::ident(name),
            }),
            AlterTableOperation::AddConstraint { constraint, .. } => {
                let what = match constraint {
                    TableConstraint::PrimaryKey(_) => "primary key",
                    TableConstraint::Unique(_) => "unique",
                    TableConstraint::ForeignKey(_) => "foreign key",
                    _ => "exclusion",
                };
                Err(impossible(what))
            }
            _ => Err(syntax("syntax error in ALTER DOMAIN")),
        }
    }
}

fn not_possible(option: &ColumnOption) -> Error {
    match option {
        ColumnOption::PrimaryKey(_) => impossible("primary key"),
        ColumnOption::Unique(_) => impossible("unique"),
        ColumnOption::ForeignKey(_) => impossible("foreign key"),
        ColumnOption::Generated { .. } => {
            Error::unsupported("specifying GENERATED is not supported for domains")
        }
        _ => syntax("syntax error in CREATE DOMAIN"),
    }
}

fn impossible(what: &str) -> Error {
    syntax(format!("{what} constraints not possible for domains"))
}

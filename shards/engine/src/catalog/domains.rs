//! Domains: a type under another name, and what its values must satisfy.
//!
//! Owns: the type that a domain's values have, and what one value is held to. A column of a domain has the type under it and
//! names the domain (`ColumnDef::declared`), as does an expression that is cast to one: operators and protocols know no domain.
//! The base of a domain over another is that one's oid, as `DataType::Enum`. Asked by: writes of rows (`shard::constraints`),
//! casts (`exec::functions::domains`), definitions.
//! Bounds: `DOMAINS_DEEP_MAX` domains over each other; one more is refused where it is made.
//! Source: PostgreSQL 15, `typcache.c` for the order of constraints, `execExprInterp.c` for the wording.

use super::objects::{UserType, UserTypeKind};
use super::{Catalog, Check, ColumnDef, SqlExpr};
use crate::exec::Context;
use crate::exec::eval::{self, Env};
use crate::plan::Expr;
use types::{DataType, Error, Result, SqlState, Value};

/// Domains over each other.
pub const DOMAINS_DEEP_MAX: usize = 32;

impl UserType {
    pub fn is_domain(&self) -> bool {
        matches!(self.kind, UserTypeKind::Domain { .. })
    }

    /// Of a domain, by their names: the order in which PostgreSQL looks at them.
    pub fn domain_checks(&self) -> &[Check] {
        match &self.kind {
            UserTypeKind::Domain { checks, .. } => checks,
            UserTypeKind::Enum { .. } | UserTypeKind::Composite { .. } => &[],
        }
    }
}

impl Catalog {
    pub fn is_domain(&self, oid: u32) -> bool {
        self.types.get(&oid).is_some_and(|t| t.is_domain())
    }

    /// The domain and those under it; none of anything else.
    pub fn domain_chain(&self, oid: u32) -> impl Iterator<Item = &UserType> {
        let mut next = Some(oid);
        let step = move || {
            let found = self.types.get(&next.take()?)?;
            let UserTypeKind::Domain { base, .. } = &found.kind else {
                return None;
            };
            next = base.user_oid().filter(|_| !base.is_array());
            Some(&**found)
        };
        std::iter::from_fn(step).take(DOMAINS_DEEP_MAX)
    }

    /// The type and typmod that a domain's values have; `None` of what is no domain.
    pub fn domain_base(&self, oid: u32) -> Option<(DataType, i32)> {
        match &self.domain_chain(oid).last()?.kind {
            UserTypeKind::Domain { base, typmod, .. } => Some((*base, *typmod)),
            UserTypeKind::Enum { .. } | UserTypeKind::Composite { .. } => None,
        }
    }

    /// What a column of the domain has where nothing else is said. A domain took that of the one under it when it was made.
    pub fn domain_default(&self, oid: u32) -> Option<&SqlExpr> {
        match &self.types.get(&oid)?.kind {
            UserTypeKind::Domain { default, .. } => default.as_ref(),
            UserTypeKind::Enum { .. } | UserTypeKind::Composite { .. } => None,
        }
    }

    /// What a column has where neither a statement nor its own DEFAULT says it.
    pub fn implied_value(&self, column: &ColumnDef) -> Expr {
        let default = self.domain_default(column.declared);
        default.map_or_else(|| Expr::Const(Value::Null, column.ty), |d| d.expr.clone())
    }

    /// Whether some value of the type under it is none of the domain.
    pub fn is_constrained(&self, oid: u32) -> bool {
        self.domain_chain(oid)
            .any(|t| is_not_null(t) || !t.domain_checks().is_empty())
    }

    /// Whether NULL is none of the domain.
    pub fn domain_not_null(&self, oid: u32) -> bool {
        self.domain_chain(oid).any(is_not_null)
    }

    /// 23502 or 23514 for a value that is none of the domain; of what is no domain every value is.
    pub fn hold_to_domain(&self, oid: u32, value: &Value, ctx: &Context) -> Result<()> {
        let name = || {
            let name = self.user_type_name(DataType::Enum(oid));
            name.unwrap_or_else(|| format!("{oid}"))
        };
        if value.is_null() && self.domain_not_null(oid) {
            return Err(Error::new(
                SqlState::NOT_NULL_VIOLATION,
                format!("domain {} does not allow null values", name()),
            )
            .with_schema(self.types.get(&oid).map_or("", |t| &t.schema)));
        }
        let chain: Vec<&UserType> = self.domain_chain(oid).collect();
        let row = [value.clone()];
        for domain in chain.into_iter().rev() {
            for check in domain.domain_checks() {
                // A CHECK that is NULL is satisfied.
                if eval::eval(&check.expr, &row, &Env { ctx, outer: &[] })? == Value::Bool(false) {
                    return Err(Error::new(
                        SqlState::CHECK_VIOLATION,
                        format!(
                            "value for domain {} violates check constraint \"{}\"",
                            name(),
                            check.name
                        ),
                    )
                    .with_schema(&domain.schema)
                    .with_constraint(&check.name));
                }
            }
        }
        Ok(())
    }
}

fn is_not_null(t: &UserType) -> bool {
    matches!(t.kind, UserTypeKind::Domain { not_null: true, .. })
}

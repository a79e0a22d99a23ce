//! What a column without an alias is called.
//!
//! Owns: PostgreSQL's `FigureColname`. Source: `parse_target.c`.

use super::{datatype, names, rows};
use crate::parse::star::STAR;
use sqlparser::ast::{self, FunctionArguments, SelectItem, SetExpr};

/// The name of an output column.
pub(super) fn of(e: &ast::Expr) -> String {
    figure(e).0.unwrap_or_else(|| "?column?".into())
}

/// The name and how strong it is: 2 from the expression itself, 1 from a cast or CASE around it, 0 none.
fn figure(e: &ast::Expr) -> (Option<String>, u8) {
    use ast::Expr as E;
    let fixed = |n: &str| (Some(n.to_string()), 2);
    match e {
        E::Nested(x) | E::Collate { expr: x, .. } => figure(x),
        E::Identifier(i) => (Some(names::ident(i)), 2),
        E::CompoundIdentifier(parts) => (last_of(parts.iter()), 2),
        E::CompoundFieldAccess { root, access_chain } => {
            let dots = access_chain.iter().filter_map(|a| match a {
                ast::AccessExpr::Dot(ast::Expr::Identifier(i)) => Some(i),
                _ => None,
            });
            match last_of(dots) {
                Some(name) => (Some(name), 2),
                None => figure(root),
            }
        }
        E::Cast {
            expr, data_type, ..
        } => {
            let (name, strength) = figure(expr);
            if strength > 1 {
                return (name, strength);
            }
            (type_name(data_type).or(name), 1)
        }
        E::TypedString(t) => (type_name(&t.data_type), 1),
        E::Interval(_) => (Some("interval".into()), 1),
        E::Function(f) => {
            if rows::is_row(e) {
                return fixed("row");
            }
            if matches!(f.args, FunctionArguments::Subquery(_)) {
                return fixed("array");
            }
            (names::first_last(&f.name), 2)
        }
        E::Case { else_result, .. } => {
            let (name, strength) = else_result.as_deref().map_or((None, 0), figure);
            if strength > 1 {
                (name, strength)
            } else {
                (Some("case".into()), 1)
            }
        }
        E::Exists { negated: false, .. } => fixed("exists"),
        E::Subquery(q) => match subquery_name(q) {
            Some(n) => (Some(n), 2),
            None => (None, 0),
        },
        E::Array(_) => fixed("array"),
        E::Tuple(_) => fixed("row"),
        E::Extract { .. } => fixed("extract"),
        E::Ceil { .. } => fixed("ceil"),
        E::Floor { .. } => fixed("floor"),
        E::Position { .. } => fixed("position"),
        E::Overlay { .. } => fixed("overlay"),
        E::Substring { shorthand, .. } => fixed(if *shorthand { "substr" } else { "substring" }),
        E::Trim { trim_where, .. } => fixed(match trim_where {
            Some(ast::TrimWhereField::Leading) => "ltrim",
            Some(ast::TrimWhereField::Trailing) => "rtrim",
            _ => "btrim",
        }),
        E::AtTimeZone { .. } => fixed("timezone"),
        _ => (None, 0),
    }
}

/// The last name; `t.*` as a value is called as the table.
fn last_of<'i>(parts: impl DoubleEndedIterator<Item = &'i ast::Ident>) -> Option<String> {
    let mut parts = parts.rev();
    parts.find(|i| i.value != STAR).map(names::ident)
}

fn type_name(ty: &ast::DataType) -> Option<String> {
    let resolved = match ty {
        ast::DataType::Custom(name, _) if datatype::resolve(ty).is_err() => {
            return names::qualified(name).ok().map(|(_, base)| base);
        }
        ast::DataType::Array(
            ast::ArrayElemTypeDef::SquareBracket(inner, _)
            | ast::ArrayElemTypeDef::Qualified(inner, _),
        ) => return type_name(inner),
        ty => datatype::resolve(ty),
    };
    let (ty, _) = resolved.ok()?;
    // An array is named as its element, as the grammar keeps the dimensions apart from the name.
    Some(ty.element().unwrap_or(ty).name().to_string())
}

/// A scalar subquery is called as its first column.
fn subquery_name(q: &ast::Query) -> Option<String> {
    let mut body = &*q.body;
    loop {
        match body {
            SetExpr::Select(s) => {
                return match s.projection.first()? {
                    SelectItem::UnnamedExpr(e) => figure(e).0,
                    SelectItem::ExprWithAlias { alias, .. } => Some(names::ident(alias)),
                    _ => None,
                };
            }
            SetExpr::Query(q) => body = &q.body,
            SetExpr::SetOperation { left, .. } => body = left,
            SetExpr::Values(_) => return Some("column1".into()),
            _ => return None,
        }
    }
}

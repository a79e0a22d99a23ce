//! Functions with a grammar of their own: EXTRACT, SUBSTRING … FROM, TRIM, POSITION, OVERLAY, CEIL, FLOOR.
//!
//! Owns: which function each is. Source: PostgreSQL 15's `gram.y`, func_expr_common_subexpr.

use super::{Binder, Cx, literal, syntax, unsupported};
use engine::plan::Expr;
use sqlparser::ast::{self, CeilFloorKind, DateTimeField, TrimWhereField};
use types::{Error, Result};

impl<'a> Binder<'a> {
    pub(super) fn special_call(&mut self, node: &'a ast::Expr, cx: &mut Cx) -> Result<Expr> {
        match node {
            ast::Expr::Extract { field, expr, .. } => {
                let from = self.expr(expr, cx)?;
                let field = literal::unknown(&field_name(field));
                let field = self.coerce_arg(field, types::DataType::Text)?;
                self.call("extract", vec![field, from])
            }
            ast::Expr::Ceil { expr, field } => self.rounding("ceil", expr, field, cx),
            ast::Expr::Floor { expr, field } => self.rounding("floor", expr, field, cx),
            ast::Expr::Position { expr, r#in } => {
                let what = self.expr(expr, cx)?;
                let within = self.expr(r#in, cx)?;
                self.call("position", vec![within, what])
            }
            ast::Expr::Substring {
                expr,
                substring_from,
                substring_for,
                shorthand,
                ..
            } => {
                let mut args = vec![self.expr(expr, cx)?];
                if substring_from.is_none() && substring_for.is_some() {
                    args.push(literal::number("1")?);
                }
                for e in [substring_from, substring_for].into_iter().flatten() {
                    args.push(self.expr(e, cx)?);
                }
                self.call(if *shorthand { "substr" } else { "substring" }, args)
            }
            ast::Expr::Trim {
                trim_where,
                trim_what,
                expr,
                trim_characters,
            } => {
                let name = match trim_where {
                    None | Some(TrimWhereField::Both) => "btrim",
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                };
                let mut args = vec![self.expr(expr, cx)?];
                if let Some(what) = trim_what {
                    args.push(self.expr(what, cx)?);
                }
                for e in trim_characters.iter().flatten() {
                    args.push(self.expr(e, cx)?);
                }
                self.call(name, args)
            }
            ast::Expr::Overlay {
                expr,
                overlay_what,
                overlay_from,
                overlay_for,
            } => {
                let mut args = vec![
                    self.expr(expr, cx)?,
                    self.expr(overlay_what, cx)?,
                    self.expr(overlay_from, cx)?,
                ];
                if let Some(e) = overlay_for {
                    args.push(self.expr(e, cx)?);
                }
                self.call("overlay", args)
            }
            _ => Err(Error::internal("not a special call")),
        }
    }

    fn rounding(
        &mut self,
        name: &str,
        e: &'a ast::Expr,
        kind: &'a CeilFloorKind,
        cx: &mut Cx,
    ) -> Result<Expr> {
        let mut args = vec![self.expr(e, cx)?];
        match kind {
            CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) => {}
            CeilFloorKind::DateTimeField(_) => {
                return Err(syntax(format!("syntax error at or near \"{name}\"")));
            }
            CeilFloorKind::Scale(v) => args.push(self.value(v)?),
        }
        if args.len() > 1 {
            return Err(unsupported(&format!("{name} with a scale")));
        }
        self.call(name, args)
    }
}

/// As `date_part` names it; a quoted or unknown word goes through as it is.
fn field_name(field: &DateTimeField) -> String {
    match field {
        DateTimeField::Custom(i) => super::names::ident(i),
        other => other.to_string().to_lowercase(),
    }
}

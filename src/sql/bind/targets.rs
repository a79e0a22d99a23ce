//! Select lists and RETURNING: output columns, `*` and `t.*` expanded.
//!
//! Owns: names, types and origins of output columns. Source: `transformTargetList`, `ExpandColumnRefStar`.

use super::scope::Entry;
use super::{Binder, Cx, colname, names, syntax, walk};
use crate::parse::star::STAR;
use engine::plan::Expr;
use sqlparser::ast::{self, AccessExpr, SelectItem, SelectItemQualifiedWildcardKind};
use types::{Column, Result};

/// An output column, or a hidden one that only sorting needs.
pub(super) struct Target {
    pub expr: Expr,
    pub column: Column,
}

impl<'a> Binder<'a> {
    /// The select list, `*` and `t.*` expanded.
    pub(super) fn targets(&mut self, items: &'a [SelectItem], cx: &mut Cx) -> Result<Vec<Target>> {
        let mut out = Vec::with_capacity(items.len());
        for item in items {
            match item {
                SelectItem::UnnamedExpr(e) => match expansion(e) {
                    Some((root, chain)) => self.fields(root, chain, cx, &mut out)?,
                    None => out.push(self.target(e, colname::of(e), cx)?),
                },
                SelectItem::ExprWithAlias { expr, alias } => {
                    out.push(self.target(expr, names::ident(alias), cx)?);
                }
                SelectItem::Wildcard(options) => {
                    plain_wildcard(options)?;
                    if cx.scope.relations.is_empty() && cx.scope.visible.is_empty() {
                        return Err(syntax("SELECT * with no tables specified is not valid"));
                    }
                    cx.scope.visible.iter().for_each(|e| self.saw(e));
                    out.extend(cx.scope.visible.iter().map(Target::of));
                }
                SelectItem::QualifiedWildcard(kind, options) => {
                    plain_wildcard(options)?;
                    let SelectItemQualifiedWildcardKind::ObjectName(name) = kind else {
                        return Err(syntax("syntax error after \"*\""));
                    };
                    self.qualified_wildcard(name, cx, &mut out)?;
                }
                SelectItem::ExprWithAliases { .. } => {
                    return Err(syntax("syntax error in the select list"));
                }
            }
        }
        Ok(out)
    }

    fn target(&mut self, e: &'a ast::Expr, name: String, cx: &mut Cx) -> Result<Target> {
        let expr = self.expr(e, cx)?;
        let mut column = Column::new(name, expr.ty());
        column.typmod = match self.cast_typmod(e)? {
            -1 => self.typmod_of(&expr, cx),
            declared => declared,
        };
        if let Expr::Column(i, _) = &expr {
            let all = cx.scope.relations.iter().flat_map(|r| &r.columns);
            let plain = |e: &&Entry| matches!(e.expr, Expr::Column(j, _) if j == *i);
            if let Some(entry) = all.into_iter().find(plain) {
                (column.table, column.attnum) = (entry.table, entry.attnum);
            }
        }
        Ok(Target { expr, column })
    }

    /// `(e).*`; of a row of FROM its columns, as they are called here.
    fn fields(
        &mut self,
        root: &'a ast::Expr,
        chain: &'a [AccessExpr],
        cx: &mut Cx,
        out: &mut Vec<Target>,
    ) -> Result<()> {
        if let (ast::Expr::Identifier(i), []) = (super::select::unnested(root), chain)
            && self.names_relation(i, cx)?
        {
            return self.qualified_wildcard(&ast::ObjectName::from(vec![i.clone()]), cx, out);
        }
        let value = self.expr(root, cx)?;
        let value = self.access(value, chain, cx)?;
        out.extend(self.expanded(value, cx)?);
        Ok(())
    }

    /// What a cast says of its type, which is not kept once the value of a literal is known; -1 for nothing.
    fn cast_typmod(&self, e: &ast::Expr) -> Result<i32> {
        Ok(match e {
            ast::Expr::Nested(inner) => self.cast_typmod(inner)?,
            ast::Expr::Cast { data_type, .. } => self.declared_type(data_type)?.typmod,
            ast::Expr::Interval(i) => super::literal::interval_typmod(i)?,
            _ => -1,
        })
    }

    fn qualified_wildcard(
        &mut self,
        name: &ast::ObjectName,
        cx: &Cx,
        out: &mut Vec<Target>,
    ) -> Result<()> {
        let (schema, alias) = self.qualified(name)?;
        if let Some(r) = cx.scope.relation(schema.as_deref(), &alias)? {
            r.columns.iter().for_each(|e| self.saw(e));
            out.extend(r.columns.iter().map(Target::of));
            return Ok(());
        }
        for (i, frame) in self.frames.iter().rev().enumerate() {
            if let Some(r) = frame.scope.relation(schema.as_deref(), &alias)? {
                self.frames
                    .iter()
                    .rev()
                    .take(i + 1)
                    .for_each(|f| f.crossed.set(true));
                out.extend(r.columns.iter().map(|e| Target {
                    expr: walk::lift(&e.expr, i + 1),
                    column: e.column(),
                }));
                return Ok(());
            }
        }
        if let (Some(r), None) = (self.row_around(&alias), &schema) {
            out.extend(r.columns.iter().map(Target::of));
            return Ok(());
        }
        if let (Some(row), None) = (self.argument_named(None, &alias), &schema) {
            out.extend(self.expanded(row, cx)?);
            return Ok(());
        }
        let e = self.missing_from(&alias, cx);
        Err(match names::first_ident(name) {
            Some(i) => self.at(e, i.span),
            None => e,
        })
    }
}

impl Target {
    fn of(e: &Entry) -> Target {
        Target {
            expr: e.expr.clone(),
            column: e.column(),
        }
    }
}

/// What stands before `.*`, where that is more than a table's name.
pub(super) fn expansion(e: &ast::Expr) -> Option<(&ast::Expr, &[AccessExpr])> {
    let ast::Expr::CompoundFieldAccess { root, access_chain } = e else {
        return None;
    };
    match access_chain.split_last()? {
        (AccessExpr::Dot(ast::Expr::Identifier(i)), chain) if i.value == STAR => {
            Some((root, chain))
        }
        _ => None,
    }
}

fn plain_wildcard(o: &ast::WildcardAdditionalOptions) -> Result<()> {
    let plain = o.opt_ilike.is_none()
        && o.opt_exclude.is_none()
        && o.opt_except.is_none()
        && o.opt_replace.is_none()
        && o.opt_rename.is_none()
        && o.opt_alias.is_none();
    if plain {
        Ok(())
    } else {
        Err(syntax("syntax error after \"*\""))
    }
}

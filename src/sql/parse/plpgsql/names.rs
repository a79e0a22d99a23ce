//! What names mean to PL/pgSQL itself: variables, their fields, and the rows of a trigger.
//!
//! Owns: places to put a value, and labels. Never: resolves a name inside an expression; the binder does, with the same scopes.
//! Source: PostgreSQL 15, `pl_comp.c` (`plpgsql_ns_lookup`).

use super::{Into, Of, Reader, Scope, Side, Target, Variable, VariableType, syntax, too_complex};
use super::{VARIABLES_MAX, tree::Text};
use crate::parse::cursor::Cursor;
use sqlparser::tokenizer::Token;
use types::{Error, Result, SqlState};

impl<'a> Reader<'a> {
    /// `<<name>>`
    pub(super) fn label(&mut self) -> Result<Option<String>> {
        if !self.c.accept_token(&Token::ShiftLeft) {
            return Ok(None);
        }
        let name = self.c.name()?;
        self.c.expect_token(&Token::ShiftRight)?;
        Ok(Some(name))
    }

    /// Begins a scope inside of this one; answers the one around.
    pub(super) fn scope_begins(&mut self, label: Option<&String>) -> usize {
        let around = self.scope;
        self.scope = self.scopes.len();
        self.scopes.push(Scope {
            around: Some(around),
            label: label.cloned(),
            variables: Vec::new(),
            aliases: Vec::new(),
        });
        around
    }

    /// A variable of the scope; its number.
    pub(super) fn declare(&mut self, variable: Variable) -> Result<usize> {
        let number = self.variables.len();
        if number >= VARIABLES_MAX {
            return Err(too_complex());
        }
        self.variables.push(variable);
        if let Some(scope) = self.scopes.get_mut(self.scope) {
            scope.variables.push(number);
        }
        Ok(number)
    }

    /// One that no statement declares.
    pub(super) fn declare_own(&mut self, name: &str, ty: VariableType) -> Result<usize> {
        let line = self.c.line();
        self.declare(Variable {
            name: name.to_owned(),
            ty,
            constant: false,
            not_null: false,
            default: None,
            line,
        })
    }

    pub(super) fn is_declared_here(&self, name: &str) -> bool {
        let scope = self.scopes.get(self.scope);
        scope.is_some_and(|s| self.in_scope(s, name).is_some())
    }

    pub(super) fn variable_named(&self, name: &str) -> Option<usize> {
        let mut at = Some(self.scope);
        while let Some(scope) = at.and_then(|at| self.scopes.get(at)) {
            if let Some(found) = self.in_scope(scope, name) {
                return Some(found);
            }
            at = scope.around;
        }
        None
    }

    fn in_scope(&self, scope: &Scope, name: &str) -> Option<usize> {
        let own = |n: &&usize| self.variables.get(**n).is_some_and(|v| v.name == name);
        let alias = || scope.aliases.iter().find(|(alias, _)| alias == name);
        let found = scope.variables.iter().find(own).copied();
        found.or_else(|| alias().map(|(_, n)| *n))
    }

    /// `ALIAS FOR {$n | name}`: another name of a variable in the scope.
    pub(super) fn alias(&mut self, name: String) -> Result<()> {
        self.c.expect("alias")?;
        self.c.expect("for")?;
        let place = self.c.clone();
        let number = match self.c.peek() {
            Some(Token::Placeholder(n)) => {
                self.c.next();
                let n = n.trim_start_matches('$').parse::<usize>().ok();
                let args = match self.of {
                    Of::Function { args, .. } => args.len(),
                    Of::Trigger | Of::Block => 0,
                };
                // Behind FOUND.
                n.filter(|n| (1..=args).contains(n))
            }
            _ => {
                let of = self.c.name()?;
                self.variable_named(&of)
            }
        };
        let Some(number) = number else {
            return Err(place.error_of("variable does not exist"));
        };
        if let Some(scope) = self.scopes.get_mut(self.scope) {
            scope.aliases.push((name, number));
        }
        self.c.expect_token(&Token::SemiColon)
    }

    /// A variable by the label of its block.
    fn labelled(&self, label: &str, name: &str) -> Option<usize> {
        let mut at = Some(self.scope);
        while let Some(scope) = at.and_then(|at| self.scopes.get(at)) {
            if scope.label.as_deref() == Some(label) {
                return self.in_scope(scope, name);
            }
            at = scope.around;
        }
        None
    }

    /// What can be assigned to.
    pub(super) fn target(&mut self) -> Result<Target> {
        let mut c = self.c.clone();
        let target = self.target_at(&mut c);
        self.c = c;
        target
    }

    /// `name`, `row.field` or `label.name`.
    pub(super) fn target_at(&self, c: &mut Cursor<'a>) -> Result<Target> {
        let place = c.clone();
        let mut parts = vec![c.name()?];
        while c.accept_token(&Token::Period) {
            parts.push(c.name()?);
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let found = self.target_of(&parts);
        let Some(target) = found else {
            let shown = parts.join(".");
            let e = syntax(format!("\"{shown}\" is not a known variable"));
            return Err(match place.error().position() {
                Some(at) => e.at(at),
                None => e,
            });
        };
        if let Target::Variable(n) | Target::Field(n, _) = &target
            && let Some(v) = self.variables.get(*n).filter(|v| v.constant)
        {
            return Err(Error::new(
                SqlState::ERROR_IN_ASSIGNMENT,
                format!("variable \"{}\" is declared CONSTANT", v.name),
            ));
        }
        Ok(target)
    }

    fn target_of(&self, parts: &[&str]) -> Option<Target> {
        match *parts {
            [name] => match self.variable_named(name) {
                Some(n) => Some(Target::Variable(n)),
                None => self.side(name).map(Target::Side),
            },
            [first, second] => {
                if let Some(n) = self.variable_named(first).filter(|n| self.has_fields(*n)) {
                    return Some(Target::Field(n, second.to_owned()));
                }
                if let Some(side) = self.side(first) {
                    return Some(Target::Column(side, second.to_owned()));
                }
                self.labelled(first, second).map(Target::Variable)
            }
            [label, name, field] => {
                let n = self.labelled(label, name)?;
                self.has_fields(n)
                    .then(|| Target::Field(n, field.to_owned()))
            }
            _ => None,
        }
    }

    /// It may have: what its type is the binder knows.
    fn has_fields(&self, n: usize) -> bool {
        use VariableType::*;
        self.variables
            .get(n)
            .is_some_and(|v| !matches!(v.ty, Text | Int4 | Found))
    }

    fn side(&self, name: &str) -> Option<Side> {
        match (self.of, name) {
            (Of::Trigger, "new") => Some(Side::New),
            (Of::Trigger, "old") => Some(Side::Old),
            _ => None,
        }
    }

    /// Behind INTO.
    pub(super) fn destination(&self, c: &mut Cursor<'a>) -> Result<Into> {
        let strict = c.accept("strict");
        let mut targets = Vec::new();
        loop {
            targets.push(self.target_at(c)?);
            if !c.accept_token(&Token::Comma) {
                return Ok(Into { targets, strict });
            }
        }
    }

    /// Expressions with commas between, up to a token that ends them.
    pub(super) fn list(&mut self, mut c: Cursor<'a>) -> Result<Vec<Text>> {
        let mut out = Vec::new();
        loop {
            let mut element = c.element();
            if element.at_end() {
                return Err(c.error_of("missing expression"));
            }
            let sql = element.text(None);
            element.skip_all();
            out.push(self.text(sql));
            if !c.accept_token(&Token::Comma) {
                c.expect_end()?;
                return Ok(out);
            }
        }
    }
}

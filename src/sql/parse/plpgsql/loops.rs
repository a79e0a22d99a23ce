//! Loops, and what leaves them.
//!
//! Owns: LOOP, WHILE, FOR in its forms, FOREACH, EXIT and CONTINUE. Never: counts; the router does.
//! Source: PostgreSQL 15, `pl_gram.y` (`for_control`, `stmt_foreach_a`, `stmt_exit`).

use super::{Act, How, Into, Loop, Reader, Rows, Target, VariableType, syntax, word};
use crate::parse::cursor::Cursor;
use sqlparser::tokenizer::Token;
use types::{Error, Result};

impl<'a> Reader<'a> {
    /// `None`: it is no loop.
    pub(super) fn looped(&mut self, first: &str, label: Option<String>) -> Result<Option<Act>> {
        let around = self.scope;
        let how = match first {
            "loop" => How::Forever,
            "while" => {
                self.c.next();
                How::While(self.expression(|t| word(t, "loop"))?)
            }
            "for" => self.counted_or_rows(label.as_ref())?,
            "foreach" => self.each()?,
            _ => return Ok(None),
        };
        self.c.expect("loop")?;
        self.loops.push((label.clone(), true));
        let steps = self.steps(&["end"])?;
        self.loops.pop();
        self.c.expect("end")?;
        self.c.expect("loop")?;
        self.end_label(label.as_deref(), "block")?;
        self.ends()?;
        self.scope = around;
        Ok(Some(Act::Loop(Box::new(Loop { label, how, steps }))))
    }

    fn counted_or_rows(&mut self, label: Option<&String>) -> Result<How> {
        self.c.next();
        let names = self.c.piece(|t| word(t, "in"))?;
        self.c.expect("in")?;
        if self.c.accept("execute") {
            let into = self.row(names)?;
            let mut piece = self.c.piece(|t| word(t, "loop"))?;
            let (sql, using, _) = self.executed(&mut piece)?;
            let rows = Rows::Execute { sql, using };
            return Ok(How::Rows { into, rows });
        }
        let begun = self.c.clone();
        let piece = self.c.piece(|t| word(t, "loop"))?;
        let sql = piece.text(None);
        let mut ahead = begun;
        let reverse = ahead.is("reverse") && split(&sql, "..").is_some() && {
            ahead.next();
            true
        };
        let bounds = match reverse {
            true => sql.trim_start().get("reverse".len()..).unwrap_or_default(),
            false => sql.as_str(),
        };
        if let Some((from, rest)) = split(bounds, "..") {
            return self.counted(names, label, reverse, (from, rest));
        }
        if sql.is_empty() {
            return Err(self.c.error());
        }
        let into = self.row(names)?;
        if matches!(piece.rest(), [only] if matches!(only.token, Token::Word(_))) {
            return Err(Error::unsupported("cursors in PL/pgSQL are not supported")
                .with_hint("FOR … IN query LOOP goes through the rows of a query."));
        }
        let rows = Rows::Query(self.text(sql));
        Ok(How::Rows { into, rows })
    }

    fn counted(
        &mut self,
        mut names: Cursor<'a>,
        label: Option<&String>,
        reverse: bool,
        (from, rest): (&str, &str),
    ) -> Result<How> {
        let name = names.name()?;
        if names.peek() == Some(&Token::Comma) {
            return Err(syntax(
                "integer FOR loop must have only one target variable",
            ));
        }
        names.expect_end()?;
        let (to, by) = match split(rest, "by") {
            Some((to, by)) => (to, Some(by)),
            None => (rest, None),
        };
        for text in [Some(from), Some(to), by].into_iter().flatten() {
            if text.trim().is_empty() {
                return Err(self.c.error_of("missing expression"));
            }
        }
        // What it counts from and to does not see what it counts with.
        let from = self.text(from.trim().to_owned());
        let to = self.text(to.trim().to_owned());
        let by = by.map(|by| self.text(by.trim().to_owned()));
        self.scope_begins(label);
        let variable = self.declare_own(&name, VariableType::Int4)?;
        Ok(How::Count {
            variable,
            from,
            to,
            by,
            reverse,
        })
    }

    /// What the rows of a loop are put into.
    fn row(&self, mut names: Cursor<'a>) -> Result<Into> {
        let into = self.destination(&mut names).map_err(|e| {
            match e.message().ends_with("is not a known variable") {
                true => {
                    let message = "loop variable of loop over rows must be a record variable or list of scalar variables";
                    Error::new(types::SqlState::SYNTAX_ERROR, message)
                }
                false => e,
            }
        })?;
        names.expect_end()?;
        let scalar = |t: &Target| match t {
            Target::Variable(n) => self
                .variables
                .get(*n)
                .is_some_and(|v| matches!(v.ty, VariableType::Record | VariableType::RowOf(_))),
            _ => false,
        };
        if into.targets.len() > 1 && into.targets.iter().any(scalar) {
            return Err(syntax(
                "record variable cannot be part of multiple-item INTO list",
            ));
        }
        Ok(into)
    }

    /// `FOREACH target [SLICE n] IN ARRAY expression`
    fn each(&mut self) -> Result<How> {
        self.c.next();
        let to = self.target()?;
        if self.c.is("slice") {
            return Err(Error::unsupported("FOREACH … SLICE is not supported")
                .with_hint("There are no arrays of arrays."));
        }
        self.c.expect("in")?;
        self.c.expect("array")?;
        let array = self.expression(|t| word(t, "loop"))?;
        Ok(How::Each { to, array })
    }

    /// EXIT and CONTINUE.
    pub(super) fn leave(&mut self, exit: bool) -> Result<Act> {
        self.c.next();
        let label = match self.c.peek() {
            Some(Token::Word(_)) if !self.c.is("when") => Some(self.c.name()?),
            _ => None,
        };
        match &label {
            Some(label) => {
                let mut around = self.loops.iter().rev();
                match around.find(|(l, _)| l.as_ref() == Some(label)) {
                    Some((_, is_loop)) if exit || *is_loop => {}
                    Some(_) => {
                        return Err(syntax(format!(
                            "block label \"{label}\" cannot be used in CONTINUE"
                        )));
                    }
                    None => {
                        return Err(syntax(format!(
                            "there is no label \"{label}\" attached to any block or loop enclosing this statement"
                        )));
                    }
                }
            }
            None if !self.loops.iter().any(|(_, is_loop)| *is_loop) => {
                return Err(syntax(match exit {
                    true => "EXIT cannot be used outside a loop, unless it has a label",
                    false => "CONTINUE cannot be used outside a loop",
                }));
            }
            None => {}
        }
        let when = match self.c.accept("when") {
            true => Some(self.upto_semicolon()?),
            false => None,
        };
        self.ends()?;
        Ok(Act::Leave { exit, label, when })
    }
}

/// What is before and behind the first such word, or `..`, that is not in quotes or brackets.
fn split<'t>(text: &'t str, at: &str) -> Option<(&'t str, &'t str)> {
    let bytes = text.as_bytes();
    let (mut depth, mut quote) = (0usize, None);
    let part =
        |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_' || *b > 127);
    for (i, b) in bytes.iter().enumerate() {
        match (quote, b) {
            (Some(q), b) if *b == q => quote = None,
            (Some(_), _) => {}
            (None, b'\'' | b'"') => quote = Some(*b),
            (None, b'(' | b'[') => depth += 1,
            (None, b')' | b']') => depth = depth.saturating_sub(1),
            (None, _) if depth == 0 => {
                let found = bytes.get(i..i + at.len());
                let end = i + at.len();
                let whole = at == ".."
                    || !part(i.checked_sub(1).and_then(|i| bytes.get(i))) && !part(bytes.get(end));
                if whole && found.is_some_and(|f| f.eq_ignore_ascii_case(at.as_bytes())) {
                    return Some((text.get(..i)?, text.get(end..)?));
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn bounds_are_found_outside_of_quotes_and_brackets() {
        assert_eq!(split("1..10", ".."), Some(("1", "10")));
        assert_eq!(
            split("f('a..b')..n by 2", ".."),
            Some(("f('a..b')", "n by 2"))
        );
        assert_eq!(split("select (1..2)", ".."), None);
        assert_eq!(split("n by 2", "by"), Some(("n ", " 2")));
        assert_eq!(split("baby", "by"), None);
        assert_eq!(split("(select 1 order by 1)", "by"), None);
    }
}

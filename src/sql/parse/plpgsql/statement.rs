//! Statements of PL/pgSQL, and what of the language is refused.

use super::{Act, GIVEN, Into, Reader, Returned, Side, Step, Target, raise, too_complex, word};
use super::{DEPTH_MAX, STATEMENTS_MAX};
use crate::parse::cursor::Cursor;
use sqlparser::tokenizer::Token;
use types::{Error, Result, SqlState};

/// Statements that the language has and this server has not, as they are called, with a verb.
const REFUSED: [(&str, &str); 20] = [
    ("case", "CASE statements are"),
    ("loop", "loops are"),
    ("while", "loops are"),
    ("for", "loops are"),
    ("foreach", "loops are"),
    ("exit", "loops are"),
    ("continue", "loops are"),
    ("declare", "nested blocks are"),
    ("begin", "nested blocks are"),
    ("assert", "ASSERT is"),
    ("execute", "EXECUTE is"),
    ("get", "GET DIAGNOSTICS is"),
    ("open", "cursors are"),
    ("fetch", "cursors are"),
    ("move", "cursors are"),
    ("close", "cursors are"),
    ("call", "CALL is"),
    ("do", "DO is"),
    ("commit", "COMMIT is"),
    ("rollback", "ROLLBACK is"),
];

/// SQL that a body can have.
const SQL: [&str; 6] = ["select", "insert", "update", "delete", "merge", "with"];

/// SQL that a body cannot have.
const OTHER_SQL: [&str; 24] = [
    "alter",
    "analyze",
    "checkpoint",
    "cluster",
    "comment",
    "copy",
    "create",
    "deallocate",
    "discard",
    "drop",
    "explain",
    "grant",
    "import",
    "listen",
    "lock",
    "notify",
    "prepare",
    "refresh",
    "reindex",
    "reset",
    "revoke",
    "set",
    "truncate",
    "vacuum",
];

impl Reader<'_> {
    /// Statements up to one of these words, which is left.
    pub(super) fn steps(&mut self, ends: &[&str]) -> Result<Vec<Step>> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(too_complex());
        }
        let mut steps = Vec::new();
        while !ends.iter().any(|end| self.c.is(end)) {
            if self.c.at_end() {
                return Err(self.c.error());
            }
            self.statements += 1;
            if self.statements > STATEMENTS_MAX {
                return Err(too_complex());
            }
            let line = self.c.line();
            let act = self.act()?;
            steps.push(Step { line, act });
        }
        self.depth -= 1;
        Ok(steps)
    }

    fn act(&mut self) -> Result<Act> {
        if self.c.peek() == Some(&Token::ShiftLeft) {
            return Err(super::labels());
        }
        if let Some(assign) = self.assignment()? {
            return Ok(assign);
        }
        let Some(Token::Word(w)) = self.c.peek() else {
            return Err(self.c.error());
        };
        let first = match w.quote_style {
            None => w.value.to_ascii_lowercase(),
            Some(_) => return Err(self.c.error()),
        };
        if let Some((_, what)) = REFUSED.iter().find(|(word, _)| *word == first) {
            return Err(refused(what));
        }
        if SQL.contains(&first.as_str()) {
            return self.sql();
        }
        if OTHER_SQL.contains(&first.as_str()) {
            return Err(refused(&format!("{} is", first.to_ascii_uppercase())));
        }
        let act = match first.as_str() {
            "if" => return self.branches(),
            "null" => {
                self.c.next();
                Act::Nothing
            }
            "return" => Act::Return(self.returned()?),
            "raise" => {
                self.c.next();
                let piece = self.c.piece(|t| *t == Token::SemiColon)?;
                Act::Raise(Box::new(raise::read(piece)?))
            }
            "perform" => {
                self.c.next();
                let query = self.expression(|t| *t == Token::SemiColon)?;
                Act::Perform(query)
            }
            _ => return Err(self.c.error()),
        };
        self.c.expect_token(&Token::SemiColon)?;
        Ok(act)
    }

    /// `target {:= | =} expression;` `None` when it is another statement.
    fn assignment(&mut self) -> Result<Option<Act>> {
        let mut ahead = self.c.clone();
        let Some(Token::Word(_)) = ahead.next() else {
            return Ok(None);
        };
        if ahead.accept_token(&Token::Period) {
            ahead.next();
        }
        let subscript = ahead.peek() == Some(&Token::LBracket);
        if subscript {
            ahead.piece(|t| matches!(t, Token::Assignment | Token::Eq | Token::SemiColon))?;
        }
        if !ahead.accept_token(&Token::Assignment) && !ahead.accept_token(&Token::Eq) {
            return Ok(None);
        }
        if subscript {
            return Err(
                Error::unsupported("assigning to an element of an array is not supported")
                    .with_hint("Assign the whole array."),
            );
        }
        let begun = self.c.clone();
        let to = self.target()?;
        self.c.next();
        let value = self.expression(|t| *t == Token::SemiColon)?;
        let shown = begun.text(Some(&self.c));
        self.c.expect_token(&Token::SemiColon)?;
        Ok(Some(Act::Assign { to, value, shown }))
    }

    /// What can be assigned to.
    fn target(&mut self) -> Result<Target> {
        target(&mut self.c, &self.variables)
    }

    fn branches(&mut self) -> Result<Act> {
        let mut branches = Vec::new();
        let mut otherwise = Vec::new();
        self.c.next();
        loop {
            let condition = self.expression(|t| word(t, "then") || *t == Token::SemiColon)?;
            self.c.expect("then")?;
            let steps = self.steps(&["elsif", "elseif", "else", "end"])?;
            branches.push((condition, steps));
            if !self.c.accept("elsif") && !self.c.accept("elseif") {
                break;
            }
        }
        if self.c.accept("else") {
            otherwise = self.steps(&["end"])?;
        }
        self.c.expect("end")?;
        self.c.expect("if")?;
        self.c.expect_token(&Token::SemiColon)?;
        Ok(Act::If {
            branches,
            otherwise,
        })
    }

    fn returned(&mut self) -> Result<Returned> {
        self.c.next();
        if self.c.is("next") || self.c.is("query") {
            return Err(refused("RETURN NEXT and RETURN QUERY are"));
        }
        let mut piece = self.c.piece(|t| *t == Token::SemiColon)?;
        if piece.at_end() {
            return Err(self.c.error_of("missing expression"));
        }
        while piece.accept_token(&Token::LParen) {}
        let returned = if piece.accept("null") {
            Some(Returned::Null)
        } else if piece.accept("coalesce") {
            piece.expect_token(&Token::LParen)?;
            let first = side(&mut piece);
            piece.expect_token(&Token::Comma)?;
            first
                .zip(side(&mut piece))
                .map(|(a, b)| Returned::Either(a, b))
        } else {
            side(&mut piece).map(Returned::Row)
        };
        while piece.accept_token(&Token::RParen) {}
        match returned {
            Some(returned) if piece.at_end() => Ok(returned),
            _ => Err(Error::unsupported(
                "RETURN of anything but NEW, OLD and NULL is not supported",
            )
            .with_hint("Assign to columns of NEW, and return it.")),
        }
    }

    /// A statement in SQL, without its INTO.
    fn sql(&mut self) -> Result<Act> {
        let piece = self.c.piece(|t| *t == Token::SemiColon)?;
        self.c.expect_token(&Token::SemiColon)?;
        let begun = piece.clone();
        let mut c = piece;
        let (mut depth, mut before) = (0usize, String::new());
        while let Some(token) = c.peek() {
            match token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                _ if depth == 0
                    && word(token, "into")
                    && !matches!(before.as_str(), "insert" | "merge") =>
                {
                    let head = begun.text(Some(&c));
                    c.next();
                    let into = self.destination(&mut c)?;
                    let sql = format!("{head} {}", c.text(None));
                    return Ok(Act::Run {
                        sql: sql.trim_end().to_owned(),
                        into: Some(into),
                    });
                }
                _ => {}
            }
            before = match token {
                Token::Word(w) => w.value.to_ascii_lowercase(),
                _ => String::new(),
            };
            c.next();
        }
        Ok(Act::Run {
            sql: begun.text(None),
            into: None,
        })
    }

    fn destination(&self, c: &mut Cursor) -> Result<Into> {
        let strict = c.accept("strict");
        let mut targets = Vec::new();
        loop {
            targets.push(target(c, &self.variables)?);
            if !c.accept_token(&Token::Comma) {
                return Ok(Into { targets, strict });
            }
        }
    }
}

/// A place to put a value.
fn target(c: &mut Cursor, variables: &[super::Variable]) -> Result<Target> {
    let place = c.clone();
    if let Some(side) = side(c) {
        if !c.accept_token(&Token::Period) {
            return Err(Error::unsupported("assigning a whole row is not supported")
                .with_hint("Assign to its columns."));
        }
        return Ok(Target::Column(side, c.name()?));
    }
    let name = c.name()?;
    if name == "found" {
        return Ok(Target::Found);
    }
    let at = variables.iter().position(|v| v.name == name);
    match at {
        Some(at) if !variables.get(at).is_some_and(|v| v.constant) => Ok(Target::Variable(at)),
        None if !GIVEN.contains(&name.as_str()) => {
            let e = Error::new(
                SqlState::SYNTAX_ERROR,
                format!("\"{name}\" is not a known variable"),
            );
            Err(match place.error().position() {
                Some(at) => e.at(at),
                None => e,
            })
        }
        _ => Err(Error::new(
            SqlState::ERROR_IN_ASSIGNMENT,
            format!("variable \"{name}\" is declared CONSTANT"),
        )),
    }
}

fn side(c: &mut Cursor) -> Option<Side> {
    if c.accept("new") {
        Some(Side::New)
    } else if c.accept("old") {
        Some(Side::Old)
    } else {
        None
    }
}

fn refused(what: &str) -> Error {
    Error::unsupported(format!("{what} not supported in PL/pgSQL")).with_hint(
        "There are assignments, IF, RAISE, RETURN, PERFORM, SELECT … INTO, INSERT, UPDATE, DELETE and MERGE.",
    )
}

//! Statements of PL/pgSQL, and what of the language is refused.

use super::{Act, Into, Of, Reader, Returned, Rows, Side, Step, Text};
use super::{
    DEPTH_MAX, STATEMENTS_MAX, VariableType, diagnostics, raise, syntax, too_complex, word,
};
use crate::parse::cursor::Cursor;
use sqlparser::tokenizer::Token;
use types::{Error, Result};

/// Statements that the language has and this server has not, as they are called, with a verb and what there is instead.
const REFUSED: [(&str, &str, &str); 9] = [
    ("open", "cursors are", FOR_ROWS),
    ("fetch", "cursors are", FOR_ROWS),
    ("move", "cursors are", FOR_ROWS),
    ("close", "cursors are", FOR_ROWS),
    ("commit", "COMMIT is", CLIENTS),
    ("rollback", "ROLLBACK is", CLIENTS),
    ("savepoint", "SAVEPOINT is", BLOCKS),
    ("release", "RELEASE is", BLOCKS),
    ("copy", "COPY is", "Send it from the client."),
];
const FOR_ROWS: &str = "FOR … IN query LOOP goes through the rows of a query.";
const CLIENTS: &str = "Transactions are begun and ended by the client.";
const BLOCKS: &str = "A block with EXCEPTION takes back what it has done when it fails.";

/// SQL that may have an INTO.
const ROWS: [&str; 7] = [
    "select", "insert", "update", "delete", "merge", "with", "explain",
];

/// Other SQL.
const SQL: [&str; 25] = [
    "alter",
    "analyze",
    "cluster",
    "comment",
    "create",
    "deallocate",
    "discard",
    "do",
    "drop",
    "grant",
    "import",
    "listen",
    "lock",
    "notify",
    "prepare",
    "reassign",
    "refresh",
    "reindex",
    "reset",
    "revoke",
    "security",
    "set",
    "show",
    "truncate",
    "vacuum",
];

impl<'a> Reader<'a> {
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
        let label = self.label()?;
        if label.is_none()
            && let Some(assign) = self.assignment()?
        {
            return Ok(assign);
        }
        let Some(Token::Word(w)) = self.c.peek() else {
            return Err(self.c.error());
        };
        let first = match w.quote_style {
            None => w.value.to_ascii_lowercase(),
            Some(_) => return Err(self.c.error()),
        };
        if let "declare" | "begin" = first.as_str() {
            let line = self.c.line();
            let block = self.block(label, line)?;
            self.ends()?;
            return Ok(Act::Block(Box::new(block)));
        }
        if let Some(found) = self.looped(&first, label.clone())? {
            return Ok(found);
        }
        if label.is_some() {
            return Err(self.c.error());
        }
        if let Some((_, what, hint)) = REFUSED.iter().find(|(word, ..)| *word == first) {
            return Err(refused(what, hint));
        }
        if ROWS.contains(&first.as_str()) {
            return self.sql();
        }
        if SQL.contains(&first.as_str()) {
            let sql = self.upto_semicolon()?;
            self.ends()?;
            return Ok(Act::Run { sql, into: None });
        }
        self.controlled(&first)
    }

    fn controlled(&mut self, first: &str) -> Result<Act> {
        let act = match first {
            "if" => return self.branches(),
            "case" => return self.case(),
            "exit" | "continue" => return self.leave(first == "exit"),
            "return" => return self.returned(),
            "null" => {
                self.c.next();
                Act::Nothing
            }
            "raise" => {
                self.c.next();
                self.raised()?
            }
            "perform" => {
                self.c.next();
                Act::Perform(self.upto_semicolon()?)
            }
            "call" => Act::Call(self.upto_semicolon()?),
            "assert" => self.assert()?,
            "get" => self.diagnostics()?,
            "execute" => {
                self.c.next();
                let mut piece = self.c.piece(|t| *t == Token::SemiColon)?;
                let (sql, using, into) = self.executed(&mut piece)?;
                Act::Execute { sql, using, into }
            }
            _ => return Err(self.c.error()),
        };
        self.ends()?;
        Ok(act)
    }

    /// `target {:= | =} expression;` `None` when it is another statement.
    fn assignment(&mut self) -> Result<Option<Act>> {
        let mut ahead = self.c.clone();
        let Some(Token::Word(_)) = ahead.next() else {
            return Ok(None);
        };
        while ahead.accept_token(&Token::Period) {
            ahead.next();
        }
        let part = matches!(ahead.peek(), Some(Token::LBracket));
        if part {
            ahead.piece(|t| matches!(t, Token::Assignment | Token::Eq | Token::SemiColon))?;
        }
        if !ahead.accept_token(&Token::Assignment) && !ahead.accept_token(&Token::Eq) {
            return Ok(None);
        }
        let begun = self.c.clone();
        let to = self.target()?;
        let inside = match part {
            true => self
                .c
                .piece(|t| matches!(t, Token::Assignment | Token::Eq))?
                .text(None),
            false => String::new(),
        };
        self.c.next();
        let mut value = self.upto_semicolon()?;
        if part {
            value.sql = format!("UPDATE t SET a{inside} = {}", value.sql);
        }
        let shown = begun.text(Some(&self.c));
        self.ends()?;
        Ok(Some(Act::Assign {
            to,
            value,
            part,
            shown,
        }))
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
        self.ends()?;
        Ok(Act::If {
            branches,
            otherwise,
        })
    }

    /// `CASE [value] WHEN … THEN … [ELSE …] END CASE;`
    fn case(&mut self) -> Result<Act> {
        self.c.next();
        let around = self.scope;
        let subject = match self.c.is("when") {
            true => None,
            false => {
                let value = self.expression(|t| word(t, "when") || *t == Token::SemiColon)?;
                self.scope_begins(None);
                let name = format!("__Case__Variable_{}__", self.variables.len());
                Some((
                    name.clone(),
                    self.declare_own(&name, VariableType::Found)?,
                    value,
                ))
            }
        };
        let mut branches = Vec::new();
        while self.c.accept("when") {
            let mut condition = self.expression(|t| word(t, "then") || *t == Token::SemiColon)?;
            if let Some((name, ..)) = &subject {
                condition.sql = format!("\"{name}\" IN ({})", condition.sql);
            }
            self.c.expect("then")?;
            let steps = self.steps(&["when", "else", "end"])?;
            branches.push((condition, steps));
        }
        if branches.is_empty() {
            return Err(self.c.error());
        }
        let otherwise = match self.c.accept("else") {
            true => Some(self.steps(&["end"])?),
            false => None,
        };
        self.scope = around;
        self.c.expect("end")?;
        self.c.expect("case")?;
        self.ends()?;
        Ok(Act::Case {
            subject: subject.map(|(_, number, value)| (number, value)),
            branches,
            otherwise,
        })
    }

    fn returned(&mut self) -> Result<Act> {
        self.c.next();
        let is_set = matches!(self.of, Of::Function { set: true, .. });
        if self.c.is("next") || self.c.is("query") {
            if !is_set {
                let what = if self.c.is("next") { "NEXT" } else { "QUERY" };
                return Err(Error::new(
                    types::SqlState::DATATYPE_MISMATCH,
                    format!("cannot use RETURN {what} in a non-SETOF function"),
                ));
            }
            return self.returned_rows();
        }
        if self.c.peek() == Some(&Token::SemiColon) {
            if let Of::Trigger | Of::Function { value: true, .. } = self.of {
                return Err(self.c.error_of("missing expression"));
            }
            self.ends()?;
            return Ok(Act::Return(Returned::Nothing));
        }
        if is_set {
            return Err(Error::new(
                types::SqlState::DATATYPE_MISMATCH,
                "RETURN cannot have a parameter in function returning set",
            )
            .with_hint("Use RETURN NEXT or RETURN QUERY."));
        }
        let piece = self.c.clone().piece(|t| *t == Token::SemiColon)?;
        let returned = match self.of {
            Of::Trigger => side_returned(piece),
            _ => None,
        };
        let value = self.upto_semicolon()?;
        self.ends()?;
        Ok(Act::Return(returned.unwrap_or(Returned::Value(value))))
    }

    /// RETURN NEXT and RETURN QUERY.
    fn returned_rows(&mut self) -> Result<Act> {
        if self.c.accept("next") {
            let value = match self.c.peek() {
                Some(Token::SemiColon) => None,
                _ => Some(self.upto_semicolon()?),
            };
            self.ends()?;
            return Ok(Act::ReturnNext(value));
        }
        self.c.next();
        let rows = match self.c.accept("execute") {
            true => {
                let mut piece = self.c.piece(|t| *t == Token::SemiColon)?;
                let (sql, using, into) = self.executed(&mut piece)?;
                if into.is_some() {
                    return Err(syntax("syntax error at or near \"into\""));
                }
                Rows::Execute { sql, using }
            }
            false => Rows::Query(self.upto_semicolon()?),
        };
        self.ends()?;
        Ok(Act::ReturnQuery(rows))
    }

    fn raised(&mut self) -> Result<Act> {
        let piece = self.c.piece(|t| *t == Token::SemiColon)?;
        if piece.at_end() {
            return Ok(Act::Reraise);
        }
        let raise = raise::read(piece, &mut |sql| self.text(sql))?;
        Ok(Act::Raise(Box::new(raise)))
    }

    fn assert(&mut self) -> Result<Act> {
        self.c.next();
        let condition = self.expression(|t| matches!(t, Token::Comma | Token::SemiColon))?;
        let message = match self.c.accept_token(&Token::Comma) {
            true => Some(self.upto_semicolon()?),
            false => None,
        };
        Ok(Act::Assert { condition, message })
    }

    /// `GET [CURRENT | STACKED] DIAGNOSTICS target {:= | =} item, …`
    fn diagnostics(&mut self) -> Result<Act> {
        self.c.next();
        let stacked = self.c.accept("stacked");
        if !stacked {
            self.c.accept("current");
        }
        self.c.expect("diagnostics")?;
        if stacked && self.caught == 0 {
            return Err(Error::new(
                types::SqlState(*b"0Z002"),
                "GET STACKED DIAGNOSTICS cannot be used outside an exception handler",
            ));
        }
        let mut items = Vec::new();
        loop {
            let to = self.target()?;
            if !self.c.accept_token(&Token::Assignment) {
                self.c.expect_token(&Token::Eq)?;
            }
            items.push((to, diagnostics::item(&mut self.c, stacked)?));
            if !self.c.accept_token(&Token::Comma) {
                return Ok(Act::Diagnostics { stacked, items });
            }
        }
    }

    /// `text [INTO …] [USING …]`, in any order, of EXECUTE.
    pub(super) fn executed(
        &mut self,
        c: &mut Cursor<'a>,
    ) -> Result<(Text, Vec<Text>, Option<Into>)> {
        let ends = |t: &Token| word(t, "into") || word(t, "using");
        let head = upto(c, ends);
        if head.at_end() {
            return Err(self.c.error_of("missing expression"));
        }
        let sql = self.text(head.text(None));
        let (mut using, mut into) = (Vec::new(), None);
        while !c.at_end() {
            if c.accept("into") && into.is_none() {
                into = Some(self.destination(c)?);
            } else if c.accept("using") && using.is_empty() {
                let list = upto(c, ends);
                using = self.list(list)?;
            } else {
                return Err(c.error());
            }
        }
        Ok((sql, using, into))
    }

    /// A statement in SQL, without its INTO.
    fn sql(&mut self) -> Result<Act> {
        let mut c = self.c.piece(|t| *t == Token::SemiColon)?;
        self.ends()?;
        let begun = c.clone();
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
                        sql: self.text(sql.trim_end().to_owned()),
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
            sql: self.text(begun.text(None)),
            into: None,
        })
    }
}

/// A reader of what there is up to a token that ends it, or to the end.
fn upto<'a>(c: &mut Cursor<'a>, ends: impl Fn(&Token) -> bool) -> Cursor<'a> {
    match c.piece(ends) {
        Ok(piece) => piece,
        Err(_) => {
            let whole = c.clone();
            c.skip_all();
            whole
        }
    }
}

/// What the function of a trigger most often returns.
fn side_returned(mut piece: Cursor) -> Option<Returned> {
    while piece.accept_token(&Token::LParen) {}
    let returned = if piece.accept("null") {
        Returned::Null
    } else if piece.accept("coalesce") {
        piece.expect_token(&Token::LParen).ok()?;
        let first = side(&mut piece)?;
        piece.expect_token(&Token::Comma).ok()?;
        Returned::Either(first, side(&mut piece)?)
    } else {
        Returned::Row(side(&mut piece)?)
    };
    while piece.accept_token(&Token::RParen) {}
    piece.at_end().then_some(returned)
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

fn refused(what: &str, hint: &str) -> Error {
    Error::unsupported(format!("{what} not supported in PL/pgSQL")).with_hint(hint)
}

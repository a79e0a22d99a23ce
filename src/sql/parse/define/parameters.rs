//! Storage parameters, and what else ALTER TABLE says of how rows are stored, sampled or told to replicas.
//!
//! Owns: their form, and the values that are wrong for any table. Never: knows which parameters there are (`bind::ddl` does).
//! Source: PostgreSQL 15, `gram.y` (`reloptions`, `alter_table_cmd`).

use super::super::cursor::Cursor;
use sqlparser::ast::{Expr, Ident, Value};
use sqlparser::tokenizer::Token;
use types::{Error, Result, SqlState};

/// `[namespace.]name [= value]`
#[derive(Debug)]
pub(crate) struct Parameter {
    pub namespace: Option<String>,
    pub name: String,
    /// As PostgreSQL would keep it.
    pub value: Option<String>,
}

/// What is said of storage and asks nothing of this server once it is known to be right.
#[derive(Debug)]
pub(crate) enum Storage {
    /// SET and RESET (…).
    Set(Vec<Parameter>),
    Reset(Vec<Parameter>),
    /// REPLICA IDENTITY USING INDEX.
    Identity(Ident),
    /// SET STORAGE of a column.
    Kept(String),
    /// SET ACCESS METHOD and SET TABLESPACE.
    Place(Option<String>, Option<String>),
    /// Another, or why it is wrong.
    Other(Result<()>),
}

/// `(name = value, …)`
pub(super) fn list(c: &mut Cursor) -> Result<Vec<Parameter>> {
    c.expect_token(&Token::LParen)?;
    let mut out = Vec::new();
    loop {
        let (mut namespace, mut name) = (None, c.name()?);
        if c.accept_token(&Token::Period) {
            namespace = Some(std::mem::replace(&mut name, c.name()?));
        }
        let value = match c.accept_token(&Token::Eq) {
            true => Some(value(c)?),
            false => None,
        };
        out.push(Parameter {
            namespace,
            name,
            value,
        });
        if !c.accept_token(&Token::Comma) {
            break;
        }
    }
    c.expect_token(&Token::RParen)?;
    Ok(out)
}

impl Parameter {
    /// One of CREATE INDEX, as the grammar crate reads it.
    pub(crate) fn of(key: &Ident, value: &Expr) -> Option<Parameter> {
        let value = match value {
            Expr::Value(v) => match &v.value {
                Value::Number(n, _) => n.clone(),
                Value::SingleQuotedString(s) => s.clone(),
                Value::Boolean(b) => b.to_string(),
                _ => return None,
            },
            Expr::Identifier(i) => crate::bind::names::ident(i),
            Expr::UnaryOp { .. } => value.to_string(),
            _ => return None,
        };
        Some(Parameter {
            namespace: None,
            name: crate::bind::names::ident(key),
            value: Some(value),
        })
    }
}

fn value(c: &mut Cursor) -> Result<String> {
    let minus = c.accept_token(&Token::Minus);
    if !minus {
        c.accept_token(&Token::Plus);
    }
    match c.peek() {
        Some(Token::Number(n, _)) => {
            c.next();
            Ok(if minus { format!("-{n}") } else { n.clone() })
        }
        Some(Token::SingleQuotedString(_)) if !minus => c.string(),
        Some(Token::Word(_)) if !minus => c.name(),
        _ => Err(c.error()),
    }
}

/// SET, RESET and their like, where they are about storage; `None` where they are about something else.
pub(super) fn storage(c: &mut Cursor) -> Result<Option<Storage>> {
    let in_parentheses = c.peek_second() == Some(&Token::LParen);
    if in_parentheses && (c.is("set") || c.is("reset")) {
        let set = c.is("set");
        c.next();
        let list = list(c)?;
        return Ok(Some(match set {
            true => Storage::Set(list),
            false => Storage::Reset(list),
        }));
    }
    if c.is("replica") && c.second_is("identity") {
        return identity(c).map(Some);
    }
    // Whoever may do everything is bound by no policy, and there is nobody else.
    if (c.is("enable") || c.is("disable")) && c.second_is("row") {
        c.skip_all();
        return Ok(Some(Storage::Other(Ok(()))));
    }
    if !c.is("set") {
        return Ok(None);
    }
    if c.second_is("tablespace") || c.second_is("access") {
        c.next();
        if c.accept("access") {
            c.expect("method")?;
            return c.name().map(|m| Some(Storage::Place(Some(m), None)));
        }
        c.next();
        return c.name().map(|t| Some(Storage::Place(None, Some(t))));
    }
    let words = [
        "statistics",
        "storage",
        "compression",
        "logged",
        "unlogged",
        "without",
    ];
    let Some(word) = words.iter().find(|w| c.second_is(w)) else {
        return Ok(None);
    };
    c.next();
    c.next();
    let checked = match *word {
        "statistics" => statistics(c)?,
        "storage" => return storage_word(c).map(|w| Some(Storage::Kept(w))),
        "compression" => one_of(c, "compression method", &["pglz", "lz4", "default"])?,
        "without" => {
            if !c.accept("cluster") {
                c.expect("oids")?;
            }
            Ok(())
        }
        _ => Ok(()),
    };
    Ok(Some(Storage::Other(checked)))
}

fn identity(c: &mut Cursor) -> Result<Storage> {
    c.next();
    c.next();
    if c.accept("using") {
        c.expect("index")?;
        return c.ident().map(Storage::Identity);
    }
    match c.accept("nothing") || c.accept("full") || c.accept("default") {
        true => Ok(Storage::Other(Ok(()))),
        false => Err(c.error()),
    }
}

/// How much ANALYZE looks at, -1 for what it does by itself.
fn statistics(c: &mut Cursor) -> Result<Result<()>> {
    let place = c.clone();
    let written = value(c)?;
    let n: i64 = written.parse().map_err(|_| place.error())?;
    Ok(match n {
        ..=-2 => Err(wrong(format!("statistics target {n} is too low"))),
        _ => Ok(()),
    })
}

fn storage_word(c: &mut Cursor) -> Result<String> {
    match c.peek() {
        Some(Token::SingleQuotedString(_)) => c.string(),
        _ => c.name(),
    }
}

fn one_of(c: &mut Cursor, what: &str, known: &[&str]) -> Result<Result<()>> {
    let word = storage_word(c)?;
    Ok(match known.contains(&word.to_lowercase().as_str()) {
        true => Ok(()),
        false => Err(wrong(format!("invalid {what} \"{word}\""))),
    })
}

fn wrong(message: String) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

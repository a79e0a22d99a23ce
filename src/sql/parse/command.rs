//! Commands read by hand from the token stream: those the grammar crate reads otherwise than PostgreSQL, or not at all.
//!
//! Owns: transaction control, prepared statements, EXPLAIN, and the list of commands that are refused by name. Never: reads an expression itself (the grammar crate's parser is asked for those).
//! Source: PostgreSQL 15 manual, part VI.

use super::cursor::Cursor;
use super::{Command, copy, define, maintenance, portals, settings};
use crate::statement::{Discard, Isolation};
use sqlparser::ast;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;
use types::{Error, Result, SqlState};

/// `None`: not a command of this list; the tokens go to the grammar crate.
pub(super) fn read(c: &mut Cursor, text: &str) -> Result<Option<Command>> {
    let Some(Token::Word(first)) = c.peek() else {
        return Ok(None);
    };
    if first.quote_style.is_some() {
        return Ok(None);
    }
    let word = first.value.to_ascii_lowercase();
    if let Some(refused) = refusal(&word, c) {
        return Ok(Some(Command::Refused(refused)));
    }
    if word == "create" {
        let Some(definition) = define::create(c, text)? else {
            return Ok(None);
        };
        c.expect_end()?;
        return Ok(Some(Command::Define(Box::new(definition))));
    }
    let define = match word.as_str() {
        "alter" => Some(define::alter as fn(&mut Cursor) -> Result<define::Definition>),
        "drop" => Some(define::drop as _),
        "truncate" => Some(define::truncate as _),
        "comment" => Some(define::comment as _),
        "refresh" => Some(define::refresh as _),
        "reindex" => Some(define::reindex as _),
        _ => None,
    };
    if let Some(define) = define {
        let definition = define(c)?;
        c.expect_end()?;
        return Ok(Some(Command::Define(Box::new(definition))));
    }
    let read = match word.as_str() {
        "begin" | "start" => begin,
        "commit" | "end" => commit,
        "rollback" | "abort" => rollback,
        "savepoint" => savepoint,
        "release" => release,
        "set" => settings::set,
        "show" => settings::show,
        "reset" => settings::reset,
        "discard" => discard,
        "deallocate" => deallocate,
        "explain" => super::explain::explain,
        "copy" => copy::read,
        "vacuum" => maintenance::vacuum,
        "analyze" | "analyse" => maintenance::analyze,
        "lock" => maintenance::lock,
        "checkpoint" => maintenance::checkpoint,
        "backup" => maintenance::backup,
        "declare" => portals::declare,
        "fetch" | "move" => portals::fetch,
        "close" => portals::close,
        "listen" => listen,
        "notify" => notify,
        "unlisten" => unlisten,
        "do" => block,
        "call" => call,
        "prepare" => return prepare(c, text).map(Some),
        _ => return Ok(None),
    };
    let command = read(c)?;
    c.expect_end()?;
    Ok(Some(command))
}

/// What is not there, refused by its name whatever follows.
fn refusal(word: &str, c: &Cursor) -> Option<Error> {
    let second = match c.peek_second() {
        Some(Token::Word(w)) => w.value.to_ascii_lowercase(),
        _ => String::new(),
    };
    let unsupported = |what: String| Some(Error::unsupported(format!("{what} is not supported")));
    match word {
        "grant" | "revoke" | "cluster" | "security" | "import" | "reassign" | "load" => {
            unsupported(word.to_ascii_uppercase())
        }
        "prepare" | "commit" if matches!(second.as_str(), "transaction" | "prepared") => {
            // PREPARE TRANSACTION 'x'; but COMMIT TRANSACTION is a plain COMMIT.
            if word == "commit" && second == "transaction" {
                return None;
            }
            Some(Error::unsupported(
                "two-phase commit by the client is not supported",
            ))
        }
        _ => None,
    }
}

fn begin(c: &mut Cursor) -> Result<Command> {
    let start = c.accept("start");
    if start {
        c.expect("transaction")?;
    } else {
        c.expect("begin")?;
        let _ = c.accept("work") || c.accept("transaction");
    }
    let (isolation, read_only) = modes(c)?;
    Ok(Command::Begin {
        start,
        isolation,
        read_only,
    })
}

/// `DO [LANGUAGE name] 'text'`, in any order.
fn block(c: &mut Cursor) -> Result<Command> {
    c.expect("do")?;
    let (mut language, mut body) = (None, None);
    while !c.at_end() {
        if language.is_none() && c.accept("language") {
            language = Some(match c.peek() {
                Some(Token::SingleQuotedString(_)) => c.string()?.to_lowercase(),
                _ => c.name()?,
            });
        } else if body.is_none() {
            body = Some(c.string()?);
        } else {
            return Err(c.error());
        }
    }
    let refused =
        |state: SqlState, message: String| Ok(Command::Refused(Error::new(state, message)));
    match (language.as_deref(), body) {
        (_, None) => Err(Error::new(
            SqlState::SYNTAX_ERROR,
            "no inline code specified",
        )),
        (None | Some("plpgsql"), Some(body)) => Ok(Command::Do { body: body.into() }),
        (Some(name @ ("sql" | "c" | "internal")), _) => refused(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("language \"{name}\" does not support inline code execution"),
        ),
        (Some(name), _) => refused(
            SqlState::UNDEFINED_OBJECT,
            format!("language \"{name}\" does not exist"),
        ),
    }
}

/// `CALL name(…)`
fn call(c: &mut Cursor) -> Result<Command> {
    c.expect("call")?;
    let place = c.clone();
    match c.sub(|p: &mut Parser<'static>| p.parse_expr())? {
        ast::Expr::Function(f) => Ok(Command::Call(Box::new(f))),
        _ => Err(place.error()),
    }
}

/// Transaction modes up to the end, commas optional.
pub(super) fn modes(c: &mut Cursor) -> Result<(Option<Isolation>, Option<bool>)> {
    let (mut isolation, mut read_only) = (None, None);
    while !c.at_end() {
        if c.accept("isolation") {
            c.expect("level")?;
            isolation = Some(isolation_level(c)?);
        } else if c.accept("read") {
            read_only = Some(if c.accept("only") {
                true
            } else {
                c.expect("write")?;
                false
            });
        } else {
            // Deferrable only matters to serializable read-only transactions that would wait; none waits here.
            let _ = c.accept("not");
            c.expect("deferrable")?;
        }
        if c.accept_token(&Token::Comma) && c.at_end() {
            return Err(c.error());
        }
    }
    Ok((isolation, read_only))
}

fn isolation_level(c: &mut Cursor) -> Result<Isolation> {
    if c.accept("serializable") {
        return Ok(Isolation::Serializable);
    }
    if c.accept("repeatable") {
        c.expect("read")?;
        return Ok(Isolation::RepeatableRead);
    }
    c.expect("read")?;
    if !c.accept("uncommitted") {
        c.expect("committed")?;
    }
    Ok(Isolation::ReadCommitted)
}

fn commit(c: &mut Cursor) -> Result<Command> {
    c.next();
    Ok(Command::Commit {
        chain: end_of_transaction(c)?,
    })
}

fn rollback(c: &mut Cursor) -> Result<Command> {
    let abort = c.is("abort");
    c.next();
    let chain = end_of_transaction(c)?;
    if !abort && !chain && c.accept("to") {
        c.accept("savepoint");
        return Ok(Command::RollbackTo { name: c.name()? });
    }
    Ok(Command::Rollback { chain })
}

fn savepoint(c: &mut Cursor) -> Result<Command> {
    c.next();
    Ok(Command::Savepoint { name: c.name()? })
}

fn release(c: &mut Cursor) -> Result<Command> {
    c.next();
    c.accept("savepoint");
    Ok(Command::Release { name: c.name()? })
}

/// Whether it says AND CHAIN.
fn end_of_transaction(c: &mut Cursor) -> Result<bool> {
    let _ = c.accept("work") || c.accept("transaction");
    if c.accept("and") {
        let no = c.accept("no");
        c.expect("chain")?;
        return Ok(!no);
    }
    Ok(false)
}

fn discard(c: &mut Cursor) -> Result<Command> {
    c.next();
    let what = match c.name()?.as_str() {
        "all" => Discard::All,
        "plans" => Discard::Plans,
        "sequences" => Discard::Sequences,
        "temp" | "temporary" => Discard::Temp,
        _ => {
            return Err(Error::new(
                SqlState::SYNTAX_ERROR,
                "syntax error in DISCARD",
            ));
        }
    };
    Ok(Command::Discard(what))
}

fn deallocate(c: &mut Cursor) -> Result<Command> {
    c.next();
    if c.is("prepare") && c.peek_second().is_some() {
        c.next();
    }
    if c.accept("all") {
        return Ok(Command::Deallocate { name: None });
    }
    let name = Some(c.name()?);
    Ok(Command::Deallocate { name })
}

fn prepare(c: &mut Cursor, text: &str) -> Result<Command> {
    c.next();
    let name = c.name()?;
    let mut types = Vec::new();
    if c.accept_token(&Token::LParen) {
        loop {
            types.push(c.data_type()?);
            if !c.accept_token(&Token::Comma) {
                break;
            }
        }
        c.expect_token(&Token::RParen)?;
    }
    c.expect("as")?;
    let may_be = [
        "select", "values", "table", "with", "insert", "update", "delete", "merge",
    ];
    if c.peek() != Some(&Token::LParen) && !may_be.iter().any(|word| c.is(word)) {
        return Err(c.error());
    }
    let text = c.rest_of(text).into();
    Ok(Command::Prepare { name, types, text })
}

/// An optional boolean after an option's name; nothing means true.
pub(super) fn boolean(c: &mut Cursor, option: &str) -> Result<bool> {
    let text = match c.peek() {
        None | Some(Token::Comma | Token::RParen) => return Ok(true),
        Some(Token::Number(n, _)) => {
            let n = n.clone();
            c.next();
            n
        }
        Some(Token::Word(_)) => c.name()?,
        _ => c.string()?.to_ascii_lowercase(),
    };
    match text.as_str() {
        "on" | "true" | "1" => Ok(true),
        "off" | "false" | "0" => Ok(false),
        _ => Err(Error::new(
            SqlState::SYNTAX_ERROR,
            format!("{option} requires a Boolean value"),
        )),
    }
}

/// A string, or NULL.
pub(super) fn string_or_null(c: &mut Cursor) -> Result<Option<String>> {
    if c.accept("null") {
        return Ok(None);
    }
    c.string().map(Some)
}

fn listen(c: &mut Cursor) -> Result<Command> {
    c.next();
    Ok(Command::Listen { channel: c.name()? })
}

fn notify(c: &mut Cursor) -> Result<Command> {
    c.next();
    let channel = c.name()?;
    let text = match c.accept_token(&Token::Comma) {
        true => c.string()?,
        false => String::new(),
    };
    Ok(Command::Notify { channel, text })
}

fn unlisten(c: &mut Cursor) -> Result<Command> {
    c.next();
    let channel = match c.accept_token(&Token::Mul) {
        true => None,
        false => Some(c.name()?),
    };
    Ok(Command::Unlisten { channel })
}

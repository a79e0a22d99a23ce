//! SET, SHOW and RESET with the spellings that each setting has of its own.
//!
//! Owns: how a value written in SQL becomes a setting's text. Never: knows which settings exist. Source: PostgreSQL 15's
//! `gram.y`, VariableSetStmt; `flatten_set_variable_args`.

use super::Command;
use super::command::modes;
use super::cursor::Cursor;
use sqlparser::tokenizer::Token;
use types::{Error, Result};

pub(super) fn set(c: &mut Cursor) -> Result<Command> {
    c.next();
    if c.is("transaction") && !second_assigns(c) {
        c.next();
        return set_transaction(c, false);
    }
    if c.is("session") && c.second_is("characteristics") {
        c.next();
        c.next();
        c.expect("as")?;
        c.expect("transaction")?;
        return set_transaction(c, true);
    }
    if c.is("constraints") && !second_assigns(c) {
        c.next();
        return set_constraints(c);
    }
    let mut local = false;
    if (c.is("session") || c.is("local")) && !second_assigns(c) {
        local = c.is("local");
        c.next();
    }
    if (c.is("session") || c.is("authorization")) && authorizes(c) {
        return authorization(c);
    }
    if let Some(command) = special_setting(c, local)? {
        return Ok(command);
    }
    let name = setting_name(c)?;
    if !c.accept_token(&Token::Eq) {
        c.expect("to")?;
    }
    let value = setting_value(c, &name)?;
    Ok(Command::Set { name, value, local })
}

/// `name {TO | =} value`, or `name FROM CURRENT`, which has no value here.
pub(super) fn of_function(c: &mut Cursor) -> Result<(String, Option<String>)> {
    let name = setting_name(c)?;
    if c.accept("from") {
        c.expect("current")?;
        return Ok((name, None));
    }
    if !c.accept_token(&Token::Eq) {
        c.expect("to")?;
    }
    if c.is("default") {
        return Err(Error::unsupported(
            "SET … TO DEFAULT of a function is not supported",
        ));
    }
    let value = setting_value(c, &name)?;
    Ok((name, value))
}

/// SESSION AUTHORIZATION, of whose SESSION may have been read as the scope.
fn authorizes(c: &Cursor) -> bool {
    c.is("authorization") && !second_assigns(c) || c.is("session") && c.second_is("authorization")
}

/// `{name | 'name' | DEFAULT}`
fn authorization(c: &mut Cursor) -> Result<Command> {
    c.accept("session");
    c.expect("authorization")?;
    if c.accept("default") {
        return Ok(Command::Authorize {
            user: None,
            tag: "SET",
        });
    }
    let user = match c.peek() {
        Some(Token::Word(_)) => c.name()?,
        _ => c.string()?,
    };
    Ok(Command::Authorize {
        user: Some(user),
        tag: "SET",
    })
}

fn second_assigns(c: &Cursor) -> bool {
    c.peek_second() == Some(&Token::Eq) || c.second_is("to")
}

fn set_transaction(c: &mut Cursor, session: bool) -> Result<Command> {
    if c.is("snapshot") {
        return Err(Error::unsupported(
            "SET TRANSACTION SNAPSHOT is not supported",
        ));
    }
    let (isolation, read_only) = modes(c)?;
    Ok(Command::SetTransaction {
        isolation,
        read_only,
        session,
    })
}

/// `{ ALL | name [, …] } { DEFERRED | IMMEDIATE }`. Constraints of one name in several schemas are all meant.
fn set_constraints(c: &mut Cursor) -> Result<Command> {
    let mut names = Vec::new();
    if !c.accept("all") {
        loop {
            let mut name = c.name()?;
            while c.accept_token(&Token::Period) {
                name = c.name()?;
            }
            names.push(name);
            if !c.accept_token(&Token::Comma) {
                break;
            }
        }
    }
    let deferred = c.accept("deferred");
    if !deferred {
        c.expect("immediate")?;
    }
    Ok(Command::SetConstraints { names, deferred })
}

/// Settings with a syntax of their own: TIME ZONE, NAMES, SCHEMA, ROLE …
fn special_setting(c: &mut Cursor, local: bool) -> Result<Option<Command>> {
    let set = |name: &str, value| {
        Ok(Some(Command::Set {
            name: name.to_string(),
            value,
            local,
        }))
    };
    if second_assigns(c) {
        return Ok(None);
    }
    if c.is("time") && c.second_is("zone") {
        c.next();
        c.next();
        if c.accept("local") || c.accept("default") {
            return set("timezone", None);
        }
        if c.accept("interval") {
            let value = format!("INTERVAL '{}'", c.string()?);
            // Of an offset there are no others.
            if c.accept("hour") && c.accept("to") {
                c.expect("minute")?;
            }
            return set("timezone", Some(value));
        }
        let value = setting_value(c, "timezone")?;
        return set("timezone", value);
    }
    if c.accept("names") {
        if c.at_end() || c.accept("default") {
            return set("client_encoding", None);
        }
        let value = c.string()?;
        return set("client_encoding", Some(value));
    }
    if c.accept("schema") {
        let value = quoted(&c.string()?);
        return set("search_path", Some(value));
    }
    for refused in ["role", "xml"] {
        if c.is(refused) {
            let what = format!("SET {} is not supported", refused.to_ascii_uppercase());
            return Err(Error::unsupported(what));
        }
    }
    Ok(None)
}

/// `name` or `class.name`, folded to lower case.
fn setting_name(c: &mut Cursor) -> Result<String> {
    let mut name = c.name()?;
    while c.accept_token(&Token::Period) {
        name.push('.');
        name.push_str(&c.name()?);
    }
    Ok(name)
}

/// One value or a list; `None` for DEFAULT.
fn setting_value(c: &mut Cursor, name: &str) -> Result<Option<String>> {
    if c.accept("default") {
        return Ok(None);
    }
    let mut values = vec![one_value(c, name)?];
    while c.accept_token(&Token::Comma) {
        values.push(one_value(c, name)?);
    }
    Ok(Some(values.join(", ")))
}

fn one_value(c: &mut Cursor, name: &str) -> Result<String> {
    let negative = c.accept_token(&Token::Minus);
    if !negative {
        c.accept_token(&Token::Plus);
    }
    match c.peek() {
        Some(Token::Number(n, _)) => {
            c.next();
            Ok(if negative { format!("-{n}") } else { n.clone() })
        }
        _ if negative => Err(c.error()),
        Some(Token::Word(_)) => {
            let value = c.name()?;
            Ok(if name == "search_path" {
                quoted(&value)
            } else {
                value
            })
        }
        _ => {
            let value = c.string()?;
            // A list inside one string is taken apart when it is used; a single name is quoted as SHOW prints it.
            let plain = value.chars().all(|ch| ch.is_ascii_lowercase() || ch == '_');
            Ok(if name == "search_path" && !plain && !value.contains(',') {
                quoted(&value)
            } else {
                value
            })
        }
    }
}

/// As `quote_ident` prints it.
fn quoted(name: &str) -> String {
    let mut chars = name.chars();
    let first = chars
        .next()
        .is_some_and(|ch| ch.is_ascii_lowercase() || ch == '_');
    if first && chars.all(|ch| ch.is_ascii_lowercase() || ch.is_ascii_digit() || ch == '_') {
        return name.to_string();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(super) fn show(c: &mut Cursor) -> Result<Command> {
    c.next();
    let name = named_setting(c)?;
    // The column is called so.
    let spelt = ["TimeZone", "DateStyle", "IntervalStyle"];
    let spelt = spelt.iter().find(|s| s.eq_ignore_ascii_case(&name));
    Ok(Command::Show {
        name: spelt.map_or(name, |s| (*s).to_owned()),
    })
}

fn named_setting(c: &mut Cursor) -> Result<String> {
    if c.is("time") && c.second_is("zone") {
        c.next();
        c.next();
        return Ok("timezone".into());
    }
    if c.is("transaction") && c.second_is("isolation") {
        c.next();
        c.next();
        c.expect("level")?;
        return Ok("transaction_isolation".into());
    }
    if c.is("session") && c.second_is("authorization") {
        c.next();
        c.next();
        return Ok("session_authorization".into());
    }
    setting_name(c)
}

pub(super) fn reset(c: &mut Cursor) -> Result<Command> {
    c.next();
    if c.accept("all") {
        return Ok(Command::Reset { name: None });
    }
    if c.is("session") && c.second_is("authorization") {
        c.next();
        c.next();
        return Ok(Command::Authorize {
            user: None,
            tag: "RESET",
        });
    }
    let name = Some(named_setting(c)?);
    Ok(Command::Reset { name })
}

//! CREATE, ALTER and DROP DATABASE.
//!
//! Owns: their options. Those that say what is so here are taken (UTF8, text compared by bytes, one tablespace, any number of
//! connections); the others are refused. Never: knows which databases there are. Source: PostgreSQL 15 manual, part VI.

use super::super::Command;
use super::super::cursor::Cursor;
use super::super::settings;
use super::{Definition, if_exists, refused, syntax};
use engine::plan::ddl::DatabaseChange;
use sqlparser::tokenizer::Token;
use types::{Error, Result, SqlState};

/// After CREATE.
pub(super) fn create(c: &mut Cursor) -> Result<Definition> {
    c.expect("database")?;
    let name = c.name()?;
    let options = options(c, true)?;
    Ok(Definition::Database(DatabaseChange::Create {
        name,
        template: options.template.unwrap_or_else(|| "template1".into()),
        is_template: options.is_template.unwrap_or(false),
        allows_connections: options.allows_connections.unwrap_or(true),
    }))
}

/// After DROP.
pub(super) fn drop(c: &mut Cursor) -> Result<Definition> {
    c.expect("database")?;
    let if_exists = if_exists(c)?;
    let name = c.name()?;
    let mut force = false;
    let with = c.accept("with");
    if with || c.peek() == Some(&Token::LParen) {
        c.expect_token(&Token::LParen)?;
        loop {
            let option = c.name()?;
            if option != "force" {
                return Err(syntax(&format!(
                    "unrecognized DROP DATABASE option \"{option}\""
                )));
            }
            force = true;
            if !c.accept_token(&Token::Comma) {
                break;
            }
        }
        c.expect_token(&Token::RParen)?;
    }
    Ok(Definition::Database(DatabaseChange::Drop {
        name,
        if_exists,
        force,
    }))
}

/// After ALTER.
pub(super) fn alter(c: &mut Cursor) -> Result<Definition> {
    c.expect("database")?;
    let name = c.name()?;
    let change = if c.accept("rename") {
        c.expect("to")?;
        let to = c.name()?;
        DatabaseChange::Rename { name, to }
    } else if c.accept("owner") {
        c.expect("to")?;
        c.name()?;
        DatabaseChange::Same { name }
    } else if c.is("set") && c.second_is("tablespace") {
        c.next();
        c.next();
        tablespace(c)?;
        DatabaseChange::Same { name }
    } else if c.is("set") {
        match settings::set(c)? {
            Command::Set {
                name: setting,
                value,
                local: false,
            } => DatabaseChange::Set {
                name,
                setting: Some(setting),
                value,
            },
            _ => return Err(Error::unsupported("this ALTER DATABASE is not supported")),
        }
    } else if c.is("reset") {
        let Command::Reset { name: setting } = settings::reset(c)? else {
            return Err(c.error());
        };
        DatabaseChange::Set {
            name,
            setting,
            value: None,
        }
    } else if c.is("refresh") {
        return Err(refused("ALTER DATABASE", c));
    } else {
        if c.at_end() {
            return Err(c.error());
        }
        let options = options(c, false)?;
        DatabaseChange::Options {
            name,
            is_template: options.is_template,
            allows_connections: options.allows_connections,
        }
    };
    Ok(Definition::Database(change))
}

#[derive(Default)]
struct Options {
    template: Option<String>,
    is_template: Option<bool>,
    allows_connections: Option<bool>,
}

/// `[WITH] name [=] value …`
fn options(c: &mut Cursor, new: bool) -> Result<Options> {
    c.accept("with");
    let mut found = Options::default();
    let mut seen: Vec<String> = Vec::new();
    while !c.at_end() {
        let mut option = c.name()?;
        if option == "connection" {
            c.expect("limit")?;
            option.push_str(" limit");
        }
        c.accept_token(&Token::Eq);
        if seen.contains(&option) {
            return Err(syntax("conflicting or redundant options"));
        }
        match option.as_str() {
            "allow_connections" => found.allows_connections = Some(boolean(c, &option)?),
            "is_template" => found.is_template = Some(boolean(c, &option)?),
            "connection limit" => unlimited(c)?,
            _ if !new => return Err(syntax(&format!("option \"{option}\" not recognized"))),
            "template" => {
                let template = value(c)?;
                found.template = template;
            }
            _ => of_new(c, &option)?,
        }
        seen.push(option);
    }
    Ok(found)
}

/// Options that can only say what is so.
fn of_new(c: &mut Cursor, option: &str) -> Result<()> {
    match option {
        // Nobody owns anything, as there are no roles.
        "owner" => c.name().map(|_| ()),
        "tablespace" => tablespace(c),
        "encoding" => said(
            c,
            option,
            &["utf8", "utf-8", "unicode", "6"],
            "Text is stored in UTF-8.",
        ),
        "locale" | "lc_collate" | "lc_ctype" => said(
            c,
            option,
            &["c", "posix", "c.utf-8", "c.utf8"],
            "Text is compared by bytes: use 'C'.",
        ),
        "locale_provider" => said(c, option, &["libc"], "Text is compared by bytes: use libc."),
        // Nothing is copied in either way.
        "strategy" => match value(c)? {
            Some(how) if how != "wal_log" && how != "file_copy" => Err(Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("invalid create database strategy \"{how}\""),
            )
            .with_hint("Valid strategies are \"wal_log\", and \"file_copy\".")),
            _ => Ok(()),
        },
        "icu_locale" | "collation_version" | "oid" => Err(Error::unsupported(format!(
            "CREATE DATABASE with {} is not supported",
            option.to_uppercase()
        ))),
        _ => Err(syntax(&format!("option \"{option}\" not recognized"))),
    }
}

fn said(c: &mut Cursor, option: &str, taken: &[&str], hint: &str) -> Result<()> {
    match value(c)? {
        Some(text) if !taken.contains(&text.to_lowercase().as_str()) => Err(Error::unsupported(
            format!("{} '{text}' is not supported", option.to_uppercase()),
        )
        .with_hint(hint)),
        _ => Ok(()),
    }
}

fn tablespace(c: &mut Cursor) -> Result<()> {
    match value(c)? {
        Some(name) if name != "pg_default" => Err(Error::unsupported(format!(
            "tablespace \"{name}\" is not supported"
        ))
        .with_hint("There is one, pg_default.")),
        _ => Ok(()),
    }
}

fn unlimited(c: &mut Cursor) -> Result<()> {
    let negative = c.accept_token(&Token::Minus);
    match (negative, value(c)?) {
        (true, Some(n)) if n == "1" => Ok(()),
        (_, None) => Ok(()),
        _ => Err(
            Error::unsupported("a connection limit of a database is not supported")
                .with_hint("max_connections of the configuration is that of the server."),
        ),
    }
}

fn boolean(c: &mut Cursor, option: &str) -> Result<bool> {
    let text = value(c)?;
    match text.as_deref() {
        Some("true" | "on" | "1") => Ok(true),
        Some("false" | "off" | "0") => Ok(false),
        _ => Err(syntax(&format!("{option} requires a Boolean value"))),
    }
}

/// A name, a string or a number; `None` for DEFAULT.
fn value(c: &mut Cursor) -> Result<Option<String>> {
    if c.accept("default") {
        return Ok(None);
    }
    match c.peek() {
        Some(Token::Number(n, _)) => {
            c.next();
            Ok(Some(n.clone()))
        }
        Some(Token::Word(_)) => c.name().map(Some),
        _ => c.string().map(Some),
    }
}

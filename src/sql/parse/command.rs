//! Commands read by hand from the token stream: those the grammar crate reads otherwise than PostgreSQL, or not at all.
//!
//! Owns: transaction control, settings, prepared statements, EXPLAIN, maintenance, and the list of commands that are
//! refused by name. Never: reads an expression itself (the grammar crate's parser is asked for those).
//! Source: PostgreSQL 15 manual, part VI.

use super::cursor::Cursor;
use super::{Command, copy};
use crate::sql::statement::{Discard, Isolation};
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
    let read = match word.as_str() {
        "begin" | "start" => begin,
        "commit" | "end" => commit,
        "rollback" | "abort" => rollback,
        "set" => set,
        "show" => show,
        "reset" => reset,
        "discard" => discard,
        "deallocate" => deallocate,
        "explain" => explain,
        "copy" => copy::read,
        "vacuum" => vacuum,
        "analyze" | "analyse" => analyze,
        "truncate" => truncate,
        "checkpoint" => checkpoint,
        "close" => close,
        "unlisten" => unlisten,
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
        "savepoint" | "release" => Some(Error::unsupported("savepoints are not supported")),
        "rollback" | "abort" if second == "to" => {
            Some(Error::unsupported("savepoints are not supported"))
        }
        "declare" | "fetch" | "move" => Some(Error::unsupported("cursors are not supported")),
        "listen" | "notify" | "lock" | "do" | "call" | "grant" | "revoke" | "comment"
        | "cluster" | "reindex" | "refresh" | "security" | "import" | "reassign" | "merge"
        | "load" => unsupported(word.to_ascii_uppercase()),
        "create" => match second.as_str() {
            "" | "table" | "index" | "unique" => None,
            "temp" | "temporary" | "local" | "global" => {
                unsupported("CREATE TEMPORARY TABLE".into())
            }
            "unlogged" => unsupported("CREATE UNLOGGED TABLE".into()),
            "or" => unsupported("CREATE OR REPLACE".into()),
            other => unsupported(format!("CREATE {}", other.to_ascii_uppercase())),
        },
        "drop" => match second.as_str() {
            "" | "table" | "index" => None,
            other => unsupported(format!("DROP {}", other.to_ascii_uppercase())),
        },
        "alter" => match second.as_str() {
            "" | "table" => None,
            other => unsupported(format!("ALTER {}", other.to_ascii_uppercase())),
        },
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
    if c.accept("start") {
        c.expect("transaction")?;
    } else {
        c.expect("begin")?;
        let _ = c.accept("work") || c.accept("transaction");
    }
    let (isolation, read_only) = modes(c)?;
    Ok(Command::Begin {
        isolation,
        read_only,
    })
}

/// Transaction modes up to the end, commas optional.
fn modes(c: &mut Cursor) -> Result<(Option<Isolation>, Option<bool>)> {
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
    end_of_transaction(c)?;
    Ok(Command::Commit)
}

fn rollback(c: &mut Cursor) -> Result<Command> {
    c.next();
    end_of_transaction(c)?;
    Ok(Command::Rollback)
}

fn end_of_transaction(c: &mut Cursor) -> Result<()> {
    let _ = c.accept("work") || c.accept("transaction");
    if c.is("to") {
        return Err(Error::unsupported("savepoints are not supported"));
    }
    if c.accept("and") {
        let no = c.accept("no");
        c.expect("chain")?;
        if !no {
            return Err(Error::unsupported("AND CHAIN is not supported"));
        }
    }
    Ok(())
}

fn set(c: &mut Cursor) -> Result<Command> {
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
    let mut local = false;
    if (c.is("session") || c.is("local")) && !second_assigns(c) {
        local = c.is("local");
        c.next();
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
        if c.is("interval") {
            return Err(Error::unsupported(
                "SET TIME ZONE INTERVAL is not supported",
            ));
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
    for refused in ["role", "authorization", "constraints", "xml"] {
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

fn show(c: &mut Cursor) -> Result<Command> {
    c.next();
    let name = named_setting(c)?;
    Ok(Command::Show { name })
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

fn reset(c: &mut Cursor) -> Result<Command> {
    c.next();
    if c.accept("all") {
        return Ok(Command::Reset { name: None });
    }
    let name = Some(named_setting(c)?);
    Ok(Command::Reset { name })
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
    if c.at_end() {
        return Err(c.error());
    }
    let text = c.rest_of(text).into();
    Ok(Command::Prepare { name, types, text })
}

fn explain(c: &mut Cursor) -> Result<Command> {
    c.next();
    let (mut analyze, mut json) = (false, false);
    if c.peek() == Some(&Token::LParen) && !c.second_is("select") && !c.second_is("values") {
        c.next();
        loop {
            explain_option(c, &mut analyze, &mut json)?;
            if !c.accept_token(&Token::Comma) {
                break;
            }
        }
        c.expect_token(&Token::RParen)?;
    } else {
        analyze = c.accept("analyze") || c.accept("analyse");
        c.accept("verbose");
    }
    let statement = Box::new(c.sub(|p| p.parse_statement())?);
    Ok(Command::Explain {
        statement,
        analyze,
        json,
    })
}

/// VERBOSE, COSTS, TIMING and SUMMARY choose among details that are not printed here; the rest is refused.
fn explain_option(c: &mut Cursor, analyze: &mut bool, json: &mut bool) -> Result<()> {
    let name = c.name()?;
    if name == "format" {
        let format = match c.peek() {
            Some(Token::Word(_)) => c.name()?,
            _ => c.string()?.to_ascii_lowercase(),
        };
        *json = match format.as_str() {
            "text" => false,
            "json" => true,
            "xml" | "yaml" => {
                return Err(Error::unsupported(format!(
                    "EXPLAIN format {format} is not supported"
                )));
            }
            _ => {
                return Err(Error::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    format!("unrecognized value for EXPLAIN option \"format\": \"{format}\""),
                ));
            }
        };
        return Ok(());
    }
    let on = boolean(c, &name)?;
    match name.as_str() {
        "analyze" | "analyse" => *analyze = on,
        "verbose" | "costs" | "timing" | "summary" => {}
        "buffers" | "wal" | "settings" | "generic_plan" if !on => {}
        "buffers" | "wal" | "settings" | "generic_plan" => {
            return Err(Error::unsupported(format!(
                "EXPLAIN option {name} is not supported"
            )));
        }
        _ => {
            return Err(Error::new(
                SqlState::SYNTAX_ERROR,
                format!("unrecognized EXPLAIN option \"{name}\""),
            ));
        }
    }
    Ok(())
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

fn vacuum(c: &mut Cursor) -> Result<Command> {
    c.next();
    let mut do_analyze = false;
    if c.accept_token(&Token::LParen) {
        loop {
            let option = c.name()?;
            let on = boolean(c, &option)?;
            match option.as_str() {
                "analyze" | "analyse" => do_analyze = on,
                "full" if on => return Err(Error::unsupported("VACUUM FULL is not supported")),
                "full" | "freeze" | "verbose" | "skip_locked" => {}
                _ => {
                    return Err(Error::new(
                        SqlState::SYNTAX_ERROR,
                        format!("unrecognized VACUUM option \"{option}\""),
                    ));
                }
            }
            if !c.accept_token(&Token::Comma) {
                break;
            }
        }
        c.expect_token(&Token::RParen)?;
    } else {
        if c.accept("full") {
            return Err(Error::unsupported("VACUUM FULL is not supported"));
        }
        c.accept("freeze");
        c.accept("verbose");
        do_analyze = c.accept("analyze") || c.accept("analyse");
    }
    Ok(Command::Vacuum {
        tables: maintained(c)?,
        analyze: do_analyze,
    })
}

fn analyze(c: &mut Cursor) -> Result<Command> {
    c.next();
    if c.accept_token(&Token::LParen) {
        c.expect("verbose")?;
        boolean(c, "verbose")?;
        c.expect_token(&Token::RParen)?;
    } else {
        c.accept("verbose");
    }
    Ok(Command::Analyze {
        tables: maintained(c)?,
    })
}

/// `[table [(column, …)], …]`; the columns only narrow what is counted, so they are read and left.
fn maintained(c: &mut Cursor) -> Result<Vec<sqlparser::ast::ObjectName>> {
    let mut tables = Vec::new();
    if c.at_end() {
        return Ok(tables);
    }
    loop {
        tables.push(c.object_name()?);
        if c.accept_token(&Token::LParen) {
            c.object_names()?;
            c.expect_token(&Token::RParen)?;
        }
        if !c.accept_token(&Token::Comma) {
            return Ok(tables);
        }
    }
}

fn truncate(c: &mut Cursor) -> Result<Command> {
    c.next();
    c.accept("table");
    let mut tables = Vec::new();
    loop {
        c.accept("only");
        tables.push(c.object_name()?);
        c.accept_token(&Token::Mul);
        if !c.accept_token(&Token::Comma) {
            break;
        }
    }
    if c.accept("restart") || c.accept("continue") {
        c.expect("identity")?;
    }
    let _ = c.accept("cascade") || c.accept("restrict");
    Ok(Command::Truncate { tables })
}

fn checkpoint(c: &mut Cursor) -> Result<Command> {
    c.next();
    Ok(Command::Checkpoint)
}

fn close(c: &mut Cursor) -> Result<Command> {
    c.next();
    if c.accept("all") {
        return Ok(Command::Nothing {
            tag: "CLOSE CURSOR ALL",
        });
    }
    let name = c.name()?;
    Ok(Command::Refused(Error::new(
        SqlState::INVALID_CURSOR_NAME,
        format!("cursor \"{name}\" does not exist"),
    )))
}

fn unlisten(c: &mut Cursor) -> Result<Command> {
    c.next();
    if !c.accept_token(&Token::Mul) {
        c.name()?;
    }
    Ok(Command::Nothing { tag: "UNLISTEN" })
}

//! VACUUM, ANALYZE, CHECKPOINT and BACKUP.
//!
//! Owns: their options. Never: looks a table up. Source: PostgreSQL 15 manual, part VI; BACKUP is our own.

use super::Command;
use super::command::boolean;
use super::cursor::Cursor;
use sqlparser::tokenizer::Token;
use types::{Error, Result, SqlState};

pub(super) fn vacuum(c: &mut Cursor) -> Result<Command> {
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

pub(super) fn analyze(c: &mut Cursor) -> Result<Command> {
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

pub(super) fn checkpoint(c: &mut Cursor) -> Result<Command> {
    c.next();
    Ok(Command::Checkpoint)
}

/// `BACKUP TO 'name' [INCREMENTAL FROM 'name']`.
pub(super) fn backup(c: &mut Cursor) -> Result<Command> {
    c.next();
    c.expect("to")?;
    let name = c.string()?;
    let base = match c.accept("incremental") {
        true => {
            c.expect("from")?;
            Some(c.string()?)
        }
        false => None,
    };
    Ok(Command::Backup { name, base })
}

/// LOCK [TABLE] [ONLY] names [IN … MODE] [NOWAIT]. Readers are never kept out, so there are two kinds: beside other writers, or
/// instead of them.
pub(super) fn lock(c: &mut Cursor) -> Result<Command> {
    c.next();
    c.accept("table");
    c.accept("only");
    let tables = c.object_names()?;
    c.accept_token(&Token::Mul);
    let mut exclusive = true;
    if c.accept("in") {
        exclusive = if c.accept("access") {
            let exclusive = c.accept("exclusive");
            if !exclusive {
                c.expect("share")?;
            }
            exclusive
        } else if c.accept("row") {
            if !c.accept("share") {
                c.expect("exclusive")?;
            }
            false
        } else if c.accept("share") {
            if c.accept("update") || c.accept("row") {
                c.expect("exclusive")?;
            }
            true
        } else {
            c.expect("exclusive")?;
            true
        };
        c.expect("mode")?;
    }
    Ok(Command::Lock {
        tables,
        exclusive,
        nowait: c.accept("nowait"),
    })
}

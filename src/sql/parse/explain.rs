//! EXPLAIN and its options.
//!
//! Owns: which options there are, what they are when they are not given, and which need ANALYZE. Asked by: `command`.
//! Source: PostgreSQL 15, `explain.c`, for the defaults and the wording; SHARDS is ours.

use super::Command;
use super::command::boolean;
use super::cursor::Cursor;
use crate::statement::ExplainOptions;
use sqlparser::tokenizer::Token;
use types::{Error, Result, SqlState};

/// As they were given.
#[derive(Default)]
struct Given {
    analyze: bool,
    costs: Option<bool>,
    timing: Option<bool>,
    summary: Option<bool>,
    buffers: bool,
    shards: bool,
    json: bool,
}

pub(super) fn explain(c: &mut Cursor) -> Result<Command> {
    c.next();
    let mut given = Given::default();
    if c.peek() == Some(&Token::LParen) && !c.second_is("select") && !c.second_is("values") {
        c.next();
        loop {
            option(c, &mut given)?;
            if !c.accept_token(&Token::Comma) {
                break;
            }
        }
        c.expect_token(&Token::RParen)?;
    } else {
        given.analyze = c.accept("analyze") || c.accept("analyse");
        c.accept("verbose");
    }
    let options = given.settled()?;
    let statement = Box::new(c.sub(|p| p.parse_statement())?);
    Ok(Command::Explain { statement, options })
}

/// VERBOSE adds nothing to what is printed here.
fn option(c: &mut Cursor, given: &mut Given) -> Result<()> {
    let name = c.name()?;
    if name == "format" {
        given.json = format(c)?;
        return Ok(());
    }
    let on = boolean(c, &name)?;
    match name.as_str() {
        "analyze" | "analyse" => given.analyze = on,
        "verbose" => {}
        "costs" => given.costs = Some(on),
        "timing" => given.timing = Some(on),
        "summary" => given.summary = Some(on),
        "buffers" => given.buffers = on,
        "shards" => given.shards = on,
        "wal" | "settings" | "generic_plan" if !on => {}
        "wal" | "settings" | "generic_plan" => {
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

/// Whether it is JSON.
fn format(c: &mut Cursor) -> Result<bool> {
    let format = match c.peek() {
        Some(Token::Word(_)) => c.name()?,
        _ => c.string()?.to_ascii_lowercase(),
    };
    match format.as_str() {
        "text" => Ok(false),
        "json" => Ok(true),
        "xml" | "yaml" => Err(Error::unsupported(format!(
            "EXPLAIN format {format} is not supported"
        ))),
        _ => Err(Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("unrecognized value for EXPLAIN option \"format\": \"{format}\""),
        )),
    }
}

impl Given {
    fn settled(self) -> Result<ExplainOptions> {
        let needy = [
            ("TIMING", self.timing == Some(true)),
            ("SHARDS", self.shards),
        ];
        for (name, on) in needy {
            if on && !self.analyze {
                return Err(Error::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    format!("EXPLAIN option {name} requires ANALYZE"),
                ));
            }
        }
        Ok(ExplainOptions {
            analyze: self.analyze,
            costs: self.costs.unwrap_or(true),
            timing: self.timing.unwrap_or(self.analyze),
            summary: self.summary.unwrap_or(self.analyze),
            buffers: self.buffers,
            shards: self.shards,
            json: self.json,
        })
    }
}

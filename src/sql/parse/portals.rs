//! Cursors: DECLARE, FETCH, MOVE, CLOSE.
//!
//! Owns: the directions of FETCH and how they are abbreviated. Source: PostgreSQL 15's `gram.y`, fetch_args.

use super::Command;
use super::cursor::Cursor;
use crate::statement::{Scroll, Way};
use sqlparser::tokenizer::Token;
use types::{Error, Result, SqlState};

pub(super) fn declare(c: &mut Cursor) -> Result<Command> {
    c.next();
    let name = c.name()?;
    let (mut scroll, mut binary) = (Scroll::Unsaid, false);
    loop {
        if c.accept("binary") {
            binary = true;
        } else if c.accept("insensitive") || c.accept("asensitive") {
            // A cursor sees what there was when it was declared, asked to or not.
        } else if c.accept("scroll") {
            scroll = Scroll::Yes;
        } else if c.accept("no") {
            c.expect("scroll")?;
            scroll = Scroll::No;
        } else {
            break;
        }
    }
    c.expect("cursor")?;
    let mut hold = false;
    if c.accept("with") {
        c.expect("hold")?;
        hold = true;
    } else if c.accept("without") {
        c.expect("hold")?;
    }
    c.expect("for")?;
    if binary {
        return Ok(Command::Refused(
            Error::unsupported("DECLARE BINARY CURSOR is not supported")
                .with_hint("Ask for binary results in the Bind message."),
        ));
    }
    let query = c.sub(|p| p.parse_query())?;
    Ok(Command::Declare {
        name,
        scroll,
        hold,
        query,
    })
}

pub(super) fn fetch(c: &mut Cursor) -> Result<Command> {
    let moves = c.is("move");
    c.next();
    let way = way(c)?;
    let _ = c.accept("from") || c.accept("in");
    Ok(Command::Fetch {
        name: c.name()?,
        way,
        moves,
    })
}

fn way(c: &mut Cursor) -> Result<Way> {
    // The last word is the cursor's name, whatever it is.
    if c.peek_second().is_none() {
        return Ok(Way::Forward(Some(1)));
    }
    let direction = [
        ("next", Way::Forward(Some(1))),
        ("prior", Way::Forward(Some(-1))),
        ("first", Way::Absolute(1)),
        ("last", Way::Absolute(-1)),
        ("all", Way::Forward(None)),
    ];
    for (word, way) in direction {
        if c.accept(word) {
            return Ok(way);
        }
    }
    if c.accept("absolute") {
        return Ok(Way::Absolute(number(c)?));
    }
    if c.accept("relative") {
        return Ok(Way::Relative(number(c)?));
    }
    if c.accept("forward") {
        return Ok(Way::Forward(count(c)?));
    }
    if c.accept("backward") {
        return Ok(match count(c)? {
            None => Way::BackwardAll,
            Some(n) => Way::Forward(Some(-n)),
        });
    }
    match c.peek() {
        Some(Token::Number(..) | Token::Minus | Token::Plus) => Ok(Way::Forward(Some(number(c)?))),
        _ => Ok(Way::Forward(Some(1))),
    }
}

/// ALL, a number, or nothing, which is 1.
fn count(c: &mut Cursor) -> Result<Option<i64>> {
    if c.accept("all") {
        return Ok(None);
    }
    match c.peek() {
        Some(Token::Number(..) | Token::Minus | Token::Plus) => number(c).map(Some),
        _ => Ok(Some(1)),
    }
}

/// A signed integer of 4 bytes, as PostgreSQL reads it.
fn number(c: &mut Cursor) -> Result<i64> {
    let negative = c.accept_token(&Token::Minus);
    if !negative {
        c.accept_token(&Token::Plus);
    }
    let Some(Token::Number(text, _)) = c.peek() else {
        return Err(c.error());
    };
    let n: i32 = text.parse().map_err(|_| {
        Error::new(
            SqlState::SYNTAX_ERROR,
            format!("syntax error at or near \"{text}\""),
        )
    })?;
    c.next();
    Ok(if negative {
        -i64::from(n)
    } else {
        i64::from(n)
    })
}

pub(super) fn close(c: &mut Cursor) -> Result<Command> {
    c.next();
    // A cursor may be called ALL only in quotes.
    if c.accept("all") {
        return Ok(Command::Close { name: None });
    }
    Ok(Command::Close {
        name: Some(c.name()?),
    })
}

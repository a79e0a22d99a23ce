//! RAISE.
//!
//! Owns: its level, the format and its arguments, USING. Source: PostgreSQL 15, `pl_gram.y` (`stmt_raise`), manual 43.9.

use super::{Text, conditions};
use crate::parse::cursor::Cursor;
use sqlparser::tokenizer::Token;
use types::{Error, Result, SqlState};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Exception,
    Warning,
    Notice,
    Info,
    /// For the server's log.
    Log,
    Debug,
}

#[derive(Debug)]
pub struct Raise {
    pub level: Level,
    /// With `%` for each argument.
    pub format: Option<String>,
    pub args: Vec<Text>,
    /// The name or SQLSTATE that was given, and what it is.
    pub condition: Option<(String, SqlState)>,
    pub options: Vec<(RaiseOption, Text)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaiseOption {
    Errcode,
    Message,
    Detail,
    Hint,
    Column,
    Constraint,
    Table,
    Schema,
    /// What errors here do not carry: their type and schema.
    Unsent,
}

const OPTIONS: [(&str, RaiseOption); 9] = [
    ("errcode", RaiseOption::Errcode),
    ("message", RaiseOption::Message),
    ("detail", RaiseOption::Detail),
    ("hint", RaiseOption::Hint),
    ("column", RaiseOption::Column),
    ("constraint", RaiseOption::Constraint),
    ("table", RaiseOption::Table),
    ("datatype", RaiseOption::Unsent),
    ("schema", RaiseOption::Schema),
];

/// What stands between RAISE and its semicolon. `text` takes the texts in.
pub(super) fn read(mut c: Cursor, text: &mut dyn FnMut(String) -> Text) -> Result<Raise> {
    let mut raise = Raise {
        level: level(&mut c),
        format: None,
        args: Vec::new(),
        condition: None,
        options: Vec::new(),
    };
    match c.peek() {
        Some(
            Token::SingleQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::DollarQuotedString(_),
        ) => {
            raise.format = Some(c.string()?);
            while c.accept_token(&Token::Comma) {
                raise.args.push(text(item(&mut c)?));
            }
        }
        Some(Token::Word(_)) if !c.is("using") => raise.condition = Some(condition(&mut c)?),
        _ => {}
    }
    if c.accept("using") {
        options(&mut c, &mut raise, text)?;
    }
    c.expect_end()?;
    counted(&raise)?;
    Ok(raise)
}

fn level(c: &mut Cursor) -> Level {
    let levels = [
        ("exception", Level::Exception),
        ("warning", Level::Warning),
        ("notice", Level::Notice),
        ("info", Level::Info),
        ("log", Level::Log),
        ("debug", Level::Debug),
    ];
    let found = levels.iter().find(|(word, _)| c.accept(word));
    found.map_or(Level::Exception, |(_, level)| *level)
}

/// `SQLSTATE 'code'` or the name of a condition.
fn condition(c: &mut Cursor) -> Result<(String, SqlState)> {
    if c.accept("sqlstate") {
        let code = c.string()?;
        return match conditions::literal(&code) {
            Some(state) => Ok((code, state)),
            None => Err(syntax("invalid SQLSTATE code")),
        };
    }
    let name = c.name()?;
    match conditions::state(&name) {
        Some(state) => Ok((name, state)),
        None => Err(unrecognized(&name)),
    }
}

/// What USING ERRCODE says: the name of a condition, or a code.
pub fn state(code: &str) -> Result<SqlState> {
    conditions::state(code).ok_or_else(|| unrecognized(code))
}

fn options(c: &mut Cursor, raise: &mut Raise, text: &mut dyn FnMut(String) -> Text) -> Result<()> {
    loop {
        let place = c.clone();
        let name = c.name()?;
        let Some((_, option)) = OPTIONS.iter().find(|(word, _)| *word == name) else {
            return Err(place.error_of("unrecognized RAISE statement option"));
        };
        let twice = raise
            .options
            .iter()
            .any(|(o, _)| o == option && *o != RaiseOption::Unsent);
        let shown = name.to_ascii_uppercase();
        if twice || *option == RaiseOption::Message && raise.format.is_some() {
            return Err(syntax(&format!("RAISE option already specified: {shown}")));
        }
        if !c.accept_token(&Token::Assignment) {
            c.expect_token(&Token::Eq)?;
        }
        raise.options.push((*option, text(item(c)?)));
        if !c.accept_token(&Token::Comma) {
            return Ok(());
        }
    }
}

/// An expression's text, up to a comma, USING or the end.
fn item(c: &mut Cursor) -> Result<String> {
    let whole = c.clone();
    let ends = |t: &Token| *t == Token::Comma || super::word(t, "using");
    let text = match c.piece(ends) {
        Ok(piece) => piece.text(None),
        Err(_) => {
            let text = whole.text(None);
            c.skip_all();
            text
        }
    };
    match text.is_empty() {
        true => Err(whole.error_of("missing expression")),
        false => Ok(text),
    }
}

/// 42601 unless there is an argument for each `%`.
fn counted(raise: &Raise) -> Result<()> {
    let Some(format) = &raise.format else {
        return Ok(());
    };
    let wanted = format.replace("%%", "").matches('%').count();
    match raise.args.len().cmp(&wanted) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Less => Err(syntax("too few parameters specified for RAISE")),
        std::cmp::Ordering::Greater => Err(syntax("too many parameters specified for RAISE")),
    }
}

fn syntax(message: &str) -> Error {
    Error::new(SqlState::SYNTAX_ERROR, message)
}

pub(super) fn unrecognized(name: &str) -> Error {
    Error::new(
        SqlState::UNDEFINED_OBJECT,
        format!("unrecognized exception condition \"{name}\""),
    )
}

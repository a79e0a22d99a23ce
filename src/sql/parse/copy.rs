//! COPY: source, direction and options in both the current and the older spelling.
//!
//! Owns: the check of options against each other. Never: touches data.
//! Source: PostgreSQL 15 manual, COPY; `ProcessCopyOptions` for the wording of errors.

use super::command::boolean;
use super::cursor::Cursor;
use super::{Command, CopySource};
use crate::statement::{CopyFormat, CopyOptions, ForceColumns};
use sqlparser::ast::{Ident, ObjectNamePart};
use sqlparser::tokenizer::Token;
use types::{Error, Result, SqlState};

/// Options as written, before they are checked together.
#[derive(Default)]
struct Written {
    format: Option<CopyFormat>,
    delimiter: Option<String>,
    null: Option<String>,
    header: Option<(bool, bool)>,
    quote: Option<String>,
    escape: Option<String>,
    force_quote: ForceColumns,
    force_not_null: Vec<String>,
    force_null: Vec<String>,
    freeze: bool,
}

pub(super) fn read(c: &mut Cursor) -> Result<Command> {
    c.next();
    let mut written = Written::default();
    let old_binary = c.is("binary") && !c.second_is("from") && !c.second_is("to");
    if old_binary {
        c.next();
        written.format = Some(CopyFormat::Binary);
    }
    let source = if c.accept_token(&Token::LParen) {
        let query = c.sub(|p| p.parse_query())?;
        c.expect_token(&Token::RParen)?;
        CopySource::Query(query)
    } else {
        let name = c.object_name()?;
        CopySource::Table {
            name,
            columns: column_list(c)?,
        }
    };
    let from = if c.accept("from") {
        true
    } else {
        c.expect("to")?;
        false
    };
    if from && matches!(source, CopySource::Query(_)) {
        return Err(c.error());
    }
    target(c, from)?;
    options(c, &mut written)?;
    let filter = match c.accept("where") {
        true if !from => {
            return Err(Error::new(
                SqlState::SYNTAX_ERROR,
                "WHERE clause not allowed with COPY TO",
            )
            .with_hint("Try the COPY (SELECT ... WHERE ...) TO variant."));
        }
        true => Some(Box::new(c.sub(|p| p.parse_expr())?)),
        false => None,
    };
    Ok(Command::Copy {
        source,
        from,
        filter,
        options: checked(written, from)?,
    })
}

fn column_list(c: &mut Cursor) -> Result<Vec<Ident>> {
    let mut columns = Vec::new();
    if c.accept_token(&Token::LParen) {
        for name in c.object_names()? {
            match name.0.as_slice() {
                [ObjectNamePart::Identifier(i)] => columns.push(i.clone()),
                _ => return Err(c.error()),
            }
        }
        c.expect_token(&Token::RParen)?;
    }
    Ok(columns)
}

fn target(c: &mut Cursor, from: bool) -> Result<()> {
    if c.accept(if from { "stdin" } else { "stdout" }) {
        return Ok(());
    }
    // PostgreSQL takes either word for either direction.
    if c.accept(if from { "stdout" } else { "stdin" }) {
        return Ok(());
    }
    if c.accept("program") || matches!(c.peek(), Some(Token::SingleQuotedString(_))) {
        return Err(
            Error::unsupported("COPY to or from files of the server is not supported")
                .with_hint("Use COPY with STDIN or STDOUT, or psql's \\copy."),
        );
    }
    Err(c.error())
}

fn options(c: &mut Cursor, w: &mut Written) -> Result<()> {
    let with = c.accept("with");
    if c.peek() == Some(&Token::LParen) {
        c.next();
        loop {
            option(c, w)?;
            if !c.accept_token(&Token::Comma) {
                break;
            }
        }
        return c.expect_token(&Token::RParen);
    }
    if with && c.at_end() {
        return Err(c.error());
    }
    while !c.at_end() && !c.is("where") {
        old_option(c, w)?;
    }
    Ok(())
}

fn option(c: &mut Cursor, w: &mut Written) -> Result<()> {
    let name = c.name()?;
    match name.as_str() {
        "format" => {
            let format = word_or_string(c)?;
            w.format = Some(match format.as_str() {
                "text" => CopyFormat::Text,
                "csv" => CopyFormat::Csv,
                "binary" => CopyFormat::Binary,
                _ => {
                    return Err(invalid(format!("COPY format \"{format}\" not recognized")));
                }
            });
        }
        "delimiter" => w.delimiter = Some(c.string()?),
        "null" => w.null = Some(c.string()?),
        "header" if c.accept("match") => w.header = Some((true, true)),
        "header" => w.header = Some((boolean(c, "header")?, false)),
        "quote" => w.quote = Some(c.string()?),
        "escape" => w.escape = Some(c.string()?),
        "freeze" => w.freeze = boolean(c, "freeze")?,
        "force_quote" => w.force_quote = force_quote(c)?,
        "force_not_null" => w.force_not_null = parenthesized(c)?,
        "force_null" => w.force_null = parenthesized(c)?,
        "encoding" => encoding(&c.string()?)?,
        _ => {
            return Err(Error::new(
                SqlState::SYNTAX_ERROR,
                format!("option \"{name}\" not recognized"),
            ));
        }
    }
    Ok(())
}

/// The spelling of before PostgreSQL 9.0, which psql and scripts still use.
fn old_option(c: &mut Cursor, w: &mut Written) -> Result<()> {
    if c.accept("binary") {
        w.format = Some(CopyFormat::Binary);
    } else if c.accept("csv") {
        w.format = Some(CopyFormat::Csv);
    } else if c.accept("freeze") {
        w.freeze = true;
    } else if c.accept("header") {
        w.header = Some((true, false));
    } else if c.accept("delimiter") {
        c.accept("as");
        w.delimiter = Some(c.string()?);
    } else if c.accept("null") {
        c.accept("as");
        w.null = Some(c.string()?);
    } else if c.accept("quote") {
        c.accept("as");
        w.quote = Some(c.string()?);
    } else if c.accept("escape") {
        c.accept("as");
        w.escape = Some(c.string()?);
    } else if c.accept("encoding") {
        encoding(&c.string()?)?;
    } else if c.accept("force") {
        if c.accept("quote") {
            w.force_quote = if c.accept_token(&Token::Mul) {
                ForceColumns::All
            } else {
                ForceColumns::Columns(bare_names(c)?)
            };
        } else if c.accept("not") {
            c.expect("null")?;
            w.force_not_null = bare_names(c)?;
        } else {
            c.expect("null")?;
            w.force_null = bare_names(c)?;
        }
    } else {
        return Err(c.error());
    }
    Ok(())
}

fn word_or_string(c: &mut Cursor) -> Result<String> {
    match c.peek() {
        Some(Token::Word(_)) => c.name(),
        _ => Ok(c.string()?.to_ascii_lowercase()),
    }
}

fn force_quote(c: &mut Cursor) -> Result<ForceColumns> {
    if c.accept_token(&Token::Mul) {
        return Ok(ForceColumns::All);
    }
    Ok(ForceColumns::Columns(parenthesized(c)?))
}

fn parenthesized(c: &mut Cursor) -> Result<Vec<String>> {
    c.expect_token(&Token::LParen)?;
    let names = bare_names(c)?;
    c.expect_token(&Token::RParen)?;
    Ok(names)
}

fn bare_names(c: &mut Cursor) -> Result<Vec<String>> {
    let mut names = vec![c.name()?];
    while c.accept_token(&Token::Comma) {
        names.push(c.name()?);
    }
    Ok(names)
}

fn encoding(name: &str) -> Result<()> {
    let plain = name.to_ascii_lowercase().replace(['-', '_'], "");
    if plain == "utf8" || plain == "unicode" || plain == "sqlascii" {
        return Ok(());
    }
    Err(Error::unsupported(format!(
        "COPY encoding \"{name}\" is not supported"
    )))
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// Options that a format or a direction does not have.
fn check_format(w: &Written, format: CopyFormat, from: bool) -> Result<()> {
    let csv = format == CopyFormat::Csv;
    let binary = format == CopyFormat::Binary;
    let syntax = |m: &str| Err(Error::new(SqlState::SYNTAX_ERROR, m));
    let unsupported = |m: &str| Err(Error::unsupported(m));
    if binary && w.delimiter.is_some() {
        return syntax("cannot specify DELIMITER in BINARY mode");
    }
    if binary && w.null.is_some() {
        return syntax("cannot specify NULL in BINARY mode");
    }
    if binary && w.header.is_some_and(|(on, _)| on) {
        return unsupported("cannot specify HEADER in BINARY mode");
    }
    if !csv && w.quote.is_some() {
        return unsupported("COPY quote available only in CSV mode");
    }
    if !csv && w.escape.is_some() {
        return unsupported("COPY escape available only in CSV mode");
    }
    if (!csv || from) && w.force_quote != ForceColumns::None {
        return unsupported("COPY force quote available only for COPY TO in CSV mode");
    }
    let forced_null = !w.force_not_null.is_empty() || !w.force_null.is_empty();
    if forced_null && !(csv && from) {
        return unsupported("COPY force not null available only for COPY FROM in CSV mode");
    }
    if w.header.is_some_and(|(_, only_match)| only_match) && !from {
        return unsupported("cannot use \"match\" with HEADER in COPY TO");
    }
    Ok(())
}

fn checked(w: Written, from: bool) -> Result<CopyOptions> {
    let format = w.format.unwrap_or(CopyFormat::Text);
    check_format(&w, format, from)?;
    let mut o = CopyOptions::of(format);
    let csv = format == CopyFormat::Csv;
    let unsupported = |m: &str| Err(Error::unsupported(m));
    if let Some(d) = &w.delimiter {
        o.delimiter = one_byte(d, "COPY delimiter must be a single one-byte character")?;
        if o.delimiter == b'\n' || o.delimiter == b'\r' {
            return Err(invalid(
                "COPY delimiter cannot be newline or carriage return",
            ));
        }
        if !csv && b"\\.abcdefghijklmnopqrstuvwxyz0123456789".contains(&o.delimiter) {
            return Err(invalid(format!("COPY delimiter cannot be \"{d}\"")));
        }
    }
    if let Some(n) = w.null {
        if n.contains(['\n', '\r']) {
            return Err(invalid(
                "COPY null representation cannot use newline or carriage return",
            ));
        }
        o.null = n;
    }
    if let Some(q) = &w.quote {
        o.quote = one_byte(q, "COPY quote must be a single one-byte character")?;
        o.escape = o.quote;
    }
    if let Some(e) = &w.escape {
        o.escape = one_byte(e, "COPY escape must be a single one-byte character")?;
    }
    if csv && o.delimiter == o.quote {
        return Err(invalid("COPY delimiter and quote must be different"));
    }
    if o.null.as_bytes().contains(&o.delimiter) {
        return unsupported("COPY delimiter must not appear in the NULL specification");
    }
    if csv && o.null.as_bytes().contains(&o.quote) {
        return unsupported("CSV quote character must not appear in the NULL specification");
    }
    (o.header, o.header_match) = w.header.unwrap_or((false, false));
    o.force_quote = w.force_quote;
    o.force_not_null = w.force_not_null;
    o.force_null = w.force_null;
    o.freeze = w.freeze;
    Ok(o)
}

fn one_byte(text: &str, message: &str) -> Result<u8> {
    match text.as_bytes() {
        [b] => Ok(*b),
        _ => Err(invalid(message)),
    }
}

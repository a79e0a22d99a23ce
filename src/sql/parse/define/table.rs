//! CREATE TABLE, with LIKE among its elements, AS, and where its rows are placed.

use super::super::cursor::Cursor;
use super::super::rewrite::is;
use super::{
    Element, Like, OnCommit, TableDef, columns, if_not_exists, parameters, query, sequence,
    with_data,
};
use sqlparser::ast::{self, ColumnOption, Ident};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};
use types::{Error, Result};

pub(super) fn table(c: &mut Cursor, text: &str, temporary: bool) -> Result<TableDef> {
    let if_not_exists = if_not_exists(c)?;
    let name = c.object_name()?;
    let mut def = TableDef {
        name,
        temporary,
        if_not_exists,
        elements: Vec::new(),
        with: Vec::new(),
        on_commit: None,
        placement: Vec::new(),
        method: None,
        tablespace: None,
        filled: None,
    };
    if c.is("of") || c.is("partition") && c.second_is("of") {
        return Err(Error::unsupported("CREATE TABLE OF is not supported"));
    }
    let mut names = Vec::new();
    if c.peek() == Some(&Token::LParen) {
        match is_name_list(c) {
            true => names = columns(c)?,
            false => elements(c, &mut def.elements)?,
        }
    } else if !(c.is("as") || c.is("with") || c.is("on") || c.is("tablespace") || c.is("using")) {
        return Err(c.error());
    }
    clauses(c, &mut def)?;
    if c.accept("as") {
        let mut filled = query(c, text, names)?;
        filled.with_data = with_data(c)?;
        def.filled = Some(filled);
    } else if !names.is_empty() {
        return Err(c.error());
    }
    Ok(def)
}

/// `(a, b) … AS`: names without types.
fn is_name_list(c: &Cursor) -> bool {
    let tokens = c.rest().iter().map(|t| &t.token);
    let mut tokens = tokens
        .filter(|t| !matches!(t, Token::Whitespace(_)))
        .skip(1);
    loop {
        if !matches!(tokens.next(), Some(Token::Word(_))) {
            return false;
        }
        match tokens.next() {
            Some(Token::Comma) => {}
            Some(Token::RParen) => return true,
            _ => return false,
        }
    }
}

fn elements(c: &mut Cursor, out: &mut Vec<Element>) -> Result<()> {
    c.expect_token(&Token::LParen)?;
    if c.accept_token(&Token::RParen) {
        return Ok(());
    }
    loop {
        let mut element = c.element();
        out.push(read(&mut element)?);
        if !c.accept_token(&Token::Comma) {
            break;
        }
    }
    c.expect_token(&Token::RParen)
}

fn read(c: &mut Cursor) -> Result<Element> {
    if c.is("like") {
        return like(c);
    }
    if begins_constraint(c) {
        let read = |p: &mut Parser<'static>| p.parse_optional_table_constraint();
        return match c.whole(c.rest().to_vec(), read)? {
            Some(constraint) => Ok(Element::Constraint(constraint)),
            None => Err(c.error()),
        };
    }
    column(c).map(Element::Column)
}

/// A constraint, and no column, which EXCLUDE may also be called.
pub(super) fn begins_constraint(c: &Cursor) -> bool {
    let words = ["constraint", "primary", "unique", "check", "foreign"];
    words.iter().any(|word| c.is(word))
        || c.is("exclude") && (c.second_is("using") || c.peek_second() == Some(&Token::LParen))
}

/// A column; the options of its identity are read here, in any order.
pub(super) fn column(c: &Cursor) -> Result<ast::ColumnDef> {
    let read =
        |p: &mut Parser<'static>| -> Result<ast::ColumnDef, ParserError> { p.parse_column_def() };
    let Some((tokens, mut inner)) = c.cut_after("identity") else {
        let (tokens, not_distinct) = without_nulls(c.rest());
        let mut column = c.whole(tokens, read)?;
        let uniques = column
            .options
            .iter_mut()
            .filter_map(|o| match &mut o.option {
                ColumnOption::Unique(k) => Some(k),
                _ => None,
            });
        for (unique, not_distinct) in uniques.zip(not_distinct) {
            if not_distinct {
                unique.nulls_distinct = ast::NullsDistinctOption::NotDistinct;
            }
        }
        return Ok(column);
    };
    let mut options = super::SequenceOptions::default();
    while !inner.at_end() {
        sequence::one(&mut inner, &mut options)?;
    }
    let mut column = c.whole(tokens, read)?;
    for option in &mut column.options {
        if let ColumnOption::Generated {
            sequence_options, ..
        } = &mut option.option
        {
            *sequence_options = Some(sequence::as_identity(&options)?);
        }
    }
    Ok(column)
}

/// A column's tokens without `NULLS [NOT] DISTINCT` behind UNIQUE, and for each UNIQUE whether it said NOT.
fn without_nulls(tokens: &[TokenWithSpan]) -> (Vec<TokenWithSpan>, Vec<bool>) {
    let (mut out, mut said) = (Vec::with_capacity(tokens.len()), Vec::new());
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        out.push(token.clone());
        if !is(&token.token, Keyword::UNIQUE) {
            continue;
        }
        let rest = tokens.iter().enumerate().skip(at);
        let rest = rest.filter(|(_, t)| !matches!(t.token, Token::Whitespace(_)));
        let rest: Vec<(usize, &Token)> = rest.take(3).map(|(i, t)| (i, &t.token)).collect();
        let word = |n: usize, w: Keyword| rest.get(n).is_some_and(|(_, t)| is(t, w));
        let not = word(0, Keyword::NULLS) && word(1, Keyword::NOT) && word(2, Keyword::DISTINCT);
        let last = match not {
            true => rest.get(2),
            false if word(0, Keyword::NULLS) && word(1, Keyword::DISTINCT) => rest.get(1),
            false => None,
        };
        if let Some((last, _)) = last {
            at = last + 1;
        }
        said.push(not);
    }
    (out, said)
}

fn like(c: &mut Cursor) -> Result<Element> {
    c.expect("like")?;
    let mut like = Like {
        table: c.object_name()?,
        defaults: false,
        constraints: false,
        indexes: false,
        identity: false,
        generated: false,
        comments: false,
    };
    while !c.at_end() {
        let on = c.accept("including");
        if !on {
            c.expect("excluding")?;
        }
        match c.name()?.as_str() {
            "defaults" => like.defaults = on,
            "constraints" => like.constraints = on,
            "indexes" => like.indexes = on,
            "identity" => like.identity = on,
            "generated" => like.generated = on,
            "comments" => like.comments = on,
            // Neither of them exists for a table here, so nothing is left out.
            "storage" | "statistics" | "compression" => {}
            "all" => {
                like.defaults = on;
                like.constraints = on;
                like.indexes = on;
                like.identity = on;
                like.generated = on;
                like.comments = on;
            }
            _ => return Err(c.error()),
        }
    }
    Ok(Element::Like(like))
}

fn clauses(c: &mut Cursor, def: &mut TableDef) -> Result<()> {
    loop {
        if c.is("inherits") {
            return Err(Error::unsupported("INHERITS is not supported"));
        }
        if c.accept("using") {
            def.method = Some(c.name()?);
        } else if c.accept("tablespace") {
            // The rewriter has taken `pg_default` away.
            def.tablespace = Some(c.name()?);
        } else if c.accept("partition") {
            def.placement = placement(c)?;
        } else if c.is("with") && c.peek_second() == Some(&Token::LParen) {
            c.next();
            def.with = parameters::list(c)?;
        } else if c.accept("without") {
            // The only way there is.
            c.expect("oids")?;
        } else if c.accept("on") {
            c.expect("commit")?;
            def.on_commit = Some(if c.accept("drop") {
                OnCommit::Drop
            } else {
                let delete = c.accept("delete");
                if !delete {
                    c.expect("preserve")?;
                }
                c.expect("rows")?;
                match delete {
                    true => OnCommit::DeleteRows,
                    false => OnCommit::PreserveRows,
                }
            });
        } else {
            return Ok(());
        }
    }
}

/// `BY HASH (a, b)`: the columns of the key that say where a row is.
fn placement(c: &mut Cursor) -> Result<Vec<Ident>> {
    c.expect("by")?;
    if !c.accept("hash") {
        return Err(Error::unsupported("PARTITION BY RANGE and LIST are not supported")
            .with_hint("Rows are spread by a hash: of the primary key, or by PARTITION BY HASH of some of its columns."));
    }
    if c.peek_second() == Some(&Token::LParen) {
        return Err(
            Error::unsupported("PARTITION BY HASH of an expression is not supported")
                .with_hint("Name columns of the primary key."),
        );
    }
    let names = columns(c)?;
    if names.is_empty() {
        return Err(c.error());
    }
    Ok(names)
}

//! CREATE, ALTER and DROP TRIGGER.
//!
//! Owns: the clauses, and what of them is refused. Never: reads a condition itself (the grammar crate's parser does).
//! Source: PostgreSQL 15 manual, CREATE TRIGGER.

use super::super::cursor::Cursor;
use super::{Definition, if_exists};
use sqlparser::ast::{self, Ident, ObjectName};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;
use types::{Error, Result, SqlState};

#[derive(Debug)]
pub(crate) struct TriggerDef {
    pub name: Ident,
    pub or_replace: bool,
    pub before: bool,
    pub insert: bool,
    pub update: bool,
    pub delete: bool,
    /// UPDATE OF.
    pub columns: Vec<Ident>,
    pub table: ObjectName,
    pub when: Option<Box<ast::Expr>>,
    pub function: ObjectName,
    pub args: Vec<String>,
    /// FOR EACH STATEMENT.
    pub statement: bool,
}

/// Those that ENABLE and DISABLE TRIGGER are about.
#[derive(Debug)]
pub(crate) enum Which {
    Named(Ident),
    Users,
    /// Those that foreign keys are in PostgreSQL too.
    All,
}

pub(super) fn create(c: &mut Cursor, or_replace: bool) -> Result<TriggerDef> {
    let name = c.ident()?;
    let before = c.accept("before");
    if !before && c.is("instead") {
        return Err(Error::unsupported("INSTEAD OF triggers are not supported")
            .with_hint("They are of views, and views are not changed through here."));
    }
    if !before {
        c.expect("after")?;
    }
    let mut def = TriggerDef {
        name,
        or_replace,
        before,
        insert: false,
        update: false,
        delete: false,
        columns: Vec::new(),
        table: ObjectName(Vec::new()),
        when: None,
        function: ObjectName(Vec::new()),
        args: Vec::new(),
        statement: true,
    };
    loop {
        event(c, &mut def)?;
        if !c.accept("or") {
            break;
        }
    }
    c.expect("on")?;
    def.table = c.object_name()?;
    if c.is("from") || c.is("deferrable") || c.is("initially") || c.is("not") {
        return Err(constraint_triggers());
    }
    if c.is("referencing") {
        return Err(
            Error::unsupported("transition tables of triggers are not supported")
                .with_hint("A row trigger has NEW and OLD."),
        );
    }
    if c.accept("for") {
        c.accept("each");
        def.statement = c.accept("statement");
        if !def.statement {
            c.expect("row")?;
        }
    }
    if c.accept("when") {
        c.expect_token(&Token::LParen)?;
        let condition = c.sub(|p: &mut Parser<'static>| p.parse_expr())?;
        c.expect_token(&Token::RParen)?;
        def.when = Some(Box::new(condition));
    }
    c.expect("execute")?;
    if !c.accept("procedure") {
        c.expect("function")?;
    }
    def.function = c.object_name()?;
    def.args = arguments(c)?;
    Ok(def)
}

fn event(c: &mut Cursor, def: &mut TriggerDef) -> Result<()> {
    let again = c.error();
    let slot = if c.accept("insert") {
        &mut def.insert
    } else if c.accept("delete") {
        &mut def.delete
    } else if c.accept("update") {
        &mut def.update
    } else if c.is("truncate") {
        return Err(Error::unsupported("TRUNCATE triggers are not supported")
            .with_hint("TRUNCATE looks at no row."));
    } else {
        return Err(again);
    };
    if std::mem::replace(slot, true) {
        return Err(Error::new(
            SqlState::SYNTAX_ERROR,
            "duplicate trigger events specified",
        ));
    }
    if def.columns.is_empty() && def.update && c.accept("of") {
        def.columns.push(c.ident()?);
        while c.accept_token(&Token::Comma) {
            def.columns.push(c.ident()?);
        }
    }
    Ok(())
}

pub(super) fn constraint_triggers() -> Error {
    Error::unsupported("constraint triggers are not supported")
        .with_hint("An AFTER trigger is called at the end of its statement.")
}

/// Numbers, names and strings alike are texts.
fn arguments(c: &mut Cursor) -> Result<Vec<String>> {
    let mut out = Vec::new();
    c.expect_token(&Token::LParen)?;
    if c.accept_token(&Token::RParen) {
        return Ok(out);
    }
    loop {
        out.push(match c.peek() {
            Some(Token::Number(n, _)) => {
                let n = n.clone();
                c.next();
                n
            }
            Some(Token::Word(_)) => c.name()?,
            _ => c.string()?,
        });
        if !c.accept_token(&Token::Comma) {
            break;
        }
    }
    c.expect_token(&Token::RParen)?;
    Ok(out)
}

/// DROP TRIGGER [IF EXISTS] name ON table [CASCADE | RESTRICT]
pub(super) fn drop(c: &mut Cursor) -> Result<Definition> {
    let if_exists = if_exists(c)?;
    let name = c.ident()?;
    c.expect("on")?;
    let table = c.object_name()?;
    // Nothing needs a trigger.
    super::cascade(c);
    Ok(Definition::DropTrigger {
        name,
        table,
        if_exists,
    })
}

/// ALTER TRIGGER name ON table RENAME TO name
pub(super) fn alter(c: &mut Cursor) -> Result<Definition> {
    let name = c.ident()?;
    c.expect("on")?;
    let table = c.object_name()?;
    if c.is("depends") || c.is("no") {
        return Err(Error::unsupported(
            "ALTER TRIGGER DEPENDS ON EXTENSION is not supported",
        ));
    }
    c.expect("rename")?;
    c.expect("to")?;
    let to = c.ident()?;
    Ok(Definition::RenameTrigger { name, table, to })
}

/// ENABLE and DISABLE TRIGGER, of ALTER TABLE: which, and how it fires. `None` when it is another action.
pub(super) fn firing(c: &mut Cursor) -> Result<Option<(Which, char)>> {
    let on = c.is("enable");
    if !on && !c.is("disable") {
        return Ok(None);
    }
    let mut ahead = c.clone();
    ahead.next();
    let how = match on {
        false => 'D',
        true if ahead.accept("always") => 'A',
        true if ahead.accept("replica") => 'R',
        true => 'O',
    };
    if !ahead.accept("trigger") {
        return Ok(None);
    }
    let quoted = matches!(ahead.peek(), Some(Token::Word(w)) if w.quote_style.is_some());
    let name = ahead.ident()?;
    let word = |word: &str| !quoted && name.value.eq_ignore_ascii_case(word);
    let which = match (word("all"), word("user")) {
        (true, _) => Which::All,
        (_, true) => Which::Users,
        _ => Which::Named(name),
    };
    *c = ahead;
    Ok(Some((which, how)))
}

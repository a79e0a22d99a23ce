//! The actions of ALTER.

use super::super::cursor::Cursor;
use super::{
    Action, AttributeAction, ObjectKind, SequenceOptions, function, if_exists, if_not_exists,
    parameters, sequence, table, trigger,
};
use sqlparser::ast::{AlterTableOperation, ColumnDef, ColumnOption, ColumnOptionDef};
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan};
use types::{Error, Result, SqlState};

pub(super) fn actions(c: &mut Cursor, kind: ObjectKind) -> Result<Vec<Action>> {
    if kind == ObjectKind::Type
        && let Some(action) = of_enum(c)?
    {
        return Ok(vec![action]);
    }
    if kind == ObjectKind::Type && c.second_is("attribute") {
        let mut actions = Vec::new();
        loop {
            actions.push(of_attribute(c)?);
            if !c.accept_token(&Token::Comma) {
                return Ok(actions);
            }
        }
    }
    if let Some(action) = common(c)? {
        return Ok(vec![action]);
    }
    if kind == ObjectKind::Domain {
        return Ok(vec![of_domain(c)?]);
    }
    match kind {
        ObjectKind::Table => {
            let mut actions = Vec::new();
            loop {
                let mut element = c.element();
                actions.push(of_table(&mut element)?);
                element.expect_end()?;
                if !c.accept_token(&Token::Comma) {
                    return Ok(actions);
                }
            }
        }
        ObjectKind::View | ObjectKind::MaterializedView => {
            let mut element = c.element();
            let action = of_table(&mut element)?;
            element.expect_end()?;
            Ok(vec![action])
        }
        ObjectKind::Sequence => {
            let mut options = SequenceOptions::default();
            if c.at_end() {
                return Err(c.error());
            }
            while !c.at_end() {
                sequence::one(c, &mut options)?;
            }
            Ok(vec![Action::Sequence(options)])
        }
        ObjectKind::Function | ObjectKind::Procedure => {
            let (traits, hints) = function::traits(c)?;
            Ok(vec![Action::Function(traits, hints)])
        }
        ObjectKind::Index => match parameters::storage(c)? {
            Some(storage) => Ok(vec![Action::Storage(None, storage)]),
            None => Err(c.error()),
        },
        ObjectKind::Extension => Err(Error::unsupported("ALTER EXTENSION is not supported")),
        ObjectKind::Schema | ObjectKind::Type | ObjectKind::Domain => Err(c.error()),
    }
}

/// SET and DROP, of DEFAULT and NOT NULL; constraints are read as those of a table.
fn of_domain(c: &mut Cursor) -> Result<Action> {
    let set = c.is("set");
    if set || c.is("drop") && !c.second_is("constraint") {
        c.next();
        if c.accept("not") {
            c.expect("null")?;
            return Ok(Action::DomainNotNull(set));
        }
        c.expect("default")?;
        let value = match set {
            true => Some(Box::new(c.sub(|p: &mut Parser<'static>| p.parse_expr())?)),
            false => None,
        };
        return Ok(Action::DomainDefault(value));
    }
    let read = |p: &mut Parser<'static>| p.parse_alter_table_operation();
    let operation = c.whole(c.rest().to_vec(), read)?;
    c.skip_all();
    match operation {
        AlterTableOperation::AddConstraint { .. }
        | AlterTableOperation::DropConstraint { .. }
        | AlterTableOperation::ValidateConstraint { .. } => Ok(Action::Plain(Box::new(operation))),
        _ => Err(Error::new(
            SqlState::SYNTAX_ERROR,
            "syntax error in ALTER DOMAIN",
        )),
    }
}

/// ADD, DROP and RENAME ATTRIBUTE.
fn of_attribute(c: &mut Cursor) -> Result<Action> {
    let action = if c.accept("rename") {
        c.expect("attribute")?;
        let from = c.ident()?;
        c.expect("to")?;
        let to = c.ident()?;
        AttributeAction::Rename { from, to }
    } else if c.accept("drop") {
        c.expect("attribute")?;
        let if_exists = if_exists(c)?;
        let name = c.ident()?;
        AttributeAction::Drop { name, if_exists }
    } else if c.accept("add") {
        c.expect("attribute")?;
        AttributeAction::Add(Box::new(attribute(&mut c.element())?))
    } else {
        return Err(Error::unsupported(
            "ALTER TYPE … ALTER ATTRIBUTE is not supported",
        ));
    };
    super::cascade(c);
    Ok(Action::Attribute(action))
}

/// A name and a type.
pub(super) fn attribute(c: &mut Cursor) -> Result<ColumnDef> {
    let mut tokens = c.rest().to_vec();
    // What follows an attribute that is added is no part of it.
    let is = |t: &TokenWithSpan| {
        super::super::rewrite::is(&t.token, Keyword::CASCADE)
            || super::super::rewrite::is(&t.token, Keyword::RESTRICT)
    };
    if let Some(at) = tokens.iter().skip(1).position(is) {
        tokens.truncate(at + 1);
    }
    let column = c.whole(tokens, |p: &mut Parser<'static>| p.parse_column_def())?;
    let plain = |o: &ColumnOptionDef| matches!(o.option, ColumnOption::Collation(_));
    match column.options.iter().all(plain) {
        true => Ok(column),
        false => Err(c.error()),
    }
}

/// ADD VALUE and RENAME VALUE; `None` when it is another action.
fn of_enum(c: &mut Cursor) -> Result<Option<Action>> {
    if c.is("add") && c.second_is("value") {
        c.next();
        c.next();
        let if_not_exists = if_not_exists(c)?;
        let label = super::label(c)?;
        let before = c.accept("before");
        let beside = match before || c.accept("after") {
            true => Some((before, super::label(c)?)),
            false => None,
        };
        return Ok(Some(Action::AddValue {
            label,
            if_not_exists,
            beside,
        }));
    }
    if c.is("rename") && c.second_is("value") {
        c.next();
        c.next();
        let from = super::label(c)?;
        c.expect("to")?;
        let to = super::label(c)?;
        return Ok(Some(Action::RenameValue { from, to }));
    }
    Ok(None)
}

/// RENAME, SET SCHEMA and OWNER TO.
fn common(c: &mut Cursor) -> Result<Option<Action>> {
    if c.is("set") && c.second_is("schema") {
        c.next();
        c.next();
        return c.ident().map(|schema| Some(Action::SetSchema(schema)));
    }
    if c.is("owner") && c.second_is("to") {
        c.next();
        c.next();
        return c.name().map(|name| Some(Action::Owner(name)));
    }
    if !c.accept("rename") {
        return Ok(None);
    }
    if c.accept("to") {
        return c.ident().map(|name| Some(Action::RenameTo(name)));
    }
    let constraint = c.accept("constraint");
    if !constraint {
        c.accept("column");
    }
    let from = c.ident()?;
    c.expect("to")?;
    let to = c.ident()?;
    Ok(Some(match constraint {
        true => Action::RenameConstraint { from, to },
        false => Action::RenameColumn { from, to },
    }))
}

fn of_table(c: &mut Cursor) -> Result<Action> {
    if c.is("alter") && c.second_is("constraint") {
        return of_constraint(c);
    } else if c.is("alter") {
        if let Some(action) = of_column(c)? {
            return Ok(action);
        }
    } else if c.is("add") && !is_constraint(c) {
        let mut ahead = c.clone();
        ahead.next();
        ahead.accept("column");
        let if_not_exists = if_not_exists(&mut ahead)?;
        let column_def = table::column(&ahead)?;
        c.skip_all();
        return Ok(Action::Plain(Box::new(AlterTableOperation::AddColumn {
            column_keyword: true,
            if_not_exists,
            column_def,
            column_position: None,
        })));
    } else if let Some(storage) = parameters::storage(c)? {
        return Ok(Action::Storage(None, storage));
    } else if let Some((name, how)) = trigger::firing(c)? {
        return Ok(Action::FireTriggers(name, how));
    }
    for word in [
        "enable", "disable", "force", "inherit", "attach", "detach", "cluster",
    ] {
        if c.is(word) {
            let shown = word.to_ascii_uppercase();
            return Err(Error::unsupported(format!(
                "ALTER TABLE … {shown} is not supported"
            )));
        }
    }
    let read = |p: &mut Parser<'static>| p.parse_alter_table_operation();
    let operation = c.whole(c.rest().to_vec(), read)?;
    c.skip_all();
    Ok(Action::Plain(Box::new(operation)))
}

/// When a foreign key is looked at.
fn of_constraint(c: &mut Cursor) -> Result<Action> {
    c.next();
    c.next();
    let name = c.ident()?;
    let (mut deferrable, mut deferred) = (None, None);
    while !c.at_end() {
        let not = c.accept("not");
        if not || c.is("deferrable") {
            c.expect("deferrable")?;
            deferrable = Some(!not);
        } else {
            c.expect("initially")?;
            deferred = Some(c.accept("deferred"));
            if deferred == Some(false) {
                c.expect("immediate")?;
            }
        }
    }
    let initially_deferred = deferred.unwrap_or(false);
    if initially_deferred && deferrable == Some(false) {
        return Err(Error::new(
            SqlState::SYNTAX_ERROR,
            "constraint declared INITIALLY DEFERRED must be DEFERRABLE",
        ));
    }
    Ok(Action::SetTiming {
        name,
        deferrable: deferrable.unwrap_or(initially_deferred),
        initially_deferred,
    })
}

fn is_constraint(c: &Cursor) -> bool {
    let mut ahead = c.clone();
    ahead.next();
    table::begins_constraint(&ahead)
}

/// What the grammar crate does not know of ALTER COLUMN.
fn of_column(c: &mut Cursor) -> Result<Option<Action>> {
    let mut ahead = c.clone();
    ahead.next();
    ahead.accept("column");
    let column = ahead.ident()?;
    let action = if ahead.accept("add") {
        ahead.expect("generated")?;
        let always = always(&mut ahead)?;
        ahead.expect("as")?;
        ahead.expect("identity")?;
        let mut options = SequenceOptions::default();
        if ahead.accept_token(&Token::LParen) {
            while !ahead.accept_token(&Token::RParen) {
                sequence::one(&mut ahead, &mut options)?;
            }
        }
        Action::AddIdentity {
            column,
            always,
            options,
        }
    } else if ahead.is("drop") && ahead.second_is("identity") {
        ahead.next();
        ahead.next();
        let if_exists = if_exists(&mut ahead)?;
        Action::DropIdentity { column, if_exists }
    } else if ahead.is("drop") && ahead.second_is("expression") {
        ahead.next();
        ahead.next();
        let if_exists = if_exists(&mut ahead)?;
        Action::DropExpression { column, if_exists }
    } else if let Some(storage) = parameters::storage(&mut ahead)? {
        Action::Storage(Some(column), storage)
    } else if ahead.is("restart") || ahead.is("set") && is_identity_option(&ahead) {
        let mut changed = None;
        let mut options = SequenceOptions::default();
        while !ahead.at_end() {
            if ahead.is("set") && ahead.second_is("generated") {
                ahead.next();
                ahead.next();
                changed = Some(always(&mut ahead)?);
            } else {
                ahead.accept("set");
                sequence::one(&mut ahead, &mut options)?;
            }
        }
        Action::ChangeIdentity {
            column,
            always: changed,
            options,
        }
    } else {
        return Ok(None);
    };
    *c = ahead;
    Ok(Some(action))
}

fn is_identity_option(c: &Cursor) -> bool {
    [
        "generated",
        "increment",
        "minvalue",
        "maxvalue",
        "no",
        "start",
        "cache",
        "cycle",
        "restart",
    ]
    .iter()
    .any(|word| c.second_is(word))
        && !(c.second_is("no") && c.rest().len() < 3)
}

/// ALWAYS, or BY DEFAULT.
fn always(c: &mut Cursor) -> Result<bool> {
    let always = c.accept("always");
    if !always {
        c.expect("by")?;
        c.expect("default")?;
    }
    Ok(always)
}

//! Options of sequences, on their own and in identity columns.

use super::super::cursor::Cursor;
use super::{Definition, SequenceDef, SequenceOptions, if_not_exists, syntax};
use sqlparser::ast;
use sqlparser::tokenizer::Token;
use types::{Error, Result, SqlState};

pub(super) fn create(c: &mut Cursor, temporary: bool) -> Result<Definition> {
    let if_not_exists = if_not_exists(c)?;
    let name = c.object_name()?;
    let mut options = SequenceOptions::default();
    while !c.at_end() {
        one(c, &mut options)?;
    }
    Ok(Definition::Sequence(SequenceDef {
        name,
        temporary,
        if_not_exists,
        options,
    }))
}

/// One option; an error when the next words are none.
pub(super) fn one(c: &mut Cursor, o: &mut SequenceOptions) -> Result<()> {
    if c.accept("as") {
        return once(&mut o.ty, c.data_type()?);
    }
    if c.accept("increment") {
        c.accept("by");
        let n = integer(c)?;
        return once(&mut o.increment, n);
    }
    if c.accept("minvalue") {
        let n = integer(c)?;
        return once(&mut o.min, Some(n));
    }
    if c.accept("maxvalue") {
        let n = integer(c)?;
        return once(&mut o.max, Some(n));
    }
    if c.accept("no") {
        if c.accept("minvalue") {
            return once(&mut o.min, None);
        }
        if c.accept("maxvalue") {
            return once(&mut o.max, None);
        }
        c.expect("cycle")?;
        return once(&mut o.cycle, false);
    }
    if c.accept("start") {
        c.accept("with");
        let n = integer(c)?;
        return once(&mut o.start, n);
    }
    if c.accept("restart") {
        c.accept("with");
        let given = matches!(
            c.peek(),
            Some(Token::Number(..) | Token::Minus | Token::Plus)
        );
        let n = if given { Some(integer(c)?) } else { None };
        return once(&mut o.restart, n);
    }
    if c.accept("cache") {
        let n = integer(c)?;
        return once(&mut o.cache, n);
    }
    if c.accept("cycle") {
        return once(&mut o.cycle, true);
    }
    if c.accept("owned") {
        c.expect("by")?;
        let owner = match c.accept("none") {
            true => None,
            false => Some(c.object_name()?),
        };
        return once(&mut o.owned_by, owner);
    }
    if c.accept("sequence") {
        c.expect("name")?;
        let name = c.object_name()?;
        return once(&mut o.name, name);
    }
    Err(c.error())
}

fn once<T>(slot: &mut Option<T>, value: T) -> Result<()> {
    if slot.replace(value).is_some() {
        return Err(syntax("conflicting or redundant options"));
    }
    Ok(())
}

/// A signed integer of eight bytes.
fn integer(c: &mut Cursor) -> Result<i64> {
    let negative = c.accept_token(&Token::Minus);
    if !negative {
        c.accept_token(&Token::Plus);
    }
    let Some(Token::Number(digits, _)) = c.peek() else {
        return Err(c.error());
    };
    let value = value(negative, digits);
    c.next();
    value
}

fn value(negative: bool, digits: &str) -> Result<i64> {
    let text = match negative {
        true => format!("-{digits}"),
        false => digits.to_owned(),
    };
    text.parse().map_err(|_| {
        Error::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("value \"{text}\" is out of range for type bigint"),
        )
    })
}

/// In the grammar crate's terms, which is where a column keeps them.
pub(super) fn as_identity(o: &SequenceOptions) -> Result<Vec<ast::SequenceOptions>> {
    let number = |n: i64| {
        let digits = n.unsigned_abs().to_string();
        let value = ast::Expr::Value(ast::Value::Number(digits, false).into());
        match n < 0 {
            true => ast::Expr::UnaryOp {
                op: ast::UnaryOperator::Minus,
                expr: Box::new(value),
            },
            false => value,
        }
    };
    if o.ty.is_some() || o.restart.is_some() || o.owned_by.is_some() {
        return Err(Error::unsupported(
            "this option of an identity column is not supported",
        ));
    }
    let mut out = Vec::new();
    if let Some(name) = &o.name {
        // The grammar crate has no place for it.
        let parts = name.0.iter().filter_map(|p| p.as_ident().cloned());
        let name = ast::Expr::CompoundIdentifier(parts.collect());
        out.push(ast::SequenceOptions::StartWith(name, false));
    }
    out.extend(
        o.increment
            .map(|n| ast::SequenceOptions::IncrementBy(number(n), true)),
    );
    out.extend(o.min.map(|n| ast::SequenceOptions::MinValue(n.map(number))));
    out.extend(o.max.map(|n| ast::SequenceOptions::MaxValue(n.map(number))));
    out.extend(
        o.start
            .map(|n| ast::SequenceOptions::StartWith(number(n), true)),
    );
    out.extend(o.cache.map(|n| ast::SequenceOptions::Cache(number(n))));
    out.extend(o.cycle.map(|on| ast::SequenceOptions::Cycle(!on)));
    Ok(out)
}

/// What the grammar crate has read in parentheses behind IDENTITY.
pub(crate) fn of_identity(given: &[ast::SequenceOptions]) -> Result<SequenceOptions> {
    let mut o = SequenceOptions::default();
    for option in given {
        match option {
            ast::SequenceOptions::IncrementBy(e, _) => once(&mut o.increment, literal(e)?)?,
            ast::SequenceOptions::MinValue(e) => {
                once(&mut o.min, e.as_ref().map(literal).transpose()?)?;
            }
            ast::SequenceOptions::MaxValue(e) => {
                once(&mut o.max, e.as_ref().map(literal).transpose()?)?;
            }
            ast::SequenceOptions::StartWith(ast::Expr::CompoundIdentifier(parts), false) => {
                once(&mut o.name, ast::ObjectName::from(parts.clone()))?;
            }
            ast::SequenceOptions::StartWith(e, _) => once(&mut o.start, literal(e)?)?,
            ast::SequenceOptions::Cache(e) => once(&mut o.cache, literal(e)?)?,
            // Here `true` stands for NO CYCLE.
            ast::SequenceOptions::Cycle(no) => once(&mut o.cycle, !no)?,
        }
    }
    Ok(o)
}

fn literal(e: &ast::Expr) -> Result<i64> {
    match e {
        ast::Expr::UnaryOp {
            op: ast::UnaryOperator::Minus,
            expr,
        } => match &**expr {
            ast::Expr::Value(v) => number(&v.value, true),
            _ => Err(syntax("syntax error in a sequence's options")),
        },
        ast::Expr::Value(v) => number(&v.value, false),
        _ => Err(syntax("syntax error in a sequence's options")),
    }
}

fn number(v: &ast::Value, negative: bool) -> Result<i64> {
    match v {
        ast::Value::Number(digits, _) => value(negative, digits),
        _ => Err(syntax("syntax error in a sequence's options")),
    }
}

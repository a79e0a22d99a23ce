//! CREATE EXTENSION, and DROP ROLE of roles that there are not.
//!
//! Never: knows which extensions there are (the catalog does). Source: PostgreSQL 15 manual, CREATE EXTENSION.

use super::super::cursor::Cursor;
use super::{Definition, if_exists, if_not_exists, refused};
use sqlparser::ast::Ident;
use sqlparser::tokenizer::Token;
use types::Result;

#[derive(Debug)]
pub(crate) struct ExtensionDef {
    pub name: String,
    pub if_not_exists: bool,
    pub schema: Option<Ident>,
    pub version: Option<String>,
}

/// `[IF NOT EXISTS] name [WITH] [SCHEMA s] [VERSION v] [CASCADE]`
pub(super) fn create(c: &mut Cursor) -> Result<Definition> {
    let mut def = ExtensionDef {
        if_not_exists: if_not_exists(c)?,
        name: c.name()?,
        schema: None,
        version: None,
    };
    c.accept("with");
    loop {
        if c.accept("schema") {
            def.schema = Some(c.ident()?);
        } else if c.accept("version") {
            def.version = Some(match c.peek() {
                Some(Token::Word(_)) => c.name()?,
                _ => c.string()?,
            });
        } else if !c.accept("cascade") {
            return Ok(Definition::Extension(def));
        }
    }
}

/// DROP {ROLE | USER | GROUP} IF EXISTS name, …: there is no role that it could drop.
pub(super) fn drop_roles(c: &mut Cursor) -> Result<Definition> {
    let mut ahead = c.clone();
    ahead.next();
    if !if_exists(&mut ahead)? {
        return Err(refused("DROP", c));
    }
    let mut names = vec![ahead.name()?];
    while ahead.accept_token(&Token::Comma) {
        names.push(ahead.name()?);
    }
    *c = ahead;
    Ok(Definition::NoRoles(names))
}

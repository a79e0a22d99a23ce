//! CREATE VIEW and CREATE MATERIALIZED VIEW.

use super::{Definition, ViewDef, columns, if_not_exists, query, with_data};
use crate::parse::cursor::Cursor;
use types::{Error, Result};

pub(super) fn create(
    c: &mut Cursor,
    text: &str,
    or_replace: bool,
    temporary: bool,
) -> Result<Definition> {
    let name = c.object_name()?;
    let columns = columns(c)?;
    if c.accept("with") {
        options()?;
    }
    c.expect("as")?;
    let mut body = query(c, text, columns)?;
    body.with_data = true;
    let mut check = None;
    if c.accept("with") {
        check = Some(!c.accept("local"));
        c.accept("cascaded");
        c.expect("check")?;
        c.expect("option")?;
    }
    Ok(Definition::View(Box::new(ViewDef {
        name,
        or_replace,
        materialized: false,
        temporary,
        if_not_exists: false,
        body,
        check,
    })))
}

pub(super) fn materialized(c: &mut Cursor, text: &str) -> Result<Definition> {
    c.expect("view")?;
    let if_not_exists = if_not_exists(c)?;
    let name = c.object_name()?;
    let columns = columns(c)?;
    if c.accept("with") {
        options()?;
    }
    c.expect("as")?;
    let mut body = query(c, text, columns)?;
    body.with_data = with_data(c)?;
    Ok(Definition::View(Box::new(ViewDef {
        name,
        or_replace: false,
        materialized: true,
        temporary: false,
        if_not_exists,
        body,
        check: None,
    })))
}

fn options() -> Result<()> {
    Err(Error::unsupported(
        "options of views (security_barrier, check_option …) are not supported",
    ))
}

//! Where names without a schema are looked up: `search_path`, and the session's temporary tables before it.
//!
//! Owns: reading the setting. Asked by: the binder, and by what reads and prints `regclass`. `pg_catalog` is searched first by
//! whoever knows system relations. Source: PostgreSQL 15, `namespace.c`.

use super::model::PUBLIC;
use super::{Catalog, Relation};
use crate::exec::Context;
use crate::exec::functions::quote_identifier;
use types::{Error, Result, SqlState};

/// As definitions name something: quoted where it must be, with its schema unless that is `public`.
pub fn shown(schema: &str, name: &str) -> String {
    match schema {
        PUBLIC => quote_identifier(name).into_owned(),
        other => format!("{}.{}", quote_identifier(other), quote_identifier(name)),
    }
}

/// The schema that the session's temporary tables are in, once it has any.
pub fn temporary(ctx: &Context) -> String {
    format!("pg_temp_{}", ctx.session.backend_pid)
}

/// The schemas that are searched, of those that there are.
pub fn searched(ctx: &Context) -> Vec<String> {
    let temporary = temporary(ctx);
    let mut out = Vec::new();
    if ctx.catalog.schema_oid(&temporary).is_some() {
        out.push(temporary);
    }
    out.extend(listed(ctx));
    out
}

/// Where things are made that are given no schema. 3F000 when there is none.
pub fn creation(ctx: &Context) -> Result<String> {
    let first = listed(ctx).into_iter().next();
    first.ok_or_else(|| {
        Error::new(
            SqlState::INVALID_SCHEMA_NAME,
            "no schema has been selected to create in",
        )
    })
}

/// The schemas of `search_path`, of those that there are.
pub fn listed(ctx: &Context) -> Vec<String> {
    let mut settings = ctx.session.settings.iter();
    let path = settings.find(|(name, _)| name == "search_path");
    let path = path.map_or("\"$user\", public", |(_, value)| value.as_str());
    let mut out: Vec<String> = Vec::new();
    for name in split(path) {
        let name = match name.as_str() {
            "$user" => ctx.session.user.clone(),
            _ => name,
        };
        if !out.contains(&name) && ctx.catalog.schema_oid(&name).is_some() {
            out.push(name);
        }
    }
    out
}

/// The context with a function's settings in the place of the session's; `None`: it has none.
pub fn set(ctx: &Context, settings: &[(String, String)]) -> Option<Context> {
    if settings.is_empty() {
        return None;
    }
    let mut all = Vec::clone(&ctx.session.settings);
    for (name, value) in settings {
        match all.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => old.clone_from(value),
            None => all.push((name.clone(), value.clone())),
        }
    }
    let session = crate::exec::context::SessionInfo {
        settings: std::sync::Arc::new(all),
        ..crate::exec::context::SessionInfo::clone(&ctx.session)
    };
    Some(Context {
        session: std::sync::Arc::new(session),
        ..ctx.clone()
    })
}

/// A path as SET takes it: each name in quotes.
pub fn quoted(path: &str) -> String {
    let one = |name: String| format!("'{}'", name.replace('\'', "''"));
    let all: Vec<String> = split(path).into_iter().map(one).collect();
    match all.is_empty() {
        true => "''".into(),
        false => all.join(", "),
    }
}

/// Names between commas, in quotes or folded.
fn split(path: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = path.trim();
    while !rest.is_empty() {
        let (name, left) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let end = quoted.find('"').unwrap_or(quoted.len());
                let left = quoted.get(end + 1..).unwrap_or("");
                (quoted[..end].to_owned(), left)
            }
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].trim().to_lowercase(), &rest[end..])
            }
        };
        if !name.is_empty() {
            out.push(name);
        }
        let left = left.trim_start();
        rest = left.strip_prefix(',').unwrap_or(left).trim_start();
    }
    out
}

impl Catalog {
    /// What a name means: in its schema, or in the first of the path that has it.
    pub fn find(&self, path: &[String], schema: Option<&str>, name: &str) -> Option<Relation> {
        match schema {
            Some(schema) => self.relation_by_name(Some(schema), name),
            None => {
                let mut path = path.iter();
                path.find_map(|schema| self.relation_by_name(Some(schema), name))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_path_is_names_in_quotes_or_folded() {
        assert_eq!(split("\"$user\", public"), ["$user", "public"]);
        assert_eq!(split(" A ,\"B c\",d"), ["a", "B c", "d"]);
        assert!(split("").is_empty() && split("\"\"").is_empty());
    }
}

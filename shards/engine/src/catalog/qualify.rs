//! Texts of definitions, for who looks names up along another path.
//!
//! Owns: which words of such a text are names of types, functions and relations. Definitions are kept as they were written, or made
//! without the schema `public`; PostgreSQL prints a name with its schema where the reader's `search_path` does not find it, and
//! `pg_dump` reads with an empty one. Asked by: the functions that print definitions (`pg_get_expr`, `pg_get_viewdef`, …).
//! Never: changes a text whose names the reader would find, but for a schema that the reader need not write (`needless`). A word is
//! taken for a relation behind FROM and JOIN of a query, REFERENCES, and in a literal before `::regclass`; for a type behind `::`; for
//! a function before a parenthesis. A name that a WITH of the text hides is left alone. Bounds: two passes.

mod needless;

use super::model::PUBLIC;
use super::{Catalog, Stated, kept, path};
use crate::exec::Context;
use crate::exec::functions::{overloads, quote_identifier};
use crate::exec::resolve::is_table_function;
use std::collections::BTreeSet;
use types::{DataType, marks, marks::Mark};

/// A query's text under the names that the session would have to write.
pub fn query_shown(ctx: &Context, query: &Stated) -> String {
    let text = kept::as_shown(ctx, &query.sql);
    let marked = text != query.sql;
    // Marks were what is known of its relations; the schemas that its types and functions were looked up in are known yet.
    let rest = marked.then(|| Stated {
        path: query.path.clone(),
        ..Stated::default()
    });
    shown(
        ctx,
        &format!(" {text};"),
        Some(rest.as_ref().unwrap_or(query)),
    )
}

/// The text as the session would have to write it. `of`: the query that it is, with what its names meant.
pub fn shown(ctx: &Context, text: &str, of: Option<&Stated>) -> String {
    let path = path::searched(ctx);
    let named = marks::named(text, |mark| match mark {
        Mark::Type(oid) => type_name(&ctx.catalog, &path, DataType::Enum(oid)),
        Mark::Label { .. } => None,
    });
    let named = ctx.catalog.named(&named);
    let words = words(&named);
    let hidden = names_of_with(&words);
    let mut places = Vec::new();
    let reader = Reader {
        catalog: &ctx.catalog,
        path: &path,
        of,
        hidden,
    };
    reader.places(&words, &mut places);
    let needless = match of {
        Some(_) => Vec::new(),
        None => reader.needless(&words),
    };
    let written = places
        .into_iter()
        .map(|(at, schema)| (at..at, Some(schema)));
    let mut edits: Vec<_> = written
        .chain(needless.into_iter().map(|gone| (gone, None)))
        .collect();
    edits.sort_by_key(|(place, _)| place.start);
    let mut out = String::with_capacity(named.len() + 16 * edits.len());
    let mut done = 0;
    for (place, schema) in edits {
        out.push_str(&named[done..place.start]);
        if let Some(schema) = schema {
            out.push_str(&quote_identifier(&schema));
            out.push('.');
        }
        done = place.end;
    }
    out.push_str(&named[done..]);
    out
}

/// As `format_type` prints a user's type: with its schema unless the path finds it.
pub fn type_name(catalog: &Catalog, path: &[String], ty: DataType) -> Option<String> {
    let oid = ty.user_oid()?;
    let (schema, own) = catalog.name_of_type(oid)?;
    let seen = catalog.user_type(path, None, own);
    let seen = seen.and_then(|t| t.user_oid()) == Some(oid);
    let mut name = quote_identifier(own).into_owned();
    if !seen {
        name = format!("{}.{name}", quote_identifier(schema));
    }
    if ty.is_array() {
        name.push_str("[]");
    }
    Some(name)
}

struct Reader<'a> {
    catalog: &'a Catalog,
    path: &'a [String],
    of: Option<&'a Stated>,
    hidden: BTreeSet<String>,
}

/// What is known of one level of parentheses.
#[derive(Clone, Copy, Default)]
struct Level {
    /// A query, so its FROM is one.
    query: bool,
    from: bool,
    /// The next word is an item of FROM.
    item: bool,
}

impl Reader<'_> {
    /// Where a schema has to be written, in order.
    fn places(&self, words: &[Word<'_>], out: &mut Vec<(usize, String)>) {
        let mut levels = vec![Level::default()];
        for (i, w) in words.iter().enumerate() {
            let before = i.checked_sub(1).and_then(|i| words.get(i));
            let after = words.get(i + 1);
            let (open, close) = (w.is("("), w.is(")"));
            let here = levels.last().copied().unwrap_or_default();
            let mut next = here;
            if open {
                let inside = Level {
                    query: here.item,
                    from: here.item,
                    item: here.item,
                };
                if let Some(level) = levels.last_mut() {
                    level.item = false;
                }
                levels.push(inside);
                continue;
            }
            if close {
                levels.pop();
                if levels.is_empty() {
                    levels.push(Level::default());
                }
                continue;
            }
            match w.kind {
                Kind::Name => {
                    let qualified = before.is_some_and(|b| b.is("."));
                    let listed = before.is_some_and(|b| b.is(",")) && begins_query(words, i + 1);
                    if !qualified && !listed && !after.is_some_and(|a| a.is(".")) {
                        let schema = self.schema(w, before, after, here.item);
                        out.extend(schema.map(|s| (w.at, s)));
                    }
                    let keeps = w.is_word("only") || w.is_word("lateral");
                    next.item = here.item && keeps;
                    step(w, before, &mut next);
                }
                Kind::Literal => {
                    if is_regclass(words, i) {
                        let name = w.text.trim_matches('\'');
                        let schema = self.relation(&folded(name));
                        out.extend(schema.map(|s| (w.at + 1, s)));
                    }
                    next.item = false;
                }
                Kind::Sign => next.item = here.from && w.is(","),
            }
            if let Some(level) = levels.last_mut() {
                *level = next;
            }
        }
    }

    /// The schema that an unqualified name needs, if it needs one.
    fn schema(
        &self,
        w: &Word<'_>,
        before: Option<&Word<'_>>,
        after: Option<&Word<'_>>,
        item: bool,
    ) -> Option<String> {
        let name = folded(w.text);
        if before.is_some_and(|b| b.is("::")) {
            return self.ty(&name);
        }
        let called = after.is_some_and(|a| a.is("(")) && before.is_none_or(calls_follow);
        if before.is_some_and(|b| b.is_word("references") || b.is_word("setof")) {
            return self.relation(&name);
        }
        match (called, item) {
            (true, _) => self.function(&name),
            (false, true) if !after.is_some_and(|a| a.is("(")) => self.relation(&name),
            (false, _) => None,
        }
    }

    fn ty(&self, name: &str) -> Option<String> {
        let seen = self.catalog.user_type(self.path, None, name).is_some();
        let is_it = |s: &str| self.catalog.user_type(&[], Some(s), name).is_some();
        self.first(seen, is_it)
    }

    /// Of a name that the system has a function of as well it is not known which is called: the text says what it said.
    fn function(&self, name: &str) -> Option<String> {
        if !overloads(name).is_empty() || is_table_function(name) {
            return None;
        }
        let any = |path: &[String], schema: Option<&str>| {
            let all = self.catalog.functions_named(path, schema, name);
            !all.is_empty()
        };
        self.first(any(self.path, None), |s| any(&[], Some(s)))
    }

    fn relation(&self, name: &str) -> Option<String> {
        if self.hidden.contains(name) {
            return None;
        }
        let reads = self.of.into_iter().flat_map(|of| &of.reads);
        let mut reads = reads.filter(|r| r.schema.is_none() && r.name == name);
        if let Some(read) = reads.next() {
            let found = self.catalog.relation_by_oid(read.relation.0)?;
            let seen = self.catalog.find(self.path, None, found.name());
            let seen = seen.is_some_and(|s| s.oid() == read.relation.0);
            return (!seen).then(|| found.schema().to_owned());
        }
        let seen = self.catalog.find(self.path, None, name).is_some();
        self.first(seen, |s| self.catalog.find(&[], Some(s), name).is_some())
    }

    /// The first schema that has it: of the query's own path where that is known, else `public`, which definitions leave out, or any.
    fn first(&self, seen: bool, has: impl Fn(&str) -> bool) -> Option<String> {
        if seen {
            return None;
        }
        let own = self.of.into_iter().flat_map(|of| &of.path);
        let all = own.map(String::as_str).chain([PUBLIC]);
        let others = self.catalog.schemas.values().filter(|s| !s.temporary);
        let mut all = all.chain(others.map(|s| s.name.as_str()));
        all.find(|s| has(s)).map(str::to_owned)
    }
}

/// What a word of the grammar changes.
fn step(w: &Word<'_>, before: Option<&Word<'_>>, level: &mut Level) {
    const ENDS: [&str; 12] = [
        "where",
        "group",
        "order",
        "having",
        "window",
        "limit",
        "offset",
        "fetch",
        "union",
        "intersect",
        "except",
        "for",
    ];
    if w.text.starts_with('"') {
        return;
    }
    if w.is_word("select") {
        *level = Level {
            query: true,
            ..Level::default()
        };
    } else if w.is_word("from") {
        let compares = before.is_some_and(|b| b.is_word("distinct"));
        if level.query && !compares {
            (level.from, level.item) = (true, true);
        }
    } else if w.is_word("join") {
        level.item = level.from;
    } else if ENDS.iter().any(|end| w.is_word(end)) {
        (level.from, level.item) = (false, false);
    }
}

/// What may stand before a call; behind anything else a name with a parenthesis is an alias with its columns.
fn calls_follow(before: &Word<'_>) -> bool {
    const WORDS: [&str; 34] = [
        "all",
        "and",
        "any",
        "between",
        "by",
        "case",
        "default",
        "distinct",
        "else",
        "except",
        "filter",
        "for",
        "from",
        "function",
        "having",
        "ilike",
        "in",
        "intersect",
        "is",
        "join",
        "lateral",
        "like",
        "limit",
        "not",
        "offset",
        "on",
        "or",
        "procedure",
        "returning",
        "select",
        "then",
        "union",
        "when",
        "where",
    ];
    match before.kind {
        Kind::Name => WORDS.iter().any(|w| before.is_word(w)),
        Kind::Literal => false,
        Kind::Sign => !before.is(")") && !before.is("]"),
    }
}

fn is_regclass(words: &[Word<'_>], at: usize) -> bool {
    let cast = words.get(at + 1).is_some_and(|w| w.is("::"));
    cast && words.get(at + 2).is_some_and(|w| w.is_word("regclass"))
        && !words[at].text.contains('.')
}

/// Whether `AS (` follows, perhaps behind a list of columns.
fn begins_query(words: &[Word<'_>], mut at: usize) -> bool {
    let is = |at: usize, sign: &str| words.get(at).is_some_and(|w| w.is(sign));
    let is_word = |at: usize, word: &str| words.get(at).is_some_and(|w| w.is_word(word));
    if is(at, "(") {
        let rest = words.get(at..).unwrap_or_default();
        at += rest.iter().position(|w| w.is(")")).unwrap_or(rest.len()) + 1;
    }
    let as_query = is(at + 1, "(") || is_word(at + 1, "materialized") || is_word(at + 1, "not");
    is_word(at, "as") && as_query
}

/// What WITH names: `name AS (`.
fn names_of_with(words: &[Word<'_>]) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    if !words.iter().any(|w| w.is_word("with")) {
        return out;
    }
    for (i, found) in words.windows(2).enumerate() {
        let [before, name] = found else {
            continue;
        };
        let with = before.is_word("with") && !name.is_word("recursive");
        let may = with || before.is_word("recursive") || before.is(",");
        if name.kind == Kind::Name && may && begins_query(words, i + 2) {
            out.insert(folded(name.text));
        }
    }
    out
}

pub(super) fn folded(text: &str) -> String {
    match text.strip_prefix('"') {
        Some(inside) => inside.trim_end_matches('"').replace("\"\"", "\""),
        None => text.to_lowercase(),
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// An identifier or keyword.
    Name,
    /// A text in quotes.
    Literal,
    Sign,
}

pub(super) struct Word<'t> {
    pub kind: Kind,
    pub text: &'t str,
    pub at: usize,
}

impl Word<'_> {
    pub fn is(&self, sign: &str) -> bool {
        self.kind == Kind::Sign && self.text == sign
    }

    fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Name && self.text.eq_ignore_ascii_case(word)
    }
}

/// The words of a text; blanks and comments are none.
pub(super) fn words(text: &str) -> Vec<Word<'_>> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let (kind, len) = match c {
            c if c.is_whitespace() => (None, c.len_utf8()),
            '-' if rest.starts_with("--") => (None, rest.find('\n').unwrap_or(rest.len())),
            '/' if rest.starts_with("/*") => {
                (None, rest.find("*/").map_or(rest.len(), |end| end + 2))
            }
            '\'' => (Some(Kind::Literal), quoted(rest, '\'')),
            '"' => (Some(Kind::Name), quoted(rest, '"')),
            ':' if rest.starts_with("::") => (Some(Kind::Sign), 2),
            c if c.is_alphanumeric() || c == '_' => {
                let in_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
                let len = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
                let kind = if c.is_ascii_digit() {
                    Kind::Sign
                } else {
                    Kind::Name
                };
                (Some(kind), len)
            }
            c => (Some(Kind::Sign), c.len_utf8()),
        };
        let word = &rest[..len];
        out.extend(kind.map(|kind| Word {
            kind,
            text: word,
            at,
        }));
        at += len;
    }
    out
}

/// How long a text in quotes is; two quotes are one of it.
fn quoted(text: &str, quote: char) -> usize {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == quote && chars.next_if(|(_, next)| *next == quote).is_none() {
            return at + 1;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_names_texts_and_signs_without_blanks_and_comments() {
        let text = "a.\"B \"\"c\"::t -- no\n/* no */ 'it''s' $1 2x é(";
        let all: Vec<(Kind, &str)> = words(text).iter().map(|w| (w.kind, w.text)).collect();
        assert_eq!(
            all,
            [
                (Kind::Name, "a"),
                (Kind::Sign, "."),
                (Kind::Name, "\"B \"\"c\""),
                (Kind::Sign, "::"),
                (Kind::Name, "t"),
                (Kind::Literal, "'it''s'"),
                (Kind::Sign, "$"),
                (Kind::Sign, "1"),
                (Kind::Sign, "2x"),
                (Kind::Name, "é"),
                (Kind::Sign, "("),
            ]
        );
        assert_eq!(folded("\"B \"\"c\""), "B \"c");
        assert_eq!(words("'open").len() + words("\"open").len(), 2);
    }

    #[test]
    fn names_that_with_gives_are_found() {
        let named = |text| names_of_with(&words(text)).into_iter().collect::<Vec<_>>();
        let text = "with recursive A(x, y) as (select 1), b as not materialized (select c, d as e) select f, g(h) as i, j as k \
                    from a, b, l as m where n::timestamp with time zone > o";
        assert_eq!(named(text), ["a", "b"]);
        assert!(named("select a, b as c from d").is_empty());
    }
}

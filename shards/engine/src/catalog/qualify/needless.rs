//! Schemas in the text of a definition that its reader need not write.
//!
//! Owns: which of them `search_path` makes needless: of a type behind `::`, of a relation behind REFERENCES or in a literal before
//! `::regclass`, of a function before a parenthesis. Asked by: `shown`. Never: looks into queries, whose names have marks of their own.

use super::{Kind, Reader, Word, calls_follow, folded, words};
use crate::exec::functions::overloads;
use crate::exec::resolve::is_table_function;
use std::ops::Range;

impl Reader<'_> {
    /// With the points behind them, in order.
    pub(super) fn needless(&self, words: &[Word<'_>]) -> Vec<Range<usize>> {
        let mut out = Vec::new();
        for (i, w) in words.iter().enumerate() {
            out.extend(match w.kind {
                Kind::Name => self.before_a_name(words, i),
                Kind::Literal => self.in_a_literal(words, i),
                Kind::Sign => None,
            });
        }
        out
    }

    fn before_a_name(&self, words: &[Word<'_>], at: usize) -> Option<Range<usize>> {
        let before = at.checked_sub(1).and_then(|i| words.get(i));
        let is = |at: usize, sign: &str| words.get(at).is_some_and(|w| w.is(sign));
        let (schema, name) = (words.get(at)?, words.get(at + 2)?);
        let named = is(at + 1, ".") && name.kind == Kind::Name && !is(at + 3, ".");
        if !named || before.is_some_and(|b| b.is(".")) {
            return None;
        }
        let (own, base) = (folded(schema.text), folded(name.text));
        let seen = if before.is_some_and(|b| b.is("::")) {
            self.sees_type(&own, &base)
        } else if before.is_some_and(|b| b.is_word("references") || b.is_word("setof")) {
            self.sees_relation(&own, &base)
        } else {
            is(at + 3, "(") && before.is_none_or(calls_follow) && self.sees_function(&own, &base)
        };
        seen.then_some(schema.at..name.at)
    }

    /// `'schema.name'::regclass`
    fn in_a_literal(&self, all: &[Word<'_>], at: usize) -> Option<Range<usize>> {
        let cast = all.get(at + 1).is_some_and(|w| w.is("::"));
        let literal = all.get(at)?;
        if !cast || !all.get(at + 2).is_some_and(|w| w.is_word("regclass")) {
            return None;
        }
        let inside = words(literal.text.trim_matches('\''));
        let [schema, dot, name] = inside.as_slice() else {
            return None;
        };
        let (own, base) = (folded(schema.text), folded(name.text));
        let begins = literal.at + 1;
        let seen = dot.is(".") && self.sees_relation(&own, &base);
        seen.then_some(begins + schema.at..begins + name.at)
    }

    fn sees_relation(&self, schema: &str, name: &str) -> bool {
        let own = self.catalog.find(&[], Some(schema), name).map(|r| r.oid());
        let seen = self.catalog.find(self.path, None, name).map(|r| r.oid());
        own.is_some() && own == seen
    }

    fn sees_type(&self, schema: &str, name: &str) -> bool {
        let own = self.catalog.user_type(&[], Some(schema), name);
        own.is_some() && own == self.catalog.user_type(self.path, None, name)
    }

    fn sees_function(&self, schema: &str, name: &str) -> bool {
        let all = self.catalog.functions_named(self.path, None, name);
        let system = !overloads(name).is_empty() || is_table_function(name);
        !system && !all.is_empty() && all.iter().all(|f| f.schema == schema)
    }
}

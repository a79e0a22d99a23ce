//! LIKE and IN over texts.
//!
//! Owns: patterns of literals between `%`, which need no backtracking, and lists of texts. Asked by: `program`. Never: decides what an
//! odd pattern matches; that is `functions::text`.

use super::compare::trimmed;
use super::program::Kind;
use super::vector::{Data, Vector};
use std::sync::Arc;

/// Literals in their order, with anything between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    parts: Vec<Vec<u8>>,
}

impl Pattern {
    /// Of a pattern without `_` and without escapes.
    pub(super) fn of(pattern: &str) -> Option<Pattern> {
        if pattern.contains(['_', '\\']) {
            return None;
        }
        let parts = pattern.split('%').map(|p| p.as_bytes().to_vec());
        Some(Pattern {
            parts: parts.collect(),
        })
    }

    fn matches(&self, text: &[u8]) -> bool {
        let Some((first, rest)) = self.parts.split_first() else {
            return false;
        };
        let Some((last, between)) = rest.split_last() else {
            return text == first.as_slice();
        };
        let Some(text) = text.strip_prefix(first.as_slice()) else {
            return false;
        };
        let Some(mut text) = text.strip_suffix(last.as_slice()) else {
            return false;
        };
        for part in between {
            match find(text, part) {
                Some(at) => text = &text[at + part.len()..],
                None => return false,
            }
        }
        true
    }
}

/// Where `part` begins in `text`.
fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    let Some((first, rest)) = part.split_first() else {
        return Some(0);
    };
    let mut from = 0;
    loop {
        let at = from + text.get(from..)?.iter().position(|b| b == first)?;
        if text[at + 1..].starts_with(rest) {
            return Some(at);
        }
        from = at + 1;
    }
}

pub(super) fn like(v: &Vector, pattern: &Pattern, wanted: bool, bytes: &[u8]) -> Option<Vector> {
    let Data::Texts(places) = &v.data else {
        return None;
    };
    let verdict = |(from, n): &(u32, u32)| {
        let text = bytes.get(*from as usize..(*from + *n) as usize)?;
        Some(pattern.matches(text) == wanted)
    };
    Some(Vector {
        data: Data::Bools(places.iter().map(verdict).collect::<Option<_>>()?),
        nulls: v.nulls.clone(),
    })
}

/// The bytes of a text that count.
pub(super) fn seen(kind: Kind, text: &[u8]) -> &[u8] {
    match kind {
        Kind::Padded => trimmed(text),
        _ => text,
    }
}

/// Whether each is one of `items`, which are sorted by what counts of them.
pub(super) fn listed(v: &Vector, kind: Kind, items: &[Arc<str>], bytes: &[u8]) -> Option<Vector> {
    let Data::Texts(places) = &v.data else {
        return None;
    };
    let items: Vec<&[u8]> = items.iter().map(|i| seen(kind, i.as_bytes())).collect();
    let verdict = |(from, n): &(u32, u32)| {
        let text = seen(kind, bytes.get(*from as usize..(*from + *n) as usize)?);
        Some(items.binary_search(&text).is_ok())
    };
    Some(Vector {
        data: Data::Bools(places.iter().map(verdict).collect::<Option<_>>()?),
        nulls: v.nulls.clone(),
    })
}

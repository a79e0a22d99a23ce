//! Marks in texts for what only the catalog can name: users' types and the labels of their enums.
//!
//! Owns: the form of a mark (an oid, or an oid and a label's number, between two characters of the private use area) and its
//! replacement. Asked by: messages and plans that are made where no catalog is at hand; who has it, at the door, names them.
//! Never: appears in a stored value.

use std::borrow::Cow;
use std::fmt;

const OPEN: char = '\u{e000}';
const CLOSE: char = '\u{e001}';

/// What a mark stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Type(u32),
    Label { ty: u32, order: i64 },
}

pub fn of_type(oid: u32, out: &mut impl fmt::Write) -> fmt::Result {
    write!(out, "{OPEN}{oid}{CLOSE}")
}

pub fn of_label(ty: u32, order: i64, out: &mut impl fmt::Write) -> fmt::Result {
    write!(out, "{OPEN}{ty}:{order}{CLOSE}")
}

/// The text with names for its marks; what nothing names stays.
pub fn named<'a>(text: &'a str, name: impl Fn(Mark) -> Option<String>) -> Cow<'a, str> {
    if !text.contains(OPEN) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        out.push_str(before);
        let found = after
            .split_once(CLOSE)
            .and_then(|(inside, after)| Some((name(mark(inside)?)?, after)));
        match found {
            Some((name, after)) => {
                out.push_str(&name);
                rest = after;
            }
            None => {
                out.push(OPEN);
                rest = after;
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn mark(inside: &str) -> Option<Mark> {
    match inside.split_once(':') {
        None => inside.parse().ok().map(Mark::Type),
        Some((ty, order)) => Some(Mark::Label {
            ty: ty.parse().ok()?,
            order: order.parse().ok()?,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_become_names_and_other_text_stays() {
        let mut text = String::from("type ");
        of_type(7, &mut text).unwrap();
        text.push_str(" and ");
        of_label(7, -3, &mut text).unwrap();
        text.push_str("\u{e000}nothing \u{e000}9\u{e001}");
        let name = |m| match m {
            Mark::Type(7) => Some("mood".to_owned()),
            Mark::Label { ty: 7, order: -3 } => Some("sad".to_owned()),
            _ => None,
        };
        let wanted = "type mood and sad\u{e000}nothing \u{e000}9\u{e001}";
        assert_eq!(named(&text, name), wanted);
        assert_eq!(named("plain", |_| None), "plain");
    }
}

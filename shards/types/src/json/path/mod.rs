//! jsonpath: the tree of an expression, and its printed form.
//!
//! Owns: what an expression is made of, how it is read (`parse`) and printed. Asked by: text forms of the type `jsonpath`, and
//! the functions that evaluate it.
//! Never: looks into a document. Bounds: `PARTS_MAX` parts, and `NESTED_MAX` within each other; one more is 54001.
//! Source: PostgreSQL 15, `jsonpath_gram.y`, `jsonpath.c` (`printJsonPathItem`).

mod parse;
mod scan;

use super::write_string;
use crate::{Numeric, Result};
use std::fmt::Write;

/// Operators, accessors and operands of one expression: evaluation goes that deep at most.
pub const PARTS_MAX: usize = 1_000;
/// Parentheses and their like within each other.
pub const NESTED_MAX: usize = 100;

/// A level of `.**` that is the document's last.
pub const LAST_LEVEL: u32 = u32::MAX;

#[derive(Clone, Debug, PartialEq)]
pub struct JsonPath {
    pub lax: bool,
    pub expr: Expr,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    Null,
    Bool(bool),
    Number(Numeric),
    String(String),
    Variable(String),
    Root,
    Current,
    Last,
    Sign {
        minus: bool,
        of: Box<Expr>,
    },
    Binary(Binary, Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    IsUnknown(Box<Expr>),
    Exists(Box<Expr>),
    LikeRegex {
        of: Box<Expr>,
        pattern: String,
        flags: Flags,
    },
    /// What it is, and the way from there.
    Path(Box<Expr>, Vec<Step>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    Greater,
    LessOrEqual,
    GreaterOrEqual,
    StartsWith,
    Add,
    Sub,
    Mul,
    Div,
    Mod,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Key(String),
    /// `.*`
    AnyKey,
    /// `[*]`
    AnyElement,
    /// `[a, b to c]`
    Elements(Vec<(Expr, Option<Expr>)>),
    /// `.**{from to upto}`
    Deep {
        from: u32,
        upto: u32,
    },
    Filter(Expr),
    Method(Method),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Type,
    Size,
    Double,
    Ceiling,
    Floor,
    Abs,
    KeyValue,
}

/// Of `like_regex`, in the order in which they are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    pub ignore_case: bool,
    pub dot_all: bool,
    pub lines: bool,
    pub literal: bool,
}

impl Binary {
    pub fn is_predicate(self) -> bool {
        self.priority() <= 2
    }

    pub fn symbol(self) -> &'static str {
        match self {
            Binary::Or => "||",
            Binary::And => "&&",
            Binary::Equal => "==",
            Binary::NotEqual => "!=",
            Binary::Less => "<",
            Binary::Greater => ">",
            Binary::LessOrEqual => "<=",
            Binary::GreaterOrEqual => ">=",
            Binary::StartsWith => "starts with",
            Binary::Add => "+",
            Binary::Sub => "-",
            Binary::Mul => "*",
            Binary::Div => "/",
            Binary::Mod => "%",
        }
    }

    fn priority(self) -> u8 {
        match self {
            Binary::Or => 0,
            Binary::And => 1,
            Binary::Add | Binary::Sub => 3,
            Binary::Mul | Binary::Div | Binary::Mod => 4,
            _ => 2,
        }
    }
}

impl Method {
    pub fn name(self) -> &'static str {
        match self {
            Method::Type => "type",
            Method::Size => "size",
            Method::Double => "double",
            Method::Ceiling => "ceiling",
            Method::Floor => "floor",
            Method::Abs => "abs",
            Method::KeyValue => "keyvalue",
        }
    }
}

impl Expr {
    /// It is true, false or unknown, rather than items.
    pub fn is_predicate(&self) -> bool {
        match self {
            Expr::Binary(op, ..) => op.is_predicate(),
            Expr::Not(_) | Expr::IsUnknown(_) | Expr::Exists(_) | Expr::LikeRegex { .. } => true,
            _ => false,
        }
    }

    fn priority(&self) -> u8 {
        match self {
            Expr::Binary(op, ..) => op.priority(),
            Expr::Sign { .. } => 5,
            Expr::Path(of, _) => of.priority(),
            _ => 6,
        }
    }

    fn write(&self, brackets: bool, out: &mut String) {
        let inner = |e: &Expr, out: &mut String| e.write(e.priority() <= self.priority(), out);
        let bracket = |b: char, out: &mut String| {
            if brackets {
                out.push(b);
            }
        };
        match self {
            Expr::Null => out.push_str("null"),
            Expr::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            Expr::Number(n) => {
                let _ = write!(out, "{n}");
            }
            Expr::String(s) => write_string(s, out),
            Expr::Variable(name) => {
                out.push('$');
                write_string(name, out);
            }
            Expr::Root => out.push('$'),
            Expr::Current => out.push('@'),
            Expr::Last => out.push_str("last"),
            Expr::Sign { minus, of } => {
                bracket('(', out);
                out.push(if *minus { '-' } else { '+' });
                inner(of, out);
                bracket(')', out);
            }
            Expr::Binary(op, left, right) => {
                bracket('(', out);
                inner(left, out);
                let _ = write!(out, " {} ", op.symbol());
                inner(right, out);
                bracket(')', out);
            }
            Expr::Not(of) => wrapped("!(", of, ")", out),
            Expr::IsUnknown(of) => wrapped("(", of, ") is unknown", out),
            Expr::Exists(of) => wrapped("exists (", of, ")", out),
            Expr::LikeRegex { of, pattern, flags } => {
                bracket('(', out);
                of.write(of.priority() <= 2, out);
                out.push_str(" like_regex ");
                write_string(pattern, out);
                flags.write(out);
                bracket(')', out);
            }
            Expr::Path(of, steps) => {
                match &**of {
                    number @ Expr::Number(_) => wrapped("(", number, ")", out),
                    of => of.write(brackets, out),
                }
                steps.iter().for_each(|step| step.write(out));
            }
        }
    }
}

fn wrapped(before: &str, e: &Expr, after: &str, out: &mut String) {
    out.push_str(before);
    e.write(false, out);
    out.push_str(after);
}

impl Step {
    fn write(&self, out: &mut String) {
        match self {
            Step::Key(name) => {
                out.push('.');
                write_string(name, out);
            }
            Step::AnyKey => out.push_str(".*"),
            Step::AnyElement => out.push_str("[*]"),
            Step::Elements(all) => {
                for (i, (from, to)) in all.iter().enumerate() {
                    out.push(if i == 0 { '[' } else { ',' });
                    from.write(false, out);
                    if let Some(to) = to {
                        out.push_str(" to ");
                        to.write(false, out);
                    }
                }
                out.push(']');
            }
            Step::Deep { from, upto } => {
                out.push_str(".**");
                let level = |n: u32| match n {
                    LAST_LEVEL => "last".to_owned(),
                    n => n.to_string(),
                };
                match (*from, *upto) {
                    (0, LAST_LEVEL) => {}
                    (from, upto) if from == upto => {
                        let _ = write!(out, "{{{}}}", level(from));
                    }
                    (from, upto) => {
                        let _ = write!(out, "{{{} to {}}}", level(from), level(upto));
                    }
                }
            }
            Step::Filter(e) => wrapped("?(", e, ")", out),
            Step::Method(method) => {
                let _ = write!(out, ".{}()", method.name());
            }
        }
    }
}

impl Flags {
    fn write(self, out: &mut String) {
        let all = [
            (self.ignore_case, 'i'),
            (self.dot_all, 's'),
            (self.lines, 'm'),
            (self.literal, 'q'),
        ];
        if all.iter().any(|(on, _)| *on) {
            out.push_str(" flag \"");
            out.extend(all.iter().filter(|(on, _)| *on).map(|(_, c)| *c));
            out.push('"');
        }
    }
}

impl JsonPath {
    /// 42601 with PostgreSQL's words, 54001 over a ceiling.
    pub fn parse(text: &str) -> Result<JsonPath> {
        parse::parse(text)
    }
}

impl std::fmt::Display for JsonPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = String::new();
        if !self.lax {
            out.push_str("strict ");
        }
        self.expr.write(true, &mut out);
        f.write_str(&out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As PostgreSQL 15 prints them.
    const PRINTED: &[(&str, &str)] = &[
        ("$", "$"),
        ("lax $.a", "$.\"a\""),
        ("strict $.a.b", "strict $.\"a\".\"b\""),
        ("$.a[*].\"b c\"", "$.\"a\"[*].\"b c\""),
        (
            "$.a ? (@.b > 1 && @.c == \"x\")",
            "$.\"a\"?(@.\"b\" > 1 && @.\"c\" == \"x\")",
        ),
        ("$.a + 1 * 2", "($.\"a\" + 1 * 2)"),
        ("($.a + 1) * 2", "(($.\"a\" + 1) * 2)"),
        ("$[1, 2 to last, last - 1]", "$[1,2 to last,last - 1]"),
        ("$.**{2 to last}.x", "$.**{2 to last}.\"x\""),
        ("$.**.x", "$.**.\"x\""),
        ("$.**{3}", "$.**{3}"),
        ("$.a.size() > 3", "($.\"a\".size() > 3)"),
        (
            "!($.a == 1) || exists($.b)",
            "(!($.\"a\" == 1) || exists ($.\"b\"))",
        ),
        ("($.a > 1) is unknown", "($.\"a\" > 1) is unknown"),
        (
            "$.a like_regex \"^x\" flag \"ism\"",
            "($.\"a\" like_regex \"^x\" flag \"ism\")",
        ),
        ("$.a starts with $x", "($.\"a\" starts with $\"x\")"),
        ("-$.a", "(-$.\"a\")"),
        ("(1.50).type()", "(1.50).type()"),
        ("$.a /* c */ .b", "$.\"a\".\"b\""),
        ("$.type", "$.\"type\""),
        ("$.\"\\u0041\\n\"", "$.\"A\\n\""),
        ("1e2", "100"),
        (".5", "0.5"),
    ];

    #[test]
    fn a_path_is_printed_as_postgresql_prints_it_and_reads_itself() {
        for (text, printed) in PRINTED {
            let path = JsonPath::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(path.to_string(), *printed, "{text}");
            assert_eq!(JsonPath::parse(printed).unwrap(), path, "{printed}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in [
            "",
            "$.",
            "a",
            "$.a ?",
            "@.a",
            "last",
            "$ > ",
            "$[",
            "$.a ? (1)",
            "($ == 1) + 1",
            "$.x()",
        ] {
            let error = JsonPath::parse(text).expect_err(text);
            assert_eq!(error.code(), crate::SqlState::SYNTAX_ERROR, "{text}");
        }
    }

    #[test]
    fn a_path_has_as_many_parts_as_the_ceiling_and_no_more() {
        let of = |n: usize| format!("${}", ".a".repeat(n));
        assert!(JsonPath::parse(&of(PARTS_MAX - 1)).is_ok());
        let error = JsonPath::parse(&of(PARTS_MAX)).unwrap_err();
        assert_eq!(error.code(), crate::SqlState::STATEMENT_TOO_COMPLEX);
        let nested = |n: usize| format!("{}1{}", "(".repeat(n), ")".repeat(n));
        assert!(JsonPath::parse(&nested(NESTED_MAX)).is_ok());
        let error = JsonPath::parse(&nested(NESTED_MAX + 1)).unwrap_err();
        assert_eq!(error.code(), crate::SqlState::STATEMENT_TOO_COMPLEX);
    }
}

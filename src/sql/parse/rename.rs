//! A name in the text of an expression that is kept, under another name.
//!
//! Owns: where an identifier is a column. Asked by: RENAME COLUMN, for the texts of checks and generated columns, and domains,
//! whose VALUE is shown in capitals. Never: looks at what a name means; the expression has been bound.

use super::{cursor, errors, split, star};
use sqlparser::tokenizer::Token;

/// The text with column `from` (folded) written as `to`; unchanged where it is no expression. `table`: what the name may be
/// qualified with.
pub(crate) fn renamed(text: &str, table: &str, from: &str, to: &str) -> String {
    let Ok(tokens) = errors::tokenize(text) else {
        return text.to_owned();
    };
    let lines = split::Lines::of(text);
    let is_blank = |t: &Token| matches!(t, Token::Whitespace(_));
    let words: Vec<_> = tokens.iter().filter(|t| !is_blank(&t.token)).collect();
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::new();
    let mut done = 0;
    for (i, t) in words.iter().enumerate() {
        let Token::Word(word) = &t.token else {
            continue;
        };
        let before = i.checked_sub(1).and_then(|i| words.get(i));
        let after = words.get(i + 1).map(|t| &t.token);
        let qualifier = i.checked_sub(2).and_then(|i| words.get(i));
        let is_column = match before.map(|t| &t.token) {
            Some(Token::Period) => {
                matches!(qualifier.map(|t| &t.token), Some(Token::Word(q)) if cursor::fold(q) == table)
            }
            Some(Token::DoubleColon) => false,
            Some(Token::Word(w)) => !w.value.eq_ignore_ascii_case("as"),
            _ => true,
        };
        let follows = matches!(
            after,
            Some(Token::LParen | Token::Period | Token::SingleQuotedString(_))
        );
        if !is_column || follows || cursor::fold(word) != from {
            continue;
        }
        let (Some(start), Some(end)) = (lines.position(t.span.start), lines.position(t.span.end))
        else {
            continue;
        };
        let (start, end) = (start as usize - 1, end as usize - 1);
        out.extend(chars.get(done..start).unwrap_or(&[]));
        out.push_str(to);
        done = end;
    }
    out.extend(chars.get(done..).unwrap_or(&[]));
    out
}

/// The text without the name of its own table before columns, as PostgreSQL shows it.
pub(crate) fn unqualified(text: &str, table: &str) -> String {
    let Ok(tokens) = errors::tokenize(text) else {
        return text.to_owned();
    };
    let lines = split::Lines::of(text);
    let is_blank = |t: &Token| matches!(t, Token::Whitespace(_));
    let words: Vec<_> = tokens.iter().filter(|t| !is_blank(&t.token)).collect();
    let chars: Vec<char> = text.chars().collect();
    let (mut out, mut done) = (String::new(), 0);
    for (i, found) in words.windows(3).enumerate() {
        let [first, dot, column] = found else {
            continue;
        };
        let (Token::Word(qualifier), Token::Period, Token::Word(_)) =
            (&first.token, &dot.token, &column.token)
        else {
            continue;
        };
        let before = i.checked_sub(1).and_then(|i| words.get(i));
        let part = matches!(
            before.map(|t| &t.token),
            Some(Token::Period | Token::DoubleColon)
        );
        let behind = words.get(i + 3).map(|t| &t.token);
        let more = matches!(behind, Some(Token::Period | Token::LParen));
        if part || more || cursor::fold(qualifier) != table {
            continue;
        }
        let place = |at| lines.position(at).map(|at| at as usize - 1);
        let (Some(start), Some(end)) = (place(first.span.start), place(column.span.start)) else {
            continue;
        };
        out.extend(chars.get(done..start).unwrap_or(&[]));
        done = end;
    }
    out.extend(chars.get(done..).unwrap_or(&[]));
    out
}

/// The text with the types behind `::` in small letters, as PostgreSQL shows them.
pub(crate) fn types_folded(text: &str) -> String {
    let text = &*star::shown(text);
    const MORE: [&str; 6] = ["with", "without", "time", "zone", "precision", "varying"];
    let Ok(tokens) = errors::tokenize(text) else {
        return text.to_owned();
    };
    let lines = split::Lines::of(text);
    let mut chars: Vec<char> = text.chars().collect();
    let mut in_type = false;
    let mut first = false;
    let mut inside = false;
    for t in &tokens {
        match &t.token {
            Token::DoubleColon => (in_type, first) = (true, true),
            Token::Whitespace(_) => {}
            // A precision may stand in the middle: time(3) with time zone.
            Token::LParen if in_type && !first => inside = true,
            Token::RParen if inside => inside = false,
            Token::Number(..) | Token::Comma if inside => {}
            Token::Word(w) if in_type && w.quote_style.is_none() => {
                let small = w.value.to_ascii_lowercase();
                if !first && !MORE.contains(&small.as_str()) {
                    in_type = false;
                    continue;
                }
                first = false;
                let at = lines.position(t.span.start).map(|at| at as usize - 1);
                let letters = at.and_then(|at| chars.get_mut(at..at + w.value.chars().count()));
                letters
                    .into_iter()
                    .flatten()
                    .for_each(|c| c.make_ascii_lowercase());
            }
            _ => in_type = false,
        }
    }
    chars.into_iter().collect()
}

/// The text with NEW and OLD in small letters where they qualify a column, as PostgreSQL shows them.
pub(crate) fn rows_folded(text: &str) -> String {
    let mut out = String::new();
    let mut done = 0;
    let chars: Vec<char> = text.chars().collect();
    for (at, row, _) in row_references(text) {
        out.extend(chars.get(done..at).unwrap_or(&[]));
        out.push_str(&row);
        done = at + row.len();
    }
    out.extend(chars.get(done..).unwrap_or(&[]));
    out
}

/// The columns of NEW and OLD that it names.
pub(crate) fn row_fields(text: &str) -> Vec<String> {
    let all = row_references(text).into_iter();
    all.filter_map(|(_, _, column)| column).collect()
}

/// Where NEW and OLD stand before a period: the character, the word, and the column behind it.
fn row_references(text: &str) -> Vec<(usize, String, Option<String>)> {
    let Ok(tokens) = errors::tokenize(text) else {
        return Vec::new();
    };
    let lines = split::Lines::of(text);
    let blank = |t: &&sqlparser::tokenizer::TokenWithSpan| !matches!(t.token, Token::Whitespace(_));
    let words: Vec<_> = tokens.iter().filter(blank).collect();
    let mut out = Vec::new();
    for found in words.windows(3) {
        let [first, dot, last] = found else { continue };
        let (Token::Word(row), Token::Period) = (&first.token, &dot.token) else {
            continue;
        };
        let row = cursor::fold(row);
        let Some(at) = lines.position(first.span.start) else {
            continue;
        };
        if row == "new" || row == "old" {
            let column = match &last.token {
                Token::Word(w) => Some(cursor::fold(w)),
                _ => None,
            };
            out.push((at as usize - 1, row, column));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{row_fields, rows_folded, types_folded};

    #[test]
    fn types_are_shown_in_small_letters_and_nothing_else_is() {
        let text = "(A::TIME(3) WITH TIME ZONE > '::INT'::TEXT AND b::\"B\" IS NULL) OR (x::NUMERIC(4,2)) = Y";
        let shown = "(A::time(3) with time zone > '::INT'::text AND b::\"B\" IS NULL) OR (x::numeric(4,2)) = Y";
        assert_eq!(types_folded(text), shown);
        assert_eq!(
            types_folded("n('S'::REGCLASS) WITH"),
            "n('S'::regclass) WITH"
        );
    }

    #[test]
    fn rows_of_triggers_are_shown_in_small_letters() {
        let text = "OLD.A IS DISTINCT FROM New.\"B\" AND 'OLD.c' <> NEW.* ";
        let folded = rows_folded(text);
        assert_eq!(
            folded,
            "old.A IS DISTINCT FROM new.\"B\" AND 'OLD.c' <> new.* "
        );
        assert_eq!(row_fields(text), ["a", "B"]);
    }

    use super::{renamed, unqualified};

    #[test]
    fn a_table_is_not_named_in_its_own_expressions() {
        let is = |text: &str, new: &str| assert_eq!(unqualified(text, "t"), new);
        is("(\"t\".\"a\" >= 0 AND T.b < é)", "(\"a\" >= 0 AND b < é)");
        is("(t.f(a) > u.a)", "(t.f(a) > u.a)");
        is("x::t.a || s.t.a || 't.a'", "x::t.a || s.t.a || 't.a'");
    }

    #[test]
    fn columns_are_renamed_and_nothing_else_is() {
        let is = |text: &str, new: &str| assert_eq!(renamed(text, "t", "a", "\"B\""), new);
        is("(a > 1 AND A < é)", "(\"B\" > 1 AND \"B\" < é)");
        is("t.a + u.a", "t.\"B\" + u.a");
        is("a(a)", "a(\"B\")");
        is("'a' || \"a\" || \"A\"", "'a' || \"B\" || \"A\"");
        is("CAST(a AS a)", "CAST(\"B\" AS a)");
        is("x::a", "x::a");
        is("é = a\n and a = 'é'", "é = \"B\"\n and \"B\" = 'é'");
    }
}

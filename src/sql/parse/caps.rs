//! The caps of one statement, counted on its tokens before the recursive parser sees them.
//!
//! Owns: tokens, nesting and operator chains. The parser builds `1+1+1…` as a left-deep tree without counting it as
//! depth, and both dropping and walking such a tree recurse: so the depth of that tree is computed here, by the
//! precedence classes of the operators, and refused before it exists.
//! Bounds: memory is one small frame a nesting level, at most `STATEMENT_DEPTH_MAX` of them.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan};
use types::{Error, Result, SqlState, limits};

/// Precedence classes, loosest first; only their order matters.
const CLASSES: usize = 9;

/// One level of nesting: the depth of the tree under construction, per precedence class.
#[derive(Clone, Copy, Default)]
struct Level {
    depth: [u32; CLASSES],
    /// Prefix operators waiting for their operand.
    prefixes: u32,
    /// Opened by CASE rather than a bracket.
    case: bool,
}

/// 54001 when the statement has too many tokens, nests too deep or chains too many operators.
pub(super) fn check(tokens: &[TokenWithSpan]) -> Result<()> {
    let mut count = 0usize;
    let mut levels = vec![Level::default()];
    // Prefix operators (NOT, unary minus) nest the parser as brackets do.
    let mut nested_prefixes = 0u32;
    let mut operand_before = false;
    for token in tokens {
        if matches!(token.token, Token::Whitespace(_)) {
            continue;
        }
        count += 1;
        let depth = levels.len();
        let Some(top) = levels.last_mut() else {
            break;
        };
        let step = classify(&token.token, operand_before);
        match step {
            Step::Open { case } => {
                nested_prefixes += top.prefixes;
                levels.push(Level {
                    case,
                    ..Level::default()
                });
            }
            Step::Close { case } => {
                if depth > 1 && top.case == case {
                    levels.pop();
                    let below = levels
                        .last_mut()
                        .map_or(0, |l| std::mem::take(&mut l.prefixes));
                    nested_prefixes = nested_prefixes.saturating_sub(below);
                }
            }
            Step::Infix(class) => {
                top.prefixes = 0;
                let left = top.depth[class..].iter().copied().max().unwrap_or(0);
                top.depth[class..].fill(0);
                top.depth[class] = left + 1;
                if left as usize >= limits::OPERATOR_CHAIN_MAX {
                    return Err(too_complex(format!(
                        "a chain of more than {} operators",
                        limits::OPERATOR_CHAIN_MAX
                    )));
                }
            }
            Step::Prefix => top.prefixes += 1,
            Step::Separator => {
                *top = Level {
                    case: top.case,
                    ..Level::default()
                }
            }
            Step::Operand => top.prefixes = 0,
        }
        operand_before = matches!(step, Step::Operand | Step::Close { .. });
        let prefixes = levels.last().map_or(0, |l| l.prefixes) + nested_prefixes;
        if levels.len() - 1 + prefixes as usize > limits::STATEMENT_DEPTH_MAX {
            return Err(too_complex(format!(
                "nesting deeper than {}",
                limits::STATEMENT_DEPTH_MAX
            )));
        }
    }
    if count > limits::STATEMENT_TOKENS_MAX {
        return Err(too_complex(format!(
            "{count} tokens, the maximum is {}",
            limits::STATEMENT_TOKENS_MAX
        )));
    }
    Ok(())
}

fn too_complex(detail: String) -> Error {
    Error::new(SqlState::STATEMENT_TOO_COMPLEX, "statement is too complex").with_detail(detail)
}

/// What a token does to the tree.
enum Step {
    Open { case: bool },
    Close { case: bool },
    Infix(usize),
    Prefix,
    Separator,
    Operand,
}

fn classify(token: &Token, operand_before: bool) -> Step {
    match token {
        Token::LParen | Token::LBracket | Token::LBrace => Step::Open { case: false },
        Token::RParen | Token::RBracket | Token::RBrace => Step::Close { case: false },
        Token::Comma => Step::Separator,
        Token::Word(w) if w.quote_style.is_none() => word(w.keyword, operand_before),
        Token::Word(_)
        | Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::EscapedStringLiteral(_)
        | Token::UnicodeStringLiteral(_)
        | Token::DollarQuotedString(_)
        | Token::HexStringLiteral(_)
        | Token::NationalStringLiteral(_)
        | Token::Placeholder(_)
        | Token::Char(_) => Step::Operand,
        // Not an operator: `t.c`.
        Token::Period | Token::Colon => Step::Operand,
        _ if !operand_before && !matches!(token, Token::Mul) => Step::Prefix,
        Token::Mul if !operand_before => Step::Operand,
        Token::Eq | Token::Lt | Token::Gt | Token::LtEq | Token::GtEq | Token::Neq => {
            Step::Infix(3)
        }
        Token::Plus | Token::Minus => Step::Infix(6),
        Token::Mul | Token::Div | Token::Mod => Step::Infix(7),
        Token::Caret | Token::DoubleColon => Step::Infix(8),
        _ => Step::Infix(5),
    }
}

fn word(keyword: Keyword, operand_before: bool) -> Step {
    match keyword {
        Keyword::CASE => Step::Open { case: true },
        Keyword::END => Step::Close { case: true },
        Keyword::JOIN | Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT => Step::Infix(0),
        Keyword::OR => Step::Infix(1),
        Keyword::AND => Step::Infix(2),
        Keyword::IS | Keyword::NOTNULL => Step::Infix(3),
        Keyword::LIKE
        | Keyword::ILIKE
        | Keyword::SIMILAR
        | Keyword::IN
        | Keyword::BETWEEN
        | Keyword::OVERLAPS => Step::Infix(4),
        Keyword::AT | Keyword::COLLATE => Step::Infix(8),
        Keyword::NOT if operand_before => Step::Operand,
        Keyword::NOT | Keyword::EXPLAIN => Step::Prefix,
        Keyword::WHERE
        | Keyword::GROUP
        | Keyword::HAVING
        | Keyword::ORDER
        | Keyword::LIMIT
        | Keyword::SET
        | Keyword::VALUES
        | Keyword::RETURNING
        | Keyword::WHEN
        | Keyword::THEN
        | Keyword::ELSE => Step::Separator,
        _ => Step::Operand,
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use types::{SqlState, limits};

    fn code(sql: &str) -> Option<SqlState> {
        parse(sql).err().map(|e| e.code())
    }

    #[test]
    fn nesting_is_accepted_at_the_maximum_and_refused_at_one_more() {
        let nested = |n: usize| format!("select {}1{}", "(".repeat(n), ")".repeat(n));
        assert_eq!(code(&nested(limits::STATEMENT_DEPTH_MAX)), None);
        let over = Some(SqlState::STATEMENT_TOO_COMPLEX);
        assert_eq!(code(&nested(limits::STATEMENT_DEPTH_MAX + 1)), over);
        assert_eq!(code(&nested(10_000)), over);
        let not = |n: usize| format!("select {}true", "not ".repeat(n));
        assert_eq!(code(&not(limits::STATEMENT_DEPTH_MAX)), None);
        assert_eq!(code(&not(limits::STATEMENT_DEPTH_MAX + 1)), over);
        let minus = format!("select {}1", "- ".repeat(10_000));
        assert_eq!(code(&minus), over);
        let case = format!("select {} 1", "case when true then ".repeat(10_000));
        assert_eq!(code(&case), over);
    }

    #[test]
    fn operator_chains_are_accepted_at_the_maximum_and_refused_at_one_more() {
        for (first, more) in [
            ("1", "+1"),
            ("1", "::int"),
            ("'a'", "||'a'"),
            ("true", " and 1=1"),
            ("true", " or 1=1"),
            ("1", " is null"),
        ] {
            let chain = |n: usize| format!("select {first}{}", more.repeat(n));
            let max = if more.contains('=') {
                limits::OPERATOR_CHAIN_MAX - 1
            } else {
                limits::OPERATOR_CHAIN_MAX
            };
            assert_eq!(code(&chain(max)), None, "{more}");
            assert_eq!(
                code(&chain(limits::OPERATOR_CHAIN_MAX + 1)),
                Some(SqlState::STATEMENT_TOO_COMPLEX),
                "{more}"
            );
        }
    }

    #[test]
    fn long_lists_are_not_chains() {
        let list = format!("select 1 in ({}1)", "1+1,".repeat(20_000));
        assert_eq!(code(&list), None);
        let rows = format!("insert into t values {}(1)", "(1),".repeat(20_000));
        assert_eq!(code(&rows), None);
    }

    #[test]
    fn text_is_accepted_at_the_maximum_and_refused_at_one_more_byte() {
        let padded = |n: usize| format!("select '{}'", "x".repeat(n - 9));
        assert_eq!(code(&padded(limits::STATEMENT_BYTES_MAX)), None);
        assert_eq!(
            code(&padded(limits::STATEMENT_BYTES_MAX + 1)),
            Some(SqlState::PROGRAM_LIMIT_EXCEEDED)
        );
    }
}

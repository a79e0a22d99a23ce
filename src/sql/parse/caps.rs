//! The caps of one statement, counted on its tokens before the recursive parser sees them.
//!
//! Owns: tokens, nesting and operator chains. The parser builds `1+1+1…` as a left-deep tree without counting it as
//! depth, and both dropping and walking such a tree recurse: so the depth of that tree is computed here, by the
//! precedence classes of the operators, and refused before it exists. What brackets hold counts where they stand: chains within
//! chains are as deep as all of them together.
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
    /// Of what was ended at this level by a comma or its like.
    ended: u32,
    /// Prefix operators waiting for their operand.
    prefixes: u32,
    opened: Opened,
}

impl Level {
    fn deepest(&self) -> u32 {
        self.depth.iter().copied().fold(self.ended, u32::max)
    }
}

/// What opened a level.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Opened {
    #[default]
    Bracket,
    Case,
    /// `OPERATOR(…)`: an infix operator when it closes.
    Operator,
}

/// 54001 when the statement has too many tokens, nests too deep or chains too many operators.
pub(super) fn check(tokens: &[TokenWithSpan]) -> Result<()> {
    let mut count = 0usize;
    let mut walk = Walk {
        levels: vec![Level::default()],
        outer_prefixes: 0,
        operand_before: false,
        operator_word: false,
    };
    for token in tokens {
        if matches!(token.token, Token::Whitespace(_)) {
            continue;
        }
        count += 1;
        walk.step(&token.token)?;
    }
    if count > limits::STATEMENT_TOKENS_MAX {
        return Err(too_complex(format!(
            "{count} tokens, the maximum is {}",
            limits::STATEMENT_TOKENS_MAX
        )));
    }
    Ok(())
}

struct Walk {
    /// At least one; the innermost last.
    levels: Vec<Level>,
    /// Prefix operators of all levels but the innermost: they nest the parser as brackets do.
    outer_prefixes: u32,
    operand_before: bool,
    /// The token before was the word OPERATOR.
    operator_word: bool,
}

impl Walk {
    fn step(&mut self, token: &Token) -> Result<()> {
        let top = self.levels.last().copied().unwrap_or_default();
        let operator = std::mem::take(&mut self.operator_word);
        let step = classify(token, self.operand_before, top.opened == Opened::Case);
        let mut operand = matches!(step, Step::Operand | Step::Close { .. });
        match step {
            // A bracket after an operand is a subscript or an array type: one more link of its chain.
            Step::Open(Opened::Bracket) => {
                if self.operand_before && *token == Token::LBracket {
                    self.infix(CLASSES - 1)?;
                }
                self.open(if operator {
                    Opened::Operator
                } else {
                    Opened::Bracket
                })?;
            }
            Step::Open(opened) => self.open(opened)?,
            Step::Close { case } => {
                if self.levels.len() > 1 && (top.opened == Opened::Case) == case {
                    self.levels.pop();
                    let below = self.levels.last().map_or(0, |l| l.prefixes);
                    self.outer_prefixes = self.outer_prefixes.saturating_sub(below);
                    self.holds(top.deepest() + 1);
                    if top.opened == Opened::Operator {
                        self.infix(5)?;
                        operand = false;
                    } else if let Some(l) = self.levels.last_mut() {
                        l.prefixes = 0;
                    }
                }
            }
            Step::Infix(class) => self.infix(class)?,
            Step::Prefix => {
                if let Some(l) = self.levels.last_mut() {
                    l.prefixes += 1;
                }
                self.check_depth()?;
            }
            Step::Separator => {
                if let Some(l) = self.levels.last_mut() {
                    l.ended = l.deepest();
                    (l.depth, l.prefixes) = ([0; CLASSES], 0);
                }
            }
            Step::Operand => {
                if let Some(l) = self.levels.last_mut() {
                    l.prefixes = 0;
                }
            }
            Step::Keyword => {}
        }
        self.operand_before = operand;
        self.operator_word = matches!(token, Token::Word(w) if w.keyword == Keyword::OPERATOR);
        Ok(())
    }

    fn open(&mut self, opened: Opened) -> Result<()> {
        self.outer_prefixes += self.levels.last().map_or(0, |l| l.prefixes);
        self.levels.push(Level {
            opened,
            ..Level::default()
        });
        self.check_depth()
    }

    /// An operand that is so deep itself.
    fn holds(&mut self, depth: u32) {
        if let Some(own) = self.levels.last_mut().and_then(|l| l.depth.last_mut()) {
            *own = depth.max(*own);
        }
    }

    /// The tree so far becomes the left side of an operator: it closes everything that binds tighter.
    fn infix(&mut self, class: usize) -> Result<()> {
        let Some(top) = self.levels.last_mut() else {
            return Ok(());
        };
        top.prefixes = 0;
        let Some(closed) = top.depth.get_mut(class..) else {
            return Ok(());
        };
        let left = closed.iter().copied().max().unwrap_or(0);
        closed.fill(0);
        if let Some(own) = closed.first_mut() {
            *own = left + 1;
        }
        if left as usize >= limits::OPERATOR_CHAIN_MAX {
            return Err(too_complex(format!(
                "a chain of more than {} operators",
                limits::OPERATOR_CHAIN_MAX
            )));
        }
        Ok(())
    }

    fn check_depth(&self) -> Result<()> {
        let prefixes = self.outer_prefixes + self.levels.last().map_or(0, |l| l.prefixes);
        if self.levels.len() - 1 + prefixes as usize > limits::STATEMENT_DEPTH_MAX {
            return Err(too_complex(format!(
                "nesting deeper than {}",
                limits::STATEMENT_DEPTH_MAX
            )));
        }
        Ok(())
    }
}

fn too_complex(detail: String) -> Error {
    Error::new(SqlState::STATEMENT_TOO_COMPLEX, "statement is too complex").with_detail(detail)
}

/// What a token does to the tree.
enum Step {
    Open(Opened),
    Close {
        case: bool,
    },
    Infix(usize),
    Prefix,
    /// Ends every chain of its level.
    Separator,
    Operand,
    /// An operand or a prefix follows; no chain ends.
    Keyword,
}

fn classify(token: &Token, operand_before: bool, in_case: bool) -> Step {
    match token {
        Token::LParen | Token::LBracket | Token::LBrace => Step::Open(Opened::Bracket),
        Token::RParen | Token::RBracket | Token::RBrace => Step::Close { case: false },
        Token::Comma => Step::Separator,
        Token::Word(w) if w.quote_style.is_none() => word(w.keyword, operand_before, in_case),
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
        // Not operators: `t.c`, `t.*`, `*`.
        Token::Period | Token::Colon => Step::Keyword,
        Token::Mul if !operand_before => Step::Operand,
        _ if !operand_before => Step::Prefix,
        Token::Eq | Token::Lt | Token::Gt | Token::LtEq | Token::GtEq | Token::Neq => {
            Step::Infix(3)
        }
        Token::Plus | Token::Minus => Step::Infix(6),
        Token::Mul | Token::Div | Token::Mod => Step::Infix(7),
        Token::Caret | Token::DoubleColon => Step::Infix(8),
        _ => Step::Infix(5),
    }
}

/// A word where an operand is due may be a name, whatever it means elsewhere: it never ends a chain there.
fn word(keyword: Keyword, operand_before: bool, in_case: bool) -> Step {
    match keyword {
        Keyword::CASE => Step::Open(Opened::Case),
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
        Keyword::NOT if operand_before => Step::Keyword,
        Keyword::NOT | Keyword::EXPLAIN => Step::Prefix,
        Keyword::WHEN | Keyword::THEN | Keyword::ELSE if in_case && operand_before => {
            Step::Separator
        }
        Keyword::SELECT
        | Keyword::DISTINCT
        | Keyword::FROM
        | Keyword::TO
        | Keyword::ON
        | Keyword::BY
        | Keyword::WHERE
        | Keyword::HAVING
        | Keyword::LIMIT
        | Keyword::OFFSET
        | Keyword::RETURNING
        | Keyword::ESCAPE
        | Keyword::TIME
        | Keyword::ZONE
        | Keyword::SET
        | Keyword::WHEN
        | Keyword::THEN
        | Keyword::ELSE => Step::Keyword,
        _ => Step::Operand,
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use types::{SqlState, limits};

    /// As a shard does it, with half of its stack.
    fn code(sql: &str) -> Option<SqlState> {
        let work = || parse(sql).err().map(|e| e.code());
        let stack = limits::SHARD_STACK_BYTES / 2;
        let thread = std::thread::Builder::new().stack_size(stack);
        std::thread::scope(|s| thread.spawn_scoped(s, work).unwrap().join().unwrap())
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
    fn no_spelling_of_a_chain_escapes_the_cap() {
        for (first, more) in [
            ("1", " operator(pg_catalog.+) when"),
            ("a", "[1]"),
            ("'{}'::int", "[]"),
            ("a", " at time zone set"),
            ("a", " collate when"),
            ("a", " is distinct from limit"),
            ("a", " like b escape when"),
            ("case when 1", " + when"),
            ("case when 1", " operator(+) when"),
            ("1", " + where"),
        ] {
            let sql = format!(
                "select {first}{}",
                more.repeat(limits::OPERATOR_CHAIN_MAX * 2)
            );
            let code = code(&sql);
            let refused = [
                Some(SqlState::STATEMENT_TOO_COMPLEX),
                Some(SqlState::SYNTAX_ERROR),
            ];
            assert!(refused.contains(&code), "{more}: {code:?}");
        }
    }

    #[test]
    fn chains_within_brackets_count_where_the_brackets_stand() {
        let half = limits::OPERATOR_CHAIN_MAX / 2;
        let chain = |first: &str, n: usize| format!("{first}{}", "+1".repeat(n));
        let over = Some(SqlState::STATEMENT_TOO_COMPLEX);
        for (open, close) in [
            ("(", ")"),
            ("abs(", ")"),
            ("f(1, ", ")"),
            ("case when true then ", " end"),
        ] {
            let held = |n: usize| format!("{open}{}{close}", chain("1", n));
            let sql = |n: usize| format!("select {}", chain(&held(half), n));
            assert_eq!(code(&sql(half - 1)), None, "{open}");
            assert_eq!(code(&sql(half + 1)), over, "{open}");
            let behind = |n: usize| format!("select 1 + {} + 1", held(n));
            assert_eq!(
                code(&behind(limits::OPERATOR_CHAIN_MAX - 2)),
                None,
                "{open}"
            );
            assert_eq!(code(&behind(limits::OPERATOR_CHAIN_MAX)), over, "{open}");
        }
        let levels =
            |n: usize| (0..n).fold("1".to_owned(), |e, _| format!("({e}{})", "+1".repeat(90)));
        assert_eq!(code(&format!("select {}", levels(10))), None);
        assert_eq!(
            code(&format!(
                "select {}",
                levels(limits::OPERATOR_CHAIN_MAX / 90 + 1)
            )),
            over
        );
        // Side by side they are no deeper.
        let beside = vec![levels(10); 100].join(",");
        assert_eq!(code(&format!("select {beside}")), None);
    }

    #[test]
    fn a_case_of_many_branches_is_not_a_chain() {
        let sql = format!("select case {} end", "when a = 1 then 'x' ".repeat(5_000));
        assert_eq!(code(&sql), None);
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

//! From text to the tree of a jsonpath.
//!
//! Asked by: `JsonPath::parse`. Bounds: `PARTS_MAX` and `NESTED_MAX`, looked at before anything is kept.
//! Source: PostgreSQL 15, `jsonpath_gram.y`.

use super::scan::{Scanner, Token};
use super::{Binary, Expr, Flags, JsonPath, LAST_LEVEL, Method, NESTED_MAX, PARTS_MAX, Step};
use crate::{Error, Result, SqlState};

pub(super) fn parse(text: &str) -> Result<JsonPath> {
    let mut parser = Parser {
        scanner: Scanner::new(text),
        token: Token::End,
        parts: 0,
        nested: 0,
        filters: 0,
        subscripts: 0,
    };
    parser.advance()?;
    let lax = !parser.accept_word("strict")?;
    if lax {
        parser.accept_word("lax")?;
    }
    let expr = parser.or()?;
    match parser.token {
        Token::End => Ok(JsonPath { lax, expr }),
        _ => Err(parser.error()),
    }
}

struct Parser<'a> {
    scanner: Scanner<'a>,
    /// The next one.
    token: Token,
    parts: usize,
    nested: usize,
    filters: usize,
    subscripts: usize,
}

impl Parser<'_> {
    fn error(&self) -> Error {
        self.scanner.error("syntax error")
    }

    fn advance(&mut self) -> Result<Token> {
        let next = self.scanner.next()?;
        Ok(std::mem::replace(&mut self.token, next))
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.token, Token::Sign(s) if s == sign)
    }

    fn accept(&mut self, sign: &str) -> Result<bool> {
        let found = self.is(sign);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, sign: &str) -> Result<()> {
        match self.accept(sign)? {
            true => Ok(()),
            false => Err(self.error()),
        }
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(&self.token, Token::Word(w) if w.eq_ignore_ascii_case(word))
    }

    fn accept_word(&mut self, word: &str) -> Result<bool> {
        let found = self.is_word(word);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect_word(&mut self, word: &str) -> Result<()> {
        match self.accept_word(word)? {
            true => Ok(()),
            false => Err(self.error()),
        }
    }

    /// One more part of the expression.
    fn part(&mut self) -> Result<()> {
        self.parts += 1;
        match self.parts > PARTS_MAX {
            true => Err(too_complex("has more than", PARTS_MAX, "parts")),
            false => Ok(()),
        }
    }

    fn within<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.nested += 1;
        if self.nested > NESTED_MAX {
            return Err(too_complex("is nested over", NESTED_MAX, "deep"));
        }
        let read = read(self)?;
        self.nested -= 1;
        Ok(read)
    }

    fn binary(&mut self, op: Binary, left: Expr, right: Expr) -> Result<Expr> {
        self.part()?;
        // Of predicates are made predicates, of items all others.
        let wanted = matches!(op, Binary::Or | Binary::And);
        match left.is_predicate() == wanted && right.is_predicate() == wanted {
            true => Ok(Expr::Binary(op, Box::new(left), Box::new(right))),
            false => Err(self.error()),
        }
    }

    fn or(&mut self) -> Result<Expr> {
        let mut left = self.and()?;
        while self.accept("||")? {
            let right = self.and()?;
            left = self.binary(Binary::Or, left, right)?;
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr> {
        let mut left = self.not()?;
        while self.accept("&&")? {
            let right = self.not()?;
            left = self.binary(Binary::And, left, right)?;
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expr> {
        if !self.accept("!")? {
            return self.comparison();
        }
        self.part()?;
        if self.is_word("exists") {
            let of = self.exists()?;
            return Ok(Expr::Not(Box::new(of)));
        }
        self.expect("(")?;
        let of = self.within(Self::or)?;
        self.expect(")")?;
        match of.is_predicate() {
            true => Ok(Expr::Not(Box::new(of))),
            false => Err(self.error()),
        }
    }

    fn exists(&mut self) -> Result<Expr> {
        self.expect_word("exists")?;
        self.part()?;
        self.expect("(")?;
        let of = self.within(Self::sum)?;
        self.expect(")")?;
        match of.is_predicate() {
            false => Ok(Expr::Exists(Box::new(of))),
            true => Err(self.error()),
        }
    }

    fn comparison(&mut self) -> Result<Expr> {
        if self.is_word("exists") {
            return self.exists();
        }
        let left = self.sum()?;
        let op = match &self.token {
            Token::Sign("==") => Binary::Equal,
            Token::Sign("!=") => Binary::NotEqual,
            Token::Sign("<") => Binary::Less,
            Token::Sign(">") => Binary::Greater,
            Token::Sign("<=") => Binary::LessOrEqual,
            Token::Sign(">=") => Binary::GreaterOrEqual,
            Token::Word(_) => return self.word_after(left),
            _ => return Ok(left),
        };
        self.advance()?;
        let right = self.sum()?;
        self.binary(op, left, right)
    }

    /// `is unknown`, `starts with`, `like_regex`.
    fn word_after(&mut self, left: Expr) -> Result<Expr> {
        self.part()?;
        let predicate = left.is_predicate();
        if self.accept_word("is")? {
            self.expect_word("unknown")?;
            return match predicate {
                true => Ok(Expr::IsUnknown(Box::new(left))),
                false => Err(self.error()),
            };
        }
        if predicate {
            return Err(self.error());
        }
        if self.accept_word("starts")? {
            self.expect_word("with")?;
            let right = match self.advance()? {
                Token::String(s) => Expr::String(s),
                Token::Variable(name) => Expr::Variable(name),
                _ => return Err(self.error()),
            };
            return self.binary(Binary::StartsWith, left, right);
        }
        self.expect_word("like_regex")?;
        let Token::String(pattern) = self.advance()? else {
            return Err(self.error());
        };
        let mut flags = Flags::default();
        if self.accept_word("flag")? {
            let Token::String(letters) = self.advance()? else {
                return Err(self.error());
            };
            flags = regex_flags(&letters)?;
        }
        let of = Box::new(left);
        Ok(Expr::LikeRegex { of, pattern, flags })
    }

    fn sum(&mut self) -> Result<Expr> {
        let mut left = self.product()?;
        loop {
            let op = match &self.token {
                Token::Sign("+") => Binary::Add,
                Token::Sign("-") => Binary::Sub,
                _ => return Ok(left),
            };
            self.advance()?;
            let right = self.product()?;
            left = self.binary(op, left, right)?;
        }
    }

    fn product(&mut self) -> Result<Expr> {
        let mut left = self.signed()?;
        loop {
            let op = match &self.token {
                Token::Sign("*") => Binary::Mul,
                Token::Sign("/") => Binary::Div,
                Token::Sign("%") => Binary::Mod,
                _ => return Ok(left),
            };
            self.advance()?;
            let right = self.signed()?;
            left = self.binary(op, left, right)?;
        }
    }

    fn signed(&mut self) -> Result<Expr> {
        let minus = self.is("-");
        if !minus && !self.is("+") {
            return self.accessors();
        }
        self.advance()?;
        self.part()?;
        let of = self.within(Self::signed)?;
        match of {
            of if of.is_predicate() => Err(self.error()),
            Expr::Number(n) => Ok(Expr::Number(if minus { n.neg() } else { n })),
            of => Ok(Expr::Sign {
                minus,
                of: Box::new(of),
            }),
        }
    }

    fn accessors(&mut self) -> Result<Expr> {
        let of = self.primary()?;
        let mut steps = Vec::new();
        while let Some(step) = self.step()? {
            self.part()?;
            steps.push(step);
        }
        Ok(match steps.is_empty() {
            true => of,
            false => Expr::Path(Box::new(of), steps),
        })
    }

    fn primary(&mut self) -> Result<Expr> {
        self.part()?;
        if self.is("(") {
            self.advance()?;
            let inner = self.within(Self::or)?;
            self.expect(")")?;
            return Ok(inner);
        }
        if self.is("@") && self.filters == 0 {
            return Err(bare("@ is not allowed in root expressions"));
        }
        if self.is_word("last") && self.subscripts == 0 {
            return Err(bare("LAST is allowed only in array subscripts"));
        }
        let known = match &self.token {
            Token::Sign("$") => Expr::Root,
            Token::Sign("@") => Expr::Current,
            Token::String(s) => Expr::String(s.clone()),
            Token::Variable(name) => Expr::Variable(name.clone()),
            Token::Number(n, _) => Expr::Number(n.clone()),
            Token::Word(w) => match w.as_str() {
                "null" => Expr::Null,
                "true" => Expr::Bool(true),
                "false" => Expr::Bool(false),
                w if w.eq_ignore_ascii_case("last") => Expr::Last,
                _ => return Err(self.error()),
            },
            Token::Sign(_) | Token::End => return Err(self.error()),
        };
        self.advance()?;
        Ok(known)
    }

    fn step(&mut self) -> Result<Option<Step>> {
        Ok(Some(match &self.token {
            Token::Sign(".") => {
                self.advance()?;
                self.member()?
            }
            Token::Sign("[") => {
                self.advance()?;
                self.subscripts += 1;
                let step = self.within(Self::elements)?;
                self.subscripts -= 1;
                step
            }
            Token::Sign("?") => {
                self.advance()?;
                self.expect("(")?;
                self.filters += 1;
                let condition = self.within(Self::or)?;
                self.filters -= 1;
                if !condition.is_predicate() {
                    return Err(self.error());
                }
                self.expect(")")?;
                Step::Filter(condition)
            }
            _ => return Ok(None),
        }))
    }

    /// After a dot.
    fn member(&mut self) -> Result<Step> {
        match self.advance()? {
            Token::Sign("*") => Ok(Step::AnyKey),
            Token::Sign("**") => self.deep(),
            Token::String(name) => Ok(Step::Key(name)),
            Token::Word(name) if self.is("(") => {
                let method = self.method(&name)?;
                self.expect("(")?;
                self.expect(")")?;
                Ok(Step::Method(method))
            }
            Token::Word(name) => Ok(Step::Key(name)),
            _ => Err(self.error()),
        }
    }

    fn method(&self, name: &str) -> Result<Method> {
        let all = [
            Method::Type,
            Method::Size,
            Method::Double,
            Method::Ceiling,
            Method::Floor,
            Method::Abs,
            Method::KeyValue,
        ];
        if name.eq_ignore_ascii_case("datetime") {
            return Err(Error::unsupported(
                "jsonpath item method .datetime() is not supported",
            ));
        }
        let found = all
            .into_iter()
            .find(|m| name.eq_ignore_ascii_case(m.name()));
        found.ok_or_else(|| self.error())
    }

    fn deep(&mut self) -> Result<Step> {
        if !self.accept("{")? {
            let (from, upto) = (0, LAST_LEVEL);
            return Ok(Step::Deep { from, upto });
        }
        let from = self.level()?;
        let upto = match self.accept_word("to")? {
            true => self.level()?,
            false => from,
        };
        self.expect("}")?;
        Ok(Step::Deep { from, upto })
    }

    fn level(&mut self) -> Result<u32> {
        if self.accept_word("last")? {
            return Ok(LAST_LEVEL);
        }
        match self.advance()? {
            Token::Number(_, text) => text.parse().map_err(|_| self.error()),
            _ => Err(self.error()),
        }
    }

    /// After an opening bracket.
    fn elements(&mut self) -> Result<Step> {
        if self.accept("*")? {
            self.expect("]")?;
            return Ok(Step::AnyElement);
        }
        let mut all = Vec::new();
        loop {
            let from = self.sum()?;
            let to = match self.accept_word("to")? {
                true => Some(self.sum()?),
                false => None,
            };
            if from.is_predicate() || to.as_ref().is_some_and(Expr::is_predicate) {
                return Err(self.error());
            }
            all.push((from, to));
            if !self.accept(",")? {
                break;
            }
        }
        self.expect("]")?;
        Ok(Step::Elements(all))
    }
}

fn regex_flags(letters: &str) -> Result<Flags> {
    let mut flags = Flags::default();
    for letter in letters.chars() {
        match letter {
            'i' => flags.ignore_case = true,
            's' => flags.dot_all = true,
            'm' => flags.lines = true,
            'q' => flags.literal = true,
            'x' => {
                return Err(Error::unsupported(
                    "XQuery \"x\" flag (expanded regular expressions) is not implemented",
                ));
            }
            other => {
                return Err(Error::new(
                    SqlState::SYNTAX_ERROR,
                    "invalid input syntax for type jsonpath",
                )
                .with_detail(format!(
                    "Unrecognized flag character \"{other}\" in LIKE_REGEX predicate."
                )));
            }
        }
    }
    Ok(flags)
}

fn bare(message: &str) -> Error {
    Error::new(SqlState::SYNTAX_ERROR, message)
}

fn too_complex(verb: &str, max: usize, unit: &str) -> Error {
    Error::new(SqlState::STATEMENT_TOO_COMPLEX, "jsonpath is too complex")
        .with_detail(format!("It {verb} {max} {unit}."))
}

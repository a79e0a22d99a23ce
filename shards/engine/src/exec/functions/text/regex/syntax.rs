//! PostgreSQL's regular expression syntax in terms of the `regex` crate's.
//!
//! Owns: the differences: `.` and `$` at newlines, word boundaries, escapes, bracket expressions, literal braces, embedded
//! options, and the wording of errors.
//! Source: PostgreSQL 15 manual, section 9.7.3; `similar_escape_internal`.

use types::{Error, Result, SqlState};

/// The pattern in the crate's syntax, options in front.
pub fn translate(pattern: &str, flags: &str) -> Result<String> {
    let mut options = Options::default();
    options.read(flags)?;
    let mut pattern = pattern;
    if let Some(rest) = pattern.strip_prefix("***=") {
        options.literal = true;
        pattern = rest;
    } else if let Some(rest) = pattern.strip_prefix("***:") {
        pattern = rest;
    }
    if !options.literal
        && let Some(rest) = pattern.strip_prefix("(?")
        && rest.starts_with(|c: char| c.is_ascii_lowercase())
        && let Some((letters, after)) = rest.split_once(')')
    {
        options.read(letters)?;
        pattern = after;
    }
    let mut out = options.prefix();
    if options.literal {
        out.push_str(&regex::escape(pattern));
    } else {
        Translator {
            chars: pattern.chars().collect(),
            at: 0,
            out: &mut out,
        }
        .run()?;
    }
    Ok(out)
}

#[derive(Default)]
struct Options {
    ignore_case: bool,
    /// `.` and negated brackets stop at newlines.
    newline_stops: bool,
    /// `^` and `$` match at newlines.
    newline_anchors: bool,
    expanded: bool,
    literal: bool,
}

impl Options {
    fn read(&mut self, letters: &str) -> Result<()> {
        for c in letters.chars() {
            match c {
                'i' => self.ignore_case = true,
                'c' => self.ignore_case = false,
                'm' | 'n' => (self.newline_stops, self.newline_anchors) = (true, true),
                'p' => (self.newline_stops, self.newline_anchors) = (true, false),
                's' => (self.newline_stops, self.newline_anchors) = (false, false),
                'w' => (self.newline_stops, self.newline_anchors) = (false, true),
                'x' => self.expanded = true,
                't' => self.expanded = false,
                'q' => self.literal = true,
                'b' | 'e' => {}
                _ => {
                    return Err(Error::new(
                        SqlState::INVALID_PARAMETER_VALUE,
                        format!("invalid regular expression option: \"{c}\""),
                    ));
                }
            }
        }
        Ok(())
    }

    fn prefix(&self) -> String {
        let mut on = String::new();
        for (set, letter) in [
            (self.ignore_case, 'i'),
            (!self.newline_stops, 's'),
            (self.newline_anchors, 'm'),
            (self.expanded, 'x'),
        ] {
            if set {
                on.push(letter);
            }
        }
        if on.is_empty() {
            on
        } else {
            format!("(?{on})")
        }
    }
}

struct Translator<'a> {
    chars: Vec<char>,
    at: usize,
    out: &'a mut String,
}

impl Translator<'_> {
    fn run(mut self) -> Result<()> {
        while let Some(c) = self.next() {
            match c {
                '\\' => self.escape()?,
                '[' => self.bracket()?,
                '(' if self.peek() == Some('?') => self.group()?,
                '{' if !self.peek().is_some_and(|c| c.is_ascii_digit()) => self.out.push_str("\\{"),
                '}' if !self.closes_bound() => self.out.push_str("\\}"),
                other => self.out.push(other),
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Option<char> {
        let c = self.chars.get(self.at).copied();
        self.at += 1;
        c
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    /// Whether the `}` just read ends `{m,n}`.
    fn closes_bound(&self) -> bool {
        let before = &self.chars[..self.at - 1];
        let digits = |c: &char| c.is_ascii_digit() || *c == ',';
        let open = before.iter().rposition(|c| !digits(c));
        open.is_some_and(|i| before[i] == '{' && i + 1 < before.len())
    }

    fn group(&mut self) -> Result<()> {
        match (self.chars.get(self.at + 1), self.chars.get(self.at + 2)) {
            (Some(':'), _) => {
                self.at += 2;
                self.out.push_str("(?:");
                Ok(())
            }
            (Some('=' | '!'), _) | (Some('<'), Some('=' | '!')) => Err(Error::unsupported(
                "lookaround constraints in regular expressions are not supported",
            )),
            _ => Err(invalid("quantifier operand invalid")),
        }
    }

    fn escape(&mut self) -> Result<()> {
        let Some(c) = self.next() else {
            return Err(invalid("invalid escape \\ sequence"));
        };
        match c {
            'd' | 'D' | 's' | 'S' | 'w' | 'W' | 'n' | 't' | 'r' | 'f' | 'v' | 'a' => {
                self.out.extend(['\\', c]);
            }
            'A' => self.out.push_str("\\A"),
            'Z' => self.out.push_str("\\z"),
            'm' => self.out.push_str("\\b{start}"),
            'M' => self.out.push_str("\\b{end}"),
            'y' => self.out.push_str("\\b"),
            'Y' => self.out.push_str("\\B"),
            'b' => self.out.push_str("\\x08"),
            'B' => self.out.push_str("\\\\"),
            'e' => self.out.push_str("\\x1b"),
            '0' => self.out.push_str("\\x00"),
            'u' => self.hexadecimal(4)?,
            'U' => self.hexadecimal(8)?,
            'x' => self.hexadecimal(2)?,
            '1'..='9' => {
                return Err(Error::unsupported(
                    "back references in regular expressions are not supported",
                ));
            }
            c if c.is_ascii_alphanumeric() => return Err(invalid("invalid escape \\ sequence")),
            c => self.literal(c),
        }
        Ok(())
    }

    fn hexadecimal(&mut self, digits_max: usize) -> Result<()> {
        let rest = &self.chars[self.at.min(self.chars.len())..];
        let digits: String = rest
            .iter()
            .take(digits_max)
            .take_while(|c| c.is_ascii_hexdigit())
            .collect();
        self.at += digits.len();
        let code = u32::from_str_radix(&digits, 16).ok();
        let c = code
            .and_then(char::from_u32)
            .ok_or_else(|| invalid("invalid escape \\ sequence"))?;
        self.literal(c);
        Ok(())
    }

    fn literal(&mut self, c: char) {
        self.out
            .push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
    }

    /// A bracket expression; `[[:<:]]` and `[[:>:]]` are word boundaries.
    fn bracket(&mut self) -> Result<()> {
        let rest: String = self.chars[self.at..].iter().take(6).collect();
        for (marker, boundary) in [("[:<:]]", "\\b{start}"), ("[:>:]]", "\\b{end}")] {
            if rest == marker {
                self.at += 6;
                self.out.push_str(boundary);
                return Ok(());
            }
        }
        self.out.push('[');
        if self.peek() == Some('^') {
            self.at += 1;
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let Some(c) = self.next() else {
                return Err(invalid("brackets [] not balanced"));
            };
            match c {
                ']' if !first => {
                    self.out.push(']');
                    return Ok(());
                }
                '[' if matches!(self.peek(), Some(':' | '.' | '=')) => self.class()?,
                '\\' => self.escape_in_bracket()?,
                ']' | '[' | '&' | '~' => self.out.extend(['\\', c]),
                c => self.out.push(c),
            }
            first = false;
        }
    }

    /// `[:alpha:]`, `[.x.]`, `[=x=]` inside a bracket expression.
    fn class(&mut self) -> Result<()> {
        let kind = self.next().unwrap_or(':');
        let mut name = String::new();
        loop {
            match (self.next(), self.peek()) {
                (Some(c), Some(']')) if c == kind => {
                    self.at += 1;
                    break;
                }
                (Some(c), Some(_)) => name.push(c),
                _ => return Err(invalid("brackets [] not balanced")),
            }
        }
        let mut letters = name.chars();
        match (kind, letters.next(), letters.next()) {
            (':', ..) => match of_letters(&name) {
                Some(class) => self.out.push_str(class),
                None => self.out.push_str(&format!("[:{name}:]")),
            },
            (_, Some(c), None) => self.literal(c),
            _ => return Err(invalid("invalid collating element")),
        }
        Ok(())
    }

    fn escape_in_bracket(&mut self) -> Result<()> {
        match self.peek() {
            Some('d' | 's' | 'w' | 'D' | 'S' | 'W') => {
                let c = self.next().unwrap_or('d');
                self.out.extend(['\\', c]);
                Ok(())
            }
            Some('b') => {
                self.at += 1;
                self.out.push_str("\\x08");
                Ok(())
            }
            _ => self.escape(),
        }
    }
}

/// What the crate could not compile, in PostgreSQL's words.
pub fn refuse(e: &regex::Error) -> Error {
    let text = e.to_string();
    let known = [
        ("unclosed group", "parentheses () not balanced"),
        ("unopened group", "parentheses () not balanced"),
        ("unclosed character class", "brackets [] not balanced"),
        ("repetition operator missing", "quantifier operand invalid"),
        ("invalid character class range", "invalid character range"),
        (
            "invalid repetition count range",
            "invalid repetition count(s)",
        ),
        ("repetition quantifier", "invalid repetition count(s)"),
        ("unclosed counted repetition", "braces {} not balanced"),
        ("unrecognized escape", "invalid escape \\ sequence"),
        ("POSIX character class", "invalid character class"),
        ("ASCII character class", "invalid character class"),
    ];
    let found = known.iter().find(|(theirs, _)| text.contains(theirs));
    invalid(found.map_or("regular expression is too complex", |(_, ours)| ours))
}

fn invalid(why: &str) -> Error {
    Error::new(
        SqlState::INVALID_REGULAR_EXPRESSION,
        format!("invalid regular expression: {why}"),
    )
}

/// An SQL (SIMILAR TO) pattern as a regular expression; the escape is a backslash unless given.
pub fn similar(pattern: &str, escape: Option<&str>) -> Result<String> {
    let mut escapes = escape.unwrap_or("\\").chars();
    let (escape, more) = (escapes.next(), escapes.next());
    if more.is_some() {
        return Err(
            Error::new(SqlState::INVALID_ESCAPE_SEQUENCE, "invalid escape string")
                .with_hint("Escape string must be empty or one character."),
        );
    }
    let mut out = String::from("^(?:");
    let mut in_bracket = false;
    let mut separators = 0;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if Some(c) == escape {
            match chars.next() {
                // escape-double-quote parts the pattern for substring().
                Some('"') if !in_bracket => {
                    separators += 1;
                    out.push_str(if separators == 1 {
                        "){1,1}?("
                    } else {
                        "){1,1}(?:"
                    });
                }
                Some(next) => out.extend(['\\', next]),
                None => out.push_str("\\\\"),
            }
            continue;
        }
        match c {
            '[' => in_bracket = true,
            ']' => in_bracket = false,
            _ => {}
        }
        match c {
            '%' if !in_bracket => out.push_str(".*"),
            '_' if !in_bracket => out.push('.'),
            '(' if !in_bracket => out.push_str("(?:"),
            '\\' | '.' | '^' | '$' if !in_bracket => out.extend(['\\', c]),
            '\\' => out.push_str("\\\\"),
            c => out.push(c),
        }
    }
    out.push_str(")$");
    Ok(out)
}

/// Classes that know letters of all scripts, as `\w` and upper() do.
fn of_letters(class: &str) -> Option<&'static str> {
    Some(match class {
        "alpha" => r"\p{Alphabetic}",
        "alnum" => r"\p{Alphabetic}\p{Nd}",
        "upper" => r"\p{Uppercase}",
        "lower" => r"\p{Lowercase}",
        "word" => r"\w",
        _ => return None,
    })
}

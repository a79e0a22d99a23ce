//! Evaluating a jsonpath over a document.
//!
//! Owns: what steps, operators and conditions find, item by item, and which errors a condition or `silent` passes over.
//! Asked by: `path_functions`. Never: looks further than its caller wants. Bounds: as deep as the path has parts and the
//! document levels; `WORK_MAX` steps, one more is 54000.
//! Source: PostgreSQL 15, `jsonpath_exec.c`.

use crate::exec::functions::text::regex;
use std::borrow::Cow;
use std::cell::Cell;
use std::cmp::Ordering;
use types::json::path::{Binary, Expr, Flags, JsonPath, LAST_LEVEL, Method, Step};
use types::{Error, Json, Numeric, Result, SqlState};

/// Steps taken for one document.
pub const WORK_MAX: u64 = 5_000_000;

pub type Item<'a> = Cow<'a, Json>;

/// Whether more items are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    More,
    Enough,
}

pub enum Failure {
    /// A condition with it is unknown, and `silent` passes over it.
    Soft(Error),
    Hard(Error),
}

type Found = Result<Flow, Failure>;
type Emit<'e, 'a> = &'e mut dyn FnMut(Item<'a>) -> Found;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    True,
    False,
    Unknown,
}

/// What changes on the way down.
#[derive(Clone, Copy)]
struct At<'c> {
    current: &'c Json,
    /// What is not there is passed over.
    lenient: bool,
    /// Of the array whose subscript it is.
    last: i64,
}

pub struct Evaluation<'a> {
    path: &'a JsonPath,
    root: &'a Json,
    vars: &'a Json,
    work: Cell<u64>,
}

impl<'a> Evaluation<'a> {
    pub fn new(path: &'a JsonPath, root: &'a Json, vars: &'a Json) -> Evaluation<'a> {
        let work = Cell::new(0);
        Evaluation {
            path,
            root,
            vars,
            work,
        }
    }

    /// Gives out what is found, in order.
    pub fn each(&self, emit: &mut dyn FnMut(Json) -> Flow) -> Result<(), Failure> {
        let at = At {
            current: self.root,
            lenient: self.path.lax,
            last: -1,
        };
        let mut give = |item: Item<'_>| Ok(emit(item.into_owned()));
        self.expr(&self.path.expr, self.root, at, &mut give)?;
        Ok(())
    }

    fn worked(&self) -> Result<(), Failure> {
        let work = self.work.get() + 1;
        self.work.set(work);
        if work > WORK_MAX {
            return Err(Failure::Hard(
                Error::new(
                    SqlState::PROGRAM_LIMIT_EXCEEDED,
                    "evaluating the jsonpath takes too many steps",
                )
                .with_detail(format!("It may take {WORK_MAX} for one document.")),
            ));
        }
        Ok(())
    }

    /// The items of an expression, where `on` is what `@` and its own beginning mean.
    fn expr<'j>(&self, e: &'j Expr, on: &'j Json, at: At<'j>, emit: Emit<'_, 'j>) -> Found
    where
        'a: 'j,
    {
        self.worked()?;
        match e {
            Expr::Path(of, steps) => self.expr(of, on, at, &mut |item| {
                self.steps(steps, item, at, self.path.lax, emit)
            }),
            Expr::Root => emit(Cow::Borrowed(self.root)),
            Expr::Current => emit(Cow::Borrowed(at.current)),
            Expr::Last => emit(number(Numeric::from(at.last))),
            Expr::Null => emit(Cow::Owned(Json::Null)),
            Expr::Bool(b) => emit(Cow::Owned(Json::Bool(*b))),
            Expr::Number(n) => emit(number(n.clone())),
            Expr::String(s) => emit(Cow::Owned(Json::String(s.clone()))),
            Expr::Variable(name) => match self.vars.get(name) {
                Some(value) => emit(Cow::Borrowed(value)),
                None => Err(Failure::Hard(Error::new(
                    SqlState::UNDEFINED_OBJECT,
                    format!("could not find jsonpath variable \"{name}\""),
                ))),
            },
            Expr::Sign { minus, of } => self.signed(*minus, of, on, at, emit),
            Expr::Binary(op, left, right) if !op.is_predicate() => {
                let left = self.operand(*op, "left", left, on, at)?;
                let right = self.operand(*op, "right", right, on, at)?;
                let result = match op {
                    Binary::Add => left.add(&right),
                    Binary::Sub => left.sub(&right),
                    Binary::Mul => left.mul(&right),
                    Binary::Div => left.div(&right),
                    _ => left.rem(&right),
                };
                emit(number(result.map_err(Failure::Soft)?))
            }
            condition => emit(Cow::Owned(match self.verdict(condition, on, at)? {
                Verdict::True => Json::Bool(true),
                Verdict::False => Json::Bool(false),
                Verdict::Unknown => Json::Null,
            })),
        }
    }

    /// All items of an operand, arrays taken apart where the mode does so.
    fn all<'j>(
        &self,
        e: &'j Expr,
        on: &'j Json,
        at: At<'j>,
        unwrap: bool,
    ) -> Result<Vec<Json>, Failure>
    where
        'a: 'j,
    {
        let mut out = Vec::new();
        self.expr(e, on, at, &mut |item| {
            match item {
                Cow::Borrowed(Json::Array(items)) if unwrap && self.path.lax => {
                    out.extend(items.iter().cloned());
                }
                Cow::Owned(Json::Array(items)) if unwrap && self.path.lax => out.extend(items),
                item => out.push(item.into_owned()),
            }
            Ok(Flow::More)
        })?;
        Ok(out)
    }

    fn operand<'j>(
        &self,
        op: Binary,
        side: &str,
        e: &'j Expr,
        on: &'j Json,
        at: At<'j>,
    ) -> Result<Numeric, Failure>
    where
        'a: 'j,
    {
        match self.all(e, on, at, true)?.as_slice() {
            [Json::Number(n)] => Ok(n.clone()),
            _ => Err(soft(
                SqlState::SINGLETON_SQL_JSON_ITEM_REQUIRED,
                format!(
                    "{side} operand of jsonpath operator {} is not a single numeric value",
                    op.symbol()
                ),
            )),
        }
    }

    fn signed<'j>(
        &self,
        minus: bool,
        of: &'j Expr,
        on: &'j Json,
        at: At<'j>,
        emit: Emit<'_, 'j>,
    ) -> Found
    where
        'a: 'j,
    {
        for item in self.all(of, on, at, true)? {
            let Json::Number(n) = item else {
                let sign = if minus { '-' } else { '+' };
                return Err(soft(
                    SqlState::SQL_JSON_NUMBER_NOT_FOUND,
                    format!("operand of unary jsonpath operator {sign} is not a numeric value"),
                ));
            };
            let n = if minus { n.neg() } else { n };
            if emit(number(n))? == Flow::Enough {
                return Ok(Flow::Enough);
            }
        }
        Ok(Flow::More)
    }

    /// Goes on from an item. `unwrap`: where a step wants no array, the array's elements are meant.
    fn steps<'j>(
        &self,
        steps: &'j [Step],
        item: Item<'j>,
        at: At<'j>,
        unwrap: bool,
        emit: Emit<'_, 'j>,
    ) -> Found
    where
        'a: 'j,
    {
        self.worked()?;
        let Some((step, rest)) = steps.split_first() else {
            return emit(item);
        };
        let lax = self.path.lax;
        match (step, &*item) {
            (Step::AnyElement, Json::Array(_)) => {
                self.children(item, &mut |child| self.steps(rest, child, at, lax, emit))
            }
            (Step::AnyElement, _) if lax => self.steps(rest, item, at, lax, emit),
            (Step::Elements(subscripts), Json::Array(_)) => {
                self.elements(subscripts, rest, item, at, emit)
            }
            (Step::Elements(subscripts), _) if lax => {
                self.elements(subscripts, rest, item, at, emit)
            }
            (Step::Deep { from, upto }, _) => {
                let at = At {
                    lenient: true,
                    ..at
                };
                let mut visit = |child: Item<'j>| self.steps(rest, child, at, lax, emit);
                if *from == 0 && visit(item.clone())? == Flow::Enough {
                    return Ok(Flow::Enough);
                }
                self.deep((*from, *upto), 1, item, &mut visit)
            }
            (Step::Method(Method::Type), json) => {
                let name = Json::String(type_name(json).to_owned());
                self.steps(rest, Cow::Owned(name), at, lax, emit)
            }
            (Step::Method(Method::Size), json) => {
                let size = size(json, lax || at.lenient)?;
                self.steps(rest, number(Numeric::from(size)), at, lax, emit)
            }
            // The elements are meant by everything else.
            (Step::Key(_) | Step::AnyKey | Step::Filter(_) | Step::Method(_), Json::Array(_))
                if unwrap =>
            {
                self.children(item, &mut |child| self.steps(steps, child, at, false, emit))
            }
            _ => self.single(steps, item, at, emit),
        }
    }

    /// Goes on from an item by a step that takes it as it is.
    fn single<'j>(&self, steps: &'j [Step], item: Item<'j>, at: At<'j>, emit: Emit<'_, 'j>) -> Found
    where
        'a: 'j,
    {
        let Some((step, rest)) = steps.split_first() else {
            return emit(item);
        };
        let lax = self.path.lax;
        match (step, &*item) {
            (Step::Key(key), Json::Object(_)) => match member(item, key) {
                Some(value) => self.steps(rest, value, at, lax, emit),
                None if at.lenient => Ok(Flow::More),
                None => Err(soft(
                    SqlState::SQL_JSON_MEMBER_NOT_FOUND,
                    format!("JSON object does not contain key \"{key}\""),
                )),
            },
            (Step::AnyKey, Json::Object(_)) => {
                self.children(item, &mut |child| self.steps(rest, child, at, lax, emit))
            }
            (Step::Filter(condition), json) => {
                match self.verdict(
                    condition,
                    json,
                    At {
                        current: json,
                        ..at
                    },
                )? {
                    Verdict::True => self.steps(rest, item, at, lax, emit),
                    _ => Ok(Flow::More),
                }
            }
            (Step::Method(Method::KeyValue), Json::Object(_)) => {
                self.pairs(item, &mut |pair| self.steps(rest, pair, at, lax, emit))
            }
            (Step::Method(method), json) => {
                let value = numeric_method(*method, json)?;
                self.steps(rest, number(value), at, lax, emit)
            }
            _ if at.lenient => Ok(Flow::More),
            (step, _) => Err(misapplied(step)),
        }
    }

    /// The elements of an array, the values of an object.
    fn children<'j>(&self, item: Item<'j>, visit: Emit<'_, 'j>) -> Found {
        match item {
            Cow::Borrowed(Json::Array(items)) => each(items.iter().map(Cow::Borrowed), visit),
            Cow::Borrowed(Json::Object(pairs)) => {
                each(pairs.iter().map(|(_, v)| Cow::Borrowed(v)), visit)
            }
            Cow::Owned(Json::Array(items)) => each(items.into_iter().map(Cow::Owned), visit),
            Cow::Owned(Json::Object(pairs)) => {
                each(pairs.into_iter().map(|(_, v)| Cow::Owned(v)), visit)
            }
            _ => Ok(Flow::More),
        }
    }

    fn deep<'j>(
        &self,
        levels: (u32, u32),
        level: u32,
        item: Item<'j>,
        visit: Emit<'_, 'j>,
    ) -> Found {
        let (from, upto) = levels;
        if level > upto {
            return Ok(Flow::More);
        }
        self.children(item, &mut |child| {
            self.worked()?;
            let leaf = !matches!(&*child, Json::Array(_) | Json::Object(_));
            let wanted = level >= from || from == LAST_LEVEL && upto == LAST_LEVEL && leaf;
            let inner = (!leaf && level < upto).then(|| child.clone());
            if wanted && visit(child)? == Flow::Enough {
                return Ok(Flow::Enough);
            }
            match inner {
                Some(inner) => self.deep(levels, level + 1, inner, visit),
                None => Ok(Flow::More),
            }
        })
    }

    fn elements<'j>(
        &self,
        subscripts: &'j [(Expr, Option<Expr>)],
        rest: &'j [Step],
        item: Item<'j>,
        at: At<'j>,
        emit: Emit<'_, 'j>,
    ) -> Found
    where
        'a: 'j,
    {
        let size = match &*item {
            Json::Array(items) => items.len() as i64,
            _ => 1,
        };
        for (from, to) in subscripts {
            let from = self.subscript(
                from,
                &item,
                At {
                    last: size - 1,
                    ..at
                },
            )?;
            let to = match to {
                Some(to) => self.subscript(
                    to,
                    &item,
                    At {
                        last: size - 1,
                        ..at
                    },
                )?,
                None => from,
            };
            if !at.lenient && (from < 0 || from > to || to >= size) {
                return Err(soft(
                    SqlState::INVALID_SQL_JSON_SUBSCRIPT,
                    "jsonpath array subscript is out of bounds",
                ));
            }
            for i in from.max(0)..=to.min(size - 1) {
                let found = match &item {
                    Cow::Borrowed(Json::Array(items)) => items.get(i as usize).map(Cow::Borrowed),
                    Cow::Owned(Json::Array(items)) => {
                        items.get(i as usize).cloned().map(Cow::Owned)
                    }
                    single => Some(single.clone()),
                };
                if let Some(found) = found
                    && self.steps(rest, found, at, self.path.lax, emit)? == Flow::Enough
                {
                    return Ok(Flow::Enough);
                }
            }
        }
        Ok(Flow::More)
    }

    fn subscript(&self, e: &Expr, item: &Json, at: At<'_>) -> Result<i64, Failure> {
        let found = self.all(e, item, at, false)?;
        let [Json::Number(n)] = found.as_slice() else {
            return Err(soft(
                SqlState::INVALID_SQL_JSON_SUBSCRIPT,
                "jsonpath array subscript is not a single numeric value",
            ));
        };
        let whole = n.trunc(0).ok().and_then(|n| n.to_i64());
        whole.filter(|i| i32::try_from(*i).is_ok()).ok_or_else(|| {
            soft(
                SqlState::INVALID_SQL_JSON_SUBSCRIPT,
                "jsonpath array subscript is out of integer range",
            )
        })
    }

    /// An object a pair. Its `id` tells objects apart, and is not PostgreSQL's, which is a place in its own bytes.
    fn pairs<'j>(&self, item: Item<'j>, visit: Emit<'_, 'j>) -> Found {
        let id = match &item {
            Cow::Borrowed(json) => place(self.root, json).unwrap_or(0),
            Cow::Owned(_) => 0,
        };
        let Json::Object(pairs) = item.into_owned() else {
            return Ok(Flow::More);
        };
        let pair = |(key, value): (String, Json)| {
            Cow::Owned(Json::object(vec![
                ("key".into(), Json::String(key)),
                ("value".into(), value),
                ("id".into(), Json::Number(Numeric::from(id))),
            ]))
        };
        each(pairs.into_iter().map(pair), visit)
    }

    fn verdict<'j>(&self, e: &'j Expr, on: &'j Json, at: At<'j>) -> Result<Verdict, Failure>
    where
        'a: 'j,
    {
        self.worked()?;
        Ok(match e {
            Expr::Binary(Binary::And, left, right) => match self.verdict(left, on, at)? {
                Verdict::False => Verdict::False,
                left => match self.verdict(right, on, at)? {
                    Verdict::True => left,
                    right => right,
                },
            },
            Expr::Binary(Binary::Or, left, right) => match self.verdict(left, on, at)? {
                Verdict::True => Verdict::True,
                left => match self.verdict(right, on, at)? {
                    Verdict::False => left,
                    right => right,
                },
            },
            Expr::Not(of) => match self.verdict(of, on, at)? {
                Verdict::True => Verdict::False,
                Verdict::False => Verdict::True,
                Verdict::Unknown => Verdict::Unknown,
            },
            Expr::IsUnknown(of) => of_bool(self.verdict(of, on, at)? == Verdict::Unknown),
            Expr::Exists(of) => {
                let mut any = false;
                let lax = self.path.lax;
                let looked = self.expr(of, on, at, &mut |_| {
                    any = true;
                    // In strict mode an error behind the first item counts.
                    Ok(if lax { Flow::Enough } else { Flow::More })
                });
                match looked {
                    Ok(_) => of_bool(any),
                    Err(Failure::Soft(_)) => Verdict::Unknown,
                    Err(hard) => return Err(hard),
                }
            }
            Expr::LikeRegex { of, pattern, flags } => {
                let regex =
                    regex::compile(pattern, regex_letters(*flags)).map_err(Failure::Hard)?;
                self.compared(of, None, on, at, &mut |json, _| match json {
                    Json::String(s) => of_bool(regex.is_match(s)),
                    _ => Verdict::Unknown,
                })?
            }
            Expr::Binary(op, left, right) => self.compared(
                left,
                Some((right, *op != Binary::StartsWith)),
                on,
                at,
                &mut |a, b| compare(*op, a, b),
            )?,
            _ => Verdict::Unknown,
        })
    }

    /// Whether it is so for some pair of the operands' items; in strict mode all are looked at. `right`: and whether its arrays
    /// are taken apart.
    fn compared<'j>(
        &self,
        left: &'j Expr,
        right: Option<(&'j Expr, bool)>,
        on: &'j Json,
        at: At<'j>,
        test: &mut dyn FnMut(&Json, &Json) -> Verdict,
    ) -> Result<Verdict, Failure>
    where
        'a: 'j,
    {
        let operands = || {
            let left = self.all(left, on, at, true)?;
            let right = match right {
                Some((right, unwrap)) => self.all(right, on, at, unwrap)?,
                None => vec![Json::Null],
            };
            Ok((left, right))
        };
        let (left, right) = match operands() {
            Ok(both) => both,
            Err(Failure::Soft(_)) => return Ok(Verdict::Unknown),
            Err(hard) => return Err(hard),
        };
        let (mut found, mut unknown) = (false, false);
        for a in &left {
            for b in &right {
                self.worked()?;
                match test(a, b) {
                    Verdict::Unknown if !self.path.lax => return Ok(Verdict::Unknown),
                    Verdict::Unknown => unknown = true,
                    Verdict::True if self.path.lax => return Ok(Verdict::True),
                    Verdict::True => found = true,
                    Verdict::False => {}
                }
            }
        }
        Ok(match (found, unknown) {
            (true, _) => Verdict::True,
            (false, true) => Verdict::Unknown,
            (false, false) => Verdict::False,
        })
    }
}

fn each<'j>(items: impl Iterator<Item = Item<'j>>, visit: Emit<'_, 'j>) -> Found {
    for item in items {
        if visit(item)? == Flow::Enough {
            return Ok(Flow::Enough);
        }
    }
    Ok(Flow::More)
}

fn member<'j>(item: Item<'j>, key: &str) -> Option<Item<'j>> {
    match item {
        Cow::Borrowed(json) => json.get(key).map(Cow::Borrowed),
        Cow::Owned(json) => json.get(key).cloned().map(Cow::Owned),
    }
}

fn number<'j>(n: Numeric) -> Item<'j> {
    Cow::Owned(Json::Number(n))
}

fn of_bool(b: bool) -> Verdict {
    match b {
        true => Verdict::True,
        false => Verdict::False,
    }
}

fn soft(code: SqlState, message: impl Into<String>) -> Failure {
    Failure::Soft(Error::new(code, message))
}

/// Objects before this one, in the order of the document.
fn place(root: &Json, wanted: &Json) -> Option<i64> {
    fn walk(at: &Json, wanted: &Json, before: &mut i64) -> bool {
        if std::ptr::eq(at, wanted) {
            return true;
        }
        match at {
            Json::Array(items) => items.iter().any(|i| walk(i, wanted, before)),
            Json::Object(pairs) => {
                *before += 1;
                pairs.iter().any(|(_, v)| walk(v, wanted, before))
            }
            _ => false,
        }
    }
    let mut before = 0;
    walk(root, wanted, &mut before).then_some(before)
}

fn size(json: &Json, lenient: bool) -> Result<i64, Failure> {
    match json {
        Json::Array(items) => Ok(items.len() as i64),
        _ if lenient => Ok(1),
        _ => Err(soft(
            SqlState::SQL_JSON_ARRAY_NOT_FOUND,
            "jsonpath item method .size() can only be applied to an array",
        )),
    }
}

fn type_name(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

fn misapplied(step: &Step) -> Failure {
    let (code, what, to) = match step {
        Step::Key(_) => (
            SqlState::SQL_JSON_MEMBER_NOT_FOUND,
            "member accessor",
            "an object",
        ),
        Step::AnyKey => (
            SqlState::SQL_JSON_OBJECT_NOT_FOUND,
            "wildcard member accessor",
            "an object",
        ),
        Step::AnyElement => (
            SqlState::SQL_JSON_ARRAY_NOT_FOUND,
            "wildcard array accessor",
            "an array",
        ),
        _ => (
            SqlState::SQL_JSON_ARRAY_NOT_FOUND,
            "array accessor",
            "an array",
        ),
    };
    soft(code, format!("jsonpath {what} can only be applied to {to}"))
}

fn numeric_method(method: Method, json: &Json) -> Result<Numeric, Failure> {
    let name = method.name();
    match (method, json) {
        (Method::KeyValue, _) => Err(soft(
            SqlState::SQL_JSON_OBJECT_NOT_FOUND,
            "jsonpath item method .keyvalue() can only be applied to an object",
        )),
        (Method::Double, Json::Number(n)) => match n.to_f64() {
            v if v.is_finite() => Ok(Numeric::from_f64(v)),
            _ => Err(soft(
                SqlState::NON_NUMERIC_SQL_JSON_ITEM,
                "numeric argument of jsonpath item method .double() is out of range for type double precision",
            )),
        },
        (Method::Double, Json::String(s)) => {
            let read = s.trim().parse::<f64>().map_err(|_| {
                soft(
                    SqlState::NON_NUMERIC_SQL_JSON_ITEM,
                    "string argument of jsonpath item method .double() is not a valid representation of a double precision number",
                )
            })?;
            match read.is_finite() {
                true => Ok(Numeric::from_f64(read)),
                false => Err(soft(
                    SqlState::NON_NUMERIC_SQL_JSON_ITEM,
                    "NaN or Infinity is not allowed for jsonpath item method .double()",
                )),
            }
        }
        (Method::Double, _) => Err(soft(
            SqlState::NON_NUMERIC_SQL_JSON_ITEM,
            "jsonpath item method .double() can only be applied to a string or numeric value",
        )),
        (Method::Abs, Json::Number(n)) => Ok(n.abs()),
        (Method::Floor, Json::Number(n)) => n.floor().map_err(Failure::Soft),
        (Method::Ceiling, Json::Number(n)) => n.ceil().map_err(Failure::Soft),
        _ => Err(soft(
            SqlState::NON_NUMERIC_SQL_JSON_ITEM,
            format!("jsonpath item method .{name}() can only be applied to a numeric value"),
        )),
    }
}

fn compare(op: Binary, a: &Json, b: &Json) -> Verdict {
    let order = match (a, b) {
        (Json::String(a), Json::String(b)) if op == Binary::StartsWith => {
            return of_bool(a.starts_with(b.as_str()));
        }
        _ if op == Binary::StartsWith => return Verdict::Unknown,
        (Json::Null, Json::Null) => Ordering::Equal,
        // null is different from all else, and neither less nor greater.
        (Json::Null, _) | (_, Json::Null) => return of_bool(op == Binary::NotEqual),
        (Json::Bool(a), Json::Bool(b)) => a.cmp(b),
        (Json::Number(a), Json::Number(b)) => a.compare(b),
        // As UTF-16 sorts.
        (Json::String(a), Json::String(b)) => a.encode_utf16().cmp(b.encode_utf16()),
        _ => return Verdict::Unknown,
    };
    of_bool(match op {
        Binary::Equal => order.is_eq(),
        Binary::NotEqual => order.is_ne(),
        Binary::Less => order.is_lt(),
        Binary::Greater => order.is_gt(),
        Binary::LessOrEqual => order.is_le(),
        _ => order.is_ge(),
    })
}

/// XQuery's flags as the letters of PostgreSQL's own expressions.
fn regex_letters(flags: Flags) -> &'static str {
    match (flags.literal, flags.ignore_case, flags.dot_all, flags.lines) {
        (true, false, ..) => "q",
        (true, true, ..) => "qi",
        (false, false, true, true) => "w",
        (false, true, true, true) => "wi",
        (false, false, true, false) => "s",
        (false, true, true, false) => "si",
        (false, false, false, true) => "n",
        (false, true, false, true) => "ni",
        (false, false, false, false) => "p",
        (false, true, false, false) => "pi",
    }
}

//! The text of a query that is kept, with marks in the places of names.
//!
//! Owns: which places those are (what the binder notes while it binds the text), and the text with marks (`engine::catalog::kept`): each
//! column that is named has its relation before it where there are several, `*` is the columns that it was, and each output has its
//! name. So it can be written under the names that things have later. Asked by: `view`.
//! Never: keeps a text of which both readings are not the very plan of the original; then the text stays as it was written, as it does
//! where the grammar crate was told something else than was written (`TABLE t`). Bounds: one pass over the tokens.

use super::scope::{Entry, Relation, Scope};
use super::{Binder, names};
use crate::parse::lists::{Spot, spots};
use engine::catalog::kept::Mark;
use engine::exec::functions::quote_identifier;
use engine::plan::Expr;
use sqlparser::ast::{self, TableAlias};
use sqlparser::tokenizer::Span;
use std::collections::BTreeMap;
use types::{EnumValue, Value};

/// What was noted of a text's places, which are counted in characters.
#[derive(Default)]
pub(super) struct Notes {
    places: BTreeMap<(u32, u32), Place>,
    fixed: Vec<(u32, i16, String)>,
    /// The items of select lists, by where SELECT is.
    lists: BTreeMap<u32, Vec<Listed>>,
    /// An output is named elsewhere, such as in ORDER BY, by the name that it has in its list.
    names_outputs: bool,
    /// Strings, and where they end.
    strings: BTreeMap<u32, (u32, String)>,
}

#[derive(Clone)]
enum Place {
    Relation(Mark),
    /// Behind an alias.
    Columns(u32),
    Column {
        item: u32,
        number: i16,
        qualifier: Option<String>,
        /// The name itself, without what stands before it.
        written: (u32, u32),
    },
    Qualifier(String),
    Type(u32),
}

/// An item of a select list.
enum Listed {
    /// It says what it is called, here.
    Aliased(u32, u32),
    /// Several columns in one value.
    Whole,
    Star(Vec<Starred>),
    /// Its name, and where the column stands that it may be.
    Named(String, Option<u32>),
}

struct Starred {
    qualifier: Option<String>,
    name: String,
    of: Option<(u32, i16)>,
}

impl Entry {
    /// The place of its relation in the text, and its number there.
    fn place(&self) -> Option<(u32, i16)> {
        Some((self.origin.checked_sub(1)?, self.attnum))
    }
}

impl<'a> Binder<'a> {
    fn noting(&self, f: impl FnOnce(&mut Notes)) {
        if let Some(reading) = &self.reading
            && let Some(notes) = &mut reading.borrow_mut().notes
        {
            f(notes);
        }
    }

    /// Where a span begins and ends, from 0.
    fn extent(&self, first: Span, last: Span) -> Option<(u32, u32)> {
        let start = self.lines.position(first.start)?;
        let end = self.lines.position(last.end)?;
        (start < end && start > 0).then(|| (start - 1, end - 1))
    }

    /// A relation of FROM has been found.
    pub(super) fn note_relation(
        &self,
        name: &ast::ObjectName,
        alias: Option<&TableAlias>,
        relation: &mut Relation,
    ) {
        let (Some(first), Some(last)) = (names::first_ident(name), names::last_ident(name)) else {
            return;
        };
        let (Some((start, end)), types::DataType::Composite(oid)) =
            (self.extent(first.span, last.span), relation.row_type)
        else {
            return;
        };
        let mark = Mark::Relation {
            item: start,
            oid,
            alias: relation.alias.clone(),
            written: alias.is_some(),
        };
        self.noting(|notes| {
            notes.places.insert((start, end), Place::Relation(mark));
            if let Some(alias) = alias
                && alias.columns.is_empty()
                && let Some((_, end)) = self.extent(alias.name.span, alias.name.span)
            {
                notes.places.insert((end, end), Place::Columns(start));
            }
            let listed = alias.map_or(0, |a| a.columns.len());
            for e in relation.columns.iter_mut().skip(listed) {
                e.origin = start + 1;
            }
        });
    }

    /// A column has been named, by these parts, and found here.
    pub(super) fn note_column(&self, e: &Entry, parts: &[ast::Ident], scope: &Scope) {
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
            return;
        };
        let whole = self.extent(first.span, last.span);
        let (Some(whole), Some(written)) = (whole, self.extent(last.span, last.span)) else {
            return;
        };
        let qualifier = match parts.len() {
            1 => self.qualifier(e, scope),
            _ => home(e, scope).map(|r| r.alias.clone()),
        };
        self.noting(|notes| {
            let place = match e.place() {
                Some((item, number)) => Place::Column {
                    item,
                    number,
                    qualifier,
                    written,
                },
                None if parts.len() == 1 => match qualifier {
                    Some(qualifier) => Place::Qualifier(qualifier),
                    None => return,
                },
                None => return,
            };
            let whole = match place {
                Place::Qualifier(_) => (whole.0, whole.0),
                _ => whole,
            };
            notes.places.insert(whole, place);
        });
    }

    /// USING names columns of both sides.
    pub(super) fn note_shared(&self, name: &str, sides: [&Entry; 2]) {
        self.noting(|notes| {
            let places = sides.into_iter().filter_map(Entry::place);
            notes
                .fixed
                .extend(places.map(|(item, number)| (item, number, name.to_owned())));
        });
    }

    /// The name before a column, where there are several relations that it could be of.
    fn qualifier(&self, e: &Entry, scope: &Scope) -> Option<String> {
        if scope.relations.len() < 2 && self.frames.is_empty() {
            return None;
        }
        home(e, scope).map(|r| r.alias.clone())
    }

    pub(super) fn note_output_named(&self) {
        self.noting(|notes| notes.names_outputs = true);
    }

    pub(super) fn note_type(&self, name: &ast::ObjectName, oid: u32) {
        let (Some(first), Some(last)) = (names::first_ident(name), names::last_ident(name)) else {
            return;
        };
        if let Some(whole) = self.extent(first.span, last.span) {
            self.noting(|notes| {
                notes.places.insert(whole, Place::Type(oid));
            });
        }
    }

    pub(super) fn note_string(&self, text: &str, span: Span) {
        if let Some((start, end)) = self.extent(span, span) {
            self.noting(|notes| {
                notes.strings.insert(start, (end, text.to_owned()));
            });
        }
    }

    /// The select list of a block, once it is bound.
    pub(super) fn note_list(&self, s: &ast::Select, scope: &Scope) {
        let Some((start, _)) = self.extent(s.select_token.0.span, s.select_token.0.span) else {
            return;
        };
        let starred = |e: &Entry| Starred {
            qualifier: self.qualifier(e, scope),
            name: e.name.clone(),
            of: e.place(),
        };
        let all = |entries: &[Entry]| Listed::Star(entries.iter().map(starred).collect());
        let listed = |item: &ast::SelectItem| match item {
            ast::SelectItem::UnnamedExpr(e) if super::targets::expansion(e).is_some() => {
                Listed::Whole
            }
            ast::SelectItem::UnnamedExpr(e) => {
                let column = match super::select::unnested(e) {
                    ast::Expr::Identifier(i) => Some(i),
                    ast::Expr::CompoundIdentifier(parts) => parts.first(),
                    _ => None,
                };
                let at = column.and_then(|i| self.extent(i.span, i.span));
                Listed::Named(super::colname::of(e), at.map(|(start, _)| start))
            }
            ast::SelectItem::ExprWithAlias { alias, .. } => {
                let at = self.extent(alias.span, alias.span);
                at.map_or(Listed::Whole, |(start, end)| Listed::Aliased(start, end))
            }
            ast::SelectItem::Wildcard(_) => all(&scope.visible),
            ast::SelectItem::QualifiedWildcard(kind, _) => {
                let ast::SelectItemQualifiedWildcardKind::ObjectName(name) = kind else {
                    return Listed::Whole;
                };
                let found = self.qualified(name).ok().and_then(|(schema, alias)| {
                    scope.relation(schema.as_deref(), &alias).ok().flatten()
                });
                found.map_or(Listed::Whole, |r| all(&r.columns))
            }
            _ => Listed::Whole,
        };
        let items: Vec<Listed> = s.projection.iter().map(listed).collect();
        self.noting(|notes| {
            notes.lists.insert(start, items);
        });
    }
}

/// The SELECT whose outputs are the query's, that of a set operation on the left.
pub(super) fn main_select(q: &ast::Query) -> Option<&ast::Select> {
    let mut body = &*q.body;
    loop {
        body = match body {
            ast::SetExpr::Select(s) => return Some(s),
            ast::SetExpr::Query(q) => &q.body,
            ast::SetExpr::SetOperation { left, .. } => left,
            _ => return None,
        };
    }
}

/// The relation that a column in sight is of.
fn home<'s>(e: &Entry, scope: &'s Scope) -> Option<&'s Relation> {
    let Expr::Column(at, _) = e.expr else {
        return None;
    };
    let is_it = |c: &Entry| c.name == e.name && matches!(c.expr, Expr::Column(i, _) if i == at);
    let mut all = scope.relations.iter();
    all.find(|r| !r.alias.is_empty() && r.columns.iter().any(is_it))
}

/// What is written in the place of a part of the text.
struct Edit {
    start: u32,
    end: u32,
    text: String,
}

/// What else is known of a text.
pub(super) struct Known<'k> {
    /// The enums' values of its plan.
    pub labels: &'k [(EnumValue, String)],
    /// Names of its outputs that stand elsewhere; and where the SELECT is whose outputs they are.
    pub names: &'k [String],
    pub main: Option<u32>,
}

/// The text with marks; `None` where the places do not fit it.
pub(super) fn marked(sql: &str, notes: &Notes, known: &Known<'_>) -> Option<String> {
    let chars: Vec<char> = sql.chars().collect();
    let cut = |start: u32, end: u32| -> Option<String> {
        let part = chars.get(start as usize..end as usize)?;
        Some(part.iter().collect())
    };
    let mut edits = Vec::new();
    for ((start, end), place) in &notes.places {
        let (start, end) = (*start, *end);
        let mut text = String::new();
        match place {
            Place::Relation(mark) => mark.write(&cut(start, end)?, &mut text),
            Place::Columns(item) => Mark::Columns { item: *item }.write("", &mut text),
            Place::Column {
                item,
                number,
                qualifier,
                written,
            } => {
                let written = cut(written.0, written.1)?;
                marked_column(*item, *number, qualifier.as_deref(), &written, &mut text);
            }
            Place::Qualifier(name) => qualify(Some(name), &mut text),
            Place::Type(oid) => Mark::Type(*oid).write(&cut(start, end)?, &mut text),
        }
        edits.push(Edit { start, end, text });
    }
    let lists: Vec<u32> = notes.lists.keys().copied().collect();
    let found = spots(sql, &lists)?;
    let renames = !known.names.is_empty();
    let main = known.main.is_some_and(|at| notes.lists.contains_key(&at));
    if renames && (notes.names_outputs || !main) {
        return None;
    }
    for (spots, (at, items)) in found.iter().zip(&notes.lists) {
        let names = match known.main == Some(*at) {
            true => known.names,
            false => &[],
        };
        list(spots, items, names, notes, &mut edits)?;
    }
    strings(notes, known.labels, &cut, &mut edits);
    edits.sort_by_key(|e| (e.start, e.end));
    let mut out = String::with_capacity(2 * sql.len());
    for (item, number, name) in &notes.fixed {
        let (item, number) = (*item, *number);
        Mark::Fixed { item, number }.write(name, &mut out);
    }
    let mut done = 0;
    for edit in edits {
        out.push_str(&cut(done, edit.start)?);
        out.push_str(&edit.text);
        done = edit.end;
    }
    out.push_str(&cut(done, chars.len() as u32)?);
    Some(out)
}

fn qualify(name: Option<&str>, out: &mut String) {
    if let Some(name) = name {
        out.push_str(&quote_identifier(name));
        out.push('.');
    }
}

/// The edits of a select list. `names`: what its outputs are called, where the view says it.
fn list(
    spots: &[Spot],
    items: &[Listed],
    names: &[String],
    notes: &Notes,
    edits: &mut Vec<Edit>,
) -> Option<()> {
    if spots.len() != items.len() {
        return None;
    }
    let mut given = names.iter();
    for (spot, item) in spots.iter().zip(items) {
        let (start, end, text) = match item {
            Listed::Whole if names.is_empty() => continue,
            Listed::Whole => return None,
            Listed::Aliased(start, end) => match given.next() {
                Some(name) => (*start, *end, quote_identifier(name).into_owned()),
                None => continue,
            },
            Listed::Star(columns) => {
                let columns = columns.iter().map(|c| column(c, given.next()));
                let text = columns.collect::<Vec<_>>().join(", ");
                (spot.start, spot.end, text)
            }
            Listed::Named(name, at) => {
                let text = named(name, *at, given.next(), notes);
                (spot.end, spot.end, text)
            }
        };
        edits.push(Edit { start, end, text });
    }
    Some(())
}

/// What stands behind an item that does not say what it is called.
fn named(own: &String, at: Option<u32>, given: Option<&String>, notes: &Notes) -> String {
    let name = given.unwrap_or(own);
    let place = at.and_then(|at| {
        let from_here = notes.places.range((at, at)..);
        from_here.take_while(|((s, _), _)| *s == at).last()
    });
    let mut text = String::new();
    match place {
        Some((_, Place::Column { item, number, .. })) => {
            let (item, number) = (*item, *number);
            Mark::Output { item, number }.write(name, &mut text);
        }
        // What has no name is called that without saying so.
        _ if name == own && (at.is_some() || name == "?column?") => {}
        _ => text = format!(" AS {}", quote_identifier(name)),
    }
    text
}

fn column(of: &Starred, given: Option<&String>) -> String {
    let mut text = String::new();
    let output = given.unwrap_or(&of.name);
    let (name, qualifier) = (quote_identifier(&of.name), of.qualifier.as_deref());
    match of.of {
        Some((item, number)) => {
            marked_column(item, number, qualifier, &name, &mut text);
            Mark::Output { item, number }.write(output, &mut text);
        }
        None => {
            qualify(qualifier, &mut text);
            text.push_str(&name);
            if *output != of.name {
                text.push_str(&format!(" AS {}", quote_identifier(output)));
            }
        }
    }
    text
}

fn marked_column(item: u32, number: i16, qualifier: Option<&str>, name: &str, out: &mut String) {
    let mut text = String::new();
    qualify(qualifier, &mut text);
    text.push_str(name);
    let mark = Mark::Column {
        item,
        number,
        qualified: qualifier.is_some(),
    };
    mark.write(&text, out);
}

/// Strings that are labels of enums: all that say a label, where the plan has as many of its values.
fn strings(
    notes: &Notes,
    labels: &[(EnumValue, String)],
    cut: &dyn Fn(u32, u32) -> Option<String>,
    edits: &mut Vec<Edit>,
) {
    for (start, (end, said)) in &notes.strings {
        let same = |(_, label): &&(EnumValue, String)| label == said;
        let mut values = labels.iter().filter(same);
        let Some((value, _)) = values.next() else {
            continue;
        };
        let others = values.clone().count();
        let alike = notes.strings.values().filter(|(_, s)| s == said).count();
        if alike != others + 1 || values.any(|(v, _)| v != value) {
            continue;
        }
        let mut text = String::new();
        let mark = Mark::Label {
            ty: value.ty,
            order: value.order,
        };
        let Some(written) = cut(*start, *end) else {
            continue;
        };
        mark.write(&written, &mut text);
        edits.push(Edit {
            start: *start,
            end: *end,
            text,
        });
    }
}

/// The enum's value that an expression is.
pub(super) fn label_of(e: &Expr) -> Option<EnumValue> {
    match e {
        Expr::Const(Value::Enum(v), _) => Some(*v),
        _ => None,
    }
}

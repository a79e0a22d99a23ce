//! Texts of kept queries, in which the names of what can be renamed are marks.
//!
//! Owns: the form of a mark (a letter and numbers, what was written, between characters of the private use area), and the two texts that
//! a marked one stands for: as it was made, under the names that `Stated::reads` knows, which is what is bound; and as somebody would write
//! it today, which is what is shown and dumped. Asked by: the binder, which makes the marks; the functions that print definitions.
//! Never: looks a name up in another way than by its oid. Bounds: one pass, as long as the text. Source: PostgreSQL 15, `ruleutils.c`:
//! when an alias is printed, and columns behind it.

use super::qualify::{self, Kind, Word, folded, words};
use super::{Catalog, Relation, path};
use crate::exec::Context;
use crate::exec::functions::{quote_identifier, quote_literal};
use std::collections::BTreeMap;
use std::fmt::Write;
use types::{DataType, EnumValue};

const OPEN: char = '\u{e003}';
const MID: char = '\u{e004}';
const CLOSE: char = '\u{e005}';

/// A place of a kept query whose text depends on what things are called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A relation of FROM: the number of its place, its oid, the alias that it has; and whether that is written behind it.
    Relation {
        item: u32,
        oid: u32,
        alias: String,
        written: bool,
    },
    /// Behind an alias that is written: where its columns would be named.
    Columns {
        item: u32,
    },
    /// A column of one, by its number; whether the relation is named before it.
    Column {
        item: u32,
        number: i16,
        qualified: bool,
    },
    /// Behind a column of a select list: its name as an output, where that is another.
    Output {
        item: u32,
        number: i16,
    },
    /// No place: a column that USING names, so it is called that here.
    Fixed {
        item: u32,
        number: i16,
    },
    Type(u32),
    Label {
        ty: u32,
        order: i64,
    },
}

/// Whether it could be told what is a mark of it.
pub fn can_be_marked(text: &str) -> bool {
    !text.contains(|c: char| ('\u{e000}'..='\u{e005}').contains(&c))
}

impl Mark {
    /// `text`: what was written there, or the name that it is about.
    pub fn write(&self, text: &str, out: &mut String) {
        out.push(OPEN);
        let _ = match self {
            Mark::Relation {
                item,
                oid,
                alias,
                written,
            } => write!(out, "r{item}:{oid}:{}:{alias}", u8::from(*written)),
            Mark::Columns { item } => write!(out, "l{item}"),
            Mark::Column {
                item,
                number,
                qualified,
            } => write!(out, "{}{item}:{number}", if *qualified { 'q' } else { 'c' }),
            Mark::Output { item, number } => write!(out, "o{item}:{number}"),
            Mark::Fixed { item, number } => write!(out, "f{item}:{number}"),
            Mark::Type(oid) => write!(out, "t{oid}"),
            Mark::Label { ty, order } => write!(out, "e{ty}:{order}"),
        };
        out.push(MID);
        out.push_str(text);
        out.push(CLOSE);
    }

    fn read(head: &str) -> Option<Mark> {
        let mut letters = head.chars();
        let kind = letters.next()?;
        let mut parts = letters.as_str().splitn(4, ':');
        let mut next = || parts.next();
        Some(match kind {
            'r' => Mark::Relation {
                item: next()?.parse().ok()?,
                oid: next()?.parse().ok()?,
                written: next()? == "1",
                alias: next()?.to_owned(),
            },
            'l' => Mark::Columns {
                item: next()?.parse().ok()?,
            },
            't' => Mark::Type(next()?.parse().ok()?),
            'e' => Mark::Label {
                ty: next()?.parse().ok()?,
                order: next()?.parse().ok()?,
            },
            'c' | 'q' | 'o' | 'f' => {
                let (item, number) = (next()?.parse().ok()?, next()?.parse().ok()?);
                match kind {
                    'c' | 'q' => Mark::Column {
                        item,
                        number,
                        qualified: kind == 'q',
                    },
                    'o' => Mark::Output { item, number },
                    _ => Mark::Fixed { item, number },
                }
            }
            _ => return None,
        })
    }
}

enum Piece<'t> {
    Text(&'t str),
    Mark(Mark, &'t str),
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        out.push(Piece::Text(before));
        let found = after.split_once(CLOSE).and_then(|(inside, after)| {
            let (head, text) = inside.split_once(MID)?;
            Some((Mark::read(head)?, text, after))
        });
        match found {
            Some((mark, text, after)) => {
                out.push(Piece::Mark(mark, text));
                rest = after;
            }
            None => rest = after,
        }
    }
    out.push(Piece::Text(rest));
    out
}

/// Under the names that things had when it was made; types and labels, which are bound by name alone, under those of today.
pub fn as_made(catalog: &Catalog, text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Mark(Mark::Relation { .. } | Mark::Column { .. }, text) => out.push_str(text),
            Piece::Mark(Mark::Type(oid), text) => match catalog.name_of_type(oid) {
                Some((schema, name)) => dotted(schema, name, &mut out),
                None => out.push_str(text),
            },
            Piece::Mark(Mark::Label { ty, order }, text) => {
                label(catalog, ty, order, text, &mut out)
            }
            Piece::Mark(Mark::Output { .. }, text) => {
                let _ = write!(out, " AS {}", quote_identifier(text));
            }
            Piece::Mark(Mark::Columns { .. } | Mark::Fixed { .. }, _) => {}
        }
    }
    out
}

/// Under the names of today, for who looks along the session's path.
pub fn as_shown(ctx: &Context, text: &str) -> String {
    let path = path::searched(ctx);
    let pieces = pieces(text);
    let items = Items::of(&ctx.catalog, &pieces);
    let mut out = String::with_capacity(text.len());
    for piece in &pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Mark(mark, text) => items.show(ctx, &path, mark, text, &mut out),
        }
    }
    out
}

/// The query under other names of its outputs.
pub fn with_names(sql: &str, alias: &str, names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| quote_identifier(name)).collect();
    let (names, alias) = (names.join(", "), quote_identifier(alias));
    // A comment may end the text.
    format!("SELECT {names} FROM (\n{sql}\n) AS {alias}({names})")
}

/// A relation of FROM, and what it and its columns are called there.
#[derive(Default)]
struct Item {
    relation: Option<Relation>,
    alias: String,
    /// Number, name, and what it is called.
    columns: Vec<(i16, String, String)>,
}

struct Items(BTreeMap<u32, Item>);

impl Items {
    fn of(catalog: &Catalog, pieces: &[Piece<'_>]) -> Items {
        let mut items: BTreeMap<u32, Item> = BTreeMap::new();
        let marks = || {
            pieces.iter().filter_map(|p| match p {
                Piece::Mark(mark, text) => Some((mark, *text)),
                Piece::Text(_) => None,
            })
        };
        for (mark, _) in marks() {
            if let Mark::Relation {
                item,
                oid,
                alias,
                written,
            } = mark
            {
                let relation = catalog.relation_by_oid(*oid);
                let columns = relation.as_ref().map(columns_of).unwrap_or_default();
                let same = |(number, name): (i16, String)| (number, name.clone(), name);
                let new = relation.as_ref().map(|r| r.name().to_owned());
                let new = new.filter(|new| !written && new != alias && !named(pieces, new, alias));
                let known = Item {
                    columns: columns.into_iter().map(same).collect(),
                    alias: new.unwrap_or_else(|| alias.clone()),
                    relation,
                };
                items.insert(*item, known);
            }
        }
        for (mark, text) in marks() {
            if let Mark::Fixed { item, number } = mark
                && let Some(item) = items.get_mut(item)
            {
                item.fix(*number, text);
            }
        }
        Items(items)
    }

    fn show(&self, ctx: &Context, path: &[String], mark: &Mark, text: &str, out: &mut String) {
        let catalog = &ctx.catalog;
        match mark {
            Mark::Relation { item, written, .. } => {
                let Some((item, relation)) = self.item(*item) else {
                    return out.push_str(text);
                };
                let name = relation.name();
                let seen = catalog.find(path, None, name);
                match seen.is_some_and(|s| s.oid() == relation.oid()) {
                    true => out.push_str(&quote_identifier(name)),
                    false => dotted(relation.schema(), name, out),
                }
                if !written {
                    let list = item.list();
                    if name != item.alias || !list.is_empty() {
                        let _ = write!(out, " {}{list}", quote_identifier(&item.alias));
                    }
                }
            }
            Mark::Columns { item } => {
                out.push_str(&self.0.get(item).map(Item::list).unwrap_or_default());
            }
            Mark::Column {
                item,
                number,
                qualified,
            } => match (self.called(*item, *number), self.0.get(item)) {
                (Some(name), Some(item)) => {
                    if *qualified {
                        let _ = write!(out, "{}.", quote_identifier(&item.alias));
                    }
                    out.push_str(&quote_identifier(name));
                }
                _ => out.push_str(text),
            },
            Mark::Output { item, number } => {
                if self.called(*item, *number).is_some_and(|name| name != text) {
                    let _ = write!(out, " AS {}", quote_identifier(text));
                }
            }
            Mark::Fixed { .. } => {}
            Mark::Type(oid) => match qualify::type_name(catalog, path, DataType::Enum(*oid)) {
                Some(name) => out.push_str(&name),
                None => out.push_str(text),
            },
            Mark::Label { ty, order } => label(catalog, *ty, *order, text, out),
        }
    }

    fn item(&self, item: u32) -> Option<(&Item, &Relation)> {
        let item = self.0.get(&item)?;
        Some((item, item.relation.as_ref()?))
    }

    fn called(&self, item: u32, number: i16) -> Option<&str> {
        let columns = &self.0.get(&item)?.columns;
        let found = columns.iter().find(|(n, ..)| *n == number)?;
        Some(&found.2)
    }
}

/// Whether the text between the marks may mean one of two names, or another relation is called `new`.
fn named(pieces: &[Piece<'_>], new: &str, old: &str) -> bool {
    let means = |w: &Word<'_>| w.kind == Kind::Name && [new, old].contains(&&*folded(w.text));
    let says = |text: &str| words(text).iter().any(means);
    pieces.iter().any(|piece| match piece {
        Piece::Text(text) => says(text),
        Piece::Mark(Mark::Relation { alias, .. }, _) => alias == new,
        Piece::Mark(..) => false,
    })
}

impl Item {
    /// A column is called that, and no other one.
    fn fix(&mut self, number: i16, name: &str) {
        let known = |columns: &[(i16, String, String)], name: &str| {
            columns.iter().any(|(.., called)| called == name)
        };
        for at in 0..self.columns.len() {
            let (n, _, called) = &self.columns[at];
            if *n == number || called != name {
                continue;
            }
            let mut other = String::new();
            for suffix in 1..=self.columns.len() {
                other = format!("{name}_{suffix}");
                if !known(&self.columns, &other) {
                    break;
                }
            }
            self.columns[at].2 = other;
        }
        if let Some(found) = self.columns.iter_mut().find(|(n, ..)| *n == number) {
            name.clone_into(&mut found.2);
        }
    }

    /// The columns behind the alias, up to the last that is not called by its name.
    fn list(&self) -> String {
        let last = self
            .columns
            .iter()
            .rposition(|(_, name, called)| name != called);
        let Some(last) = last else {
            return String::new();
        };
        let names = self.columns.iter().take(last + 1);
        let names: Vec<_> = names.map(|(.., called)| quote_identifier(called)).collect();
        format!("({})", names.join(", "))
    }
}

fn columns_of(relation: &Relation) -> Vec<(i16, String)> {
    match relation {
        Relation::Table(t) => {
            let columns = t.columns.iter();
            columns.map(|c| (c.number, c.name.clone())).collect()
        }
        Relation::View(v) => {
            let columns = v.columns.iter().zip(1..);
            columns
                .map(|(c, number)| (number, c.name.clone()))
                .collect()
        }
        Relation::Index(..) | Relation::PrimaryKey(_) | Relation::Sequence(_) => Vec::new(),
    }
}

fn dotted(schema: &str, name: &str, out: &mut String) {
    let _ = write!(
        out,
        "{}.{}",
        quote_identifier(schema),
        quote_identifier(name)
    );
}

fn label(catalog: &Catalog, ty: u32, order: i64, text: &str, out: &mut String) {
    match catalog.label(EnumValue { ty, order }) {
        Some(label) => out.push_str(&quote_literal(label)),
        None => out.push_str(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_as_they_were_written() {
        let all = [
            Mark::Relation {
                item: 7,
                oid: 16_400,
                alias: "a:b".into(),
                written: true,
            },
            Mark::Columns { item: 7 },
            Mark::Column {
                item: 7,
                number: 2,
                qualified: true,
            },
            Mark::Output { item: 7, number: 2 },
            Mark::Fixed { item: 7, number: 2 },
            Mark::Type(16_401),
            Mark::Label {
                ty: 16_401,
                order: -4,
            },
        ];
        let mut text = String::from("select ");
        all.iter().for_each(|mark| mark.write("é 'x'", &mut text));
        let read = pieces(&text);
        let marks: Vec<&Mark> = read
            .iter()
            .filter_map(|p| match p {
                Piece::Mark(mark, "é 'x'") => Some(mark),
                _ => None,
            })
            .collect();
        assert_eq!(marks, all.iter().collect::<Vec<_>>());
        assert!(can_be_marked("select '\u{e006}'") && !can_be_marked(&text));
    }

    #[test]
    fn a_fixed_name_takes_precedence_over_a_column_that_has_it_now() {
        let column = |n, name: &str| (n, name.to_owned(), name.to_owned());
        let mut item = Item {
            relation: None,
            alias: "t".into(),
            columns: vec![
                column(1, "key"),
                column(2, "id"),
                column(3, "id_1"),
                column(4, "x"),
            ],
        };
        assert_eq!(item.list(), "");
        item.fix(1, "id");
        assert_eq!(item.list(), "(id, id_2)");
    }
}

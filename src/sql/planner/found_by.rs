//! The conditions by which rows of a table are found, as EXPLAIN shows them.
//!
//! Owns: their texts, and the operators under a bitmap's. Asked by: `explain`. Never: decides how rows are found.

use super::node::Node;
use engine::catalog::{ColumnDef, Table, system};
use engine::exec::functions::quote_identifier;
use engine::plan::print::Printer;
use engine::plan::{Access, Bitmap, Expr, KeyRange};

pub(super) fn anded(conditions: Vec<String>) -> String {
    joined(conditions, " AND ")
}

fn joined(conditions: Vec<String>, word: &str) -> String {
    match conditions.len() {
        0 | 1 => conditions.into_iter().next().unwrap_or_default(),
        _ => format!("({})", conditions.join(word)),
    }
}

/// As a condition names it.
pub(super) fn quoted(column: &ColumnDef) -> String {
    quote_identifier(&column.name).into_owned()
}

pub(super) fn access_texts(table: &Table, access: &Access, printer: &Printer) -> Vec<String> {
    match access {
        Access::Full => Vec::new(),
        Access::Keys(keys) => vec![keys_text(table, keys, printer)],
        Access::KeyRange(range) => {
            let key = table.primary_key.iter();
            let names = key.filter_map(|c| table.columns.get(*c));
            range_texts(names.map(quoted).collect(), range, printer)
        }
        Access::Index { index, range } => {
            let name = |p| system::part_text(table, p);
            range_texts(index.parts.iter().map(name).collect(), range, printer)
        }
        Access::Bitmap(bitmap) => bitmap_texts(table, bitmap, printer),
        Access::Each(each) => {
            let array = printer.print(&each.array);
            let name = match &each.index {
                Some(index) => index.parts.first().map(|p| system::part_text(table, p)),
                None => table
                    .primary_key
                    .first()
                    .map(|c| quoted(&table.columns[*c])),
            };
            vec![format!("({} = ANY ({array}))", name.unwrap_or_default())]
        }
    }
}

fn bitmap_texts(table: &Table, bitmap: &Bitmap, printer: &Printer) -> Vec<String> {
    let inside = |all: &[Bitmap]| -> Vec<Vec<String>> {
        let each = all.iter().map(|b| bitmap_texts(table, b, printer));
        each.collect()
    };
    match bitmap {
        Bitmap::Entries { ranges, .. } => {
            let names = part_names(table, bitmap);
            ranges_texts(&names, ranges, printer)
        }
        Bitmap::And(all) => inside(all).into_iter().flatten().collect(),
        Bitmap::Or(all) => {
            let branches = inside(all).into_iter().map(anded);
            vec![joined(branches.collect(), " OR ")]
        }
    }
}

fn part_names(table: &Table, bitmap: &Bitmap) -> Vec<String> {
    match bitmap {
        Bitmap::Entries {
            index: Some(index), ..
        } => {
            let parts = index.parts.iter();
            parts.map(|p| system::part_text(table, p)).collect()
        }
        _ => {
            let key = table.primary_key.iter();
            let columns = key.filter_map(|c| table.columns.get(*c));
            columns.map(quoted).collect()
        }
    }
}

/// Several ranges that differ in what they begin with.
fn ranges_texts(names: &[String], ranges: &[KeyRange], printer: &Printer) -> Vec<String> {
    let Some(first) = ranges.first() else {
        return Vec::new();
    };
    let mut texts = Vec::new();
    for (i, name) in names.iter().enumerate().take(first.prefix.len()) {
        let mut values: Vec<String> = Vec::new();
        for range in ranges {
            let text = range.prefix.get(i).map(|e| printer.print(e));
            values.extend(text.filter(|t| !values.contains(t)));
        }
        texts.push(equal_text(name, &values));
    }
    let rest = KeyRange {
        prefix: Vec::new(),
        ..first.clone()
    };
    let names = names.iter().skip(first.prefix.len()).cloned().collect();
    texts.extend(range_texts(names, &rest, printer));
    texts
}

fn equal_text(name: &str, values: &[String]) -> String {
    match values {
        [single] => format!("({name} = {single})"),
        many => format!("({name} = ANY (ARRAY[{}]))", many.join(", ")),
    }
}

/// What looks at the indexes.
pub(super) fn bitmap_node(table: &Table, bitmap: &Bitmap, printer: &Printer) -> Node {
    let over = |kind: &str, all: &[Bitmap]| {
        let mut node = Node::new(kind);
        let below = all.iter().map(|b| bitmap_node(table, b, printer));
        node.children.extend(below);
        node
    };
    match bitmap {
        Bitmap::And(all) => over("BitmapAnd", all),
        Bitmap::Or(all) => over("BitmapOr", all),
        Bitmap::Entries { index, .. } => {
            let name = match index {
                Some(index) => &index.name,
                None => &table.primary_key_name,
            };
            let mut node = Node::new("Bitmap Index Scan");
            node.title = format!("Bitmap Index Scan on {name}");
            node.facts.push(("Index Name", name.clone()));
            node.detail("Index Cond", anded(bitmap_texts(table, bitmap, printer)));
            node
        }
    }
}

fn keys_text(table: &Table, keys: &[Vec<Expr>], printer: &Printer) -> String {
    let columns = table.primary_key.iter();
    let columns: Vec<String> = columns.map(|c| quoted(&table.columns[*c])).collect();
    let parts = columns.iter().enumerate().map(|(i, column)| {
        let mut values: Vec<String> = Vec::new();
        for key in keys {
            let text = key.get(i).map(|e| printer.print(e)).unwrap_or_default();
            if !values.contains(&text) {
                values.push(text);
            }
        }
        equal_text(column, &values)
    });
    anded(parts.collect())
}

fn range_texts(names: Vec<String>, range: &KeyRange, printer: &Printer) -> Vec<String> {
    let name = |i: usize| names.get(i).map_or("", String::as_str);
    let mut texts: Vec<String> = Vec::new();
    for (i, e) in range.prefix.iter().enumerate() {
        texts.push(format!("({} = {})", name(i), printer.print(e)));
    }
    let next = name(range.prefix.len());
    let bounds = [(&range.lower, '>'), (&range.upper, '<')];
    for (bound, symbol) in bounds {
        if let Some((e, inclusive)) = bound {
            let equal = if *inclusive { "=" } else { "" };
            texts.push(format!("({next} {symbol}{equal} {})", printer.print(e)));
        }
    }
    texts
}

//! Statements over a case's tables: queries of every shape, changes, and expressions that may fail.
//!
//! What is compared, grouped or aggregated where equal values may be written differently (`1.0` and `1.00`) is a column as it
//! is; so is what floats are summed over, whose sums then are exact in any order.

use super::dice::Dice;
use super::expressions::{KINDS, Kind, Scope, expression, literal, risky};
use super::schema::{Column, Schema, Table, value};
use std::cell::Cell;

pub struct Statement {
    pub sql: String,
    pub ordered: bool,
    pub changes: bool,
}

type Columns = Vec<(String, Kind)>;

pub fn statement(dice: &Dice, schema: &Schema) -> Statement {
    let queries = Queries {
        dice,
        schema,
        aliases: Cell::new(0),
    };
    match dice.below(20) {
        0..4 => Statement {
            sql: format!("select {}", risky(dice)),
            ordered: true,
            changes: false,
        },
        4..8 => Statement {
            sql: queries.change(),
            ordered: false,
            changes: true,
        },
        _ => queries.query(),
    }
}

struct Queries<'a> {
    dice: &'a Dice,
    schema: &'a Schema,
    aliases: Cell<usize>,
}

impl Queries<'_> {
    fn query(&self) -> Statement {
        let dice = self.dice;
        let kinds = self.kinds();
        let ordered = dice.once_in(2);
        let limited = ordered && dice.once_in(2);
        let mut sql = match dice.below(8) {
            0 => self.set_operation(&kinds),
            1 => {
                let inner = self.kinds();
                let with = self.select(&inner, 1, &[], true);
                let named = (0..inner.len()).map(|i| format!("w{i}"));
                let named: Vec<String> = named.collect();
                let scope: Columns = named
                    .iter()
                    .zip(&inner)
                    .map(|(n, k)| (format!("w.{n}"), *k))
                    .collect();
                let list = self.list(&kinds, &scope, if limited { 0 } else { 1 });
                format!(
                    "with w({}) as ({with}) select {list} from w{}",
                    named.join(", "),
                    self.filter(&scope, 1)
                )
            }
            _ => self.select(&kinds, 2, &[], limited),
        };
        if ordered {
            let keys = (1..=kinds.len()).map(|i| match dice.below(6) {
                0 => format!("{i} desc"),
                1 => format!("{i} nulls first"),
                2 => format!("{i} desc nulls last"),
                _ => i.to_string(),
            });
            let keys: Vec<String> = keys.collect();
            sql = format!("{sql} order by {}", keys.join(", "));
        }
        if limited {
            sql = format!("{sql} limit {}", dice.below(8));
            if dice.once_in(3) {
                sql = format!("{sql} offset {}", dice.below(4));
            }
        }
        Statement {
            sql,
            ordered,
            changes: false,
        }
    }

    fn kinds(&self) -> Vec<Kind> {
        (0..1 + self.dice.below(4))
            .map(|_| *self.dice.of(KINDS))
            .collect()
    }

    fn set_operation(&self, kinds: &[Kind]) -> String {
        let op = self.dice.pick(&[
            "union",
            "union all",
            "intersect",
            "intersect all",
            "except",
            "except all",
        ]);
        let left = self.select(kinds, 1, &[], true);
        let right = self.select(kinds, 1, &[], true);
        format!("({left}) {op} ({right})")
    }

    /// A SELECT with these kinds of columns; `exact`: equal values are written alike.
    fn select(&self, kinds: &[Kind], depth: usize, outer: &Scope, exact: bool) -> String {
        let dice = self.dice;
        let (from, scope) = self.from(depth);
        let visible: Columns = scope.iter().chain(outer).cloned().collect();
        let filter = self.filter(&visible, depth);
        match dice.below(6) {
            0 | 1 => self.grouped(kinds, &from, &scope, &filter),
            2 => {
                let list = self.list(kinds, &scope, 0);
                format!("select distinct {list} from {from}{filter}")
            }
            _ => {
                let list = self.list(kinds, &scope, if exact { 0 } else { depth });
                format!("select {list} from {from}{filter}")
            }
        }
    }

    fn list(&self, kinds: &[Kind], scope: &Scope, depth: usize) -> String {
        let one = |(i, k): (usize, &Kind)| format!("{} as k{i}", self.typed(scope, *k, depth));
        let all: Vec<String> = kinds.iter().enumerate().map(one).collect();
        all.join(", ")
    }

    /// A bare string is of no type yet.
    fn typed(&self, scope: &Scope, kind: Kind, depth: usize) -> String {
        if depth > 0 && kind == Kind::Int && self.dice.once_in(10) {
            return self.scalar(scope);
        }
        let e = expression(self.dice, scope, kind, depth);
        match kind {
            Kind::Text => format!("{e}::text"),
            _ => e,
        }
    }

    fn grouped(&self, kinds: &[Kind], from: &str, scope: &Columns, filter: &str) -> String {
        let dice = self.dice;
        let mut keys: Columns = Vec::new();
        for _ in 0..dice.below(3) {
            let key = dice.of(scope);
            if !keys.contains(key) {
                keys.push(key.clone());
            }
        }
        let column = |(i, kind): (usize, &Kind)| {
            let key = keys.iter().find(|(_, k)| k == kind && dice.once_in(2));
            let value = key.map_or_else(|| self.aggregate(*kind, scope), |(name, _)| name.clone());
            format!("{value} as k{i}")
        };
        let list: Vec<String> = kinds.iter().enumerate().map(column).collect();
        let mut sql = format!("select {} from {from}{filter}", list.join(", "));
        if keys.is_empty() && !list.iter().any(|e| e.contains('(')) {
            return sql;
        }
        if !keys.is_empty() {
            let names: Vec<&str> = keys.iter().map(|(n, _)| n.as_str()).collect();
            sql = format!("{sql} group by {}", names.join(", "));
        }
        if dice.once_in(4) {
            sql = format!("{sql} having {}", self.aggregate(Kind::Bool, scope));
        }
        sql
    }

    fn aggregate(&self, kind: Kind, scope: &Scope) -> String {
        let dice = self.dice;
        let e = |kind, depth| expression(dice, scope, kind, depth);
        let distinct = if dice.once_in(5) { "distinct " } else { "" };
        let call = match kind {
            Kind::Int => match dice.below(7) {
                0 => "count(*)".into(),
                1 => format!("count({distinct}{})", dice.of(scope).0),
                2 => format!("sum({distinct}{})", e(Kind::Int, 1)),
                3 => format!("min({})", e(Kind::Int, 1)),
                4 => format!("max({})", e(Kind::Int, 1)),
                5 => format!("bit_or({})", e(Kind::Int, 0)),
                _ => format!("count({distinct}{})", e(Kind::Bool, 1)),
            },
            Kind::Numeric => match dice.below(6) {
                0 => format!("avg({distinct}{})", e(Kind::Int, 1)),
                1 => format!("sum({distinct}{})", e(Kind::Numeric, 0)),
                2 => format!("min({})", e(Kind::Numeric, 0)),
                3 => format!("avg({})", e(Kind::Numeric, 1)),
                4 => format!("stddev({})", e(Kind::Int, 1)),
                _ => format!("var_pop({})", e(Kind::Numeric, 0)),
            },
            Kind::Float => {
                let name = dice.pick(&["sum", "avg", "min", "max"]);
                format!("{name}({distinct}{})", e(Kind::Float, 0))
            }
            Kind::Text => match dice.below(4) {
                0 => format!("min({}::text)", e(Kind::Text, 1)),
                1 => format!("max({}::text)", e(Kind::Text, 1)),
                2 => {
                    let of = format!("{}::text", e(Kind::Text, 0));
                    return format!("string_agg({distinct}{of}, ',' order by {of})");
                }
                _ => {
                    let of = e(Kind::Int, 0);
                    return format!("array_agg({distinct}{of} order by {of})::text");
                }
            },
            Kind::Bool => match dice.below(4) {
                0 => return format!("(count(*) > {})", dice.below(3)),
                1 => format!("bool_and({})", e(Kind::Bool, 1)),
                2 => format!("every({})", e(Kind::Bool, 1)),
                _ => format!("bool_or({})", e(Kind::Bool, 1)),
            },
            Kind::Date | Kind::Timestamp | Kind::Interval => {
                let name = dice.pick(&["min", "max"]);
                format!("{name}({})", e(kind, 0))
            }
        };
        match dice.below(6) {
            0 => format!("{call} filter (where {})", e(Kind::Bool, 1)),
            _ => call,
        }
    }

    /// ` where …`, or nothing.
    fn filter(&self, scope: &Scope, depth: usize) -> String {
        match self.dice.below(3) {
            0 => String::new(),
            1 => format!(" where {}", self.condition(scope, depth)),
            _ => format!(
                " where {} {} {}",
                self.condition(scope, depth),
                self.dice.pick(&["and", "and", "or"]),
                self.condition(scope, depth)
            ),
        }
    }

    fn condition(&self, scope: &Scope, depth: usize) -> String {
        let dice = self.dice;
        if depth == 0 || !dice.once_in(5) {
            return expression(dice, scope, Kind::Bool, depth.min(2));
        }
        let (from, inner) = self.source(0);
        let both: Columns = inner.iter().chain(scope).cloned().collect();
        let filter = self.filter(&both, depth - 1);
        let kind = *dice.of(KINDS);
        let left = expression(dice, scope, kind, 0);
        let column = expression(dice, &inner, kind, 0);
        match dice.below(6) {
            0 => format!("exists (select 1 from {from}{filter})"),
            1 => format!("not exists (select 1 from {from}{filter})"),
            2 => format!("{left} in (select {column} from {from}{filter})"),
            3 => format!("{left} not in (select {column} from {from}{filter})"),
            4 => format!("{left} >= all (select {column} from {from}{filter})"),
            _ => format!("{left} < any (select {column} from {from}{filter})"),
        }
    }

    fn scalar(&self, scope: &Scope) -> String {
        let (from, inner) = self.source(0);
        let both: Columns = inner.iter().chain(scope).cloned().collect();
        let filter = self.filter(&both, 0);
        format!(
            "(select {} from {from}{filter})",
            self.aggregate(Kind::Int, &inner)
        )
    }

    /// What is in FROM, and its columns.
    fn from(&self, depth: usize) -> (String, Columns) {
        let dice = self.dice;
        let (mut sql, mut scope) = self.source(depth);
        for _ in 0..[0, 0, 1, 1, 2][dice.below(5)] {
            let (right, columns) = self.source(depth.min(1));
            let equal = self.equality(&scope, &columns);
            let both: Columns = scope.iter().chain(&columns).cloned().collect();
            let on = match (dice.below(4), &equal) {
                (0, Some(e)) => format!("{e} and {}", self.condition(&both, 0)),
                (1, _) => expression(dice, &both, Kind::Bool, 1),
                (_, Some(e)) => e.clone(),
                (_, None) => expression(dice, &both, Kind::Bool, 1),
            };
            sql = match (dice.below(8), equal) {
                (0, Some(e)) => format!("{sql} full join {right} on {e}"),
                (1 | 2, _) => format!("{sql} left join {right} on {on}"),
                (3, _) => format!("{sql} right join {right} on {on}"),
                (4, _) => format!("{sql} cross join {right}"),
                _ => format!("{sql} join {right} on {on}"),
            };
            scope = both;
        }
        if dice.once_in(10) {
            let alias = self.alias();
            let kind = *dice.of(KINDS);
            let e = self.typed(&scope, kind, 1);
            sql = format!("{sql} cross join lateral (select {e} as x) {alias}");
            scope.push((format!("{alias}.x"), kind));
        }
        (sql, scope)
    }

    fn equality(&self, left: &Columns, right: &Columns) -> Option<String> {
        let pairs = left.iter().flat_map(|l| right.iter().map(move |r| (l, r)));
        let same: Vec<_> = pairs.filter(|((_, a), (_, b))| a == b).collect();
        let ((l, _), (r, _)) = (!same.is_empty()).then(|| self.dice.of(&same))?;
        Some(format!("{l} = {r}"))
    }

    fn source(&self, depth: usize) -> (String, Columns) {
        let dice = self.dice;
        let alias = self.alias();
        match dice.below(12) {
            0 if depth > 0 => {
                let kinds = self.kinds();
                let sql = self.select(&kinds, depth - 1, &[], true);
                let columns = kinds.iter().enumerate();
                let columns = columns.map(|(i, k)| (format!("{alias}.k{i}"), *k));
                (format!("({sql}) {alias}"), columns.collect())
            }
            1 => {
                let sql = format!("generate_series(1, {}) {alias}(n)", dice.below(5));
                (sql, vec![(format!("{alias}.n"), Kind::Int)])
            }
            2 => {
                let rows = (0..1 + dice.below(3)).map(|_| {
                    let (n, t) = (literal(dice, Kind::Int), literal(dice, Kind::Text));
                    format!("({n}, {t})")
                });
                let rows: Vec<String> = rows.collect();
                let sql = format!("(values {}) {alias}(n, t)", rows.join(", "));
                let columns = vec![
                    (format!("{alias}.n"), Kind::Int),
                    (format!("{alias}.t"), Kind::Text),
                ];
                (sql, columns)
            }
            _ => {
                let table = dice.of(&self.schema.tables);
                let columns = table.columns.iter();
                let columns = columns.map(|c| (format!("{alias}.{}", c.name), c.kind));
                (format!("{} {alias}", table.name), columns.collect())
            }
        }
    }

    fn alias(&self) -> String {
        self.aliases.set(self.aliases.get() + 1);
        format!("a{}", self.aliases.get())
    }

    fn change(&self) -> String {
        let dice = self.dice;
        let table = dice.of(&self.schema.tables);
        let scope: Columns = table
            .columns
            .iter()
            .map(|c| (format!("{}.{}", table.name, c.name), c.kind))
            .collect();
        let mut sql = match dice.below(8) {
            0..3 => self.insert(table),
            3 => self.insert_select(table),
            4..7 => self.update(table, &scope),
            _ => format!("delete from {}{}", table.name, self.filter(&scope, 1)),
        };
        if dice.once_in(2) {
            let kinds = self.kinds().into_iter();
            let list = kinds.map(|k| expression(dice, &scope, k, 1));
            let list: Vec<String> = list.collect();
            sql = format!("{sql} returning {}", list.join(", "));
        }
        sql
    }

    fn insert(&self, table: &Table) -> String {
        let dice = self.dice;
        let row = |_| {
            let one = |c: &Column| match c.unique {
                true if c.kind == Kind::Int => (1 + dice.below(40)).to_string(),
                _ if dice.once_in(30) => "null".into(),
                _ => value(dice, c),
            };
            let values: Vec<String> = table.columns.iter().map(one).collect();
            format!("({})", values.join(", "))
        };
        let rows: Vec<String> = (0..1 + dice.below(3)).map(row).collect();
        let sql = format!("insert into {} values {}", table.name, rows.join(", "));
        match dice.below(5) {
            0 => format!("{sql} on conflict do nothing"),
            _ => sql,
        }
    }

    /// A row for each different value, so that it does not matter which of two rows came first.
    fn insert_select(&self, table: &Table) -> String {
        let dice = self.dice;
        let (from, scope) = self.source(0);
        let key = expression(dice, &scope, Kind::Int, 0);
        let one = |c: &Column| match c.unique && c.kind == Kind::Int {
            true => format!("(100 + ({key} + 0))"),
            false => format!("({})::{}", self.aggregate(c.kind, &scope), c.declared),
        };
        let list: Vec<String> = table.columns.iter().map(one).collect();
        let filter = self.filter(&scope, 1);
        let sql = format!("select {} from {from}{filter}", list.join(", "));
        format!(
            "insert into {} {sql} group by ({key} + 0) on conflict do nothing",
            table.name
        )
    }

    fn update(&self, table: &Table, scope: &Columns) -> String {
        let dice = self.dice;
        let mut sets = Vec::new();
        for column in table.columns.iter().filter(|c| !c.unique) {
            if dice.once_in(2) || sets.is_empty() {
                let e = expression(dice, scope, column.kind, 1);
                sets.push(format!("{} = {e}", column.name));
            }
        }
        let filter = self.filter(scope, 1);
        format!("update {} set {}{filter}", table.name, sets.join(", "))
    }
}

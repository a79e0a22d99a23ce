//! Tables of a case: columns of many types, keys, indexes, and rows of few different values, so that joins meet.

use super::dice::Dice;
use super::expressions::{Kind, literal};

pub struct Schema {
    pub tables: Vec<Table>,
}

pub struct Table {
    pub name: String,
    pub columns: Vec<Column>,
    /// Behind the columns: constraints, then indexes as statements.
    constraints: Vec<String>,
    indexes: Vec<String>,
}

pub struct Column {
    pub name: String,
    pub declared: &'static str,
    pub kind: Kind,
    pub not_null: bool,
    /// Alone or with others; changed only row by row.
    pub unique: bool,
}

const TYPES: &[(&str, Kind)] = &[
    ("int4", Kind::Int),
    ("int8", Kind::Int),
    ("int2", Kind::Int),
    ("numeric(10,2)", Kind::Numeric),
    ("float8", Kind::Float),
    ("text", Kind::Text),
    ("varchar(12)", Kind::Text),
    ("bool", Kind::Bool),
    ("date", Kind::Date),
    ("timestamp", Kind::Timestamp),
    ("interval", Kind::Interval),
];

impl Schema {
    pub fn random(dice: &Dice) -> Schema {
        let tables = (0..2 + dice.below(2)).map(|n| Table::random(dice, n));
        Schema {
            tables: tables.collect(),
        }
    }

    /// What makes the tables with their rows, a row a statement.
    pub fn statements(&self, dice: &Dice) -> Vec<String> {
        let mut out = Vec::new();
        for table in &self.tables {
            out.push(table.create());
            let (before, after) = table.indexes.split_at(table.indexes.len() / 2);
            out.extend(before.iter().cloned());
            for n in 0..dice.below(24) {
                out.push(table.insert(dice, n));
            }
            out.extend(after.iter().cloned());
        }
        if dice.once_in(2) {
            out.push("analyze".into());
        }
        out
    }

    pub fn drops(&self) -> String {
        "drop table if exists t0, t1, t2".into()
    }
}

impl Table {
    fn random(dice: &Dice, n: usize) -> Table {
        let name = format!("t{n}");
        let mut columns = vec![Column {
            name: "id".into(),
            declared: "int4",
            kind: Kind::Int,
            not_null: true,
            unique: true,
        }];
        for i in 0..3 + dice.below(4) {
            let (declared, kind) = *dice.of(TYPES);
            columns.push(Column {
                name: format!("c{i}"),
                declared,
                kind,
                not_null: dice.once_in(6),
                unique: false,
            });
        }
        let mut constraints = Vec::new();
        match dice.below(5) {
            // No key at all.
            0 => columns[0].unique = false,
            1 => {
                columns[1].unique = true;
                columns[1].not_null = true;
                constraints.push("primary key (c0, id)".into());
            }
            _ => constraints.push("primary key (id)".into()),
        }
        if dice.once_in(4) {
            let of = |c: &&Column| c.kind == Kind::Int && c.name != "id";
            if let Some(column) = columns.iter().find(of) {
                constraints.push(format!("check ({} < 1000)", column.name));
            }
        }
        let mut indexes = Vec::new();
        for i in 0..dice.below(3) {
            let count = 1 + dice.below(2);
            let mut on: Vec<&str> = Vec::new();
            for _ in 0..count {
                let column = dice.of(&columns).name.as_str();
                if !on.contains(&column) {
                    on.push(column);
                }
            }
            indexes.push(format!(
                "create index {name}_i{i} on {name} ({})",
                on.join(", ")
            ));
        }
        if dice.once_in(4) {
            columns[0].unique = true;
            indexes.push(format!("create unique index {name}_u on {name} (id)"));
        }
        Table {
            name,
            columns,
            constraints,
            indexes,
        }
    }

    fn create(&self) -> String {
        let column = |c: &Column| {
            let not_null = if c.not_null { " not null" } else { "" };
            format!("{} {}{not_null}", c.name, c.declared)
        };
        let parts: Vec<String> = self.columns.iter().map(column).collect();
        let all = [parts, self.constraints.clone()].concat();
        // As tables are placed whose key is the id alone.
        let placed = match self.constraints.iter().any(|c| c == "primary key (c0, id)") {
            true => " /*! partition by hash (id) */",
            false => "",
        };
        format!("create table {} ({}){placed}", self.name, all.join(", "))
    }

    fn insert(&self, dice: &Dice, n: usize) -> String {
        let values = self.columns.iter().map(|c| match c.name.as_str() {
            "id" => (n + 1).to_string(),
            _ => value(dice, c),
        });
        let values: Vec<String> = values.collect();
        format!("insert into {} values ({})", self.name, values.join(", "))
    }
}

/// A value for a column; NULL now and then.
pub fn value(dice: &Dice, column: &Column) -> String {
    if !column.not_null && dice.once_in(6) {
        return "null".into();
    }
    literal(dice, column.kind)
}

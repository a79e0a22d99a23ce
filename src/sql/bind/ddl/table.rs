//! CREATE TABLE.
//!
//! Owns: columns with their defaults, keys and checks, and the names PostgreSQL gives checks that have none.

use super::super::datatype;
use super::super::scope::{Entry, Relation, Scope, is_system_column};
use super::super::{Binder, Clause, Cx, names, syntax, unsupported};
use super::{index_columns, own_name};
use crate::sql::statement::Statement;
use engine::catalog::{Check, ColumnDef, Default};
use engine::plan::{CreateTable, Ddl, Expr, Key};
use sqlparser::ast::{
    self, ColumnOption, CreateTableOptions, IndexColumn, SqlOption, TableConstraint,
};
use std::rc::Rc;
use types::{Column, DataType, Error, Result, SqlState, limits};

impl<'a> Binder<'a> {
    pub(in super::super) fn create_table(&mut self, t: &'a ast::CreateTable) -> Result<Statement> {
        refuse_others(t)?;
        let name = own_name(&t.name)?;
        let mut table = CreateTable {
            name,
            if_not_exists: t.if_not_exists,
            columns: self.column_definitions(&t.columns)?,
            primary_key: None,
            uniques: Vec::new(),
            checks: Vec::new(),
        };
        for (ordinal, c) in t.columns.iter().enumerate() {
            for option in &c.options {
                let given = option.name.as_ref();
                self.column_option(&mut table, ordinal, given, &option.option)?;
            }
        }
        for c in &t.constraints {
            self.table_constraint(&mut table, c)?;
        }
        let key = table.primary_key.iter().flat_map(|k| k.columns.clone());
        let key: Vec<usize> = key.collect();
        for i in key {
            if let Some(c) = table.columns.get_mut(i) {
                c.not_null = true;
            }
        }
        Ok(Statement::Ddl(Ddl::CreateTable(table)))
    }

    fn column_definitions(&mut self, columns: &'a [ast::ColumnDef]) -> Result<Vec<ColumnDef>> {
        if columns.len() > limits::COLUMNS_MAX {
            return Err(Error::new(
                SqlState::TOO_MANY_COLUMNS,
                format!("tables can have at most {} columns", limits::COLUMNS_MAX),
            ));
        }
        let mut out: Vec<ColumnDef> = Vec::with_capacity(columns.len());
        let mut seen = std::collections::HashSet::with_capacity(columns.len());
        for c in columns {
            let name = names::ident(&c.name);
            if is_system_column(&name) {
                return Err(Error::new(
                    SqlState::DUPLICATE_COLUMN,
                    format!("column name \"{name}\" conflicts with a system column name"),
                ));
            }
            if !seen.insert(name.clone()) {
                return Err(Error::new(
                    SqlState::DUPLICATE_COLUMN,
                    format!("column \"{name}\" specified more than once"),
                ));
            }
            let (ty, typmod) =
                datatype::resolve(&c.data_type).map_err(|e| self.at(e, c.name.span))?;
            if matches!(ty, DataType::Unknown | DataType::Void) {
                return Err(Error::new(
                    SqlState::INVALID_TABLE_DEFINITION,
                    format!("column \"{name}\" has pseudo-type {ty}"),
                ));
            }
            out.push(ColumnDef {
                name,
                ty,
                typmod,
                not_null: false,
                default: None,
            });
        }
        Ok(out)
    }

    fn column_option(
        &mut self,
        table: &mut CreateTable,
        ordinal: usize,
        given: Option<&ast::Ident>,
        option: &'a ColumnOption,
    ) -> Result<()> {
        let Some(column) = table.columns.get_mut(ordinal) else {
            return Err(Error::internal("a column out of range"));
        };
        match option {
            // A constraint that says nothing.
            ColumnOption::Null => Ok(()),
            ColumnOption::NotNull => {
                column.not_null = true;
                Ok(())
            }
            ColumnOption::Default(e) => {
                if column.default.is_some() {
                    return Err(syntax(format!(
                        "multiple default values specified for column \"{}\" of table \"{}\"",
                        column.name, table.name
                    )));
                }
                let default = self.column_default(e, column)?;
                column.default = Some(default);
                Ok(())
            }
            ColumnOption::PrimaryKey(k) => {
                refuse_characteristics(k.characteristics.as_ref())?;
                set_primary_key(table, given, vec![ordinal])
            }
            ColumnOption::Unique(k) => {
                refuse_characteristics(k.characteristics.as_ref())?;
                add_unique(table, given, vec![ordinal]);
                Ok(())
            }
            ColumnOption::Check(c) => self.check(table, given.or(c.name.as_ref()), &c.expr),
            ColumnOption::ForeignKey(_) => Err(unsupported("FOREIGN KEY")),
            ColumnOption::Collation(name) => {
                let text = Expr::Const(types::Value::Null, column.ty);
                self.collate(text, name).map(|_| ())
            }
            ColumnOption::Generated { .. } | ColumnOption::Identity(_) => {
                Err(unsupported("a generated column")
                    .with_hint("Sequences do not exist yet; use an integer or a uuid key."))
            }
            _ => Err(syntax(format!(
                "syntax error in the definition of column \"{}\"",
                column.name
            ))),
        }
    }

    fn column_default(&mut self, e: &'a ast::Expr, column: &ColumnDef) -> Result<Default> {
        let mut cx = Cx::new(Rc::default(), Clause::Default);
        let bound = self.expr(e, &mut cx).map_err(|err| {
            if err.code() == SqlState::UNDEFINED_COLUMN {
                Error::unsupported("cannot use column reference in DEFAULT expression")
            } else {
                err
            }
        })?;
        plain_definition(&bound, "DEFAULT expression")?;
        let expr = self.assign(bound, column).map_err(|err| {
            if err.code() == SqlState::DATATYPE_MISMATCH {
                let message = err.message().replace(
                    "but expression is of type",
                    "but default expression is of type",
                );
                Error::new(err.code(), message)
                    .with_hint("You will need to rewrite or cast the expression.")
            } else {
                err
            }
        })?;
        let sql = match e {
            ast::Expr::Value(v) => match &v.value {
                ast::Value::SingleQuotedString(s) => {
                    format!("'{}'::{}", s.replace('\'', "''"), column.ty)
                }
                _ => e.to_string(),
            },
            _ => e.to_string(),
        };
        Ok(Default { sql, expr })
    }

    fn table_constraint(&mut self, table: &mut CreateTable, c: &'a TableConstraint) -> Result<()> {
        match c {
            TableConstraint::PrimaryKey(k) => {
                refuse_characteristics(k.characteristics.as_ref())?;
                if !k.include.is_empty() {
                    return Err(unsupported("INCLUDE columns"));
                }
                let columns = ordinals(table, &k.columns)?;
                set_primary_key(table, k.name.as_ref(), columns)
            }
            TableConstraint::Unique(k) => {
                refuse_characteristics(k.characteristics.as_ref())?;
                if !k.include.is_empty() {
                    return Err(unsupported("INCLUDE columns"));
                }
                if matches!(k.nulls_distinct, ast::NullsDistinctOption::NotDistinct) {
                    return Err(unsupported("NULLS NOT DISTINCT"));
                }
                let columns = ordinals(table, &k.columns)?;
                add_unique(table, k.name.as_ref(), columns);
                Ok(())
            }
            TableConstraint::Check(c) => self.check(table, c.name.as_ref(), &c.expr),
            TableConstraint::ForeignKey(_) => Err(unsupported("FOREIGN KEY")),
            TableConstraint::Exclude(_) => Err(unsupported("EXCLUDE")),
            _ => Err(syntax("syntax error in a table constraint")),
        }
    }

    fn check(
        &mut self,
        table: &mut CreateTable,
        given: Option<&ast::Ident>,
        e: &'a ast::Expr,
    ) -> Result<()> {
        let entries = table.columns.iter().enumerate();
        let entries = entries.map(|(i, c)| Entry::of(&Column::new(&c.name, c.ty), i));
        let scope = Scope::single(Relation {
            alias: table.name.clone(),
            schema: Some("public".into()),
            table: Some(table.name.clone()),
            columns: entries.collect(),
            key: Vec::new(),
            tableoid: None,
            base: true,
        });
        let mut cx = Cx::new(Rc::new(scope), Clause::Check);
        let bound = self.expr(e, &mut cx)?;
        let expr = self.condition(bound, "CHECK")?;
        plain_definition(&expr, "check constraint")?;
        let name = match given {
            Some(i) => names::ident(i),
            None => free_check_name(table, &expr),
        };
        if table.checks.iter().any(|c| c.name == name) {
            return Err(Error::new(
                SqlState::DUPLICATE_OBJECT,
                format!(
                    "constraint \"{name}\" for relation \"{}\" already exists",
                    table.name
                ),
            ));
        }
        let mut inner = e;
        while let ast::Expr::Nested(x) = inner {
            inner = x;
        }
        let sql = format!("({inner})");
        table.checks.push(Check { name, sql, expr });
        Ok(())
    }
}

/// No subquery and no parameter: a definition outlives the statement.
fn plain_definition(e: &Expr, what: &str) -> Result<()> {
    let (mut subquery, mut parameter) = (false, None);
    e.each(&mut |x| match x {
        Expr::Subquery { .. } => subquery = true,
        Expr::Param(n, _) => parameter = Some(*n),
        _ => {}
    });
    if subquery {
        return Err(Error::unsupported(format!("cannot use subquery in {what}")));
    }
    if let Some(n) = parameter {
        return Err(Error::new(
            SqlState::UNDEFINED_PARAMETER,
            format!("there is no parameter ${}", u32::from(n) + 1),
        ));
    }
    Ok(())
}

/// `t_c_check` when one column is used, else `t_check`; a number after it when that is taken.
fn free_check_name(table: &CreateTable, e: &Expr) -> String {
    let mut used = Vec::new();
    e.each(&mut |x| {
        if let Expr::Column(i, _) = x
            && !used.contains(i)
        {
            used.push(*i);
        }
    });
    let column = match used.as_slice() {
        [i] => table.columns.get(*i),
        _ => None,
    };
    let base = match column {
        Some(c) => format!("{}_{}_check", table.name, c.name),
        None => format!("{}_check", table.name),
    };
    let base = names::fold(&base, true);
    let taken = |n: &str| table.checks.iter().any(|c| c.name == n);
    if !taken(&base) {
        return base;
    }
    (1..=table.checks.len() + 1)
        .map(|n| format!("{base}{n}"))
        .find(|n| !taken(n))
        .unwrap_or(base)
}

fn ordinals(table: &CreateTable, columns: &[IndexColumn]) -> Result<Vec<usize>> {
    index_columns(columns)?
        .into_iter()
        .map(|name| {
            let found = table.columns.iter().position(|c| c.name == name);
            found.ok_or_else(|| no_key_column(&name))
        })
        .collect()
}

pub(super) fn no_key_column(name: &str) -> Error {
    Error::new(
        SqlState::UNDEFINED_COLUMN,
        format!("column \"{name}\" named in key does not exist"),
    )
}

pub(super) fn second_key(table: &str) -> Error {
    Error::new(
        SqlState::INVALID_TABLE_DEFINITION,
        format!("multiple primary keys for table \"{table}\" are not allowed"),
    )
}

fn set_primary_key(
    table: &mut CreateTable,
    name: Option<&ast::Ident>,
    columns: Vec<usize>,
) -> Result<()> {
    if table.primary_key.is_some() {
        return Err(second_key(&table.name));
    }
    table.primary_key = Some(Key {
        name: name.map(names::ident),
        columns,
    });
    Ok(())
}

/// The same columns twice make one constraint, as in PostgreSQL.
fn add_unique(table: &mut CreateTable, name: Option<&ast::Ident>, columns: Vec<usize>) {
    let name = name.map(names::ident);
    let known = table
        .uniques
        .iter()
        .any(|k| k.columns == columns && (k.name == name || name.is_none()));
    if !known {
        table.uniques.push(Key { name, columns });
    }
}

fn refuse_characteristics(c: Option<&ast::ConstraintCharacteristics>) -> Result<()> {
    match c {
        Some(c) if c.deferrable == Some(true) => Err(unsupported("a deferrable constraint")),
        _ => Ok(()),
    }
}

fn refuse_others(t: &ast::CreateTable) -> Result<()> {
    if t.temporary {
        return Err(unsupported("CREATE TEMPORARY TABLE"));
    }
    if t.unlogged {
        return Err(unsupported("CREATE UNLOGGED TABLE"));
    }
    if t.query.is_some() {
        return Err(unsupported("CREATE TABLE AS"));
    }
    if t.like.is_some() {
        return Err(unsupported("CREATE TABLE (LIKE …)"));
    }
    if t.inherits.is_some() {
        return Err(unsupported("INHERITS"));
    }
    if t.partition_by.is_some() || t.partition_of.is_some() {
        return Err(unsupported("PARTITION BY"));
    }
    if t.on_commit.is_some() {
        return Err(unsupported("ON COMMIT"));
    }
    match &t.table_options {
        CreateTableOptions::None => {}
        CreateTableOptions::With(options) => {
            for o in options {
                storage_parameter(o)?;
            }
        }
        _ => return Err(syntax("syntax error after the table's columns")),
    }
    let foreign = t.or_replace
        || t.external
        || t.transient
        || t.volatile
        || t.iceberg
        || t.without_rowid
        || t.clone.is_some()
        || t.comment.is_some()
        || t.on_cluster.is_some()
        || t.primary_key.is_some()
        || t.order_by.is_some()
        || t.cluster_by.is_some()
        || t.clustered_by.is_some()
        || t.strict
        || t.file_format.is_some()
        || t.location.is_some();
    if foreign {
        return Err(syntax("syntax error in CREATE TABLE"));
    }
    Ok(())
}

/// Only `fillfactor`, 10 to 100.
fn storage_parameter(o: &SqlOption) -> Result<()> {
    let SqlOption::KeyValue { key, value } = o else {
        return Err(unsupported("this storage parameter"));
    };
    let name = names::ident(key);
    if name != "fillfactor" {
        return Err(Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("unrecognized parameter \"{name}\""),
        ));
    }
    let number = match value {
        ast::Expr::Value(v) => match &v.value {
            ast::Value::Number(n, _) | ast::Value::SingleQuotedString(n) => n.parse::<i64>().ok(),
            _ => None,
        },
        _ => None,
    };
    match number {
        Some(10..=100) => Ok(()),
        Some(n) => Err(Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("value {n} out of bounds for option \"fillfactor\""),
        )
        .with_detail("Valid values are between \"10\" and \"100\".")),
        None => Err(Error::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "invalid value for integer option \"fillfactor\"",
        )),
    }
}

//! CREATE TABLE.
//!
//! Owns: columns with their defaults, keys and checks, and the names PostgreSQL gives checks that have none.

use super::super::call::over_row;
use super::super::scope::{Entry, Relation, Scope, is_system_column};
use super::super::user_type::Declared;
use super::super::walk;
use super::super::{Binder, Clause, Cx, names, syntax, unsupported};
use super::foreign::foreign_key;
use super::index::is_immutable;
use super::index_columns;
use super::placement;
use super::sequence::{identity_sequence, new_sequence};
use crate::parse::{define, rename};
use crate::statement::Statement;
use engine::catalog::objects::CommentKey;
use engine::catalog::{
    Check, ColumnDef, Default, Index, OnCommit, PartOf, Relation as Found, Sequence, SqlExpr,
    Table, path, system,
};
use engine::exec::eval::has_subquery;
use engine::plan::ddl::{NewIndex, OwnedSequence};
use engine::plan::{CreateTable, Ddl, Expr, Key, Plan, QualifiedName};
use sqlparser::ast::{
    self, ColumnOption, GeneratedAs, GeneratedExpressionMode, IndexColumn, TableConstraint,
};
use std::rc::Rc;
use std::sync::Arc;
use types::{Column, DataType, Error, Result, SqlState, limits};

/// The integer types that have a sequence with them.
const SERIAL: [(&str, DataType); 6] = [
    ("serial", DataType::Int4),
    ("serial4", DataType::Int4),
    ("bigserial", DataType::Int8),
    ("serial8", DataType::Int8),
    ("smallserial", DataType::Int2),
    ("serial2", DataType::Int2),
];

impl<'a> Binder<'a> {
    pub(super) fn create_table(&mut self, t: &'a define::TableDef) -> Result<Statement> {
        super::parameters::of_table(&t.with)?;
        super::parameters::kept_as_usual(t.method.as_deref(), t.tablespace.as_deref())?;
        let name = self.creation(&t.name, t.temporary)?;
        let temporary = name.schema == path::temporary(self.env.context);
        if t.on_commit.is_some() && !temporary {
            return Err(Error::new(
                SqlState::INVALID_TABLE_DEFINITION,
                "ON COMMIT can only be used on temporary tables",
            ));
        }
        let mut table = CreateTable {
            schema: name.schema,
            name: name.name,
            if_not_exists: t.if_not_exists,
            temporary: temporary.then_some(match t.on_commit {
                None | Some(define::OnCommit::PreserveRows) => OnCommit::PreserveRows,
                Some(define::OnCommit::DeleteRows) => OnCommit::DeleteRows,
                Some(define::OnCommit::Drop) => OnCommit::Drop,
            }),
            ..CreateTable::default()
        };
        if let Some(body) = &t.filled {
            if !t.placement.is_empty() {
                return Err(unsupported("PARTITION BY HASH of a table AS a query"));
            }
            return self.create_table_as(table, body);
        }
        let mut options: Vec<(usize, &'a ast::ColumnDef)> = Vec::new();
        for element in &t.elements {
            match element {
                define::Element::Column(c) => {
                    let (column, sequence) = self.column_definition(c)?;
                    let ordinal = push_column(&mut table, column)?;
                    table.sequences.extend(sequence.map(|s| s.at(ordinal)));
                    options.push((ordinal, c));
                }
                define::Element::Like(like) => self.like(&mut table, like)?,
                define::Element::Constraint(_) => {}
            }
        }
        for (ordinal, c) in options {
            for option in &c.options {
                let given = option.name.as_ref();
                self.column_option(&mut table, ordinal, given, &option.option)?;
            }
        }
        for element in &t.elements {
            if let define::Element::Constraint(c) = element {
                self.table_constraint(&mut table, c)?;
            }
        }
        let key = table.primary_key.iter().flat_map(|k| k.columns.clone());
        let key: Vec<usize> = key.collect();
        for i in &key {
            if let Some(c) = table.columns.get_mut(*i) {
                c.not_null = true;
            }
        }
        placement::place(&mut table, t)?;
        Ok(Statement::Ddl(Ddl::CreateTable(Box::new(table))))
    }

    /// A column without its constraints, and the sequence that its type asks for.
    pub(super) fn column_definition(
        &mut self,
        c: &'a ast::ColumnDef,
    ) -> Result<(ColumnDef, Option<Serial>)> {
        let name = names::ident(&c.name);
        if is_system_column(&name) {
            return Err(Error::new(
                SqlState::DUPLICATE_COLUMN,
                format!("column name \"{name}\" conflicts with a system column name"),
            ));
        }
        if let Some(ty) = serial(&c.data_type) {
            let sequence = Serial {
                sequence: new_sequence(ty),
                identity: None,
            };
            return Ok((ColumnDef::new(name, ty, 0), Some(sequence)));
        }
        let Declared {
            ty,
            typmod,
            declared,
        } = self
            .declared_type(&c.data_type)
            .map_err(|e| self.at(e, c.name.span))?;
        self.can_be_stored(&name, ty)?;
        let column = ColumnDef {
            typmod,
            declared,
            ..ColumnDef::new(name, ty, 0)
        };
        Ok((column, None))
    }

    /// The table; a view gives its columns here, and has nothing else to give.
    fn like_source(
        &mut self,
        table: &mut CreateTable,
        like: &define::Like,
    ) -> Result<Option<Arc<Table>>> {
        let (schema, base) = self.qualified(&like.table)?;
        let found = self.find(schema.as_deref(), &base);
        Ok(match found {
            Some(Found::Table(t)) => Some(t),
            Some(Found::View(v)) => {
                for c in &v.columns {
                    let column = ColumnDef {
                        typmod: c.typmod,
                        ..ColumnDef::new(c.name.clone(), c.ty, 0)
                    };
                    push_column(table, column)?;
                }
                None
            }
            Some(other) => {
                return Err(Error::new(
                    SqlState::WRONG_OBJECT_TYPE,
                    format!("relation \"{}\" is invalid in LIKE clause", other.name()),
                ));
            }
            None => return Err(self.no_relation(schema.as_deref(), &base, &base)),
        })
    }

    fn like(&mut self, table: &mut CreateTable, like: &define::Like) -> Result<()> {
        let Some(source) = self.like_source(table, like)? else {
            return Ok(());
        };
        let first = table.columns.len();
        for c in &source.columns {
            let mut column = ColumnDef {
                typmod: c.typmod,
                not_null: c.not_null,
                declared: c.declared,
                ..ColumnDef::new(c.name.clone(), c.ty, 0)
            };
            if like.defaults {
                column.default.clone_from(&c.default);
            }
            if like.generated {
                column.generated = c.generated.clone().map(|mut g| {
                    walk::shift_columns(&mut g.expr, first);
                    g
                });
            }
            let ordinal = push_column(table, column)?;
            if let (true, Some(identity)) = (like.identity, c.identity)
                && let Some(sequence) = self.env.catalog.sequences.get(&identity.sequence)
            {
                table.sequences.push(OwnedSequence {
                    column: ordinal,
                    sequence: Sequence {
                        // Called after the new table.
                        name: String::new(),
                        first: sequence.start,
                        first_given: false,
                        ..Sequence::clone(sequence)
                    },
                    identity: Some(identity.always),
                });
            }
            let comment = CommentKey {
                class: system::class_oid("pg_class"),
                object: source.id.0,
                column: i32::from(c.number),
            };
            if like.comments
                && let Some(text) = self.env.catalog.comments.get(&comment)
            {
                table.comments.push((ordinal, text.to_string()));
            }
        }
        if like.constraints {
            for check in &source.checks {
                let mut check = check.clone();
                walk::shift_columns(&mut check.expr, first);
                table.checks.push(check);
            }
        }
        if like.indexes {
            like_indexes(table, &source, first)?;
        }
        Ok(())
    }

    pub(super) fn column_option(
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
                if column.default.is_some() || table.sequences.iter().any(|s| s.column == ordinal) {
                    return Err(two_defaults(&column.name, &table.name));
                }
                column.default = Some(self.column_default(e, column)?);
                Ok(())
            }
            ColumnOption::PrimaryKey(k) => {
                refuse_characteristics(k.characteristics.as_ref())?;
                set_primary_key(table, given, vec![ordinal])
            }
            ColumnOption::Unique(k) => {
                refuse_characteristics(k.characteristics.as_ref())?;
                let key = Key {
                    name: given.map(names::ident),
                    columns: vec![ordinal],
                    nulls_not_distinct: nulls_not_distinct(k),
                    ..Key::default()
                };
                add_unique(table, key);
                Ok(())
            }
            ColumnOption::Check(c) => self.check(table, given.or(c.name.as_ref()), inherited(c)?),
            ColumnOption::ForeignKey(k) => {
                let columns = vec![column.name.clone()];
                let referenced = self.referenced(&k.foreign_table, &own(table))?;
                let key = foreign_key(k, given, columns, referenced)?;
                table.foreign_keys.push(key);
                Ok(())
            }
            ColumnOption::Collation(name) => {
                let text = Expr::Const(types::Value::Null, column.ty);
                self.collate(text, name).map(|_| ())
            }
            ColumnOption::Generated {
                generation_expr: Some(e),
                generation_expr_mode,
                ..
            } => {
                let stored = matches!(generation_expr_mode, Some(GeneratedExpressionMode::Stored));
                self.generated_column(table, ordinal, e, stored)
            }
            ColumnOption::Generated {
                generated_as,
                sequence_options,
                ..
            } => identity_column(table, ordinal, generated_as, sequence_options.as_deref()),
            _ => Err(syntax(format!(
                "syntax error in the definition of column \"{}\"",
                column.name
            ))),
        }
    }

    fn generated_column(
        &mut self,
        table: &mut CreateTable,
        ordinal: usize,
        e: &'a ast::Expr,
        stored: bool,
    ) -> Result<()> {
        if !stored {
            return Err(syntax("a generated column must be STORED"));
        }
        let generated = self.generation((&table.columns, &table.name), ordinal, e)?;
        let Some(column) = table.columns.get_mut(ordinal) else {
            return Err(Error::internal("a column out of range"));
        };
        if column.default.is_some() {
            return Err(syntax(format!(
                "both default and generation expression specified for column \"{}\" of table \"{}\"",
                column.name, table.name
            )));
        }
        column.generated = Some(generated);
        Ok(())
    }

    pub(super) fn column_default(
        &mut self,
        e: &'a ast::Expr,
        column: &ColumnDef,
    ) -> Result<Default> {
        let mut cx = Cx::new(Rc::default(), Clause::Default);
        let bound = self.expr(e, &mut cx).map_err(|err| {
            if err.code() == SqlState::UNDEFINED_COLUMN {
                Error::unsupported("cannot use column reference in DEFAULT expression")
            } else {
                err
            }
        })?;
        plain_or_calls(&bound, "DEFAULT expression")?;
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
                    format!("'{}'::{}", s.replace('\'', "''"), self.type_text(column.ty))
                }
                _ => e.to_string(),
            },
            _ => rename::types_folded(&e.to_string()),
        };
        Ok(Default { sql, expr })
    }

    fn table_constraint(&mut self, table: &mut CreateTable, c: &'a TableConstraint) -> Result<()> {
        match c {
            TableConstraint::PrimaryKey(k) => {
                refuse_characteristics(k.characteristics.as_ref())?;
                if !k.include.is_empty() {
                    return Err(unsupported("PRIMARY KEY with INCLUDE"));
                }
                let columns = ordinals(table, &k.columns)?;
                set_primary_key(table, k.name.as_ref(), columns)
            }
            TableConstraint::Unique(k) => {
                refuse_characteristics(k.characteristics.as_ref())?;
                let include = k.include.iter().map(names::ident).collect();
                let key = Key {
                    name: k.name.as_ref().map(names::ident),
                    columns: ordinals(table, &k.columns)?,
                    nulls_not_distinct: nulls_not_distinct(k),
                    include: ordinals_of(table, include)?,
                };
                add_unique(table, key);
                Ok(())
            }
            TableConstraint::Check(c) => self.check(table, c.name.as_ref(), inherited(c)?),
            TableConstraint::ForeignKey(k) => {
                let columns = k.columns.iter().map(names::ident).collect();
                let referenced = self.referenced(&k.foreign_table, &own(table))?;
                let key = foreign_key(k, None, columns, referenced)?;
                table.foreign_keys.push(key);
                Ok(())
            }
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
        let (expr, sql) = self.bound_check(&table.columns, &table.name, e)?;
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
        table.checks.push(Check { name, sql, expr });
        Ok(())
    }

    /// A condition over a row of these columns, and its text.
    pub(super) fn bound_check(
        &mut self,
        columns: &[ColumnDef],
        table: &str,
        e: &'a ast::Expr,
    ) -> Result<(Expr, String)> {
        let mut cx = Cx::new(Rc::new(columns_scope(columns, table)), Clause::Check);
        let bound = self.expr(e, &mut cx)?;
        let expr = self.condition(bound, "CHECK")?;
        plain_or_calls(&expr, "check constraint")?;
        // What calls functions is a subquery over the row: `Check::calls`.
        let expr = match has_subquery(&expr) {
            true => over_row(expr)?,
            false => expr,
        };
        let mut inner = e;
        while let ast::Expr::Nested(x) = inner {
            inner = x;
        }
        // As PostgreSQL prints it: a call alone is in no parentheses of its own.
        let text = match inner {
            ast::Expr::Function(_) => inner.to_string(),
            _ => format!("({inner})"),
        };
        Ok((
            expr,
            rename::unqualified(&rename::types_folded(&text), table),
        ))
    }

    /// GENERATED ALWAYS AS (…): over the other columns of the row.
    pub(super) fn generation(
        &mut self,
        (columns, table): (&[ColumnDef], &str),
        ordinal: usize,
        e: &'a ast::Expr,
    ) -> Result<SqlExpr> {
        let Some(column) = columns.get(ordinal) else {
            return Err(Error::internal("a column out of range"));
        };
        let mut cx = Cx::new(Rc::new(columns_scope(columns, table)), Clause::Generated);
        let bound = self.expr(e, &mut cx)?;
        plain_definition(&bound, "column generation expression")?;
        let generated = |c: &usize| columns.get(*c).is_some_and(|c| c.generated.is_some());
        if let Some(other) = bound
            .columns()
            .iter()
            .find(|c| generated(c) || **c == ordinal)
        {
            let name = columns.get(*other).map_or("", |c| c.name.as_str());
            return Err(Error::new(
                SqlState::INVALID_OBJECT_DEFINITION,
                format!("cannot use generated column \"{name}\" in column generation expression"),
            )
            .with_detail("A generated column cannot reference another generated column."));
        }
        if !is_immutable(&bound) {
            return Err(Error::new(
                SqlState::INVALID_OBJECT_DEFINITION,
                "generation expression is not immutable",
            ));
        }
        let expr = self.assign(bound, column)?;
        let mut inner = e;
        while let ast::Expr::Nested(x) = inner {
            inner = x;
        }
        let sql = rename::types_folded(&format!("({inner})"));
        let sql = rename::unqualified(&sql, table);
        Ok(SqlExpr { sql, expr })
    }
}

/// A sequence that a column comes with.
pub(super) struct Serial {
    sequence: Sequence,
    identity: Option<bool>,
}

impl Serial {
    pub(super) fn at(self, column: usize) -> OwnedSequence {
        OwnedSequence {
            column,
            sequence: self.sequence,
            identity: self.identity,
        }
    }
}

fn two_defaults(column: &str, table: &str) -> Error {
    syntax(format!(
        "multiple default values specified for column \"{column}\" of table \"{table}\""
    ))
}

fn serial(ty: &ast::DataType) -> Option<DataType> {
    let ast::DataType::Custom(name, modifiers) = ty else {
        return None;
    };
    let name = names::qualified(name)
        .ok()
        .filter(|_| modifiers.is_empty())?;
    let found = SERIAL
        .iter()
        .find(|(n, _)| name.0.is_none() && *n == name.1);
    found.map(|(_, ty)| *ty)
}

fn push_column(table: &mut CreateTable, mut column: ColumnDef) -> Result<usize> {
    if table.columns.len() >= limits::COLUMNS_MAX {
        return Err(Error::new(
            SqlState::TOO_MANY_COLUMNS,
            format!("tables can have at most {} columns", limits::COLUMNS_MAX),
        ));
    }
    if table.columns.iter().any(|c| c.name == column.name) {
        return Err(Error::new(
            SqlState::DUPLICATE_COLUMN,
            format!("column \"{}\" specified more than once", column.name),
        ));
    }
    column.number = table.columns.len() as i16 + 1;
    table.columns.push(column);
    Ok(table.columns.len() - 1)
}

/// INCLUDING INDEXES: keys too, under names of their own.
fn like_indexes(table: &mut CreateTable, source: &Table, first: usize) -> Result<()> {
    let moved = |columns: &[usize]| columns.iter().map(|c| c + first).collect::<Vec<_>>();
    if source.has_key() {
        if table.primary_key.is_some() {
            return Err(second_key(&table.name));
        }
        table.primary_key = Some(Key {
            columns: moved(&source.primary_key),
            ..Key::default()
        });
    }
    for index in &source.indexes {
        let moved_columns = index.columns().map(|columns| moved(&columns));
        if let (true, Some(columns)) = (index.constraint, moved_columns) {
            table.uniques.push(Key {
                name: None,
                columns,
                nulls_not_distinct: index.nulls_not_distinct,
                include: moved(&index.include),
            });
            continue;
        }
        let mut index = Index {
            include: moved(&index.include),
            invalid: false,
            ..Index::clone(index)
        };
        for part in &mut index.parts {
            match &mut part.of {
                PartOf::Column(c) => *c += first,
                PartOf::Expr(e) => walk::shift_columns(&mut e.expr, first),
            }
        }
        if let Some(predicate) = &mut index.predicate {
            walk::shift_columns(&mut predicate.expr, first);
        }
        table.indexes.push(NewIndex { name: None, index });
    }
    Ok(())
}

/// The columns of a table that is being made, as its expressions see them.
pub(super) fn columns_scope(columns: &[ColumnDef], table: &str) -> Scope {
    let entries = columns.iter().enumerate();
    let entries = entries.map(|(i, c)| Entry::of(&Column::new(&c.name, c.ty), i));
    Scope::single(Relation {
        alias: table.to_owned(),
        schema: None,
        table: Some(table.to_owned()),
        columns: entries.collect(),
        key: Vec::new(),
        tableoid: None,
        padded: false,
        base: true,
        row_type: DataType::Record,
    })
}

/// No subquery and no parameter: a definition outlives the statement.
pub(super) fn plain_definition(e: &Expr, what: &str) -> Result<()> {
    plain_but_for(e, what, |plan| matches!(plan, Plan::Sequence(_)))
}

/// As `plain_definition`, where functions may be called.
fn plain_or_calls(e: &Expr, what: &str) -> Result<()> {
    plain_but_for(e, what, |plan| {
        matches!(plan, Plan::Sequence(_) | Plan::Call(_))
    })
}

fn plain_but_for(e: &Expr, what: &str, fine: fn(&Plan) -> bool) -> Result<()> {
    let (mut subquery, mut parameter) = (false, None);
    e.each(&mut |x| match x {
        Expr::Subquery { plan, .. } => subquery |= !fine(plan),
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
    let used: Vec<usize> = e.columns().into_iter().collect();
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
    ordinals_of(table, index_columns(columns)?)
}

fn ordinals_of(table: &CreateTable, names: Vec<String>) -> Result<Vec<usize>> {
    names
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
        ..Key::default()
    });
    Ok(())
}

/// The same columns twice make one constraint, as in PostgreSQL.
fn add_unique(table: &mut CreateTable, key: Key) {
    let same = |k: &Key| {
        k.columns == key.columns
            && k.nulls_not_distinct == key.nulls_not_distinct
            && k.include == key.include
            && (k.name == key.name || key.name.is_none())
    };
    if !table.uniques.iter().any(same) {
        table.uniques.push(key);
    }
}

pub(super) fn nulls_not_distinct(k: &ast::UniqueConstraint) -> bool {
    matches!(k.nulls_distinct, ast::NullsDistinctOption::NotDistinct)
}

pub(super) fn refuse_characteristics(c: Option<&ast::ConstraintCharacteristics>) -> Result<()> {
    match c {
        Some(c) if c.deferrable == Some(true) => Err(unsupported("a deferrable constraint")),
        _ => Ok(()),
    }
}

fn own(table: &CreateTable) -> QualifiedName {
    QualifiedName {
        schema: table.schema.clone(),
        name: table.name.clone(),
    }
}

/// GENERATED … AS IDENTITY.
fn identity_column(
    table: &mut CreateTable,
    ordinal: usize,
    generated_as: &GeneratedAs,
    options: Option<&[ast::SequenceOptions]>,
) -> Result<()> {
    let options = define::of_identity(options.unwrap_or(&[]))?;
    let column = table
        .columns
        .get_mut(ordinal)
        .ok_or_else(|| Error::internal("a column out of range"))?;
    let sequence = identity_sequence("", column, &options)?;
    column.not_null = true;
    table.sequences.push(OwnedSequence {
        column: ordinal,
        sequence,
        identity: Some(matches!(generated_as, GeneratedAs::Always)),
    });
    Ok(())
}

/// The expression of a CHECK that is as all are: tables do not inherit, and every check is enforced.
pub(super) fn inherited(c: &ast::CheckConstraint) -> Result<&ast::Expr> {
    if c.no_inherit {
        return Err(unsupported("CHECK … NO INHERIT"));
    }
    match c.enforced {
        Some(_) => Err(syntax("syntax error at or near \"ENFORCED\"")),
        None => Ok(&c.expr),
    }
}

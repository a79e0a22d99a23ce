//! Views: making them, and reading through them; tables made of queries.
//!
//! Owns: what a stated query's names mean. It is kept as text with what each name meant when it was made (`Reads`), so it reads
//! the same columns whatever they and their tables are called now, and no later ones. Its text is bound anew at each use, by
//! a binder of its own: nothing of the query around it is in sight. Source: PostgreSQL 15, `view.c`, `createas.c`.

use super::from::{named, of_table};
use super::query::Rel;
use super::scope::{Entry, Relation};
use super::{Binder, names, restate, unplaced};
use crate::parse::{self, Ast, define};
use crate::statement::Statement;
use engine::catalog::objects::{ReadColumn, Reads, ViewColumn};
use engine::catalog::{
    ColumnDef, Index, Relation as Found, Sequence, Stated, Table, TableKind, View,
};
use engine::catalog::{kept, path};
use engine::exec::functions::domains::cast_to_domain;
use engine::exec::functions::quote_identifier;
use engine::plan::ddl::{CreateView, Ddl};
use engine::plan::{CreateTable, Expr, Plan, Query, SequenceCall, SequenceFunction};
use sqlparser::ast;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use types::{Column, DataType, Error, Reg, Result, SqlState, Value, limits};

/// What a query has read so far.
#[derive(Default)]
pub(super) struct Reading {
    reads: Vec<Reads>,
    /// Oids and numbers of columns that it names.
    columns: BTreeSet<(u32, i16)>,
    /// Oids of functions that it calls, and of primary keys that columns follow from in groups.
    others: BTreeSet<u32>,
    /// Of the places of names, where the text is to have marks.
    pub notes: Option<restate::Notes>,
}

impl Reading {
    pub(super) fn function(&mut self, oid: u32) {
        self.others.insert(oid);
    }
}

impl<'a> Binder<'a> {
    /// `[[database.]schema.]name`, where the database can only be the session's.
    pub(super) fn qualified(&self, name: &ast::ObjectName) -> Result<(Option<String>, String)> {
        names::qualified_in(name, &self.env.context.session.database)
    }

    /// What a name of a relation means here.
    pub(super) fn find(&self, schema: Option<&str>, name: &str) -> Option<Found> {
        if let Some(read) = self.read_as(schema, name) {
            return self.env.catalog.relation_by_oid(read.relation.0);
        }
        let temporary = engine::catalog::path::temporary(self.env.context);
        let schema = match schema {
            Some("pg_temp") => Some(temporary.as_str()),
            other => other,
        };
        self.env.catalog.find(&self.path, schema, name)
    }

    fn read_as(&self, schema: Option<&str>, name: &str) -> Option<&'a Reads> {
        let reads = &self.view?.reads;
        reads
            .iter()
            .find(|r| r.name == name && r.schema.as_deref() == schema)
    }

    /// A column has been named.
    pub(super) fn saw(&self, e: &Entry) {
        if let Some(reading) = &self.reading
            && e.table != 0
        {
            reading.borrow_mut().columns.insert((e.table, e.attnum));
        }
    }

    /// What is grouped relies on these tables' primary keys.
    pub(super) fn relies_on_keys(&self, tables: &[u32]) {
        let Some(reading) = &self.reading else {
            return;
        };
        let key = |oid: &u32| {
            Some(
                self.env
                    .catalog
                    .table(types::TableId(*oid))?
                    .primary_key_id
                    .0,
            )
        };
        let keys = tables.iter().filter_map(key);
        reading.borrow_mut().others.extend(keys);
    }

    pub(super) fn table_source(
        &self,
        schema: Option<&str>,
        name: &str,
        table: &Arc<Table>,
    ) -> Result<(Plan, Relation)> {
        if let TableKind::Materialized {
            populated: false, ..
        } = table.kind
            && !self.unfilled
        {
            return Err(Error::new(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!(
                    "materialized view \"{}\" has not been populated",
                    table.name
                ),
            )
            .with_hint("Use the REFRESH MATERIALIZED VIEW command."));
        }
        let (plan, relation) = (Plan::scan(table.clone()), of_table(table));
        self.read(table.id.0, schema, name, &relation);
        Ok(self.as_read(schema, name, plan, relation))
    }

    pub(super) fn view_source(
        &mut self,
        schema: Option<&str>,
        name: &str,
        view: &View,
    ) -> Result<(Plan, Relation)> {
        let rel = self.stated(&view.query)?;
        let entry = |(i, c): (usize, &ViewColumn)| {
            let column = Column {
                name: c.name.clone(),
                ty: c.ty,
                typmod: c.typmod,
                table: view.id.0,
                attnum: i as i16 + 1,
            };
            Entry::of(&column, i)
        };
        let columns = view.columns.iter().enumerate().map(entry).collect();
        let mut relation = named(&view.schema, &view.name, columns);
        relation.row_type = DataType::Composite(view.id.0);
        self.read(view.id.0, schema, name, &relation);
        Ok(self.as_read(schema, name, rel.plan, relation))
    }

    /// A sequence read as a table of one row.
    pub(super) fn sequence_source(&self, sequence: &Sequence) -> (Plan, Relation) {
        let reg = Reg {
            oid: sequence.id.0,
            name: sequence.name.as_str().into(),
        };
        let plan = Plan::Sequence(Box::new(SequenceCall {
            input: Plan::Project {
                input: Box::new(Plan::OneRow),
                exprs: vec![Expr::Const(Value::Reg(reg), DataType::Regclass)],
            },
            function: SequenceFunction::Row,
        }));
        let columns = [
            ("last_value", DataType::Int8),
            ("log_cnt", DataType::Int8),
            ("is_called", DataType::Bool),
        ];
        let entry =
            |(i, (name, ty)): (usize, (&str, DataType))| Entry::of(&Column::new(name, ty), i);
        let columns = columns.into_iter().enumerate().map(entry).collect();
        (plan, named(&sequence.schema, &sequence.name, columns))
    }

    fn read(&self, oid: u32, schema: Option<&str>, name: &str, relation: &Relation) {
        let Some(reading) = &self.reading else {
            return;
        };
        let mut reading = reading.borrow_mut();
        let known = |r: &Reads| r.name == name && r.schema.as_deref() == schema;
        if reading.reads.iter().any(known) {
            return;
        }
        let columns = relation.columns.iter().map(|e| ReadColumn {
            number: e.attnum,
            name: e.name.clone(),
            used: false,
        });
        reading.reads.push(Reads {
            relation: types::TableId(oid),
            schema: schema.map(str::to_owned),
            name: name.to_owned(),
            columns: columns.collect(),
        });
    }

    /// Inside a view: the columns that there were, as they were called.
    fn as_read(
        &self,
        schema: Option<&str>,
        name: &str,
        plan: Plan,
        mut relation: Relation,
    ) -> (Plan, Relation) {
        let Some(read) = self.read_as(schema, name) else {
            return (plan, relation);
        };
        name.clone_into(&mut relation.alias);
        relation.table = Some(name.to_owned());
        let width = relation.columns.len();
        let old = |c: &ReadColumn| {
            let now = relation.columns.iter().find(|e| e.attnum == c.number)?;
            Some(Entry {
                name: c.name.clone(),
                ..now.clone()
            })
        };
        let mut columns: Vec<Entry> = read.columns.iter().filter_map(old).collect();
        let place = |e: &Entry| columns.iter().position(|c| c.attnum == e.attnum);
        let key = relation.key.iter().filter_map(|k| relation.columns.get(*k));
        let key: Vec<Option<usize>> = key.map(place).collect();
        relation.key = key.into_iter().collect::<Option<_>>().unwrap_or_default();
        let same = columns.len() == width
            && columns
                .iter()
                .enumerate()
                .all(|(i, e)| matches!(e.expr, Expr::Column(c, _) if c == i));
        if same {
            relation.columns = columns;
            return (plan, relation);
        }
        let exprs = columns.iter().map(|e| e.expr.clone()).collect();
        for (i, e) in columns.iter_mut().enumerate() {
            e.expr = Expr::Column(i, e.expr.ty());
        }
        relation.columns = columns;
        let input = Box::new(plan);
        (Plan::Project { input, exprs }, relation)
    }

    /// The rows of a stated query.
    fn stated(&mut self, query: &Stated) -> Result<Rel> {
        self.count_relation()?;
        let parsed = parsed(&kept::as_made(self.env.catalog, &query.sql))?;
        let q = query_of(&parsed)?;
        let mut inner = Binder::new(self.env, &parsed.lines);
        inner.path.clone_from(&query.path);
        inner.view = Some(query);
        inner.counts_on_from(self);
        inner.bodies = self.bodies;
        inner.inlining.clone_from(&self.inlining);
        inner.each_call = self.each_call;
        inner.defining = self.defining;
        inner.unfilled = self.unfilled;
        let rel = inner.query(q);
        self.counts_on_from(&inner);
        rel.map_err(unplaced)
    }

    /// The text that is kept, in which the columns have the names that the view gives them.
    fn kept_text(
        &self,
        stated: &Stated,
        name: &ast::ObjectName,
        columns: &[ast::Ident],
    ) -> Result<String> {
        let given: Vec<String> = columns.iter().map(names::ident).collect();
        if let Some(text) = self.restated(stated, &given) {
            return Ok(text);
        }
        let plain = Stated {
            sql: with_columns(stated.sql.clone(), name, columns)?,
            ..stated.clone()
        };
        let again = (!given.is_empty()).then(|| self.restated(&plain, &[]));
        Ok(again.flatten().unwrap_or(plain.sql))
    }

    /// The text with marks for its names, where all that is bound from it is what the text itself means.
    fn restated(&self, query: &Stated, given: &[String]) -> Option<String> {
        let marked = self.marked(query, given).ok().flatten();
        let same = |marked: &String| {
            let context = self.env.context;
            let kept = Stated {
                sql: marked.clone(),
                ..query.clone()
            };
            let shown = Stated {
                sql: kept::as_shown(context, marked),
                path: path::searched(context),
                ..Stated::default()
            };
            let Some((mut names, plan)) = self.meaning(query) else {
                return false;
            };
            names
                .iter_mut()
                .zip(given)
                .for_each(|(name, given)| name.clone_from(given));
            let meant = Some((names, plan));
            [&kept, &shown].iter().all(|q| self.meaning(q) == meant)
        };
        marked.filter(same)
    }

    /// A binder of its own for a text that is kept.
    fn apart<'b>(&self, lines: &'b parse::Lines) -> Binder<'b>
    where
        'a: 'b,
    {
        let mut inner = Binder::new(self.env, lines);
        inner.defining = true;
        inner.unfilled = self.unfilled;
        inner
    }

    fn marked(&self, query: &Stated, given: &[String]) -> Result<Option<String>> {
        if !kept::can_be_marked(&query.sql) {
            return Ok(None);
        }
        let parsed = parsed(&query.sql)?;
        let mut inner = self.apart(&parsed.lines);
        inner.path.clone_from(&query.path);
        let notes = Some(restate::Notes::default());
        inner.reading = Some(RefCell::new(Reading {
            notes,
            ..Reading::default()
        }));
        let q = query_of(&parsed)?;
        let rel = inner.query(q)?;
        let main = restate::main_select(q);
        let main = main.and_then(|s| parsed.lines.position(s.select_token.0.span.start));
        let reading = inner.reading.take().unwrap_or_default().into_inner();
        let mut labels = Vec::new();
        each_expr(&rel.plan, &mut |e| {
            let value = restate::label_of(e);
            let label = value.and_then(|v| Some((v, self.env.catalog.label(v)?.to_owned())));
            labels.extend(label);
        });
        let notes = reading.notes.unwrap_or_default();
        let known = restate::Known {
            labels: &labels,
            names: given,
            main: main.and_then(|at| at.checked_sub(1)),
        };
        Ok(restate::marked(&query.sql, &notes, &known))
    }

    /// The names and the plan that a text is bound to; `None` where it is not understood.
    fn meaning(&self, query: &Stated) -> Option<(Vec<String>, String)> {
        let none = parse::Lines::of("");
        let rel = self.apart(&none).stated(query).ok()?;
        let names = rel.columns.iter().map(|c| c.name.clone()).collect();
        Some((names, format!("{:?}", rel.plan)))
    }

    /// Binds a query that is to be kept, and notes what it reads.
    fn kept(&mut self, body: &'a define::AsQuery) -> Result<(Query, Stated)> {
        self.reading = Some(RefCell::default());
        self.defining = true;
        let query = self.top_query(&body.query)?;
        if !self.params.is_empty() {
            return Err(Error::new(
                SqlState::UNDEFINED_PARAMETER,
                "there is no parameter $1",
            ));
        }
        let stated = self.stated_query(&query, body.text.clone());
        Ok((query, stated))
    }

    /// A bound query as it is kept.
    pub(super) fn stated_query(&mut self, query: &Query, sql: String) -> Stated {
        let reading = self.reading.take().unwrap_or_default().into_inner();
        let mut reads = reading.reads;
        for read in &mut reads {
            for column in &mut read.columns {
                column.used = reading.columns.contains(&(read.relation.0, column.number));
            }
        }
        let mut uses: Vec<u32> = reading.others.iter().copied().collect();
        used_sequences(&query.plan, &mut |oid| {
            let known = self
                .env
                .catalog
                .sequences
                .contains_key(&types::TableId(oid));
            if known && !uses.contains(&oid) {
                uses.push(oid);
            }
        });
        used_types(&query.plan, &mut |oid| {
            if !uses.contains(&oid) {
                uses.push(oid);
            }
        });
        for column in query.columns.iter() {
            let oid = column.ty.user_oid();
            uses.extend(oid.filter(|oid| !uses.contains(oid)));
        }
        Stated {
            sql,
            path: self.path.clone(),
            reads,
            uses,
        }
    }

    pub(super) fn create_view(&mut self, def: &'a define::ViewDef) -> Result<Statement> {
        if def.materialized {
            return self.create_materialized(def);
        }
        self.unfilled = true;
        let (query, mut stated) = self.kept(&def.body)?;
        stated.sql = self.kept_text(&stated, &def.name, &def.body.columns)?;
        // As in PostgreSQL, what it reads makes it temporary, unless a schema says otherwise.
        let temporary = def.temporary || self.reads_temporary(&stated);
        let name = self.creation(&def.name, temporary)?;
        let columns = output_columns(&query, &def.body.columns)?;
        let columns = columns.into_iter().map(|c| ViewColumn {
            name: c.name,
            ty: c.ty,
            typmod: c.typmod,
        });
        let view = View {
            id: types::TableId(0),
            schema: name.schema,
            name: name.name,
            columns: columns.collect(),
            query: stated,
            since: 0,
            updatable: super::through::updatable(&query.plan),
            check: def.check,
        };
        self.can_check(&view)?;
        let or_replace = def.or_replace;
        Ok(Statement::Ddl(Ddl::CreateView(CreateView {
            view,
            or_replace,
            made_temporary: temporary && !def.temporary,
        })))
    }

    pub(super) fn reads_temporary(&self, query: &Stated) -> bool {
        let tables = &self.env.catalog.tables;
        let views = &self.env.catalog.views;
        let own = engine::catalog::path::temporary(self.env.context);
        let temporary = |r: &Reads| {
            tables.get(&r.relation).is_some_and(|t| t.is_temporary())
                || views.get(&r.relation).is_some_and(|v| v.schema == own)
        };
        query.reads.iter().any(temporary)
    }

    fn create_materialized(&mut self, def: &'a define::ViewDef) -> Result<Statement> {
        let name = self.creation(&def.name, false)?;
        self.unfilled = !def.body.with_data;
        let (query, mut stated) = self.kept(&def.body)?;
        stated.sql = self.kept_text(&stated, &def.name, &def.body.columns)?;
        if self.reads_temporary(&stated) {
            return Err(Error::unsupported(
                "materialized views must not use temporary tables or views",
            ));
        }
        let columns = output_columns(&query, &def.body.columns)?;
        let table = CreateTable {
            schema: name.schema,
            name: name.name,
            if_not_exists: def.if_not_exists,
            columns: self.definitions(columns)?,
            materialized: Some((stated, def.body.with_data)),
            ..CreateTable::default()
        };
        filled(table, query, def.body.with_data)
    }

    /// CREATE TABLE AS.
    pub(super) fn create_table_as(
        &mut self,
        mut table: CreateTable,
        body: &'a define::AsQuery,
    ) -> Result<Statement> {
        let query = self.top_query(&body.query)?;
        table.columns = self.definitions(output_columns(&query, &body.columns)?)?;
        table.filled = true;
        filled(table, query, body.with_data)
    }

    /// A column that is one of a table has that one's domain.
    fn definitions(&self, columns: Vec<Column>) -> Result<Vec<ColumnDef>> {
        for c in &columns {
            self.can_be_stored(&c.name, c.ty)?;
        }
        let catalog = self.env.catalog;
        let define = |(i, c): (usize, Column)| {
            let table = catalog.table(types::TableId(c.table));
            let origin = table.and_then(|t| t.columns.get(t.ordinal(c.attnum)?));
            let domain = origin.map(|o| o.declared).filter(|d| catalog.is_domain(*d));
            ColumnDef {
                typmod: c.typmod,
                declared: domain.or(c.ty.user_oid()).unwrap_or(0),
                ..ColumnDef::new(c.name, c.ty, i as i16 + 1)
            }
        };
        Ok(columns.into_iter().enumerate().map(define).collect())
    }

    /// SELECT INTO: CREATE TABLE AS in other words.
    pub(super) fn select_into(
        &mut self,
        q: &'a ast::Query,
        into: &ast::SelectInto,
    ) -> Result<Statement> {
        if into.unlogged {
            return Err(super::unsupported("SELECT INTO UNLOGGED"));
        }
        let [ast::Expr::Identifier(_) | ast::Expr::CompoundIdentifier(_)] = into.targets.as_slice()
        else {
            return Err(super::syntax("syntax error after INTO"));
        };
        let parts = match into.targets.first() {
            Some(ast::Expr::Identifier(i)) => vec![i.clone()],
            Some(ast::Expr::CompoundIdentifier(parts)) => parts.clone(),
            _ => Vec::new(),
        };
        let name = self.creation(&ast::ObjectName::from(parts), into.temporary)?;
        let temporary = name.schema == engine::catalog::path::temporary(self.env.context);
        self.into = true;
        let query = self.top_query(q)?;
        let table = CreateTable {
            schema: name.schema,
            name: name.name,
            columns: self.definitions(output_columns(&query, &[])?)?,
            filled: true,
            temporary: temporary.then_some(engine::catalog::OnCommit::PreserveRows),
            ..CreateTable::default()
        };
        filled(table, query, true)
    }

    pub(super) fn refresh(
        &mut self,
        name: &ast::ObjectName,
        with_data: bool,
        concurrently: bool,
    ) -> Result<Statement> {
        let (schema, base) = self.qualified(name)?;
        let table = match self.find(schema.as_deref(), &base) {
            Some(Found::Table(table)) => table,
            Some(_) => return Err(not_materialized(&base)),
            None => {
                return Err(Error::new(
                    SqlState::UNDEFINED_TABLE,
                    format!("relation \"{base}\" does not exist"),
                ));
            }
        };
        let TableKind::Materialized {
            query, populated, ..
        } = &table.kind
        else {
            return Err(not_materialized(&base));
        };
        if concurrently {
            may_refresh_concurrently(&table, *populated)?;
        }
        let ddl = Ddl::Refresh {
            view: table.id,
            with_data,
        };
        if !with_data {
            return Ok(Statement::Ddl(ddl));
        }
        let rel = self.stated(query)?;
        let query = Query {
            plan: rel.plan,
            columns: Arc::new(rel.columns),
        };
        Ok(Statement::Fill { ddl, query })
    }
}

fn parsed(sql: &str) -> Result<parse::Parsed> {
    let mut all = parse::parse(sql)?;
    match (all.pop(), all.is_empty()) {
        (Some(parsed), true) => Ok(parsed),
        _ => Err(Error::internal("a view of more than one statement")),
    }
}

fn query_of(parsed: &parse::Parsed) -> Result<&ast::Query> {
    match &parsed.ast {
        Ast::Sql(statement) => match &**statement {
            ast::Statement::Query(q) => Ok(q),
            _ => Err(Error::internal("a view that is no query")),
        },
        Ast::Command(_) => Err(Error::internal("a view that is no query")),
    }
}

/// Readers are never kept out, which is all that CONCURRENTLY asks for; yet it wants what PostgreSQL's needs.
fn may_refresh_concurrently(table: &Table, populated: bool) -> Result<()> {
    if !populated {
        return Err(Error::unsupported(
            "CONCURRENTLY cannot be used when the materialized view is not populated",
        ));
    }
    let usable = |i: &Arc<Index>| {
        let columns = i.parts.iter().all(|p| p.column().is_some());
        i.unique && !i.invalid && i.predicate.is_none() && columns
    };
    if table.indexes.iter().any(usable) {
        return Ok(());
    }
    let name = format!(
        "{}.{}",
        quote_identifier(&table.schema),
        quote_identifier(&table.name)
    );
    Err(Error::new(
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("cannot refresh materialized view \"{name}\" concurrently"),
    )
    .with_hint(
        "Create a unique index with no WHERE clause on one or more columns of the materialized view.",
    ))
}

fn not_materialized(name: &str) -> Error {
    Error::new(
        SqlState::WRONG_OBJECT_TYPE,
        format!("\"{name}\" is not a materialized view"),
    )
}

fn filled(table: CreateTable, query: Query, with_data: bool) -> Result<Statement> {
    let ddl = Ddl::CreateTable(Box::new(table));
    Ok(match with_data {
        true => Statement::Fill { ddl, query },
        false => Statement::Ddl(ddl),
    })
}

/// The columns that CREATE VIEW names are part of the query, so that its text says them.
fn with_columns(sql: String, view: &ast::ObjectName, columns: &[ast::Ident]) -> Result<String> {
    if columns.is_empty() {
        return Ok(sql);
    }
    let alias = names::parts(view)?.pop().unwrap_or_default();
    let quoted = |name: &str| quote_identifier(name).into_owned();
    let columns: Vec<String> = columns.iter().map(|c| quoted(&names::ident(c))).collect();
    let columns = columns.join(", ");
    // A comment may end the text.
    Ok(format!(
        "SELECT * FROM (\n{sql}\n) AS {}({columns})",
        quoted(&alias)
    ))
}

/// A query's columns under the names that are given them, each name once.
fn output_columns(query: &Query, given: &[ast::Ident]) -> Result<Vec<Column>> {
    if given.len() > query.columns.len() {
        return Err(Error::new(
            SqlState::SYNTAX_ERROR,
            "too many column names were specified",
        ));
    }
    if query.columns.len() > limits::COLUMNS_MAX {
        return Err(Error::new(
            SqlState::TOO_MANY_COLUMNS,
            format!("tables can have at most {} columns", limits::COLUMNS_MAX),
        ));
    }
    let mut out: Vec<Column> = query.columns.to_vec();
    for (column, name) in out.iter_mut().zip(given) {
        column.name = names::ident(name);
    }
    let mut seen = BTreeSet::new();
    for column in &out {
        if !seen.insert(column.name.as_str()) {
            return Err(Error::new(
                SqlState::DUPLICATE_COLUMN,
                format!("column \"{}\" specified more than once", column.name),
            ));
        }
        if let DataType::Void | DataType::Record | DataType::RecordArray = column.ty {
            return Err(Error::new(
                SqlState::INVALID_TABLE_DEFINITION,
                format!("column \"{}\" has pseudo-type {}", column.name, column.ty),
            ));
        }
    }
    Ok(out)
}

/// Whether an expression asks a sequence, or calls a function.
pub(super) fn draws_values(e: &Expr) -> bool {
    fn plan_draws(plan: &Plan) -> bool {
        matches!(plan, Plan::Sequence(_) | Plan::Call(_))
            || plan.exprs().into_iter().any(draws_values)
            || plan.inputs().into_iter().any(plan_draws)
    }
    e.any(&mut |e| matches!(e, Expr::Subquery { plan, .. } if plan_draws(plan)))
}

/// All that a plan computes, in its subqueries as well.
fn each_expr(plan: &Plan, f: &mut dyn FnMut(&Expr)) {
    for e in plan.exprs() {
        e.each(&mut |e| {
            f(e);
            if let Expr::Subquery { plan, .. } = e {
                each_expr(plan, f);
            }
        });
    }
    for input in plan.inputs() {
        each_expr(input, f);
    }
}

/// The users' types of what a plan computes.
fn used_types(plan: &Plan, f: &mut dyn FnMut(u32)) {
    each_expr(plan, &mut |e| {
        e.ty().user_oid().into_iter().for_each(&mut *f);
        cast_to_domain(e).into_iter().for_each(&mut *f);
    });
}

/// The relations that constants of type `regclass` name.
fn used_sequences(plan: &Plan, f: &mut dyn FnMut(u32)) {
    each_expr(plan, &mut |e| {
        if let Expr::Const(Value::Reg(reg), _) = e {
            f(reg.oid);
        }
    });
}

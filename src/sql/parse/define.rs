//! Definitions read by hand: CREATE, ALTER, DROP, COMMENT, REFRESH, REINDEX, TRUNCATE.
//!
//! Owns: their clauses, in PostgreSQL's order. Never: reads a column, constraint, query or expression itself (the grammar
//! crate's parser is asked for those). CREATE INDEX is the grammar crate's. Source: PostgreSQL 15 manual, part VI.

mod alter;
mod database;
mod extension;
mod function;
mod parameters;
mod sequence;
mod table;
mod trigger;
mod view;

pub(crate) use extension::ExtensionDef;
pub(crate) use function::{Body as FunctionBody, FunctionDef, Hints, Returns, Signature};
pub(crate) use parameters::{Parameter, Storage};
pub(crate) use sequence::of_identity;
pub(crate) use trigger::{TriggerDef, Which};

use super::cursor::Cursor;
use crate::parse::command::string_or_null;
use engine::plan::ddl::{DatabaseChange, FunctionTraits};
use sqlparser::ast::{self, Ident, ObjectName};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace};
use types::{Error, Result, SqlState};

/// A definition, read but not bound.
#[derive(Debug)]
pub(crate) enum Definition {
    Table(Box<TableDef>),
    View(Box<ViewDef>),
    Sequence(SequenceDef),
    Schema {
        name: Ident,
        if_not_exists: bool,
    },
    Enum {
        name: ObjectName,
        labels: Vec<String>,
    },
    /// AS (…): a type that is a row.
    Composite {
        name: ObjectName,
        attributes: Vec<ast::ColumnDef>,
    },
    Function(Box<FunctionDef>),
    Extension(ExtensionDef),
    /// DROP ROLE IF EXISTS.
    NoRoles(Vec<String>),
    Trigger(Box<TriggerDef>),
    RenameTrigger {
        name: Ident,
        table: ObjectName,
        to: Ident,
    },
    DropTrigger {
        name: Ident,
        table: ObjectName,
        if_exists: bool,
    },
    Database(DatabaseChange),
    /// As the definition of a column called `value`.
    Domain {
        name: ObjectName,
        column: Box<ast::ColumnDef>,
    },
    Alter(Box<Alter>),
    Drop(DropDef),
    Truncate {
        tables: Vec<ObjectName>,
        restart: bool,
        cascade: bool,
    },
    Comment {
        on: CommentOn,
        text: Option<String>,
    },
    Reindex {
        what: Reindexed,
        name: ObjectName,
        concurrently: bool,
    },
    Refresh {
        name: ObjectName,
        with_data: bool,
        concurrently: bool,
    },
}

/// What a statement says it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ObjectKind {
    Table,
    View,
    MaterializedView,
    Sequence,
    Index,
    Schema,
    Type,
    Domain,
    Function,
    Procedure,
    Extension,
}

#[derive(Debug)]
pub(crate) struct TableDef {
    pub name: ObjectName,
    pub temporary: bool,
    pub if_not_exists: bool,
    pub elements: Vec<Element>,
    pub with: Vec<Parameter>,
    pub on_commit: Option<OnCommit>,
    /// PARTITION BY HASH (…).
    pub placement: Vec<Ident>,
    /// USING and TABLESPACE.
    pub method: Option<String>,
    pub tablespace: Option<String>,
    pub filled: Option<AsQuery>,
}

#[derive(Debug)]
pub(crate) enum Element {
    Column(ast::ColumnDef),
    Constraint(ast::TableConstraint),
    Like(Like),
}

/// LIKE, with what INCLUDING and EXCLUDING leave.
#[derive(Debug)]
pub(crate) struct Like {
    pub table: ObjectName,
    pub defaults: bool,
    pub constraints: bool,
    pub indexes: bool,
    pub identity: bool,
    pub generated: bool,
    pub comments: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnCommit {
    PreserveRows,
    DeleteRows,
    Drop,
}

/// AS: a query, and the names of its columns.
#[derive(Debug)]
pub(crate) struct AsQuery {
    pub columns: Vec<Ident>,
    pub query: Box<ast::Query>,
    /// The query's own text.
    pub text: String,
    pub with_data: bool,
}

#[derive(Debug)]
pub(crate) struct ViewDef {
    pub name: ObjectName,
    pub or_replace: bool,
    pub materialized: bool,
    pub temporary: bool,
    pub if_not_exists: bool,
    pub body: AsQuery,
    /// WITH CHECK OPTION: whether CASCADED.
    pub check: Option<bool>,
}

#[derive(Debug)]
pub(crate) struct SequenceDef {
    pub name: ObjectName,
    pub temporary: bool,
    pub if_not_exists: bool,
    pub options: SequenceOptions,
}

/// `None` where nothing is said; `Some(None)` for NO and NONE.
#[derive(Debug, Default)]
pub(crate) struct SequenceOptions {
    pub ty: Option<ast::DataType>,
    pub increment: Option<i64>,
    pub min: Option<Option<i64>>,
    pub max: Option<Option<i64>>,
    pub start: Option<i64>,
    /// `Some(None)`: at its start.
    pub restart: Option<Option<i64>>,
    pub cache: Option<i64>,
    pub cycle: Option<bool>,
    pub owned_by: Option<Option<ObjectName>>,
    /// SEQUENCE NAME, of an identity column.
    pub name: Option<ObjectName>,
}

#[derive(Debug)]
pub(crate) struct Alter {
    pub kind: ObjectKind,
    pub name: ObjectName,
    /// Of a function, instead.
    pub function: Option<Signature>,
    pub if_exists: bool,
    pub actions: Vec<Action>,
}

/// One action of ALTER.
#[derive(Debug)]
pub(crate) enum Action {
    /// As the grammar crate reads it.
    Plain(Box<ast::AlterTableOperation>),
    RenameTo(Ident),
    RenameColumn {
        from: Ident,
        to: Ident,
    },
    RenameConstraint {
        from: Ident,
        to: Ident,
    },
    SetSchema(Ident),
    Function(FunctionTraits, Hints),
    /// ALTER CONSTRAINT name [NOT] DEFERRABLE INITIALLY …
    SetTiming {
        name: Ident,
        deferrable: bool,
        initially_deferred: bool,
    },
    /// Storage parameters and their like, of the table or a column.
    Storage(Option<Ident>, Storage),
    /// There is one user, who owns everything: it has to be this one.
    Owner(String),
    /// ALTER COLUMN … ADD GENERATED … AS IDENTITY
    AddIdentity {
        column: Ident,
        always: bool,
        options: SequenceOptions,
    },
    /// ALTER COLUMN … SET GENERATED, SET and RESTART
    ChangeIdentity {
        column: Ident,
        always: Option<bool>,
        options: SequenceOptions,
    },
    DropIdentity {
        column: Ident,
        if_exists: bool,
    },
    DropExpression {
        column: Ident,
        if_exists: bool,
    },
    /// ENABLE and DISABLE TRIGGER: its name, or all; `O`, `A`, `R` or `D`.
    FireTriggers(Which, char),
    Sequence(SequenceOptions),
    /// ADD, DROP and RENAME ATTRIBUTE, of a composite type.
    Attribute(AttributeAction),
    /// ADD VALUE, to an enum.
    AddValue {
        label: String,
        if_not_exists: bool,
        /// BEFORE (true) or AFTER this label.
        beside: Option<(bool, String)>,
    },
    RenameValue {
        from: String,
        to: String,
    },
    /// SET and DROP DEFAULT, of a domain.
    DomainDefault(Option<Box<ast::Expr>>),
    /// SET and DROP NOT NULL, of a domain.
    DomainNotNull(bool),
}

#[derive(Debug)]
pub(crate) enum AttributeAction {
    Add(Box<ast::ColumnDef>),
    Drop { name: Ident, if_exists: bool },
    Rename { from: Ident, to: Ident },
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Reindexed {
    Index,
    Table,
    Schema,
    Database,
}

#[derive(Debug)]
pub(crate) struct DropDef {
    pub kind: ObjectKind,
    pub names: Vec<ObjectName>,
    /// Of functions, instead.
    pub functions: Vec<Signature>,
    pub if_exists: bool,
    pub cascade: bool,
    pub concurrently: bool,
}

#[derive(Debug)]
pub(crate) enum CommentOn {
    Object(ObjectKind, ObjectName),
    Function(Signature),
    Column(ObjectName),
    Constraint { name: Ident, table: ObjectName },
    Trigger { name: Ident, table: ObjectName },
    Database(String),
}

/// CREATE; `None` when the grammar crate reads it (CREATE INDEX).
pub(super) fn create(c: &mut Cursor, text: &str) -> Result<Option<Definition>> {
    if c.second_is("index") || c.second_is("unique") {
        return Ok(None);
    }
    c.expect("create")?;
    let or_replace = c.accept("or");
    if or_replace {
        c.expect("replace")?;
    }
    let scoped = c.accept("local") || c.accept("global");
    let temporary = c.accept("temp") || c.accept("temporary");
    if scoped && !temporary {
        return Err(c.error());
    }
    if c.is("recursive") {
        return Err(Error::unsupported("CREATE RECURSIVE VIEW is not supported"));
    }
    // Every table is logged, which is more than is asked for.
    if c.accept("unlogged") && (temporary || !c.is("table")) {
        return Err(c.error());
    }
    let definition = if c.accept("view") {
        view::create(c, text, or_replace, temporary)?
    } else if !temporary && c.accept("function") {
        Definition::Function(Box::new(function::create(c, text, or_replace)?))
    } else if !temporary && c.accept("procedure") {
        Definition::Function(Box::new(function::procedure(c, text, or_replace)?))
    } else if !temporary && c.accept("trigger") {
        Definition::Trigger(Box::new(trigger::create(c, or_replace)?))
    } else if c.is("constraint") && c.second_is("trigger") {
        return Err(trigger::constraint_triggers());
    } else if or_replace {
        return Err(refused("CREATE OR REPLACE", c));
    } else if c.accept("table") {
        Definition::Table(Box::new(table::table(c, text, temporary)?))
    } else if c.accept("sequence") {
        sequence::create(c, temporary)?
    } else if temporary {
        return Err(c.error());
    } else if c.accept("materialized") {
        view::materialized(c, text)?
    } else if c.accept("type") {
        new_type(c)?
    } else if c.accept("schema") {
        schema(c)?
    } else if c.accept("domain") {
        domain(c)?
    } else if c.accept("extension") {
        extension::create(c)?
    } else if c.is("event") && c.second_is("trigger") {
        return Err(Error::unsupported("event triggers are not supported"));
    } else if c.is("database") {
        database::create(c)?
    } else {
        return Err(refused("CREATE", c));
    };
    Ok(Some(definition))
}

fn refused(what: &str, c: &Cursor) -> Error {
    match c.peek() {
        Some(Token::Word(w)) => Error::unsupported(format!(
            "{what} {} is not supported",
            w.value.to_ascii_uppercase()
        )),
        _ => c.error(),
    }
}

/// `[(a, b, …)]`
fn columns(c: &mut Cursor) -> Result<Vec<Ident>> {
    if !c.accept_token(&Token::LParen) {
        return Ok(Vec::new());
    }
    let mut names = vec![c.ident()?];
    while c.accept_token(&Token::Comma) {
        names.push(c.ident()?);
    }
    c.expect_token(&Token::RParen)?;
    Ok(names)
}

/// A query, and its text as it was written.
fn query(c: &mut Cursor, text: &str, columns: Vec<Ident>) -> Result<AsQuery> {
    if c.is("execute") {
        return Err(Error::unsupported("AS EXECUTE is not supported"));
    }
    let from = c.rest_of(text);
    let query = c.sub(|p| p.parse_query())?;
    let rest = c.rest_of(text);
    let length = from.len().saturating_sub(rest.len());
    let own = from.get(..length).unwrap_or(&from).trim_end();
    Ok(AsQuery {
        columns,
        query,
        text: own.to_owned(),
        with_data: true,
    })
}

/// `[WITH [NO] DATA]`
fn with_data(c: &mut Cursor) -> Result<bool> {
    if !c.accept("with") {
        return Ok(true);
    }
    let no = c.accept("no");
    c.expect("data")?;
    Ok(!no)
}

fn schema(c: &mut Cursor) -> Result<Definition> {
    let if_not_exists = if_not_exists(c)?;
    if c.is("authorization") {
        return Err(Error::unsupported(
            "CREATE SCHEMA AUTHORIZATION is not supported",
        ));
    }
    let name = c.ident()?;
    if c.accept("authorization") {
        c.name()?;
    }
    if !c.at_end() {
        return Err(
            Error::unsupported("CREATE SCHEMA with elements is not supported")
                .with_hint("Create them in statements of their own."),
        );
    }
    Ok(Definition::Schema {
        name,
        if_not_exists,
    })
}

/// CREATE TYPE … AS ENUM (…), or AS (…)
fn new_type(c: &mut Cursor) -> Result<Definition> {
    let name = c.object_name()?;
    let is = c.accept("as");
    if is && c.accept_token(&Token::LParen) {
        let mut attributes = Vec::new();
        while !c.accept_token(&Token::RParen) {
            if !attributes.is_empty() {
                c.expect_token(&Token::Comma)?;
            }
            attributes.push(alter::attribute(&mut c.element())?);
        }
        return Ok(Definition::Composite { name, attributes });
    }
    if !is || !c.accept("enum") {
        return Err(Error::unsupported(
            "CREATE TYPE of range, base and shell types is not supported",
        )
        .with_hint("CREATE TYPE … AS ENUM and AS (…) are."));
    }
    c.expect_token(&Token::LParen)?;
    let mut labels = Vec::new();
    if !c.accept_token(&Token::RParen) {
        loop {
            labels.push(label(c)?);
            if !c.accept_token(&Token::Comma) {
                break;
            }
        }
        c.expect_token(&Token::RParen)?;
    }
    Ok(Definition::Enum { name, labels })
}

/// CREATE DOMAIN name [AS] type [DEFAULT …] [[CONSTRAINT name] {NOT NULL | NULL | CHECK (…)}] …
fn domain(c: &mut Cursor) -> Result<Definition> {
    let name = c.object_name()?;
    c.accept("as");
    let mut tokens = vec![TokenWithSpan::wrap(Token::make_word("value", None))];
    tokens.push(TokenWithSpan::wrap(Token::Whitespace(Whitespace::Space)));
    tokens.extend_from_slice(c.rest());
    let column = c.whole(tokens, |p: &mut Parser<'static>| p.parse_column_def())?;
    c.skip_all();
    Ok(Definition::Domain {
        name,
        column: Box::new(column),
    })
}

/// A string that is not NULL.
fn label(c: &mut Cursor) -> Result<String> {
    let error = c.error();
    string_or_null(c)?.ok_or(error)
}

pub(super) fn drop(c: &mut Cursor) -> Result<Definition> {
    c.expect("drop")?;
    if c.accept("trigger") {
        return trigger::drop(c);
    }
    if c.is("database") {
        return database::drop(c);
    }
    if c.is("role") || c.is("user") || c.is("group") {
        return extension::drop_roles(c);
    }
    let kind = kind(c)?.ok_or_else(|| refused("DROP", c))?;
    let concurrently = matches!(kind, ObjectKind::Index) && c.accept("concurrently");
    let if_exists = if_exists(c)?;
    let (mut names, mut functions) = (Vec::new(), Vec::new());
    loop {
        match kind {
            ObjectKind::Function | ObjectKind::Procedure => {
                functions.push(function::signature(c)?);
            }
            _ => names.push(c.object_name()?),
        }
        if !c.accept_token(&Token::Comma) {
            break;
        }
    }
    let cascade = cascade(c);
    Ok(Definition::Drop(DropDef {
        kind,
        names,
        functions,
        if_exists,
        cascade,
        concurrently,
    }))
}

/// `[CASCADE | RESTRICT]`
fn cascade(c: &mut Cursor) -> bool {
    let cascade = c.accept("cascade");
    cascade || {
        c.accept("restrict");
        false
    }
}

fn kind(c: &mut Cursor) -> Result<Option<ObjectKind>> {
    const KINDS: [(&str, ObjectKind); 10] = [
        ("table", ObjectKind::Table),
        ("view", ObjectKind::View),
        ("sequence", ObjectKind::Sequence),
        ("index", ObjectKind::Index),
        ("schema", ObjectKind::Schema),
        ("type", ObjectKind::Type),
        ("domain", ObjectKind::Domain),
        ("function", ObjectKind::Function),
        ("procedure", ObjectKind::Procedure),
        ("extension", ObjectKind::Extension),
    ];
    if c.accept("materialized") {
        c.expect("view")?;
        return Ok(Some(ObjectKind::MaterializedView));
    }
    Ok(KINDS.iter().find(|(word, _)| c.accept(word)).map(|k| k.1))
}

fn if_exists(c: &mut Cursor) -> Result<bool> {
    let found = c.accept("if");
    if found {
        c.expect("exists")?;
    }
    Ok(found)
}

pub(super) fn if_not_exists(c: &mut Cursor) -> Result<bool> {
    let found = c.accept("if");
    if found {
        c.expect("not")?;
        c.expect("exists")?;
    }
    Ok(found)
}

pub(super) fn alter(c: &mut Cursor) -> Result<Definition> {
    c.expect("alter")?;
    if c.accept("trigger") {
        return trigger::alter(c);
    }
    if c.is("database") {
        return database::alter(c);
    }
    let kind = kind(c)?.ok_or_else(|| refused("ALTER", c))?;
    let named = matches!(
        kind,
        ObjectKind::Schema
            | ObjectKind::Type
            | ObjectKind::Domain
            | ObjectKind::Function
            | ObjectKind::Procedure
            | ObjectKind::Extension
    );
    let if_exists = !named && if_exists(c)?;
    if kind == ObjectKind::Table {
        c.accept("only");
    }
    let function = match kind {
        ObjectKind::Function | ObjectKind::Procedure => Some(function::signature(c)?),
        _ => None,
    };
    let name = match &function {
        Some(f) => f.name.clone(),
        None => c.object_name()?,
    };
    c.accept_token(&Token::Mul);
    let actions = alter::actions(c, kind)?;
    Ok(Definition::Alter(Box::new(Alter {
        kind,
        name,
        function,
        if_exists,
        actions,
    })))
}

pub(super) fn truncate(c: &mut Cursor) -> Result<Definition> {
    c.next();
    c.accept("table");
    let mut tables = Vec::new();
    loop {
        c.accept("only");
        tables.push(c.object_name()?);
        c.accept_token(&Token::Mul);
        if !c.accept_token(&Token::Comma) {
            break;
        }
    }
    let restart = c.accept("restart");
    if restart || c.accept("continue") {
        c.expect("identity")?;
    }
    let cascade = cascade(c);
    Ok(Definition::Truncate {
        tables,
        restart,
        cascade,
    })
}

pub(super) fn comment(c: &mut Cursor) -> Result<Definition> {
    c.next();
    c.expect("on")?;
    let on = if c.accept("column") {
        CommentOn::Column(c.object_name()?)
    } else if c.accept("constraint") {
        let name = c.ident()?;
        c.expect("on")?;
        if c.is("domain") {
            return Err(refused("COMMENT ON CONSTRAINT ON", c));
        }
        let table = c.object_name()?;
        CommentOn::Constraint { name, table }
    } else if c.accept("trigger") {
        let name = c.ident()?;
        c.expect("on")?;
        let table = c.object_name()?;
        CommentOn::Trigger { name, table }
    } else if c.accept("database") {
        CommentOn::Database(c.name()?)
    } else if c.accept("function") || c.accept("procedure") {
        CommentOn::Function(function::signature(c)?)
    } else {
        let kind = kind(c)?.ok_or_else(|| refused("COMMENT ON", c))?;
        let name = c.object_name()?;
        CommentOn::Object(kind, name)
    };
    c.expect("is")?;
    let text = string_or_null(c)?;
    Ok(Definition::Comment {
        on,
        text: text.filter(|t| !t.is_empty()),
    })
}

pub(super) fn refresh(c: &mut Cursor) -> Result<Definition> {
    c.next();
    c.expect("materialized")?;
    c.expect("view")?;
    let concurrently = c.accept("concurrently");
    let name = c.object_name()?;
    let with_data = with_data(c)?;
    if concurrently && !with_data {
        return Err(syntax(
            "REFRESH options CONCURRENTLY and WITH NO DATA cannot be used together",
        ));
    }
    Ok(Definition::Refresh {
        name,
        with_data,
        concurrently,
    })
}

/// REINDEX [(CONCURRENTLY)] {INDEX | TABLE | SCHEMA | DATABASE} [CONCURRENTLY] name
pub(super) fn reindex(c: &mut Cursor) -> Result<Definition> {
    c.next();
    let mut concurrently = false;
    if c.accept_token(&Token::LParen) {
        loop {
            let option = c.name()?;
            match option.as_str() {
                "concurrently" => concurrently = super::command::boolean(c, &option)?,
                "verbose" | "tablespace" => {
                    let option = option.to_uppercase();
                    return Err(Error::unsupported(format!(
                        "REINDEX {option} is not supported"
                    )));
                }
                _ => return Err(syntax(&format!("unrecognized REINDEX option \"{option}\""))),
            }
            if !c.accept_token(&Token::Comma) {
                break;
            }
        }
        c.expect_token(&Token::RParen)?;
    }
    let what = if c.accept("index") {
        Reindexed::Index
    } else if c.accept("table") {
        Reindexed::Table
    } else if c.accept("schema") {
        Reindexed::Schema
    } else if c.accept("database") {
        Reindexed::Database
    } else {
        return Err(refused("REINDEX", c));
    };
    concurrently |= c.accept("concurrently");
    let name = c.object_name()?;
    Ok(Definition::Reindex {
        what,
        name,
        concurrently,
    })
}

fn syntax(message: &str) -> Error {
    Error::new(SqlState::SYNTAX_ERROR, message)
}

//! Text to syntax: a script is cut into statements, capped, and each is read into a tree.
//!
//! Owns: `Parsed`, the caps and the map from the parser's errors to PostgreSQL's. Asked by: session.
//! Never: looks a name up. Bounds: `STATEMENT_BYTES_MAX` for the script, tokens, nesting and operator chains of each
//! statement, all counted on the token stream before the recursive parser sees it.

mod brackets;
mod caps;
mod command;
mod copy;
mod cursor;
pub(crate) mod define;
mod errors;
mod explain;
mod frame;
pub(crate) mod infer;
pub(crate) mod lists;
mod maintenance;
mod operators;
pub(crate) mod places;
pub(crate) mod plpgsql;
mod portals;
pub(crate) mod rename;
pub(crate) mod respell;
mod rewrite;
mod settings;
mod split;
pub(crate) mod star;

pub use split::Lines;

use sqlparser::ast;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, TokenWithSpan};
use std::sync::Arc;
use types::{Error, Result, SqlState, limits};

use super::statement::{CopyOptions, Discard, ExplainOptions, Isolation, Scroll, Way};

/// One statement of a script, read but not bound.
#[derive(Debug)]
pub struct Parsed {
    pub(super) ast: Ast,
    /// This statement's own text, without the semicolon.
    pub text: Arc<str>,
    pub kind: Kind,
    /// INSERT … OVERRIDING SYSTEM VALUE, which the grammar crate does not know.
    pub(super) overriding: Overriding,
    /// Of the columns that it assigns to, as `places` has numbered them.
    pub(super) subscripts: Vec<places::Subscripts>,
    /// To turn line and column into a position in the script.
    pub(super) lines: Arc<Lines>,
}

/// What a statement does, known before it is bound: what a failed transaction still accepts is decided by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Query,
    Insert,
    Update,
    Delete,
    Merge,
    Ddl,
    Explain,
    Copy,
    Begin,
    Commit,
    Rollback,
    RollbackTo,
    /// Also RELEASE.
    Savepoint,
    Set,
    Show,
    Prepare,
    Execute,
    Deallocate,
    /// DECLARE, FETCH, MOVE and CLOSE.
    Cursor,
    /// Also UNLISTEN.
    Listen,
    Lock,
    Maintenance,
    Other,
}

/// A syntax tree: the grammar crate's, or one of the commands read by hand.
#[derive(Debug)]
pub(super) enum Ast {
    Sql(Box<ast::Statement>),
    Command(Command),
}

/// Statements that the grammar crate does not know as PostgreSQL does.
#[derive(Debug)]
pub(super) enum Command {
    Begin {
        /// It was START TRANSACTION.
        start: bool,
        isolation: Option<Isolation>,
        read_only: Option<bool>,
    },
    Commit {
        chain: bool,
    },
    Rollback {
        chain: bool,
    },
    Savepoint {
        name: String,
    },
    Release {
        name: String,
    },
    RollbackTo {
        name: String,
    },
    SetTransaction {
        isolation: Option<Isolation>,
        read_only: Option<bool>,
        session: bool,
    },
    /// No names: ALL.
    SetConstraints {
        names: Vec<String>,
        deferred: bool,
    },
    Set {
        name: String,
        value: Option<String>,
        local: bool,
    },
    /// SET and RESET SESSION AUTHORIZATION; no user: the one that connected.
    Authorize {
        user: Option<String>,
        tag: &'static str,
    },
    Show {
        name: String,
    },
    Reset {
        name: Option<String>,
    },
    Discard(Discard),
    Deallocate {
        name: Option<String>,
    },
    Prepare {
        name: String,
        types: Vec<ast::DataType>,
        text: Arc<str>,
    },
    Explain {
        statement: Box<ast::Statement>,
        options: ExplainOptions,
    },
    Copy {
        source: CopySource,
        from: bool,
        filter: Option<Box<ast::Expr>>,
        options: CopyOptions,
    },
    Vacuum {
        tables: Vec<ast::ObjectName>,
        analyze: bool,
    },
    Analyze {
        tables: Vec<ast::ObjectName>,
    },
    /// `exclusive`: nobody else may write.
    Lock {
        tables: Vec<ast::ObjectName>,
        exclusive: bool,
        nowait: bool,
    },
    Define(Box<define::Definition>),
    Checkpoint,
    Backup {
        name: String,
        base: Option<String>,
    },
    Declare {
        name: String,
        scroll: Scroll,
        hold: bool,
        query: Box<ast::Query>,
    },
    Fetch {
        name: String,
        way: Way,
        /// MOVE: no rows are wanted.
        moves: bool,
    },
    Close {
        name: Option<String>,
    },
    Listen {
        channel: String,
    },
    Unlisten {
        channel: Option<String>,
    },
    Notify {
        channel: String,
        text: String,
    },
    /// The text of a body in PL/pgSQL.
    Do {
        body: Arc<str>,
    },
    /// Of a procedure.
    Call(Box<ast::Function>),
    /// Answered with its error when its turn comes, as any statement that cannot be carried out.
    Refused(Error),
}

#[derive(Debug)]
pub(super) enum CopySource {
    Table {
        name: ast::ObjectName,
        columns: Vec<ast::Ident>,
    },
    Query(Box<ast::Query>),
}

/// Cuts a script into statements and reads each; empty ones are dropped.
pub fn parse(sql: &str) -> Result<Vec<Parsed>> {
    if sql.len() > limits::STATEMENT_BYTES_MAX {
        return Err(Error::new(
            SqlState::PROGRAM_LIMIT_EXCEEDED,
            format!(
                "statement of {} bytes exceeds the maximum of {}",
                sql.len(),
                limits::STATEMENT_BYTES_MAX
            ),
        ));
    }
    let tokens = errors::tokenize(sql)?;
    let lines = Arc::new(Lines::of(sql));
    let mut out = Vec::new();
    for piece in split::statements(sql, tokens) {
        caps::check(&piece.tokens)?;
        let text: Arc<str> = piece.text.into();
        let mut tokens = piece.tokens;
        let overriding = overriding(&mut tokens);
        let (ast, subscripts) = read(tokens, &text, sql, &lines)?;
        out.push(Parsed {
            overriding,
            subscripts,
            kind: kind_of(&ast),
            ast,
            text,
            lines: lines.clone(),
        });
    }
    Ok(out)
}

/// OVERRIDING … VALUE of an INSERT: what becomes of a value for an identity column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Overriding {
    /// It is refused where the column always has its own.
    #[default]
    Nothing,
    /// SYSTEM: it is taken.
    System,
    /// USER: the column has its own.
    User,
}

/// Takes OVERRIDING … VALUE out of an INSERT.
fn overriding(tokens: &mut Vec<TokenWithSpan>) -> Overriding {
    let is = |t: &TokenWithSpan, word: &str| matches!(&t.token, Token::Word(w) if w.quote_style.is_none() && w.value.eq_ignore_ascii_case(word));
    let words: Vec<usize> = (0..tokens.len())
        .filter(|i| !matches!(tokens[*i].token, Token::Whitespace(_)))
        .collect();
    if !words.first().is_some_and(|i| is(&tokens[*i], "insert")) {
        return Overriding::Nothing;
    }
    let found = words.windows(3).find(|w| {
        let whose = |word: &str| is(&tokens[w[1]], word);
        is(&tokens[w[0]], "overriding")
            && (whose("system") || whose("user"))
            && is(&tokens[w[2]], "value")
    });
    let Some(&[first, whose, last]) = found else {
        return Overriding::Nothing;
    };
    let out = match is(&tokens[whose], "user") {
        true => Overriding::User,
        false => Overriding::System,
    };
    tokens.drain(first..=last);
    out
}

fn read(
    tokens: Vec<TokenWithSpan>,
    text: &str,
    sql: &str,
    lines: &Lines,
) -> Result<(Ast, Vec<places::Subscripts>)> {
    let source = errors::Source { sql, lines };
    let tokens = rewrite::tokens(operators::tokens(brackets::tokens(tokens)), source)?;
    let tokens = infer::tokens(tokens, source)?;
    let (tokens, subscripts) = places::tokens(tokens, source)?;
    let mut cursor = cursor::Cursor::new(&tokens, sql, lines);
    if let Some(command) = command::read(&mut cursor, text)? {
        return Ok((Ast::Command(command), subscripts));
    }
    let mut parser = parser(tokens);
    match parser.parse_statement() {
        Ok(statement) => {
            let next = parser.peek_token_ref();
            if next.token != Token::EOF {
                return Err(source.at_token(Some(next)));
            }
            Ok((Ast::Sql(Box::new(statement)), subscripts))
        }
        Err(e) => Err(source.syntax(e, &parser.into_tokens())),
    }
}

/// The grammar crate's parser with our dialect and depth.
fn parser(tokens: Vec<TokenWithSpan>) -> Parser<'static> {
    static DIALECT: PostgreSqlDialect = PostgreSqlDialect {};
    // A level of parentheses costs the parser up to four of its own; `caps` has already counted ours.
    Parser::new(&DIALECT)
        .with_recursion_limit(limits::STATEMENT_DEPTH_MAX * 6)
        .with_tokens_with_locations(tokens)
}

fn kind_of(ast: &Ast) -> Kind {
    match ast {
        Ast::Sql(s) => match &**s {
            ast::Statement::Query(q) => match &*q.body {
                ast::SetExpr::Insert(_) => Kind::Insert,
                ast::SetExpr::Update(_) => Kind::Update,
                ast::SetExpr::Delete(_) => Kind::Delete,
                ast::SetExpr::Merge(_) => Kind::Merge,
                _ => Kind::Query,
            },
            ast::Statement::Insert(_) => Kind::Insert,
            ast::Statement::Update(_) => Kind::Update,
            ast::Statement::Delete(_) => Kind::Delete,
            ast::Statement::Merge(_) => Kind::Merge,
            ast::Statement::CreateTable(_)
            | ast::Statement::CreateIndex(_)
            | ast::Statement::AlterTable(_)
            | ast::Statement::Drop { .. } => Kind::Ddl,
            ast::Statement::Execute { .. } => Kind::Execute,
            _ => Kind::Other,
        },
        Ast::Command(c) => match c {
            Command::Begin { .. } => Kind::Begin,
            Command::Commit { .. } => Kind::Commit,
            Command::Rollback { .. } => Kind::Rollback,
            Command::RollbackTo { .. } => Kind::RollbackTo,
            Command::Savepoint { .. } | Command::Release { .. } => Kind::Savepoint,
            Command::Set { .. }
            | Command::SetConstraints { .. }
            | Command::SetTransaction { .. }
            | Command::Authorize { .. }
            | Command::Reset { .. } => Kind::Set,
            Command::Show { .. } => Kind::Show,
            Command::Prepare { .. } => Kind::Prepare,
            Command::Deallocate { .. } => Kind::Deallocate,
            Command::Explain { .. } => Kind::Explain,
            Command::Copy { .. } => Kind::Copy,
            Command::Lock { .. } => Kind::Lock,
            Command::Define(_) => Kind::Ddl,
            Command::Vacuum { .. }
            | Command::Analyze { .. }
            | Command::Checkpoint
            | Command::Backup { .. } => Kind::Maintenance,
            Command::Declare { .. } | Command::Fetch { .. } | Command::Close { .. } => Kind::Cursor,
            Command::Listen { .. } | Command::Unlisten { .. } => Kind::Listen,
            Command::Notify { .. } | Command::Do { .. } | Command::Call(_) => Kind::Other,
            Command::Discard(_) | Command::Refused(_) => Kind::Other,
        },
    }
}

//! The one error that crosses rooms: an SQLSTATE, a message in PostgreSQL's style, and where useful more.

use crate::SqlState;
use std::fmt;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Boxed so that `Result<T>` stays small on the hot path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(Box<Fields>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Fields {
    code: SqlState,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    context: Option<String>,
    position: Option<u32>,
    schema: Option<String>,
    table: Option<String>,
    column: Option<String>,
    constraint: Option<String>,
    routine: Option<&'static str>,
}

impl Error {
    pub fn new(code: SqlState, message: impl Into<String>) -> Error {
        Error(Box::new(Fields {
            code,
            message: message.into(),
            detail: None,
            hint: None,
            context: None,
            position: None,
            schema: None,
            table: None,
            column: None,
            constraint: None,
            routine: None,
        }))
    }

    /// A broken invariant of ours, not the client's fault. Never used for bytes from disk or network.
    pub fn internal(message: impl Into<String>) -> Error {
        Error::new(SqlState::INTERNAL_ERROR, message)
    }

    /// 0A000.
    pub fn unsupported(message: impl Into<String>) -> Error {
        Error::new(SqlState::FEATURE_NOT_SUPPORTED, message)
    }

    pub fn with_detail(mut self, detail: impl Into<String>) -> Error {
        self.0.detail = Some(detail.into());
        self
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Error {
        self.0.hint = Some(hint.into());
        self
    }

    /// Where it happened, as PostgreSQL's CONTEXT says it.
    pub fn with_context(mut self, context: impl Into<String>) -> Error {
        self.0.context = Some(context.into());
        self
    }

    /// 1-based character position in the statement text.
    pub fn at(mut self, position: u32) -> Error {
        self.0.position = Some(position);
        self
    }

    pub fn with_table(self, schema: impl Into<String>, table: impl Into<String>) -> Error {
        self.with_schema(schema).with_table_name(table)
    }

    /// As RAISE … USING SCHEMA says it; a table's is said with it.
    pub fn with_schema(mut self, schema: impl Into<String>) -> Error {
        self.0.schema = Some(schema.into());
        self
    }

    /// As RAISE … USING TABLE says it.
    pub fn with_table_name(mut self, table: impl Into<String>) -> Error {
        self.0.table = Some(table.into());
        self
    }

    pub fn with_column(mut self, column: impl Into<String>) -> Error {
        self.0.column = Some(column.into());
        self
    }

    pub fn with_constraint(mut self, constraint: impl Into<String>) -> Error {
        self.0.constraint = Some(constraint.into());
        self
    }

    /// PostgreSQL's function that says so, for errors that drivers know by it.
    pub fn from_routine(mut self, routine: &'static str) -> Error {
        self.0.routine = Some(routine);
        self
    }

    /// Every text of it made over, such as by `marks::named`.
    pub fn reworded(mut self, word: impl Fn(&str) -> String) -> Error {
        let fields = &mut *self.0;
        fields.message = word(&fields.message);
        let others = [&mut fields.detail, &mut fields.hint, &mut fields.context];
        for text in others.into_iter().flatten() {
            *text = word(text);
        }
        self
    }

    pub fn code(&self) -> SqlState {
        self.0.code
    }

    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    pub fn context(&self) -> Option<&str> {
        self.0.context.as_deref()
    }

    pub fn position(&self) -> Option<u32> {
        self.0.position
    }

    pub fn schema(&self) -> Option<&str> {
        self.0.schema.as_deref()
    }

    pub fn table(&self) -> Option<&str> {
        self.0.table.as_deref()
    }

    pub fn column(&self) -> Option<&str> {
        self.0.column.as_deref()
    }

    pub fn constraint(&self) -> Option<&str> {
        self.0.constraint.as_deref()
    }

    pub fn routine(&self) -> Option<&'static str> {
        self.0.routine
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.message)
    }
}

impl std::error::Error for Error {}

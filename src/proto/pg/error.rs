//! Errors as PostgreSQL's protocol tells them, and which of them end the connection.
//!
//! Owns: severities, and the errors this protocol raises by itself. Asked by: `conn` and its parts.
//! Never: changes a code or a message that came through the door.
//! Source: PostgreSQL documentation, "Error and Notice Message Fields".

use types::{Error, SqlState};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The connection ends after it.
    Fatal,
    Error,
    Warning,
    Notice,
}

impl Severity {
    pub fn name(self) -> &'static str {
        match self {
            Severity::Fatal => "FATAL",
            Severity::Error => "ERROR",
            Severity::Warning => "WARNING",
            Severity::Notice => "NOTICE",
        }
    }
}

/// Codes after which there is no session any more, whoever raised them.
pub fn is_fatal(code: SqlState) -> bool {
    matches!(
        code,
        SqlState::ADMIN_SHUTDOWN
            | SqlState::CRASH_SHUTDOWN
            | SqlState::CANNOT_CONNECT_NOW
            | SqlState::TOO_MANY_CONNECTIONS
            | SqlState::IDLE_SESSION_TIMEOUT
            | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
    )
}

/// Notices carry the code of what they are about; warnings are those of class 01 and of misplaced BEGIN and COMMIT.
pub fn notice_severity(code: SqlState) -> Severity {
    match code.0 {
        [b'0', b'1', ..] | [b'2', b'5', ..] => Severity::Warning,
        _ => Severity::Notice,
    }
}

/// What the protocol itself finds wrong, beyond single messages (`codec`) and frames (`framing`).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    #[error("terminating connection due to administrator command")]
    Draining,
    #[error("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2")]
    Version { major: u16, minor: u16 },
    #[error("no PostgreSQL user name specified in startup packet")]
    NoUser,
    #[error("replication connections are not supported")]
    Replication,
    #[error("invalid command-line argument for server process: {0}")]
    Switch(String),
    #[error("-c {0} requires a value")]
    NoValue(String),
    #[error("function calls by message are not supported")]
    FunctionCall,
    #[error("unexpected message type 0x{0:02X} during COPY from stdin")]
    DuringCopy(u8),
    #[error(
        "bind message supplies {given} parameters, but prepared statement \"{statement}\" requires {wanted}"
    )]
    ParameterCount {
        given: usize,
        statement: String,
        wanted: usize,
    },
    #[error("bind message has {formats} result formats but query has {columns} columns")]
    ResultFormats { formats: usize, columns: usize },
    #[error("type with OID {0} does not exist")]
    UnknownType(u32),
    #[error("a result row exceeds the limit of {0} bytes")]
    RowTooLarge(usize),
    #[error("rows came before their description")]
    RowsWithoutColumns,
    #[error("terminating connection: a message did not go on while others waited for its buffer")]
    Stalled,
    #[error("the server met a bug of its own while it served this connection")]
    Panicked,
}

impl From<ProtocolError> for Error {
    fn from(e: ProtocolError) -> Error {
        let code = match e {
            ProtocolError::Draining => SqlState::ADMIN_SHUTDOWN,
            ProtocolError::Stalled => SqlState::CONNECTION_FAILURE,
            ProtocolError::Version { .. }
            | ProtocolError::Replication
            | ProtocolError::FunctionCall => SqlState::FEATURE_NOT_SUPPORTED,
            ProtocolError::Switch(_) | ProtocolError::NoValue(_) => SqlState::SYNTAX_ERROR,
            ProtocolError::NoUser => SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            ProtocolError::DuringCopy(_)
            | ProtocolError::ParameterCount { .. }
            | ProtocolError::ResultFormats { .. } => SqlState::PROTOCOL_VIOLATION,
            ProtocolError::UnknownType(_) => SqlState::UNDEFINED_OBJECT,
            ProtocolError::RowTooLarge(_) => SqlState::PROGRAM_LIMIT_EXCEEDED,
            ProtocolError::RowsWithoutColumns | ProtocolError::Panicked => SqlState::INTERNAL_ERROR,
        };
        Error::new(code, e.to_string())
    }
}

//! Errors as HTTP says them: one table from SQLSTATE to status, one shape of body.
//!
//! Owns: `status` and `Problem`. Asked by: every file of this room. Never: hides a code or invents one; a mistake in the use
//! of HTTP itself is 08P01 with the status that RFC 9110 gives it.
//! Source: PostgreSQL 15 "Error Codes"; PostgREST's mapping where it has one.

use http::StatusCode;
use serde_json::{Map, Value as Json};
use types::{Error, SqlState};

/// The status of an SQLSTATE. Exact codes first, then classes.
pub fn status(code: SqlState) -> StatusCode {
    match &code.0 {
        b"42P01" => StatusCode::NOT_FOUND,
        b"42501" => StatusCode::FORBIDDEN,
        b"23503" | b"23505" => StatusCode::CONFLICT,
        b"53400" => StatusCode::TOO_MANY_REQUESTS,
        b"54000" => StatusCode::PAYLOAD_TOO_LARGE,
        b"55006" | b"55P03" => StatusCode::CONFLICT,
        b"57014" => StatusCode::GATEWAY_TIMEOUT,
        b"08006" => StatusCode::SERVICE_UNAVAILABLE,
        [class @ .., _, _, _] => match class {
            b"08" | b"21" | b"22" | b"23" | b"24" | b"25" | b"26" | b"34" | b"42" | b"54"
            | b"55" => StatusCode::BAD_REQUEST,
            b"0A" => StatusCode::NOT_IMPLEMENTED,
            b"28" => StatusCode::FORBIDDEN,
            b"3D" | b"3F" => StatusCode::NOT_FOUND,
            b"2B" | b"40" => StatusCode::CONFLICT,
            b"53" | b"57" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        },
    }
}

/// Whether the same request may succeed a moment later, so that `Retry-After` is sent.
pub fn is_transient(code: SqlState) -> bool {
    matches!(&code.0, b"40001" | b"40P01" | b"55P03" | b"57P03") || code.0.starts_with(b"53")
}

/// Why a request was not answered.
#[derive(Debug)]
pub struct Problem {
    pub status: StatusCode,
    pub error: Error,
    /// The methods a path has, for 405.
    pub allow: Option<&'static str>,
    /// The rest of the body was not read: the connection cannot be used again.
    pub unread: bool,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        Problem {
            status: status(error.code()),
            error,
            allow: None,
            unread: false,
        }
    }
}

impl Problem {
    /// A mistake in the use of HTTP.
    pub fn http(status: StatusCode, message: impl Into<String>) -> Problem {
        Problem {
            status,
            ..Problem::from(Error::new(SqlState::PROTOCOL_VIOLATION, message))
        }
    }

    pub fn with_hint(mut self, hint: &str) -> Problem {
        self.error = self.error.with_hint(hint);
        self
    }

    pub fn unread(mut self) -> Problem {
        self.unread = true;
        self
    }
}

/// The body of an error answer. Fields the error does not have are absent.
pub fn to_json(error: &Error, request_id: &str) -> String {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Option<&str>| {
        if let Some(text) = value {
            fields.insert(name.to_owned(), Json::from(text));
        }
    };
    put("code", Some(error.code().as_str()));
    put("message", Some(error.message()));
    put("detail", error.detail());
    put("hint", error.hint());
    put("context", error.context());
    put("table", error.table());
    put("column", error.column());
    put("constraint", error.constraint());
    put("request_id", Some(request_id));
    if let Some(position) = error.position() {
        fields.insert("position".to_owned(), Json::from(position));
    }
    let mut body = Map::new();
    body.insert("error".to_owned(), Json::Object(fields));
    Json::Object(body).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sqlstate_has_the_documented_status() {
        for (code, expected) in [
            (SqlState::UNDEFINED_TABLE, 404),
            (SqlState::UNIQUE_VIOLATION, 409),
            (SqlState::FOREIGN_KEY_VIOLATION, 409),
            (SqlState::NOT_NULL_VIOLATION, 400),
            (SqlState::CHECK_VIOLATION, 400),
            (SqlState::DIVISION_BY_ZERO, 400),
            (SqlState::INVALID_TEXT_REPRESENTATION, 400),
            (SqlState::SYNTAX_ERROR, 400),
            (SqlState::UNDEFINED_COLUMN, 400),
            (SqlState::INSUFFICIENT_PRIVILEGE, 403),
            (SqlState::FEATURE_NOT_SUPPORTED, 501),
            (SqlState::READ_ONLY_SQL_TRANSACTION, 400),
            (SqlState::IN_FAILED_SQL_TRANSACTION, 400),
            (SqlState::INVALID_PASSWORD, 403),
            (SqlState::INVALID_CATALOG_NAME, 404),
            (SqlState::SERIALIZATION_FAILURE, 409),
            (SqlState::DEADLOCK_DETECTED, 409),
            (SqlState::OUT_OF_MEMORY, 503),
            (SqlState::TOO_MANY_CONNECTIONS, 503),
            (SqlState::CONFIGURATION_LIMIT_EXCEEDED, 429),
            (SqlState::PROGRAM_LIMIT_EXCEEDED, 413),
            (SqlState::STATEMENT_TOO_COMPLEX, 400),
            (SqlState::TOO_MANY_ARGUMENTS, 400),
            (SqlState::QUERY_CANCELED, 504),
            (SqlState::ADMIN_SHUTDOWN, 503),
            (SqlState::CANNOT_CONNECT_NOW, 503),
            (SqlState::IO_ERROR, 500),
            (SqlState::INTERNAL_ERROR, 500),
            (SqlState::DATA_CORRUPTED, 500),
            (SqlState(*b"ZZ999"), 500),
        ] {
            assert_eq!(status(code).as_u16(), expected, "{code}");
        }
    }

    #[test]
    fn only_what_may_pass_is_worth_a_retry() {
        for code in [
            SqlState::SERIALIZATION_FAILURE,
            SqlState::DEADLOCK_DETECTED,
            SqlState::TOO_MANY_CONNECTIONS,
            SqlState::CONFIGURATION_LIMIT_EXCEEDED,
        ] {
            assert!(is_transient(code));
        }
        for code in [
            SqlState::UNIQUE_VIOLATION,
            SqlState::SYNTAX_ERROR,
            SqlState::QUERY_CANCELED,
        ] {
            assert!(!is_transient(code));
        }
    }

    #[test]
    fn absent_fields_are_absent_and_present_ones_are_escaped() {
        let error = Error::new(SqlState::UNDEFINED_TABLE, "relation \"a\" does not exist").at(15);
        assert_eq!(
            to_json(&error, "ab"),
            r#"{"error":{"code":"42P01","message":"relation \"a\" does not exist","position":15,"request_id":"ab"}}"#
        );
    }
}

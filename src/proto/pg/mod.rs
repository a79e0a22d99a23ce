//! PostgreSQL wire protocol, version 3.

//! Bytes of rows and keys.

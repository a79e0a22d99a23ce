//! SQL text to bound, planned statements.

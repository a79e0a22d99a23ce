//! Operators: pull-based, batch by batch.

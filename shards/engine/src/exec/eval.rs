//! Evaluation of bound expressions over one row.

//! Aggregate functions: accumulate, partial state, merge, finish.

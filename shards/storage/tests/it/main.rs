//! Promises of a store over real files: what was put is read back, whatever happens in between.

mod support;
mod trees;

//! Promises of a store over real files: what was put is read back, whatever happens in between.

mod crash;
mod log;
mod speed;
mod support;
mod trees;

//! Promises of a store over real files: what was put is read back, whatever happens in between.

mod ahead;
mod churn;
mod crash;
mod damage;
mod fence;
mod log;
mod policies;
mod power;
mod space;
mod speed;
mod support;
mod tasks;
mod trees;
mod values;
mod verify;
mod writer;

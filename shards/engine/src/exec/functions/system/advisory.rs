//! The names of the functions that take and give back advisory locks, of `pg_notify`, of `pg_sleep` and of those that ask or signal the
//! whole server. `operators::advise`, `operators::sleep` and `operators::observe` do what they say.

use super::Function;
use crate::plan::{AdvisoryAct, Observe, TreesOf};
use DataType::*;
use types::{DataType, Error};

macro_rules! advisory {
    ($($name:literal: $ty:ident),* $(,)?) => {
        pub static FUNCTIONS: &[Function] = &[
            $(
                Function::new(concat!($name, "_int8"), &[Int8], $ty, |_, _| Err(elsewhere()))
                    .sql($name)
                    .volatile(),
                Function::new(concat!($name, "_int4"), &[Int4, Int4], $ty, |_, _| Err(elsewhere()))
                    .sql($name)
                    .volatile(),
            )*
            Function::new("pg_advisory_unlock_all", &[], Void, |_, _| Err(elsewhere())).volatile(),
            Function::new("pg_notify", &[Text, Text], Void, |_, _| Err(no_notices())).volatile(),
            Function::new("pg_sleep", &[Float8], Void, |_, _| Err(no_sleep())).volatile(),
            Function::new("pg_sleep_for", &[Interval], Void, |_, _| Err(no_sleep())).volatile(),
            Function::new("pg_cancel_backend", &[Int4], Bool, |_, _| Err(no_state())).volatile(),
            Function::new("pg_terminate_backend", &[Int4], Bool, |_, _| Err(no_state())).volatile(),
            Function::new("pg_terminate_backend_wait", &[Int4, Int8], Bool, |_, _| Err(no_state()))
                .sql("pg_terminate_backend")
                .volatile(),
            Function::new("pg_relation_size", &[Regclass], Int8, |_, _| Err(no_state())).volatile(),
            Function::new("pg_relation_size_fork", &[Regclass, Text], Int8, |_, _| Err(no_state()))
                .sql("pg_relation_size")
                .volatile(),
            Function::new("pg_table_size", &[Regclass], Int8, |_, _| Err(no_state())).volatile(),
            Function::new("pg_indexes_size", &[Regclass], Int8, |_, _| Err(no_state())).volatile(),
            Function::new("pg_total_relation_size", &[Regclass], Int8, |_, _| Err(no_state())).volatile(),
            Function::new("pg_database_size_oid", &[Oid], Int8, |_, _| Err(no_state()))
                .sql("pg_database_size")
                .volatile(),
            Function::new("pg_database_size_name", &[Name], Int8, |_, _| Err(no_state()))
                .sql("pg_database_size")
                .volatile(),
            Function::new("pg_sleep_until", &[Timestamptz], Void, |_, _| Err(no_sleep())).volatile(),
        ];
    };
}

advisory! {
    "pg_advisory_lock": Void,
    "pg_advisory_lock_shared": Void,
    "pg_advisory_xact_lock": Void,
    "pg_advisory_xact_lock_shared": Void,
    "pg_try_advisory_lock": Bool,
    "pg_try_advisory_lock_shared": Bool,
    "pg_try_advisory_xact_lock": Bool,
    "pg_try_advisory_xact_lock_shared": Bool,
    "pg_advisory_unlock": Bool,
    "pg_advisory_unlock_shared": Bool,
}

fn no_state() -> Error {
    Error::unsupported("the state of the server is not to be had here")
}

fn no_sleep() -> Error {
    Error::unsupported("sleeping is not supported here")
}

fn no_notices() -> Error {
    Error::unsupported("notifications are not supported here")
}

/// Where no statement runs: defaults, checks and indexes of tables.
fn elsewhere() -> Error {
    Error::unsupported("advisory locks are not supported here")
}

/// What a function of that name wants to know of the whole server, or does to it.
pub fn observed(name: &str) -> Option<Observe> {
    Some(match name {
        "pg_cancel_backend" => Observe::Signal { end: false },
        "pg_terminate_backend" => Observe::Signal { end: true },
        "pg_relation_size" | "pg_table_size" => Observe::Bytes(TreesOf::Relation),
        "pg_indexes_size" => Observe::Bytes(TreesOf::Indexes),
        "pg_total_relation_size" => Observe::Bytes(TreesOf::All),
        "pg_database_size" => Observe::Bytes(TreesOf::Database),
        _ => return None,
    })
}

/// What a function of that name does: the act, whether the lock is shared, whether it is the transaction's.
pub fn advisory(name: &str) -> Option<(AdvisoryAct, bool, bool)> {
    let (name, shared) = match name.strip_suffix("_shared") {
        Some(name) => (name, true),
        None => (name, false),
    };
    let (act, of_transaction) = match name {
        "pg_advisory_lock" => (AdvisoryAct::Lock, false),
        "pg_advisory_xact_lock" => (AdvisoryAct::Lock, true),
        "pg_try_advisory_lock" => (AdvisoryAct::TryLock, false),
        "pg_try_advisory_xact_lock" => (AdvisoryAct::TryLock, true),
        "pg_advisory_unlock" => (AdvisoryAct::Unlock, false),
        "pg_advisory_unlock_all" => (AdvisoryAct::UnlockAll, false),
        _ => return None,
    };
    Some((act, shared, of_transaction))
}

//! The views of `pg_catalog` that tools watch a server by.
//!
//! Source: PostgreSQL 15's `system_views.sql`. Addresses are shown as text, and transactions' numbers as bigint.

use super::{Definition, live, none, view};
use crate::catalog::system::activity::{self, Asked};

const TABLE_USE: &str = "relid oid, schemaname name, relname name, seq_scan int8, seq_tup_read int8, idx_scan int8, \
     idx_tup_fetch int8, n_tup_ins int8, n_tup_upd int8, n_tup_del int8, n_tup_hot_upd int8, n_live_tup int8, \
     n_dead_tup int8, n_mod_since_analyze int8, n_ins_since_vacuum int8, last_vacuum timestamptz, last_autovacuum \
     timestamptz, last_analyze timestamptz, last_autoanalyze timestamptz, vacuum_count int8, autovacuum_count int8, \
     analyze_count int8, autoanalyze_count int8";

const INDEX_USE: &str = "relid oid, indexrelid oid, schemaname name, relname name, indexrelname name, idx_scan int8, \
     idx_tup_read int8, idx_tup_fetch int8";

const TABLE_IO: &str = "relid oid, schemaname name, relname name, heap_blks_read int8, heap_blks_hit int8, idx_blks_read int8, \
     idx_blks_hit int8, toast_blks_read int8, toast_blks_hit int8, tidx_blks_read int8, tidx_blks_hit int8";

const INDEX_IO: &str = "relid oid, indexrelid oid, schemaname name, relname name, indexrelname name, idx_blks_read int8, \
     idx_blks_hit int8";

pub(super) const TOOLS: &[Definition] = &[
    view(
        12068,
        "pg_publication_tables",
        none,
        "pubname name, schemaname name, tablename name, attnames name[], rowfilter text",
    ),
    view(
        12090,
        "pg_prepared_xacts",
        none,
        "transaction int8, gid text, prepared timestamptz, owner name, database name",
    ),
    live(
        12095,
        "pg_prepared_statements",
        (Asked::Prepared, activity::prepared),
        "name text, statement text, prepare_time timestamptz, parameter_types regtype[], from_sql bool, generic_plans \
         int8, custom_plans int8",
    ),
    view(12142, "pg_stat_all_tables", activity::all_tables, TABLE_USE),
    view(
        12152,
        "pg_stat_sys_tables",
        activity::system_tables,
        TABLE_USE,
    ),
    view(
        12161,
        "pg_stat_user_tables",
        activity::user_tables,
        TABLE_USE,
    ),
    view(
        12170,
        "pg_statio_all_tables",
        activity::all_tables_io,
        TABLE_IO,
    ),
    view(
        12175,
        "pg_statio_sys_tables",
        activity::system_tables_io,
        TABLE_IO,
    ),
    view(
        12179,
        "pg_statio_user_tables",
        activity::user_tables_io,
        TABLE_IO,
    ),
    view(
        12183,
        "pg_stat_all_indexes",
        activity::user_indexes,
        INDEX_USE,
    ),
    view(12188, "pg_stat_sys_indexes", none, INDEX_USE),
    view(
        12192,
        "pg_stat_user_indexes",
        activity::user_indexes,
        INDEX_USE,
    ),
    view(
        12196,
        "pg_statio_all_indexes",
        activity::user_indexes_io,
        INDEX_IO,
    ),
    view(12201, "pg_statio_sys_indexes", none, INDEX_IO),
    view(
        12205,
        "pg_statio_user_indexes",
        activity::user_indexes_io,
        INDEX_IO,
    ),
    live(
        12222,
        "pg_stat_activity",
        (Asked::Sessions, activity::sessions),
        "datid oid, datname name, pid int4, leader_pid int4, usesysid oid, usename name, application_name text, \
         client_addr inet, client_hostname text, client_port int4, backend_start timestamptz, xact_start timestamptz, \
         query_start timestamptz, state_change timestamptz, wait_event_type text, wait_event text, state text, \
         backend_xid int8, backend_xmin int8, query_id int8, query text, backend_type text",
    ),
    view(
        12227,
        "pg_stat_replication",
        none,
        "pid int4, usesysid oid, usename name, application_name text, client_addr inet, client_hostname text, \
         client_port int4, backend_start timestamptz, backend_xmin int8, state text, sent_lsn text, write_lsn text, \
         flush_lsn text, replay_lsn text, write_lag interval, flush_lag interval, replay_lag interval, sync_priority \
         int4, sync_state text, reply_time timestamptz",
    ),
    view(
        12257,
        "pg_replication_slots",
        none,
        "slot_name name, plugin name, slot_type text, datoid oid, database name, temporary bool, active bool, \
         active_pid int4, xmin int8, catalog_xmin int8, restart_lsn text, confirmed_flush_lsn text, wal_status text, \
         safe_wal_size int8, two_phase bool",
    ),
    live(
        12266,
        "pg_stat_database",
        (Asked::Sessions, activity::databases),
        "datid oid, datname name, numbackends int4, xact_commit int8, xact_rollback int8, blks_read int8, blks_hit int8, \
         tup_returned int8, tup_fetched int8, tup_inserted int8, tup_updated int8, tup_deleted int8, conflicts int8, \
         temp_files int8, temp_bytes int8, deadlocks int8, checksum_failures int8, checksum_last_failure timestamptz, \
         blk_read_time float8, blk_write_time float8, session_time float8, active_time float8, \
         idle_in_transaction_time float8, sessions int8, sessions_abandoned int8, sessions_fatal int8, sessions_killed \
         int8, stats_reset timestamptz",
    ),
];

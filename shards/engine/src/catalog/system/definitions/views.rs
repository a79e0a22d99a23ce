//! The views of `pg_catalog`, with the oids they have in a fresh PostgreSQL 15.

use super::{Definition, none, view};
use crate::catalog::system::{listing, objects, server, statistics};

pub(super) const VIEWS: &[Definition] = &[
    view(
        12000,
        "pg_roles",
        server::roles,
        "rolname name, rolsuper bool, rolinherit bool, rolcreaterole bool, rolcreatedb bool, rolcanlogin \
         bool, rolreplication bool, rolconnlimit int4, rolpassword text, rolvaliduntil timestamptz, \
         rolbypassrls bool, rolconfig text[], oid oid",
    ),
    view(
        12005,
        "pg_shadow",
        server::users,
        "usename name, usesysid oid, usecreatedb bool, usesuper bool, userepl bool, usebypassrls bool, passwd \
         text, valuntil timestamptz, useconfig text[]",
    ),
    view(
        12010,
        "pg_group",
        none,
        "groname name, grosysid oid, grolist oid[]",
    ),
    view(
        12014,
        "pg_user",
        server::users,
        "usename name, usesysid oid, usecreatedb bool, usesuper bool, userepl bool, usebypassrls bool, passwd \
         text, valuntil timestamptz, useconfig text[]",
    ),
    view(
        12018,
        "pg_policies",
        none,
        "schemaname name, tablename name, policyname name, permissive text, roles name[], cmd text, qual \
         text, with_check text",
    ),
    view(
        12023,
        "pg_rules",
        none,
        "schemaname name, tablename name, rulename name, definition text",
    ),
    view(
        12028,
        "pg_views",
        listing::views,
        "schemaname name, viewname name, viewowner name, definition text",
    ),
    view(
        12033,
        "pg_tables",
        listing::tables,
        "schemaname name, tablename name, tableowner name, tablespace name, hasindexes bool, hasrules bool, \
         hastriggers bool, rowsecurity bool",
    ),
    view(
        12038,
        "pg_matviews",
        objects::materialized,
        "schemaname name, matviewname name, matviewowner name, tablespace name, hasindexes bool, ispopulated \
         bool, definition text",
    ),
    view(
        12043,
        "pg_indexes",
        listing::indexes_of_tables,
        "schemaname name, tablename name, indexname name, tablespace name, indexdef text",
    ),
    view(
        12048,
        "pg_sequences",
        objects::sequences,
        "schemaname name, sequencename name, sequenceowner name, data_type regtype, start_value int8, \
         min_value int8, max_value int8, increment_by int8, cycle bool, cache_size int8, last_value int8",
    ),
    view(
        12053,
        "pg_stats",
        statistics::columns,
        "schemaname name, tablename name, attname name, inherited bool, null_frac float4, avg_width int4, \
         n_distinct float4, most_common_vals text, most_common_freqs float4[], histogram_bounds text, \
         correlation float4, most_common_elems text, most_common_elem_freqs float4[], elem_count_histogram \
         float4[]",
    ),
    view(
        12099,
        "pg_seclabels",
        none,
        "objoid oid, classoid oid, objsubid int4, objtype text, objnamespace oid, objname text, provider text, \
         label text",
    ),
    view(
        12104,
        "pg_settings",
        server::settings,
        "name text, setting text, unit text, category text, short_desc text, extra_desc text, context text, \
         vartype text, source text, min_val text, max_val text, enumvals text[], boot_val text, reset_val \
         text, sourcefile text, sourceline int4, pending_restart bool",
    ),
    view(
        12271,
        "pg_stat_progress_basebackup",
        server::backups,
        "pid int4, phase text, backup_total int8, backup_streamed int8, tablespaces_total int8, \
         tablespaces_streamed int8",
    ),
    view(
        12263,
        "pg_stat_progress_create_index",
        server::builds,
        "pid int4, datid oid, datname name, relid oid, index_relid oid, command text, phase text, lockers_total \
         int8, lockers_done int8, current_locker_pid int8, blocks_total int8, blocks_done int8, tuples_total \
         int8, tuples_done int8, partitions_total int8, partitions_done int8",
    ),
    view(
        12077,
        "pg_cursors",
        server::cursors,
        "name text, statement text, is_holdable bool, is_binary bool, is_scrollable bool, creation_time \
         timestamptz",
    ),
    view(
        12081,
        "pg_available_extensions",
        server::available_extensions,
        "name name, default_version text, installed_version text, comment text",
    ),
    view(
        12085,
        "pg_available_extension_versions",
        server::available_versions,
        "name name, version text, installed bool, superuser bool, trusted bool, relocatable bool, schema name, requires name[], comment text",
    ),
    view(
        12126,
        "pg_timezone_names",
        server::timezones,
        "name text, abbrev text, utc_offset interval, is_dst bool",
    ),
    view(
        12327,
        "pg_user_mappings",
        none,
        "umid oid, srvid oid, srvname name, umuser oid, usename name, umoptions text[]",
    ),
];

//! Functions, types and system views that PostgreSQL has and this server does not.
//!
//! Owns: their names, so that the errors say "not supported" (0A000) and not "does not exist", as of a misspelt one. Asked by: `resolve` and
//! the binder, once they have found nothing. Never: hides what a user has made under such a name.
//! Source: PostgreSQL 15 `pg_proc.dat`, `pg_type.dat`, `system_views.sql`, without what only PostgreSQL itself calls.

use std::collections::HashSet;
use std::sync::LazyLock;
use types::Error;

/// What an error says of a function, shown with its arguments.
pub fn function(name: &str, shown: &str) -> Option<Error> {
    let known = FUNCTIONS.contains(name);
    known.then(|| unsupported(&format!("function {shown}")))
}

pub fn data_type(name: &str) -> Option<Error> {
    let known = TYPES.contains(name);
    known.then(|| unsupported(&format!("type {name}")))
}

pub fn relation(name: &str) -> Option<Error> {
    let known = RELATIONS.contains(name);
    known.then(|| unsupported(&format!("system view {name}")))
}

fn unsupported(what: &str) -> Error {
    Error::unsupported(format!("{what} is not supported"))
        .with_hint("PostgreSQL has it; this server does not.")
}

static FUNCTIONS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let names = "
    aclcontains aclexplode aclinsert aclremove area array_to_tsvector bound_box brin_desummarize_range brin_summarize_new_values
    brin_summarize_range center circle current_query cursor_to_xml cursor_to_xmlschema database_to_xml database_to_xml_and_xmlschema
    database_to_xmlschema datemultirange daterange diagonal diameter get_current_ts_config has_foreign_data_wrapper_privilege
    has_parameter_privilege has_server_privilege height inet_client_port inet_server_addr int4multirange int4range int8multirange
    int8range isclosed isempty ishorizontal isopen isparallel isperp isvertical json_to_tsvector jsonb_path_exists_tz
    jsonb_path_match_tz jsonb_path_query_array_tz jsonb_path_query_first_tz jsonb_path_query_tz jsonb_to_tsvector line lo_close
    lo_creat lo_create lo_export lo_from_bytea lo_get lo_import lo_lseek lo_lseek64 lo_open lo_put lo_tell lo_tell64 lo_truncate
    lo_truncate64 lo_unlink loread lower_inc lower_inf lowrite lseg makeaclitem money multirange mxid_age npoints nummultirange
    numnode numrange oidvectortypes path pclose pg_backup_start pg_backup_stop pg_blocking_pids pg_collation_actual_version
    pg_collation_for pg_column_size pg_conf_load_time pg_config pg_control_checkpoint pg_control_init pg_control_recovery
    pg_control_system pg_copy_logical_replication_slot pg_copy_physical_replication_slot pg_create_logical_replication_slot
    pg_create_physical_replication_slot pg_create_restore_point pg_current_logfile pg_current_snapshot pg_current_wal_flush_lsn
    pg_current_wal_insert_lsn pg_current_wal_lsn pg_current_xact_id pg_current_xact_id_if_assigned
    pg_database_collation_actual_version pg_describe_object pg_drop_replication_slot pg_export_snapshot pg_extension_update_paths
    pg_filenode_relation pg_get_backend_memory_contexts pg_get_function_arg_default pg_get_multixact_members pg_get_object_address
    pg_get_partition_constraintdef pg_get_publication_tables pg_get_replica_identity_index pg_get_replication_slots
    pg_get_shmem_allocations pg_get_statisticsobjdef pg_get_statisticsobjdef_expressions pg_get_wal_replay_pause_state
    pg_get_wal_resource_managers pg_hba_file_rules pg_ident_file_mappings pg_identify_object pg_identify_object_as_address
    pg_index_column_has_property pg_index_has_property pg_indexam_has_property pg_indexam_progress_phasename pg_is_wal_replay_paused
    pg_last_committed_xact pg_last_wal_receive_lsn pg_last_wal_replay_lsn pg_last_xact_replay_timestamp pg_log_backend_memory_contexts
    pg_logical_emit_message pg_logical_slot_get_binary_changes pg_logical_slot_get_changes pg_logical_slot_peek_binary_changes
    pg_logical_slot_peek_changes pg_ls_archive_statusdir pg_ls_dir pg_ls_logdir pg_ls_logicalmapdir pg_ls_logicalsnapdir
    pg_ls_replslotdir pg_ls_tmpdir pg_ls_waldir pg_lsn pg_mcv_list_items pg_notification_queue_usage pg_partition_ancestors
    pg_partition_root pg_partition_tree pg_promote pg_read_binary_file pg_read_file pg_relation_filenode pg_relation_filepath
    pg_replication_origin_advance pg_replication_origin_create pg_replication_origin_drop pg_replication_origin_oid
    pg_replication_origin_progress pg_replication_origin_session_is_setup pg_replication_origin_session_progress
    pg_replication_origin_session_reset pg_replication_origin_xact_reset pg_replication_origin_xact_setup pg_replication_slot_advance
    pg_rotate_logfile pg_safe_snapshot_blocking_pids pg_sequence_parameters pg_settings_get_flags pg_show_all_file_settings
    pg_show_replication_origin_status pg_snapshot_xip pg_snapshot_xmax pg_snapshot_xmin pg_stat_file pg_switch_wal
    pg_tablespace_databases pg_visible_in_snapshot pg_wal_lsn_diff pg_wal_replay_pause pg_wal_replay_resume pg_walfile_name
    pg_walfile_name_offset pg_xact_commit_timestamp pg_xact_commit_timestamp_origin pg_xact_status phraseto_tsquery plainto_tsquery
    point polygon popen query_to_xml query_to_xml_and_xmlschema query_to_xmlschema radius range_agg range_intersect_agg range_merge
    row_security_active schema_to_xml schema_to_xml_and_xmlschema schema_to_xmlschema setseed setweight slope strip table_to_xml
    table_to_xml_and_xmlschema table_to_xmlschema timetz to_ascii to_regcollation to_regoper to_regoperator to_regrole to_tsquery
    to_tsvector ts_debug ts_delete ts_filter ts_headline ts_lexize ts_parse ts_rank ts_rank_cd ts_rewrite ts_stat ts_token_type
    tsmultirange tsquery_phrase tsrange tstzmultirange tstzrange tsvector_to_array txid_current txid_current_if_assigned
    txid_current_snapshot txid_snapshot_xip txid_snapshot_xmax txid_snapshot_xmin txid_status txid_visible_in_snapshot upper_inc
    upper_inf varbit websearch_to_tsquery width xid xml xml_is_well_formed xml_is_well_formed_content xml_is_well_formed_document
    xmlagg xmlcomment xmlexists xmlvalidate xpath xpath_exists
    ";
    names.split_whitespace().collect()
});

static TYPES: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let names = "
    aclitem anymultirange anyrange bit box cid circle datemultirange daterange gtsvector hstore int4multirange int4range
    int8multirange int8range line lseg money nummultirange numrange path pg_lsn pg_snapshot point polygon refcursor regcollation
    regconfig regdictionary regoper regoperator regrole tid tsmultirange tsquery tsrange tstzmultirange tstzrange tsvector
    txid_snapshot varbit xid xid8 xml
    ";
    names.split_whitespace().collect()
});

static RELATIONS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let names = "
    pg_backend_memory_contexts pg_config pg_file_settings pg_hba_file_rules pg_ident_file_mappings pg_locks
    pg_replication_origin_status pg_shmem_allocations pg_stat_archiver pg_stat_bgwriter pg_stat_database_conflicts pg_stat_gssapi
    pg_stat_progress_analyze pg_stat_progress_cluster pg_stat_progress_copy pg_stat_progress_vacuum pg_stat_recovery_prefetch
    pg_stat_replication_slots pg_stat_slru pg_stat_ssl pg_stat_subscription pg_stat_subscription_stats pg_stat_user_functions
    pg_stat_wal pg_stat_wal_receiver pg_stat_xact_all_tables pg_stat_xact_sys_tables pg_stat_xact_user_functions
    pg_stat_xact_user_tables pg_statio_all_sequences pg_statio_sys_sequences pg_statio_user_sequences pg_stats_ext pg_stats_ext_exprs
    pg_timezone_abbrevs
    ";
    names.split_whitespace().collect()
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::functions::overloads;
    use types::DataType;

    #[test]
    fn nothing_is_called_absent_that_is_there() {
        for name in FUNCTIONS.iter() {
            assert!(overloads(name).is_empty(), "{name}");
        }
        for name in TYPES.iter() {
            assert!(DataType::ALL.iter().all(|t| t.name() != *name), "{name}");
        }
    }
}

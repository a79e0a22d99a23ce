//! The parameters that a session has.
//!
//! Owns: their names, defaults and what each may be. What is only advice, for a planner or about resources that are shared out otherwise
//! here, is taken and shown without effect, as it never changes an answer. Asked by: `settings`. Never: holds a value.
//! Source: PostgreSQL 15 manual, chapter 20.

use super::{parse_kb, show_kb};

/// What a parameter may be set to.
pub(super) enum Rule {
    /// Told, never set.
    Fixed,
    /// Only this is supported; it may be written in any of these ways.
    Only(&'static [&'static str]),
    /// One of these words.
    OneOf(&'static [&'static str]),
    Any,
    Milliseconds,
    /// Memory, shown in the largest unit that divides it.
    Kilobytes,
    TimeZone,
    DateStyle,
    SearchPath,
    Bool,
    Isolation,
    /// Advice for the planner, or about resources: kept and shown, and nobody asks for it.
    Hint(Kind),
}

/// What such a parameter is, as far as it is looked at.
pub(super) enum Kind {
    Switch,
    Whole,
    Number,
    Kilobytes,
    /// One of these words.
    Words(&'static [&'static str]),
}

pub(super) struct Definition {
    pub name: &'static str,
    pub default: &'static str,
    pub rule: Rule,
    /// Told to the client whenever it changes (ParameterStatus).
    pub reported: bool,
}

const fn def(name: &'static str, default: &'static str, rule: Rule, reported: bool) -> Definition {
    Definition {
        name,
        default,
        rule,
        reported,
    }
}

pub(super) const ON: &[&str] = &["on", "true", "yes", "1"];
pub(super) const OFF: &[&str] = &["off", "false", "no", "0"];
const C_LOCALE: &[&str] = &["c", "posix", "c.utf-8", "c.utf8", ""];
/// Some drivers put the name in quotes.
const UTF8: &[&str] = &["utf8", "utf-8", "unicode", "'utf8'", "'utf-8'"];
const LEVELS: &[&str] = &[
    "debug5", "debug4", "debug3", "debug2", "debug1", "debug", "log", "notice", "warning", "error",
];

/// Names as PostgreSQL spells them; looked up without regard to case.
pub(super) static DEFINITIONS: &[Definition] = &[
    def("application_name", "", Rule::Any, true),
    def(
        "bytea_output",
        "hex",
        Rule::OneOf(&["escape", "hex"]),
        false,
    ),
    def("check_function_bodies", "on", Rule::Bool, false),
    def("client_encoding", "UTF8", Rule::Only(UTF8), true),
    def("client_min_messages", "notice", Rule::OneOf(LEVELS), false),
    def("DateStyle", "ISO, MDY", Rule::DateStyle, true),
    def(
        "default_table_access_method",
        "heap",
        Rule::Only(&["heap"]),
        false,
    ),
    def("default_tablespace", "", Rule::Only(&[""]), false),
    def(
        "default_transaction_isolation",
        "read committed",
        Rule::Isolation,
        false,
    ),
    def("default_transaction_read_only", "off", Rule::Bool, true),
    def(
        "extra_float_digits",
        "1",
        Rule::OneOf(&["1", "2", "3"]),
        false,
    ),
    def(
        "idle_in_transaction_session_timeout",
        "0",
        Rule::Milliseconds,
        false,
    ),
    def("in_hot_standby", "off", Rule::Fixed, true),
    def("integer_datetimes", "on", Rule::Fixed, true),
    def(
        "IntervalStyle",
        "postgres",
        Rule::OneOf(&["postgres", "postgres_verbose", "sql_standard", "iso_8601"]),
        true,
    ),
    def("is_superuser", "on", Rule::Fixed, true),
    def("jit", "off", Rule::Hint(Kind::Switch), false),
    def("lc_collate", "C", Rule::Fixed, false),
    def("lc_ctype", "C", Rule::Fixed, false),
    def("lock_timeout", "0", Rule::Milliseconds, false),
    def("max_identifier_length", "63", Rule::Fixed, false),
    def("max_index_keys", "32", Rule::Fixed, false),
    def("row_security", "on", Rule::Bool, false),
    def("search_path", "\"$user\", public", Rule::SearchPath, false),
    def("server_encoding", "UTF8", Rule::Fixed, true),
    def("server_version", SERVER_VERSION, Rule::Fixed, true),
    def("server_version_num", "150000", Rule::Fixed, false),
    def("session_authorization", "", Rule::Fixed, true),
    def("standard_conforming_strings", "on", Rule::Only(ON), true),
    def("statement_timeout", "0", Rule::Milliseconds, false),
    // A commit that is acknowledged is durable, which is more than some of these ask for.
    def(
        "synchronous_commit",
        "on",
        Rule::Hint(Kind::Words(&[
            "on",
            "off",
            "local",
            "remote_write",
            "remote_apply",
        ])),
        false,
    ),
    def("TimeZone", "UTC", Rule::TimeZone, true),
    def(
        "transaction_isolation",
        "read committed",
        Rule::Fixed,
        false,
    ),
    def("transaction_read_only", "off", Rule::Fixed, false),
    // Every scan begins where its partition does.
    def("synchronize_seqscans", "off", Rule::Only(OFF), false),
    // Its default and its most are the server's `query_bytes_max`.
    def("work_mem", "64MB", Rule::Kilobytes, false),
    def(
        "xmloption",
        "content",
        Rule::OneOf(&["content", "document"]),
        false,
    ),
    // The planner goes by what it knows of the rows.
    def("enable_async_append", "on", Rule::Hint(Kind::Switch), false),
    def("enable_bitmapscan", "on", Rule::Hint(Kind::Switch), false),
    def("enable_gathermerge", "on", Rule::Hint(Kind::Switch), false),
    def("enable_hashagg", "on", Rule::Hint(Kind::Switch), false),
    def("enable_hashjoin", "on", Rule::Hint(Kind::Switch), false),
    def(
        "enable_incremental_sort",
        "on",
        Rule::Hint(Kind::Switch),
        false,
    ),
    def(
        "enable_indexonlyscan",
        "on",
        Rule::Hint(Kind::Switch),
        false,
    ),
    def("enable_indexscan", "on", Rule::Hint(Kind::Switch), false),
    def("enable_material", "on", Rule::Hint(Kind::Switch), false),
    def("enable_memoize", "on", Rule::Hint(Kind::Switch), false),
    def("enable_mergejoin", "on", Rule::Hint(Kind::Switch), false),
    def("enable_nestloop", "on", Rule::Hint(Kind::Switch), false),
    def(
        "enable_parallel_append",
        "on",
        Rule::Hint(Kind::Switch),
        false,
    ),
    def(
        "enable_parallel_hash",
        "on",
        Rule::Hint(Kind::Switch),
        false,
    ),
    def(
        "enable_partition_pruning",
        "on",
        Rule::Hint(Kind::Switch),
        false,
    ),
    def("enable_seqscan", "on", Rule::Hint(Kind::Switch), false),
    def("enable_sort", "on", Rule::Hint(Kind::Switch), false),
    def("enable_tidscan", "on", Rule::Hint(Kind::Switch), false),
    def(
        "cpu_index_tuple_cost",
        "0.005",
        Rule::Hint(Kind::Number),
        false,
    ),
    def(
        "cpu_operator_cost",
        "0.0025",
        Rule::Hint(Kind::Number),
        false,
    ),
    def("cpu_tuple_cost", "0.01", Rule::Hint(Kind::Number), false),
    def(
        "cursor_tuple_fraction",
        "0.1",
        Rule::Hint(Kind::Number),
        false,
    ),
    def(
        "default_statistics_target",
        "100",
        Rule::Hint(Kind::Whole),
        false,
    ),
    def("geqo", "off", Rule::Hint(Kind::Switch), false),
    def(
        "plan_cache_mode",
        "auto",
        Rule::Hint(Kind::Words(&[
            "auto",
            "force_generic_plan",
            "force_custom_plan",
        ])),
        false,
    ),
    def("random_page_cost", "4", Rule::Hint(Kind::Number), false),
    def("seq_page_cost", "1", Rule::Hint(Kind::Number), false),
    def(
        "constraint_exclusion",
        "partition",
        Rule::Hint(Kind::Words(&["partition", "on", "off"])),
        false,
    ),
    def(
        "effective_cache_size",
        "4GB",
        Rule::Hint(Kind::Kilobytes),
        false,
    ),
    def(
        "effective_io_concurrency",
        "0",
        Rule::Hint(Kind::Whole),
        false,
    ),
    def(
        "enable_partitionwise_aggregate",
        "off",
        Rule::Hint(Kind::Switch),
        false,
    ),
    def(
        "enable_partitionwise_join",
        "off",
        Rule::Hint(Kind::Switch),
        false,
    ),
    def("from_collapse_limit", "8", Rule::Hint(Kind::Whole), false),
    def("join_collapse_limit", "8", Rule::Hint(Kind::Whole), false),
    def("hash_mem_multiplier", "1", Rule::Hint(Kind::Number), false),
    def(
        "logical_decoding_work_mem",
        "64MB",
        Rule::Hint(Kind::Kilobytes),
        false,
    ),
    def(
        "maintenance_work_mem",
        "64MB",
        Rule::Hint(Kind::Kilobytes),
        false,
    ),
    def(
        "parallel_setup_cost",
        "1000",
        Rule::Hint(Kind::Number),
        false,
    ),
    def(
        "parallel_tuple_cost",
        "0.1",
        Rule::Hint(Kind::Number),
        false,
    ),
    def("temp_buffers", "8MB", Rule::Hint(Kind::Kilobytes), false),
    // There is one process, one language, one role, and nobody to replicate to.
    def("array_nulls", "on", Rule::Only(ON), false),
    def(
        "default_transaction_deferrable",
        "off",
        Rule::Only(OFF),
        false,
    ),
    def("escape_string_warning", "off", Rule::Only(OFF), false),
    def("idle_session_timeout", "0", Rule::Only(&["0"]), false),
    def("lc_messages", "C", Rule::Only(C_LOCALE), false),
    def("lc_monetary", "C", Rule::Only(C_LOCALE), false),
    def("lc_numeric", "C", Rule::Only(C_LOCALE), false),
    def("lc_time", "C", Rule::Only(C_LOCALE), false),
    def("log_statement", "none", Rule::Only(&["none"]), false),
    def(
        "max_parallel_maintenance_workers",
        "0",
        Rule::Hint(Kind::Whole),
        false,
    ),
    def("max_parallel_workers", "0", Rule::Hint(Kind::Whole), false),
    def(
        "max_parallel_workers_per_gather",
        "0",
        Rule::Hint(Kind::Whole),
        false,
    ),
    def("quote_all_identifiers", "off", Rule::Only(OFF), false),
    def("role", "none", Rule::Only(&["none"]), false),
    def(
        "session_replication_role",
        "origin",
        Rule::Only(&["origin"]),
        false,
    ),
    def("transform_null_equals", "off", Rule::Only(OFF), false),
    // What the server's own configuration says.
    def("data_directory", "", Rule::Fixed, false),
    def("listen_addresses", "", Rule::Fixed, false),
    def("max_connections", "0", Rule::Fixed, false),
    def("port", "0", Rule::Fixed, false),
    def("shared_buffers", "0", Rule::Fixed, false),
    def("superuser_reserved_connections", "0", Rule::Fixed, false),
    def("unix_socket_directories", "", Rule::Fixed, false),
    def("fsync", "on", Rule::Fixed, false),
    def("max_prepared_transactions", "0", Rule::Fixed, false),
    def("ssl", "off", Rule::Fixed, false),
    def("transaction_deferrable", "off", Rule::Fixed, false),
];

/// The version whose protocol, catalogs and error codes this server follows. Drivers parse the number.
const SERVER_VERSION: &str = concat!("15.0 (RustyDB Shard ", env!("CARGO_PKG_VERSION"), ")");

impl Kind {
    /// The value in the form SHOW prints.
    pub fn accept(&self, lower: &str) -> Option<String> {
        match self {
            Kind::Switch if ON.contains(&lower) => Some("on".into()),
            Kind::Switch if OFF.contains(&lower) => Some("off".into()),
            Kind::Switch => None,
            Kind::Whole => lower.parse::<i32>().ok().map(|n| n.to_string()),
            Kind::Number => {
                let number = lower.parse::<f64>().ok();
                number.filter(|n| n.is_finite()).map(|n| n.to_string())
            }
            Kind::Kilobytes => {
                let unit = lower
                    .find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(lower.len());
                let (number, unit) = lower.split_at(unit);
                let unit = match unit.trim() {
                    "kb" => "kB".to_owned(),
                    other => other.to_ascii_uppercase(),
                };
                parse_kb(&format!("{number}{unit}")).map(show_kb)
            }
            Kind::Words(words) => words.contains(&lower).then(|| lower.to_owned()),
        }
    }
}

//! The table of settings: every setting once, with its key, form, default and meaning.
//!
//! Owns: `Config` and `SETTINGS`, both generated from one table. A key `a.b` is `[a] b` in a file, `RUSTYDB_A_B` in the
//! environment and `--a-b` on the command line. Asked by: everything that starts from the configuration.
//! Never: reads anything. Bounds: what relates settings to each other is in `check`.

use super::forms::{
    Address, AutoCount, AutoSize, Count, Form, LogFilter, LogForm, NetworkForm, OptionalPath, Path,
    PoolPolicy, Port, Size, Span, Switch,
};
use super::{Host, Source};
use runtime::buffers::{Limits, LimitsError};
use std::collections::BTreeMap;
use types::limits;

/// One row of the table, for printing, documentation and the command line.
pub struct Setting {
    pub key: &'static str,
    /// What kind of value it takes.
    pub form: &'static str,
    pub default: &'static str,
    pub quoted: bool,
    /// Meaning, unit, range and what happens when it is full.
    pub doc: &'static str,
}

impl Setting {
    /// `log.format` → `RUSTYDB_LOG_FORMAT`.
    pub fn variable(&self) -> String {
        format!("RUSTYDB_{}", self.key.replace('.', "_").to_uppercase())
    }

    /// `log.format` → `log-format`, without the dashes before it.
    pub fn flag(&self) -> String {
        self.key.replace(['.', '_'], "-")
    }
}

macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $field:ident, $key:literal, $form:ty, $default:literal;)+) => {
        /// The configuration. Fields are the settings of docs/config.md.
        #[derive(Clone, Debug)]
        pub struct Config {
            $($(#[doc = $doc])+ pub $field: <$form as Form>::Value,)+
            pub(super) sources: BTreeMap<&'static str, Source>,
        }

        /// Every setting in the order of the documentation.
        pub const SETTINGS: &[Setting] = &[$(Setting {
            key: $key,
            form: <$form as Form>::NAME,
            default: $default,
            quoted: <$form as Form>::QUOTED,
            doc: concat!($($doc, "\n"),+),
        }),+];

        impl Config {
            /// The defaults alone; `auto` is not resolved yet.
            pub(super) fn defaults() -> Result<Config, (&'static str, String)> {
                Ok(Config {
                    $($field: <$form as Form>::parse($default).map_err(|why| ($key, why))?,)+
                    sources: BTreeMap::new(),
                })
            }

            /// Sets one key from its text. The reason when the text is bad; nothing changes then.
            pub(super) fn set(&mut self, key: &str, text: &str) -> Result<(), String> {
                match key {
                    $($key => self.$field = <$form as Form>::parse(text)?,)+
                    _ => return Err("there is no such setting".to_owned()),
                }
                Ok(())
            }

            /// The text of a setting's value, unquoted. `None` for an unknown key.
            pub fn text(&self, key: &str) -> Option<String> {
                match key {
                    $($key => Some(<$form as Form>::print(&self.$field)),)+
                    _ => None,
                }
            }
        }
    };
}

settings! {
    /// Directory of everything on disk; created when absent. One process at a time may have it open.
    data_dir, "data_dir", Path, "./rustydb-data";
    /// Address to listen on. Loopback only, as the server cannot tell yet who connects.
    listen, "listen", Address, "127.0.0.1";
    /// Port of the PostgreSQL protocol; 0 lets the system choose one.
    sql_port, "sql_port", Port, "5433";
    /// Port of HTTP/1.1 and HTTP/2; 0 lets the system choose one.
    http_port, "http_port", Port, "8080";
    /// Directory where clients of this machine find the PostgreSQL protocol at `.s.PGSQL.` and the port, as `psql -h` and a
    /// driver's `host` name it (`/var/run/postgresql` is Debian's). Who may enter the directory may connect. Empty: over TCP only.
    unix_socket_dir, "unix_socket_dir", OptionalPath, "";
    /// Accept clients without authentication. It is the only mode today, so it changes nothing: with or without it any user
    /// name is let in, and the server listens on loopback only.
    insecure, "insecure", Switch, "false";
    /// Shards, one executor each; `auto` is every core this process may use. More than there are cores is allowed: they are then not pinned.
    cores, "cores", AutoCount, "auto";
    /// How long a shard looks for more to do before it sleeps, where it has a core of its own: a message between shards then
    /// takes a few microseconds instead of a wake-up. It costs whoever else wants that core; 0 is not to look.
    spin, "spin", Span, "0";
    /// Partitions of a new data directory; `auto` is as many as `cores`. It does not change a directory that exists.
    partitions, "partitions", AutoCount, "auto";
    /// Page buffer pool of each shard; `auto` is a quarter of the memory divided by the shards, from 16 MiB to 1 GiB.
    pool_bytes, "pool_bytes", AutoSize, "auto";
    /// Which pages a full buffer pool gives up first: `clock`, `lru`, `2q`, `lru-k`, `lirs` or `arc`. Read again on SIGHUP and
    /// `pg_reload_conf()`.
    pool_policy, "pool_policy", PoolPolicy, "clock";
    /// Memory of each shard for what is on its way: messages of clients, replies to them, reads and writes of files. When it is
    /// full, connections are not read from until there is room. `auto` is what its connections are sure of (8 KiB each) and a
    /// 64th of the memory divided by the shards beside that, from 8 to 64 MiB. It is taken as it is needed.
    buffer_bytes, "buffer_bytes", AutoSize, "auto";
    /// How sockets learn that there is something to do. `ring`: the kernel accepts and receives by itself, into buffers lent to
    /// it, and tells an io_uring of each shard (Linux 6.1 or newer). `readiness`: a poll for each wait, then the system call.
    /// `auto` is `ring` where the kernel has what it takes; where it has not, a line of the log says what is missing.
    network_method, "network_method", NetworkForm, "auto";
    /// Size of one write-ahead log file.
    wal_segment_bytes, "wal_segment_bytes", Size, "16MiB";
    /// Write-ahead log written since the last checkpoint of a partition that makes the next one due.
    checkpoint_wal_bytes, "checkpoint_wal_bytes", Size, "256MiB";
    /// Write-ahead log of a partition that checkpoints leave behind the end: an incremental backup needs all since its base.
    wal_keep_bytes, "wal_keep_bytes", Size, "0B";
    /// Directory that finished log segments are copied to before they may be deleted, for restoring to a moment after a
    /// backup; each partition has a directory of its own there. Empty: no archive. What cannot be copied stays in the data
    /// directory and is tried again.
    wal_archive_dir, "wal_archive_dir", OptionalPath, "";
    /// With an archive: the longest that a commit waits to be copied there, as a segment that is not full is closed then. 0 waits
    /// until segments are full.
    wal_archive_timeout, "wal_archive_timeout", Span, "5min";
    /// Directory in which BACKUP makes its directories.
    backup_dir, "backup_dir", Path, "./rustydb-backups";
    /// Connections of the process over both ports, split evenly over the shards. One more gets 53300 and is closed.
    connections_max, "connections_max", Count, "10000";
    /// Requests waiting or running in the process. One more gets 53400 (HTTP 429).
    pending_max, "pending_max", Count, "10000";
    /// Longest run of a statement; then 57014 (HTTP 504). 0 is no limit. A session may set its own.
    statement_timeout, "statement_timeout", Span, "30s";
    /// Longest time a client may be silent inside a transaction; then it is rolled back and the connection closed (25P03). Its
    /// locks and its snapshot, which keeps old versions of rows from being collected, last no longer. 0 is no limit. A session
    /// may set its own as `idle_in_transaction_session_timeout`.
    idle_in_transaction_timeout, "idle_in_transaction_timeout", Span, "1h";
    /// How often the server looks for tables of which more than 50 rows and a tenth have been changed since they were analyzed,
    /// and analyzes them. 0 is never.
    analyze_interval, "analyze_interval", Span, "1min";
    /// Longest wait at shutdown for what still runs; then it is cancelled.
    drain_timeout, "drain_timeout", Span, "10s";
    /// Longest time a connection may take to complete its startup.
    authentication_timeout, "authentication_timeout", Span, "60s";
    /// Longest time a client may take to send the head of an HTTP request, and the longest an idle connection is kept.
    http_header_timeout, "http_header_timeout", Span, "60s";
    /// One message on the SQL port, without its header; COPY data of any length is streamed. A larger one gets 54000. While it comes
    /// in it is in the shard's buffers, of which one message of this length is always had: who sends another one may wait.
    frame_bytes_max, "frame_bytes_max", Size, "64MiB";
    /// Body of an HTTP request. A larger one gets 413.
    http_body_bytes_max, "http_body_bytes_max", Size, "10MiB";
    /// Memory of one query's operators and results. Sorts, joins, aggregates, DISTINCT and set operations over it (or over what
    /// the session sets as `work_mem`, each) go on in temporary files; what cannot fails with 53200.
    query_bytes_max, "query_bytes_max", Size, "64MiB";
    /// Temporary files of the process together, in the data directory's `tmp`. Over it the query fails with 53400. They have no
    /// names, so a crash leaves none; whatever is found in `tmp` at the start is removed.
    temp_bytes_max, "temp_bytes_max", Size, "10GiB";
    /// Memory of a partition for the writes of transactions that have not committed. Large ones keep more than it in the page file.
    txn_memory_bytes, "txn_memory_bytes", Size, "64MiB";
    /// Statements that take longer are logged with their text. 0 logs none.
    slow_statement, "slow_statement", Span, "1s";
    /// What is logged: a level (error, warn, info, debug, trace, off), or directives such as `info,rustydb_shard::proto=debug`.
    log_level, "log.level", LogFilter, "info";
    /// Form of log lines on standard error.
    log_format, "log.format", LogForm, "pretty";
}

/// The pool of one shard when nothing says otherwise: at least, at most.
const POOL_BYTES_AUTO: (u64, u64) = (16 << 20, 1 << 30);
/// What one shard's buffers have beyond the least when nothing says otherwise: at least, at most.
const BUFFER_BYTES_AUTO: (u64, u64) = (8 << 20, 64 << 20);

impl Config {
    /// Number of shards. After loading it is always known.
    pub fn shards(&self) -> usize {
        self.cores.unwrap_or(1)
    }

    /// Partitions that a new data directory gets.
    pub fn partitions_new(&self) -> usize {
        self.partitions.unwrap_or_else(|| self.shards())
    }

    /// Page buffer pool of one shard in bytes. After loading it is always known.
    pub fn shard_pool_bytes(&self) -> usize {
        self.pool_bytes.unwrap_or(POOL_BYTES_AUTO.0 as usize)
    }

    /// Buffers of one shard in bytes. After loading it is always known.
    pub fn shard_buffer_bytes(&self) -> usize {
        self.buffer_bytes
            .unwrap_or_else(|| self.shard_buffer_bytes_least())
    }

    /// What a shard's buffers must at least have for its connections, and for one message of the greatest length.
    pub fn shard_buffer_bytes_least(&self) -> usize {
        Limits::least(self.shard_connections_max(0), self.frame_bytes_max)
    }

    /// The ceilings of a shard's buffers.
    pub fn shard_buffers(&self) -> Result<Limits, LimitsError> {
        let connections = self.shard_connections_max(0);
        Limits::for_shard(self.shard_buffer_bytes(), connections, self.frame_bytes_max)
    }

    /// Connection slots of one shard: the split of `connections_max`, the remainder to the first shards.
    pub fn shard_connections_max(&self, shard: usize) -> usize {
        let shards = self.shards();
        self.connections_max / shards + usize::from(shard < self.connections_max % shards)
    }

    /// Where a setting came from.
    pub fn source(&self, key: &str) -> Source {
        self.sources.get(key).cloned().unwrap_or(Source::Default)
    }

    /// Where finished log segments go, if anywhere.
    pub fn archive_dir(&self) -> Option<&std::path::Path> {
        self.wal_archive_dir.as_deref()
    }

    /// Replaces `auto` by what the host gives. `partitions` stays: it is decided when a directory is created.
    pub(super) fn resolve(&mut self, host: &Host) {
        let cores = *self
            .cores
            .get_or_insert(host.cores.clamp(1, limits::SHARDS_MAX));
        let share = host.memory_bytes / 4 / cores.max(1) as u64;
        let whole_mib = share.clamp(POOL_BYTES_AUTO.0, POOL_BYTES_AUTO.1) & !((1 << 20) - 1);
        self.pool_bytes.get_or_insert(whole_mib as usize);
        let share = host.memory_bytes / 64 / cores.max(1) as u64;
        let beyond = share.clamp(BUFFER_BYTES_AUTO.0, BUFFER_BYTES_AUTO.1) as usize;
        let whole = self.shard_buffer_bytes_least().saturating_add(beyond);
        self.buffer_bytes
            .get_or_insert(whole.saturating_add((1 << 20) - 1) & !((1 << 20) - 1));
    }
}

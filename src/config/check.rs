//! The rules between settings, and the ranges that a form alone cannot know.
//!
//! Owns: `Config::check`. Asked by: `Layers::finish`, so that no `Config` exists unchecked.
//! Never: touches the host (ports, directories and memory limits are looked at when the server starts).
//! Bounds: hard ceilings come from `types::limits`.

use super::{Config, ConfigError};
use std::time::Duration;
use types::limits;

/// A pool below this cannot hold the pages that one deep operation pins.
const POOL_BYTES_MIN: usize = 4 << 20;
const WAL_SEGMENT_BYTES: (usize, usize) = (1 << 20, 1 << 30);
/// Frames, bodies and query memory below this would refuse ordinary statements.
const BUFFER_BYTES_MIN: usize = 4 << 10;
const TIMEOUT_MAX: Duration = Duration::from_secs(86_400);

impl Config {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.check_listen()?;
        self.check_counts()?;
        self.check_sizes()?;
        self.check_timeouts()
    }

    fn check_listen(&self) -> Result<(), ConfigError> {
        if !self.listen.is_loopback() {
            return Err(self.refuse(
                "listen",
                "the server cannot tell yet who connects, so it listens on loopback only; \
                 use 127.0.0.1 or ::1 and reach it through an SSH tunnel or a proxy that authenticates",
            ));
        }
        if self.sql_port != 0 && self.sql_port == self.http_port {
            return Err(self.refuse(
                "http_port",
                "the SQL port has the same number; choose another",
            ));
        }
        Ok(())
    }

    fn check_counts(&self) -> Result<(), ConfigError> {
        self.at_most("cores", self.shards(), limits::SHARDS_MAX)?;
        self.at_most("partitions", self.partitions_new(), limits::PARTITIONS_MAX)?;
        self.at_most("connections_max", self.connections_max, 1_000_000)?;
        self.at_most("pending_max", self.pending_max, 1_000_000)?;
        if self.connections_max < self.shards() {
            return Err(self.refuse(
                "connections_max",
                &format!("each of the {} shards needs at least one", self.shards()),
            ));
        }
        Ok(())
    }

    fn check_sizes(&self) -> Result<(), ConfigError> {
        self.at_least("pool_bytes", self.shard_pool_bytes(), POOL_BYTES_MIN)?;
        let (least, most) = WAL_SEGMENT_BYTES;
        self.at_least("wal_segment_bytes", self.wal_segment_bytes, least)?;
        self.at_most("wal_segment_bytes", self.wal_segment_bytes, most)?;
        if !self.wal_segment_bytes.is_multiple_of(4096) {
            return Err(self.refuse("wal_segment_bytes", "it must be a multiple of 4096 bytes"));
        }
        if self.checkpoint_wal_bytes < self.wal_segment_bytes {
            return Err(self.refuse(
                "checkpoint_wal_bytes",
                "it must be at least wal_segment_bytes, or every segment would start a checkpoint",
            ));
        }
        for (key, bytes) in [
            ("frame_bytes_max", self.frame_bytes_max),
            ("http_body_bytes_max", self.http_body_bytes_max),
            ("query_bytes_max", self.query_bytes_max),
        ] {
            self.at_least(key, bytes, BUFFER_BYTES_MIN)?;
            self.at_most(key, bytes, 1 << 40)?;
        }
        self.at_most("wal_keep_bytes", self.wal_keep_bytes, 1 << 50)?;
        self.at_most("temp_bytes_max", self.temp_bytes_max, 1 << 50)?;
        let key = "txn_memory_bytes";
        self.at_least(key, self.txn_memory_bytes, BUFFER_BYTES_MIN)?;
        self.at_most(key, self.txn_memory_bytes, limits::TXN_WRITE_BYTES_MAX)?;
        self.at_most("frame_bytes_max", self.frame_bytes_max, 1 << 30)?;
        self.check_buffers()?;
        self.at_most("http_body_bytes_max", self.http_body_bytes_max, 1 << 30)
    }

    fn check_buffers(&self) -> Result<(), ConfigError> {
        self.at_most("buffer_bytes", self.shard_buffer_bytes(), 1 << 40)?;
        let least = self.shard_buffer_bytes_least();
        if self.shard_buffer_bytes() < least {
            let why = format!(
                "the least is {least} for {} connections a shard and messages of {} bytes",
                self.shard_connections_max(0),
                self.frame_bytes_max
            );
            return Err(self.refuse("buffer_bytes", &why));
        }
        Ok(())
    }

    fn check_timeouts(&self) -> Result<(), ConfigError> {
        for (key, timeout, zero_means) in [
            ("statement_timeout", self.statement_timeout, true),
            (
                "idle_in_transaction_timeout",
                self.idle_in_transaction_timeout,
                true,
            ),
            ("analyze_interval", self.analyze_interval, true),
            ("slow_statement", self.slow_statement, true),
            ("drain_timeout", self.drain_timeout, true),
            ("wal_archive_timeout", self.wal_archive_timeout, true),
            ("authentication_timeout", self.authentication_timeout, false),
            ("http_header_timeout", self.http_header_timeout, false),
        ] {
            if timeout.is_zero() && !zero_means {
                return Err(self.refuse(key, "it must be longer than 0, or nobody could connect"));
            }
            if timeout > TIMEOUT_MAX {
                return Err(self.refuse(key, "the most is 1d"));
            }
        }
        Ok(())
    }

    fn at_least(&self, key: &'static str, value: usize, least: usize) -> Result<(), ConfigError> {
        if value < least {
            return Err(self.refuse(key, &format!("the least is {least}")));
        }
        Ok(())
    }

    fn at_most(&self, key: &'static str, value: usize, most: usize) -> Result<(), ConfigError> {
        if value > most {
            return Err(self.refuse(key, &format!("the most is {most}")));
        }
        Ok(())
    }

    fn refuse(&self, key: &'static str, why: &str) -> ConfigError {
        ConfigError::Refused {
            key,
            text: self.text(key).unwrap_or_default(),
            source_of: self.source(key),
            why: why.to_owned(),
        }
    }
}

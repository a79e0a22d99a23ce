//! Starting and stopping: one shard main per core, endpoints, drain.
//!
//! Owns: the order of things. Start: host probe, ports, data directory (nothing is written before all of it is known to
//! work), executors, recovery in every shard, what was in doubt, then endpoints. Stop: no new connections, what runs
//! finishes or is cancelled at the deadline, checkpoints, exit. Asked by: `main`.
//! Never: does any work of a request. Bounds: `drain_timeout` for the stop.

pub mod bootstrap;
pub mod directory;
mod doctor;
mod door;
mod numbers;
pub mod offline;
mod reload;
mod shard;
mod shared;

use crate::config::{Config, ConfigError};
pub use doctor::doctor;
use runtime::ShardOptions;
use runtime::buffers::LimitsError;
use shared::Shared;
use std::net::SocketAddr;
use types::{Error, ShardId};

/// Why the server did not start, or did not stop well: one sentence, with the fix where there is one.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{what} {fix}")]
    Host { what: String, fix: String },
    #[error(
        "cannot listen on {address}: {reason}; stop what uses the port or choose another with --{flag}"
    )]
    Port {
        address: SocketAddr,
        reason: std::io::Error,
        flag: &'static str,
    },
    #[error("cannot use the data directory {path}: {reason}")]
    Directory { path: String, reason: String },
    #[error("buffer_bytes: {0}")]
    Buffers(#[from] LimitsError),
    #[error("cannot restore: {0}")]
    Restore(String),
    #[error("cannot use the backup {path}: {reason}")]
    Backup { path: String, reason: String },
    #[error("cannot start the executors: {0}")]
    Runtime(#[from] runtime::StartError),
    #[error("shard {shard} did not start: {error}")]
    Shard { shard: ShardId, error: Error },
    #[error("{0}; the process stops, and its next start recovers everything acknowledged")]
    Panic(#[from] runtime::ShardPanic),
}

/// Reads the configuration again, from where it came.
pub type Reread = Box<dyn Fn() -> Result<Config, ConfigError> + Send + Sync>;

/// Runs the server until it is told to stop.
pub fn run(config: Config, reread: Reread) -> Result<(), StartError> {
    let shards = config.shards();
    let host = runtime::probe(shards).map_err(|p| StartError::Host {
        what: p.what,
        fix: p.fix,
    })?;
    let pin = shards <= host.cores;
    if !pin {
        tracing::warn!(
            shards,
            cores = host.cores,
            "more shards than cores: they are not pinned, and share"
        );
    }
    for (port, flag) in [
        (config.sql_port, "sql-port"),
        (config.http_port, "http-port"),
    ] {
        let address = SocketAddr::new(config.listen, port);
        runtime::bind_check(address).map_err(|reason| StartError::Port {
            address,
            reason,
            flag,
        })?;
    }
    let signals = runtime::watch_signals();
    let directory = directory::open(&config)?;
    let partitions = directory.layout.partitions;
    if shards > usize::from(partitions) {
        tracing::warn!(
            shards,
            partitions,
            "some shards have no partition and keep no rows: `rustydb-shard repartition --partitions {shards}` gives each one"
        );
    }
    let shared = Shared::new(config, reread, directory.layout, signals);
    let options = ShardOptions {
        shards,
        pin,
        spin: shared.config.spin,
        buffers: shared.config.shard_buffers()?,
        network: shared.config.network_method,
        ..ShardOptions::default()
    };
    let for_shards = shared.clone();
    let running = runtime::start(options, move |id| shard::main(id, for_shards.clone()))?;
    let joined = running.join();
    drop(directory);
    joined?;
    match shared.failure() {
        Some((shard, error)) => Err(StartError::Shard { shard, error }),
        None => Ok(()),
    }
}

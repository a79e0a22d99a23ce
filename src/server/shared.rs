//! What the shard mains share while they start and stop: counters of who has come how far, and the first failure.
//!
//! Crosses cores, behind one `Arc`; looked at only at start, stop, when a connection begins or ends and by health checks,
//! never on the data path.

use super::Reread;
use crate::config::Config;
use crate::router::{Answer, Message};
use engine::shard::Layout;
use engine::txn::Horizon;
use runtime::mesh::{Port, mesh};
use runtime::{SignalWatch, Spread, TempQuota};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use types::{Error, ShardId, limits};

const POLL: Duration = Duration::from_millis(1);

/// The stages every shard passes; nobody goes on before all are there.
#[derive(Clone, Copy, Debug)]
pub enum Stage {
    /// Its partitions are open and it answers calls.
    Opened,
    /// Shard 0 has settled what recovery left.
    Begun,
    Listening,
    /// No connection is left.
    Drained,
    /// Its stores are closed.
    Closed,
}

pub struct Shared {
    /// As the server was started.
    pub config: Config,
    pub reread: Reread,
    pub layout: Layout,
    pub signals: SignalWatch,
    pub horizon: Arc<Horizon>,
    pub temp_quota: Arc<TempQuota>,
    /// Over which shards the connections of each endpoint go.
    pub sql_spread: Arc<Spread>,
    pub http_spread: Arc<Spread>,
    ports: Mutex<Vec<Option<Port<Message, Answer>>>>,
    reached: [AtomicUsize; 5],
    failed: AtomicBool,
    failure: Mutex<Option<(ShardId, Error)>>,
    sql_port: AtomicU16,
    http_port: AtomicU16,
    pub started_micros: i64,
}

impl Shared {
    pub fn new(
        config: Config,
        reread: Reread,
        layout: Layout,
        signals: SignalWatch,
    ) -> Arc<Shared> {
        let shards = config.shards();
        let ports = mesh(shards, limits::LANE_CREDITS)
            .into_iter()
            .map(Some)
            .collect();
        Arc::new(Shared {
            layout,
            signals,
            horizon: Horizon::new(shards),
            temp_quota: TempQuota::new(config.temp_bytes_max as u64),
            sql_spread: Spread::new(shards),
            http_spread: Spread::new(shards),
            ports: Mutex::new(ports),
            reached: Default::default(),
            failed: AtomicBool::new(false),
            failure: Mutex::new(None),
            sql_port: AtomicU16::new(config.sql_port),
            http_port: AtomicU16::new(config.http_port),
            started_micros: runtime::wall_micros() - 946_684_800_000_000,
            config,
            reread,
        })
    }

    pub fn shards(&self) -> usize {
        self.config.shards()
    }

    pub fn take_port(&self, shard: ShardId) -> Option<Port<Message, Answer>> {
        self.ports
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_mut(usize::from(shard.0))?
            .take()
    }

    /// This shard has got there.
    pub fn reach(&self, stage: Stage) {
        self.reached[stage as usize].fetch_add(1, Ordering::AcqRel);
    }

    /// Waits until all shards have; `false` when one has failed instead.
    pub async fn all(&self, stage: Stage) -> bool {
        loop {
            if self.failed.load(Ordering::Acquire) {
                return false;
            }
            if self.reached[stage as usize].load(Ordering::Acquire) >= self.shards() {
                return true;
            }
            runtime::sleep(POLL).await;
        }
    }

    /// A shard cannot go on; all stop.
    pub fn fail(&self, shard: ShardId, error: Error) {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert((shard, error));
        self.failed.store(true, Ordering::Release);
    }

    pub fn failure(&self) -> Option<(ShardId, Error)> {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The ports that shard 0 was given, where the system was to choose.
    pub fn set_ports(&self, sql: u16, http: u16) {
        self.sql_port.store(sql, Ordering::Release);
        self.http_port.store(http, Ordering::Release);
    }

    pub fn sql_port(&self) -> u16 {
        self.sql_port.load(Ordering::Acquire)
    }

    pub fn http_port(&self) -> u16 {
        self.http_port.load(Ordering::Acquire)
    }
}

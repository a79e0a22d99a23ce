//! One shard's main: from its partitions to its endpoints, and back.

use super::door::ShardDoor;
use super::shared::{Shared, Stage};
use super::{bootstrap, directory, numbers, reload};
use crate::config::Config;
use crate::middleware::{Chain, ChainOptions};
use crate::net::{self, Endpoint, Live};
use crate::proto;
use crate::router::{Answer, Message, Router, deadlock};
use crate::service::Door;
use crate::session::{self, Node};
use crate::telemetry::{self, Metrics};
use engine::shard::Shard;
use runtime::{Credits, Dir, Listener, Spread, TempDir};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use types::{Error, Result, ShardId, SqlState};

/// Connections the system may hold back while a shard is busy.
const BACKLOG: u32 = 1_024;

/// What a shard runs until the server stops.
pub async fn main(id: ShardId, shared: Arc<Shared>) {
    telemetry::enter_shard(id);
    if let Err(e) = live(id, &shared).await {
        shared.fail(id, e);
    }
}

async fn live(id: ShardId, shared: &Arc<Shared>) -> Result<()> {
    let (shard, temp) = open(id, shared).await?;
    let port = shared
        .take_port(id)
        .ok_or_else(|| Error::internal("the shard's port is taken"))?
        .bind();
    let metrics = Metrics::current();
    let router = Rc::new(Router::new(shard.clone(), port.clone(), metrics.clone()));
    let config = &shared.config;
    let node = Node::new(
        router.clone(),
        metrics.clone(),
        temp,
        session::Options {
            statement_timeout: config.statement_timeout,
            idle_in_transaction_timeout: config.idle_in_transaction_timeout,
            query_bytes_max: config.query_bytes_max,
            backup_dir: config.backup_dir.clone(),
            sql_port: config.sql_port,
            started_micros: shared.started_micros,
            configured: told(config),
        },
    );
    answer_calls(&router, &node);
    shared.reach(Stage::Opened);
    if !shared.all(Stage::Opened).await {
        return Ok(());
    }
    if !begin(id, shared, &router, &node).await? {
        return Ok(());
    }
    let pending_max = (config.pending_max / shared.shards()).max(1);
    let chain = Chain::new(
        node.clone(),
        ChainOptions {
            pending_max,
            slow: config.slow_statement,
        },
    );
    let door = Rc::new(ShardDoor {
        chain,
        node: node.clone(),
        router,
        signals: shared.signals.clone(),
        slots: Credits::new(
            "connections",
            config.shard_connections_max(usize::from(id.0)),
        ),
    });
    let connections = Live::new();
    if !listen(id, shared, &door, &connections).await? {
        return Ok(());
    }
    shared.signals.requested().await;
    if id == ShardId(0) {
        tracing::info!("asked to stop: no new connections, what runs may finish");
    }
    drain(shared, &node, &connections).await;
    shard.close().await?;
    shared.reach(Stage::Closed);
    shared.all(Stage::Closed).await;
    port.close();
    if id == ShardId(0) {
        tracing::info!("stopped");
    }
    Ok(())
}

/// Shard 0 settles what recovery has left, and watches over the configuration from then on.
async fn begin(
    id: ShardId,
    shared: &Arc<Shared>,
    router: &Rc<Router>,
    node: &Rc<Node>,
) -> Result<bool> {
    if id == ShardId(0) {
        bootstrap::begin(router).await?;
        if let Err(e) = session::clean(node, &router.shard.catalogs()).await {
            tracing::warn!(error = %e, "temporary tables of earlier sessions not dropped");
        }
        (0..shared.shards()).for_each(|_| shared.reach(Stage::Begun));
        runtime::spawn_background(reload::watch(shared.clone(), router.clone())).detach();
        let every = shared.config.analyze_interval;
        runtime::spawn_background(session::tend(node.clone(), every)).detach();
    }
    runtime::spawn(deadlock::watch(Rc::downgrade(router))).detach();
    Ok(shared.all(Stage::Begun).await)
}

fn io(what: &str, e: &std::io::Error) -> Error {
    Error::new(SqlState::IO_ERROR, format!("could not {what}: {e}"))
}

/// The shard with its partitions, and where it makes temporary files.
async fn open(id: ShardId, shared: &Arc<Shared>) -> Result<(Rc<Shard>, TempDir)> {
    let config = &shared.config;
    let root = Dir::open_or_create(&config.data_dir)
        .await
        .map_err(|e| io("open the data directory", &e))?;
    let temp = directory::temp_dir(&root)
        .await
        .map_err(|e| io("open the directory of temporary files", &e))?;
    let temp = TempDir::new(temp, shared.temp_quota.clone());
    let mine = (shared.layout.ids())
        .filter(|p| engine::shard::owner(*p, shared.shards()) == id)
        .count()
        .max(1);
    let options = options(config, mine);
    let shard = Shard::open(
        id,
        shared.shards(),
        &root,
        shared.layout,
        &options,
        shared.horizon.clone(),
    );
    let shard = shard.await?;
    shard.use_temp(temp.clone());
    Ok((shard, temp))
}

/// What SHOW says of the configuration.
fn told(config: &Config) -> session::Configured {
    let socket_dir = config.unix_socket_dir.as_ref();
    session::Configured {
        data_dir: config.data_dir.display().to_string(),
        listen: config.listen.to_string(),
        socket_dir: socket_dir.map_or_else(String::new, |d| d.display().to_string()),
        connections_max: config.connections_max,
        pool_bytes: config.shard_pool_bytes() * config.shards(),
    }
}

/// How each of the `partitions` of one shard is opened.
pub fn options(config: &Config, partitions: usize) -> engine::shard::Options {
    engine::shard::Options {
        storage: storage::Options {
            pool_bytes: config.shard_pool_bytes() / partitions,
            wal_segment_bytes: config.wal_segment_bytes as u64,
            checkpoint_wal_bytes: config.checkpoint_wal_bytes as u64,
            wal_keep_bytes: config.wal_keep_bytes as u64,
            policy: config.pool_policy.parse().unwrap_or_default(),
            archive: config.archive_dir().map(Path::to_path_buf),
            ..storage::Options::default()
        },
        txn_memory_bytes: config.txn_memory_bytes,
        log_loads: config.archive_dir().is_some() || config.wal_keep_bytes > 0,
        archive_timeout: Some(config.wal_archive_timeout)
            .filter(|every| config.archive_dir().is_some() && !every.is_zero()),
        restore_to: None,
    }
}

/// Answers what other shards ask.
fn answer_calls(router: &Rc<Router>, node: &Rc<Node>) {
    let (router, node) = (router.clone(), node.clone());
    let port = router.port().clone();
    let shard = router.shard.clone();
    port.answer_at_once(move |_from, message| match message {
        Message::Shard(envelope) => {
            let reply = shard.handle_now(envelope)?;
            Some(Answer::Shard(Box::new(reply), shard.now()))
        }
        _ => None,
    });
    port.serve(move |_from, message| {
        let (router, node) = (router.clone(), node.clone());
        async move {
            match message {
                Message::Shard(envelope) => {
                    let reply = router.shard.handle(envelope).await;
                    Answer::Shard(Box::new(reply), router.shard.now())
                }
                Message::Cancel(key) => {
                    node.cancel(key);
                    Answer::Done
                }
                Message::Notify(database, notes) => {
                    node.tell_listeners(database, &notes);
                    Answer::Done
                }
                Message::Door(database, act) => Answer::Count(node.at_door(database, act)),
                Message::Sessions => Answer::Sessions(node.sessions_here()),
                Message::Signal(pid, signal) => {
                    Answer::Count(usize::from(node.signal_here(pid, signal)))
                }
                Message::Metrics => numbers::answer(&node).await,
            }
        }
    });
}

/// Opens the endpoints; shard 0 first, as it learns the ports that the system chooses.
async fn listen(
    id: ShardId,
    shared: &Arc<Shared>,
    door: &Rc<ShardDoor>,
    live: &Rc<Live>,
) -> Result<bool> {
    let config = &shared.config;
    if id != ShardId(0) {
        while shared.sql_port() == 0 || shared.http_port() == 0 {
            if shared.failure().is_some() {
                return Ok(false);
            }
            runtime::sleep(std::time::Duration::from_millis(1)).await;
        }
    }
    let at = |port| SocketAddr::new(config.listen, port);
    let sql = bind(at(shared.sql_port()), &shared.sql_spread)?;
    let http = bind(at(shared.http_port()), &shared.http_spread)?;
    let (sql_address, http_address) = (address(&sql)?, address(&http)?);
    if id == ShardId(0) {
        shared.set_ports(sql_address.port(), http_address.port());
        if let Some(path) = socket_path(config, sql_address.port()) {
            let listener = Listener::bind_unix(&path, BACKLOG, shared.sql_spread.clone());
            let listener = listener.map_err(|e| cannot_listen(path.display(), &e))?;
            serve_sql(shared, listener, door, live);
        }
    }
    serve_sql(shared, sql, door, live);
    serve_http(shared, http, door, live);
    shared.reach(Stage::Listening);
    if !shared.all(Stage::Listening).await {
        return Ok(false);
    }
    if id == ShardId(0) {
        announce(shared, sql_address, http_address);
    }
    Ok(true)
}

fn serve_sql(shared: &Shared, listener: Listener, door: &Rc<ShardDoor>, live: &Rc<Live>) {
    let config = &shared.config;
    let options = Rc::new(proto::pg::Options {
        authentication_timeout: config.authentication_timeout,
        frame_bytes_max: config.frame_bytes_max,
        ..proto::pg::Options::default()
    });
    let door: Rc<dyn Door> = door.clone();
    let limits = net::Options {
        first_bytes_timeout: config.authentication_timeout,
        ..net::Options::default()
    };
    let endpoint = Endpoint {
        listener,
        door: door.clone(),
        live: live.clone(),
        options: limits,
    };
    runtime::spawn(net::sql_port(endpoint, move |c| {
        proto::pg::serve(c, door.clone(), options.clone())
    }))
    .detach();
}

fn serve_http(shared: &Shared, listener: Listener, door: &Rc<ShardDoor>, live: &Rc<Live>) {
    let config = &shared.config;
    let options = proto::http::Options {
        body_bytes_max: config.http_body_bytes_max,
        answer_bytes_max: config.query_bytes_max,
        header_timeout: config.http_header_timeout,
        database: engine::catalog::databases::FIRST.into(),
        ..proto::http::Options::default()
    };
    let door: Rc<dyn Door> = door.clone();
    let http = proto::http::Http::new(door.clone(), options);
    let endpoint = Endpoint {
        listener,
        door,
        live: live.clone(),
        options: net::Options::default(),
    };
    runtime::spawn(net::http_port(endpoint, move |c| {
        proto::http::serve(c, http.clone())
    }))
    .detach();
}

fn bind(address: SocketAddr, spread: &Arc<Spread>) -> Result<Listener> {
    Listener::bind_spread(address, BACKLOG, spread.clone()).map_err(|e| cannot_listen(address, &e))
}

fn cannot_listen(at: impl std::fmt::Display, e: &std::io::Error) -> Error {
    Error::new(SqlState::IO_ERROR, format!("cannot listen on {at}: {e}"))
}

fn address(listener: &Listener) -> Result<SocketAddr> {
    let address = listener.local_addr();
    address.ok_or_else(|| Error::internal("a TCP listener has no address"))
}

/// Where PostgreSQL's clients look for a server of this port.
fn socket_path(config: &Config, port: u16) -> Option<PathBuf> {
    let dir = config.unix_socket_dir.as_ref()?;
    Some(dir.join(format!(".s.PGSQL.{port}")))
}

/// One line per endpoint on standard output: the server is ready.
fn announce(shared: &Shared, sql: SocketAddr, http: SocketAddr) {
    use std::io::Write;
    let text = format!(
        "PostgreSQL  postgresql://rustydb@{sql}/rustydb\nHTTP        http://{http}/api/v1/query\n"
    );
    // Nobody may be reading, which is no reason to stop.
    let _ = std::io::stdout().write_all(text.as_bytes());
    let _ = std::io::stdout().flush();
    tracing::info!(
        shards = shared.shards(),
        partitions = shared.layout.partitions,
        "ready"
    );
}

/// Waits for connections to end; at the deadline cancels what still runs.
async fn drain(shared: &Shared, node: &Rc<Node>, connections: &Rc<Live>) {
    let limit = shared.config.drain_timeout;
    if runtime::timeout(limit, connections.drained())
        .await
        .is_err()
    {
        tracing::warn!("the drain's deadline has passed: cancelling what still runs");
        node.cancel_all();
        let _ = runtime::timeout(CANCELLED, connections.drained()).await;
    }
    shared.reach(Stage::Drained);
    // Others may still need this shard's partitions.
    shared.all(Stage::Drained).await;
}

/// For a cancelled statement to tell its client.
const CANCELLED: std::time::Duration = std::time::Duration::from_secs(1);

//! What the sessions of one shard share, and the register by which a cancel request finds its session.

use super::activity::Activity;
use super::databases::Doors;
use super::listen::Listening;
use super::plans::PlanCache;
use super::settings::{Configured, Settings};
use super::temporary::Temporary;
use super::transaction::Block;
use super::{Session, now_micros};
use crate::router::Router;
use crate::router::advisory::Advisory;
use crate::router::notify::Note;
use crate::service::{CancelKey, Hello, Protocol};
use crate::telemetry::Metrics;
use engine::catalog::Database;
use engine::catalog::databases::FIRST;
use engine::exec::{CursorInfo, SessionInfo};
use runtime::TempDir;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;
use types::{Error, Result, ShardId, SqlState};

/// What sessions are told at start.
#[derive(Clone, Debug)]
pub struct Options {
    pub statement_timeout: Duration,
    pub idle_in_transaction_timeout: Duration,
    pub query_bytes_max: usize,
    pub backup_dir: PathBuf,
    pub sql_port: u16,
    pub started_micros: i64,
    pub configured: Configured,
}

/// One per shard.
pub struct Node {
    pub router: Rc<Router>,
    pub metrics: Rc<Metrics>,
    /// Where operators put rows aside.
    pub temp: TempDir,
    pub options: Options,
    pub(super) plans: RefCell<PlanCache>,
    pub(super) sessions: RefCell<HashMap<i32, Weak<Session>>>,
    /// Those that listen to something.
    listeners: RefCell<HashMap<i32, Weak<Session>>>,
    pub(super) doors: RefCell<Doors>,
    next: Cell<u32>,
    /// The settings of the session that asked last.
    shown: RefCell<Arc<Vec<(String, String)>>>,
}

/// A backend pid carries the shard in its upper bits, so that a cancel request can be sent there.
const PID_SHARD_SHIFT: u32 = 20;

impl Node {
    pub fn new(
        router: Rc<Router>,
        metrics: Rc<Metrics>,
        temp: TempDir,
        options: Options,
    ) -> Rc<Node> {
        Rc::new(Node {
            router,
            metrics,
            temp,
            options,
            plans: RefCell::new(PlanCache::new()),
            sessions: RefCell::new(HashMap::new()),
            listeners: RefCell::default(),
            doors: RefCell::default(),
            next: Cell::new(1),
            shown: RefCell::default(),
        })
    }

    /// The shard whose session a key names.
    pub fn shard_of(key: CancelKey) -> ShardId {
        ShardId((key.pid >> PID_SHARD_SHIFT) as u16)
    }

    /// Opens a session: 3D000 for a database there is not, 55000 for one that takes no connections.
    pub fn open(self: &Rc<Self>, hello: Hello) -> Result<Rc<Session>> {
        let database = self.database(&hello.database)?;
        if !database.allows_connections {
            return Err(Error::new(
                SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!(
                    "database \"{}\" is not currently accepting connections",
                    database.name
                ),
            ));
        }
        if self.doors.borrow().is_shut(database.oid) {
            return Err(Error::new(
                SqlState::CANNOT_CONNECT_NOW,
                format!("database \"{}\" is being dropped or renamed", database.name),
            ));
        }
        self.open_in(&database, hello)
    }

    /// One of the server's own, which comes in by every door.
    pub(super) fn open_own(self: &Rc<Self>, database: &str) -> Result<Rc<Session>> {
        let hello = Hello {
            protocol: Protocol::Postgres,
            user: FIRST.into(),
            database: database.to_owned(),
            peer: None,
            local: None,
            settings: Vec::new(),
        };
        let database = self.database(database)?;
        let session = self.open_in(&database, hello)?;
        session.own.set(true);
        Ok(session)
    }

    fn database(&self, name: &str) -> Result<Arc<Database>> {
        let catalogs = self.router.shard.catalogs();
        let found = catalogs.databases().named(name).cloned();
        found.ok_or_else(|| {
            Error::new(
                SqlState::INVALID_CATALOG_NAME,
                format!("database \"{name}\" does not exist"),
            )
        })
    }

    fn open_in(self: &Rc<Self>, database: &Database, hello: Hello) -> Result<Rc<Session>> {
        let mut settings = Settings::new(
            self.options.statement_timeout,
            self.options.query_bytes_max,
            &hello.user,
        );
        settings.starts_with_silence(self.options.idle_in_transaction_timeout);
        settings.starts_with(&self.options.configured);
        settings.starts_with_port(self.port(&hello));
        for (name, value) in &database.settings {
            // What was taken once may not be any more; that keeps nobody out.
            if let Err(error) = settings.set_at_start(name, value) {
                tracing::warn!(%error, database = database.name, "a database's setting is not taken");
            }
        }
        for (name, value) in &hello.settings {
            settings.set_at_start(name, value)?;
        }
        let key = self.new_key();
        let info = self.info(&hello, key, &settings, None);
        let session = Rc::new_cyclic(|me| Session {
            node: self.clone(),
            me: me.clone(),
            hello,
            key,
            database: database.oid,
            settings: RefCell::new(settings),
            assigned: RefCell::default(),
            told: RefCell::default(),
            info: RefCell::new(info),
            block: RefCell::new(Block::Idle),
            prepared: RefCell::default(),
            portals: RefCell::default(),
            cursors: RefCell::default(),
            declared: Cell::new(0),
            shown_cursors: RefCell::new(None),
            running: RefCell::new(None),
            activity: Activity::new(),
            advisory: Advisory::new(self.router.clone()),
            announcements: Rc::default(),
            notices: Rc::default(),
            listening: Listening::default(),
            sequences: Rc::default(),
            temporary: Temporary::default(),
            scripted: Cell::new(false),
            within: Cell::new(false),
            ended: Cell::new(false),
            own: Cell::new(false),
        });
        self.sessions
            .borrow_mut()
            .insert(key.pid, Rc::downgrade(&session));
        self.metrics.sessions_open.add(1);
        Ok(session)
    }

    pub(super) fn info(
        &self,
        hello: &Hello,
        key: CancelKey,
        settings: &Settings,
        cursors: Option<Arc<Vec<CursorInfo>>>,
    ) -> Arc<SessionInfo> {
        Arc::new(SessionInfo {
            user: hello.user.clone(),
            database: hello.database.clone(),
            backend_pid: key.pid,
            client_addr: hello.peer.map(|p| p.ip()),
            server_port: self.port(hello),
            server_start_micros: self.options.started_micros,
            forms: settings.forms(),
            settings: self.shown(settings),
            cursors,
        })
    }

    fn port(&self, hello: &Hello) -> u16 {
        hello.local.map_or(self.options.sql_port, |l| l.port())
    }

    /// As SHOW prints them; most sessions have the same and share them.
    fn shown(&self, settings: &Settings) -> Arc<Vec<(String, String)>> {
        let all = settings.all();
        let mut shown = self.shown.borrow_mut();
        if **shown != all {
            *shown = Arc::new(all);
        }
        shown.clone()
    }

    /// Unused on this shard; the counter wraps, and a pid still in use is passed over.
    fn new_key(&self) -> CancelKey {
        let sessions = self.sessions.borrow();
        loop {
            let n = self.next.get();
            self.next.set(n.wrapping_add(1) % (1 << PID_SHARD_SHIFT));
            let pid = (i32::from(self.router.shard.id.0) << PID_SHARD_SHIFT) | n as i32;
            if n != 0 && !sessions.contains_key(&pid) {
                return CancelKey {
                    pid,
                    secret: runtime::random_u64() as i32,
                };
            }
        }
    }

    /// Cancels what the session with this key, on this shard, runs.
    pub fn cancel(&self, key: CancelKey) {
        let session = self.sessions.borrow().get(&key.pid).and_then(Weak::upgrade);
        if let Some(session) = session {
            session.cancel(key);
        }
    }

    /// Whether ALTER DATABASE may make sessions begin with that.
    pub(super) fn takes_setting(&self, name: &str, value: &str) -> Result<()> {
        let options = &self.options;
        let mut tried = Settings::new(options.statement_timeout, options.query_bytes_max, "");
        tried.set_at_start(name, value)
    }

    /// Those of the shard that are in a database.
    pub(super) fn sessions_in(&self, database: u32) -> Vec<Rc<Session>> {
        let sessions = self.sessions.borrow();
        let all = sessions.values().filter_map(Weak::upgrade);
        all.filter(|s| s.database == database).collect()
    }

    /// Cancels everything that runs here.
    pub fn cancel_all(&self) {
        let all: Vec<Rc<Session>> = self
            .sessions
            .borrow()
            .values()
            .filter_map(Weak::upgrade)
            .collect();
        for session in all {
            session.cancel(session.cancel_key());
        }
    }

    pub(super) fn left(&self, key: CancelKey) {
        self.sessions.borrow_mut().remove(&key.pid);
        self.listeners.borrow_mut().remove(&key.pid);
        self.metrics.sessions_open.add(-1);
    }

    /// The session listens to something, or no longer.
    pub(super) fn listens(&self, session: &Session, any: bool) {
        let pid = session.cancel_key().pid;
        let mut listeners = self.listeners.borrow_mut();
        match any {
            true => listeners.insert(pid, session.me.clone()),
            false => listeners.remove(&pid),
        };
    }

    /// Notifications that were committed in a database, to the sessions here that listen in it.
    pub fn tell_listeners(&self, database: u32, notes: &[Note]) {
        let all: Vec<Rc<Session>> = self
            .listeners
            .borrow()
            .values()
            .filter_map(Weak::upgrade)
            .collect();
        let there = all.iter().filter(|s| s.database == database);
        there.for_each(|s| s.listening.hear(notes));
    }

    pub fn uptime_micros(&self) -> i64 {
        now_micros() - self.options.started_micros
    }
}

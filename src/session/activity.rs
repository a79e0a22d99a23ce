//! What a session does, as others see it, and what it asks of all shards for its statements.
//!
//! Owns: the text of the last statement and when it began, which sessions there are on this shard, signals to one of them.
//! Asked by: requests as they begin and end, the operators of a statement (`Observer`), and other shards.
//! Never: waits for the session that it signals. Bounds: `QUERY_BYTES_MAX` of a text are kept.
//! Source: PostgreSQL 15, `pg_stat_activity`, `pg_signal_backend`.

use super::{Node, Session, now_micros};
use crate::router::{Answer, Message, Signal};
use crate::service::CancelKey;
use engine::catalog::system::activity::{Asked, Doing, Live, PreparedState, SessionState};
use engine::exec::operators::observe::Observer;
use engine::shard::{Reply, ShardCall};
use futures_util::future::{LocalBoxFuture, try_join_all};
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use types::{Error, Result, ShardId, TreeId};

/// PostgreSQL's `track_activity_query_size`, less the zero at its end.
const QUERY_BYTES_MAX: usize = 1_023;

/// Times are microseconds since 2000-01-01 UTC.
pub(super) struct Activity {
    started_micros: i64,
    query: RefCell<Arc<str>>,
    query_micros: Cell<Option<i64>>,
    changed_micros: Cell<i64>,
}

impl Activity {
    pub fn new() -> Activity {
        let now = now_micros();
        Activity {
            started_micros: now,
            query: RefCell::new(Arc::from("")),
            query_micros: Cell::new(None),
            changed_micros: Cell::new(now),
        }
    }

    pub fn begins(&self, text: &Arc<str>) {
        let now = now_micros();
        *self.query.borrow_mut() = match text.len() > QUERY_BYTES_MAX {
            true => Arc::from(
                text.get(..text.floor_char_boundary(QUERY_BYTES_MAX))
                    .unwrap_or(""),
            ),
            false => text.clone(),
        };
        self.query_micros.set(Some(now));
        self.changed_micros.set(now);
    }

    pub fn ends(&self) {
        self.changed_micros.set(now_micros());
    }
}

impl Node {
    /// The clients' sessions of this shard.
    pub fn sessions_here(&self) -> Vec<SessionState> {
        let sessions = self.sessions.borrow();
        let all = sessions.values().filter_map(Weak::upgrade);
        all.filter(|s| !s.own.get()).map(|s| s.state()).collect()
    }

    /// Whether the shard has a session of that pid, which hears the signal.
    pub fn signal_here(&self, pid: i32, signal: Signal) -> bool {
        let found = self.sessions.borrow().get(&pid).and_then(Weak::upgrade);
        let Some(session) = found.filter(|s| !s.own.get()) else {
            return false;
        };
        match signal {
            Signal::Look => {}
            Signal::Cancel => session.cancel(session.cancel_key()),
            Signal::End => session.end(),
        }
        true
    }

    async fn signal(&self, pid: i32, signal: Signal) -> Result<bool> {
        let to = Node::shard_of(CancelKey { pid, secret: 0 });
        let known = pid > 0 && usize::from(to.0) < self.router.shard.shards;
        if !known {
            return Ok(false);
        }
        if to == self.router.shard.id {
            return Ok(self.signal_here(pid, signal));
        }
        let answer = self.router.send(to, Message::Signal(pid, signal)).await?;
        Ok(matches!(answer, Answer::Count(1)))
    }

    async fn sessions(&self) -> Result<Vec<SessionState>> {
        let mut all = self.sessions_here();
        let others = |to: &ShardId| *to != self.router.shard.id;
        let asks = self.router.shard_ids().filter(others);
        let asks = asks.map(|to| self.router.send(to, Message::Sessions));
        for answer in try_join_all(asks).await? {
            if let Answer::Sessions(more) = answer {
                all.extend(more);
            }
        }
        Ok(all)
    }
}

impl Session {
    fn state(&self) -> SessionState {
        let block = self.block.borrow();
        let doing = match () {
            () if self.running.borrow().is_some() => Doing::Active,
            () if block.is_failed() => Doing::InFailedTransaction,
            () if block.is_explicit() => Doing::InTransaction,
            () => Doing::Idle,
        };
        let query_micros = self.activity.query_micros.get();
        // A statement by itself is a transaction that begins with it.
        let transaction_micros = match block.is_explicit() {
            true => block.started_micros(),
            false => query_micros.filter(|_| block.started_micros().is_some()),
        };
        SessionState {
            pid: self.key.pid,
            database: self.database,
            user: self.hello.user.clone(),
            application: self
                .settings
                .borrow()
                .show("application_name")
                .unwrap_or_default(),
            client: self.hello.peer,
            started_micros: self.activity.started_micros,
            transaction_micros,
            query_micros,
            changed_micros: self.activity.changed_micros.get(),
            doing,
            query: self.activity.query.borrow().to_string(),
        }
    }

    fn prepared_statements(&self) -> Vec<PreparedState> {
        let all = self.prepared.borrow();
        let named = all.iter().filter(|(name, _)| !name.is_empty());
        let state = |(name, prepared): (&String, &Rc<super::Prepared>)| PreparedState {
            name: name.clone(),
            statement: (prepared.parsed.as_ref()).map_or(String::new(), |p| p.text.to_string()),
            micros: prepared.micros,
            types: prepared.bound.borrow().bound.params.to_vec(),
            from_sql: prepared.from_sql,
        };
        let mut all: Vec<PreparedState> = named.map(state).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}

impl Observer for Session {
    fn look(&self, what: Asked) -> LocalBoxFuture<'_, Result<Live>> {
        Box::pin(async move {
            Ok(match what {
                Asked::Sessions => Live::Sessions(self.node.sessions().await?),
                Asked::Prepared => Live::Prepared(self.prepared_statements()),
            })
        })
    }

    fn signal(&self, pid: i32, end: bool) -> LocalBoxFuture<'_, Result<bool>> {
        let signal = if end { Signal::End } else { Signal::Cancel };
        Box::pin(self.node.signal(pid, signal))
    }

    fn is_there(&self, pid: i32) -> LocalBoxFuture<'_, Result<bool>> {
        Box::pin(self.node.signal(pid, Signal::Look))
    }

    fn warn(&self, warning: Error) {
        self.notices.say(warning);
    }

    fn database_trees(&self, database: u32) -> Option<Vec<TreeId>> {
        let catalogs = self.node.router.shard.catalogs();
        Some(catalogs.of(database)?.trees().into_iter().collect())
    }

    fn bytes(&self, trees: Vec<TreeId>) -> LocalBoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            let ask = || ShardCall::TreeBytes(trees.clone());
            let mut bytes = 0;
            for reply in self.node.router.ask_all(ask).await? {
                if let Reply::Count(n) = reply {
                    bytes += n;
                }
            }
            Ok(bytes)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_text_as_much_is_kept_as_postgresql_keeps() {
        let activity = Activity::new();
        let most: Arc<str> = "x".repeat(QUERY_BYTES_MAX).into();
        activity.begins(&most);
        assert!(Arc::ptr_eq(&activity.query.borrow(), &most));
        activity.begins(&format!("{}é", "x".repeat(QUERY_BYTES_MAX - 1)).into());
        assert_eq!(activity.query.borrow().len(), QUERY_BYTES_MAX - 1);
    }
}

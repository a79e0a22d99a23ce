//! Who is in a database: when it is dropped or renamed, nobody may be.
//!
//! Owns: the doors of databases, which are shut on every shard from before the last look at who is there until the database is
//! gone, has another name, or stays as it was; and the end of a session that somebody else asks for. Asked by: `utility` for
//! DROP and ALTER DATABASE, `node` for each new session. Never: waits while it holds the catalog's lock, but for sessions that
//! it has ended. Bounds: `LEAVING_MAX` for those that are going anyway. Source: PostgreSQL 15, `CountOtherDBBackends`.

use super::{Node, Session};
use crate::router::{Answer, DoorAct, Message};
use engine::catalog::Database;
use engine::plan::ddl::DatabaseChange;
use runtime::sleep;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;
use types::{Error, Result, SqlState};

/// How long sessions that have been told to go, or whose clients have just left, are waited for.
const LEAVING_MAX: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(100);

/// Databases that nobody may come into, by oid, and how many want it so.
#[derive(Default)]
pub struct Doors(HashMap<u32, u32>);

impl Doors {
    pub(super) fn is_shut(&self, database: u32) -> bool {
        self.0.contains_key(&database)
    }

    fn shut(&mut self, database: u32) {
        *self.0.entry(database).or_default() += 1;
    }

    fn open(&mut self, database: u32) {
        if let Some(n) = self.0.get_mut(&database) {
            *n = n.saturating_sub(1);
            if *n == 0 {
                self.0.remove(&database);
            }
        }
    }
}

/// Nobody comes into the database while it lives.
pub struct Vacated {
    /// Until it is left.
    node: Option<Rc<Node>>,
    database: u32,
}

impl Vacated {
    /// Lets them in again: every shard does when this returns.
    pub(super) async fn leave(mut self) {
        if let Some(node) = self.node.take() {
            opened(&node, self.database).await;
        }
    }
}

impl Drop for Vacated {
    fn drop(&mut self) {
        if let Some(node) = self.node.take() {
            let database = self.database;
            runtime::spawn(async move { opened(&node, database).await }).detach();
        }
    }
}

async fn opened(node: &Rc<Node>, database: u32) {
    if let Err(error) = everywhere(node, database, DoorAct::Open).await {
        tracing::debug!(%error, "a shard did not open the door of a database");
    }
}

impl Node {
    /// What another shard, or this one, wants of a database's sessions here. Answers how many there are.
    pub fn at_door(&self, database: u32, act: DoorAct) -> usize {
        match act {
            DoorAct::Count => {}
            DoorAct::Shut => self.doors.borrow_mut().shut(database),
            DoorAct::Open => self.doors.borrow_mut().open(database),
            DoorAct::End => self.sessions_in(database).iter().for_each(|s| s.end()),
        }
        let sessions = self.sessions_in(database);
        sessions.iter().filter(|s| !s.own.get()).count()
    }
}

async fn everywhere(node: &Rc<Node>, database: u32, act: DoorAct) -> Result<usize> {
    let mut count = node.at_door(database, act);
    let own = node.router.shard.id;
    let others = node.router.shard_ids().filter(|to| *to != own);
    let asks = others.map(|to| node.router.send(to, Message::Door(database, act)));
    for answer in futures_util::future::try_join_all(asks).await? {
        if let Answer::Count(n) = answer {
            count += n;
        }
    }
    Ok(count)
}

impl Session {
    /// Before the catalog is locked: whether a setting is one, and time for those who are leaving a database that nobody may be in.
    pub(super) async fn prepare_database(&self, what: &DatabaseChange) -> Result<()> {
        if let DatabaseChange::Set {
            setting: Some(setting),
            value: Some(value),
            ..
        } = what
        {
            self.node.takes_setting(setting, value)?;
        }
        let databases = self.catalog().databases.clone();
        match (what.vacates(), databases.named(what.name())) {
            (Some(force), Some(found)) if found.oid != self.database && !found.is_template => {
                let act = if force { DoorAct::End } else { DoorAct::Count };
                self.until_empty(found.oid, act).await.map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Shuts the doors. 55006 while somebody is in.
    pub(super) async fn vacate(&self, database: &Database, force: bool) -> Result<Vacated> {
        let guard = Vacated {
            node: Some(self.node.clone()),
            database: database.oid,
        };
        let mut count = everywhere(&self.node, database.oid, DoorAct::Shut).await?;
        if force && count > 0 {
            count = self.until_empty(database.oid, DoorAct::End).await?;
        }
        match count {
            0 => Ok(guard),
            n => {
                guard.leave().await;
                Err(in_use(&database.name, n))
            }
        }
    }

    /// Answers how many are still there when there is no more time.
    async fn until_empty(&self, database: u32, act: DoorAct) -> Result<usize> {
        // By the clock: on a busy machine asking every shard takes longer than the pause after it.
        let began = runtime::Instant::now();
        loop {
            let count = everywhere(&self.node, database, act).await?;
            if count == 0 || began.elapsed() >= LEAVING_MAX {
                return Ok(count);
            }
            sleep(POLL).await;
        }
    }

    /// Ends what it runs, and itself as soon as its client can be told.
    pub(super) fn end(&self) {
        self.ended.set(true);
        self.cancel(self.key);
        self.listening.ring();
    }

    /// 57P01 when it has to end.
    pub(super) fn goes_on(&self) -> Result<()> {
        match self.ended.get() {
            false => Ok(()),
            true => Err(Error::new(
                SqlState::ADMIN_SHUTDOWN,
                "terminating connection due to administrator command",
            )),
        }
    }
}

fn in_use(name: &str, others: usize) -> Error {
    let detail = match others {
        1 => "There is 1 other session using the database.".to_owned(),
        n => format!("There are {n} other sessions using the database."),
    };
    Error::new(
        SqlState::OBJECT_IN_USE,
        format!("database \"{name}\" is being accessed by other users"),
    )
    .with_detail(detail)
}

#[cfg(test)]
mod tests {
    use super::Doors;

    #[test]
    fn a_door_that_two_have_shut_opens_when_both_have_opened_it() {
        let mut doors = Doors::default();
        doors.shut(7);
        doors.shut(7);
        doors.open(7);
        assert!(doors.is_shut(7) && !doors.is_shut(8));
        doors.open(7);
        doors.open(7);
        assert!(!doors.is_shut(7));
    }
}

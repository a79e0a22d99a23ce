//! NOTIFY: what a session's transaction announces when it commits, and its turn among those that do.
//!
//! Owns: announcements until the commit, each once, and the turn: an advisory lock that no client can name, which is held from
//! before the commit until every shard has them, so that all listeners hear in the order of commits. Asked by: `TxnSource` for
//! `pg_notify`, session for NOTIFY and at the end of a transaction. Never: knows who listens.
//! Bounds: `NOTICES_ANNOUNCED_BYTES_MAX` a transaction (54000). Source: PostgreSQL 15, `async.c`.

use super::Router;
pub use crate::service::Notification as Note;
use engine::exec::operators::AdvisoryKey;
use engine::shard::call::{AdviseCall, PartitionCall};
use engine::txn::TxnRef;
use hashbrown::HashSet;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use types::limits::{IDENTIFIER_BYTES_MAX, NOTICE_BYTES_MAX, NOTICES_ANNOUNCED_BYTES_MAX};
use types::{Error, PartitionId, Result, SqlState, Xid};

/// What it counts as where it waits.
pub fn bytes_of(note: &Note) -> usize {
    note.channel.len() + note.text.len() + size_of::<Note>()
}

/// Of one session's transaction.
#[derive(Default)]
pub struct Announcements {
    notes: RefCell<Vec<Note>>,
    seen: RefCell<HashSet<(Arc<str>, Arc<str>)>>,
    bytes: Cell<usize>,
}

impl Announcements {
    pub fn is_empty(&self) -> bool {
        self.notes.borrow().is_empty()
    }

    pub fn add(&self, channel: &str, text: &str, pid: i32) -> Result<()> {
        let invalid = |what| Error::new(SqlState::INVALID_PARAMETER_VALUE, what);
        if channel.is_empty() {
            return Err(invalid("channel name cannot be empty"));
        }
        if channel.len() > IDENTIFIER_BYTES_MAX {
            return Err(invalid("channel name too long"));
        }
        if text.len() > NOTICE_BYTES_MAX {
            return Err(invalid("payload string too long"));
        }
        let (channel, text): (Arc<str>, Arc<str>) = (channel.into(), text.into());
        if self
            .seen
            .borrow()
            .contains(&(channel.clone(), text.clone()))
        {
            return Ok(());
        }
        let note = Note { channel, text, pid };
        let bytes = self.bytes.get() + bytes_of(&note);
        if bytes > NOTICES_ANNOUNCED_BYTES_MAX {
            return Err(Error::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                "too many notifications in one transaction",
            )
            .with_detail(format!(
                "It may hold {NOTICES_ANNOUNCED_BYTES_MAX} bytes of them until it commits."
            )));
        }
        self.bytes.set(bytes);
        let key = (note.channel.clone(), note.text.clone());
        self.seen.borrow_mut().insert(key);
        self.notes.borrow_mut().push(note);
        Ok(())
    }

    /// How many there are.
    pub fn mark(&self) -> usize {
        self.notes.borrow().len()
    }

    /// Forgets all but the first so many.
    pub fn back_to(&self, len: usize) {
        let gone = {
            let mut notes = self.notes.borrow_mut();
            let at = len.min(notes.len());
            notes.split_off(at)
        };
        let mut seen = self.seen.borrow_mut();
        for note in gone {
            self.bytes
                .set(self.bytes.get().saturating_sub(bytes_of(&note)));
            seen.remove(&(note.channel, note.text));
        }
    }

    /// All of them; none is left.
    pub fn take(&self) -> Vec<Note> {
        self.seen.take();
        self.bytes.set(0);
        self.notes.take()
    }
}

/// No client's key begins so.
const KEY: AdvisoryKey = [2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const PLACE: PartitionId = PartitionId(0);

/// Nobody else commits announcements while it lives.
pub struct Turn {
    router: Rc<Router>,
    xid: Xid,
}

impl Router {
    /// Waits for those that are committing announcements.
    pub async fn notify_turn(self: &Rc<Self>, by: TxnRef) -> Result<Turn> {
        // Not the transaction's own: that ends before the listeners have been told.
        let turn = Turn {
            router: self.clone(),
            xid: self.shard.new_xid(),
        };
        let call = AdviseCall {
            txn: TxnRef {
                xid: turn.xid,
                ..by
            },
            key: KEY,
            shared: false,
            waits: true,
        };
        self.call(PLACE, PartitionCall::Advise(call)).await?;
        Ok(turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let (router, xid) = (self.router.clone(), self.xid);
        runtime::spawn(async move {
            let call = PartitionCall::Unadvise { xid, key: None };
            if let Err(error) = router.call(PLACE, call).await {
                tracing::debug!(%error, "a turn to notify was not given back");
            }
        })
        .detach();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_announced_once_and_what_is_taken_back_can_be_announced_again() {
        let all = Announcements::default();
        for (channel, text) in [("a", "1"), ("a", "1"), ("b", "1"), ("a", "2")] {
            all.add(channel, text, 7).unwrap();
        }
        assert_eq!(all.mark(), 3);
        all.back_to(1);
        all.add("b", "1", 7).unwrap();
        let texts: Vec<String> = all
            .take()
            .iter()
            .map(|n| format!("{}{}", n.channel, n.text))
            .collect();
        assert_eq!(texts, ["a1", "b1"]);
        assert_eq!((all.mark(), all.bytes.get()), (0, 0));
    }

    #[test]
    fn a_text_and_a_transaction_have_their_ceilings() {
        let all = Announcements::default();
        let longest = "x".repeat(NOTICE_BYTES_MAX);
        all.add("c", &longest, 1).unwrap();
        let refused = all.add("c", &format!("{longest}x"), 1).unwrap_err();
        assert_eq!(refused.code(), SqlState::INVALID_PARAMETER_VALUE);
        let mut n = 0;
        let full = loop {
            n += 1;
            if let Err(e) = all.add("c", &format!("{n:07999}"), 1) {
                break e;
            }
        };
        assert_eq!(full.code(), SqlState::PROGRAM_LIMIT_EXCEEDED);
        assert!(all.bytes.get() <= NOTICES_ANNOUNCED_BYTES_MAX);
    }
}

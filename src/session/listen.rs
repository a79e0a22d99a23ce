//! LISTEN, UNLISTEN and NOTIFY.
//!
//! Owns: the channels a session listens to, what its transaction changes of them, and the notifications that wait for its client.
//! Asked by: `transaction` at the end of one, the protocol between two requests. Never: tells a client anything while it is in
//! a transaction, or anybody of what was not committed.
//! Bounds: `CHANNELS_MAX` channels; `NOTICES_WAITING_BYTES_MAX` bytes that wait, then the session ends with 53400, so that its
//! client knows that it has missed some. Source: PostgreSQL 15, LISTEN and `async.c`.

use super::{Node, Session};
use crate::router::Message;
use crate::router::notify::{Note, bytes_of};
use runtime::sync::Notify;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use types::limits::{CHANNELS_MAX, NOTICES_WAITING_BYTES_MAX};
use types::{Error, Result, SqlState};

/// What a transaction will do when it commits.
enum Act {
    Listen(String),
    /// `None`: all.
    Unlisten(Option<String>),
}

#[derive(Default)]
pub struct Listening {
    channels: RefCell<BTreeSet<String>>,
    acts: RefCell<Vec<Act>>,
    waiting: RefCell<VecDeque<Note>>,
    bytes: Cell<usize>,
    missed: Cell<bool>,
    bell: Notify,
}

impl Listening {
    /// A shard has heard something.
    pub(super) fn hear(&self, notes: &[Note]) {
        let channels = self.channels.borrow();
        let mut heard = false;
        for note in notes.iter().filter(|n| channels.contains(&*n.channel)) {
            heard = true;
            let bytes = self.bytes.get() + bytes_of(note);
            if bytes > NOTICES_WAITING_BYTES_MAX {
                self.missed.set(true);
                break;
            }
            self.bytes.set(bytes);
            self.waiting.borrow_mut().push_back(note.clone());
        }
        if heard {
            self.bell.notify_all();
        }
    }

    pub(super) fn acts(&self) -> usize {
        self.acts.borrow().len()
    }

    pub(super) fn back_to(&self, acts: usize) {
        self.acts.borrow_mut().truncate(acts);
    }

    /// What the transaction asked for takes effect. Answers what to bring back if it does not commit after all.
    pub(super) fn commit(&self) -> Result<Option<BTreeSet<String>>> {
        let acts = self.acts.take();
        if acts.is_empty() {
            return Ok(None);
        }
        let mut channels = self.channels.borrow_mut();
        let before = channels.clone();
        for act in acts {
            match act {
                Act::Listen(channel) => {
                    channels.insert(channel);
                }
                Act::Unlisten(Some(channel)) => {
                    channels.remove(&channel);
                }
                Act::Unlisten(None) => channels.clear(),
            }
        }
        if channels.len() > CHANNELS_MAX {
            *channels = before;
            return Err(Error::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("a session can listen to at most {CHANNELS_MAX} channels"),
            ));
        }
        Ok(Some(before))
    }

    pub(super) fn restore(&self, channels: BTreeSet<String>) {
        *self.channels.borrow_mut() = channels;
    }

    /// Wakes who waits for something to tell.
    pub(super) fn ring(&self) {
        self.bell.notify_all();
    }

    fn is_idle(&self) -> bool {
        self.waiting.borrow().is_empty() && !self.missed.get()
    }
}

impl Session {
    pub(super) fn listen(&self, channel: &str) {
        let act = Act::Listen(channel.to_owned());
        self.listening.acts.borrow_mut().push(act);
    }

    pub(super) fn unlisten(&self, channel: Option<&str>) {
        let act = Act::Unlisten(channel.map(str::to_owned));
        self.listening.acts.borrow_mut().push(act);
    }

    /// UNLISTEN *, at once.
    pub(super) fn unlisten_now(&self) {
        self.listening.channels.borrow_mut().clear();
        self.listening.acts.borrow_mut().clear();
        self.node.listens(self, false);
    }

    pub(super) fn listens_or_not(&self) {
        let any = !self.listening.channels.borrow().is_empty();
        self.node.listens(self, any);
    }

    /// What the client is to be told now: nothing while it is in a transaction. 53400 when it has been too slow, 57P01 when it has
    /// to go.
    pub fn notifications(&self) -> Result<Vec<Note>> {
        self.goes_on()?;
        if self.listening.missed.get() {
            return Err(Error::new(
                SqlState::CONFIGURATION_LIMIT_EXCEEDED,
                "terminating connection because too many notifications wait for it",
            )
            .with_detail(format!(
                "{NOTICES_WAITING_BYTES_MAX} bytes may wait for a client."
            )));
        }
        if self.is_in_block() {
            return Ok(Vec::new());
        }
        self.listening.bytes.set(0);
        Ok(self.listening.waiting.take().into())
    }

    /// Until there is something to tell.
    pub async fn notified(&self) {
        loop {
            let bell = self.listening.bell.notified();
            let told = !self.listening.is_idle() && !self.is_in_block();
            if told || self.ended.get() {
                return;
            }
            bell.await;
        }
    }
}

/// Tells the listeners in a database of every shard. What a shard that is going does not answer, its listeners do not miss.
pub(super) async fn announce(node: &Rc<Node>, database: u32, notes: Vec<Note>) {
    let notes: Arc<[Note]> = notes.into();
    node.tell_listeners(database, &notes);
    let own = node.router.shard.id;
    let others = node.router.shard_ids().filter(|to| *to != own);
    let note = || Message::Notify(database, notes.clone());
    let sends = others.map(|to| node.router.send(to, note()));
    for sent in futures_util::future::join_all(sends).await {
        if let Err(error) = sent {
            tracing::debug!(%error, "a shard was not told of notifications");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(channel: &str, text: &str) -> Note {
        Note {
            channel: channel.into(),
            text: text.into(),
            pid: 1,
        }
    }

    #[test]
    fn a_listener_hears_its_channels_alone_from_the_commit_on() {
        let of = Listening::default();
        of.acts.borrow_mut().push(Act::Listen("a".into()));
        of.hear(&[note("a", "early")]);
        assert!(of.commit().unwrap().is_some());
        of.hear(&[note("a", "1"), note("b", "2"), note("a", "3")]);
        let heard: Vec<String> = of
            .waiting
            .take()
            .iter()
            .map(|n| n.text.to_string())
            .collect();
        assert_eq!(heard, ["1", "3"]);
        of.acts.borrow_mut().push(Act::Unlisten(None));
        let before = of.commit().unwrap().unwrap();
        of.hear(&[note("a", "4")]);
        assert!(of.is_idle());
        of.restore(before);
        of.hear(&[note("a", "5")]);
        assert!(!of.is_idle());
    }

    #[test]
    fn one_notification_over_the_ceiling_ends_the_session_and_one_channel_over_it_the_transaction()
    {
        let of = Listening::default();
        of.acts.borrow_mut().push(Act::Listen("a".into()));
        of.commit().unwrap();
        let one = note("a", &"x".repeat(7_000));
        let fit = NOTICES_WAITING_BYTES_MAX / bytes_of(&one);
        (0..fit).for_each(|_| of.hear(std::slice::from_ref(&one)));
        assert!(!of.missed.get());
        of.hear(&[one]);
        assert!(of.missed.get());
        for n in 0..CHANNELS_MAX {
            of.acts.borrow_mut().push(Act::Listen(n.to_string()));
        }
        assert_eq!(
            of.commit().unwrap_err().code(),
            SqlState::PROGRAM_LIMIT_EXCEEDED
        );
        assert_eq!(of.channels.borrow().len(), 1);
    }
}

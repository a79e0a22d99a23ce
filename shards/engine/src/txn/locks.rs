//! Row and table locks of one partition.
//!
//! Owns: who holds which key or table, and who waits, first come first served. Asked by: `Partition` before it reads what a
//! write depends on. Never: blocks a reader. Row locks are exclusive, but for those of FOR SHARE; table locks are
//! shared by writers and exclusive for changes of the table's definition. Rows' are held until the commit is in the log (`passing`), all others until the transaction ends in this partition. A transaction with more
//! row locks than an eighth of its ceiling takes the table's exclusive lock in their place, and waits for it if it must.
//! Bounds: a waiter is a running statement, so at most one per connection; a cycle of waits within one partition ends with
//! 40P01 at once. A longer wait is told to `Suspects`, and ends with 40P01 when the front has found a cycle over partitions.

use super::deadlock::{Suspects, TIMEOUT, Wait};
use super::{Stop, TxnRef};
use hashbrown::HashMap;
use runtime::sync::oneshot;
use smallvec::SmallVec;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;
use types::{Error, PartitionId, Result, SqlState, TableId, TreeId, Xid, limits};

/// How often a waiter looks whether its statement was stopped.
const STOP_POLL: Duration = Duration::from_millis(20);

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Target {
    Row(TableId, TreeId, Rc<[u8]>),
    Table(TableId),
    Advisory(Rc<[u8]>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    Shared,
    Exclusive,
}

impl Target {
    /// Memory of one lock: the key twice, and its places in the maps.
    fn bytes(&self) -> usize {
        let key = match self {
            Target::Row(_, _, key) | Target::Advisory(key) => key.len(),
            Target::Table(_) => 0,
        };
        2 * key + 200
    }
}

struct Lock {
    mode: Mode,
    owners: SmallVec<[Xid; 2]>,
    queue: VecDeque<Waiter>,
}

/// What a transaction holds, and the memory it takes.
#[derive(Default)]
struct Held {
    targets: Vec<Target>,
    bytes: usize,
    /// It has had too many row locks and takes whole tables from then on.
    heavy: bool,
    /// Tables whose exclusive lock it has in place of its rows'.
    covered: Vec<TableId>,
}

/// What a transaction's next row lock in a table has to be.
enum Covers {
    Table,
    Rows,
    TooManyRows,
}

impl Held {
    fn drop_one(&mut self, target: &Target) {
        if let Some(at) = self.targets.iter().position(|t| t == target) {
            self.bytes -= target.bytes();
            self.targets.swap_remove(at);
        }
    }

    fn push(&mut self, target: Target) {
        self.bytes += target.bytes();
        self.targets.push(target);
    }
}

struct Waiter {
    xid: Xid,
    mode: Mode,
    /// That of its `Awaited`.
    number: u64,
    /// `None` is the lock; otherwise the cycle that the wait was part of.
    grant: oneshot::Sender<Verdict>,
}

type Verdict = Option<String>;

/// A place in a queue. However the wait ends, nobody stands behind it afterwards.
struct Place<'a> {
    locks: &'a LockTable,
    xid: Xid,
    target: Target,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.locks.state.borrow_mut();
        let waiting = state.waiting.get(&self.xid);
        if waiting.is_some_and(|w| w.number == self.number) {
            state.waiting.remove(&self.xid);
        }
        state.leave(&self.target, self.number);
    }
}

/// What a transaction waits for.
struct Awaited {
    target: Target,
    /// Tells one wait from the next.
    number: u64,
    since_ns: u64,
}

struct State {
    bytes_max: usize,
    escalate_bytes: usize,
    locks: HashMap<Target, Lock>,
    held: HashMap<Xid, Held>,
    waiting: HashMap<Xid, Awaited>,
    waits: u64,
}

pub struct LockTable {
    state: RefCell<State>,
    suspects: Rc<Suspects>,
}

impl Default for LockTable {
    fn default() -> LockTable {
        LockTable::new(limits::TXN_LOCK_BYTES_MAX, Rc::default())
    }
}

fn too_many(max: usize) -> Error {
    Error::new(SqlState::OUT_OF_MEMORY, "transaction locks too much")
        .with_detail(format!(
            "A transaction may hold {max} bytes of locks in a partition."
        ))
        .with_hint("Split it into several transactions.")
}

impl LockTable {
    pub fn new(bytes_max: usize, suspects: Rc<Suspects>) -> LockTable {
        let state = State {
            bytes_max,
            escalate_bytes: bytes_max / 8,
            locks: HashMap::new(),
            held: HashMap::new(),
            waiting: HashMap::new(),
            waits: 0,
        };
        LockTable {
            state: RefCell::new(state),
            suspects,
        }
    }

    /// Waits for the lock of a key; returns at once when `txn` has it, or its whole table. Whoever asks shares the table.
    pub async fn row(
        &self,
        txn: &TxnRef,
        table: TableId,
        tree: TreeId,
        key: &[u8],
        mode: Mode,
    ) -> Result<()> {
        let covered = self.state.borrow_mut().covers(txn.xid, table);
        match covered {
            Covers::Table => Ok(()),
            Covers::Rows => {
                let target = Target::Row(table, tree, key.into());
                self.acquire(txn, target, mode).await.map(|_| ())
            }
            Covers::TooManyRows => {
                let target = Target::Table(table);
                self.acquire(txn, target, Mode::Exclusive).await?;
                self.state.borrow_mut().cover(txn.xid, table);
                Ok(())
            }
        }
    }

    /// As `row`, but `false` where it would have to wait.
    pub fn try_row(
        &self,
        txn: &TxnRef,
        table: TableId,
        tree: TreeId,
        key: &[u8],
        mode: Mode,
    ) -> Result<bool> {
        let mut state = self.state.borrow_mut();
        let (target, mode) = match state.covers(txn.xid, table) {
            Covers::Table => return Ok(true),
            Covers::Rows => (Target::Row(table, tree, key.into()), mode),
            Covers::TooManyRows => (Target::Table(table), Mode::Exclusive),
        };
        if !state.is_free(txn.xid, &target, mode) {
            return Ok(false);
        }
        let whole = matches!(target, Target::Table(_));
        state.request(txn.xid, target, mode)?;
        if whole {
            state.cover(txn.xid, table);
        }
        Ok(true)
    }

    /// Shares the table and locks the row for a writer, or takes neither, if it would have to wait for one of them.
    pub fn try_write(
        &self,
        txn: &TxnRef,
        table: TableId,
        row: Option<(TreeId, &[u8])>,
    ) -> Result<bool> {
        let xid = txn.xid;
        let mut state = self.state.borrow_mut();
        let row = match (row, state.covers(xid, table)) {
            (_, Covers::Table) => return Ok(true),
            (Some(_), Covers::TooManyRows) => return Ok(false),
            (row, _) => row.map(|(tree, key)| Target::Row(table, tree, key.into())),
        };
        let shared = Target::Table(table);
        let free = state.is_free(xid, &shared, Mode::Shared)
            && (row.iter()).all(|row| state.is_free(xid, row, Mode::Exclusive));
        if !free {
            return Ok(false);
        }
        state.request(xid, shared, Mode::Shared)?;
        if let Some(row) = row {
            state.request(xid, row, Mode::Exclusive)?;
        }
        Ok(true)
    }

    /// As `table`, but `false` where it would have to wait.
    pub fn try_table(&self, txn: &TxnRef, table: TableId, mode: Mode) -> Result<bool> {
        let mut state = self.state.borrow_mut();
        let target = Target::Table(table);
        if !state.is_free(txn.xid, &target, mode) {
            return Ok(false);
        }
        state.request(txn.xid, target, mode)?;
        Ok(true)
    }

    /// `true` when it had to wait.
    pub async fn table(&self, txn: &TxnRef, table: TableId, mode: Mode) -> Result<bool> {
        self.acquire(txn, Target::Table(table), mode).await
    }

    /// Waits for an advisory lock, if it may: whether it has it.
    pub async fn advisory(
        &self,
        txn: &TxnRef,
        key: &[u8],
        mode: Mode,
        waits: bool,
    ) -> Result<bool> {
        let target = Target::Advisory(key.into());
        if !waits && !self.state.borrow().is_free(txn.xid, &target, mode) {
            return Ok(false);
        }
        self.acquire(txn, target, mode).await.map(|_| true)
    }

    /// Gives back one advisory lock of `xid`, or all; nor does it wait for any of them from now on.
    pub fn give_back(&self, xid: Xid, key: Option<&[u8]>) {
        let mut state = self.state.borrow_mut();
        let target = key.map(|key| Target::Advisory(key.into()));
        let waited = state
            .waiting
            .get(&xid)
            .map(|w| (w.target.clone(), w.number));
        if let Some((waited, number)) = waited
            && target.as_ref().is_none_or(|t| *t == waited)
        {
            state.waiting.remove(&xid);
            state.leave(&waited, number);
        }
        match target {
            None => state.release(xid),
            Some(target) => {
                if let Some(held) = state.held.get_mut(&xid) {
                    held.drop_one(&target);
                }
                state.let_go(xid, target);
            }
        }
    }

    async fn acquire(&self, txn: &TxnRef, target: Target, mode: Mode) -> Result<bool> {
        let xid = txn.xid;
        let requested = self.state.borrow_mut().request(xid, target.clone(), mode)?;
        let Some((number, granted)) = requested else {
            return Ok(false);
        };
        let _place = Place {
            locks: self,
            xid,
            target,
            number,
        };
        self.wait(xid, granted, &txn.stop).await.map(|()| true)
    }

    async fn wait(
        &self,
        xid: Xid,
        mut granted: oneshot::Receiver<Verdict>,
        stop: &Stop,
    ) -> Result<()> {
        let began = runtime::Instant::now();
        let mut told = began;
        loop {
            match runtime::timeout(STOP_POLL, &mut granted).await {
                Ok(Ok(None)) => return Ok(()),
                Ok(Ok(Some(cycle))) => return Err(deadlock(cycle)),
                Ok(Err(_)) => return Err(Error::internal("a lock's queue went away")),
                Err(_) => stop.check()?,
            }
            if stop
                .lock_timeout()
                .is_some_and(|most| began.elapsed() >= most)
            {
                return Err(Error::new(
                    SqlState::LOCK_NOT_AVAILABLE,
                    "canceling statement due to lock timeout",
                ));
            }
            if told.elapsed() >= TIMEOUT {
                told = runtime::Instant::now();
                self.suspects.push(xid);
            }
        }
    }

    /// Every wait here, with those it waits for: the owners, and the nearest one ahead in the queue that it cannot share
    /// the lock with.
    pub fn waits(&self, partition: PartitionId) -> Vec<Wait> {
        let state = self.state.borrow();
        let waits = state.waiting.iter().filter_map(|(xid, awaited)| {
            let lock = state.locks.get(&awaited.target)?;
            let at = lock.queue.iter().position(|w| w.number == awaited.number)?;
            let mode = lock.queue.get(at)?.mode;
            let apart = |w: &&Waiter| mode == Mode::Exclusive || w.mode == Mode::Exclusive;
            let ahead = lock.queue.iter().take(at).rev().find(apart);
            let owners = lock.owners.iter().copied().filter(|o| o != xid);
            let (table, row) = match &awaited.target {
                Target::Row(table, ..) => (*table, true),
                Target::Table(table) => (*table, false),
                Target::Advisory(_) => (TableId(0), false),
            };
            Some(Wait {
                waiter: *xid,
                holders: owners.chain(ahead.map(|w| w.xid)).collect(),
                partition,
                table,
                row,
                number: awaited.number,
                since_ns: awaited.since_ns,
            })
        });
        waits.collect()
    }

    /// Ends a wait with 40P01, if it is still the one of that number.
    pub fn end_wait(&self, xid: Xid, number: u64, cycle: &str) {
        let mut state = self.state.borrow_mut();
        if state.waiting.get(&xid).is_none_or(|w| w.number != number) {
            return;
        }
        let Some(awaited) = state.waiting.remove(&xid) else {
            return;
        };
        let Some(lock) = state.locks.get_mut(&awaited.target) else {
            return;
        };
        let at = lock.queue.iter().position(|w| w.number == number);
        if let Some(waiter) = at.and_then(|at| lock.queue.remove(at)) {
            // It may have been stopped in the same moment.
            let _ = waiter.grant.send(Some(cycle.to_owned()));
        }
        // Sharers behind it need not wait for it any more.
        state.pass_on(&awaited.target);
    }

    /// Gives up everything `xid` holds and wakes who is next.
    pub fn release(&self, xid: Xid) {
        self.state.borrow_mut().release(xid);
    }

    /// Gives up the locks of rows alone, and wakes who is next. Tables that are locked in place of their rows stay.
    pub fn release_rows(&self, xid: Xid) {
        self.state.borrow_mut().release_rows(xid);
    }

    /// The transaction that holds the row, if any.
    pub fn row_owner(&self, table: TableId, tree: TreeId, key: &[u8]) -> Option<Xid> {
        self.state
            .borrow()
            .locks
            .get(&Target::Row(table, tree, key.into()))
            .and_then(|l| l.owners.first().copied())
    }

    /// The transactions that share the table or have it for themselves.
    pub fn table_owners(&self, table: TableId) -> Vec<Xid> {
        self.state.borrow().owners(&Target::Table(table)).collect()
    }

    pub fn held(&self) -> usize {
        self.state.borrow().locks.len()
    }

    pub fn waiting(&self) -> usize {
        self.state.borrow().waiting.len()
    }
}

fn deadlock(detail: impl Into<String>) -> Error {
    Error::new(SqlState::DEADLOCK_DETECTED, "deadlock detected")
        .with_detail(detail)
        .with_hint("Retry the transaction.")
}

impl State {
    fn covers(&mut self, xid: Xid, table: TableId) -> Covers {
        let escalate_bytes = self.escalate_bytes;
        let Some(held) = self.held.get_mut(&xid) else {
            return Covers::Rows;
        };
        if held.covered.contains(&table) {
            return Covers::Table;
        }
        held.heavy |= held.bytes > escalate_bytes;
        match held.heavy {
            true => Covers::TooManyRows,
            false => Covers::Rows,
        }
    }

    /// `xid` has the table's exclusive lock: those of its rows are of no use any more.
    fn cover(&mut self, xid: Xid, table: TableId) {
        let Some(held) = self.held.get_mut(&xid) else {
            return;
        };
        if held.covered.contains(&table) {
            return;
        }
        held.covered.push(table);
        let rows: Vec<Target> = held
            .targets
            .extract_if(.., |t| matches!(t, Target::Row(of, ..) if *of == table))
            .collect();
        held.bytes -= rows.iter().map(Target::bytes).sum::<usize>();
        for row in rows {
            self.let_go(xid, row);
        }
    }

    /// Whether `request` grants it at once.
    fn is_free(&self, xid: Xid, target: &Target, mode: Mode) -> bool {
        let Some(lock) = self.locks.get(target) else {
            return true;
        };
        let both_share = mode == Mode::Shared && lock.mode == Mode::Shared;
        match lock.owners.contains(&xid) {
            true => mode == Mode::Shared || lock.mode == Mode::Exclusive || lock.owners.len() == 1,
            false => both_share && lock.queue.is_empty(),
        }
    }

    /// `None` = granted; otherwise what to wait for.
    fn request(
        &mut self,
        xid: Xid,
        target: Target,
        mode: Mode,
    ) -> Result<Option<(u64, oneshot::Receiver<Verdict>)>> {
        let held = self.held.get(&xid).map_or(0, |h| h.bytes);
        let fits = held + target.bytes() <= self.bytes_max;
        let Some(lock) = self.locks.get_mut(&target) else {
            if !fits {
                return Err(too_many(self.bytes_max));
            }
            self.locks.insert(
                target.clone(),
                Lock {
                    mode,
                    owners: SmallVec::from_slice(&[xid]),
                    queue: VecDeque::new(),
                },
            );
            self.held.entry(xid).or_default().push(target);
            return Ok(None);
        };
        let mine = lock.owners.contains(&xid);
        if mine && (mode == Mode::Shared || lock.mode == Mode::Exclusive) {
            return Ok(None);
        }
        if mine && lock.owners.len() == 1 {
            lock.mode = Mode::Exclusive;
            return Ok(None);
        }
        if !mine && !fits {
            return Err(too_many(self.bytes_max));
        }
        if !mine && mode == Mode::Shared && lock.mode == Mode::Shared && lock.queue.is_empty() {
            lock.owners.push(xid);
            self.held.entry(xid).or_default().push(target);
            return Ok(None);
        }
        if let Some(cycle) = self.cycle(xid, &target) {
            return Err(deadlock(cycle));
        }
        self.waits += 1;
        let (grant, granted) = oneshot::channel();
        let waiter = Waiter {
            xid,
            mode,
            number: self.waits,
            grant,
        };
        if let Some(lock) = self.locks.get_mut(&target) {
            // Those in the queue wait for this owner anyway; behind them it would wait for itself.
            match mine {
                true => lock.queue.push_front(waiter),
                false => lock.queue.push_back(waiter),
            }
        }
        let awaited = Awaited {
            target,
            number: self.waits,
            since_ns: runtime::monotonic_ns(),
        };
        self.waiting.insert(xid, awaited);
        Ok(Some((self.waits, granted)))
    }

    /// When an owner of `target` waits, through any chain in this partition, for `xid`: a line for each wait of the cycle.
    fn cycle(&self, xid: Xid, target: &Target) -> Option<String> {
        // Each transaction reached, with the one that waits for it. Owning the lock asked for is an upgrade, not a cycle.
        let mut seen: HashMap<Xid, Xid> = HashMap::new();
        let mut next: Vec<(Xid, Xid)> = Vec::new();
        next.extend(self.owners(target).filter(|o| *o != xid).map(|o| (xid, o)));
        while let Some((waiter, owner)) = next.pop() {
            if owner == xid {
                return Some(self.described(xid, target, waiter, &seen));
            }
            if seen.contains_key(&owner) {
                continue;
            }
            seen.insert(owner, waiter);
            if let Some(awaited) = self.waiting.get(&owner) {
                let holders = self.owners(&awaited.target).filter(|h| *h != owner);
                next.extend(holders.map(|h| (owner, h)));
            }
        }
        None
    }

    /// The cycle that ends with `last` waiting for `xid`.
    fn described(
        &self,
        xid: Xid,
        target: &Target,
        last: Xid,
        waiters: &HashMap<Xid, Xid>,
    ) -> String {
        let mut lines = Vec::new();
        let (mut waiter, mut by) = (last, xid);
        loop {
            let awaited = match waiter == xid {
                true => Some(target),
                false => self.waiting.get(&waiter).map(|w| &w.target),
            };
            let what = match awaited {
                Some(Target::Row(table, ..)) => format!("a row of relation {table}"),
                Some(Target::Table(table)) => format!("relation {table}"),
                Some(Target::Advisory(_)) => "an advisory lock".into(),
                None => "a lock".into(),
            };
            lines.push(format!(
                "Transaction {waiter} waits for {what}; blocked by transaction {by}."
            ));
            if waiter == xid {
                break;
            }
            (by, waiter) = (waiter, waiters.get(&waiter).copied().unwrap_or(xid));
        }
        lines.reverse();
        lines.join("\n")
    }

    fn owners(&self, target: &Target) -> impl Iterator<Item = Xid> {
        let lock = self.locks.get(target);
        lock.into_iter().flat_map(|l| l.owners.iter().copied())
    }

    fn release(&mut self, xid: Xid) {
        self.waiting.remove(&xid);
        for target in self.held.remove(&xid).unwrap_or_default().targets {
            self.let_go(xid, target);
        }
    }

    fn release_rows(&mut self, xid: Xid) {
        let Some(held) = self.held.get_mut(&xid) else {
            return;
        };
        let rows: SmallVec<[Target; 4]> = held
            .targets
            .extract_if(.., |t| matches!(t, Target::Row(..)))
            .collect();
        held.bytes -= rows.iter().map(Target::bytes).sum::<usize>();
        for row in rows {
            self.let_go(xid, row);
        }
    }

    /// Hands on a lock that `xid` no longer counts among its own.
    fn let_go(&mut self, xid: Xid, target: Target) {
        let Some(lock) = self.locks.get_mut(&target) else {
            return;
        };
        lock.owners.retain(|o| *o != xid);
        self.pass_on(&target);
    }

    /// Takes a waiter out of the queue, if it is still in it, and lets those behind it go on.
    fn leave(&mut self, target: &Target, number: u64) {
        let Some(lock) = self.locks.get_mut(target) else {
            return;
        };
        let waiters = lock.queue.len();
        lock.queue.retain(|w| w.number != number);
        if lock.queue.len() < waiters {
            self.pass_on(target);
        }
    }

    /// Gives a lock to whoever is next, if it is free for them.
    fn pass_on(&mut self, target: &Target) {
        let Some(lock) = self.locks.get_mut(target) else {
            return;
        };
        let granted = lock.grant_next();
        if lock.owners.is_empty() && lock.queue.is_empty() {
            self.locks.remove(target);
        }
        for owner in granted {
            self.waiting.remove(&owner);
            self.held.entry(owner).or_default().push(target.clone());
        }
    }
}

impl Lock {
    /// Hands the lock to the head of the queue, and on to the following sharers. Waiters that gave up are skipped.
    fn grant_next(&mut self) -> Vec<Xid> {
        let mut granted = Vec::new();
        while let Some(head) = self.queue.front() {
            let upgrade = self.owners.len() == 1 && self.owners[0] == head.xid;
            let free = self.owners.is_empty() || upgrade;
            if !(free || (self.mode == Mode::Shared && head.mode == Mode::Shared)) {
                break;
            }
            let Some(waiter) = self.queue.pop_front() else {
                break;
            };
            if waiter.grant.send(None).is_err() {
                continue;
            }
            self.mode = waiter.mode;
            if !upgrade {
                self.owners.push(waiter.xid);
                granted.push(waiter.xid);
            }
        }
        granted
    }
}

#[cfg(test)]
mod tests;

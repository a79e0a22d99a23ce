//! A disk in memory, with a history and with faults.
//!
//! Owns: an `Image`, the log of every event since it was made, the operations under way and when each ends, and the faults
//! that were ordered. Asked by: `fs` and `io` in a simulated run; tests keep a handle to read the log and order faults.
//! Never: touches the machine's disk. An operation ends even when whoever asked has gone, as it does on a ring.
//! Bounds: memory: the log keeps every written byte.

use super::fault::{Does, Fault, NOTHING_WRITTEN, On, Until};
use super::image::{Change, Event, Image, NodeId, OpId, ROOT};
use super::{Machine, machine};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Component, Path};
use std::rc::Rc;
use std::task::{Poll, Waker};

/// Cheap to clone; clones are the same disk.
#[derive(Clone)]
pub struct Disk(Rc<RefCell<State>>);

struct State {
    image: Image,
    log: Vec<Event>,
    last_op: OpId,
    queue: BTreeMap<(u64, OpId), Rc<Ticket>>,
    faults: Vec<Fault>,
    /// Acknowledged, and kept back.
    late: Vec<Late>,
    /// The lowest position of each file that was written since its last sync was issued.
    unsynced: HashMap<NodeId, u64>,
}

/// An operation that was acknowledged before its end.
struct Late {
    node: NodeId,
    op: OpId,
    until: Until,
}

/// One operation under way.
struct Ticket {
    /// Whether its end belongs into the history.
    logged: bool,
    /// The errno that is its outcome.
    fails: Option<i32>,
    late: Option<Until>,
    writes: bool,
    node: NodeId,
    ended: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// What a fault makes of an operation.
struct Verdict {
    change: Change,
    fails: Option<i32>,
    late: Option<Until>,
    /// It has its place in the history all the same, so that points of runs with and without it can be compared.
    lies: bool,
}

impl Disk {
    pub fn new() -> Disk {
        Disk::of(Image::new())
    }

    /// A disk that holds what a crash left. Its log begins empty.
    pub fn of(image: Image) -> Disk {
        Disk(Rc::new(RefCell::new(State {
            image,
            log: Vec::new(),
            last_op: 0,
            queue: BTreeMap::new(),
            faults: Vec::new(),
            late: Vec::new(),
            unsynced: HashMap::new(),
        })))
    }

    /// Everything that happened since the disk was made.
    pub fn log(&self) -> Vec<Event> {
        self.0.borrow().log.clone()
    }

    /// Events so far.
    pub fn events(&self) -> usize {
        self.0.borrow().log.len()
    }

    /// The disk as it is now.
    pub fn image(&self) -> Image {
        self.0.borrow().image.clone()
    }

    /// Notes in the history that something has happened.
    pub fn mark(&self, what: u64) {
        self.0.borrow_mut().record(Event::Mark(what));
    }

    /// From now on.
    pub fn order(&self, fault: Fault) {
        self.0.borrow_mut().faults.push(fault);
    }

    /// Ordered faults that have not happened yet.
    pub fn faults_left(&self) -> u64 {
        self.0.borrow().faults.iter().map(|f| f.times).sum()
    }

    pub fn mend(&self) {
        self.0.borrow_mut().faults.clear();
    }

    /// Flips one bit of a file at rest. False when there is no such file.
    pub fn flip(&self, path: &Path, at: u64, bit: u8) -> bool {
        let within = (at % 512) as usize;
        self.alter(path, at - at % 512, |s| s[within] ^= 1 << (bit % 8))
    }

    /// Changes one sector of a file at rest. False when there is no such file.
    pub fn alter(&self, path: &Path, at: u64, change: impl Fn(&mut [u8; 512])) -> bool {
        let mut state = self.0.borrow_mut();
        let Some(node) = state.find(path) else {
            return false;
        };
        state.image.alter(node, at, change);
        true
    }

    /// Bytes of a file as a program sees them.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.0.borrow();
        let sheet = state.image.sheet(state.find(path)?)?;
        let mut out = vec![0; sheet.size() as usize];
        sheet.read(0, &mut out);
        Some(out)
    }

    // --- what the file layer asks

    /// Its parent must be there; that it is there already is no error.
    pub(crate) async fn make_dir(&self, path: &Path) -> io::Result<()> {
        let (parent, name) = parts(path)?;
        let parent = self.0.borrow().find(parent);
        let parent = parent.ok_or_else(|| errno(libc::ENOENT))?;
        let known = self.0.borrow().image.lookup(parent, name);
        match known {
            Some(_) => Ok(()),
            None => self.create(parent, name, true).await.map(drop),
        }
    }

    pub(crate) async fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.pause().await;
        let state = self.0.borrow();
        let node = state.find(dir).ok_or_else(|| errno(libc::ENOENT))?;
        Ok(state.image.names(node))
    }

    pub(crate) async fn exists(&self, path: &Path) -> io::Result<bool> {
        self.pause().await;
        Ok(self.0.borrow().find(path).is_some())
    }

    pub(crate) async fn remove(&self, dir: &Path, name: &str) -> io::Result<()> {
        let node = self.entry(dir, name)?;
        let change = Change::Remove {
            dir: node,
            name: name.to_string(),
        };
        self.carry_out(On::Remove, &dir.join(name), 0, node, change)
            .await
    }

    pub(crate) async fn rename(&self, dir: &Path, from: &str, to: &str) -> io::Result<()> {
        let node = self.entry(dir, from)?;
        let change = Change::Rename {
            dir: node,
            from: from.to_string(),
            to: to.to_string(),
        };
        self.carry_out(On::Rename, &dir.join(to), 0, node, change)
            .await
    }

    pub(crate) async fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let found = self.0.borrow().find(dir);
        let node = found.ok_or_else(|| errno(libc::ENOENT))?;
        self.carry_out(On::SyncDir, dir, 0, node, Change::Sync { node })
            .await
    }

    pub(crate) async fn open(
        &self,
        path: &Path,
        create: bool,
        truncate: bool,
        direct: bool,
    ) -> io::Result<OpenFile> {
        let (dir, name) = parts(path)?;
        self.carry_out(On::Open, path, 0, ROOT, Change::Nothing)
            .await?;
        let dir = self.0.borrow().find(dir);
        let dir = dir.ok_or_else(|| errno(libc::ENOENT))?;
        let known = self.0.borrow().image.lookup(dir, name);
        let (node, fresh) = match known {
            Some(node) => (node, false),
            None if create => (self.create(dir, name, false).await?, true),
            None => return Err(errno(libc::ENOENT)),
        };
        if self.0.borrow().image.is_dir(node) {
            return Err(errno(libc::EISDIR));
        }
        let file = OpenFile {
            disk: self.clone(),
            node,
            path: path.to_path_buf(),
            direct,
        };
        if truncate && !fresh {
            file.resize(0, false).await?;
        }
        Ok(file)
    }

    async fn create(&self, dir: NodeId, name: &str, is_dir: bool) -> io::Result<NodeId> {
        let node = self.0.borrow().image.next_node();
        let change = Change::Create {
            dir,
            name: name.to_string(),
            node,
            is_dir,
        };
        self.carry_out(On::Create, Path::new(name), 0, dir, change)
            .await?;
        Ok(node)
    }

    fn entry(&self, dir: &Path, name: &str) -> io::Result<NodeId> {
        let state = self.0.borrow();
        let node = state.find(dir);
        match node.filter(|node| state.image.lookup(*node, name).is_some()) {
            Some(node) => Ok(node),
            None => Err(errno(libc::ENOENT)),
        }
    }

    // --- operations

    /// Issues a change, or what a fault makes of it, and waits for its end.
    async fn carry_out(
        &self,
        on: On,
        path: &Path,
        at: u64,
        node: NodeId,
        change: Change,
    ) -> io::Result<()> {
        let ticket = self.issue(on, path, at, node, change)?;
        self.wait(&ticket).await
    }

    /// Up to its first wait an operation is issued at once: the order of calls is the order of issue.
    fn issue(
        &self,
        on: On,
        path: &Path,
        at: u64,
        node: NodeId,
        change: Change,
    ) -> io::Result<Rc<Ticket>> {
        let machine = machine()?;
        let mut state = self.0.borrow_mut();
        let verdict = state.judge(on, path, at, change);
        state.last_op += 1;
        let op = state.last_op;
        let logged = verdict.lies || !matches!(verdict.change, Change::Nothing);
        if logged {
            let change = verdict.change;
            state.record(Event::Issued { op, change });
        }
        let ticket = Rc::new(Ticket {
            logged,
            fails: verdict.fails,
            late: verdict.late,
            writes: on == On::Write,
            node,
            ended: Cell::new(false),
            waker: RefCell::new(None),
        });
        let due = machine.now() + delay(&machine);
        state.queue.insert((due, op), ticket.clone());
        Ok(ticket)
    }

    async fn wait(&self, ticket: &Ticket) -> io::Result<()> {
        std::future::poll_fn(|cx| {
            if ticket.ended.get() {
                return Poll::Ready(());
            }
            ticket.waker.replace(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
        ticket.fails.map_or(Ok(()), |code| Err(errno(code)))
    }

    /// An operation that changes nothing.
    async fn pause(&self) {
        let asked = self.issue(On::Look, Path::new(""), 0, ROOT, Change::Nothing);
        if let Ok(ticket) = asked {
            // It has no way to fail.
            let _ = self.wait(&ticket).await;
        }
    }

    /// Ends what is due.
    pub(super) fn advance(&self, now: u64) {
        loop {
            let ended = {
                let mut state = self.0.borrow_mut();
                match state.queue.first_key_value() {
                    Some((key, _)) if key.0 <= now => state.end_first(),
                    _ => return,
                }
            };
            if let Some(ticket) = ended {
                ticket.ended.set(true);
                if let Some(waker) = ticket.waker.take() {
                    waker.wake();
                }
            }
        }
    }

    /// When the next operation ends.
    pub(super) fn next_end(&self) -> Option<u64> {
        let state = self.0.borrow();
        state.queue.first_key_value().map(|(key, _)| key.0)
    }

    /// The run is over: nobody waits any more, and what is under way stays so.
    pub(super) fn halt(&self) {
        let queue = std::mem::take(&mut self.0.borrow_mut().queue);
        drop(queue);
    }
}

impl Default for Disk {
    fn default() -> Disk {
        Disk::new()
    }
}

impl State {
    fn record(&mut self, event: Event) {
        self.image.apply(&event);
        self.log.push(event);
    }

    fn find(&self, path: &Path) -> Option<NodeId> {
        names(path).try_fold(ROOT, |dir, name| self.image.lookup(dir, name))
    }

    fn end_first(&mut self) -> Option<Rc<Ticket>> {
        let ((_, op), ticket) = self.queue.pop_first()?;
        if let Some(until) = ticket.late {
            let node = ticket.node;
            self.late.push(Late { node, op, until });
        } else if ticket.logged {
            let ok = ticket.fails.is_none();
            self.record(Event::Done { op, ok });
            let over = |late: &mut Late| {
                late.node == ticket.node && (ticket.writes || late.until == Until::NextOperation)
            };
            let freed: Vec<Late> = self.late.extract_if(.., over).collect();
            for Late { op, .. } in freed {
                self.record(Event::Done { op, ok: true });
            }
        }
        Some(ticket)
    }

    fn wrote(&mut self, node: NodeId, at: u64) {
        let lowest = self.unsynced.entry(node).or_insert(at);
        *lowest = at.min(*lowest);
    }

    fn judge(&mut self, on: On, path: &Path, at: u64, mut change: Change) -> Verdict {
        let (mut fails, mut late, mut lies) = (None, None, false);
        match self.fault(on, path, at) {
            None => {}
            // A sync that fails has been tried, and a write may have arrived in part; other operations do not begin.
            Some(Does::Fail(code)) => {
                fails = Some(code);
                if !matches!(on, On::Write | On::Sync | On::SyncDir) {
                    change = Change::Nothing;
                }
            }
            Some(Does::Lie) => (change, lies) = (Change::Nothing, true),
            Some(Does::Late(until)) => late = Some(until),
            Some(Does::Change(alter)) => alter(&mut change),
        }
        Verdict {
            change,
            fails,
            late,
            lies,
        }
    }

    fn fault(&mut self, on: On, path: &Path, at: u64) -> Option<Does> {
        let path = path.to_string_lossy();
        let matching = |f: &&mut Fault| f.meets(on, &path, at);
        let fault = self.faults.iter_mut().find(matching)?;
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        fault.times -= 1;
        Some(fault.does.clone())
    }
}

/// An open file.
pub(crate) struct OpenFile {
    disk: Disk,
    node: NodeId,
    path: std::path::PathBuf,
    direct: bool,
}

impl OpenFile {
    pub fn is_direct(&self) -> bool {
        self.direct
    }

    /// Up to `len` bytes; fewer at the end of the file.
    pub async fn read(&self, at: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut out = vec![0; len];
        let fault = self.disk.0.borrow_mut().fault(On::Read, &self.path, at);
        self.disk.pause().await;
        if let Some(Does::Fail(code)) = fault {
            return Err(errno(code));
        }
        let n = match self.disk.0.borrow().image.sheet(self.node) {
            Some(sheet) => sheet.read(at, &mut out),
            None => return Err(errno(libc::EBADF)),
        };
        out.truncate(n);
        if let Some(Does::Change(alter)) = fault {
            let mut change = Change::Write {
                file: self.node,
                at,
                bytes: out.into(),
            };
            alter(&mut change);
            return match change {
                Change::Write { bytes, .. } => Ok(bytes.to_vec()),
                _ => Ok(Vec::new()),
            };
        }
        Ok(out)
    }

    pub async fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.0.borrow_mut().wrote(self.node, at);
        let change = Change::Write {
            file: self.node,
            at,
            bytes: bytes.into(),
        };
        self.carry_out(On::Write, at, change).await
    }

    pub async fn sync(&self) -> io::Result<()> {
        let lowest = self.disk.0.borrow_mut().unsynced.remove(&self.node);
        let at = lowest.unwrap_or(NOTHING_WRITTEN);
        self.carry_out(On::Sync, at, Change::Sync { node: self.node })
            .await
    }

    pub async fn size(&self) -> io::Result<u64> {
        self.disk.pause().await;
        let state = self.disk.0.borrow();
        let sheet = state.image.sheet(self.node);
        sheet.map(|s| s.size()).ok_or_else(|| errno(libc::EBADF))
    }

    pub async fn resize(&self, len: u64, grow: bool) -> io::Result<()> {
        let on = if grow { On::Allocate } else { On::Truncate };
        let file = self.node;
        self.carry_out(on, len, Change::Resize { file, len, grow })
            .await
    }

    async fn carry_out(&self, on: On, at: u64, change: Change) -> io::Result<()> {
        self.disk
            .carry_out(on, &self.path, at, self.node, change)
            .await
    }
}

fn names(path: &Path) -> impl Iterator<Item = &str> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => name.to_str(),
        _ => None,
    })
}

fn parts(path: &Path) -> io::Result<(&Path, &str)> {
    let name = path.file_name().and_then(|n| n.to_str());
    match (path.parent(), name) {
        (Some(parent), Some(name)) => Ok((parent, name)),
        _ => Err(errno(libc::EINVAL)),
    }
}

fn errno(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

/// Nanoseconds that an operation takes; now and then one takes far longer than those behind it.
fn delay(machine: &Machine) -> u64 {
    machine.draw(|random| {
        let base = 5_000 + random.below(60_000);
        if random.one_in(12) { base * 20 } else { base }
    })
}

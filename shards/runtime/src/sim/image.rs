//! What is on a simulated disk, and what a crash leaves of it.
//!
//! Owns: for each file and directory two states, the one that programs see and the one that is certainly durable, and the
//! changes in between. `Image::apply` is the only way anything changes, so that a log of events is a history that can be
//! gone through again. Asked by: `disk`, and tests that crash. Never: waits or fails.
//! Promises no more than POSIX: a change is certain once a sync *issued after it completed* has completed. Before that
//! each write may be there, absent or torn by sectors, independently; each change of a directory likewise, but those of
//! one file in their order, and a rename as a whole. What a failed sync covered is never certain again.
//! Bounds: pages are shared between images; an image costs a pointer a page.
//! Source: fsync(2), rename(2); Pillai et al. 2014, "All File Systems Are Not Created Equal".

use super::random::Random;
use super::sheet::{Sectors, Sheet};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

/// Numbers the operations of a disk, in the order of their issue.
pub type OpId = u64;
/// Numbers its files and directories. The root is 0.
pub type NodeId = usize;

pub(super) const ROOT: NodeId = 0;

/// One line of a disk's history.
#[derive(Clone, Debug)]
pub enum Event {
    /// From here on the change may be on the disk.
    Issued { op: OpId, change: Change },
    /// From here on whoever asked knows. `ok` is what they were told.
    Done { op: OpId, ok: bool },
    /// Said by the program that used the disk.
    Mark(u64),
}

#[derive(Clone, Debug)]
pub enum Change {
    Write {
        file: NodeId,
        at: u64,
        bytes: Rc<[u8]>,
    },
    /// Cuts, or extends with zeros. With `grow` a longer file stays as it is.
    Resize {
        file: NodeId,
        len: u64,
        grow: bool,
    },
    /// Of a file or a directory.
    Sync {
        node: NodeId,
    },
    /// A new file or directory.
    Create {
        dir: NodeId,
        name: String,
        node: NodeId,
        is_dir: bool,
    },
    Rename {
        dir: NodeId,
        from: String,
        to: String,
    },
    Remove {
        dir: NodeId,
        name: String,
    },
    /// What the caller asked for does not happen.
    Nothing,
}

/// How a crash picks among what is not certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// Only what is certain is left: the power went and no cache was written.
    Least,
    /// All that was issued is left.
    Most,
    /// Any subset, with tears.
    Some(u64),
    /// Every write that is not certain is torn; of names any subset.
    Torn(u64),
    /// The process dies and the machine lives on: what is not certain stays so.
    Kill(u64),
}

#[derive(Clone, Default)]
pub struct Image {
    nodes: Vec<Node>,
    /// What is under way: the node, and for a sync the operations it makes certain.
    under_way: HashMap<OpId, (NodeId, Vec<OpId>)>,
}

#[derive(Clone)]
enum Node {
    File(FileNode),
    Dir(DirNode),
}

#[derive(Clone, Default)]
struct FileNode {
    durable: Sheet,
    seen: Sheet,
    pending: Vec<Pending<Bytes>>,
}

#[derive(Clone)]
enum Bytes {
    Write { at: u64, bytes: Rc<[u8]> },
    Resize { len: u64, grow: bool },
}

#[derive(Clone, Default)]
struct DirNode {
    durable: BTreeMap<String, NodeId>,
    seen: BTreeMap<String, NodeId>,
    pending: Vec<Pending<Entries>>,
}

/// Names that change together, and the node they are about.
#[derive(Clone)]
struct Entries {
    node: NodeId,
    sets: Vec<(String, Option<NodeId>)>,
}

#[derive(Clone)]
struct Pending<T> {
    op: OpId,
    what: T,
    done: bool,
    /// A sync that covered it failed, or it failed itself.
    lost: bool,
    /// Synced, but behind one that is lost: it stays here for the order.
    sure: bool,
}

impl Image {
    pub fn new() -> Image {
        Image {
            nodes: vec![Node::Dir(DirNode::default())],
            under_way: HashMap::new(),
        }
    }

    /// Takes one event. Events must come in the order in which they were recorded.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Issued { op, change } => self.issue(*op, change),
            Event::Done { op, ok } => self.done(*op, *ok),
            Event::Mark(_) => {}
        }
    }

    fn issue(&mut self, op: OpId, change: &Change) {
        match change {
            Change::Write { file, at, bytes } => {
                let bytes = bytes.clone();
                self.issue_bytes(op, *file, Bytes::Write { at: *at, bytes });
            }
            Change::Resize { file, len, grow } => {
                let what = Bytes::Resize {
                    len: *len,
                    grow: *grow,
                };
                self.issue_bytes(op, *file, what);
            }
            Change::Sync { node } => {
                let covered = match self.nodes.get(*node) {
                    Some(Node::File(file)) => covered(&file.pending),
                    Some(Node::Dir(dir)) => covered(&dir.pending),
                    None => Vec::new(),
                };
                self.under_way.insert(op, (*node, covered));
            }
            Change::Create {
                dir,
                name,
                node,
                is_dir,
            } => {
                debug_assert_eq!(*node, self.nodes.len());
                self.nodes.push(match is_dir {
                    true => Node::Dir(DirNode::default()),
                    false => Node::File(FileNode::default()),
                });
                self.issue_entries(op, *dir, *node, vec![(name.clone(), Some(*node))]);
            }
            Change::Rename { dir, from, to } => {
                if let Some(node) = self.lookup(*dir, from) {
                    let sets = vec![(from.clone(), None), (to.clone(), Some(node))];
                    self.issue_entries(op, *dir, node, sets);
                }
            }
            Change::Remove { dir, name } => {
                if let Some(node) = self.lookup(*dir, name) {
                    self.issue_entries(op, *dir, node, vec![(name.clone(), None)]);
                }
            }
            Change::Nothing => {}
        }
    }

    fn issue_bytes(&mut self, op: OpId, node: NodeId, what: Bytes) {
        if let Some(Node::File(file)) = self.nodes.get_mut(node) {
            file.pending.push(Pending::new(op, what));
            self.under_way.insert(op, (node, Vec::new()));
        }
    }

    /// Names change for those who look at once.
    fn issue_entries(
        &mut self,
        op: OpId,
        node: NodeId,
        about: NodeId,
        sets: Vec<(String, Option<NodeId>)>,
    ) {
        if let Some(Node::Dir(dir)) = self.nodes.get_mut(node) {
            set(&mut dir.seen, &sets);
            let what = Entries { node: about, sets };
            dir.pending.push(Pending::new(op, what));
            self.under_way.insert(op, (node, Vec::new()));
        }
    }

    fn done(&mut self, op: OpId, ok: bool) {
        let Some((node, synced)) = self.under_way.remove(&op) else {
            return;
        };
        match self.nodes.get_mut(node) {
            Some(Node::File(file)) => {
                settle(&mut file.pending, &synced, ok, |b| b.put(&mut file.durable));
                if let Some(p) = finished(&mut file.pending, op, ok) {
                    p.what.put(&mut file.seen);
                }
            }
            Some(Node::Dir(dir)) => {
                settle(&mut dir.pending, &synced, ok, |e| {
                    set(&mut dir.durable, &e.sets);
                });
                finished(&mut dir.pending, op, ok);
            }
            None => {}
        }
    }

    /// The disk as it may be found after a crash at this moment.
    pub fn crash(&self, how: Crash) -> Image {
        let mut random = match how {
            Crash::Some(seed) | Crash::Torn(seed) | Crash::Kill(seed) => Random::new(seed),
            Crash::Least | Crash::Most => Random::new(0),
        };
        // From nearly nothing to nearly everything, the same for the whole disk.
        let odds = [3, 20, 50, 80, 97][random.below(5) as usize];
        let nodes = self.nodes.iter().map(|node| match (node, how) {
            (Node::File(file), Crash::Kill(_)) => Node::File(file.killed(&mut random)),
            (Node::Dir(dir), Crash::Kill(_)) => Node::Dir(dir.killed()),
            (Node::File(file), _) => Node::File(file.crashed(how, odds, &mut random)),
            (Node::Dir(dir), _) => Node::Dir(dir.crashed(how, odds, &mut random)),
        });
        Image {
            nodes: nodes.collect(),
            under_way: HashMap::new(),
        }
    }

    /// Names what can be found on the disk: equal for equal contents.
    pub fn digest(&self) -> u64 {
        let mut sum = Random::new(1);
        self.fold(ROOT, &mut sum);
        sum.draw()
    }

    fn fold(&self, node: NodeId, sum: &mut Random) {
        match &self.nodes[node] {
            Node::File(file) => {
                file.seen.fold(sum);
                file.durable.fold(sum);
            }
            Node::Dir(dir) => {
                for (name, child) in &dir.seen {
                    let certain = dir.durable.get(name) == Some(child);
                    name.bytes().for_each(|b| sum.mix(u64::from(b)));
                    sum.mix(u64::from(certain));
                    self.fold(*child, sum);
                }
            }
        }
    }

    pub(super) fn lookup(&self, dir: NodeId, name: &str) -> Option<NodeId> {
        match self.nodes.get(dir) {
            Some(Node::Dir(dir)) => dir.seen.get(name).copied(),
            _ => None,
        }
    }

    pub(super) fn is_dir(&self, node: NodeId) -> bool {
        matches!(self.nodes.get(node), Some(Node::Dir(_)))
    }

    pub(super) fn names(&self, dir: NodeId) -> Vec<String> {
        match self.nodes.get(dir) {
            Some(Node::Dir(dir)) => dir.seen.keys().cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// The number that the next node gets.
    pub(super) fn next_node(&self) -> NodeId {
        self.nodes.len()
    }

    /// What a reader of the file finds.
    pub(super) fn sheet(&self, node: NodeId) -> Option<&Sheet> {
        match self.nodes.get(node) {
            Some(Node::File(file)) => Some(&file.seen),
            _ => None,
        }
    }

    /// To damage a file at rest, whatever was synced.
    pub(super) fn alter(&mut self, node: NodeId, at: u64, change: impl Fn(&mut [u8; 512])) {
        if let Some(Node::File(file)) = self.nodes.get_mut(node) {
            for sheet in [&mut file.seen, &mut file.durable] {
                let mut sector = [0; 512];
                sheet.read(at, &mut sector);
                change(&mut sector);
                sheet.write(at, &sector, &Sectors::All);
            }
        }
    }
}

impl<T> Pending<T> {
    fn new(op: OpId, what: T) -> Pending<T> {
        Pending {
            op,
            what,
            done: false,
            lost: false,
            sure: false,
        }
    }
}

fn covered<T>(pending: &[Pending<T>]) -> Vec<OpId> {
    let open = pending.iter().filter(|p| p.done && !p.lost && !p.sure);
    open.map(|p| p.op).collect()
}

/// A sync has ended: what it covered is certain, or after a failure never will be.
fn settle<T>(pending: &mut Vec<Pending<T>>, synced: &[OpId], ok: bool, mut keep: impl FnMut(&T)) {
    if synced.is_empty() {
        return;
    }
    let mut behind_lost = false;
    pending.retain_mut(|p| {
        behind_lost |= p.lost;
        if !synced.contains(&p.op) || p.lost {
            return true;
        }
        (p.lost, p.sure) = (!ok, ok && behind_lost);
        let leaves = ok && !behind_lost;
        if leaves {
            keep(&p.what);
        }
        !leaves
    });
}

/// A change has ended. It moves behind those that ended before it: the last to end is the one that is seen.
fn finished<T>(pending: &mut Vec<Pending<T>>, op: OpId, ok: bool) -> Option<&Pending<T>> {
    let at = pending.iter().position(|p| p.op == op)?;
    let mut ended = pending.remove(at);
    (ended.done, ended.lost) = (true, !ok);
    let place = pending.iter().rposition(|p| p.done).map_or(0, |i| i + 1);
    pending.insert(place, ended);
    // Of a write that failed nobody knows how much is seen; nothing is as good an answer as any.
    pending.get(place).filter(|p| !p.lost)
}

fn set(entries: &mut BTreeMap<String, NodeId>, sets: &[(String, Option<NodeId>)]) {
    for (name, node) in sets {
        match node {
            Some(node) => entries.insert(name.clone(), *node),
            None => entries.remove(name),
        };
    }
}

impl Bytes {
    fn put(&self, sheet: &mut Sheet) {
        self.put_some(sheet, &Sectors::All);
    }

    fn put_some(&self, sheet: &mut Sheet, sectors: &Sectors) {
        match self {
            Bytes::Write { at, bytes } => sheet.write(*at, bytes, sectors),
            Bytes::Resize { len, grow } if !grow || *len > sheet.size() => sheet.resize(*len),
            Bytes::Resize { .. } => {}
        }
    }

    fn tear(&self, random: &mut Random) -> Sectors {
        match self {
            Bytes::Write { at, bytes } => Sectors::torn(*at, bytes.len(), random),
            Bytes::Resize { .. } => Sectors::All,
        }
    }
}

impl FileNode {
    fn crashed(&self, how: Crash, odds: u64, random: &mut Random) -> FileNode {
        let mut left = self.durable.clone();
        for p in &self.pending {
            match how {
                _ if p.sure => p.what.put(&mut left),
                Crash::Least => {}
                Crash::Most => p.what.put(&mut left),
                Crash::Torn(_) => p.what.put_some(&mut left, &p.what.tear(random)),
                Crash::Some(_) | Crash::Kill(_) => {
                    let draw = random.below(100);
                    if draw < odds {
                        p.what.put(&mut left);
                    } else if draw.is_multiple_of(3) {
                        p.what.put_some(&mut left, &p.what.tear(random));
                    }
                }
            }
        }
        FileNode {
            seen: left.clone(),
            durable: left,
            pending: Vec::new(),
        }
    }

    /// What was under way ends, or never happens.
    fn killed(&self, random: &mut Random) -> FileNode {
        let mut left = self.clone();
        left.pending.retain_mut(|p| {
            if !p.done {
                p.done = random.below(2) == 0;
                if p.done {
                    p.what.put(&mut left.seen);
                }
            }
            p.done
        });
        left
    }
}

impl DirNode {
    fn crashed(&self, how: Crash, odds: u64, random: &mut Random) -> DirNode {
        let mut left = self.durable.clone();
        let mut stopped = HashSet::new();
        for p in &self.pending {
            let kept = match how {
                _ if p.sure => true,
                Crash::Least => false,
                Crash::Most => true,
                Crash::Some(_) | Crash::Torn(_) | Crash::Kill(_) => {
                    !stopped.contains(&p.what.node) && random.below(100) < odds
                }
            };
            if kept {
                set(&mut left, &p.what.sets);
            } else {
                stopped.insert(p.what.node);
            }
        }
        DirNode {
            seen: left.clone(),
            durable: left,
            pending: Vec::new(),
        }
    }

    fn killed(&self) -> DirNode {
        let mut left = self.clone();
        left.pending.iter_mut().for_each(|p| p.done = true);
        left
    }
}

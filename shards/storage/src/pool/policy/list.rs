//! Lists through arrays: what the policies order frames with.
//!
//! Owns: doubly linked lists whose nodes are numbers (`Links`), and lists of frames from which those that may not go
//! are set aside (`Frames`). Links are `Cell`s, so that a touch can move a frame through a shared borrow.
//! Asked by: the policies. Never: allocates after it was made.
//! Bounds: 8 bytes a node and 1 byte a frame. A frame that may not go is met once, then it is out of the way until it
//! is touched or told to be free again: looking for a victim costs what it meets, not what the pool holds.

use std::cell::Cell;
use std::ops::ControlFlow;

const NIL: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Link {
    /// Towards the hot end.
    prev: u32,
    /// Towards the cold end.
    next: u32,
}

/// Nodes `0..nodes`, each in at most one of the lists.
pub(in crate::pool) struct Links {
    links: Vec<Cell<Link>>,
    nodes: usize,
}

impl Links {
    pub fn new(nodes: usize, lists: usize) -> Links {
        let unlinked = Cell::new(Link {
            prev: NIL,
            next: NIL,
        });
        let mut links = vec![unlinked; nodes + lists];
        for (head, link) in links.iter_mut().enumerate().skip(nodes) {
            link.set(Link {
                prev: head as u32,
                next: head as u32,
            });
        }
        Links { links, nodes }
    }

    fn head(&self, list: usize) -> u32 {
        (self.nodes + list) as u32
    }

    fn get(&self, node: u32) -> Link {
        self.links[node as usize].get()
    }

    fn join(&self, left: u32, right: u32) {
        let (l, r) = (&self.links[left as usize], &self.links[right as usize]);
        if left == right {
            l.set(Link {
                prev: left,
                next: left,
            });
            return;
        }
        l.set(Link {
            next: right,
            ..l.get()
        });
        r.set(Link {
            prev: left,
            ..r.get()
        });
    }

    fn insert(&self, left: u32, node: u32, right: u32) {
        debug_assert!(!self.is_linked(node as usize));
        self.join(left, node);
        self.join(node, right);
    }

    pub fn is_linked(&self, node: usize) -> bool {
        self.links[node].get().next != NIL
    }

    pub fn unlink(&self, node: usize) {
        let Link { prev, next } = self.links[node].get();
        if next == NIL {
            return;
        }
        self.join(prev, next);
        self.links[node].set(Link {
            prev: NIL,
            next: NIL,
        });
    }

    /// Puts an unlinked node at the hot end.
    pub fn push_hot(&self, list: usize, node: usize) {
        let head = self.head(list);
        self.insert(head, node as u32, self.get(head).next);
    }

    /// Puts an unlinked node at the cold end.
    pub fn push_cold(&self, list: usize, node: usize) {
        let head = self.head(list);
        self.insert(self.get(head).prev, node as u32, head);
    }

    /// Unlinks a node and puts it at the hot end.
    pub fn to_hot(&self, list: usize, node: usize) {
        if self.get(self.head(list)).next != node as u32 {
            self.unlink(node);
            self.push_hot(list, node);
        }
    }

    /// An unlinked node takes the place of a linked one.
    pub fn replace(&self, old: usize, new: usize) {
        let next = self.links[old].get().next;
        self.insert(old as u32, new as u32, next);
        self.unlink(old);
    }

    pub fn coldest(&self, list: usize) -> Option<usize> {
        self.below(self.get(self.head(list)).prev)
    }

    /// The next one towards the hot end.
    pub fn hotter(&self, node: usize) -> Option<usize> {
        self.below(self.links[node].get().prev)
    }

    fn below(&self, node: u32) -> Option<usize> {
        ((node as usize) < self.nodes).then_some(node as usize)
    }
}

const NOWHERE: u8 = u8::MAX;
/// Set in `home` while the frame is set aside.
const ASIDE: u8 = 0x80;

/// Frames in lists, each from hot to cold.
pub(in crate::pool) struct Frames {
    /// A list `i`, and at `lists + i` those of it that are set aside.
    links: Links,
    home: Vec<Cell<u8>>,
    lens: Vec<Cell<usize>>,
    lists: usize,
}

impl Frames {
    pub fn new(frames: usize, lists: usize) -> Frames {
        Frames {
            links: Links::new(frames, 2 * lists),
            home: vec![Cell::new(NOWHERE); frames],
            lens: vec![Cell::new(0); lists],
            lists,
        }
    }

    /// The frame's list, whether it is set aside or not.
    pub fn list(&self, frame: usize) -> Option<usize> {
        let home = self.home[frame].get();
        (home != NOWHERE).then_some(usize::from(home & !ASIDE))
    }

    /// Frames in a list, those set aside included.
    pub fn len(&self, list: usize) -> usize {
        self.lens[list].get()
    }

    /// Puts the frame at the hot end of the list, wherever it was.
    pub fn put(&self, list: usize, frame: usize) {
        let home = self.home[frame].get();
        if home != list as u8 {
            self.count(home, false);
            self.count(list as u8, true);
            self.home[frame].set(list as u8);
        }
        self.links.to_hot(list, frame);
    }

    pub fn remove(&self, frame: usize) {
        self.count(self.home[frame].replace(NOWHERE), false);
        self.links.unlink(frame);
    }

    fn count(&self, home: u8, up: bool) {
        if home != NOWHERE {
            let len = &self.lens[usize::from(home & !ASIDE)];
            len.set(if up { len.get() + 1 } else { len.get() - 1 });
        }
    }

    /// The coldest frame of the list that may go. Those met before it are set aside.
    pub fn coldest(&self, list: usize, allowed: &mut dyn FnMut(usize) -> bool) -> Option<usize> {
        while let Some(frame) = self.links.coldest(list) {
            if allowed(frame) {
                return Some(frame);
            }
            self.home[frame].set(list as u8 | ASIDE);
            self.links.unlink(frame);
            self.links.push_hot(self.lists + list, frame);
        }
        None
    }

    /// A frame that was set aside is the coldest of its list again.
    pub fn restore(&self, frame: usize) {
        let home = self.home[frame].get();
        if home != NOWHERE && home & ASIDE != 0 {
            let list = usize::from(home & !ASIDE);
            self.home[frame].set(list as u8);
            self.links.unlink(frame);
            self.links.push_cold(list, frame);
        }
    }

    /// Visits the frames of all `lists`, each from its coldest on, in turns.
    pub fn visit(&self, lists: &[usize], f: &mut dyn FnMut(usize) -> ControlFlow<()>) {
        let first = |list: usize| {
            let aside = self.links.coldest(self.lists + list);
            aside.or_else(|| self.links.coldest(list))
        };
        let mut at: smallvec::SmallVec<[(usize, Option<usize>); 2]> =
            lists.iter().map(|list| (*list, first(*list))).collect();
        while at.iter().any(|(_, next)| next.is_some()) {
            for (list, next) in &mut at {
                let Some(frame) = *next else {
                    continue;
                };
                if f(frame).is_break() {
                    return;
                }
                let aside = self.home[frame].get() & ASIDE != 0;
                let rest = || self.links.coldest(*list).filter(|_| aside);
                *next = self.links.hotter(frame).or_else(rest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(frames: &Frames, lists: &[usize]) -> Vec<usize> {
        let mut seen = Vec::new();
        frames.visit(lists, &mut |f| {
            seen.push(f);
            ControlFlow::Continue(())
        });
        seen
    }

    #[test]
    fn what_may_not_go_is_met_once_and_stays_the_coldest() {
        let frames = Frames::new(6, 1);
        (0..6).for_each(|f| frames.put(0, f));
        let mut met = 0;
        let mut from_three = |f: usize| {
            met += 1;
            f >= 3
        };
        assert_eq!(frames.coldest(0, &mut from_three), Some(3));
        assert_eq!(frames.coldest(0, &mut from_three), Some(3));
        assert_eq!(met, 5);
        assert_eq!(order(&frames, &[0]), [0, 1, 2, 3, 4, 5]);
        assert_eq!(frames.len(0), 6);
        frames.restore(1);
        assert_eq!(frames.coldest(0, &mut |_| true), Some(1));
        frames.put(0, 0);
        frames.remove(2);
        assert_eq!(order(&frames, &[0]), [1, 3, 4, 5, 0]);
    }

    #[test]
    fn lists_take_turns() {
        let frames = Frames::new(6, 2);
        for f in 0..6 {
            frames.put(f / 4, f);
        }
        assert_eq!(frames.coldest(0, &mut |f| f == 3), Some(3));
        assert_eq!(order(&frames, &[1, 0]), [4, 0, 5, 1, 2, 3]);
        assert_eq!((frames.len(0), frames.len(1)), (4, 2));
    }

    #[test]
    fn a_node_takes_the_place_of_another() {
        let links = Links::new(4, 1);
        for node in 0..3 {
            links.push_hot(0, node);
        }
        links.replace(0, 3);
        assert_eq!(links.coldest(0), Some(3));
        assert_eq!(links.hotter(3), Some(1));
        assert!(!links.is_linked(0));
        links.replace(2, 0);
        assert_eq!(links.hotter(1), Some(0));
        assert_eq!(links.hotter(0), None);
    }
}

//! Which frame to give up next.
//!
//! Owns: the contract between the pool and a policy, and the choice of one by name. A file each: CLOCK, LRU, 2Q,
//! LRU-K, LIRS, ARC. Asked by: the pool, on every touch and whenever it needs a frame; `trace` replays over them.
//! Never: looks at pages or does I/O. A policy does not know why a frame may not go: it asks.
//! Bounds: state is a few bytes a frame, allocated once; pages that have gone are remembered in bounded lists.
//! Choosing a victim costs what it meets on the way, and no frame that may not go is met twice for nothing.

mod arc;
mod clock;
mod ghosts;
mod lirs;
pub(in crate::pool) mod list;
mod lru;
mod lru_k;
#[cfg(test)]
mod tests;
mod two_q;

use crate::page::PageId;
use std::fmt;
use std::ops::ControlFlow;
use std::str::FromStr;

/// Told of every frame that is filled, used and emptied; asked for the next to give up.
pub trait EvictionPolicy {
    /// A page has come into the frame. This is its first use: it is not touched for it.
    fn admitted(&mut self, frame: usize, page: PageId);

    /// The frame's page was used. Called on the hot path and from shared borrows.
    fn touched(&self, frame: usize);

    /// The frame was chosen as a victim and its page has gone; it may come back.
    fn evicted(&mut self, frame: usize, page: PageId);

    /// The frame's page is of no use any more and will not come back.
    fn removed(&mut self, frame: usize);

    /// A page goes on in another, empty frame under another name, and is used there.
    fn moved(&mut self, from: usize, to: usize, page: PageId) {
        self.removed(from);
        self.admitted(to, page);
        self.touched(to);
    }

    /// The next frame to give up among those that `allowed` lets go; `None` when it lets none go. `coming` is the page
    /// that wants the frame, when it is an old one. A frame refused here is not asked for again until `restored`.
    fn victim(
        &mut self,
        coming: Option<PageId>,
        allowed: &mut dyn FnMut(usize) -> bool,
    ) -> Option<usize>;

    /// A frame that `victim` was refused may go again.
    fn restored(&mut self, frame: usize);

    /// Visits all frames, roughly the next victims first, without disturbing anything.
    fn visit(&self, f: &mut dyn FnMut(usize) -> ControlFlow<()>);

    /// Takes over the frames of another policy, coldest first. This one is empty.
    fn adopt(&mut self, frames: &[(usize, PageId)]) {
        for (frame, page) in frames {
            self.admitted(*frame, *page);
        }
    }
}

/// The policies there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Policy {
    #[default]
    Clock,
    Lru,
    TwoQ,
    LruK,
    Lirs,
    Arc,
}

/// No policy has this name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("unknown eviction policy \"{0}\": it is one of clock, lru, 2q, lru-k, lirs, arc")]
pub struct UnknownPolicy(pub String);

impl Policy {
    pub const ALL: [Policy; 6] = [
        Policy::Clock,
        Policy::Lru,
        Policy::TwoQ,
        Policy::LruK,
        Policy::Lirs,
        Policy::Arc,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Policy::Clock => "clock",
            Policy::Lru => "lru",
            Policy::TwoQ => "2q",
            Policy::LruK => "lru-k",
            Policy::Lirs => "lirs",
            Policy::Arc => "arc",
        }
    }

    /// A policy for a pool of `frames`, all of them empty.
    pub(crate) fn build(self, frames: usize) -> Box<dyn EvictionPolicy> {
        match self {
            Policy::Clock => Box::new(clock::Clock::new(frames)),
            Policy::Lru => Box::new(lru::Lru::new(frames)),
            Policy::TwoQ => Box::new(two_q::TwoQ::new(frames)),
            Policy::LruK => Box::new(lru_k::LruK::new(frames)),
            Policy::Lirs => Box::new(lirs::Lirs::new(frames)),
            Policy::Arc => Box::new(arc::Arc::new(frames)),
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Policy, UnknownPolicy> {
        let found = Policy::ALL.into_iter().find(|p| p.name() == name);
        found.ok_or_else(|| UnknownPolicy(name.to_owned()))
    }
}

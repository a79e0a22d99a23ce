//! Pins: frames that may not be given up for a while.
//!
//! Owns: the count of each frame, and the news that one has gone down to none: for who waits for a frame, and for
//! the policy, which does not ask again for a frame it was refused. Asked by: the pool, and whoever drops a `Pin`.
//! Never: needs the pool to unpin. Bounds: 4 bytes a frame; `Pool::pin_page` stops at half of the frames.

use super::FrameId;
use runtime::Notify;
use std::cell::Cell;
use std::rc::Rc;

/// Set in a count when a policy was refused the frame for it.
const PASSED: u32 = 1 << 31;

pub(crate) struct Pins {
    counts: Box<[Cell<u32>]>,
    total: Cell<usize>,
    /// Frames that were passed over and are not pinned any more.
    back: Cell<Vec<FrameId>>,
    /// A frame is not pinned any more, or has become empty.
    freed: Notify,
}

impl Pins {
    pub fn new(frames: usize) -> Rc<Pins> {
        Rc::new(Pins {
            counts: (0..frames).map(|_| Cell::new(0)).collect(),
            total: Cell::new(0),
            back: Cell::new(Vec::new()),
            freed: Notify::new(),
        })
    }

    pub fn pin(self: &Rc<Self>, frame: FrameId) -> Pin {
        let count = &self.counts[frame as usize];
        count.set(count.get() + 1);
        self.total.set(self.total.get() + 1);
        Pin {
            pins: self.clone(),
            frame,
        }
    }

    /// Pins that are held.
    pub fn total(&self) -> usize {
        self.total.get()
    }

    /// False when the frame is pinned; it is in `back` once it no longer is.
    pub fn may_go(&self, frame: usize) -> bool {
        let count = &self.counts[frame];
        if count.get() & !PASSED == 0 {
            return true;
        }
        count.set(count.get() | PASSED);
        false
    }

    /// Frames that may go again since the last call.
    pub fn take_back(&self) -> Vec<FrameId> {
        self.back.take()
    }

    pub fn freed(&self) -> &Notify {
        &self.freed
    }

    /// Wakes those who wait for a frame.
    pub fn tell(&self) {
        if self.freed.waiting() > 0 {
            self.freed.notify_all();
        }
    }
}

/// Keeps a page's frame from being given up. Dropping it unpins.
pub(crate) struct Pin {
    pins: Rc<Pins>,
    frame: FrameId,
}

impl Drop for Pin {
    fn drop(&mut self) {
        let pins = &self.pins;
        let count = &pins.counts[self.frame as usize];
        count.set(count.get() - 1);
        pins.total.set(pins.total.get() - 1);
        if count.get() & !PASSED != 0 {
            return;
        }
        if count.replace(0) != 0 {
            let mut back = pins.back.take();
            back.push(self.frame);
            pins.back.set(back);
        }
        pins.tell();
    }
}

#[cfg(test)]
impl Pin {
    pub fn frame(&self) -> FrameId {
        self.frame
    }
}

//! Which frame to give up next.
//!
//! Owns: the `EvictionPolicy` contract, the choice of one by name, and CLOCK.
//! Asked by: the pool, on every touch and whenever it needs a frame. Never: looks at pages or does I/O.
//! Bounds: state is a few bytes a frame, allocated once.
//! Source: CLOCK, Corbató 1968, "A paging experiment with the Multics system".

use std::cell::Cell;

/// Told of every frame that is filled, used and emptied; asked for the next to give up.
pub trait EvictionPolicy {
    /// A page has come into the frame.
    fn admitted(&mut self, frame: usize);
    /// The frame's page was used. Called on the hot path and from shared borrows.
    fn touched(&self, frame: usize);
    /// The frame's page is gone.
    fn removed(&mut self, frame: usize);
    /// The next frame to give up among those that `allowed` lets go. `None` when it lets none go.
    fn victim(&mut self, allowed: &mut dyn FnMut(usize) -> bool) -> Option<usize>;
}

/// The policies there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Policy {
    #[default]
    Clock,
}

impl Policy {
    pub(crate) fn build(self, frames: usize) -> Box<dyn EvictionPolicy> {
        match self {
            Policy::Clock => Box::new(Clock::new(frames)),
        }
    }
}

/// Second chance: a hand goes round, and a frame used since the hand last passed is spared once.
struct Clock {
    used: Vec<Cell<bool>>,
    hand: usize,
    /// Frames at and above this number were never filled.
    filled: usize,
}

impl Clock {
    fn new(frames: usize) -> Clock {
        Clock {
            used: vec![Cell::new(false); frames],
            hand: 0,
            filled: 0,
        }
    }
}

impl EvictionPolicy for Clock {
    fn admitted(&mut self, frame: usize) {
        self.used[frame].set(true);
        self.filled = self.filled.max(frame + 1);
    }

    fn touched(&self, frame: usize) {
        self.used[frame].set(true);
    }

    fn removed(&mut self, frame: usize) {
        self.used[frame].set(false);
    }

    fn victim(&mut self, allowed: &mut dyn FnMut(usize) -> bool) -> Option<usize> {
        for _ in 0..2 * self.filled {
            let frame = self.hand;
            self.hand = if frame + 1 >= self.filled {
                0
            } else {
                frame + 1
            };
            if allowed(frame) && !self.used[frame].replace(false) {
                return Some(frame);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_used_frame_gets_a_second_chance() {
        let mut clock = Clock::new(3);
        for frame in 0..3 {
            clock.admitted(frame);
        }
        assert_eq!(clock.victim(&mut |_| true), Some(0));
        clock.touched(1);
        assert_eq!(clock.victim(&mut |_| true), Some(2));
        assert_eq!(clock.victim(&mut |_| true), Some(0));
        assert_eq!(clock.victim(&mut |_| true), Some(1));
    }

    #[test]
    fn a_frame_that_may_not_go_is_passed_over() {
        let mut clock = Clock::new(4);
        for frame in 0..4 {
            clock.admitted(frame);
        }
        assert_eq!(clock.victim(&mut |f| f == 2), Some(2));
        assert_eq!(clock.victim(&mut |_| false), None);
        assert_eq!(Clock::new(4).victim(&mut |_| true), None);
    }
}

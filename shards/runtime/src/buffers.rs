//! The general buffer pool of a shard: memory for what is on its way between sockets, files and the shard.
//!
//! Owns: one `Pool` a thread, its ceilings (`Limits`), its buffers in four sizes (`Class`), who may have how many of them
//! (`Share`), and `Gather`, which collects small writes in them. Pages have a pool of their own, in `storage`.
//! Asked by: `io` (what is read and written), the front's sockets. Never: holds more than its ceiling, what lies free
//! included; gives a buffer to another thread; blocks one share for another's sake.
//! Bounds: `Limits`. When it is full `take` waits, first come first served, and `try_take` says no: a connection then
//! stops reading or flushes, an operation on a file waits for one that is under way.
//!
//! Who waits while holding a buffer could wait for ever: for one that waits for him. So, in this order:
//! 1. `Extra` is never waited for. It is what makes things quicker, and nobody needs it to go on.
//! 2. `Send` and `Receive` of 4 KiB have as many as there are connections, one each, so that having the first one of them
//!    never depends on a client that does not read.
//! 3. A message that is being received may wait for a larger class while it holds a smaller one, never the other way
//!    round. It holds what it waited for only until it is decoded, and until then it waits for its own client alone.
//! 4. `Disk` is held by operations that only the device delays. Who asks for it holds no other of `Disk`.

mod buffer;
mod class;
mod gather;
mod limits;
mod pool;
mod stats;

pub use buffer::{Buffer, Hold};
pub use class::Class;
pub use gather::Gather;
pub use limits::{Limits, LimitsError, Share};
pub use pool::{Pool, Take, TakeHold};
pub use stats::{ClassStats, PoolStats};

use std::cell::RefCell;
use std::rc::Rc;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Pool>>> = const { RefCell::new(None) };
}

/// The pool of this thread: that of its executor, or one of `Limits::default()` where nobody installed another.
pub fn current() -> Rc<Pool> {
    CURRENT.with_borrow_mut(|current| {
        let made = || Pool::new(Limits::default());
        current.get_or_insert_with(made).clone()
    })
}

/// Gives this thread a new, empty pool. Buffers of the one before go back to that.
pub(crate) fn install(limits: &Limits) {
    CURRENT.set(Some(Pool::new(limits.clone())));
}

/// A buffer of this thread's pool, or none without waiting.
pub fn try_take(share: Share, class: Class) -> Option<Buffer> {
    current().try_take(share, class)
}

/// A buffer of this thread's pool.
pub fn take(share: Share, class: Class) -> Take {
    current().take(share, class)
}

#[cfg(test)]
#[path = "buffers_tests.rs"]
mod tests;

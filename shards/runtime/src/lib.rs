//! Executors, placement, lanes between shards, credits, clock, files, sockets, timers.
//!
//! Owns: every thread, clock reading, random number, file and socket of the process. It is the only crate that
//! names glommio or io_uring, and none of their types appears in a public signature, so that a seeded simulation
//! can take their place without anything above noticing.
//! Asked by: everything above. Never: knows a page, a row or a protocol.
//! Bounds: each queue in here has a ceiling that its constructor takes or its doc names. Types are shard-local
//! (`!Send`) unless their doc says otherwise.
//! A panic in any task ends the run of its executor: `Shards::join` and `block_on` report it.

mod allocator;
pub mod blocking;
pub mod buffers;
pub mod executor;
pub mod fs;
mod io;
pub mod lines;
pub mod mesh;
pub mod net;
pub mod probe;

pub mod random;
mod ring;
pub mod signal;
#[cfg(feature = "simulation")]
pub mod sim;

mod steady;
pub mod sync;
pub mod task;
pub mod time;
mod turns;

pub use allocator::Allocator;
pub use blocking::{Panicked, blocking};
pub use executor::{
    ShardOptions, ShardPanic, Shards, StartError, block_on, block_on_by, cores, current_shard,
    is_panicking, set_panic_hook, start,
};
pub use fs::{Dir, DirLock, File, OpenMode, io_error_is_disk_full};
pub use fs::{TempDir, TempError, TempFile, TempQuota, TempStats};
pub use io::{IO_MAX, IoBuf, ReadBuf};
pub use lines::Lines;
pub use mesh::{BoundPort, CallError, MeshStats, Port, mesh};
pub use net::{
    Listener, NetworkMethod, ReadHalf, Spread, SpreadStats, Stream, WriteHalf, bind_check,
    spread_stats,
};

pub use probe::{HostProblem, HostReport, probe};
pub use random::{random_bytes, random_u64};
#[cfg(feature = "echo")]
pub use ring::echo::echo as bare_echo;
pub use ring::{RingStats, network_stats};

pub use signal::{SignalWatch, watch_signals};
pub use sync::{Closed, Credits, Notify, Permit, channel, oneshot};
pub use task::{Task, need_yield, spawn, spawn_background, yield_if_needed, yield_now};
pub use time::{Elapsed, Instant, monotonic_ns, sleep, timeout, wall_micros};

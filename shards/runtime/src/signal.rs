//! SIGTERM and SIGINT ask for a graceful stop; the second one ends the process at once. SIGHUP asks to read the
//! configuration again.
//!
//! Owns: the process's signal handlers and the thread "signals" that waits for them. Asked by: `server`.
//! Never: does work in a signal handler beyond setting a flag and writing a byte.
//! Bounds: one thread, one wait list with an entry a waiting future. `SignalWatch` is `Send + Sync` and cheap to
//! clone; all shards wait on the same one. Source: signal-safety(7); 128 + signal number as the exit code.

use std::collections::HashMap;
use std::future::Future;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level;

const EXIT_SIGINT: i32 = 130;
const EXIT_SIGTERM: i32 = 143;

static WATCH: OnceLock<SignalWatch> = OnceLock::new();

/// The process's watch. The first call installs the handlers; when that fails (logged) the signals keep their
/// default, which ends the process.
pub fn watch_signals() -> SignalWatch {
    WATCH
        .get_or_init(|| {
            let watch = SignalWatch::detached();
            if let Err(error) = install(watch.clone()) {
                tracing::error!(%error, "could not install the signal handlers");
            }
            watch
        })
        .clone()
}

/// Whether the process was asked to stop, and how often to reload. `Send + Sync`.
#[derive(Clone, Default)]
pub struct SignalWatch(Arc<Shared>);

#[derive(Default)]
struct Shared {
    requested: AtomicBool,
    reloads: AtomicU64,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    wakers: HashMap<u64, Waker>,
}

impl SignalWatch {
    /// A watch that no signal reaches, only `trigger`.
    pub fn detached() -> SignalWatch {
        SignalWatch::default()
    }

    pub fn is_requested(&self) -> bool {
        self.0.requested.load(Ordering::Acquire)
    }

    /// Asks for the stop, as the first signal does.
    pub fn trigger(&self) {
        self.0.requested.store(true, Ordering::Release);
        let wakers = std::mem::take(&mut self.lock().wakers);
        for (_, waker) in wakers {
            waker.wake();
        }
    }

    /// Asks for the configuration to be read again, as SIGHUP does.
    pub fn reload(&self) {
        self.0.reloads.fetch_add(1, Ordering::AcqRel);
    }

    /// How often that was asked for.
    pub fn reloads(&self) -> u64 {
        self.0.reloads.load(Ordering::Acquire)
    }

    /// Waits, on any shard, until a stop is requested; returns at once when it was.
    pub async fn requested(&self) {
        let id = {
            let mut waiting = self.lock();
            waiting.next += 1;
            waiting.next
        };
        Requested { watch: self, id }.await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

struct Requested<'a> {
    watch: &'a SignalWatch,
    id: u64,
}

impl Future for Requested<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut waiting = self.watch.lock();
        // Looked at under the lock: `trigger` sets it before it takes the wakers.
        if self.watch.is_requested() {
            return Poll::Ready(());
        }
        waiting.wakers.insert(self.id, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Requested<'_> {
    fn drop(&mut self) {
        let waker = self.watch.lock().wakers.remove(&self.id);
        drop(waker);
    }
}

fn install(watch: SignalWatch) -> std::io::Result<()> {
    let (mut ours, theirs) = UnixStream::pair()?;
    let interrupted = Arc::new(AtomicBool::new(false));
    let hung_up = Arc::new(AtomicBool::new(false));
    // Handlers of one signal run in the order of registration: the flag is set when the byte arrives.
    signal_hook::flag::register(SIGINT, interrupted.clone())?;
    low_level::pipe::register(SIGINT, theirs.try_clone()?)?;
    signal_hook::flag::register(SIGHUP, hung_up.clone())?;
    low_level::pipe::register(SIGHUP, theirs.try_clone()?)?;
    low_level::pipe::register(SIGTERM, theirs)?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            let mut byte = [0];
            while ours.read_exact(&mut byte).is_ok() {
                // Of two signals at once one byte stands for this, and the other for what is left.
                if hung_up.swap(false, Ordering::SeqCst) {
                    watch.reload();
                    continue;
                }
                if watch.is_requested() {
                    let by_interrupt = interrupted.load(Ordering::SeqCst);
                    low_level::exit(if by_interrupt {
                        EXIT_SIGINT
                    } else {
                        EXIT_SIGTERM
                    });
                }
                interrupted.store(false, Ordering::SeqCst);
                watch.trigger();
            }
        })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{sleep, timeout};
    use crate::{ShardOptions, block_on, start};
    use std::time::Duration;

    #[test]
    fn a_request_reaches_every_shard_and_stays() {
        let watch = SignalWatch::detached();
        let theirs = watch.clone();
        let opts = ShardOptions {
            shards: 3,
            ..ShardOptions::default()
        };
        let shards = start(opts, move |shard| {
            let watch = theirs.clone();
            async move {
                if shard.0 == 0 {
                    sleep(Duration::from_millis(5)).await;
                    watch.trigger();
                }
                let told = timeout(Duration::from_secs(10), watch.requested()).await;
                assert!(told.is_ok());
                watch.requested().await;
            }
        });
        shards.unwrap().join().unwrap();
        assert!(watch.is_requested());
        assert!(watch.lock().wakers.is_empty());
    }

    #[test]
    fn a_wait_that_was_dropped_leaves_nothing_behind() {
        let watch = SignalWatch::detached();
        let theirs = watch.clone();
        block_on(async move {
            for _ in 0..10 {
                let wait = timeout(Duration::from_micros(100), theirs.requested());
                assert!(wait.await.is_err());
            }
        });
        assert!(watch.lock().wakers.is_empty());
    }
}

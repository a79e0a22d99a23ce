//! Work that blocks or burns the processor, away from the shards.
//!
//! Owns: the helper threads ("helper-N") and their one bounded queue, shared by all shards of the process.
//! Asked by: password hashing, file compression, directory listings. Never: touches shard-local state (work and
//! result are `Send`), reorders a shard's own tasks.
//! Bounds: `HELPERS_MAX` threads, `QUEUE_MAX` waiting jobs; when full the caller waits and asks again every
//! millisecond. A job cannot be interrupted: dropping the future only drops its result.

use crate::executor::{cores, panic_message};
use crate::io::InFlight;
use crate::time::sleep;
use atomic_waker::AtomicWaker;
use crossbeam_channel::{Sender, TrySendError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Poll;
use std::time::Duration;

/// Jobs that wait for a helper, over the whole process.
pub const QUEUE_MAX: usize = 1024;

/// Helper threads: half the cores, within these.
const HELPERS_MIN: usize = 2;
const HELPERS_MAX: usize = 8;

/// The job panicked; the helper lives on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a job on a helper thread panicked: {message}")]
pub struct Panicked {
    pub message: String,
}

type Job = Box<dyn FnOnce() + Send>;
static POOL: OnceLock<Sender<Job>> = OnceLock::new();

struct Shared<T> {
    outcome: Mutex<Option<Result<T, Panicked>>>,
    waker: AtomicWaker,
}

/// Runs `f` on a helper thread and waits for it without blocking the shard.
pub async fn blocking<T: Send + 'static>(
    f: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Panicked> {
    #[cfg(feature = "simulation")]
    if crate::sim::in_run().is_some() {
        return catch_unwind(AssertUnwindSafe(f)).map_err(|payload| Panicked {
            message: panic_message(payload.as_ref()),
        });
    }
    let shared = Arc::new(Shared {
        outcome: Mutex::new(None),
        waker: AtomicWaker::new(),
    });
    let theirs = shared.clone();
    let mut job: Job = Box::new(move || {
        let outcome = catch_unwind(AssertUnwindSafe(f)).map_err(|payload| Panicked {
            message: panic_message(payload.as_ref()),
        });
        *theirs
            .outcome
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        theirs.waker.wake();
    });
    loop {
        match POOL.get_or_init(start_pool).try_send(job) {
            Ok(()) => break,
            Err(TrySendError::Full(back)) => {
                job = back;
                sleep(Duration::from_millis(1)).await;
            }
            Err(TrySendError::Disconnected(_)) => {
                return Err(Panicked {
                    message: "there are no helper threads".into(),
                });
            }
        }
    }
    // The answer wakes the executor, whose rings are looked at as long as there is one to come.
    let _flight = InFlight::begin();
    std::future::poll_fn(|cx| {
        shared.waker.register(cx.waker());
        let mut outcome = shared
            .outcome
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match outcome.take() {
            Some(outcome) => Poll::Ready(outcome),
            None => Poll::Pending,
        }
    })
    .await
}

fn start_pool() -> Sender<Job> {
    let (tx, rx) = crossbeam_channel::bounded::<Job>(QUEUE_MAX);
    let helpers = (cores() / 2).clamp(HELPERS_MIN, HELPERS_MAX);
    for index in 0..helpers {
        let rx = rx.clone();
        let started = std::thread::Builder::new()
            .name(format!("helper-{index}"))
            .spawn(move || {
                while let Ok(job) = rx.recv() {
                    job();
                }
            });
        if let Err(error) = started {
            tracing::warn!(%error, index, "could not start a helper thread");
        }
    }
    tx
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block_on;

    #[test]
    fn a_panicking_job_is_an_error_and_leaves_the_helpers_alive() {
        block_on(async {
            for _ in 0..HELPERS_MAX * 2 {
                let outcome = blocking(|| -> u8 { panic!("no such {}", "luck") }).await;
                assert_eq!(outcome.unwrap_err().message, "no such luck");
            }
            assert_eq!(blocking(|| 40 + 2).await, Ok(42));
        });
    }

    #[test]
    fn more_jobs_than_the_queue_holds_all_run() {
        block_on(async {
            let jobs: Vec<_> = (0..QUEUE_MAX * 2)
                .map(|n| crate::spawn(blocking(move || n)))
                .collect();
            let mut sum = 0;
            for job in jobs {
                sum += job.await.unwrap();
            }
            assert_eq!(sum, QUEUE_MAX * (QUEUE_MAX * 2 - 1) * 2 / 2);
        });
    }
}

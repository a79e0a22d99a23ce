//! Clocks and timers.
//!
//! Owns: the only two clock readings of the process, and sleeping. Asked by: everything that has a deadline.
//! Never: goes backwards (`monotonic_ns`); `wall_micros` follows the system's clock, jumps included.
//! Bounds: a sleep wakes within about a millisecond of its time on an executor that is not overloaded.

use crate::executor::{context, try_context};
use crate::turns::TimerKey;
use std::future::Future;
use std::ops::{Add, Sub};
use std::pin::{Pin, pin};
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

static START: OnceLock<std::time::Instant> = OnceLock::new();

/// Nanoseconds since the process first asked, the same clock on all shards; at least 1.
pub fn monotonic_ns() -> u64 {
    #[cfg(feature = "simulation")]
    if let Some(ns) = crate::sim::monotonic_ns() {
        return ns;
    }
    let elapsed = START.get_or_init(std::time::Instant::now).elapsed();
    // 2^64 ns are 584 years of uptime.
    (elapsed.as_nanos() as u64).saturating_add(1)
}

/// Microseconds since the Unix epoch by the system's clock; negative before 1970.
pub fn wall_micros() -> i64 {
    #[cfg(feature = "simulation")]
    if let Some(micros) = crate::sim::wall_micros() {
        return micros;
    }
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |m| -m),
    }
}

/// A point on the monotonic clock, comparable between shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    pub fn now() -> Instant {
        Instant(monotonic_ns())
    }

    pub fn from_ns(ns: u64) -> Instant {
        Instant(ns)
    }

    pub fn as_ns(self) -> u64 {
        self.0
    }

    /// Zero for an instant in the future.
    pub fn elapsed(self) -> Duration {
        Instant::now().duration_since(self)
    }

    /// Zero when `earlier` is later.
    pub fn duration_since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, d: Duration) -> Instant {
        let ns = u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
        Instant(self.0.saturating_add(ns))
    }
}

impl Sub<Instant> for Instant {
    type Output = Duration;

    fn sub(self, earlier: Instant) -> Duration {
        self.duration_since(earlier)
    }
}

pub async fn sleep(d: Duration) {
    sleep_until(Instant::now() + d).await;
}

/// Sleeps until `at`; returns at once when that has passed.
pub async fn sleep_until(at: Instant) {
    Sleep { at, key: None }.await;
}

struct Sleep {
    at: Instant,
    key: Option<TimerKey>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.at {
            return Poll::Ready(());
        }
        let turns = &context().turns;
        let armed = self
            .key
            .is_some_and(|key| turns.change_timer(key, cx.waker()));
        if !armed {
            self.key = Some(turns.set_timer(self.at.0, cx.waker().clone()));
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let (Some(key), Some(context)) = (self.key, try_context()) {
            context.turns.clear_timer(key);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the time is up")]
pub struct Elapsed;

/// `fut`'s output if it comes within `d`; the output wins when both are there. A late `fut` is dropped.
pub async fn timeout<T>(d: Duration, fut: impl Future<Output = T>) -> Result<T, Elapsed> {
    let mut fut = pin!(fut);
    let mut timer = pin!(sleep(d));
    std::future::poll_fn(|cx| {
        if let Poll::Ready(value) = fut.as_mut().poll(cx) {
            return Poll::Ready(Ok(value));
        }
        timer.as_mut().poll(cx).map(|()| Err(Elapsed))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block_on;

    #[test]
    fn the_first_sleep_of_an_executor_is_not_slow() {
        let took = block_on(async {
            let start = Instant::now();
            sleep(Duration::from_millis(1)).await;
            start.elapsed()
        });
        assert!(took >= Duration::from_millis(1), "{took:?}");
        assert!(took < Duration::from_millis(250), "{took:?}");
    }

    #[test]
    fn timeout_drops_the_late_and_passes_the_ready() {
        block_on(async {
            let late = timeout(Duration::from_millis(2), std::future::pending::<()>()).await;
            assert_eq!(late, Err(Elapsed));
            assert_eq!(timeout(Duration::ZERO, async { 7 }).await, Ok(7));
        });
    }

    #[test]
    fn instants_never_overflow() {
        let far = Instant::now() + Duration::MAX;
        assert_eq!(far.as_ns(), u64::MAX);
        assert_eq!(Instant::now() - far, Duration::ZERO);
    }

    #[test]
    fn wall_time_is_in_this_century() {
        assert!(wall_micros() > 1_600_000_000_000_000);
    }
}

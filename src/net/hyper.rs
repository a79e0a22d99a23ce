//! hyper on this crate's own sockets, timers and tasks.
//!
//! Owns: the adapters that hyper asks of its runtime: `Io` (bytes), `LocalTimer` (time), `LocalExecutor` (tasks).
//! Asked by: `proto/http` and later the gateway's client. Never: parses HTTP or decides a timeout.
//! Bounds: one scratch buffer of 64 KiB a thread, used only inside one `poll_read`; `Io` itself buffers nothing, so
//! an idle connection holds no memory here.
//! Source: hyper 1 `rt` documentation. hyper wants `Sleep: Send + Sync`, although everything here stays on one
//! shard: `SendWrapper` states that, and panics instead of racing if it were ever wrong.

use futures_lite::io::{AsyncRead, AsyncWrite};
use send_wrapper::SendWrapper;
use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

const SCRATCH_BYTES: usize = 64 << 10;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into());
}

/// A byte stream as hyper reads and writes it.
pub struct Io<S> {
    stream: S,
}

impl<S> Io<S> {
    pub fn new(stream: S) -> Io<S> {
        Io { stream }
    }

    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    pub fn into_inner(self) -> S {
        self.stream
    }
}

/// Reads at most `max` bytes into the thread's scratch buffer and hands them to `take`.
///
/// The read happens inside this call, so one buffer serves every connection of a shard.
pub(crate) fn poll_read_scratch<S: AsyncRead + Unpin, T>(
    stream: &mut S,
    cx: &mut Context<'_>,
    max: usize,
    take: impl FnOnce(&[u8]) -> T,
) -> Poll<io::Result<T>> {
    SCRATCH.with(|scratch| {
        let mut scratch = scratch.borrow_mut();
        let limit = scratch.len().min(max);
        let Some(target) = scratch.get_mut(..limit) else {
            return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
        };
        let read = ready!(Pin::new(stream).poll_read(cx, target))?;
        Poll::Ready(Ok(take(target.get(..read).unwrap_or_default())))
    })
}

impl<S: AsyncRead + Unpin> ::hyper::rt::Read for Io<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ::hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buf.remaining();
        if room == 0 {
            return Poll::Ready(Ok(()));
        }
        poll_read_scratch(&mut self.stream, cx, room, |bytes| buf.put_slice(bytes))
    }
}

impl<S: AsyncWrite + Unpin> ::hyper::rt::Write for Io<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

/// Spawns hyper's own tasks (HTTP/2 streams) on this shard's latency queue.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalExecutor;

impl<F> ::hyper::rt::Executor<F> for LocalExecutor
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, fut: F) {
        runtime::spawn(fut).detach();
    }
}

/// hyper's timeouts on this shard's timers.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalTimer;

impl ::hyper::rt::Timer for LocalTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn ::hyper::rt::Sleep>> {
        Box::pin(LocalSleep(SendWrapper::new(Box::pin(runtime::sleep(
            duration,
        )))))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn ::hyper::rt::Sleep>> {
        self.sleep(deadline.saturating_duration_since(self.now()))
    }
}

struct LocalSleep(SendWrapper<Pin<Box<dyn Future<Output = ()>>>>);

impl Future for LocalSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl ::hyper::rt::Sleep for LocalSleep {}

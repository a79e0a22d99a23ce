//! One client's socket: bytes in, frames out of them, replies gathered and flushed.
//!
//! Owns: the stream, its `Intake` and its `Gather`. Asked by: `conn` and its parts. Never: knows what a message means;
//! takes memory for replies beside the pool's, but for one long one (`put`).
//! Bounds: what `Intake` and `Gather` take of the shard's buffers; while a statement runs it reads ahead what fits the
//! buffer at hand. Output is flushed when it passes `FLUSH_BYTES`. Whoever waits for its client with nothing in them has
//! no buffer. When the pool is empty the connection is not read from, and its replies go out in pieces of 4 KiB. A client
//! that does not move for `stall_timeout` in the middle of something long, while others wait for the room it takes, is
//! given up.

use super::conn::Options;
use super::encode::{Output, compose};
use super::framing::{Frame, FrameError, Framer, rest_of_run, startup};
use crate::net::{self, Growth, Intake, poll_read_scratch};
use crate::telemetry::Connections;
use bytes::Bytes;
use futures_lite::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use runtime::buffers::{self, Class, Gather, Hold, Pool, Share};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Replies are flushed when there are more bytes of them than this: one write of a buffer of 64 KiB.
pub const FLUSH_BYTES: usize = 56 << 10;
/// While a statement runs, requests behind it are read up to here; then the client has to wait.
pub const READ_AHEAD_BYTES: usize = 64 << 10;
/// Bytes at hand that are at least this long are sent from where they are.
const DIRECT_BYTES: usize = 16 << 10;
/// A reply up to here is composed again for each piece of it when there is nowhere to keep it; a longer one waits.
const PIECEWISE_BYTES_MAX: usize = 1 << 20;
/// So much of a long reply has to move within `stall_timeout` when others wait.
const KEPT_PART_BYTES: usize = 256 << 10;
/// The answer to a request goes out after this at the latest, whatever the requests that came with it still need.
const OWED_MAX: Duration = Duration::from_millis(1);
/// One read of what nobody wants to see.
const DISCARD_BYTES: usize = 64 << 10;

/// Why nothing more can be exchanged.
#[derive(Debug)]
pub enum WireError {
    /// The client is gone: its end of the stream is closed, or the socket failed.
    Lost,
    Frame(FrameError),
    /// The client has sent a part of a long message and nothing since, and others wait for its buffer.
    Stalled,
}

impl From<io::Error> for WireError {
    fn from(_: io::Error) -> WireError {
        // Whatever the reason, there is nobody left to tell it to.
        WireError::Lost
    }
}

impl From<FrameError> for WireError {
    fn from(e: FrameError) -> WireError {
        WireError::Frame(e)
    }
}

pub struct Wire<S> {
    stream: S,
    input: Intake,
    framer: Framer,
    ended: bool,
    counts: Rc<Connections>,
    pool: Rc<Pool>,
    out: Gather,
    stall_timeout: Duration,
    /// The last bytes gathered or sent do not end a message.
    torn: bool,
    /// The whole answer to a request is among what is gathered.
    owed: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub fn new(stream: S, options: &Options, counts: Rc<Connections>) -> Wire<S> {
        let pool = buffers::current();
        Wire {
            stream,
            input: Intake::new(pool.clone()),
            framer: Framer::new(options.frame_bytes_max),
            ended: false,
            counts,
            out: Gather::new(pool.clone()),
            pool,
            stall_timeout: options.stall_timeout,
            torn: false,
            owed: false,
        }
    }

    /// A frame that is already here.
    pub fn buffered(&mut self) -> Result<Option<Frame>, FrameError> {
        self.framer.next(&mut self.input)
    }

    /// Behind a Bind: the rest of a statement that is run in one go, see `framing`.
    pub fn rest_of_run(&mut self) -> Option<bool> {
        rest_of_run(&mut self.input)
    }

    /// The next frame, waiting for the client as long as it takes.
    pub async fn frame(&mut self) -> Result<Frame, WireError> {
        loop {
            if let Some(frame) = self.framer.next(&mut self.input)? {
                return Ok(frame);
            }
            self.fill().await?;
        }
    }

    /// The next startup packet.
    pub async fn startup(&mut self) -> Result<Bytes, WireError> {
        loop {
            if let Some(body) = startup(&mut self.input)? {
                return Ok(body);
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), WireError> {
        loop {
            let (empty, asking) = (self.input.is_empty(), self.input.is_asking());
            let most = self.stall_timeout;
            let filling = poll_fn(|cx| self.poll_fill(cx, Growth::Wanted));
            // Between messages nobody is delayed, and no timer is set.
            let filled = match empty {
                true => Ok(filling.await),
                false => net::timeout(most, filling).await,
            };
            match filled {
                Ok(filled) => break filled?,
                Err(_) if !asking && self.input.delays_others() => return Err(WireError::Stalled),
                Err(_) => {}
            }
        }
        if self.ended {
            return Err(WireError::Lost);
        }
        Ok(())
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, growth: Growth) -> Poll<io::Result<()>> {
        if self.ended {
            return Poll::Ready(Ok(()));
        }
        let read = ready!(self.input.poll_fill(&mut self.stream, cx, growth))?;
        self.counts.received_bytes.add(read as u64);
        self.ended = read == 0;
        Poll::Ready(Ok(()))
    }

    /// Runs `work` while watching the client: when it goes away the work is dropped. The answer to an earlier request does
    /// not wait longer than `OWED_MAX` for it.
    pub async fn watch<F: Future>(&mut self, work: F) -> Result<F::Output, WireError> {
        let mut work = pin!(work);
        if self.owed {
            if let Some(output) = futures_lite::future::poll_once(work.as_mut()).await {
                return Ok(output);
            }
            match net::timeout(OWED_MAX, self.watched(work.as_mut())).await {
                Ok(output) => return output,
                Err(_) => self.flush().await?,
            }
        }
        self.watched(work).await
    }

    async fn watched<F: Future>(&mut self, mut work: Pin<&mut F>) -> Result<F::Output, WireError> {
        self.input.shrink();
        let watched = poll_fn(|cx| {
            if let Poll::Ready(output) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            while self.input.len() < READ_AHEAD_BYTES {
                match self.poll_fill(cx, Growth::Spared) {
                    Poll::Pending => break,
                    Poll::Ready(Ok(())) if !self.ended => {}
                    Poll::Ready(_) => return Poll::Ready(Err(WireError::Lost)),
                }
            }
            Poll::Pending
        })
        .await;
        self.input.stop_asking();
        watched
    }

    /// Gathers what `compose` writes, one or more whole messages, and flushes as it must. `compose` may be called several
    /// times and has to write the same each time: with no room for all of it at once, it goes out in pieces.
    pub async fn put(&mut self, compose: impl Fn(&mut Output)) -> Result<(), WireError> {
        let whole = |out: &mut Output| {
            compose(out);
            Ok(())
        };
        // It cannot fail with an error of its own.
        self.try_put(whole).await.map(drop)
    }

    /// As `put`. After an error of `write` nothing of it was gathered.
    pub async fn try_put(
        &mut self,
        write: impl Fn(&mut Output) -> types::Result<()>,
    ) -> Result<types::Result<()>, WireError> {
        let (mut done, mut room) = (0, None);
        loop {
            let step = compose(|out| {
                write(out)?;
                let bytes = out.as_slice();
                done += self.out.append(bytes.get(done..).unwrap_or_default());
                let left = bytes.len().saturating_sub(done);
                if left < FLUSH_BYTES {
                    return Ok(Step::of(left));
                }
                let hold = room.take();
                let hold = hold.or_else(|| self.pool.try_hold(Share::Send, Class::Mib1, mib(left)));
                Ok(hold.map_or(Step::More(left), |hold| Step::Kept(out.take(), hold)))
            });
            self.torn |= done > 0;
            match step {
                Ok(Step::Done) => break,
                Ok(Step::Kept(bytes, _hold)) => {
                    self.flush_kept(bytes.get(done..).unwrap_or_default())
                        .await?;
                    break;
                }
                Ok(Step::More(_)) if !self.out.is_empty() => self.flush().await?,
                Ok(Step::More(left)) if left > PIECEWISE_BYTES_MAX => {
                    let long = self.pool.hold_units(Share::Send, Class::Mib1, mib(left));
                    room = Some(long.await);
                }
                Ok(Step::More(_)) => self.out.room().await,
                Err(error) => return Ok(Err(error)),
            }
        }
        self.torn = false;
        Ok(Ok(()))
    }

    /// Begins a message that `bytes` and `put` go on with. Until `whole` nothing else may be said.
    pub async fn begin(&mut self, compose: impl Fn(&mut Output)) -> Result<(), WireError> {
        self.put(compose).await?;
        self.torn = true;
        Ok(())
    }

    /// The message that was begun has ended.
    pub fn whole(&mut self) {
        self.torn = false;
    }

    /// Whether the client could not tell where another message began.
    pub fn is_torn(&self) -> bool {
        self.torn
    }

    /// Bytes at hand: long ones are sent from where they are.
    pub async fn bytes(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        if bytes.len() >= DIRECT_BYTES {
            return self.flush_with(bytes).await;
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let n = self.out.append(rest);
            rest = rest.get(n..).unwrap_or_default();
            if !rest.is_empty() {
                match self.out.is_empty() {
                    true => self.out.room().await,
                    false => self.flush().await?,
                }
            }
        }
        Ok(())
    }

    /// What is gathered ends the answer to a request.
    pub fn owe(&mut self) {
        self.owed = true;
    }

    /// The client is waited for: it gets the answers it may be waiting for.
    pub async fn flush_owed(&mut self) -> Result<(), WireError> {
        match self.owed {
            true => self.flush().await,
            false => Ok(()),
        }
    }

    /// Sends everything gathered, at the speed of the client.
    pub async fn flush(&mut self) -> Result<(), WireError> {
        self.flush_with(&[]).await
    }

    async fn flush_with(&mut self, tail: &[u8]) -> Result<(), WireError> {
        self.owed = false;
        let bytes = self.out.len() + tail.len();
        if bytes > 0 {
            self.out.write_with(&mut self.stream, tail).await?;
            self.stream.flush().await?;
            self.counts.sent_bytes.add(bytes as u64);
        }
        Ok(())
    }

    /// Sends what others may wait for the room of, to a client that goes on reading.
    async fn flush_kept(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        let (pool, most) = (self.pool.clone(), self.stall_timeout);
        for part in bytes.chunks(KEPT_PART_BYTES) {
            let mut sending = pin!(self.flush_with(part));
            loop {
                match net::timeout(most, sending.as_mut()).await {
                    Ok(sent) => break sent?,
                    Err(_) if pool.waiting(Share::Send) > 0 => return Err(WireError::Lost),
                    Err(_) => {}
                }
            }
        }
        Ok(())
    }

    pub async fn flush_if_full(&mut self) -> Result<(), WireError> {
        if self.out.len() > FLUSH_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    /// Sends one byte outside of any message, the answer to a request for TLS.
    pub async fn byte(&mut self, byte: u8) -> Result<(), WireError> {
        self.stream.write_all(&[byte]).await?;
        self.stream.flush().await?;
        Ok(())
    }

    /// Ends our side, then reads away at most `bytes_max` of what the client still sends: closing a socket with
    /// unread bytes in it resets the connection, and the client would lose our last words.
    pub async fn close(mut self, bytes_max: usize) {
        self.input.clear();
        if self.flush().await.is_err() || self.stream.close().await.is_err() {
            return;
        }
        let mut left = bytes_max;
        while left > 0 && !self.ended {
            let stream = &mut self.stream;
            let read =
                poll_fn(|cx| poll_read_scratch(stream, cx, DISCARD_BYTES, <[u8]>::len)).await;
            let Ok(read) = read else { return };
            self.ended = read == 0;
            left = left.saturating_sub(read);
        }
    }
}

/// How far composing a reply has come.
enum Step {
    Done,
    /// So many bytes found no room.
    More(usize),
    /// Long, and counted: sent from where it was composed.
    Kept(Vec<u8>, Hold),
}

impl Step {
    fn of(left: usize) -> Step {
        match left {
            0 => Step::Done,
            left => Step::More(left),
        }
    }
}

/// What so many bytes count as.
fn mib(bytes: usize) -> usize {
    bytes.div_ceil(Class::Mib1.bytes())
}

const _: () = assert!(PIECEWISE_BYTES_MAX <= Class::Mib1.bytes());

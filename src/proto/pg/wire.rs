//! One client's socket: bytes in, frames out of them, replies gathered and flushed.
//!
//! Owns: the stream and its two buffers. Asked by: `conn` and its parts. Never: knows what a message means.
//! Bounds: input holds at most one frame of the maximum length plus one read of 64 KiB; while a statement runs it
//! reads ahead at most `READ_AHEAD_BYTES`. Output is flushed when it passes `FLUSH_BYTES`, so it holds that plus one
//! row. Both are given back when the connection waits for its client with nothing in them.

use super::encode::Output;
use super::framing::{Frame, FrameError, Framer, startup};
use crate::net::poll_read_scratch;
use crate::telemetry::Connections;
use bytes::{Bytes, BytesMut};
use futures_lite::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// Replies are flushed when there are more bytes of them than this.
pub const FLUSH_BYTES: usize = 64 << 10;
/// While a statement runs, requests behind it are read up to here; then the client has to wait.
pub const READ_AHEAD_BYTES: usize = 64 << 10;
/// One read from the socket.
const READ_BYTES: usize = 64 << 10;
/// What an output buffer keeps between requests of a busy connection.
const KEEP_BYTES: usize = 8 << 10;

/// Why nothing more can be exchanged.
#[derive(Debug)]
pub enum WireError {
    /// The client is gone: its end of the stream is closed, or the socket failed.
    Lost,
    Frame(FrameError),
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
    input: BytesMut,
    framer: Framer,
    ended: bool,
    counts: Rc<Connections>,
    pub out: Output,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub fn new(stream: S, body_bytes_max: usize, counts: Rc<Connections>) -> Wire<S> {
        Wire {
            stream,
            input: BytesMut::new(),
            framer: Framer::new(body_bytes_max),
            ended: false,
            counts,
            out: Output::default(),
        }
    }

    /// A frame that is already here.
    pub fn buffered(&mut self) -> Result<Option<Frame>, FrameError> {
        self.framer.next(&mut self.input)
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
        poll_fn(|cx| {
            let polled = self.poll_fill(cx);
            if polled.is_pending() {
                self.release();
            }
            polled
        })
        .await?;
        if self.ended {
            return Err(WireError::Lost);
        }
        Ok(())
    }

    /// An idle connection holds no buffer.
    fn release(&mut self) {
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        if self.out.is_empty() {
            self.out.clear(0);
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ended {
            return Poll::Ready(Ok(()));
        }
        let input = &mut self.input;
        let read = ready!(poll_read_scratch(
            &mut self.stream,
            cx,
            READ_BYTES,
            |bytes| {
                input.extend_from_slice(bytes);
                bytes.len()
            }
        ))?;
        self.counts.received_bytes.add(read as u64);
        self.ended = read == 0;
        Poll::Ready(Ok(()))
    }

    /// Runs `work` while watching the client: when it goes away the work is dropped.
    pub async fn watch<F: Future>(&mut self, work: F) -> Result<F::Output, WireError> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            if let Poll::Ready(output) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            while self.input.len() < READ_AHEAD_BYTES {
                match self.poll_fill(cx) {
                    Poll::Pending => break,
                    Poll::Ready(Ok(())) if !self.ended => {}
                    Poll::Ready(_) => return Poll::Ready(Err(WireError::Lost)),
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Sends everything gathered, at the speed of the client.
    pub async fn flush(&mut self) -> Result<(), WireError> {
        if !self.out.is_empty() {
            self.stream.write_all(self.out.as_slice()).await?;
            self.stream.flush().await?;
            self.counts.sent_bytes.add(self.out.len() as u64);
            self.out.clear(KEEP_BYTES);
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
        if self.flush().await.is_err() || self.stream.close().await.is_err() {
            return;
        }
        let mut left = bytes_max;
        while left > 0 && !self.ended {
            self.input = BytesMut::new();
            if poll_fn(|cx| self.poll_fill(cx)).await.is_err() {
                return;
            }
            left = left.saturating_sub(self.input.len());
        }
    }
}

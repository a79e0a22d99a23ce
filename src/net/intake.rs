//! What a client has sent, until it is cut into messages.
//!
//! Owns: `Intake`, one buffer of the shard's pool while there is something in it and none otherwise, and the reading from
//! a socket into it. Asked by: protocols that cut their own messages (`Input` is what their framing sees).
//! Never: reads before it has a buffer to read into: with none to be had the client waits, by not being read from. Never
//! takes room by a length that was announced: a buffer grows when it is full.
//! Bounds: a read is 64 KiB where the pool has that to spare, else down to 4 KiB. A message up to 4 KiB needs no more
//! than the buffer that each connection is sure of; for a longer one it moves on to the next class, up to one of the
//! message's length, and may have to wait there. A piece that is handed out keeps its buffer until it is dropped; up to
//! `COPIED_MAX` bytes are copied instead, so that the buffer is free for what comes next.

use bytes::Bytes;
use futures_lite::io::AsyncRead;
use runtime::buffers::{Buffer, Class, Pool, Share, Take};
use send_wrapper::SendWrapper;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// Longer pieces share the buffer they came in.
const COPIED_MAX: usize = 4 << 10;

/// Bytes as framing cuts them.
pub trait Input {
    /// What is here, in one piece.
    fn front(&self) -> &[u8];
    /// Drops the first `n` bytes.
    fn skip(&mut self, n: usize);
    /// Takes the first `n` bytes.
    fn split(&mut self, n: usize) -> Bytes;
    /// Nothing more can be cut before the first `n` bytes are here.
    fn want(&mut self, n: usize);
}

/// Whether a full buffer may be replaced by a larger one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    /// The next message is waited for.
    Wanted,
    /// Something else runs meanwhile: what fits is read, no more.
    Spared,
}

pub struct Intake {
    pool: Rc<Pool>,
    /// Pieces that were handed out share it.
    buffer: Option<Rc<Buffer>>,
    /// Bytes of it that are done with.
    start: usize,
    /// What `want` said.
    wanted: usize,
    asking: Option<Take>,
}

/// A piece of a buffer, for `Bytes`. Like everything of a connection it stays on its shard.
struct Piece(SendWrapper<(Rc<Buffer>, Range<usize>)>);

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        let (buffer, range) = &*self.0;
        buffer.get(range.clone()).unwrap_or_default()
    }
}

impl Input for Intake {
    fn front(&self) -> &[u8] {
        let buffer = self.buffer.as_ref();
        buffer.and_then(|b| b.get(self.start..)).unwrap_or_default()
    }

    fn skip(&mut self, n: usize) {
        self.wanted = 0;
        self.start += n;
        if self.front().is_empty() {
            self.clear();
        }
    }

    fn split(&mut self, n: usize) -> Bytes {
        let range = self.start..self.start + n;
        let bytes = match &self.buffer {
            Some(buffer) if n > COPIED_MAX => {
                Bytes::from_owner(Piece(SendWrapper::new((buffer.clone(), range))))
            }
            Some(buffer) => Bytes::copy_from_slice(buffer.get(range).unwrap_or_default()),
            None => Bytes::new(),
        };
        self.skip(n);
        bytes
    }

    fn want(&mut self, n: usize) {
        self.wanted = n;
    }
}

impl Intake {
    pub fn new(pool: Rc<Pool>) -> Intake {
        Intake {
            pool,
            buffer: None,
            start: 0,
            wanted: 0,
            asking: None,
        }
    }

    /// Bytes that are here.
    pub fn len(&self) -> usize {
        self.front().len()
    }

    pub fn is_empty(&self) -> bool {
        self.buffer.is_none()
    }

    /// Whether it waits for the pool, and not for its client.
    pub fn is_asking(&self) -> bool {
        self.asking.is_some()
    }

    /// Whether it has more than the buffer that each connection is sure of while others wait for one.
    pub fn delays_others(&self) -> bool {
        let class = self.buffer.as_ref().and_then(|b| b.class());
        class.is_some_and(|c| c > Class::Kib4) && self.pool.waiting(Share::Receive) > 0
    }

    pub fn clear(&mut self) {
        self.buffer = None;
        self.start = 0;
    }

    /// Gives up a place in the pool's queue.
    pub fn stop_asking(&mut self) {
        self.asking = None;
    }

    /// Reads once: how many bytes there were, 0 at the end of the stream. Pending when the client has nothing to say, or
    /// when there is no buffer, or none that may be waited for.
    pub fn poll_fill<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
        growth: Growth,
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_room(cx, growth));
        let Some(buffer) = self.buffer.as_mut().and_then(Rc::get_mut) else {
            return Poll::Pending;
        };
        let short = buffer.share() == Some(Share::Extra) || buffer.class() == Some(Class::Kib4);
        let end = match short {
            true => buffer.capacity(),
            // What had to be waited for has this message and nothing after it, so that it is not kept for longer.
            false => self.start + self.wanted,
        };
        let room = end.saturating_sub(buffer.len());
        let spare = buffer.spare();
        let room = room.min(spare.len());
        let polled = Pin::new(stream).poll_read(cx, &mut spare[..room]);
        if let Poll::Ready(Ok(n)) = &polled {
            buffer.advance(*n);
        }
        if buffer.is_empty() {
            self.clear();
        } else if polled.is_pending() {
            self.shrink();
        }
        polled
    }

    /// A little that is to be kept for a while is kept in little.
    pub fn shrink(&mut self) {
        let Some(buffer) = &self.buffer else { return };
        let rest = buffer.get(self.start..).unwrap_or_default();
        let small = self.wanted <= Class::Kib4.bytes() && rest.len() <= Class::Kib4.bytes();
        if !small || buffer.class() == Some(Class::Kib4) {
            return;
        }
        if let Some(mut less) = self.pool.try_take(Share::Receive, Class::Kib4) {
            less.fill(rest);
            self.replace(less);
        }
    }

    /// Sees to a buffer with room in it.
    fn poll_room(&mut self, cx: &mut Context<'_>, growth: Growth) -> Poll<()> {
        let Some(buffer) = &mut self.buffer else {
            return self.poll_first(cx);
        };
        let capacity = buffer.capacity();
        let rest = buffer.len() - self.start;
        if let Some(buffer) = Rc::get_mut(buffer) {
            let lacking = buffer.len() == capacity || self.wanted > capacity - self.start;
            if self.start > 0 && lacking {
                buffer.shift(self.start);
                self.start = 0;
            }
            if buffer.len() < capacity {
                return Poll::Ready(());
            }
        }
        if growth == Growth::Spared {
            return Poll::Pending;
        }
        self.poll_grown(cx, rest)
    }

    fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let first = self.asking.is_none().then(|| {
            let large = |class| self.pool.try_take(Share::Extra, class);
            large(Class::Kib64)
                .or_else(|| large(Class::Kib8))
                .or_else(|| self.pool.try_take(Share::Receive, Class::Kib4))
        });
        let buffer = match first.flatten() {
            Some(buffer) => buffer,
            None => ready!(self.poll_asked(cx, Class::Kib4.bytes())),
        };
        self.replace(buffer);
        Poll::Ready(())
    }

    /// Moves on to a buffer that has room for more than the `rest` that is here.
    fn poll_grown(&mut self, cx: &mut Context<'_>, rest: usize) -> Poll<()> {
        let next = match Class::fitting(rest + 1) {
            // From one class to the next: a length that was only announced costs nothing.
            Some(class) => class.bytes().min(self.wanted.max(rest + 1)),
            None => self.wanted.max(rest + 1),
        };
        let extra = match Class::fitting(next) {
            Some(Class::Mib1) | None => None,
            Some(class) if self.asking.is_none() => self.pool.try_take(Share::Extra, class),
            Some(_) => None,
        };
        let mut buffer = match extra {
            Some(buffer) => buffer,
            None => ready!(self.poll_asked(cx, next)),
        };
        buffer.fill(self.front());
        self.replace(buffer);
        Poll::Ready(())
    }

    fn poll_asked(&mut self, cx: &mut Context<'_>, len: usize) -> Poll<Buffer> {
        let pool = &self.pool;
        let asking = self
            .asking
            .get_or_insert_with(|| pool.take_long(Share::Receive, len));
        let buffer = ready!(Pin::new(asking).poll(cx));
        self.asking = None;
        Poll::Ready(buffer)
    }

    fn replace(&mut self, buffer: Buffer) {
        self.buffer = Some(Rc::new(buffer));
        self.start = 0;
    }
}

#[cfg(test)]
#[path = "intake_tests.rs"]
mod tests;

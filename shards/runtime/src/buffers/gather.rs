//! Bytes for a socket, gathered: small writes share a buffer, and what is gathered leaves in one call.
//!
//! Owns: `Gather`, a list of buffers that are filled one after the other. Asked by: protocols, for their replies.
//! Never: waits for a buffer while it has one, copies what is long (`write_with` sends it from where it is).
//! Bounds: one buffer of 4 KiB of `Send`, and what `Extra` gives up to `GATHERED_MAX`. Each further buffer is of a
//! class that doubles what there is. An empty `Gather` holds nothing.
//! Source: writev(2); UIO_MAXIOV is 1024, far above the slices used here.

use super::buffer::Buffer;
use super::class::Class;
use super::limits::Share;
use super::pool::Pool;
use crate::task::yield_if_needed;
use futures_lite::io::AsyncWrite;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;

/// `append` takes no more than this.
pub const GATHERED_MAX: usize = 128 << 10;

/// Slices of one call.
const SLICES: usize = 16;

/// Replies that were this long when they were last sent get a large buffer at once.
const LONG: usize = 32 << 10;

pub struct Gather {
    pool: Rc<Pool>,
    parts: VecDeque<Buffer>,
    /// Bytes of the first part that were sent.
    sent: usize,
    len: usize,
    /// What there was when it was last written.
    last: usize,
}

impl Gather {
    pub fn new(pool: Rc<Pool>) -> Gather {
        Gather {
            pool,
            // Few ever gather more than one, and one that is empty keeps its room.
            parts: VecDeque::with_capacity(1),
            sent: 0,
            len: 0,
            last: 0,
        }
    }

    /// Bytes gathered and not yet sent.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Gathers as much as there is room for without waiting; how much that was. Less than all means: write first, or,
    /// with nothing gathered, wait with `room`.
    pub fn append(&mut self, bytes: &[u8]) -> usize {
        let mut done = 0;
        while done < bytes.len() {
            let rest = &bytes[done..];
            let n = match self.parts.back_mut() {
                Some(part) => part.fill(rest),
                None => 0,
            };
            done += n;
            self.len += n;
            if n == 0 {
                match self.next_part(rest.len()) {
                    Some(part) => self.parts.push_back(part),
                    None => break,
                }
            }
        }
        done
    }

    fn next_part(&self, wanted: usize) -> Option<Buffer> {
        if self.len >= GATHERED_MAX {
            return None;
        }
        let first = self.parts.is_empty();
        let likely = if self.last >= LONG { LONG * 2 } else { 0 };
        let wanted = match first {
            true => wanted.max(likely),
            false => wanted.max(self.len * 2),
        };
        let largest = Class::fitting(wanted).map_or(Class::Kib64, |c| c.min(Class::Kib64));
        for class in [Class::Kib64, Class::Kib8] {
            if class <= largest
                && let Some(buffer) = self.pool.try_take(Share::Extra, class)
            {
                return Some(buffer);
            }
        }
        let share = if first { Share::Send } else { Share::Extra };
        self.pool.try_take(share, Class::Kib4)
    }

    /// Waits until something can be gathered. Has nothing to wait for unless it is empty.
    pub async fn room(&mut self) {
        if self.parts.is_empty() {
            let part = self.pool.take(Share::Send, Class::Kib4).await;
            self.parts.push_back(part);
        }
    }

    /// Sends all of it, at the speed of `stream`. After an error what is left cannot be told.
    pub async fn write_to<W: AsyncWrite + Unpin>(&mut self, stream: &mut W) -> io::Result<()> {
        self.write_with(stream, &[]).await
    }

    /// Sends all of it and then `tail`, which is not copied.
    pub async fn write_with<W: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut W,
        tail: &[u8],
    ) -> io::Result<()> {
        self.last = self.len + tail.len();
        let mut tail = tail;
        while self.len > 0 || !tail.is_empty() {
            let n = {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let used = self.slices(&mut slices, tail);
                let slices = &slices[..used];
                poll_fn(|cx| match slices {
                    // Mostly it is one, and a plain send is cheaper.
                    [one] => Pin::new(&mut *stream).poll_write(cx, one),
                    many => Pin::new(&mut *stream).poll_write_vectored(cx, many),
                })
                .await?
            };
            if n == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            let of_tail = n.saturating_sub(self.len);
            self.sent(n - of_tail);
            tail = tail.get(of_tail..).unwrap_or_default();
            if self.len > 0 || !tail.is_empty() {
                yield_if_needed().await;
            }
        }
        self.parts.clear();
        Ok(())
    }

    fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES], tail: &'a [u8]) -> usize {
        let mut used = 0;
        let (last, most) = (SLICES - 1, self.parts.len());
        for (part, slice) in self.parts.iter().zip(&mut slices[..last]) {
            let skip = if used == 0 { self.sent } else { 0 };
            *slice = IoSlice::new(part.get(skip..).unwrap_or_default());
            used += 1;
        }
        if used == most && !tail.is_empty() {
            slices[used] = IoSlice::new(tail);
            used += 1;
        }
        used
    }

    /// `n` bytes more have left: buffers that did go back at once.
    fn sent(&mut self, n: usize) {
        self.len -= n;
        let mut n = n + self.sent;
        while let Some(part) = self.parts.front() {
            if n < part.len() {
                break;
            }
            n -= part.len();
            self.parts.pop_front();
        }
        self.sent = n;
    }

    /// Forgets what was not sent.
    pub fn clear(&mut self) {
        self.parts.clear();
        (self.sent, self.len) = (0, 0);
    }
}

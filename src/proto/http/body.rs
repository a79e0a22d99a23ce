//! Bodies of answers, and the memory that bodies and answers may take on a shard.
//!
//! Owns: `Body`, which hyper pulls; `Segments`, bytes gathered in pieces; `Budget` and `Held`, memory taken and given back.
//! Asked by: `query`, `routes`, `framing`. Never: makes a piece before hyper asks for it (a slow reader stalls its own stream).
//! Bounds: pieces of about `PIECE_BYTES`; the shard's `Budget`.

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::LocalBoxStream;
use hyper::body::{Frame, SizeHint};
use std::cell::Cell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use types::{Error, SqlState};

/// A piece is closed once it is this long; one row may exceed it alone.
pub const PIECE_BYTES: usize = 64 << 10;

/// Memory of a shard for bodies and answers.
pub struct Budget {
    used: Cell<usize>,
    max: usize,
}

impl Budget {
    pub fn new(max: usize) -> Rc<Budget> {
        Rc::new(Budget {
            used: Cell::new(0),
            max,
        })
    }

    #[cfg(test)]
    pub fn used(&self) -> usize {
        self.used.get()
    }
}

/// Memory taken from a budget; given back on drop.
pub struct Held {
    budget: Rc<Budget>,
    bytes: usize,
}

impl Held {
    pub fn nothing(budget: &Rc<Budget>) -> Held {
        Held {
            budget: budget.clone(),
            bytes: 0,
        }
    }

    /// Takes more, or 53200 and nothing.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Error> {
        let used = self.budget.used.get();
        if bytes > self.budget.max - used {
            return Err(Error::new(
                SqlState::OUT_OF_MEMORY,
                "the memory for HTTP requests and answers is in use",
            )
            .with_detail(format!(
                "{used} of {} bytes are held on this shard.",
                self.budget.max
            )));
        }
        self.budget.used.set(used + bytes);
        self.bytes += bytes;
        Ok(())
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let left = self.budget.used.get().saturating_sub(self.bytes);
        self.budget.used.set(left);
    }
}

/// Bytes gathered in pieces, so that a large answer is no large allocation.
#[derive(Default)]
pub struct Segments {
    closed: VecDeque<Bytes>,
    open: String,
    closed_bytes: usize,
}

impl Segments {
    /// Where the next bytes go. Call `settle` after each row.
    pub fn out(&mut self) -> &mut String {
        &mut self.open
    }

    /// Closes the open piece when it is long enough.
    pub fn settle(&mut self) {
        if self.open.len() >= PIECE_BYTES {
            self.close();
        }
    }

    pub fn len(&self) -> usize {
        self.closed_bytes + self.open.len()
    }

    /// Takes everything gathered so far.
    pub fn take(&mut self) -> VecDeque<Bytes> {
        self.close();
        self.closed_bytes = 0;
        std::mem::take(&mut self.closed)
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.closed_bytes += self.open.len();
            self.closed
                .push_back(Bytes::from(std::mem::take(&mut self.open)));
        }
    }
}

/// Ends an answer in the middle: the client sees a broken body, never a short one that looks whole.
#[derive(Debug)]
pub struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the statement failed after its first rows were sent")
    }
}

impl std::error::Error for Broken {}

/// The body of an answer.
pub enum Body {
    /// Known to the end. `held` is given back with the last byte.
    Whole {
        pieces: VecDeque<Bytes>,
        held: Option<Held>,
    },
    /// Made while it is read.
    Stream(LocalBoxStream<'static, Result<Bytes, Broken>>),
}

impl Body {
    pub fn text(text: impl Into<Bytes>) -> Body {
        Body::Whole {
            pieces: VecDeque::from([text.into()]),
            held: None,
        }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut *self {
            Body::Whole { pieces, held } => {
                let next = pieces.pop_front();
                if pieces.is_empty() {
                    held.take();
                }
                Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
            }
            Body::Stream(stream) => stream
                .poll_next_unpin(cx)
                .map(|next| next.map(|piece| piece.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Whole { pieces, .. } => pieces.is_empty(),
            Body::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Whole { pieces, .. } => {
                SizeHint::with_exact(pieces.iter().map(|p| p.len() as u64).sum())
            }
            Body::Stream(_) => SizeHint::default(),
        }
    }
}

/// A handler's failure is an answer too, so none is left for hyper.
pub type Answer = Result<http::Response<Body>, Infallible>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_gives_its_last_byte_and_not_one_more_and_takes_all_back() {
        let budget = Budget::new(10);
        let mut a = Held::nothing(&budget);
        let mut b = Held::nothing(&budget);
        assert!(a.grow(4).is_ok() && b.grow(6).is_ok());
        assert_eq!(a.grow(1).unwrap_err().code(), SqlState::OUT_OF_MEMORY);
        drop(b);
        assert!(a.grow(6).is_ok());
        assert_eq!(a.grow(usize::MAX).unwrap_err().code().as_str(), "53200");
        drop(a);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn segments_keep_order_and_length() {
        let mut segments = Segments::default();
        let row = "x".repeat(PIECE_BYTES / 2);
        for _ in 0..5 {
            segments.out().push_str(&row);
            segments.settle();
        }
        assert_eq!(segments.len(), 5 * row.len());
        let lengths: Vec<usize> = segments.take().iter().map(Bytes::len).collect();
        assert_eq!(lengths, [PIECE_BYTES, PIECE_BYTES, PIECE_BYTES / 2]);
        assert_eq!(segments.len(), 0);
    }
}

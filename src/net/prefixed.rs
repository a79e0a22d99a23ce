//! A stream whose first bytes were already read.
//!
//! Owns: `Prefixed`, which hands out the bytes that sniffing consumed before it reads from the socket again.
//! Asked by: `net::sniff` and every protocol served on a sniffed port. Never: buffers anything of its own.
//! Bounds: the prefix is what sniffing read, at most `sniff::FIRST_BYTES_MAX`.

use bytes::{Buf, Bytes};
use futures_lite::io::{AsyncRead, AsyncWrite};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Reads give `prefix` first, then what the stream has.
pub struct Prefixed<S> {
    prefix: Bytes,
    stream: S,
}

impl<S> Prefixed<S> {
    pub fn new(prefix: Bytes, stream: S) -> Prefixed<S> {
        Prefixed { prefix, stream }
    }

    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// The unread part of the prefix, and the stream.
    pub fn into_parts(self) -> (Bytes, S) {
        (self.prefix, self.stream)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Prefixed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.prefix.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let n = self.prefix.len().min(buf.len());
        self.prefix
            .copy_to_slice(buf.get_mut(..n).unwrap_or_default());
        if self.prefix.is_empty() {
            // Frees the allocation: an idle connection holds no buffer.
            self.prefix = Bytes::new();
        }
        Poll::Ready(Ok(n))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prefixed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::io::{AsyncReadExt, Cursor};

    #[test]
    fn every_split_of_a_stream_reads_the_same() {
        let whole = b"\0\0\0\x08\x04\xd2\x16\x2fafter";
        for at in 0..=whole.len() {
            for step in 1..=whole.len() {
                let (head, tail) = whole.split_at(at);
                let mut stream = Prefixed::new(Bytes::copy_from_slice(head), Cursor::new(tail));
                let mut seen = Vec::new();
                let mut buf = vec![0; step];
                loop {
                    let n = futures_lite::future::block_on(stream.read(&mut buf)).unwrap();
                    if n == 0 {
                        break;
                    }
                    seen.extend_from_slice(&buf[..n]);
                }
                assert_eq!(seen, whole);
            }
        }
    }
}

//! A connected socket, whichever way it learns of its peer.
//!
//! Owns: the choice between the two ways, and what is the same in both. Asked by: the streams and their halves.

use super::ready::ReadySocket;
use super::ringed::RingSocket;
use super::spread::Place;
use crate::executor::ring;
use crate::task::yield_if_needed;
use socket2::Socket;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

pub(super) struct Connected {
    way: Way,
    peer: Option<SocketAddr>,
    local: Option<SocketAddr>,
    /// Among the connections of its endpoint.
    _place: Option<Place>,
}

enum Way {
    Ring(RingSocket),
    Ready(ReadySocket),
}

impl Connected {
    /// Takes a socket that does not block.
    pub(super) fn new(socket: Socket, peer: Option<SocketAddr>) -> io::Result<Connected> {
        let local = socket.local_addr()?.as_socket();
        let way = match ring() {
            Some(ring) => Way::Ring(RingSocket::new(ring, socket)),
            None => Way::Ready(ReadySocket::new(socket)),
        };
        Ok(Connected {
            way,
            peer,
            local,
            _place: None,
        })
    }

    /// It keeps `place` as long as it is open.
    pub(super) fn at(self, place: Option<Place>) -> Connected {
        Connected {
            _place: place,
            ..self
        }
    }

    pub(super) async fn connect(addr: SocketAddr) -> io::Result<Connected> {
        let socket = match ring() {
            Some(ring) => super::ringed::connect(ring, addr).await?,
            None => super::ready::connect(addr).await?,
        };
        Connected::new(socket, Some(addr))
    }

    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    pub(super) fn local(&self) -> Option<SocketAddr> {
        self.local
    }

    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match &self.way {
            Way::Ring(socket) => socket.poll_read(cx, buf),
            Way::Ready(socket) => socket.poll_read(cx, buf),
        }
    }

    pub(super) fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &self.way {
            Way::Ring(socket) => socket.poll_write(cx, &[IoSlice::new(buf)]),
            Way::Ready(socket) => socket.poll_write(cx, buf),
        }
    }

    pub(super) fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &self.way {
            Way::Ring(socket) => socket.poll_write(cx, bufs),
            Way::Ready(socket) => socket.poll_write_vectored(cx, bufs),
        }
    }

    /// Sends the end of the stream.
    pub(super) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = match &self.way {
            Way::Ring(socket) => ready!(socket.poll_shutdown(cx)),
            Way::Ready(socket) => socket.shutdown(),
        };
        Poll::Ready(match ended {
            // The other side was faster.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            ended => ended,
        })
    }

    pub(super) fn set_nodelay(&self, on: bool) -> io::Result<()> {
        if self.local.is_none() {
            return Ok(());
        }
        match &self.way {
            Way::Ring(socket) => socket.set_nodelay(on),
            Way::Ready(socket) => socket.set_nodelay(on),
        }
    }

    pub(super) async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read(cx, buf)).await
    }

    pub(super) async fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let n = poll_fn(|cx| self.poll_write(cx, rest)).await?;
            if n == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            rest = rest.get(n..).unwrap_or_default();
            if !rest.is_empty() {
                yield_if_needed().await;
            }
        }
        Ok(())
    }
}

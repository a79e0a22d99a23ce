//! Sockets: listeners of one shard, streams, their halves.
//!
//! Owns: the listening and connected sockets of a shard, TCP's and the machine's own (`unix`), and their options. Asked by: the front's `net` and by
//! clients (the proxy, tests). Never: resolves a name (addresses only, a resolver blocks), speaks a protocol.
//! Bounds: the kernel's backlog as given to `bind`; a stream that is not read from holds a few buffers (`ringed`) or none
//! (`ready`) beyond its socket's, and its peer stops. `accept` fails (and the caller pauses) when descriptors run out.
//! Source: socket(7) and tcp(7); SO_REUSEPORT spreads connections over the shards' listeners by hash, `Spread` evens that out.

mod listener;
mod ready;
mod ringed;
mod socket;
mod spread;
mod unix;

pub use listener::Listener;
pub use spread::{INBOX_MAX, Spread, SpreadStats, spread_stats};

use futures_lite::io::{AsyncRead, AsyncWrite};
use socket::Connected;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// How sockets learn that there is something to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NetworkMethod {
    /// `Ring` where the kernel has what it needs, else `Readiness`, with a warning that says what is missing.
    #[default]
    Auto,
    /// The kernel accepts and receives by itself and tells a ring of our own (`crate::ring`).
    Ring,
    /// A poll for each wait, then the system call.
    Readiness,
}

/// A process that was just killed goes on listening until its last thread is gone: looks for that, and between two of them.
const LOOKS: u32 = 20;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// Fails when another process listens on `addr`, and goes on doing so for a second. Called once at start, before the shards bind
/// with SO_REUSEPORT, which by itself would share the port in silence with any process of the same user.
pub fn bind_check(addr: SocketAddr) -> io::Result<()> {
    for _ in 1..LOOKS {
        match bind_once(addr) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            done => return done,
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
    bind_once(addr)
}

fn bind_once(addr: SocketAddr) -> io::Result<()> {
    let socket = tcp_socket(addr)?;
    // Without this, connections of an earlier run that linger in TIME_WAIT would refuse us for a minute.
    socket.set_reuse_address(true)?;
    socket.bind(&SockAddr::from(addr))?;
    socket.listen(1)
}

fn tcp_socket(addr: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        // "::" must not take the IPv4 port too: both are bound, each by its own listener.
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// A socket that does not block, and whether it is connected already: if not it will be, or will have failed, when it can
/// be written.
fn begin_connect(addr: SocketAddr) -> io::Result<(Socket, bool)> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::from(addr)) {
        Ok(()) => Ok((socket, true)),
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok((socket, false)),
        Err(error) => Err(error),
    }
}

/// A connected socket, unbuffered. Reading and writing may go on at the same time, one task each.
/// Dropping it closes the socket.
pub struct Stream {
    socket: Rc<Connected>,
}

impl Stream {
    /// Wrap it in `timeout`: the system's own patience is minutes.
    pub async fn connect(addr: SocketAddr) -> io::Result<Stream> {
        let socket = Rc::new(Connected::connect(addr).await?);
        Ok(Stream { socket })
    }

    /// At least one byte, or 0 at the end of what the peer sends. Dropping the future loses nothing.
    pub async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buf).await
    }

    /// All of it is with the kernel when this returns, or the last 4 KiB will be with the ring's next turn: what fails then, the next
    /// write or `shutdown` says. A dropped future may have sent a part.
    pub async fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes).await
    }

    /// Sends the end of the stream; reading goes on.
    pub async fn shutdown(&self) -> io::Result<()> {
        poll_fn(|cx| self.socket.poll_shutdown(cx)).await
    }

    /// None where the socket is no TCP socket.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.socket.peer()
    }

    /// None where the socket is no TCP socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.socket.local()
    }

    /// Nothing to do where the socket is no TCP socket.
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.socket.set_nodelay(on)
    }

    /// Two halves on the same shard. The socket closes when both are dropped.
    pub fn into_split(self) -> (ReadHalf, WriteHalf) {
        (
            ReadHalf {
                socket: self.socket.clone(),
            },
            WriteHalf {
                socket: self.socket,
            },
        )
    }
}

pub struct ReadHalf {
    socket: Rc<Connected>,
}

impl ReadHalf {
    pub async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buf).await
    }
}

pub struct WriteHalf {
    socket: Rc<Connected>,
}

impl WriteHalf {
    pub async fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes).await
    }

    /// Sends the end of the stream.
    pub async fn shutdown(&self) -> io::Result<()> {
        poll_fn(|cx| self.socket.poll_shutdown(cx)).await
    }
}

macro_rules! async_read {
    ($type:ty) => {
        impl AsyncRead for $type {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                self.socket.poll_read(cx, buf)
            }
        }
    };
}

macro_rules! async_write {
    ($type:ty) => {
        impl AsyncWrite for $type {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.socket.poll_write(cx, buf)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.socket.poll_write_vectored(cx, bufs)
            }

            /// Nothing is buffered here.
            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.socket.poll_shutdown(cx)
            }
        }
    };
}

async_read!(Stream);
async_read!(ReadHalf);
async_write!(Stream);
async_write!(WriteHalf);

#[cfg(test)]
#[path = "net_tests.rs"]
mod tests;

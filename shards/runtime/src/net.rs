//! Sockets: listeners of one shard, streams, their halves.
//!
//! Owns: the listening and connected sockets of a shard and their options. Asked by: the front's `net` and by
//! clients (the proxy, tests). Never: resolves a name (addresses only, a resolver blocks), buffers bytes of its
//! own, speaks a protocol.
//! Bounds: the kernel's backlog as given to `bind`; a stream holds no memory beyond its socket's buffers, and
//! reading stops by not reading. `accept` fails (and the caller pauses) when descriptors run out.
//! Source: socket(7) and tcp(7); SO_REUSEPORT spreads connections over the shards' listeners by hash.

use crate::sync::Notify;
use crate::task::yield_if_needed;
use futures_lite::io::{AsyncRead, AsyncWrite};
use glommio::io::PollableFd;
use glommio::net::TcpStream;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Fails when another process listens on `addr`. Called once at start, before the shards bind with SO_REUSEPORT,
/// which by itself would share the port in silence with any process of the same user.
pub fn bind_check(addr: SocketAddr) -> io::Result<()> {
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

/// One shard's listening socket.
pub struct Listener {
    socket: Rc<PollableFd<std::net::TcpListener>>,
    local: SocketAddr,
    closed: Cell<bool>,
    closing: Notify,
}

impl Listener {
    /// Binds and listens; port 0 lets the system choose. Each shard binds the same address for itself.
    pub fn bind(addr: SocketAddr, backlog: u32) -> io::Result<Listener> {
        let socket = tcp_socket(addr)?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::from(addr))?;
        socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        let socket = std::net::TcpListener::from(socket);
        let local = socket.local_addr()?;
        Ok(Listener {
            socket: Rc::new(PollableFd::new(socket)?),
            local,
            closed: Cell::new(false),
            closing: Notify::new(),
        })
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The next connection. Connections that broke before they were taken are skipped; EMFILE, ENFILE and the
    /// like are returned, and the caller pauses before the next try. `ConnectionAborted` after `close`.
    pub async fn accept(&self) -> io::Result<Stream> {
        loop {
            if self.closed.get() {
                return Err(io::Error::new(
                    io::ErrorKind::ConnectionAborted,
                    "the listener is closed",
                ));
            }
            match self.socket.get_ref().accept() {
                Ok((socket, peer)) => {
                    yield_if_needed().await;
                    return Stream::new(Socket::from(socket), peer);
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => self.readable().await?,
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    _ => return Err(error),
                },
            }
        }
    }

    /// Stops accepting; a waiting `accept` returns. The socket closes when the listener is dropped, and with it
    /// the connections that nobody took.
    pub fn close(&self) {
        self.closed.set(true);
        self.closing.notify_all();
    }

    async fn readable(&self) -> io::Result<()> {
        let socket = self.socket.clone();
        let mut ready = Steady::new(async move { socket.readable().await });
        let mut closing = pin!(self.closing.notified());
        std::future::poll_fn(|cx| {
            if closing.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            ready.poll(cx).map_err(io::Error::from)
        })
        .await
    }
}

/// Polls a future of the ring only when the ring woke it. The ring keeps one more waker for each poll, so a wait
/// that is polled for other reasons (in a select loop) would collect them without end.
struct Steady<F> {
    inner: Pin<Box<F>>,
    flag: Arc<Flag>,
    waker: Waker,
}

struct Flag {
    woken: AtomicBool,
    outer: atomic_waker::AtomicWaker,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.outer.wake();
    }
}

impl<F: Future> Steady<F> {
    fn new(inner: F) -> Steady<F> {
        let flag = Arc::new(Flag {
            woken: AtomicBool::new(true),
            outer: atomic_waker::AtomicWaker::new(),
        });
        Steady {
            inner: Box::pin(inner),
            waker: Waker::from(flag.clone()),
            flag,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.flag.outer.register(cx.waker());
        if !self.flag.woken.swap(false, Ordering::Acquire) {
            return Poll::Pending;
        }
        let mut inner = Context::from_waker(&self.waker);
        self.inner.as_mut().poll(&mut inner)
    }
}

struct Socketed {
    /// Borrowed for the length of one poll, never across an await.
    tcp: RefCell<TcpStream>,
    peer: SocketAddr,
    local: SocketAddr,
}

impl Socketed {
    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.tcp.borrow_mut()).poll_read(cx, buf)
    }

    fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.tcp.borrow_mut()).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.tcp.borrow_mut()).poll_write_vectored(cx, bufs)
    }

    fn shutdown(&self) -> io::Result<()> {
        let how = Shutdown::Write;
        let mut cx = Context::from_waker(Waker::noop());
        match self.tcp.borrow_mut().poll_shutdown(&mut cx, how) {
            Poll::Ready(Ok(())) => Ok(()),
            Poll::Ready(Err(error)) => match io::Error::from(error) {
                // The other side was faster.
                error if error.kind() == io::ErrorKind::NotConnected => Ok(()),
                error => Err(error),
            },
            Poll::Pending => Ok(()),
        }
    }

    async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        std::future::poll_fn(|cx| self.poll_read(cx, buf)).await
    }

    async fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let n = std::future::poll_fn(|cx| self.poll_write(cx, rest)).await?;
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

/// A connected TCP socket, unbuffered. Reading and writing may go on at the same time, one task each.
/// Dropping it closes the socket.
pub struct Stream {
    socket: Rc<Socketed>,
}

impl Stream {
    fn new(socket: Socket, peer: SocketAddr) -> io::Result<Stream> {
        let tcp = TcpStream::from(socket);
        let local = tcp.local_addr()?;
        Ok(Stream {
            socket: Rc::new(Socketed {
                tcp: RefCell::new(tcp),
                peer,
                local,
            }),
        })
    }

    /// Wrap it in `timeout`: the system's own patience is minutes.
    pub async fn connect(addr: SocketAddr) -> io::Result<Stream> {
        let tcp = TcpStream::connect(addr).await.map_err(io::Error::from)?;
        let local = tcp.local_addr()?;
        Ok(Stream {
            socket: Rc::new(Socketed {
                tcp: RefCell::new(tcp),
                peer: addr,
                local,
            }),
        })
    }

    /// At least one byte, or 0 at the end of what the peer sends. Dropping the future loses nothing.
    pub async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buf).await
    }

    /// All of it is with the kernel when this returns. A dropped future may have sent a part.
    pub async fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes).await
    }

    /// Sends the end of the stream; reading goes on.
    pub async fn shutdown(&self) -> io::Result<()> {
        self.socket.shutdown()
    }

    pub fn peer_addr(&self) -> SocketAddr {
        self.socket.peer
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.socket.local
    }

    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        Ok(self.socket.tcp.borrow().set_nodelay(on)?)
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
    socket: Rc<Socketed>,
}

impl ReadHalf {
    pub async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.read(buf).await
    }

    pub fn peer_addr(&self) -> SocketAddr {
        self.socket.peer
    }
}

pub struct WriteHalf {
    socket: Rc<Socketed>,
}

impl WriteHalf {
    pub async fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes).await
    }

    /// Sends the end of the stream.
    pub async fn shutdown(&self) -> io::Result<()> {
        self.socket.shutdown()
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

            fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(self.socket.shutdown())
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

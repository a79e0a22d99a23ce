//! One shard's listening socket.
//!
//! Owns: the socket, and the connections that the kernel has accepted and nobody has taken. Asked by: `net` of the front.
//! Where it shares an endpoint with other shards, `Spread` says which of them serves a connection.
//! Bounds: the backlog as given, and `TAKEN_MAX` accepted ahead: then the kernel is told to stop.

use super::socket::Connected;
use super::spread::{Arrival, Spread};
use super::unix::SocketFile;
use super::{Stream, tcp_socket};
use crate::executor::{current_shard, ring};
use crate::ring::{Complete, Done, Key, Ring};
use crate::steady::Steady;
use crate::sync::{Notify, store, wake};
use crate::task::yield_if_needed;
use glommio::io::PollableFd;
use socket2::{SockAddr, Socket};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use types::ShardId;

/// Connections accepted ahead of whoever takes them.
const TAKEN_MAX: usize = 64;

pub struct Listener {
    way: Way,
    /// None where it is no TCP socket.
    local: Option<SocketAddr>,
    /// With the shard that this is.
    spread: Option<(Arc<Spread>, ShardId)>,
    /// Connections that others have accepted for this shard come out here.
    takes: bool,
    _file: Option<SocketFile>,
    closed: Cell<bool>,
    closing: Notify,
}

enum Way {
    Ring(Rc<Ring>, Rc<Accepting>),
    Ready(Rc<PollableFd<Socket>>),
}

impl Listener {
    /// Binds and listens; port 0 lets the system choose. Each shard binds the same address for itself.
    pub fn bind(addr: SocketAddr, backlog: u32) -> io::Result<Listener> {
        let socket = tcp_socket(addr)?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::from(addr))?;
        Listener::listen(socket, backlog)
    }

    fn listen(socket: Socket, backlog: u32) -> io::Result<Listener> {
        socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        let local = socket.local_addr()?.as_socket();
        let way = match ring() {
            Some(ring) => Way::Ring(ring, Accepting::new(socket)),
            None => Way::Ready(Rc::new(PollableFd::new(socket)?)),
        };
        Ok(Listener {
            way,
            local,
            spread: None,
            takes: false,
            _file: None,
            closed: Cell::new(false),
            closing: Notify::new(),
        })
    }

    /// Listens at a path of this machine, which nobody else may be doing; the file goes with the listener. One shard binds it:
    /// the others get their connections where they listen with `bind_spread` and the same `spread`.
    pub fn bind_unix(path: &Path, backlog: u32, spread: Arc<Spread>) -> io::Result<Listener> {
        let (socket, file) = super::unix::bind(path)?;
        let mut listener = Listener::listen(socket, backlog)?;
        listener.spread = Some((spread, current_shard()));
        listener._file = Some(file);
        Ok(listener)
    }

    /// As `bind`; connections go to the shard that has the fewest of those with the same `spread`.
    pub fn bind_spread(
        addr: SocketAddr,
        backlog: u32,
        spread: Arc<Spread>,
    ) -> io::Result<Listener> {
        let mut listener = Listener::bind(addr, backlog)?;
        let me = current_shard();
        let bell = match &listener.way {
            Way::Ring(ring, _) => {
                let spread = spread.clone();
                ring.bell(Rc::new(move || spread.wake(me)))
            }
            Way::Ready(_) => None,
        };
        spread.begin(me, bell);
        listener.spread = Some((spread, me));
        listener.takes = true;
        Ok(listener)
    }

    /// None where it is no TCP socket.
    pub fn local_addr(&self) -> Option<SocketAddr> {
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
            match self.take() {
                Ok(None) => yield_if_needed().await,
                Ok(Some(arrival)) => {
                    yield_if_needed().await;
                    let Arrival {
                        socket,
                        peer,
                        place,
                    } = arrival;
                    let socket = Rc::new(Connected::new(socket, peer)?.at(place));
                    return Ok(Stream { socket });
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => self.wait().await?,
                    io::ErrorKind::Interrupted
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::NotConnected => {}
                    _ => return Err(error),
                },
            }
        }
    }

    /// None when it went to another shard.
    fn take(&self) -> io::Result<Option<Arrival>> {
        let handed = self.taking().and_then(|(s, me)| s.take(*me));
        if handed.is_some() {
            return Ok(handed);
        }
        let (socket, peer) = match &self.way {
            Way::Ring(_, accepting) => accepting.take()?,
            Way::Ready(socket) => {
                let (socket, peer) = socket.get_ref().accept()?;
                socket.set_nonblocking(true)?;
                (socket, peer.as_socket())
            }
        };
        Ok(match &self.spread {
            Some((spread, me)) => spread.place(*me, socket, peer),
            None => Some(Arrival {
                socket,
                peer,
                place: None,
            }),
        })
    }

    /// Whether another shard has handed a connection over.
    fn was_handed(&self, cx: &Context<'_>) -> bool {
        self.taking()
            .is_some_and(|(spread, me)| spread.poll(*me, cx))
    }

    /// Whose connections come out here.
    fn taking(&self) -> Option<&(Arc<Spread>, ShardId)> {
        self.spread.as_ref().filter(|_| self.takes)
    }

    async fn wait(&self) -> io::Result<()> {
        let mut closing = pin!(self.closing.notified());
        match &self.way {
            Way::Ring(ring, accepting) => {
                poll_fn(|cx| match closing.as_mut().poll(cx) {
                    Poll::Ready(()) => Poll::Ready(Ok(())),
                    Poll::Pending if self.was_handed(cx) => Poll::Ready(Ok(())),
                    Poll::Pending => accepting.poll(ring, cx).map(Ok),
                })
                .await
            }
            Way::Ready(socket) => {
                let socket = socket.clone();
                let mut ready = Steady::new(async move { socket.readable().await });
                poll_fn(|cx| match closing.as_mut().poll(cx) {
                    Poll::Ready(()) => Poll::Ready(Ok(())),
                    Poll::Pending if self.was_handed(cx) => Poll::Ready(Ok(())),
                    Poll::Pending => ready.poll(cx).map_err(io::Error::from),
                })
                .await
            }
        }
    }

    /// Stops accepting; a waiting `accept` returns. The socket closes when the listener is dropped, and with it
    /// the connections that nobody took.
    pub fn close(&self) {
        self.closed.set(true);
        self.leave();
        self.closing.notify_all();
    }

    fn leave(&self) {
        if let Some((spread, me)) = self.taking() {
            spread.end(*me);
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.leave();
        if let Way::Ring(ring, accepting) = &self.way {
            accepting.end(ring);
        }
    }
}

/// A multishot accept and what it has brought.
struct Accepting {
    /// Open until the accept has ended.
    socket: Socket,
    taken: RefCell<VecDeque<OwnedFd>>,
    error: Cell<Option<i32>>,
    waiting: Cell<Option<Key>>,
    stopping: Cell<bool>,
    closed: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Complete for Accepting {
    fn complete(&self, ring: &Ring, done: Done) {
        let key = self.waiting.get();
        if !done.more {
            self.waiting.set(None);
            self.stopping.set(false);
        }
        match done.result {
            fd @ 0.. => {
                let fd = crate::ring::accepted(fd);
                let mut taken = self.taken.borrow_mut();
                if !self.closed.get() {
                    taken.push_back(fd);
                }
                if let Some(key) = key
                    && taken.len() >= TAKEN_MAX
                    && !self.stopping.replace(true)
                {
                    ring.cancel(key);
                }
            }
            code => match -code {
                libc::ECANCELED | libc::EAGAIN | libc::EINTR | libc::ECONNABORTED => {}
                code => self.error.set(Some(code)),
            },
        }
        wake(&self.waker);
    }
}

impl Accepting {
    fn new(socket: Socket) -> Rc<Accepting> {
        Rc::new(Accepting {
            socket,
            taken: RefCell::default(),
            error: Cell::new(None),
            waiting: Cell::new(None),
            stopping: Cell::new(false),
            closed: Cell::new(false),
            waker: RefCell::new(None),
        })
    }

    fn take(&self) -> io::Result<(Socket, Option<SocketAddr>)> {
        let taken = self.taken.borrow_mut().pop_front();
        if let Some(fd) = taken {
            let socket = Socket::from(fd);
            let peer = socket.peer_addr()?.as_socket();
            return Ok((socket, peer));
        }
        match self.error.take() {
            Some(code) => Err(io::Error::from_raw_os_error(code)),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn poll(self: &Rc<Self>, ring: &Ring, cx: &mut Context<'_>) -> Poll<()> {
        let error = self.error.take();
        self.error.set(error);
        if error.is_some() || !self.taken.borrow().is_empty() {
            return Poll::Ready(());
        }
        store(&self.waker, cx);
        if self.waiting.get().is_none() {
            let key = ring.accept(self.socket.as_raw_fd(), self.clone());
            self.waiting.set(Some(key));
        }
        Poll::Pending
    }

    fn end(&self, ring: &Ring) {
        self.closed.set(true);
        self.taken.borrow_mut().clear();
        if let Some(key) = self.waiting.get()
            && !self.stopping.get()
        {
            ring.cancel(key);
        }
    }
}

//! A socket whose bytes the kernel brings by itself.
//!
//! Owns: what has arrived and was not read yet, what is being sent, and the operations of one socket on the network's ring. Asked
//! by: `socket`. Never: closes the descriptor before the last operation on it has ended; reads and receives, or sends twice, at the
//! same time.
//! What fits a buffer of 4 KiB is sent by the ring's next turn, with what the turn's other requests had to say, in one system call;
//! what is longer, or finds no buffer, is sent at once. A socket that is dropped meanwhile still sends what its peer has room for.
//! Bounds: one such buffer a socket, `Extra` of the shard's pool; `QUEUE_MAX` buffers that nobody has read, and what arrives while the receive is being cancelled, at most the
//! ring's stock. A socket that finds no buffer, or whose peer fills them, reads into its reader's own, whenever it is
//! told that there is something: so one that waits holds nothing, and one that is not read from stops its peer.

use crate::buffers::{self, Buffer, Class, Share};
use crate::ring::{Complete, Done, Key, Ring};
use crate::sync::{store, wake};
use socket2::{MsgHdr, Socket};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice, Read};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

/// Buffers that wait for the reader, before the kernel is told to stop.
const QUEUE_MAX: usize = 4;

/// A read that is this long will be followed by more of them.
const BULK: usize = 4 << 10;

pub(super) struct RingSocket {
    ring: Rc<Ring>,
    socket: Rc<Socket>,
    incoming: Rc<Incoming>,
    outgoing: Rc<Outgoing>,
}

/// What the reader is waiting for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waiting {
    Nothing,
    Bytes(Key),
    Readiness(Key),
}

struct Incoming {
    /// Open until the last operation has ended.
    socket: Rc<Socket>,
    queue: RefCell<VecDeque<Buffer>>,
    /// Bytes of the first buffer that were read.
    start: Cell<usize>,
    waiting: Cell<Waiting>,
    /// The receive was told to end.
    stopping: Cell<bool>,
    /// Look at the socket before waiting again.
    look: Cell<bool>,
    ended: Cell<bool>,
    error: Cell<Option<i32>>,
    /// Nobody will read.
    closed: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Complete for Incoming {
    fn complete(&self, ring: &Ring, done: Done) {
        let waiting = self.waiting.get();
        if !done.more {
            self.waiting.set(Waiting::Nothing);
            self.stopping.set(false);
        }
        let received = matches!(waiting, Waiting::Bytes(_));
        match (done.result, done.buffer) {
            (1.., Some(buffer)) if !self.closed.get() => self.arrived(ring, buffer, waiting),
            (0, _) if received => self.ended.set(true),
            (0.., _) => {}
            (code, _) => match -code {
                libc::ENOBUFS | libc::ECANCELED | libc::EAGAIN | libc::EINTR => {}
                code => self.error.set(Some(code)),
            },
        }
        if !done.more {
            self.look.set(true);
        }
        wake(&self.waker);
    }
}

impl Incoming {
    fn arrived(&self, ring: &Ring, buffer: Buffer, waiting: Waiting) {
        let mut queue = self.queue.borrow_mut();
        queue.push_back(buffer);
        if let Waiting::Bytes(key) = waiting
            && queue.len() >= QUEUE_MAX
            && !self.stopping.replace(true)
        {
            ring.cancel(key);
        }
    }

    /// From what has arrived.
    fn take(&self, buf: &mut [u8]) -> usize {
        let mut queue = self.queue.borrow_mut();
        let mut n = 0;
        while n < buf.len() {
            let Some(first) = queue.front() else { break };
            let rest = first.get(self.start.get()..).unwrap_or_default();
            let part = rest.len().min(buf.len() - n);
            buf[n..n + part].copy_from_slice(&rest[..part]);
            n += part;
            self.start.set(self.start.get() + part);
            if part == rest.len() {
                queue.pop_front();
                self.start.set(0);
            }
        }
        n
    }

    /// Reads what the kernel has, while no receive could do so too. None when there is nothing.
    fn look(&self, buf: &mut [u8]) -> Option<io::Result<usize>> {
        loop {
            return match (&*self.socket).read(buf) {
                Ok(n) => {
                    self.ended.set(n == 0);
                    self.look.set(n >= BULK);
                    Some(Ok(n))
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.look.set(false);
                    None
                }
                Err(error) => Some(Err(error)),
            };
        }
    }
}

/// One that is being sent from, or waits until it can be written, or until it is connected.
struct Outgoing {
    socket: Rc<Socket>,
    waiting: Cell<Option<Key>>,
    /// What the kernel sends from.
    sending: RefCell<Option<Buffer>>,
    failed: Cell<Option<i32>>,
    waker: RefCell<Option<Waker>>,
}

impl Complete for Outgoing {
    fn complete(&self, _: &Ring, done: Done) {
        self.waiting.set(None);
        if let Some(sent) = self.sending.take() {
            match usize::try_from(done.result) {
                Ok(n) if n == sent.len() => {}
                // The kernel goes on by itself until all is sent: only the connection's end stops it.
                Ok(_) => self.failed.set(Some(libc::ECONNRESET)),
                Err(_) => self.failed.set(Some(-done.result)),
            }
        }
        wake(&self.waker);
    }
}

impl Outgoing {
    fn new(socket: Rc<Socket>) -> Rc<Outgoing> {
        Rc::new(Outgoing {
            socket,
            waiting: Cell::new(None),
            sending: RefCell::new(None),
            failed: Cell::new(None),
            waker: RefCell::new(None),
        })
    }

    /// Whether nothing is being sent any more. What has failed is told once.
    fn poll_sent(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        if self.sending.borrow().is_some() {
            store(&self.waker, cx);
            return Poll::Pending;
        }
        match self.failed.take() {
            Some(code) => Poll::Ready(Err(io::Error::from_raw_os_error(code))),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Has it sent with the ring's next turn. None when it is too long, or there is no buffer for it.
    fn send(self: &Rc<Self>, ring: &Ring, bufs: &[IoSlice<'_>]) -> Option<usize> {
        let len = bufs.iter().map(|part| part.len()).sum();
        if len > Class::Kib4.bytes() {
            return None;
        }
        let mut buffer = buffers::current().try_take(Share::Extra, Class::Kib4)?;
        for part in bufs {
            buffer.fill(part);
        }
        let fd = self.socket.as_raw_fd();
        let key = ring.send(fd, &buffer, self.clone());
        self.sending.replace(Some(buffer));
        self.waiting.set(Some(key));
        Some(len)
    }

    fn wait(self: &Rc<Self>, ring: &Ring, cx: &mut Context<'_>) {
        store(&self.waker, cx);
        if self.waiting.get().is_none() {
            let fd = self.socket.as_raw_fd();
            let key = ring.ready(fd, libc::POLLOUT, self.clone());
            self.waiting.set(Some(key));
        }
    }
}

impl RingSocket {
    pub(super) fn new(ring: Rc<Ring>, socket: Socket) -> RingSocket {
        let socket = Rc::new(socket);
        RingSocket {
            ring,
            incoming: Rc::new(Incoming {
                socket: socket.clone(),
                queue: RefCell::new(VecDeque::with_capacity(1)),
                start: Cell::new(0),
                waiting: Cell::new(Waiting::Nothing),
                stopping: Cell::new(false),
                look: Cell::new(false),
                ended: Cell::new(false),
                error: Cell::new(None),
                closed: Cell::new(false),
                waker: RefCell::new(None),
            }),
            outgoing: Outgoing::new(socket.clone()),
            socket,
        }
    }

    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let incoming = &self.incoming;
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let n = incoming.take(buf);
        if n > 0 {
            return Poll::Ready(Ok(n));
        }
        if let Some(code) = incoming.error.take() {
            return Poll::Ready(Err(io::Error::from_raw_os_error(code)));
        }
        if incoming.ended.get() {
            return Poll::Ready(Ok(0));
        }
        if incoming.waiting.get() == Waiting::Nothing {
            if incoming.look.get()
                && let Some(read) = incoming.look(buf)
            {
                return Poll::Ready(read);
            }
            let fd = self.socket.as_raw_fd();
            incoming.waiting.set(match self.ring.has_stock() {
                true => Waiting::Bytes(self.ring.receive(fd, incoming.clone())),
                false => Waiting::Readiness(self.ring.ready(fd, libc::POLLIN, incoming.clone())),
            });
        }
        store(&incoming.waker, cx);
        Poll::Pending
    }

    pub(super) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.outgoing.poll_sent(cx))?;
        if let Some(n) = self.outgoing.send(&self.ring, bufs) {
            return Poll::Ready(Ok(n));
        }
        loop {
            let sent = match bufs {
                [one] => self.socket.send_with_flags(one, libc::MSG_NOSIGNAL),
                many => {
                    let message = MsgHdr::new().with_buffers(many);
                    self.socket.sendmsg(&message, libc::MSG_NOSIGNAL)
                }
            };
            match sent {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.outgoing.wait(&self.ring, cx);
                    return Poll::Pending;
                }
                sent => return Poll::Ready(sent),
            }
        }
    }

    pub(super) fn poll_shutdown(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.outgoing.poll_sent(cx))?;
        Poll::Ready(self.socket.shutdown(Shutdown::Write))
    }

    pub(super) fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.socket.set_tcp_nodelay(on)
    }
}

impl Drop for RingSocket {
    fn drop(&mut self) {
        self.incoming.closed.set(true);
        self.incoming.queue.borrow_mut().clear();
        match self.incoming.waiting.get() {
            Waiting::Bytes(_) if self.incoming.stopping.get() => {}
            Waiting::Bytes(key) | Waiting::Readiness(key) => self.ring.cancel(key),
            Waiting::Nothing => {}
        }
        if let Some(key) = self.outgoing.waiting.get() {
            self.ring.cancel(key);
        }
    }
}

/// A socket that is connected, or the reason why not.
pub(super) async fn connect(ring: Rc<Ring>, addr: SocketAddr) -> io::Result<Socket> {
    /// Gives up the wait with its future.
    struct Giving(Rc<Ring>, Rc<Outgoing>);
    impl Drop for Giving {
        fn drop(&mut self) {
            if let Some(key) = self.1.waiting.get() {
                self.0.cancel(key);
            }
        }
    }
    let (socket, connected) = super::begin_connect(addr)?;
    if !connected {
        let socket = Rc::new(socket.try_clone()?);
        let giving = Giving(ring, Outgoing::new(socket));
        let mut asked = false;
        poll_fn(|cx| {
            if asked && giving.1.waiting.get().is_none() {
                return Poll::Ready(());
            }
            asked = true;
            giving.1.wait(&giving.0, cx);
            Poll::Pending
        })
        .await;
        if let Some(error) = giving.1.socket.take_error()? {
            return Err(error);
        }
    }
    Ok(socket)
}

//! A socket that waits until it is ready: glommio's, for kernels whose io_uring lacks what `ringed` needs.
//!
//! Owns: glommio's stream. Never: buffers.

use futures_lite::io::{AsyncRead, AsyncWrite};
use glommio::io::PollableFd;
use glommio::net::TcpStream;
use socket2::Socket;
use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

pub(super) struct ReadySocket {
    /// Borrowed for the length of one poll, never across an await.
    tcp: RefCell<TcpStream>,
}

pub(super) async fn connect(addr: SocketAddr) -> io::Result<Socket> {
    let (socket, connected) = super::begin_connect(addr)?;
    if !connected {
        let waiting = PollableFd::new(socket.try_clone()?)?;
        waiting.writable().await?;
        if let Some(error) = socket.take_error()? {
            return Err(error);
        }
    }
    Ok(socket)
}

impl ReadySocket {
    pub(super) fn new(socket: Socket) -> ReadySocket {
        let tcp = RefCell::new(TcpStream::from(socket));
        ReadySocket { tcp }
    }

    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.tcp.borrow_mut()).poll_read(cx, buf)
    }

    pub(super) fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.tcp.borrow_mut()).poll_write(cx, buf)
    }

    pub(super) fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.tcp.borrow_mut()).poll_write_vectored(cx, bufs)
    }

    pub(super) fn shutdown(&self) -> io::Result<()> {
        let mut cx = Context::from_waker(Waker::noop());
        let ended = self
            .tcp
            .borrow_mut()
            .poll_shutdown(&mut cx, Shutdown::Write);
        match ended {
            Poll::Ready(ended) => ended.map_err(io::Error::from),
            Poll::Pending => Ok(()),
        }
    }

    pub(super) fn set_nodelay(&self, on: bool) -> io::Result<()> {
        Ok(self.tcp.borrow().set_nodelay(on)?)
    }
}

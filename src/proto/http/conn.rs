//! One HTTP connection, from its first byte to its close.
//!
//! Owns: telling HTTP/1.1 from HTTP/2, hyper's settings, the drain and the lingering close. Asked by: `net`'s HTTP endpoint.
//! Never: reads a request by itself; holds a buffer while idle beyond what hyper keeps.
//! Bounds: heads of 64 KiB and 100 fields (HTTP/1), 32 KiB of fields and `Options::streams_max` streams (HTTP/2), windows of
//! 128 KiB a stream and 512 KiB a connection, `Options::header_timeout`, a lingering close of `LINGER`.
//! Source: RFC 9112 section 9.6 on closing, RFC 9113 section 6.8 on GOAWAY.

use super::Http;
use super::framing::{self, Version};
use super::meter::Meter;
use super::routes::{self, Client};
use crate::net::hyper::{Io, LocalExecutor, LocalTimer};
use crate::net::{self, Connection, Prefixed};
use crate::service::Slot;
use crate::telemetry::{Connections, Metrics};
use bytes::Bytes;
use futures_lite::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use futures_util::future::{Either, LocalBoxFuture, select};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::Duration;
use types::Result;

const HEAD_BYTES_MAX: usize = 64 << 10;
const HEAD_FIELDS_MAX: usize = 100;
const H2_HEAD_BYTES_MAX: u32 = 32 << 10;
const H2_STREAM_WINDOW_BYTES: u32 = 128 << 10;
const H2_CONNECTION_WINDOW_BYTES: u32 = 512 << 10;
const H2_SEND_BYTES_MAX: usize = 64 << 10;
const H2_PING_INTERVAL: Duration = Duration::from_secs(30);
const H2_PING_TIMEOUT: Duration = Duration::from_secs(20);
/// How long, and how much, is read and thrown away so that an early answer reaches a client that is still sending.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES_MAX: usize = 16 << 20;

/// Serves one connection until its end. Never panics for what a client sends.
pub async fn serve(connection: Connection, http: Rc<Http>) {
    let Connection {
        stream,
        slot,
        peer,
        local,
    } = connection;
    serve_stream(stream, slot, peer, local, http).await;
}

/// As `serve`, on any stream.
pub(super) async fn serve_stream<S>(
    stream: S,
    slot: Result<Slot>,
    peer: Option<SocketAddr>,
    local: Option<SocketAddr>,
    http: Rc<Http>,
) where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let counts = Counted::begin(slot.is_ok());
    let (_slot, refusal) = match slot {
        Ok(slot) => (Some(slot), None),
        Err(error) => (None, Some(error)),
    };
    let client = Rc::new(Client {
        peer,
        local,
        unread: Cell::new(false),
        refusal,
    });
    let mut stream = Meter::new(stream, counts.counts.clone(), http.options.write_timeout);
    let mut draining = http.door.draining();
    let wait = http.options.header_timeout;
    let first = {
        let reading = pin!(net::timeout(wait, first_bytes(&mut stream)));
        match select(reading, &mut draining).await {
            Either::Left((Ok(Some(first)), _)) => first,
            // Gone, silent for too long, or silent when the server drains: there is nothing to finish.
            Either::Left((Ok(None) | Err(_), _)) | Either::Right(_) => return,
        }
    };
    let (version, first) = first;
    let io = Io::new(Prefixed::new(first, stream));
    match version {
        Version::Http1 => serve_http1(io, client, http, draining).await,
        Version::Http2 => serve_http2(io, client, http, draining).await,
    }
}

/// Reads until the version is known. `None` when the client leaves before that.
async fn first_bytes<S: AsyncRead + Unpin>(stream: &mut S) -> Option<(Version, Bytes)> {
    let mut buffer = [0; framing::PREFACE.len()];
    let mut len = 0;
    loop {
        let room = buffer.get_mut(len..)?;
        let n = stream.read(room).await.ok().filter(|n| *n > 0)?;
        len += n;
        let seen = buffer.get(..len)?;
        if let Some(version) = framing::version(seen) {
            return Some((version, Bytes::copy_from_slice(seen)));
        }
    }
}

async fn serve_http1<S>(
    io: Io<S>,
    client: Rc<Client>,
    http: Rc<Http>,
    mut draining: LocalBoxFuture<'static, ()>,
) where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let mut builder = http1::Builder::new();
    builder
        .timer(LocalTimer)
        .header_read_timeout(http.options.header_timeout)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEAD_FIELDS_MAX)
        .keep_alive(client.refusal.is_none());
    let service = {
        let client = client.clone();
        service_fn(move |request| Box::pin(routes::handle(http.clone(), client.clone(), request)))
    };
    let mut connection = builder.serve_connection(io, service);
    let mut told = false;
    let ended = poll_fn(|cx| {
        if !told && draining.as_mut().poll(cx).is_ready() {
            told = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        connection.poll_without_shutdown(cx)
    })
    .await;
    report(ended);
    let mut stream = connection.into_parts().io.into_inner();
    let closed = poll_fn(|cx| Pin::new(&mut stream).poll_close(cx)).await;
    if closed.is_ok() && client.unread.get() {
        linger(&mut stream).await;
    }
}

async fn serve_http2<S>(
    io: Io<S>,
    client: Rc<Client>,
    http: Rc<Http>,
    mut draining: LocalBoxFuture<'static, ()>,
) where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let mut builder = http2::Builder::new(LocalExecutor);
    builder
        .timer(LocalTimer)
        .max_concurrent_streams(http.options.streams_max)
        .max_header_list_size(H2_HEAD_BYTES_MAX)
        .initial_stream_window_size(H2_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(H2_CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(H2_SEND_BYTES_MAX)
        .keep_alive_interval(H2_PING_INTERVAL)
        .keep_alive_timeout(H2_PING_TIMEOUT);
    let refused = client.refusal.is_some();
    let service =
        service_fn(move |request| Box::pin(routes::handle(http.clone(), client.clone(), request)));
    let mut connection = pin!(builder.serve_connection(io, service));
    let mut told = false;
    let ended = poll_fn(|cx| {
        // One that was refused is told so on the streams it has, and then goes away too.
        let polled = connection.as_mut().poll(cx);
        if !told && (refused || draining.as_mut().poll(cx).is_ready()) && polled.is_pending() {
            told = true;
            connection.as_mut().graceful_shutdown();
            return connection.as_mut().poll(cx);
        }
        polled
    })
    .await;
    report(ended);
}

/// A client's mistake or its leaving is no news; it is there for who debugs.
fn report(ended: hyper::Result<()>) {
    if let Err(problem) = ended {
        tracing::debug!(%problem, "an HTTP connection ended early");
    }
}

/// Reads what the client still sends, so that closing does not reset the connection before it has read the answer.
async fn linger<S: AsyncRead + Unpin>(stream: &mut S) {
    let reading = async {
        let mut left = LINGER_BYTES_MAX;
        while left > 0 {
            let read = poll_fn(|cx| net::poll_read_scratch(stream, cx, left, <[u8]>::len)).await;
            match read {
                Ok(n) if n > 0 => left = left.saturating_sub(n),
                Ok(_) | Err(_) => return,
            }
        }
    };
    // Either way it is closed now.
    let _ = net::timeout(LINGER, reading).await;
}

/// Counts a connection while it lives.
struct Counted {
    counts: Rc<Connections>,
    open: bool,
}

impl Counted {
    fn begin(open: bool) -> Counted {
        let counts = Metrics::current().connections("http");
        if open {
            counts.accepted.inc();
            counts.open.add(1);
        } else {
            counts.refused.inc();
        }
        Counted { counts, open }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if self.open {
            self.counts.open.add(-1);
        }
    }
}

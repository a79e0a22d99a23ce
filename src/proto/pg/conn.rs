//! One client's conversation: startup, then messages until one side ends it.
//!
//! Owns: the session of the connection, its portals' formats and the rule of skipping to Sync after an error.
//! Asked by: `net::sql_port` through `serve`. Never: holds more than one request in work; pipelined ones wait as
//! bytes. Bounds: `Options`; a panic ends this connection with XX000 and nothing else.
//! The drain ends the connection between requests, not within one: an extended sequence counts as one up to its
//! Sync, as long as the client does not make the server wait for the rest of it.
//! Source: PostgreSQL documentation, "Message Flow".

use super::codec::{Formats, Message};
use super::encode::Output;
use super::error::{ProtocolError, Severity, is_fatal};
use super::extended::unexpected_reply;
use super::framing::{Frame, HEADER_BYTES};
use super::startup;
use super::whole::Owing;
use super::wire::{Wire, WireError};
use crate::net::{self, Connection};
use crate::service::{Answer, Door, Operation, Protocol, Reply, Request, Session, Slot};
use crate::telemetry::{Connections, Metrics};
use bytes::Bytes;
use futures_lite::io::{AsyncRead, AsyncWrite};
use futures_util::FutureExt;
use futures_util::future::{Either, LocalBoxFuture, select};
use hashbrown::HashMap;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use types::{Column, Error, Result, SqlState, limits};

#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// From accepting to ReadyForQuery; then the connection is closed without a word, as PostgreSQL does.
    pub authentication_timeout: Duration,
    /// Body of a message; one more byte is 54000 and the end.
    pub frame_bytes_max: usize,
    /// A client that stops in the middle of a long message or reply is waited for this long once others wait for the room
    /// it takes.
    pub stall_timeout: Duration,
    /// After a fatal error: how long, and how many bytes of the client's, to wait for it to have read the error.
    pub linger_timeout: Duration,
    pub linger_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            authentication_timeout: Duration::from_secs(60),
            frame_bytes_max: limits::FRAME_BYTES_MAX,
            stall_timeout: Duration::from_secs(30),
            linger_timeout: Duration::from_secs(1),
            linger_bytes_max: 8 << 20,
        }
    }
}

/// How a conversation ends.
#[derive(Debug)]
pub enum End {
    /// The client said goodbye, or has what it came for.
    Closed,
    /// The client is gone.
    Lost,
    /// Told to the client as its last message.
    Fatal(Error),
}

impl From<WireError> for End {
    fn from(e: WireError) -> End {
        match e {
            WireError::Lost => End::Lost,
            WireError::Frame(e) => End::Fatal(e.into()),
            WireError::Stalled => End::Fatal(ProtocolError::Stalled.into()),
        }
    }
}

/// What a connection was waiting for.
enum Next {
    Frame(Result<Frame, WireError>),
    Draining,
    Told,
}

/// A statement's error, and whether the session knows of it already.
pub(super) enum Fail {
    /// It came through the door.
    Door(Error),
    /// The protocol's own: the session must be told that the transaction failed.
    Own(Error),
}

pub(super) struct Portal {
    pub formats: Formats,
    pub columns: Option<Arc<Vec<Column>>>,
}

pub(super) struct Conn<'a, S> {
    pub wire: &'a mut Wire<S>,
    pub session: Rc<dyn Session>,
    /// What Bind asked for, by portal; forgotten when the transaction that held the portal ends.
    pub portals: HashMap<String, Portal>,
    /// After an error in an extended sequence, until Sync.
    pub skipping: bool,
    /// What was asked and is not answered yet, in order.
    pub(super) owing: Owing,
    door: Rc<dyn Door>,
    draining: LocalBoxFuture<'static, ()>,
    /// There are notifications.
    told: LocalBoxFuture<'static, ()>,
    /// The last reply was ReadyForQuery.
    between: bool,
}

/// Serves one accepted connection to its end.
pub async fn serve(connection: Connection, door: Rc<dyn Door>, options: Rc<Options>) {
    let Connection {
        stream,
        slot,
        peer,
        local,
    } = connection;
    serve_stream(stream, slot, (peer, local), door, options).await;
}

/// The same over any stream; `addresses` are the peer's and our own.
pub async fn serve_stream<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    slot: Result<Slot>,
    addresses: (Option<SocketAddr>, Option<SocketAddr>),
    door: Rc<dyn Door>,
    options: Rc<Options>,
) {
    let counted = Counted::begin(slot.is_ok());
    let mut wire = Wire::new(stream, &options, counted.counts.clone());
    let (slot, refusal) = match slot {
        Ok(slot) => (Some(slot), None),
        Err(error) => (None, Some(error)),
    };
    // On its own: what is around it would hold room for it several times over.
    let conversation = Box::pin(converse(&mut wire, &door, refusal, addresses, &options));
    let end = match AssertUnwindSafe(conversation).catch_unwind().await {
        Ok(end) => end,
        Err(panic) => {
            let message = net::panic_message(panic.as_ref());
            Metrics::current().panics.inc();
            tracing::error!(panic = message, peer = ?addresses.0, "a connection panicked");
            End::Fatal(ProtocolError::Panicked.into())
        }
    };
    let linger_bytes = match end {
        End::Lost => return,
        // It would be taken for the rest of a message.
        End::Fatal(_) if wire.is_torn() => return,
        End::Closed => 0,
        End::Fatal(error) => {
            tracing::debug!(%error, peer = ?addresses.0, "connection ended");
            let report = |out: &mut Output| out.error_response(&error, Severity::Fatal);
            let told = Box::pin(net::timeout(options.linger_timeout, wire.put(report))).await;
            if !matches!(told, Ok(Ok(()))) {
                return;
            }
            // A client that is told to go between its requests has nothing under way.
            if is_fatal(error.code()) {
                0
            } else {
                options.linger_bytes_max
            }
        }
    };
    // Late or read: either way the socket is closed now.
    let _ = Box::pin(net::timeout(
        options.linger_timeout,
        wire.close(linger_bytes),
    ))
    .await;
    drop(slot);
}

/// Counts a connection while it lives.
struct Counted {
    counts: Rc<Connections>,
    open: bool,
}

impl Counted {
    fn begin(open: bool) -> Counted {
        let counts = Metrics::current().connections(Protocol::Postgres.name());
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

async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    door: &Rc<dyn Door>,
    refusal: Option<Error>,
    (peer, local): (Option<SocketAddr>, Option<SocketAddr>),
    options: &Options,
) -> End {
    let opened = {
        let open = startup::open(wire, door.as_ref(), refusal, peer, local);
        let timed = pin!(net::timeout(options.authentication_timeout, open));
        match select(timed, door.draining()).await {
            Either::Left((opened, _)) => opened,
            Either::Right(_) => return End::Fatal(starting_too_late()),
        }
    };
    let session = match opened {
        Ok(Ok(session)) => session,
        Ok(Err(end)) => return end,
        // The time is up.
        Err(_) => return End::Closed,
    };
    let mut conn = Conn {
        wire,
        told: session.notified(),
        session,
        portals: HashMap::new(),
        skipping: false,
        owing: Owing::new(),
        door: door.clone(),
        draining: door.draining(),
        between: true,
    };
    match conn.run().await {
        Err(end) => end,
        Ok(never) => match never {},
    }
}

fn silent_too_long() -> Error {
    Error::new(
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        "terminating connection due to idle-in-transaction timeout",
    )
}

fn starting_too_late() -> Error {
    Error::new(
        SqlState::CANNOT_CONNECT_NOW,
        "the database system is shutting down",
    )
}

pub(super) fn request(op: Operation, body_bytes: usize) -> Request {
    let mut request = Request::new(op);
    request.bytes = HEADER_BYTES + body_bytes;
    request
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conn<'_, S> {
    async fn run(&mut self) -> Result<std::convert::Infallible, End> {
        self.wire.flush().await?;
        loop {
            let frame = self.next_frame().await?;
            self.between = false;
            match frame {
                // On its own: a connection that waits has no room for what one that works needs.
                Frame::Message { tag, body } => Box::pin(self.message(tag, body)).await?,
                // Left over from a COPY that failed.
                Frame::CopyData(_) => {}
            }
        }
    }

    async fn next_frame(&mut self) -> Result<Frame, End> {
        if self.between && self.door.is_draining() {
            self.settle().await?;
            return Err(End::Fatal(ProtocolError::Draining.into()));
        }
        if let Some(frame) = self.wire.buffered().map_err(WireError::Frame)? {
            // A long row of requests that wait for nothing lets others have their turn.
            runtime::yield_if_needed().await;
            return Ok(frame);
        }
        // What answers several requests that came together goes out in one send.
        self.settle().await?;
        self.wire.flush_owed().await?;
        let silence_max = self.session.silence_max();
        loop {
            let next = match silence_max {
                Some(most) => match net::timeout(most, self.next()).await {
                    Ok(next) => next,
                    Err(_) => return Err(End::Fatal(silent_too_long())),
                },
                None => self.next().await,
            };
            match next {
                Next::Frame(frame) => return Ok(frame?),
                Next::Draining => return Err(End::Fatal(ProtocolError::Draining.into())),
                Next::Told => self.told = self.session.notified(),
            }
            self.tell().await?;
            self.wire.flush().await?;
        }
    }

    async fn next(&mut self) -> Next {
        let (draining, told) = (&mut self.draining, &mut self.told);
        let between = self.between;
        let mut frame = pin!(self.wire.frame());
        poll_fn(|cx| {
            if let Poll::Ready(frame) = frame.as_mut().poll(cx) {
                return Poll::Ready(Next::Frame(frame));
            }
            if draining.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Next::Draining);
            }
            // Only between requests: within an extended sequence they would come before its ReadyForQuery.
            if between && told.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Next::Told);
            }
            Poll::Pending
        })
        .await
    }

    /// Notifications that the client may have now.
    async fn tell(&mut self) -> Result<(), End> {
        for note in self.session.notifications().map_err(End::Fatal)? {
            self.wire
                .put(|out| out.notification_response(&note))
                .await?;
        }
        Ok(())
    }

    async fn message(&mut self, tag: u8, body: Bytes) -> Result<(), End> {
        if self.skipping && !matches!(tag, b'S' | b'X') {
            return Ok(());
        }
        let bytes = body.len();
        let message = match Message::decode(tag, body) {
            // It looks for itself whether it has to wait for what was asked before.
            Ok(Message::Bind(bind)) => return self.bind(bind, bytes).await,
            Ok(message) => message,
            Err(error) => {
                self.settle().await?;
                let fail = Fail::Own(error.into());
                return match tag {
                    b'Q' => self.fail_simple(fail).await,
                    _ => self.fail_extended(fail).await,
                };
            }
        };
        self.settle().await?;
        match message {
            Message::Query { sql } => self.query(sql, bytes).await,
            Message::Parse { name, sql, types } => self.parse(name, sql, &types, bytes).await,
            Message::Bind(bind) => self.bind(bind, bytes).await,
            Message::Describe(target) => self.describe(target, bytes).await,
            Message::Execute { portal, rows_max } => self.execute(portal, rows_max, bytes).await,
            Message::Close(target) => self.close(target, bytes).await,
            Message::Sync => self.sync(bytes).await,
            Message::Flush => Ok(self.wire.flush().await?),
            Message::Terminate => Err(End::Closed),
            Message::FunctionCall => {
                self.fail_simple(Fail::Own(ProtocolError::FunctionCall.into()))
                    .await
            }
            // Left over from a COPY that failed.
            Message::CopyDone | Message::CopyFail(_) => Ok(()),
        }
    }

    async fn query(&mut self, sql: String, bytes: usize) -> Result<(), End> {
        // A simple query replaces the unnamed portal.
        self.portals.remove("");
        let op = Operation::Script { sql: sql.into() };
        let outcome = match self.call(op, bytes).await? {
            Ok(Reply::Results(mut results)) => {
                let mut shape = super::results::Shape::described();
                Box::pin(self.pump(results.as_mut(), &mut shape)).await?
            }
            Ok(Reply::Whole(whole)) => {
                let (formats, columns) = (Formats::default(), whole.columns.clone());
                let head = |out: &mut Output| {
                    if let Some(columns) = &columns {
                        out.row_description(columns, &formats);
                    }
                };
                self.whole(whole, &formats, head).await?
            }
            Ok(_) => Err(Fail::Own(unexpected_reply())),
            Err(error) => Err(Fail::Door(error)),
        };
        match outcome {
            Ok(()) => self.ready().await,
            Err(fail) => self.fail_simple(fail).await,
        }
    }

    /// Calls the session while watching the client.
    pub(super) async fn call(&mut self, op: Operation, bytes: usize) -> Result<Result<Reply>, End> {
        match self.session.call(request(op, bytes)) {
            Answer::Now(reply) => Ok(reply),
            Answer::Later(reply) | Answer::Apart(reply) => Ok(self.wire.watch(reply).await?),
        }
    }

    pub(super) async fn ready(&mut self) -> Result<(), End> {
        let status = self.session.status();
        self.tell().await?;
        self.wire.put(|out| out.ready_for_query(status)).await?;
        self.between = true;
        self.wire.owe();
        Ok(self.wire.flush_if_full().await?)
    }

    pub(super) async fn fail_simple(&mut self, fail: Fail) -> Result<(), End> {
        self.report(fail).await?;
        self.ready().await
    }

    pub(super) async fn fail_extended(&mut self, fail: Fail) -> Result<(), End> {
        self.report(fail).await?;
        self.skipping = true;
        // A client that asked for Flush may wait for the outcome before it sends Sync.
        Ok(self.wire.flush().await?)
    }

    /// Tells the session of the protocol's own errors, and the client of all.
    pub(super) async fn report(&mut self, fail: Fail) -> Result<(), End> {
        let error = match fail {
            Fail::Door(error) => error,
            Fail::Own(error) => {
                // An error of this call would only hide the one that is reported.
                let _ = self.call(Operation::Failed, 0).await?;
                error
            }
        };
        if is_fatal(error.code()) {
            return Err(End::Fatal(error));
        }
        let report = |out: &mut Output| out.error_response(&error, Severity::Error);
        Ok(self.wire.put(report).await?)
    }
}

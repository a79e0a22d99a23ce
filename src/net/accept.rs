//! The accept loop of one endpoint on one shard.
//!
//! Owns: accepting, the connection's slot or refusal, its task and the catching of its panic.
//! Asked by: `server`, once per endpoint and shard. Never: speaks to a client; a refusal is the protocol's to word.
//! Bounds: connections by `Door::slot`; refusals under way by `Options::refusals_max`, each ended after
//! `Options::refusal_timeout`; beyond that a connection is closed without a word.

use super::{Live, Prefixed, sniff};
use crate::service::{Door, Slot};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{Either, select};
use runtime::{Listener, Stream};
use std::any::Any;
use std::cell::Cell;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Refusals under way on this endpoint and shard; one more is closed at once.
    pub refusals_max: usize,
    /// A refused client has this long to send what must be read before it can be told.
    pub refusal_timeout: Duration,
    /// On a sniffed port: the first bytes must come within this.
    pub first_bytes_timeout: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            refusals_max: 64,
            refusal_timeout: Duration::from_secs(5),
            first_bytes_timeout: Duration::from_secs(60),
        }
    }
}

/// What an accept loop works with. The listener is closed when the loop ends.
pub struct Endpoint {
    pub listener: Listener,
    pub door: Rc<dyn Door>,
    pub live: Rc<Live>,
    pub options: Options,
}

/// An accepted connection on its way to its protocol.
pub struct Connection {
    pub stream: Prefixed<Stream>,
    /// Held as long as the connection; or why there is none, for the protocol to tell the client and close.
    pub slot: types::Result<Slot>,
    /// None where the client came through a socket of this machine that has a path.
    pub peer: Option<SocketAddr>,
    pub local: Option<SocketAddr>,
}

/// Serves the SQL port until the drain: the first bytes decide the protocol. Bytes of no known protocol go to
/// `postgres` too, which has the error message for them.
pub async fn sql_port<F, Fut>(endpoint: Endpoint, postgres: F)
where
    F: Fn(Connection) -> Fut + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let wait = endpoint.options.first_bytes_timeout;
    let door = endpoint.door.clone();
    let postgres = Rc::new(postgres);
    accept_loop(endpoint, move |connection| {
        sniffed(connection, wait, door.clone(), postgres.clone())
    })
    .await;
}

/// Serves the HTTP port until the drain. HTTP/1.1 and 2 are told apart by the protocol itself.
pub async fn http_port<F, Fut>(endpoint: Endpoint, http: F)
where
    F: Fn(Connection) -> Fut + 'static,
    Fut: Future<Output = ()> + 'static,
{
    accept_loop(endpoint, http).await;
}

async fn sniffed<F, Fut>(
    connection: Connection,
    wait: Duration,
    door: Rc<dyn Door>,
    postgres: Rc<F>,
) where
    F: Fn(Connection) -> Fut + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let Connection {
        mut stream,
        slot,
        peer,
        local,
    } = connection;
    let (sniffed, first) = {
        let first = pin!(runtime::timeout(wait, sniff::read_first(&mut stream)));
        // A connection that has said nothing yet has nothing to finish when the server drains.
        match select(first, door.draining()).await {
            Either::Left((Ok(Ok(read)), _)) => read,
            Either::Left((Ok(Err(_)) | Err(_), _)) | Either::Right(_) => return,
        }
    };
    if first.is_empty() {
        return;
    }
    let (_, stream) = stream.into_parts();
    let connection = Connection {
        stream: Prefixed::new(first, stream),
        slot,
        peer,
        local,
    };
    match sniffed {
        sniff::Sniffed::Postgres | sniff::Sniffed::Unknown | sniff::Sniffed::More => {
            // What has been read is forgotten, and its room with it.
            Box::pin(postgres(connection)).await;
        }
    }
}

async fn accept_loop<F, Fut>(endpoint: Endpoint, serve: F)
where
    F: Fn(Connection) -> Fut + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let Endpoint {
        listener,
        door,
        live,
        options,
    } = endpoint;
    let local = listener.local_addr();
    let refusals = Rc::new(Cell::new(0usize));
    let mut draining = door.draining();
    loop {
        let accepted = {
            let accept = pin!(listener.accept());
            match select(accept, &mut draining).await {
                Either::Left((accepted, _)) => accepted,
                Either::Right(_) => break,
            }
        };
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                live.count_accept_error();
                tracing::warn!(%error, "accepting a connection failed");
                // Out of descriptors or memory: accepting again at once would only spin.
                runtime::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        live.count_accepted();
        let slot = door.slot();
        let refused = slot.is_err();
        if refused && refusals.get() >= options.refusals_max {
            live.count_dropped();
            continue;
        }
        // Without it small replies wait for the client's delayed acknowledgement.
        if stream.set_nodelay(true).is_err() {
            continue;
        }
        let connection = Connection {
            peer: stream.peer_addr(),
            stream: Prefixed::new(Bytes::new(), stream),
            slot,
            local,
        };
        let served = guarded(serve(connection), live.clone());
        if refused {
            live.count_refused();
            let refusal = Refusal::begin(&refusals);
            runtime::spawn(async move {
                let _refusal = refusal;
                // Late or told: either way it is closed now.
                let _ = runtime::timeout(options.refusal_timeout, served).await;
            })
            .detach();
        } else {
            runtime::spawn(served).detach();
        }
    }
    listener.close();
}

/// Runs one connection; its panic ends it alone.
fn guarded(serve: impl Future<Output = ()> + 'static, live: Rc<Live>) -> impl Future<Output = ()> {
    let open = live.enter();
    // On its own: a future that is moved into another takes room in both of its places.
    let serve = AssertUnwindSafe(Box::pin(serve));
    async move {
        let _open = open;
        if let Err(panic) = serve.catch_unwind().await {
            live.count_panicked();
            tracing::error!(
                panic = panic_message(panic.as_ref()),
                "a connection panicked"
            );
        }
    }
}

pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

/// Counts one refusal under way until dropped.
struct Refusal(Rc<Cell<usize>>);

impl Refusal {
    fn begin(count: &Rc<Cell<usize>>) -> Refusal {
        count.set(count.get() + 1);
        Refusal(count.clone())
    }
}

impl Drop for Refusal {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

//! Sends back what it is sent: what a socket costs and nothing else.
//!
//!   echo --port 7 --cores 2 --network bare|auto|ring|readiness
//!
//! `bare` is a ring and a loop (`runtime::bare_echo`), the least that a request can cost; the others are the sockets, tasks and
//! executors that the server has, so the difference is what those cost.
//! Bounds: as many connections as there are descriptors. One that waits owns nothing; what a client does not read is kept, at
//! most `CHUNK` of a connection, and it is not read from meanwhile.

use compare::args::Args;
use runtime::{Listener, NetworkMethod, ShardOptions, Spread, Stream, spawn, start};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::Poll;

const CHUNK: usize = 16 << 10;
const BACKLOG: u32 = 1024;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("echo: {why}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), String> {
    let mut args = Args::parse(std::env::args().skip(1))?;
    let addr: SocketAddr = ([127, 0, 0, 1], args.get("port", 0)?).into();
    let shards = args.get("cores", 2)?;
    let network = match args.get("network", "auto".to_string())?.as_str() {
        "auto" => NetworkMethod::Auto,
        "ring" => NetworkMethod::Ring,
        "readiness" => NetworkMethod::Readiness,
        "bare" => {
            args.finish()?;
            return runtime::bare_echo(addr, shards).map_err(|e| e.to_string());
        }
        other => return Err(format!("--network {other}")),
    };
    args.finish()?;
    runtime::bind_check(addr).map_err(|e| format!("{addr}: {e}"))?;
    let spread = Spread::new(shards);
    let options = ShardOptions {
        shards,
        pin: true,
        network,
        ..ShardOptions::default()
    };
    let shards = start(options, move |_| accept(addr, spread.clone()));
    let shards = shards.map_err(|e| e.to_string())?;
    println!("listening on {addr}");
    shards.join().map_err(|e| e.to_string())
}

async fn accept(addr: SocketAddr, spread: Arc<Spread>) {
    let listener = Listener::bind_spread(addr, BACKLOG, spread).expect("the port is free");
    loop {
        match listener.accept().await {
            Ok(stream) => spawn(async move {
                // A client that leaves without a word is no failure of an echo.
                let _ = serve(stream).await;
            })
            .detach(),
            Err(e) => {
                eprintln!("echo: accept: {e}");
                runtime::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(mut stream: Stream) -> io::Result<()> {
    use futures_lite::io::{AsyncRead, AsyncWrite};
    use std::pin::Pin;
    // One a shard: it holds bytes only while a connection is polled.
    thread_local! {
        static BYTES: RefCell<Vec<u8>> = RefCell::new(vec![0; CHUNK]);
    }
    stream.set_nodelay(true)?;
    loop {
        let mut rest = Vec::new();
        let n = poll_fn(|cx| {
            BYTES.with_borrow_mut(|bytes| {
                let n = match Pin::new(&mut stream).poll_read(cx, bytes) {
                    Poll::Ready(Ok(n)) => n,
                    read => return read,
                };
                let sent = match Pin::new(&mut stream).poll_write(cx, &bytes[..n]) {
                    Poll::Ready(Ok(sent)) => sent,
                    Poll::Ready(Err(e)) if n > 0 => return Poll::Ready(Err(e)),
                    _ => 0,
                };
                rest.extend(&bytes[sent..n]);
                Poll::Ready(Ok(n))
            })
        })
        .await?;
        if n == 0 {
            return Ok(());
        }
        if !rest.is_empty() {
            stream.write_all(&rest).await?;
        }
    }
}

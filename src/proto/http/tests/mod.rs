//! The HTTP side of a connection over real loopback sockets, in front of a door that does as its statements say.

mod bounds;
mod door;
mod h2;
mod requests;

use super::{Http, Options, conn};
use crate::service::Door;
use door::{FakeDoor, Seen};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread::JoinHandle;
use std::time::Duration;

/// A shard that serves HTTP on a port of its own. Dropping it drains, and then nothing may be left behind.
struct Server {
    address: SocketAddr,
    seen: Arc<Seen>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start() -> Server {
        Server::with(Options::default())
    }

    fn with(options: Options) -> Server {
        let seen = Arc::new(Seen::default());
        let theirs = seen.clone();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            runtime::block_on(async move {
                let loopback = "127.0.0.1:0".parse().unwrap();
                let listener = runtime::Listener::bind(loopback, 128).unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                let door: Rc<dyn Door> = Rc::new(FakeDoor(theirs));
                let http = Http::new(door.clone(), options);
                let accept = {
                    let http = http.clone();
                    let door = door.clone();
                    runtime::spawn(async move {
                        loop {
                            let stream = listener.accept().await.unwrap();
                            let (peer, local) = (stream.peer_addr(), stream.local_addr());
                            let served =
                                conn::serve_stream(stream, door.slot(), peer, local, http.clone());
                            runtime::spawn(served).detach();
                        }
                    })
                };
                door.draining().await;
                accept.cancel().await;
                for _ in 0..500 {
                    if Rc::strong_count(&http) == 1 {
                        break;
                    }
                    runtime::sleep(Duration::from_millis(10)).await;
                }
                assert_eq!(
                    Rc::strong_count(&http),
                    1,
                    "a connection outlived the drain"
                );
                assert_eq!(http.budget.used(), 0, "memory was not given back");
            });
        });
        Server {
            address: told.recv().unwrap(),
            seen,
            thread: Some(thread),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        stream
    }

    /// Sends bytes on a connection of their own and reads all that comes back.
    fn raw(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// A POST of this body to the query endpoint, as bytes.
    fn post(body: &str) -> Vec<u8> {
        format!(
            "POST /api/v1/query HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }

    /// Status and body of a statement without parameters.
    fn sql(&self, sql: &str) -> (u16, serde_json::Value) {
        self.ask(&serde_json::json!({ "sql": sql }).to_string())
    }

    fn ask(&self, body: &str) -> (u16, serde_json::Value) {
        let answer = self.raw(&Server::post(body));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap())
    }

    /// Waits until a number the door keeps has a value.
    fn wait(&self, what: &str, holds: impl Fn(&Seen) -> bool) {
        for _ in 0..500 {
            if holds(&self.seen) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("in 5 s it did not happen that {what}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.seen.drain.store(true, SeqCst);
        let ended = self.thread.take().unwrap().join();
        if !std::thread::panicking() {
            ended.unwrap();
            assert_eq!(self.seen.slots.load(SeqCst), 0, "a slot was not given back");
            assert_eq!(
                self.seen.sessions.load(SeqCst),
                0,
                "a session was left open"
            );
        }
    }
}

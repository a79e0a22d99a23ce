//! A client that speaks raw bytes, and the server it speaks to.

use super::door::FakeDoor;
use crate::net::{self, Endpoint, Live};
use crate::proto::pg::{self, Options};
use futures_lite::io::{AsyncReadExt, AsyncWriteExt};
use runtime::{Listener, Stream};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// One message of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub tag: char,
    pub body: Vec<u8>,
}

impl Said {
    /// A field of an ErrorResponse or NoticeResponse.
    pub fn field(&self, name: u8) -> Option<String> {
        self.body
            .split(|b| *b == 0)
            .find(|f| f.first() == Some(&name))
            .map(|f| String::from_utf8(f[1..].to_vec()).unwrap())
    }

    pub fn code(&self) -> String {
        self.field(b'C').unwrap()
    }

    pub fn severity(&self) -> String {
        self.field(b'S').unwrap()
    }

    /// A DataRow's fields.
    pub fn fields(&self) -> Vec<Option<Vec<u8>>> {
        assert_eq!(self.tag, 'D');
        let mut rest = &self.body[2..];
        let mut fields = Vec::new();
        while !rest.is_empty() {
            let length = i32::from_be_bytes(rest[..4].try_into().unwrap());
            rest = &rest[4..];
            fields.push(usize::try_from(length).ok().map(|n| {
                let (field, tail) = rest.split_at(n);
                rest = tail;
                field.to_vec()
            }));
        }
        fields
    }
}

pub fn tags(said: &[Said]) -> String {
    said.iter().map(|s| s.tag).collect()
}

pub struct Server {
    pub door: Rc<FakeDoor>,
    pub live: Rc<Live>,
    pub address: SocketAddr,
}

impl Server {
    pub fn start(slots: usize, options: Options) -> Server {
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)), 16).unwrap();
        let address = listener.local_addr().unwrap();
        let door = FakeDoor::new(slots);
        let live = Live::new();
        let endpoint = Endpoint {
            listener,
            door: door.clone(),
            live: live.clone(),
            options: net::Options::default(),
        };
        let (serving, options) = (door.clone(), Rc::new(options));
        runtime::spawn(net::sql_port(endpoint, move |connection| {
            pg::serve(connection, serving.clone(), options.clone())
        }))
        .detach();
        Server {
            door,
            live,
            address,
        }
    }

    /// A connection that has said nothing yet.
    pub async fn dial(&self) -> Client {
        Client {
            stream: Stream::connect(self.address).await.unwrap(),
        }
    }

    /// A connection with a session.
    pub async fn connect(&self) -> Client {
        let mut client = self.dial().await;
        client
            .send(&startup(
                196_608,
                &[("user", "me"), ("database", "rustydb")],
            ))
            .await;
        assert_eq!(tags(&client.until_ready().await), "RSKZ");
        client
    }
}

/// Runs a test against a server with room for `slots` connections.
pub fn with_server<F: Future<Output = ()> + 'static>(
    slots: usize,
    test: impl FnOnce(Server) -> F + 'static,
) {
    with_options(slots, Options::default(), test);
}

pub fn with_options<F: Future<Output = ()> + 'static>(
    slots: usize,
    options: Options,
    test: impl FnOnce(Server) -> F + 'static,
) {
    runtime::block_on(async move {
        let server = Server::start(slots, options);
        let (live, seen) = (server.live.clone(), server.door.seen.clone());
        let finished = runtime::timeout(Duration::from_secs(20), test(server)).await;
        assert!(
            finished.is_ok(),
            "the test hangs: {:?}, {} sessions, {} batches, ops {:?}",
            live.stats(),
            seen.sessions_open.get(),
            seen.batches.get(),
            seen.ops.borrow().len(),
        );
    });
}

pub struct Client {
    pub stream: Stream,
}

impl Client {
    pub async fn send(&mut self, bytes: &[u8]) {
        AsyncWriteExt::write_all(&mut self.stream, bytes)
            .await
            .unwrap();
    }

    /// `None` when the server has closed.
    pub async fn try_say(&mut self) -> Option<Said> {
        let mut header = [0; 5];
        AsyncReadExt::read_exact(&mut self.stream, &mut header)
            .await
            .ok()?;
        let length = u32::from_be_bytes(header[1..].try_into().unwrap()) as usize;
        let mut body = vec![0; length - 4];
        AsyncReadExt::read_exact(&mut self.stream, &mut body)
            .await
            .ok()?;
        Some(Said {
            tag: header[0] as char,
            body,
        })
    }

    pub async fn say(&mut self) -> Said {
        self.try_say().await.expect("the server closed")
    }

    pub async fn until_ready(&mut self) -> Vec<Said> {
        let mut said = Vec::new();
        loop {
            said.push(self.say().await);
            if said.last().unwrap().tag == 'Z' {
                return said;
            }
        }
    }

    pub async fn query(&mut self, sql: &str) -> Vec<Said> {
        self.send(&query(sql)).await;
        self.until_ready().await
    }

    /// The server's last message is this error, then it closes.
    pub async fn ends_with(&mut self, severity: &str, code: &str) {
        let said = self.say().await;
        assert_eq!(
            (said.severity(), said.code()),
            (severity.into(), code.into())
        );
        assert_eq!(self.try_say().await, None);
    }
}

pub fn startup(version: u32, settings: &[(&str, &str)]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    for (name, value) in settings {
        body.extend_from_slice(&cstr(name));
        body.extend_from_slice(&cstr(value));
    }
    body.push(0);
    let mut packet = (body.len() as u32 + 4).to_be_bytes().to_vec();
    packet.extend_from_slice(&body);
    packet
}

pub fn cstr(s: &str) -> Vec<u8> {
    [s.as_bytes(), b"\0"].concat()
}

pub fn message(tag: char, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32 + 4).to_be_bytes();
    [&[tag as u8][..], &length, body].concat()
}

pub fn query(sql: &str) -> Vec<u8> {
    message('Q', &cstr(sql))
}

pub fn parse(name: &str, sql: &str, oids: &[u32]) -> Vec<u8> {
    let mut body = [cstr(name), cstr(sql)].concat();
    body.extend_from_slice(&(oids.len() as u16).to_be_bytes());
    for oid in oids {
        body.extend_from_slice(&oid.to_be_bytes());
    }
    message('P', &body)
}

pub fn codes(formats: &[i16]) -> Vec<u8> {
    let mut bytes = (formats.len() as u16).to_be_bytes().to_vec();
    for format in formats {
        bytes.extend_from_slice(&format.to_be_bytes());
    }
    bytes
}

pub fn bind(
    portal: &str,
    statement: &str,
    param_formats: &[i16],
    params: &[Option<&[u8]>],
    result_formats: &[i16],
) -> Vec<u8> {
    let mut body = [cstr(portal), cstr(statement), codes(param_formats)].concat();
    body.extend_from_slice(&(params.len() as u16).to_be_bytes());
    for param in params {
        match param {
            Some(bytes) => {
                body.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
                body.extend_from_slice(bytes);
            }
            None => body.extend_from_slice(&(-1i32).to_be_bytes()),
        }
    }
    body.extend_from_slice(&codes(result_formats));
    message('B', &body)
}

pub fn describe(kind: char, name: &str) -> Vec<u8> {
    message('D', &[&[kind as u8][..], &cstr(name)].concat())
}

pub fn close(kind: char, name: &str) -> Vec<u8> {
    message('C', &[&[kind as u8][..], &cstr(name)].concat())
}

pub fn execute(portal: &str, rows_max: i32) -> Vec<u8> {
    message('E', &[&cstr(portal)[..], &rows_max.to_be_bytes()].concat())
}

pub fn sync() -> Vec<u8> {
    message('S', b"")
}

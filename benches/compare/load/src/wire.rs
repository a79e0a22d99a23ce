//! PostgreSQL's messages, as far as a client needs them that knows what it will be answered.
//!
//! Owns: the bytes of the messages sent, the bounds of those received, and a connection that waits for each answer
//! (handshakes, and `bin/tpcc`). Never: authenticates; a server that wants that is an error.
//! Bounds: `MESSAGE_MAX` for a message received.
//! Source: PostgreSQL's documentation, "Message Formats" of protocol 3.0.

use std::fmt::Display;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::str::FromStr;

/// Longer ones are not the answers expected here.
const MESSAGE_MAX: usize = 16 << 20;

/// About so much of a COPY is one message.
const COPY_PIECE: usize = 64 << 10;

/// What a statement has returned, as text.
#[derive(Debug, Default)]
pub struct Rows(pub Vec<Vec<Option<String>>>);

impl Rows {
    /// A value; an error when there is none, or NULL, or no `T`.
    pub fn get<T: FromStr>(&self, row: usize, column: usize) -> io::Result<T> {
        let text = self.0.get(row).and_then(|row| row.get(column)?.as_deref());
        let value = text.and_then(|text| text.parse().ok());
        value.ok_or_else(|| io::Error::other(format!("no value at {row}, {column}: {text:?}")))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One message: its type, and its body.
pub struct Message<'a> {
    pub tag: u8,
    pub body: &'a [u8],
    /// With its head.
    pub len: usize,
}

/// The first message in `bytes`, None while it is not whole.
pub fn message(bytes: &[u8]) -> Result<Option<Message<'_>>, String> {
    let [tag, a, b, c, d, rest @ ..] = bytes else {
        return Ok(None);
    };
    let len = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
    if !(4..=MESSAGE_MAX).contains(&len) {
        return Err(format!("a message of {len} bytes"));
    }
    Ok(rest.get(..len - 4).map(|body| Message {
        tag: *tag,
        body,
        len: len + 1,
    }))
}

/// Appends a message whose body `fill` writes.
pub fn put(out: &mut Vec<u8>, tag: u8, fill: impl FnOnce(&mut Vec<u8>)) {
    out.push(tag);
    let at = out.len();
    out.extend([0; 4]);
    fill(out);
    let len = (out.len() - at) as u32;
    out[at..at + 4].copy_from_slice(&len.to_be_bytes());
}

pub fn query(out: &mut Vec<u8>, text: &str) {
    put(out, b'Q', |out| {
        out.extend(text.as_bytes());
        out.push(0);
    });
}

pub fn sync(out: &mut Vec<u8>) {
    put(out, b'S', |_| {});
}

pub fn startup(out: &mut Vec<u8>, user: &str, database: &str) {
    let at = out.len();
    out.extend([0; 4]);
    out.extend(196_608u32.to_be_bytes());
    for text in ["user", user, "database", database] {
        out.extend(text.as_bytes());
        out.push(0);
    }
    out.push(0);
    let len = (out.len() - at) as u32;
    out[at..at + 4].copy_from_slice(&len.to_be_bytes());
}

/// The columns of a DataRow; None for NULL.
pub fn columns(body: &[u8]) -> Option<Vec<Option<&[u8]>>> {
    let (count, mut rest) = body.split_first_chunk::<2>()?;
    let mut columns = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (len, after) = rest.split_first_chunk::<4>()?;
        let value = match usize::try_from(i32::from_be_bytes(*len)) {
            Ok(len) => Some(after.get(..len)?),
            Err(_) => None,
        };
        columns.push(value);
        rest = after.get(value.map_or(0, <[u8]>::len)..)?;
    }
    Some(columns)
}

/// An ErrorResponse as `SQLSTATE: message`.
pub fn said(body: &[u8]) -> String {
    let field = |tag: u8| {
        let mut fields = body.split(|byte| *byte == 0);
        let found = fields.find(|field| field.first() == Some(&tag));
        String::from_utf8_lossy(found.and_then(|f| f.get(1..)).unwrap_or_default()).into_owned()
    };
    format!("{}: {}", field(b'C'), field(b'M'))
}

/// A connection that asks and waits.
pub struct Connection {
    pub stream: TcpStream,
    got: Vec<u8>,
    start: usize,
}

impl Connection {
    /// Through the handshake.
    pub fn open(addr: SocketAddr, user: &str, database: &str) -> io::Result<Connection> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(crate::GRACE))?;
        let mut connection = Connection::over(stream);
        let mut out = Vec::new();
        startup(&mut out, user, database);
        connection.ask(&out, |tag, body| match (tag, body) {
            (b'R', [0, 0, 0, 0]) => Ok(()),
            (b'R', _) => Err("the server wants a password".into()),
            _ => Ok(()),
        })?;
        Ok(connection)
    }

    pub fn over(stream: TcpStream) -> Connection {
        Connection {
            stream,
            got: Vec::new(),
            start: 0,
        }
    }

    /// Sends, and shows `each` what comes back up to ReadyForQuery. The first ErrorResponse, or error of `each`, is the
    /// result's; the connection can be used after it.
    pub fn ask(
        &mut self,
        out: &[u8],
        mut each: impl FnMut(u8, &[u8]) -> Result<(), String>,
    ) -> io::Result<()> {
        self.stream.write_all(out)?;
        let mut outcome = Ok(());
        loop {
            let bytes = self.got.get(self.start..).unwrap_or_default();
            let Some(message) = message(bytes).map_err(io::Error::other)? else {
                self.more()?;
                continue;
            };
            let heard = match message.tag {
                b'E' => Err(said(message.body)),
                tag => each(tag, message.body),
            };
            let (ready, fatal) = (message.tag == b'Z', message.body.starts_with(b"SFATAL"));
            self.start += message.len;
            outcome = outcome.and(heard);
            if ready || fatal {
                return outcome.map_err(io::Error::other);
            }
        }
    }

    pub fn prepare(&mut self, name: &str, text: &str) -> io::Result<()> {
        let mut out = Vec::new();
        put(&mut out, b'P', |out| {
            for part in [name, text] {
                out.extend(part.as_bytes());
                out.push(0);
            }
            out.extend([0, 0]);
        });
        sync(&mut out);
        self.ask(&out, |_, _| Ok(()))
            .map_err(|e| io::Error::other(format!("{e}: {text}")))
    }

    /// Of a prepared statement. Parameters and values are text.
    pub fn call(&mut self, name: &str, parameters: &[&dyn Display]) -> io::Result<Rows> {
        let mut out = Vec::new();
        put(&mut out, b'B', |out| {
            out.push(0);
            out.extend(name.as_bytes());
            out.extend([0, 0, 0]);
            out.extend((parameters.len() as u16).to_be_bytes());
            for parameter in parameters {
                let text = parameter.to_string();
                out.extend((text.len() as u32).to_be_bytes());
                out.extend(text.as_bytes());
            }
            out.extend([0, 0]);
        });
        put(&mut out, b'E', |out| out.extend([0; 5]));
        sync(&mut out);
        self.rows(&out)
    }

    /// Of a text of one statement.
    pub fn query(&mut self, text: &str) -> io::Result<Rows> {
        let mut out = Vec::new();
        query(&mut out, text);
        self.rows(&out)
            .map_err(|e| io::Error::other(format!("{e}: {text}")))
    }

    fn rows(&mut self, out: &[u8]) -> io::Result<Rows> {
        let mut rows = Rows::default();
        self.ask(out, |tag, body| {
            if tag == b'D' {
                let row = columns(body).ok_or("a row that ends early")?;
                let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
                rows.0.push(row.into_iter().map(|v| v.map(text)).collect());
            }
            Ok(())
        })?;
        Ok(rows)
    }

    /// `COPY … FROM STDIN`, of what `lines` appends until it returns false.
    pub fn copy(
        &mut self,
        text: &str,
        mut lines: impl FnMut(&mut Vec<u8>) -> bool,
    ) -> io::Result<()> {
        let (mut out, mut more) = (Vec::new(), true);
        query(&mut out, text);
        self.stream.write_all(&out)?;
        while more {
            out.clear();
            put(&mut out, b'd', |out| {
                while more && out.len() < COPY_PIECE {
                    more = lines(out);
                }
            });
            self.stream.write_all(&out)?;
        }
        out.clear();
        put(&mut out, b'c', |_| {});
        self.ask(&out, |_, _| Ok(()))
            .map_err(|e| io::Error::other(format!("{e}: {text}")))
    }

    fn more(&mut self) -> io::Result<()> {
        self.got.drain(..self.start);
        self.start = 0;
        let mut chunk = [0; 8192];
        match self.stream.read(&mut chunk)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                self.got.extend(&chunk[..n]);
                Ok(())
            }
        }
    }
}

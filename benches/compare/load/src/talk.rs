//! What is asked of a server, and whether an answer is right.
//!
//! Owns: the five ways to ask. A request has a number; what it asks and what must come back follow from that number, so
//! that every answer is checked and nothing has to be remembered of a request on its way.
//! The servers have been filled before: PostgreSQL's kind with `points (id int primary key, twice int)` of `rows` rows from 0,
//! Redis with the keys `p:0` and on and the same values.
//! Source: for RESP, redis.io, "Redis serialization protocol specification".

use crate::wire::{self, Connection};
use std::io::{self, Read, Write};
use std::net::TcpStream;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// As many bytes come back as were sent.
    Echo,
    /// A statement's text, the values in it.
    Simple,
    /// Bind, Execute, Sync of a statement that is parsed once a connection.
    Prepared,
    /// Redis.
    Get,
    Ping,
}

impl std::str::FromStr for Way {
    type Err = String;

    fn from_str(text: &str) -> Result<Way, String> {
        Ok(match text {
            "echo" => Way::Echo,
            "simple" => Way::Simple,
            "prepared" => Way::Prepared,
            "get" => Way::Get,
            "ping" => Way::Ping,
            _ => return Err("not one of echo, simple, prepared, get, ping".into()),
        })
    }
}

#[derive(Clone, Debug)]
pub struct Talk {
    pub way: Way,
    /// Of an echo; at least 8.
    pub bytes: usize,
    pub rows: u64,
    pub user: String,
    pub database: String,
}

/// A whole answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub len: usize,
    /// Why it is not the right one.
    pub wrong: Option<String>,
}

/// In an order that a server cannot guess.
fn mix(n: u64) -> u64 {
    let n = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (n ^ (n >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 24
}

impl Talk {
    pub fn key(&self, n: u64) -> u32 {
        (mix(n) % self.rows) as u32
    }

    /// What a connection does once: the handshake and the statement.
    pub fn begin(&self, stream: TcpStream) -> io::Result<TcpStream> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(crate::GRACE))?;
        if !matches!(self.way, Way::Simple | Way::Prepared) {
            return Ok(stream);
        }
        let mut connection = Connection::over(stream);
        let mut out = Vec::new();
        wire::startup(&mut out, &self.user, &self.database);
        connection.ask(&out, |tag, body| match tag {
            b'R' if body != [0; 4] => Err("the server wants a password".into()),
            _ => Ok(()),
        })?;
        if self.way == Way::Prepared {
            out.clear();
            wire::put(&mut out, b'P', |out| {
                out.extend(b"p\0select twice from points where id = $1\0\0\x01\0\0\0\x17");
            });
            wire::sync(&mut out);
            connection.ask(&out, |_, _| Ok(()))?;
        }
        Ok(connection.stream)
    }

    /// Asks once more and waits.
    pub fn once(&self, stream: &mut TcpStream, n: u64) -> io::Result<()> {
        let (mut bytes, mut chunk) = (Vec::new(), [0; 1024]);
        self.ask(n, &mut bytes);
        stream.write_all(&bytes)?;
        bytes.clear();
        loop {
            match stream.read(&mut chunk)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => bytes.extend(&chunk[..n]),
            }
            match self.answer(n, &bytes).map_err(io::Error::other)? {
                None => {}
                Some(Answer { wrong: None, .. }) => return Ok(()),
                Some(Answer { wrong: Some(w), .. }) => return Err(io::Error::other(w)),
            }
        }
    }

    /// Appends request `n`.
    pub fn ask(&self, n: u64, out: &mut Vec<u8>) {
        match self.way {
            Way::Echo => self.echo(n, out),
            Way::Simple => {
                let key = self.key(n);
                wire::query(out, &format!("select twice from points where id = {key}"));
            }
            Way::Prepared => {
                let key = self.key(n);
                wire::put(out, b'B', |out| {
                    // The unnamed portal of "p", one binary parameter of four bytes, one binary column.
                    out.extend(b"\0p\0\0\x01\0\x01\0\x01\0\0\0\x04");
                    out.extend(key.to_be_bytes());
                    out.extend(b"\0\x01\0\x01");
                });
                wire::put(out, b'E', |out| out.extend([0; 5]));
                wire::sync(out);
            }
            Way::Get => {
                let key = self.key(n).to_string();
                let len = key.len() + 2;
                let text = format!("*2\r\n$3\r\nGET\r\n${len}\r\np:{key}\r\n");
                out.extend(text.as_bytes());
            }
            Way::Ping => out.extend(b"*1\r\n$4\r\nPING\r\n"),
        }
    }

    /// The answer to request `n` at the start of `bytes`; None while it is not whole. An error is an answer that does not say
    /// where it ends.
    pub fn answer(&self, n: u64, bytes: &[u8]) -> Result<Option<Answer>, String> {
        match self.way {
            Way::Echo => {
                let mut sent = Vec::with_capacity(self.bytes);
                self.echo(n, &mut sent);
                Ok(bytes.get(..self.bytes).map(|got| Answer {
                    len: self.bytes,
                    wrong: (got != sent).then(|| "other bytes than were sent".into()),
                }))
            }
            Way::Simple => rows(bytes, self.twice(n).to_string().as_bytes()),
            Way::Prepared => rows(bytes, &self.twice(n).to_be_bytes()),
            Way::Get => bulk(bytes, &self.twice(n).to_string()),
            Way::Ping => simple_string(bytes, "PONG"),
        }
    }

    fn twice(&self, n: u64) -> u32 {
        self.key(n) * 2
    }

    fn echo(&self, n: u64, out: &mut Vec<u8>) {
        out.extend(n.to_be_bytes());
        out.resize(out.len() + self.bytes - 8, n as u8);
    }
}

/// One row of one column, up to ReadyForQuery.
fn rows(bytes: &[u8], expected: &[u8]) -> Result<Option<Answer>, String> {
    let (mut at, mut found, mut wrong) = (0, 0, None);
    loop {
        let Some(message) = wire::message(&bytes[at..])? else {
            return Ok(None);
        };
        at += message.len;
        match message.tag {
            b'D' => {
                found += 1;
                let len = (expected.len() as u32).to_be_bytes();
                let right = message.body.strip_prefix(&[0, 1]).and_then(|rest| {
                    let value = rest.strip_prefix(&len)?;
                    (value == expected).then_some(())
                });
                if right.is_none() {
                    wrong.get_or_insert_with(|| "another value".to_string());
                }
            }
            b'E' => {
                wrong.get_or_insert_with(|| wire::said(message.body));
            }
            b'Z' => {
                if found != 1 {
                    wrong.get_or_insert_with(|| format!("{found} rows"));
                }
                return Ok(Some(Answer { len: at, wrong }));
            }
            _ => {}
        }
    }
}

/// The first line, without its end, and its length with it.
fn resp_line(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    Some((&bytes[..end], end + 2))
}

fn bulk(bytes: &[u8], expected: &str) -> Result<Option<Answer>, String> {
    let Some((line, len)) = resp_line(bytes) else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(line);
    let Some(count) = text.strip_prefix('$').and_then(|n| n.parse::<i64>().ok()) else {
        let wrong = Some(text.into_owned());
        return Ok(Some(Answer { len, wrong }));
    };
    let Ok(count) = usize::try_from(count) else {
        let wrong = Some("no such key".into());
        return Ok(Some(Answer { len, wrong }));
    };
    let whole = bytes.get(len..len + count + 2);
    Ok(whole.map(|value| Answer {
        len: len + count + 2,
        wrong: (&value[..count] != expected.as_bytes()).then(|| "another value".into()),
    }))
}

fn simple_string(bytes: &[u8], expected: &str) -> Result<Option<Answer>, String> {
    Ok(resp_line(bytes).map(|(line, len)| Answer {
        len,
        wrong: (line.strip_prefix(b"+") != Some(expected.as_bytes()))
            .then(|| String::from_utf8_lossy(line).into_owned()),
    }))
}

#[cfg(test)]
#[path = "talk_tests.rs"]
mod tests;

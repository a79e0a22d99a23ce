//! One connection of a client that waits for many at once.
//!
//! Owns: the socket, and what has arrived of an answer. Bounds: what the server sends of one answer, and a chunk.

use crate::talk::Talk;
use mio::net::TcpStream;
use mio::{Interest, Poll, Token};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

pub const CHUNK: usize = 64 << 10;

pub struct Lane {
    pub stream: Arc<TcpStream>,
    id: u64,
    /// Answers so far.
    pub answered: u64,
    arrived: Vec<u8>,
    /// What the socket did not take.
    unsent: Vec<u8>,
}

impl Lane {
    /// Connects, waits for the handshake, and is polled from then on.
    pub fn open(
        talk: &Talk,
        addr: SocketAddr,
        id: u64,
        poll: &Poll,
        at: usize,
    ) -> io::Result<Lane> {
        let stream = talk.begin(std::net::TcpStream::connect(addr)?)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        let both = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut stream, Token(at), both)?;
        Ok(Lane {
            stream: Arc::new(stream),
            id,
            answered: 0,
            arrived: Vec::new(),
            unsent: Vec::new(),
        })
    }

    /// The number of this connection's request `k`.
    pub fn number(id: u64, k: u64) -> u64 {
        id << 40 | k
    }

    pub fn id(&self) -> u64 {
        self.id
    }

    /// Shows `each` whole answer there is: which of this connection's, and why it is wrong. An error is the connection's
    /// end.
    pub fn read(
        &mut self,
        talk: &Talk,
        chunk: &mut [u8],
        mut each: impl FnMut(u64, Option<String>),
    ) -> Result<(), String> {
        loop {
            let n = match (&*self.stream).read(chunk) {
                Ok(0) => return Err("the server closed a connection".into()),
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e.to_string()),
            };
            self.arrived.extend(&chunk[..n]);
            let mut start = 0;
            loop {
                let number = Lane::number(self.id, self.answered);
                let Some(answer) = talk.answer(number, &self.arrived[start..])? else {
                    break;
                };
                each(self.answered, answer.wrong);
                start += answer.len;
                self.answered += 1;
            }
            self.arrived.drain(..start);
            // The poll tells of what comes after a short read (epoll(7)).
            if n < chunk.len() {
                return Ok(());
            }
        }
    }

    /// Sends `bytes` after what has not gone yet, as far as the socket takes them.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.unsent.extend(bytes);
        while !self.unsent.is_empty() {
            match (&*self.stream).write(&self.unsent) {
                Ok(n) => drop(self.unsent.drain(..n)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e.to_string()),
            }
        }
        Ok(())
    }
}

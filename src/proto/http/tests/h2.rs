//! HTTP/2 by prior knowledge, spoken in raw frames. Source: RFC 9113 section 4, RFC 7541 appendix A.

use super::super::framing::PREFACE;
use super::Server;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering::SeqCst;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

struct Client(TcpStream);

impl Client {
    fn connect(server: &Server) -> Client {
        let mut client = Client(server.connect());
        client.0.write_all(PREFACE).unwrap();
        client.send(SETTINGS, 0, 0, &[]);
        // Only streams are held back in these tests, never the connection.
        client.send(WINDOW_UPDATE, 0, 0, &0x3fff_0000u32.to_be_bytes());
        client
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = (payload.len() as u32).to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        self.0.write_all(&frame).unwrap();
    }

    fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).ok()?;
        if (head[3], head[4]) == (PING, 0) {
            // A server that says goodbye waits for this to know that its GOAWAY arrived.
            self.send(PING, ACK, 0, &payload);
        }
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
            payload,
        })
    }

    fn get(&mut self, stream: u32, path: &str) {
        // GET, http, an authority, the path; each without the dynamic table.
        let mut block = vec![0x82, 0x86, 0x01, 1, b'x', 0x04, path.len() as u8];
        block.extend_from_slice(path.as_bytes());
        self.send(HEADERS, END_STREAM | END_HEADERS, stream, &block);
    }

    fn query(&mut self, stream: u32, body: &str, accept: &str) {
        let path = "/api/v1/query";
        let mut block = vec![0x83, 0x86, 0x01, 1, b'x', 0x04, path.len() as u8];
        block.extend_from_slice(path.as_bytes());
        block.extend_from_slice(&[0x0f, 0x04, accept.len() as u8]); // accept is entry 19
        block.extend_from_slice(accept.as_bytes());
        self.send(HEADERS, END_HEADERS, stream, &block);
        self.send(DATA, END_STREAM, stream, body.as_bytes());
    }

    /// The whole answer on a stream: its first header byte and its data.
    fn answer(&mut self, stream: u32) -> (u8, String) {
        let (mut first, mut data) = (0, Vec::new());
        while let Some(frame) = self.read() {
            if frame.stream != stream {
                continue;
            }
            match frame.kind {
                HEADERS => first = frame.payload[0],
                DATA => data.extend_from_slice(&frame.payload),
                _ => {}
            }
            if frame.flags & END_STREAM != 0 && frame.kind <= HEADERS {
                break;
            }
        }
        (first, String::from_utf8(data).unwrap())
    }
}

/// `:status 200`, entry 8 of the static table.
const STATUS_200: u8 = 0x88;

#[test]
fn http2_is_known_by_its_preface_and_serves_the_same_routes() {
    let server = Server::start();
    let mut client = Client::connect(&server);
    client.get(1, "/health/live");
    let (status, body) = client.answer(1);
    assert_eq!(
        (status, body.as_str()),
        (STATUS_200, "{\"status\":\"live\"}\n")
    );
    client.query(3, "{\"sql\":\"rows 2\"}", "*/*");
    let (status, body) = client.answer(3);
    assert!(
        status == STATUS_200 && body.contains("\"command\":\"SELECT 2\""),
        "{body}"
    );
}

#[test]
fn a_stream_nobody_reads_stalls_no_other_stream() {
    let server = Server::start();
    let mut client = Client::connect(&server);
    client.query(1, "{\"sql\":\"endless\"}", "application/x-ndjson");
    server.wait("rows are made", |s| s.batches.load(SeqCst) > 0);
    // Its window of 65,535 bytes is never opened again.
    for stream in [3, 5, 7] {
        client.query(stream, "{\"sql\":\"rows 2\"}", "application/json");
        let (status, body) = client.answer(stream);
        assert!(status == STATUS_200 && body.contains("SELECT 2"), "{body}");
    }
    assert!(
        server.seen.batches.load(SeqCst) < 10,
        "rows ran ahead of their reader"
    );
    drop(client);
    server.wait("the session ends", |s| s.sessions.load(SeqCst) == 0);
}

#[test]
fn a_drain_says_goaway_and_finishes_what_runs() {
    let server = Server::start();
    let mut client = Client::connect(&server);
    client.query(1, "{\"sql\":\"sleep\"}", "*/*");
    server.wait("the statement runs", |s| s.sessions.load(SeqCst) == 1);
    server.seen.drain.store(true, SeqCst);
    let (mut told, mut data) = (false, Vec::new());
    while let Some(frame) = client.read() {
        told |= frame.kind == GOAWAY;
        if frame.kind == DATA {
            data.extend_from_slice(&frame.payload);
        }
    }
    assert!(told && String::from_utf8(data).unwrap().contains("SELECT 1"));
}

#[test]
fn without_a_slot_each_stream_is_told_and_the_connection_ends() {
    let server = Server::start();
    server.seen.full.store(true, SeqCst);
    let mut client = Client::connect(&server);
    client.get(1, "/health/live");
    let (status, body) = client.answer(1);
    assert!(status != STATUS_200 && body.contains("\"53300\""), "{body}");
    while client.read().is_some() {}
}

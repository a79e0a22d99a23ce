//! Limits at their maximum and one more, silence, slowness, and the drain.

use super::{Options, Server};
use serde_json::json;
use std::io::{Read, Write};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

const BODY_MAX: usize = 1000;

fn small() -> Options {
    Options {
        body_bytes_max: BODY_MAX,
        answer_bytes_max: 2000,
        header_timeout: Duration::from_millis(300),
        body_timeout: Duration::from_millis(300),
        ..Options::default()
    }
}

/// A query whose body has exactly this many bytes.
fn body_of(bytes: usize) -> String {
    let empty = json!({ "sql": "empty", "params": [""] }).to_string();
    let padding = "x".repeat(bytes - empty.len());
    json!({ "sql": "empty", "params": [padding] }).to_string()
}

#[test]
fn a_body_at_the_limit_is_taken_and_one_more_byte_is_413() {
    let server = Server::with(small());
    assert_eq!(server.ask(&body_of(BODY_MAX)).0, 200);
    let (status, answer) = server.ask(&body_of(BODY_MAX + 1));
    assert_eq!((status, &answer["error"]["code"]), (413, &json!("54000")));
}

#[test]
fn a_body_that_says_it_is_too_large_is_refused_before_it_is_sent() {
    let server = Server::with(small());
    let mut stream = server.connect();
    write!(
        stream,
        "POST /api/v1/query HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
        BODY_MAX + 1
    )
    .unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 413");
}

#[test]
fn a_body_of_unknown_length_is_refused_as_soon_as_it_is_too_large() {
    let server = Server::with(small());
    let chunked = |bytes: usize, end: &str| {
        let body = body_of(BODY_MAX.max(bytes));
        format!(
            "POST /api/v1/query HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{}\r\n{end}",
            bytes,
            &body[..bytes]
        )
    };
    let whole = server.raw(chunked(BODY_MAX, "0\r\n\r\n").as_bytes());
    assert!(whole.starts_with("HTTP/1.1 200 "), "{whole}");
    // The last chunk never comes: the refusal does not wait for it.
    let refused = server.raw(chunked(BODY_MAX + 1, "").as_bytes());
    assert!(refused.starts_with("HTTP/1.1 413 "), "{refused}");
}

#[test]
fn a_client_that_sends_on_after_a_refusal_still_reads_it() {
    let server = Server::with(small());
    let body = body_of(2 << 20);
    for _ in 0..5 {
        let (status, _) = server.ask(&body);
        assert_eq!(status, 413);
    }
}

#[test]
fn an_answer_over_its_limit_is_refused_with_a_way_out() {
    let server = Server::with(small());
    assert_eq!(server.sql("rows 10").0, 200);
    let (status, answer) = server.sql("rows 30");
    assert_eq!((status, &answer["error"]["code"]), (413, &json!("54000")));
    let hint = answer["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("application/x-ndjson"));
    assert_eq!(server.sql("endless").0, 413);
}

#[test]
fn memory_over_the_shards_budget_is_refused_and_comes_back() {
    let server = Server::with(Options {
        memory_bytes_max: 4000,
        ..Options::default()
    });
    let mut waiting = server.connect();
    write!(
        waiting,
        "POST /api/v1/query HTTP/1.1\r\nhost: x\r\ncontent-length: 3900\r\n\r\n{{"
    )
    .unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let (status, answer) = server.ask(&body_of(101));
    assert_eq!((status, &answer["error"]["code"]), (503, &json!("53200")));
    drop(waiting);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(server.ask(&body_of(101)).0, 200);
}

#[test]
fn a_head_over_its_limits_is_431() {
    let server = Server::start();
    let fields = |n: usize| {
        let fields: String = (0..n).map(|i| format!("x-{i}: y\r\n")).collect();
        server.raw(
            format!("GET /health/live HTTP/1.1\r\nconnection: close\r\n{fields}\r\n").as_bytes(),
        )
    };
    assert!(fields(99).starts_with("HTTP/1.1 200 "));
    assert!(fields(100).starts_with("HTTP/1.1 431 "));
    let long = format!(
        "GET /health/live HTTP/1.1\r\nx: {}\r\n\r\n",
        "y".repeat(1 << 20)
    );
    let mut stream = server.connect();
    // The server may close before all of it is written.
    let _ = stream.write_all(long.as_bytes());
    let mut start = [0; 12];
    if stream.read_exact(&mut start).is_ok() {
        assert_eq!(&start, b"HTTP/1.1 431");
    }
    assert_eq!(server.sql("empty").0, 200);
}

#[test]
fn silence_ends_a_connection() {
    let server = Server::with(small());
    for begun in [
        "",
        "P",
        "PRI * HTTP/2.0",
        "GET /health/live HT",
        "GET /health/live HTTP/1.1\r\nhost",
    ] {
        let started = Instant::now();
        server.raw(begun.as_bytes());
        let took = started.elapsed();
        assert!(
            took > Duration::from_millis(250) && took < Duration::from_secs(5),
            "{begun}"
        );
    }
    let answer =
        server.raw(b"POST /api/v1/query HTTP/1.1\r\nhost: x\r\ncontent-length: 20\r\n\r\n{\"sql");
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[test]
fn garbage_is_400_and_closed() {
    let server = Server::start();
    for garbage in [
        b"\0\0\0\x08\x04\xd2\x16\x2f".as_slice(),
        b"\x16\x03\x01\x02\0",
        b"HELO x\r\n\r\n",
    ] {
        let answer = server.raw(garbage);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
            "{answer}"
        );
    }
}

#[test]
fn a_slow_reader_stalls_only_its_own_stream() {
    let server = Server::start();
    let mut slow = server.connect();
    let mut request = Server::post("{\"sql\":\"endless\"}");
    let at = request.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    request.splice(at..at, b"\r\naccept: application/x-ndjson".iter().copied());
    slow.write_all(&request).unwrap();
    server.wait("rows are made", |s| s.batches.load(SeqCst) > 2);
    // Nobody reads: after the socket's buffers are full nothing more is made.
    let mut before = server.seen.batches.load(SeqCst);
    for _ in 0..100 {
        std::thread::sleep(Duration::from_millis(50));
        let now = server.seen.batches.load(SeqCst);
        if now == before {
            break;
        }
        before = now;
    }
    let started = Instant::now();
    assert_eq!(server.sql("rows 1").0, 200);
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_eq!(
        server.seen.batches.load(SeqCst),
        before,
        "rows ran ahead of their reader"
    );
    let mut some = vec![0; 4 << 20];
    slow.read_exact(&mut some).unwrap();
    server.wait("it goes on", |s| s.batches.load(SeqCst) > before);
    drop(slow);
    server.wait("the session ends", |s| s.sessions.load(SeqCst) == 0);
}

#[test]
fn a_reader_that_stopped_is_cut_off() {
    let server = Server::with(Options {
        write_timeout: Duration::from_millis(300),
        ..Options::default()
    });
    let mut stopped = server.connect();
    let mut request = Server::post("{\"sql\":\"endless\"}");
    let at = request.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    request.splice(at..at, b"\r\naccept: application/x-ndjson".iter().copied());
    stopped.write_all(&request).unwrap();
    server.wait("the statement runs", |s| s.sessions.load(SeqCst) == 1);
    server.wait("it is cut off", |s| {
        s.sessions.load(SeqCst) == 0 && s.slots.load(SeqCst) == 0
    });
}

#[test]
fn a_client_that_leaves_ends_its_statement() {
    let server = Server::start();
    let mut stream = server.connect();
    stream
        .write_all(&Server::post("{\"sql\":\"forever\"}"))
        .unwrap();
    server.wait("the statement runs", |s| s.sessions.load(SeqCst) == 1);
    drop(stream);
    server.wait("its session ends", |s| s.sessions.load(SeqCst) == 0);
}

#[test]
fn without_a_slot_the_client_is_told_and_closed() {
    let server = Server::start();
    server.seen.full.store(true, SeqCst);
    let answer = server.raw(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("\"53300\"") && answer.contains("connection: close"));
    server.seen.full.store(false, SeqCst);
    assert_eq!(server.sql("empty").0, 200);
}

#[test]
fn a_drain_closes_idle_connections_and_lets_running_requests_finish() {
    let server = Server::start();
    let mut silent = server.connect();
    let mut idle = server.connect();
    idle.write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    let mut start = [0; 12];
    idle.read_exact(&mut start).unwrap();
    let mut running = server.connect();
    running
        .write_all(&Server::post("{\"sql\":\"sleep\"}"))
        .unwrap();
    server.wait("the statement runs", |s| s.sessions.load(SeqCst) == 1);
    server.seen.drain.store(true, SeqCst);
    let mut rest = Vec::new();
    silent.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty());
    idle.read_to_end(&mut rest).unwrap();
    let mut answer = String::new();
    running.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("SELECT 1"));
}

#[test]
fn requests_on_one_connection_are_answered_in_order() {
    let server = Server::start();
    let mut stream = server.connect();
    let mut requests = Vec::new();
    for n in 0..20 {
        let post = Server::post(&format!("{{\"sql\":\"rows {n}\"}}"));
        let text = String::from_utf8(post).unwrap();
        let kept = if n < 19 {
            text.replace("connection: close\r\n", "")
        } else {
            text
        };
        requests.extend_from_slice(kept.as_bytes());
    }
    stream.write_all(&requests).unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    let counts: Vec<&str> = answers
        .split("\"command\":\"SELECT ")
        .skip(1)
        .filter_map(|t| t.split('"').next())
        .collect();
    let expected: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    assert_eq!(counts, expected);
}

//! The shard's buffers from outside: who is idle holds none, who is slow takes no more than there is and keeps nobody from
//! being served, and whoever goes gives everything back.

use crate::support::{Server, client_runtime, value};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// As little as there may be for 200 connections and messages of 1 MiB.
const CONNECTIONS: usize = 200;
/// Cores, and how sockets learn that there is something to do.
const LAYOUTS: [(usize, &str); 3] = [(1, "ring"), (2, "ring"), (2, "readiness")];
/// The kernel spreads connections over the shards by chance: so many fit half of the slots each.
const IDLE: usize = 120;

fn smallest(cores: usize, network: &str) -> (tempfile::TempDir, Server) {
    let data = tempfile::tempdir().unwrap();
    let least = least(cores);
    let flags = [
        "--connections-max".to_owned(),
        CONNECTIONS.to_string(),
        "--frame-bytes-max".to_owned(),
        "1MiB".to_owned(),
        "--buffer-bytes".to_owned(),
        format!("{least}B"),
        "--network-method".to_owned(),
        network.to_owned(),
    ];
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let server = Server::with_flags(&data.path().join("data"), cores, &flags);
    let operations = server.metric_if_any("rustydb_network_ring_operations{");
    assert_eq!(operations.is_some_and(|n| n > 0.0), network == "ring");
    (data, server)
}

/// What a shard of so many connections must have: see `runtime::buffers`.
fn least(cores: usize) -> usize {
    let each = CONNECTIONS.div_ceil(cores) * 8192;
    let fixed =
        (2 * 64 + 256) * 4096 + (16 + 64) * 8192 + (16 + 64) * 65_536 + (4 + 1 + 2) * (1 << 20);
    each + fixed + (4 << 20)
}

/// A session's socket, after its startup.
fn session(server: &Server) -> TcpStream {
    let mut stream = server.raw();
    let mut body = 196_608u32.to_be_bytes().to_vec();
    body.extend_from_slice(b"user\0me\0database\0rustydb\0\0");
    let length = (body.len() as u32 + 4).to_be_bytes();
    stream.write_all(&[&length[..], &body].concat()).unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"Z\0\0\0\x05I") {
        let mut part = [0; 1024];
        let n = stream.read(&mut part).unwrap();
        assert!(n > 0);
        seen.extend_from_slice(&part[..n]);
    }
    stream
}

fn query(sql: &str) -> Vec<u8> {
    let mut message = vec![b'Q'];
    message.extend_from_slice(&(sql.len() as u32 + 5).to_be_bytes());
    message.extend_from_slice(sql.as_bytes());
    message.push(0);
    message
}

/// `buffer_bytes_in_use`, what files take at this moment included, once it is what it should be.
fn comes_to(server: &Server, bytes: f64) {
    let start = Instant::now();
    loop {
        let lent = server.metric_if_any("rustydb_network_ring_buffers_lent{");
        let now = server.metric("rustydb_buffer_bytes{") - lent.unwrap_or(0.0) * 4096.0;
        if now <= bytes && server.metric("rustydb_buffers_waiting{") == 0.0 {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{now} bytes");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// So many sessions that have sent all but the last byte of something long: most of them wait for a buffer of its length.
fn half_sent(server: &Server, sessions: usize, long: &[u8]) -> Vec<TcpStream> {
    let mut slow: Vec<_> = (0..sessions).map(|_| session(server)).collect();
    for client in &mut slow {
        client.set_nonblocking(true).unwrap();
        let mut sent = 0;
        while sent < long.len() - 1 {
            match client.write(&long[sent..long.len() - 1]) {
                Ok(n) => sent += n,
                Err(_) => break,
            }
        }
    }
    let start = Instant::now();
    while server.metric("rustydb_buffers_waiting{") == 0.0 {
        assert!(start.elapsed() < Duration::from_secs(20), "nobody waits");
        std::thread::sleep(Duration::from_millis(20));
    }
    slow
}

fn within_the_ceiling(server: &Server, cores: usize) {
    let most = (least(cores) * cores) as f64;
    assert_eq!(server.metric("rustydb_buffer_bytes_max{"), most);
    assert!(server.metric("rustydb_buffer_bytes_high_water{") <= most);
}

#[test]
fn idle_connections_hold_no_buffer() {
    for (cores, network) in LAYOUTS {
        let (_data, server) = smallest(cores, network);
        let mut clients: Vec<_> = (0..IDLE).map(|_| session(&server)).collect();
        for client in &mut clients {
            client
                .write_all(&query("select repeat('x', 20000)"))
                .unwrap();
        }
        for client in &mut clients {
            let mut seen = Vec::new();
            while !seen.ends_with(b"Z\0\0\0\x05I") {
                let mut part = [0; 32 << 10];
                let n = client.read(&mut part).unwrap();
                seen.extend_from_slice(&part[..n]);
            }
            assert!(seen.len() > 20_000);
        }
        comes_to(&server, 0.0);
        within_the_ceiling(&server, cores);
        drop(clients);
        server.stop();
    }
}

#[test]
fn half_sent_messages_keep_nobody_from_being_served() {
    for (cores, network) in LAYOUTS {
        let (_data, server) = smallest(cores, network);
        let short = query("select 1");
        let long = query(&format!("select length('{}')", "x".repeat(900_000)));
        let mut slow = half_sent(&server, 100, &long);
        let resident = server.resident_bytes();
        for round in 0..50 {
            let mut client = session(&server);
            for _ in 0..4 {
                client.write_all(&short).unwrap();
                let mut seen = Vec::new();
                while !seen.ends_with(b"Z\0\0\0\x05I") {
                    let mut part = [0; 1024];
                    let n = client.read(&mut part).unwrap();
                    assert!(n > 0, "round {round}");
                    seen.extend_from_slice(&part[..n]);
                }
            }
        }
        let (status, answer) = server.query("select 41 + 1");
        assert_eq!(status, 200, "{answer}");
        within_the_ceiling(&server, cores);
        let grown = server.resident_bytes().saturating_sub(resident);
        assert!(grown < 16 << 20, "{grown} bytes more");
        // Half of them go, and come back as they were.
        for client in slow.drain(..50) {
            let _ = client.shutdown(Shutdown::Both);
        }
        drop(slow);
        comes_to(&server, 0.0);
        server.stop();
    }
}

#[test]
fn long_messages_that_wait_for_a_buffer_are_all_answered() {
    for (cores, network) in LAYOUTS {
        let (_data, server) = smallest(cores, network);
        let sql = format!("select length('{}')", "y".repeat(900_000));
        // They take every buffer of that length, and go only when others have come to wait for one.
        let slow = half_sent(&server, 60, &query(&sql));
        let gone = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            drop(slow);
        });
        client_runtime().block_on(async {
            let work: Vec<_> = (0..60)
                .map(|_| {
                    let sql = sql.clone();
                    let client = server.connect();
                    async move {
                        let client = client.await;
                        for _ in 0..2 {
                            assert_eq!(value::<i32>(&client, &sql).await, 900_000);
                        }
                    }
                })
                .collect();
            futures_util::future::join_all(work).await;
        });
        gone.join().unwrap();
        within_the_ceiling(&server, cores);
        assert!(server.metric("rustydb_buffers_waits_total{") > 0.0);
        comes_to(&server, 0.0);
        server.stop();
    }
}

#[test]
fn clients_that_do_not_read_keep_nobody_from_being_served() {
    for (cores, network) in LAYOUTS {
        let (_data, server) = smallest(cores, network);
        client_runtime().block_on(async {
            let client = server.connect().await;
            client
                .batch_execute(
                    "create table t (id int primary key, v text);
                     insert into t select g, repeat('z', 1000) from generate_series(1, 20000) g;
                     create table long (id int primary key, v text);
                     insert into long select g, repeat('l', 3000000) from generate_series(1, 4) g",
                )
                .await
                .unwrap();
            drop(client);
        });
        comes_to(&server, 0.0);
        let resident = server.resident_bytes();
        let mut deaf: Vec<_> = (0..100).map(|_| session(&server)).collect();
        for (n, client) in deaf.iter_mut().enumerate() {
            let sql = ["select * from t", "copy t to stdout", "select v from long"][n % 3];
            client.write_all(&query(sql)).unwrap();
        }
        std::thread::sleep(Duration::from_millis(500));
        for _ in 0..50 {
            let mut client = session(&server);
            client
                .write_all(&query("select count(*) from t where id < 100"))
                .unwrap();
            let mut seen = Vec::new();
            while !seen.ends_with(b"Z\0\0\0\x05I") {
                let mut part = [0; 1024];
                let n = client.read(&mut part).unwrap();
                assert!(n > 0);
                seen.extend_from_slice(&part[..n]);
            }
        }
        within_the_ceiling(&server, cores);
        // The rows that statements hold are not buffers; they too are bounded.
        let grown = server.resident_bytes().saturating_sub(resident);
        assert!(grown < 400 << 20, "{grown} bytes more");
        // Those that read after all get everything.
        for client in deaf.iter_mut().take(6) {
            let mut bytes = 0;
            let mut tail = Vec::new();
            while !tail.ends_with(b"Z\0\0\0\x05I") {
                let mut part = vec![0; 64 << 10];
                let n = client.read(&mut part).unwrap();
                assert!(n > 0);
                bytes += n;
                tail.extend_from_slice(&part[..n]);
                tail.drain(..tail.len().saturating_sub(256));
            }
            let tail = String::from_utf8_lossy(&tail);
            assert!(bytes > 12_000_000, "{bytes}, then {tail}");
        }
        drop(deaf);
        comes_to(&server, 0.0);
        server.stop();
    }
}

#[test]
fn a_value_far_larger_than_the_buffers_arrives_whole() {
    let (_data, server) = smallest(1, "ring");
    client_runtime().block_on(async {
        let client = server.connect().await;
        let sql = "select string_agg(md5(g::text), '' order by g) from generate_series(1, 400000) g";
        let long: String = value(&client, sql).await;
        assert_eq!(long.len(), 400_000 * 32);
        let digest = value::<String>(&client, &format!("select md5(({sql}))")).await;
        let sum = value::<i64>(
            &client,
            "select sum(length(v)) from (select repeat('a', 5000000) as v from generate_series(1, 3)) s",
        );
        assert_eq!(sum.await, 15_000_000);
        assert_eq!(digest.len(), 32);
        let bytes: Vec<u8> = value(&client, "select decode(repeat('00ff', 3000000), 'hex')").await;
        assert!(bytes.len() == 6_000_000 && bytes.iter().step_by(2).all(|b| *b == 0));
    });
    within_the_ceiling(&server, 1);
    comes_to(&server, 0.0);
    server.stop();
}

//! The client finds what is wrong with a server, and nothing where nothing is.

use compare::closed::{self, Load};
use compare::line::Seen;
use compare::talk::{Talk, Way};
use compare::{comings, open};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

/// Sends back what `change` makes of the bytes; ends with the process.
fn server(change: fn(&mut [u8])) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(n) = stream.read(&mut bytes)
                    && n > 0
                {
                    change(&mut bytes[..n]);
                    if stream.write_all(&bytes[..n]).is_err() {
                        break;
                    }
                }
            });
        }
    });
    addr
}

fn load(addr: SocketAddr, depth: usize, rate: f64) -> Load {
    Load {
        talk: Talk {
            way: Way::Echo,
            bytes: 41,
            rows: 10,
            user: "u".into(),
            database: "d".into(),
        },
        addr,
        connections: 5,
        threads: 2,
        depth,
        warm: Duration::from_millis(50),
        lasts: Duration::from_millis(300),
        rate,
        pids: vec![std::process::id()],
    }
}

fn all_is_well(seen: &Seen, at_least: u64) {
    assert_eq!((seen.errors, seen.why.as_deref()), (0, None));
    assert!(seen.took.len() >= at_least, "{} requests", seen.took.len());
}

#[test]
fn every_loop_counts_what_was_answered() {
    let addr = server(|_| {});
    for depth in [1, 30] {
        all_is_well(&closed::run(&load(addr, depth, 0.0)).0, 20);
    }
    // 300 ms of it, whether or not the client was on time.
    let (seen, usage) = open::run(&load(addr, 1, 1000.0));
    all_is_well(&seen, 299);
    assert!(seen.took.len() <= 301, "{}", seen.took.len());
    assert!(usage.server.is_some());
    all_is_well(&comings::run(&load(addr, 1, 100.0)).0, 2);
    all_is_well(&comings::idle(&load(addr, 1, 0.0)).0, 5);
}

#[test]
fn other_bytes_than_were_sent_are_errors() {
    let addr = server(|bytes| bytes[bytes.len() - 1] ^= 1);
    for (seen, _) in [
        closed::run(&load(addr, 1, 0.0)),
        open::run(&load(addr, 1, 1000.0)),
        comings::run(&load(addr, 1, 100.0)),
    ] {
        assert!(seen.errors > 0);
        let why = seen.why.expect("a reason");
        assert!(why.contains("other bytes"), "{why}");
    }
}

#[test]
fn a_server_that_stands_still_is_charged_for_all_that_waited() {
    let addr = server(|_| {
        use std::sync::Once;
        static STILL: Once = Once::new();
        STILL.call_once(|| thread::sleep(Duration::from_millis(200)));
    });
    let mut load = load(addr, 1, 1000.0);
    (load.connections, load.threads, load.warm) = (1, 1, Duration::ZERO);
    let (seen, _) = open::run(&load);
    all_is_well(&seen, 299);
    let waited = seen.took.count_between(20_000_000, u64::MAX);
    assert!(waited >= 150, "{waited} of those that waited");
}

#[test]
fn the_bare_echo_sends_back_what_it_is_sent() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = free.local_addr().expect("an address");
    drop(free);
    let (failed, why) = std::sync::mpsc::channel();
    thread::spawn(move || failed.send(runtime::bare_echo(addr, 2).err()));
    while std::net::TcpStream::connect(addr).is_err() {
        if let Ok(why) = why.try_recv() {
            eprintln!("SKIPPED: the kernel has no such ring: {why:?}");
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
    for depth in [1, 80] {
        all_is_well(&closed::run(&load(addr, depth, 0.0)).0, 20);
    }
    all_is_well(&comings::run(&load(addr, 1, 100.0)).0, 2);
}

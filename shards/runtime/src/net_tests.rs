//! Sockets over loopback.

use super::*;
use crate::buffers::{Class, Share};
use crate::task::{Task, spawn, yield_now};
use crate::time::{sleep, timeout};
use crate::{ShardOptions, block_on_by, start};
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use types::ShardId;

fn any_port() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// What holds does so whichever way sockets learn of their peers.
fn both_ways<F: Future<Output = ()> + 'static>(test: impl Fn() -> F) {
    for method in [NetworkMethod::Ring, NetworkMethod::Readiness] {
        block_on_by(method, test());
    }
}

/// Answers every connection with what it sends, until its end.
fn echo(listener: Rc<Listener>) -> Task<()> {
    spawn(async move {
        while let Ok(stream) = listener.accept().await {
            spawn(async move {
                let mut buf = vec![0; 16 * 1024];
                loop {
                    match stream.read(&mut buf).await {
                        Ok(0) | Err(_) => break,
                        Ok(n) => stream.write_all(&buf[..n]).await.unwrap(),
                    }
                }
                let _ = stream.shutdown().await;
            })
            .detach();
        }
    })
}

async fn read_to_end(stream: &Stream) -> Vec<u8> {
    let (mut all, mut buf) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buf).await.unwrap() {
            0 => return all,
            n => all.extend_from_slice(&buf[..n]),
        }
    }
}

#[test]
fn a_half_closed_stream_still_receives() {
    both_ways(|| async {
        let listener = Rc::new(Listener::bind(any_port(), 16).unwrap());
        let addr = listener.local_addr().unwrap();
        let _server = echo(listener);
        let client = Stream::connect(addr).await.unwrap();
        client.set_nodelay(true).unwrap();
        client.write_all(b"last words").await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(read_to_end(&client).await, b"last words");
        assert_eq!(client.peer_addr(), Some(addr));
    });
}

#[test]
fn more_than_the_socket_buffers_hold_arrives_in_order() {
    both_ways(|| async {
        let listener = Rc::new(Listener::bind(any_port(), 16).unwrap());
        let addr = listener.local_addr().unwrap();
        let _server = echo(listener);
        let (reader, writer) = Stream::connect(addr).await.unwrap().into_split();
        let sent: Vec<u8> = (0..8 << 20).map(|n: u32| (n / 251) as u8).collect();
        let copy = sent.clone();
        let sending = spawn(async move {
            writer.write_all(&copy).await.unwrap();
            writer.shutdown().await.unwrap();
        });
        let (mut got, mut buf) = (Vec::new(), vec![0; 64 * 1024]);
        loop {
            match reader.read(&mut buf).await.unwrap() {
                0 => break,
                n => got.extend_from_slice(&buf[..n]),
            }
        }
        sending.await;
        assert!(got == sent);
    });
}

#[test]
fn thousands_of_connections_leave_no_descriptor_behind() {
    both_ways(|| async {
        let listener = Rc::new(Listener::bind(any_port(), 128).unwrap());
        let addr = listener.local_addr().unwrap();
        let server = echo(listener.clone());
        let mut before = 0;
        for round in 0..40 {
            let clients: Vec<_> = (0..50)
                .map(|_| {
                    spawn(async move {
                        let stream = Stream::connect(addr).await.unwrap();
                        stream.write_all(b"x").await.unwrap();
                        let mut buf = [0; 8];
                        assert_eq!(stream.read(&mut buf).await.unwrap(), 1);
                    })
                })
                .collect();
            for client in clients {
                client.await;
            }
            sleep(Duration::from_millis(2)).await;
            if round == 0 {
                before = open_files();
            }
        }
        sleep(Duration::from_millis(20)).await;
        // Other tests of this process open and close descriptors meanwhile; a leak would be 2,000 and more.
        assert!(
            open_files() < before + 300,
            "{before} became {}",
            open_files()
        );
        listener.close();
        server.await;
    });
}

#[test]
fn a_dropped_connection_is_seen_by_the_peer() {
    both_ways(|| async {
        let listener = Rc::new(Listener::bind(any_port(), 16).unwrap());
        let addr = listener.local_addr().unwrap();
        let accepting = {
            let listener = listener.clone();
            spawn(async move { listener.accept().await.unwrap() })
        };
        let client = Stream::connect(addr).await.unwrap();
        let server = accepting.await;
        // A read that is under way is dropped with the stream.
        let reading = spawn(async move {
            let mut buf = [0; 8];
            let _ = server.read(&mut buf).await;
        });
        yield_now().await;
        drop(reading);
        let mut buf = [0; 8];
        let seen = timeout(Duration::from_secs(2), client.read(&mut buf)).await;
        assert_eq!(seen.unwrap().unwrap_or(0), 0);
    });
}

#[test]
fn closing_a_listener_ends_the_wait_and_refuses_the_next() {
    both_ways(|| async {
        let listener = Rc::new(Listener::bind(any_port(), 16).unwrap());
        let addr = listener.local_addr().unwrap();
        let accepting = {
            let listener = listener.clone();
            spawn(async move { listener.accept().await.map(|_| ()) })
        };
        sleep(Duration::from_millis(1)).await;
        listener.close();
        let ended = accepting.await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::ConnectionAborted);
        assert!(listener.accept().await.is_err());
        drop(listener);
        sleep(Duration::from_millis(5)).await;
        let refused = Stream::connect(addr).await.map(|_| ()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_read_that_timed_out_loses_no_byte() {
    both_ways(|| async {
        let listener = Rc::new(Listener::bind(any_port(), 16).unwrap());
        let client = Stream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let server = listener.accept().await.unwrap();
        let mut buf = [0; 16];
        for round in 0..20u8 {
            let late = timeout(Duration::from_micros(300), server.read(&mut buf)).await;
            assert!(late.is_err());
            client.write_all(&[round]).await.unwrap();
            assert_eq!(server.read(&mut buf).await.unwrap(), 1);
            assert_eq!(buf[0], round);
        }
    });
}

#[test]
fn shards_share_a_port_and_another_process_is_noticed() {
    for method in [NetworkMethod::Ring, NetworkMethod::Readiness] {
        shards_share_a_port(method);
    }
}

fn shards_share_a_port(network: NetworkMethod) {
    let seen = Arc::new(Mutex::new(vec![0; 2]));
    let counts = seen.clone();
    let probe = std::net::TcpListener::bind(any_port()).unwrap();
    let addr = probe.local_addr().unwrap();
    assert_eq!(
        bind_check(addr).unwrap_err().kind(),
        io::ErrorKind::AddrInUse
    );
    drop(probe);
    bind_check(addr).unwrap();
    let opts = ShardOptions {
        shards: 2,
        network,
        ..ShardOptions::default()
    };
    start(opts, move |shard| {
        let counts = counts.clone();
        async move {
            let listener = Listener::bind(addr, 128).unwrap();
            sleep(Duration::from_millis(50)).await;
            let index = usize::from(shard.0);
            if index == 0 {
                for _ in 0..64 {
                    spawn(async move {
                        let _stream = Stream::connect(addr).await.unwrap();
                        sleep(Duration::from_millis(100)).await;
                    })
                    .detach();
                }
            }
            let ended = timeout(Duration::from_millis(400), async {
                loop {
                    listener.accept().await.unwrap();
                    counts.lock().unwrap()[index] += 1;
                }
            });
            assert!(ended.await.is_err());
        }
    })
    .unwrap()
    .join()
    .unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0] + seen[1], 64);
    assert!(seen.iter().all(|n| *n > 0), "{seen:?}");
}

#[test]
fn one_that_is_not_read_from_stops_its_peer_and_loses_nothing() {
    both_ways(|| async {
        let listener = Rc::new(Listener::bind(any_port(), 16).unwrap());
        let client = Stream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let server = listener.accept().await.unwrap();
        let sent: Vec<u8> = (0..32 << 20).map(|n: u32| (n / 257) as u8).collect();
        let copy = sent.clone();
        let sending = spawn(async move { client.write_all(&copy).await.unwrap() });
        let mut buf = vec![0; 1];
        assert_eq!(server.read(&mut buf).await.unwrap(), 1);
        sleep(Duration::from_millis(50)).await;
        assert!(!sending.is_finished(), "somebody keeps 32 MiB");
        // What it waits with is bounded, whatever the peer does.
        let in_use = crate::buffers::current().stats().bytes_in_use;
        assert!(in_use <= 128 * 4096, "{in_use}");
        let mut got = buf;
        let mut buf = vec![0; 10_000];
        while got.len() < sent.len() {
            let n = server.read(&mut buf).await.unwrap();
            assert!(n > 0);
            got.extend_from_slice(&buf[..n]);
        }
        assert!(got == sent);
        sending.await;
    });
}

#[test]
fn connections_live_without_a_buffer_to_spare() {
    both_ways(|| async {
        let pool = crate::buffers::current();
        let mut held = Vec::new();
        while let Some(buffer) = pool.try_take(Share::Extra, Class::Kib4) {
            held.push(buffer);
        }
        let listener = Rc::new(Listener::bind(any_port(), 256).unwrap());
        let addr = listener.local_addr().unwrap();
        let _server = echo(listener);
        // More than there are buffers lent, each with several reads under way.
        let clients: Vec<_> = (0..200usize)
            .map(|n| {
                spawn(async move {
                    let stream = Stream::connect(addr).await.unwrap();
                    let mut buf = [0; 64];
                    for round in 0..5 {
                        let word = format!("{n} {round}");
                        stream.write_all(word.as_bytes()).await.unwrap();
                        let n = stream.read(&mut buf).await.unwrap();
                        assert_eq!(&buf[..n], word.as_bytes());
                    }
                })
            })
            .collect();
        for client in clients {
            client.await;
        }
        drop(held);
    });
}

#[test]
fn nothing_of_a_connection_is_left_however_it_ends() {
    both_ways(|| async {
        let listener = Rc::new(Listener::bind(any_port(), 256).unwrap());
        let addr = listener.local_addr().unwrap();
        let server = echo(listener.clone());
        let count = || crate::network_stats().map_or(0, |ring| ring.operations);
        // The first one makes the kernel have its buffers.
        let first = Stream::connect(addr).await.unwrap();
        first.write_all(b"x").await.unwrap();
        first.read(&mut [0]).await.unwrap();
        drop(first);
        sleep(Duration::from_millis(20)).await;
        let (operations, in_use) = (count(), crate::buffers::current().stats().bytes_in_use);
        for round in 0..300 {
            let stream = Stream::connect(addr).await.unwrap();
            match round % 5 {
                0 => {}
                1 => stream.write_all(b"and gone").await.unwrap(),
                2 => stream.shutdown().await.unwrap(),
                3 => {
                    // Its answer comes to nobody.
                    stream.write_all(&vec![7; 100_000]).await.unwrap();
                    let mut buf = [0; 10];
                    stream.read(&mut buf).await.unwrap();
                }
                _ => {
                    let mut buf = [0; 10];
                    let late = timeout(Duration::from_micros(50), stream.read(&mut buf)).await;
                    assert!(late.is_err());
                }
            }
        }
        let mut waited = 0;
        while (count(), crate::buffers::current().stats().bytes_in_use) != (operations, in_use) {
            sleep(Duration::from_millis(5)).await;
            waited += 1;
            assert!(waited < 1000, "{} operations for {operations}", count());
        }
        listener.close();
        server.await;
    });
}

#[test]
fn more_connections_than_are_accepted_ahead_all_arrive() {
    both_ways(|| async {
        let listener = Rc::new(Listener::bind(any_port(), 512).unwrap());
        let addr = listener.local_addr().unwrap();
        // One is taken, so that accepting goes on by itself from then on.
        let first = Stream::connect(addr).await.unwrap();
        let taken = listener.accept().await.unwrap();
        let clients: Vec<_> = (0..300)
            .map(|_| spawn(async move { Stream::connect(addr).await.unwrap() }))
            .collect();
        let mut streams = Vec::new();
        for client in clients {
            streams.push(client.await);
        }
        sleep(Duration::from_millis(5)).await;
        for n in 0..300 {
            let next = timeout(Duration::from_secs(5), listener.accept()).await;
            streams.push(next.unwrap_or_else(|_| panic!("{n} of 300")).unwrap());
        }
        drop((first, taken, streams));
    });
}

/// Serves `connections` on `shards` executors of one endpoint; how many each had at once.
fn spread_over(shards: usize, connections: usize, network: NetworkMethod) -> Vec<usize> {
    let spread = Spread::new(shards);
    let address = Arc::new(Mutex::new(None::<SocketAddr>));
    let served = Arc::new(Mutex::new(vec![0; shards]));
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let options = ShardOptions {
        shards,
        network,
        ..ShardOptions::default()
    };
    let (at, by, end) = (address.clone(), served.clone(), done.clone());
    let running = start(options, move |shard| {
        let (spread, at, by, end) = (spread.clone(), at.clone(), by.clone(), end.clone());
        async move {
            let first = shard.0 == 0;
            let port = loop {
                match (*at.lock().unwrap(), first) {
                    (Some(known), _) => break known,
                    (None, true) => break any_port(),
                    (None, false) => {}
                }
                sleep(Duration::from_millis(1)).await;
            };
            let listener = Rc::new(Listener::bind_spread(port, 256, spread).unwrap());
            *at.lock().unwrap() = listener.local_addr();
            let accepting = listener.clone();
            let accepts = spawn(async move {
                let mut open = Vec::new();
                while let Ok(stream) = accepting.accept().await {
                    stream.write_all(&[shard.0 as u8]).await.unwrap();
                    open.push(stream);
                    by.lock().unwrap()[usize::from(shard.0)] += 1;
                }
            });
            while !end.load(std::sync::atomic::Ordering::Acquire) {
                sleep(Duration::from_millis(2)).await;
            }
            listener.close();
            accepts.await;
        }
    });
    let running = running.unwrap();
    let address = loop {
        if let Some(address) = *address.lock().unwrap() {
            break address;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    // Every shard listens.
    std::thread::sleep(Duration::from_millis(100));
    let mut clients = Vec::new();
    for _ in 0..connections {
        let mut client = std::net::TcpStream::connect(address).unwrap();
        let mut shard = [0];
        std::io::Read::read_exact(&mut client, &mut shard).unwrap();
        clients.push(client);
    }
    done.store(true, std::sync::atomic::Ordering::Release);
    running.join().unwrap();
    let served = served.lock().unwrap();
    served.clone()
}

#[test]
fn a_connection_goes_to_the_shard_with_the_fewest() {
    for network in [NetworkMethod::Ring, NetworkMethod::Readiness] {
        let served = spread_over(4, 64, network);
        assert_eq!(served, [16; 4], "{network:?}");
    }
}

#[test]
fn what_does_not_fit_on_its_way_is_served_where_it_was_accepted() {
    let spread = Spread::new(2);
    let (here, there) = (ShardId(0), ShardId(1));
    spread.begin(here, None);
    let listener = std::net::TcpListener::bind(any_port()).unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = || {
        let client = std::net::TcpStream::connect(address).unwrap();
        (client, Socket::from(listener.accept().unwrap().0))
    };
    let mut open = Vec::new();
    let mut place = || {
        let (client, socket) = accepted();
        let peer = client.local_addr().unwrap();
        let served = spread.place(here, socket, Some(peer));
        let is_here = served.is_some();
        open.push((client, served));
        is_here
    };
    // The other does not listen yet.
    for _ in 0..INBOX_MAX + 1 {
        assert!(place());
    }
    spread.begin(there, None);
    for _ in 0..INBOX_MAX {
        assert!(!place());
    }
    assert!(place(), "one more than are on their way");
    let (handed, kept) = (INBOX_MAX as u64, 1);
    assert_eq!(spread_stats(), SpreadStats { handed, kept });
    // What was on its way is closed, and counts no more.
    spread.end(there);
    spread.begin(there, None);
    assert!(!place());
}

/// Connects as a client that is no task of ours.
fn connect_unix(path: &std::path::Path) -> std::os::unix::net::UnixStream {
    let stream = std::os::unix::net::UnixStream::connect(path).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream
}

#[test]
fn a_path_is_listened_at_until_the_listener_goes() {
    use std::io::{Read, Write};
    both_ways(|| async {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = Listener::bind_unix(&path, 16, crate::Spread::new(1)).unwrap();
        let taken = Listener::bind_unix(&path, 16, crate::Spread::new(1));
        assert_eq!(
            taken.map(drop).unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
        let at = path.clone();
        let server = echo(Rc::new(listener));
        let client = std::thread::spawn(move || {
            let mut client = connect_unix(&at);
            client.write_all(b"to a path").unwrap();
            client.shutdown(std::net::Shutdown::Write).unwrap();
            let mut back = Vec::new();
            client.read_to_end(&mut back).unwrap();
            back
        });
        while !client.is_finished() {
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(client.join().unwrap(), b"to a path");
        server.cancel().await;
        assert!(!path.exists());
    });
}

#[test]
fn a_path_that_a_killed_process_left_is_taken_and_any_other_file_is_not() {
    both_ways(|| async {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        drop(Listener::bind_unix(&path, 16, crate::Spread::new(1)).unwrap());
        std::fs::write(&path, "somebody's").unwrap();
        let refused = Listener::bind_unix(&path, 16, crate::Spread::new(1));
        assert_eq!(
            refused.map(drop).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"somebody's");
    });
}

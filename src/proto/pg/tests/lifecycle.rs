//! Startup, refusal, cancel, panic and drain.

use super::client::{Server, message, query, startup, tags, with_options, with_server};
use super::door::KEY;
use crate::proto::pg::Options;
use crate::telemetry::Metrics;
use futures_lite::io::{AsyncReadExt, AsyncWriteExt};
use std::time::Duration;

const V3: u32 = 196_608;

#[test]
fn startup_reports_the_session() {
    with_server(4, |server| async move {
        let mut client = server.dial().await;
        let settings = [
            ("user", "me"),
            ("database", "rustydb"),
            ("application_name", "test"),
        ];
        client.send(&startup(V3, &settings)).await;
        let said = client.until_ready().await;
        assert_eq!(tags(&said), "RSKZ");
        assert_eq!(said[1].body, b"server_version\x0015.0\0");
        assert_eq!(said[2].body[..4], KEY.pid.to_be_bytes());
        let hellos = server.door.seen.hellos.borrow();
        assert_eq!(
            (hellos[0].user.as_str(), hellos[0].database.as_str()),
            ("me", "rustydb")
        );
        assert_eq!(
            hellos[0].settings,
            [("application_name".into(), "test".into())]
        );
        assert_eq!(hellos[0].local, Some(server.address));
        assert!(hellos[0].peer.is_some());
    });
}

#[test]
fn startup_may_come_byte_by_byte() {
    with_server(4, |server| async move {
        let mut client = server.dial().await;
        for byte in startup(V3, &[("user", "rustydb")]) {
            client.send(&[byte]).await;
            runtime::sleep(Duration::from_micros(200)).await;
        }
        assert_eq!(tags(&client.until_ready().await), "RSKZ");
        // The database is the user's by default.
        assert_eq!(server.door.seen.hellos.borrow()[0].database, "rustydb");
    });
}

#[test]
fn requests_for_encryption_are_declined_once_each() {
    with_server(4, |server| async move {
        let mut client = server.dial().await;
        for code in [80_877_104u32, 80_877_103] {
            client
                .send(&[8u32.to_be_bytes(), code.to_be_bytes()].concat())
                .await;
            let mut answer = [0];
            client.stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"N");
        }
        client.send(&startup(V3, &[("user", "rustydb")])).await;
        assert_eq!(tags(&client.until_ready().await), "RSKZ");

        let mut client = server.dial().await;
        let request = [8u32.to_be_bytes(), 80_877_103u32.to_be_bytes()].concat();
        client.send(&request).await;
        let mut answer = [0];
        client.stream.read_exact(&mut answer).await.unwrap();
        client.send(&request).await;
        client.ends_with("FATAL", "0A000").await;
    });
}

#[test]
fn newer_minor_versions_and_unknown_options_are_negotiated_down() {
    with_server(4, |server| async move {
        let user = ("user", "rustydb");
        for (version, options, expected) in [
            (V3 + 2, &[user][..], None),
            (V3 + 3, &[user], Some(&b"\0\x03\0\x02\0\0\0\0"[..])),
            (V3 + 9999, &[user], Some(b"\0\x03\0\x02\0\0\0\0")),
            (
                V3,
                &[user, ("_pq_.x", "1")],
                Some(b"\0\x03\0\0\0\0\0\x01_pq_.x\0"),
            ),
        ] {
            let mut client = server.dial().await;
            client.send(&startup(version, options)).await;
            let said = client.until_ready().await;
            let negotiated = said.iter().find(|s| s.tag == 'v').map(|s| &s.body[..]);
            assert_eq!(negotiated, expected);
        }
        let hellos = server.door.seen.hellos.borrow();
        assert!(hellos.iter().all(|h| h.settings.is_empty()));
    });
}

#[test]
fn bad_startups_are_told_why_and_closed() {
    with_server(4, |server| async move {
        let long = "x".repeat(10_000);
        let cases = [
            (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "08P01"),
            (b"\x16\x03\x01\x02\0\x01".to_vec(), "08P01"),
            (b"\0\0\0\x04".to_vec(), "08P01"),
            (startup(V3, &[("user", &long)]), "08P01"),
            (b"\0\0\0\x0e\0\x03\0\0user\0u".to_vec(), "08P01"),
            (startup(131_072, &[]), "0A000"),
            (startup(V3, &[("database", "rustydb")]), "28000"),
            (
                startup(V3, &[("user", "u"), ("database", "other")]),
                "3D000",
            ),
            (
                startup(V3, &[("user", "rustydb"), ("replication", "database")]),
                "0A000",
            ),
        ];
        for (bytes, code) in cases {
            let mut client = server.dial().await;
            client.send(&bytes).await;
            client.ends_with("FATAL", code).await;
        }
        server.live.drained().await;
        assert_eq!(server.door.slots.get(), 4);
        assert_eq!(server.live.stats().panicked, 0);
    });
}

#[test]
fn silence_before_the_session_ends_with_the_authentication_timeout() {
    let options = Options {
        authentication_timeout: Duration::from_millis(80),
        ..Options::default()
    };
    with_options(4, options, |server| async move {
        let mut client = server.dial().await;
        client
            .send(&startup(V3, &[("user", "rustydb")])[..20])
            .await;
        assert_eq!(client.try_say().await, None);
        // A session is not under that clock.
        let mut client = server.connect().await;
        runtime::sleep(Duration::from_millis(200)).await;
        assert_eq!(tags(&client.query("rows 1").await), "TDCZ");
    });
}

#[test]
fn one_connection_too_many_is_53300_and_the_slot_comes_back() {
    with_server(1, |server| async move {
        let client = server.connect().await;
        let mut refused = server.dial().await;
        refused.send(&startup(V3, &[("user", "rustydb")])).await;
        refused.ends_with("FATAL", "53300").await;
        drop(client);
        server.live.drained().await;
        assert_eq!(server.door.slots.get(), 1);
        assert_eq!(tags(&server.connect().await.query("rows 1").await), "TDCZ");
        assert_eq!(server.live.stats().refused, 1);
    });
}

#[test]
fn a_cancel_request_reaches_the_door_even_when_the_server_is_full() {
    with_server(1, |server| async move {
        let _client = server.connect().await;
        let mut cancel = server.dial().await;
        let words = [16, 80_877_102, KEY.pid as u32, KEY.secret as u32];
        cancel.send(&words.map(u32::to_be_bytes).concat()).await;
        assert_eq!(cancel.try_say().await, None);
        assert_eq!(*server.door.seen.cancels.borrow(), [KEY]);
    });
}

#[test]
fn a_panic_ends_one_connection_with_xx000_and_nothing_else() {
    with_server(4, |server| async move {
        let mut other = server.connect().await;
        let mut client = server.connect().await;
        client.send(&query("panic")).await;
        client.ends_with("FATAL", "XX000").await;
        assert_eq!(tags(&other.query("rows 1").await), "TDCZ");
        assert_eq!(server.door.seen.sessions_open.get(), 1);
    });
}

#[test]
fn an_error_that_ends_the_session_is_fatal() {
    with_server(4, |server| async move {
        let mut client = server.connect().await;
        client.send(&query("fatal")).await;
        client.ends_with("FATAL", "57P01").await;
    });
}

#[test]
fn the_drain_ends_idle_connections_and_lets_statements_finish() {
    with_server(4, |server| async move {
        let mut idle = server.connect().await;
        let mut busy = server.connect().await;
        let mut silent = server.dial().await;
        busy.send(&query("wait")).await;
        runtime::sleep(Duration::from_millis(50)).await;
        server.door.drain();
        idle.ends_with("FATAL", "57P01").await;
        assert_eq!(silent.try_say().await, None);
        assert_eq!(server.live.stats().open, 1);
        server.door.seen.release.notify_all();
        assert_eq!(tags(&busy.until_ready().await), "NCZ");
        busy.ends_with("FATAL", "57P01").await;
        server.live.drained().await;
        assert!(runtime::Stream::connect(server.address).await.is_err());
    });
}

#[test]
fn half_a_startup_does_not_hold_up_the_drain() {
    with_server(4, |server| async move {
        let mut client = server.dial().await;
        client
            .send(&startup(V3, &[("user", "rustydb")])[..20])
            .await;
        runtime::sleep(Duration::from_millis(30)).await;
        server.door.drain();
        client.ends_with("FATAL", "57P03").await;
    });
}

#[test]
fn a_hundred_connections_come_and_go_without_a_trace() {
    with_server(100, |server| async move {
        for _ in 0..3 {
            let mut clients = Vec::new();
            for _ in 0..100 {
                clients.push(server.connect().await);
            }
            for client in &mut clients {
                assert_eq!(tags(&client.query("rows 1").await), "TDCZ");
                client.send(&message('X', b"")).await;
            }
            server.live.drained().await;
        }
        settled(&server);
    });
}

fn settled(server: &Server) {
    let seen = &server.door.seen;
    assert_eq!((seen.sessions_open.get(), seen.results_open.get()), (0, 0));
    assert_eq!(server.door.slots.get(), 100);
    let stats = server.live.stats();
    assert_eq!((stats.open, stats.accepted, stats.panicked), (0, 300, 0));
}

#[test]
fn a_client_that_closes_at_once_costs_nothing() {
    with_server(2, |server| async move {
        for _ in 0..20 {
            let mut client = server.dial().await;
            client.stream.close().await.unwrap();
            assert_eq!(client.try_say().await, None);
        }
        server.live.drained().await;
        assert_eq!(server.door.slots.get(), 2);
    });
}

#[test]
fn connections_and_bytes_are_counted() {
    with_server(1, |server| async move {
        let counts = Metrics::current().connections("postgres");
        let mut client = server.connect().await;
        let opened = counts.sent_bytes.get();
        let sent = query("rows 1");
        let received = counts.received_bytes.get();
        let said = client.query("rows 1").await;
        assert_eq!(counts.received_bytes.get() - received, sent.len() as u64);
        let bytes: usize = said.iter().map(|s| s.body.len() + 5).sum();
        assert_eq!(counts.sent_bytes.get() - opened, bytes as u64);
        assert_eq!((counts.open.get(), counts.accepted.get()), (1, 1));
        let mut refused = server.dial().await;
        refused.send(&startup(V3, &[("user", "rustydb")])).await;
        refused.ends_with("FATAL", "53300").await;
        drop(client);
        server.live.drained().await;
        assert_eq!((counts.open.get(), counts.refused.get()), (0, 1));
    });
}

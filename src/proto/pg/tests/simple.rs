//! The simple flow: scripts, errors, COPY.

use super::client::{message, parse, query, sync, tags, with_options, with_server};
use crate::proto::pg::Options;
use futures_lite::io::AsyncWriteExt;
use std::time::Duration;

#[test]
fn a_script_answers_each_statement_and_then_one_ready() {
    with_server(4, |server| async move {
        let mut client = server.connect().await;
        let said = client.query("rows 2; rows 1;").await;
        assert_eq!(tags(&said), "TDDCTDCIZ");
        assert_eq!(
            said[2].fields(),
            vec![Some(b"1".to_vec()), Some("é\u{1f600}".as_bytes().to_vec())]
        );
        assert_eq!(said[3].body, b"SELECT 2\0");
        assert_eq!(said.last().unwrap().body, b"I");
    });
}

#[test]
fn ready_carries_the_transactions_status() {
    with_server(4, |server| async move {
        let mut client = server.connect().await;
        assert_eq!(client.query("begin").await.last().unwrap().body, b"T");
        assert_eq!(client.query("commit").await.last().unwrap().body, b"I");
    });
}

#[test]
fn an_error_carries_every_field_and_the_session_goes_on() {
    with_server(4, |server| async move {
        let mut client = server.connect().await;
        let said = client.query("fail").await;
        assert_eq!(tags(&said), "EZ");
        let fields = [
            (b'S', "ERROR"),
            (b'V', "ERROR"),
            (b'C', "42P01"),
            (b'M', "relation \"nope\" does not exist"),
            (b'D', "d"),
            (b'H', "h"),
            (b'P', "15"),
            (b't', "t"),
            (b'c', "c"),
            (b'n', "n"),
        ];
        for (name, value) in fields {
            assert_eq!(said[0].field(name).as_deref(), Some(value));
        }
        assert_eq!(tags(&client.query("rows 1").await), "TDCZ");
        assert_eq!(server.door.seen.results_open.get(), 0);
    });
}

#[test]
fn notices_and_changed_settings_are_told() {
    with_server(4, |server| async move {
        let mut client = server.connect().await;
        let said = client.query("notice").await;
        assert_eq!(tags(&said), "NSCZ");
        assert_eq!(said[0].severity(), "WARNING");
        assert_eq!(said[1].body, b"TimeZone\0UTC\0");
    });
}

#[test]
fn invalid_utf8_in_a_query_is_22021_and_fails_the_transaction() {
    with_server(4, |server| async move {
        let mut client = server.connect().await;
        client.send(&message('Q', b"select '\xff'\0")).await;
        let said = client.until_ready().await;
        assert_eq!(tags(&said), "EZ");
        assert_eq!(said[0].code(), "22021");
        assert_eq!(said[0].severity(), "ERROR");
        assert_eq!(*server.door.seen.ops.borrow(), ["failed"]);
    });
}

#[test]
fn a_frame_over_the_limit_is_54000_and_the_end() {
    let options = Options {
        frame_bytes_max: 1 << 20,
        ..Options::default()
    };
    with_options(4, options, |server| async move {
        let mut client = server.connect().await;
        let largest = "x".repeat((1 << 20) - 1);
        assert_eq!(client.query(&largest).await[0].code(), "42601");
        client.send(&query(&format!("{largest}y"))).await;
        client.ends_with("FATAL", "54000").await;
        assert_eq!(server.door.seen.sessions_open.get(), 0);
    });
}

#[test]
fn an_impossible_length_or_type_is_08p01_and_the_end() {
    with_server(4, |server| async move {
        for bytes in [&b"Q\0\0\0\x03"[..], b"Q\xff\xff\xff\xff", b"\x01", b"pword"] {
            let mut client = server.connect().await;
            client.send(bytes).await;
            client.ends_with("FATAL", "08P01").await;
        }
        assert_eq!(tags(&server.connect().await.query("rows 1").await), "TDCZ");
    });
}

#[test]
fn function_calls_are_refused_and_the_session_goes_on() {
    with_server(4, |server| async move {
        let mut client = server.connect().await;
        client.send(&message('F', b"\0\0\0\x01\0\0\0\0\0\0")).await;
        let said = client.until_ready().await;
        assert_eq!(
            (tags(&said).as_str(), said[0].code().as_str()),
            ("EZ", "0A000")
        );
        assert_eq!(tags(&client.query("rows 1").await), "TDCZ");
    });
}

#[test]
fn copy_in_takes_data_in_any_pieces() {
    with_server(4, |server| async move {
        let mut client = server.connect().await;
        client.send(&query("copyin")).await;
        let begin = client.say().await;
        assert_eq!(
            (begin.tag, &begin.body[..]),
            ('G', &b"\0\0\x02\0\0\0\0"[..])
        );
        let mut bytes = message('d', b"1\ta\n2");
        bytes.extend(message('H', b""));
        bytes.extend(message('d', b"\tb\n"));
        bytes.extend(message('c', b""));
        for byte in bytes {
            client.send(&[byte]).await;
        }
        assert_eq!(tags(&client.until_ready().await), "CZ");
        assert_eq!(*server.door.seen.copied.borrow(), b"1\ta\n2\tb\n");
    });
}

#[test]
fn copy_fail_is_the_statements_error() {
    with_server(4, |server| async move {
        let mut client = server.connect().await;
        client.send(&query("copyin")).await;
        assert_eq!(client.say().await.tag, 'G');
        client.send(&message('f', b"changed my mind\0")).await;
        let said = client.until_ready().await;
        assert_eq!(
            (tags(&said).as_str(), said[0].code().as_str()),
            ("EZ", "57014")
        );
    });
}

#[test]
fn after_an_error_in_copy_the_clients_rest_is_discarded() {
    with_server(4, |server| async move {
        let mut client = server.connect().await;
        client.send(&query("copyin")).await;
        assert_eq!(client.say().await.tag, 'G');
        client.send(&message('d', b"bad line\n")).await;
        let said = client.until_ready().await;
        assert_eq!(
            (tags(&said).as_str(), said[0].code().as_str()),
            ("EZ", "22P04")
        );
        client.send(&message('d', b"more\n")).await;
        client.send(&message('c', b"")).await;
        assert_eq!(tags(&client.query("rows 1").await), "TDCZ");
        assert!(server.door.seen.copied.borrow().is_empty());
    });
}

#[test]
fn another_message_during_copy_ends_the_copy() {
    with_server(4, |server| async move {
        let mut client = server.connect().await;
        client.send(&query("copyin")).await;
        assert_eq!(client.say().await.tag, 'G');
        let said = client.query("rows 1").await;
        assert_eq!(
            (tags(&said).as_str(), said[0].code().as_str()),
            ("EZ", "08P01")
        );
        assert_eq!(server.door.seen.results_open.get(), 0);
    });
}

#[test]
fn copy_out_streams_and_ends() {
    with_server(4, |server| async move {
        let mut client = server.connect().await;
        let said = client.query("copyout").await;
        assert_eq!(tags(&said), "HddcCZ");
        assert_eq!(said[1].body, b"1\ta\n");
    });
}

#[test]
fn a_client_that_does_not_read_stops_the_statement() {
    with_server(4, |server| async move {
        let mut client = server.connect().await;
        let rows = 60_000;
        client.send(&query(&format!("wide {rows}"))).await;
        runtime::sleep(Duration::from_millis(300)).await;
        let produced = server.door.seen.batches.get();
        assert!(produced < rows / 2, "{produced} rows were produced");
        runtime::sleep(Duration::from_millis(200)).await;
        assert_eq!(server.door.seen.batches.get(), produced);
        assert_eq!(client.until_ready().await.len(), rows + 3);
    });
}

#[test]
fn a_client_that_vanishes_mid_statement_loses_its_session() {
    with_server(4, |server| async move {
        let mut client = server.connect().await;
        client.send(&query("hang")).await;
        runtime::sleep(Duration::from_millis(50)).await;
        assert_eq!(server.door.seen.results_open.get(), 1);
        drop(client);
        while server.door.seen.sessions_open.get() > 0 {
            runtime::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(server.door.seen.results_open.get(), 0);
        server.live.drained().await;
    });
}

#[test]
fn requests_behind_a_running_statement_wait_their_turn() {
    with_server(4, |server| async move {
        let mut client = server.connect().await;
        client
            .send(&[query("wait"), query("rows 1")].concat())
            .await;
        runtime::sleep(Duration::from_millis(50)).await;
        server.door.seen.release.notify_all();
        assert_eq!(tags(&client.until_ready().await), "NCZ");
        assert_eq!(tags(&client.until_ready().await), "TDCZ");
    });
}

#[test]
fn requests_that_come_together_are_answered_in_one_send() {
    with_server(4, |server| async move {
        let mut client = server.connect().await;
        let both = [query("rows 1"), query("rows 2"), query("rows 1")].concat();
        client.send(&both).await;
        let mut seen = [0; 4096];
        let n = client.stream.read(&mut seen).await.unwrap();
        let ready = seen[..n].windows(6).filter(|w| *w == b"Z\0\0\0\x05I");
        assert_eq!(ready.count(), 3, "{:?}", &seen[..n]);
    });
}

#[test]
fn an_answer_does_not_wait_for_a_later_request_that_takes_its_time() {
    with_server(4, |server| async move {
        let mut client = server.connect().await;
        client
            .send(&[query("rows 1"), query("wait")].concat())
            .await;
        assert_eq!(tags(&client.until_ready().await), "TDCZ");
        // Nor for the rest of one.
        let later = query("rows 1");
        server.door.seen.release.notify_all();
        assert_eq!(tags(&client.until_ready().await), "NCZ");
        client.send(&[&later[..], &later[..7]].concat()).await;
        assert_eq!(tags(&client.until_ready().await), "TDCZ");
        client.send(&later[7..]).await;
        assert_eq!(tags(&client.until_ready().await), "TDCZ");
        // Or of an extended sequence.
        client
            .send(&[&later[..], &parse("", "rows 1", &[])[..]].concat())
            .await;
        assert_eq!(tags(&client.until_ready().await), "TDCZ");
        client.send(&sync()).await;
        assert_eq!(tags(&client.until_ready().await), "1Z");
    });
}

#[test]
fn terminate_closes_without_a_word() {
    with_server(4, |server| async move {
        let mut client = server.connect().await;
        client.send(&message('X', b"")).await;
        assert_eq!(client.try_say().await, None);
        assert_eq!(server.door.seen.sessions_open.get(), 0);
    });
}

#[test]
fn a_half_sent_frame_holds_only_what_was_sent() {
    let options = Options {
        frame_bytes_max: 100,
        ..Options::default()
    };
    with_options(4, options, |server| async move {
        let mut client = server.connect().await;
        client.send(b"Q\0\0\0\x20sel").await;
        runtime::sleep(Duration::from_millis(50)).await;
        // Others are served meanwhile, and the rest may come late.
        assert_eq!(tags(&server.connect().await.query("rows 1").await), "TDCZ");
        client.send(&[b'x'; 24]).await;
        client.send(b"\0").await;
        assert_eq!(client.until_ready().await[0].code(), "42601");
        client.stream.close().await.unwrap();
        server.live.drained().await;
    });
}

#[test]
fn who_stops_within_a_long_message_goes_when_others_wait_for_its_buffer() {
    let options = Options {
        stall_timeout: Duration::from_millis(300),
        ..Options::default()
    };
    with_options(64, options, |server| async move {
        let mut patient = server.connect().await;
        patient.send(b"Q\0\0\0\x20sel").await;
        let long = query(&format!("sel{}", "x".repeat(900_000)));
        // More than there are buffers for: the last ones wait.
        let mut stopped = Vec::new();
        for _ in 0..20 {
            let mut client = server.connect().await;
            let sent = runtime::timeout(Duration::from_millis(100), client.send(&long[..800_000]));
            let _ = sent.await;
            stopped.push(client);
        }
        let mut whole = server.connect().await;
        whole.send(&long).await;
        assert_eq!(whole.until_ready().await[0].code(), "42601");
        let mut told = 0;
        for client in &mut stopped {
            let said = runtime::timeout(Duration::from_millis(50), client.try_say()).await;
            if let Ok(Some(said)) = said {
                assert_eq!(said.code(), "08006");
                told += 1;
            }
        }
        assert!(told > 0);
        // It has little that others could want.
        patient.send(&[b'x'; 24]).await;
        patient.send(b"\0").await;
        assert_eq!(patient.until_ready().await[0].code(), "42601");
        drop(stopped);
    });
}

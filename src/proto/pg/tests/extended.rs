//! The extended flow: statements, portals, formats, skipping to Sync.

use super::client::{
    bind, close, describe, execute, message, parse, query, sync, tags, with_server,
};
use crate::proto::pg::whole::OWING_MAX;
use std::time::Duration;
use types::Value;

#[test]
fn a_prepared_statement_goes_its_whole_way_in_one_packet() {
    with_server(4, |server| async move {
        let mut client = server.connect().await;
        let packet = [
            parse("s", "echo", &[23, 25]),
            describe('S', "s"),
            bind(
                "",
                "s",
                &[1, 0],
                &[Some(&7i32.to_be_bytes()), Some(b"seven")],
                &[0, 1],
            ),
            describe('P', ""),
            execute("", 0),
            close('S', "s"),
            sync(),
        ]
        .concat();
        client.send(&packet).await;
        let said = client.until_ready().await;
        assert_eq!(tags(&said), "1tT2TDC3Z");
        assert_eq!(said[1].body, b"\0\x02\0\0\0\x17\0\0\0\x19");
        assert_eq!(
            said[5].fields(),
            vec![Some(b"7".to_vec()), Some(b"seven".to_vec())]
        );
        assert_eq!(
            *server.door.seen.params.borrow(),
            [Value::Int4(7), Value::text("seven")]
        );
        // Formats of a statement are not known; those of a portal are.
        assert!(said[2].body.ends_with(b"\0\0"));
        assert!(said[4].body.ends_with(b"\0\x01"));
    });
}

#[test]
fn one_format_code_is_for_all_and_none_is_text() {
    with_server(4, |server| async move {
        let mut client = server.connect().await;
        let seven = &7i32.to_be_bytes()[..];
        client.send(&parse("s", "echo", &[23, 23])).await;
        for (param_formats, params, formats, expected) in [
            (&[][..], [&b"7"[..], b"7"], &[][..], &b"7"[..]),
            (&[0], [b"7", b"7"], &[1], seven),
            (&[1], [seven, seven], &[0], b"7"),
            (&[1, 0], [seven, b"7"], &[1, 1], seven),
        ] {
            let params = params.map(Some);
            client
                .send(
                    &[
                        bind("", "s", param_formats, &params, formats),
                        execute("", 0),
                        sync(),
                    ]
                    .concat(),
                )
                .await;
            let said = client.until_ready().await;
            let row = said.iter().find(|s| s.tag == 'D').unwrap().fields();
            assert_eq!(row, vec![Some(expected.to_vec()), Some(expected.to_vec())]);
        }
    });
}

#[test]
fn a_portal_with_a_row_limit_is_suspended_and_goes_on() {
    with_server(4, |server| async move {
        let mut client = server.connect().await;
        client
            .send(
                &[
                    query("begin"),
                    parse("", "rows 5", &[]),
                    bind("p", "", &[], &[], &[1, 0]),
                    execute("p", 2),
                    execute("p", 2),
                    execute("p", 2),
                    sync(),
                ]
                .concat(),
            )
            .await;
        assert_eq!(tags(&client.until_ready().await), "CZ");
        let said = client.until_ready().await;
        assert_eq!(tags(&said), "12DDsDDsDCZ");
        // The format is that of Bind in every part.
        assert_eq!(
            said[9 - 1].fields()[0].as_deref(),
            Some(&4i32.to_be_bytes()[..])
        );
    });
}

#[test]
fn after_an_error_everything_is_skipped_up_to_sync() {
    with_server(4, |server| async move {
        let mut client = server.connect().await;
        client
            .send(
                &[
                    parse("", "bad", &[]),
                    bind("", "", &[], &[], &[]),
                    query("rows 1"),
                    message('d', b"stray"),
                    message('H', b""),
                    execute("", 0),
                    sync(),
                    query("rows 1"),
                ]
                .concat(),
            )
            .await;
        let said = client.until_ready().await;
        assert_eq!(
            (tags(&said).as_str(), said[0].code().as_str()),
            ("EZ", "42601")
        );
        assert_eq!(tags(&client.until_ready().await), "TDCZ");
        assert_eq!(*server.door.seen.ops.borrow(), ["parse", "sync", "script"]);
    });
}

#[test]
fn errors_of_the_protocol_fail_the_transaction_too() {
    with_server(4, |server| async move {
        let mut client = server.connect().await;
        let seven = &7i32.to_be_bytes()[..];
        let cases = [
            (bind("", "none", &[], &[], &[]), "26000"),
            (bind("", "s", &[], &[], &[]), "08P01"),
            (bind("", "s", &[], &[None, None], &[]), "08P01"),
            (bind("", "s", &[0], &[Some(b"x")], &[]), "22P02"),
            (bind("", "s", &[1], &[Some(b"xyz")], &[]), "22P03"),
            (bind("", "t", &[0], &[Some(b"a\xff")], &[]), "22021"),
            (bind("", "t", &[0], &[Some(b"a\0b")], &[]), "22021"),
            (bind("", "t", &[1], &[Some(b"a\0b")], &[]), "22021"),
            (bind("", "s", &[3], &[Some(seven)], &[]), "22023"),
            (parse("u", "echo", &[9_999]), "42704"),
            (message('D', b"?\0"), "08P01"),
        ];
        client
            .send(&[parse("s", "echo", &[23]), parse("t", "echo", &[25]), sync()].concat())
            .await;
        assert_eq!(tags(&client.until_ready().await), "11Z");
        for (bytes, code) in cases {
            server.door.seen.ops.borrow_mut().clear();
            client.send(&[bytes, sync()].concat()).await;
            let said = client.until_ready().await;
            assert_eq!(tags(&said), "EZ");
            assert_eq!(
                (said[0].code().as_str(), said[0].severity().as_str()),
                (code, "ERROR")
            );
            assert_eq!(*server.door.seen.ops.borrow(), ["failed", "sync"]);
        }
    });
}

#[test]
fn too_many_or_too_few_result_formats_are_an_error() {
    with_server(4, |server| async move {
        let mut client = server.connect().await;
        for ask in [describe('P', ""), execute("", 0)] {
            client
                .send(
                    &[
                        parse("", "rows 1", &[]),
                        bind("", "", &[], &[], &[0, 0, 0]),
                        ask,
                        sync(),
                    ]
                    .concat(),
                )
                .await;
            let said = client.until_ready().await;
            assert_eq!(
                (tags(&said).as_str(), said[2].code().as_str()),
                ("12EZ", "08P01")
            );
            assert_eq!(server.door.seen.results_open.get(), 0);
        }
    });
}

#[test]
fn statements_without_rows_or_text_say_so() {
    with_server(4, |server| async move {
        let mut client = server.connect().await;
        for (sql, expected) in [("begin", "1n2nCZ"), ("", "1n2nIZ")] {
            let mut said_tags = String::new();
            client
                .send(
                    &[
                        parse("", sql, &[]),
                        describe('S', ""),
                        bind("", "", &[], &[], &[]),
                        describe('P', ""),
                        execute("", 0),
                        sync(),
                    ]
                    .concat(),
                )
                .await;
            said_tags.push_str(&tags(&client.until_ready().await));
            assert_eq!(said_tags.replace('t', ""), expected);
        }
    });
}

#[test]
fn flush_sends_what_there_is_before_sync() {
    with_server(4, |server| async move {
        let mut client = server.connect().await;
        client
            .send(&[parse("", "rows 1", &[]), message('H', b"")].concat())
            .await;
        assert_eq!(client.say().await.tag, '1');
        client.send(&sync()).await;
        assert_eq!(client.say().await.tag, 'Z');
        // An error too.
        let failing = [
            parse("", "fail", &[]),
            bind("", "", &[], &[], &[]),
            execute("", 0),
            message('H', b""),
        ]
        .concat();
        client.send(&failing).await;
        for tag in ['1', 'E'] {
            assert_eq!(client.say().await.tag, tag);
        }
        client.send(&sync()).await;
        assert_eq!(client.say().await.tag, 'Z');
    });
}

#[test]
fn copy_in_within_an_extended_sequence() {
    with_server(4, |server| async move {
        let mut client = server.connect().await;
        let start = [
            parse("", "copyin", &[]),
            bind("", "", &[], &[], &[]),
            execute("", 0),
            sync(),
        ]
        .concat();
        client.send(&start).await;
        for tag in ['1', '2', 'G'] {
            assert_eq!(client.say().await.tag, tag);
        }
        client
            .send(&[message('d', b"1\ta\n"), message('c', b""), sync()].concat())
            .await;
        assert_eq!(tags(&client.until_ready().await), "CZ");
        assert_eq!(*server.door.seen.copied.borrow(), b"1\ta\n");
        // An error skips the data, and the session is ready at the next Sync.
        client.send(&start).await;
        for tag in ['1', '2', 'G'] {
            assert_eq!(client.say().await.tag, tag);
        }
        client
            .send(
                &[
                    message('d', b"bad\n"),
                    message('d', b"more\n"),
                    message('c', b""),
                    sync(),
                ]
                .concat(),
            )
            .await;
        let said = client.until_ready().await;
        assert_eq!(
            (tags(&said).as_str(), said[0].code().as_str()),
            ("EZ", "22P04")
        );
    });
}

#[test]
fn a_thousand_pipelined_requests_are_answered_in_order() {
    with_server(4, |server| async move {
        let mut client = server.connect().await;
        let mut packet = parse("s", "echo", &[23]);
        for n in 0..1000i32 {
            packet.extend(bind("", "s", &[1], &[Some(&n.to_be_bytes())], &[1]));
            packet.extend(execute("", 0));
        }
        packet.extend(sync());
        client.send(&packet).await;
        let said = client.until_ready().await;
        let rows: Vec<_> = said.iter().filter(|s| s.tag == 'D').collect();
        assert_eq!(rows.len(), 1000);
        for (n, row) in rows.iter().enumerate() {
            assert_eq!(
                row.fields()[0].as_deref(),
                Some(&(n as i32).to_be_bytes()[..])
            );
        }
    });
}

/// A statement that came whole, in every form in which drivers send one, and its messages' tags.
#[test]
fn a_statement_that_came_whole_is_one_request_and_answered_as_its_messages_are() {
    with_server(4, |server| async move {
        let mut client = server.connect().await;
        for sql in ["once", "many 2", "notice", "fail"] {
            for described in [true, false] {
                let mut behind = vec![execute("", 0), sync()];
                if described {
                    behind.insert(0, describe('P', ""));
                }
                let bound = [bind("", "", &[], &[], &[0, 1]), behind.concat()].concat();
                client
                    .send(&[parse("", sql, &[]), bound.clone()].concat())
                    .await;
                let whole = client.until_ready().await;
                let ops = std::mem::take(&mut *server.door.seen.ops.borrow_mut());
                assert_eq!(ops, ["parse", "run"], "{sql}");
                // The same in two pieces is not whole.
                client
                    .send(&[parse("", sql, &[]), bound[..bound.len() - 1].to_vec()].concat())
                    .await;
                // An error, or the last message before Sync.
                let last = if sql == "fail" { "bind" } else { "execute" };
                while !server.door.seen.ops.borrow().iter().any(|op| op == last) {
                    runtime::sleep(Duration::from_millis(1)).await;
                }
                client.send(&bound[bound.len() - 1..]).await;
                let apart = client.until_ready().await;
                let ops = std::mem::take(&mut *server.door.seen.ops.borrow_mut());
                assert!(!ops.contains(&"run".to_string()), "{ops:?}");
                match sql {
                    // What it gives is the same, but for the rows.
                    "once" => assert_eq!(tags(&whole), tags(&apart)),
                    // Bind fails there.
                    "fail" => assert_eq!(tags(&whole), "1EZ"),
                    _ => assert_eq!(whole, apart, "{sql}"),
                }
            }
        }
    });
}

#[test]
fn what_is_not_whole_goes_its_way_message_by_message() {
    with_server(4, |server| async move {
        let mut client = server.connect().await;
        client
            .send(&[parse("s", "once", &[]), sync()].concat())
            .await;
        client.until_ready().await;
        for behind in [
            // A portal with a name, a limit, two executions, something else behind.
            [bind("p", "s", &[], &[], &[]), execute("p", 0), sync()].concat(),
            [bind("", "s", &[], &[], &[]), execute("", 1), sync()].concat(),
            [
                bind("", "s", &[], &[], &[]),
                execute("", 0),
                execute("", 0),
                sync(),
            ]
            .concat(),
            [
                bind("", "s", &[], &[], &[]),
                execute("", 0),
                close('S', "t"),
                sync(),
            ]
            .concat(),
            [
                bind("", "s", &[], &[], &[]),
                describe('S', "s"),
                execute("", 0),
                sync(),
            ]
            .concat(),
        ] {
            server.door.seen.ops.borrow_mut().clear();
            client.send(&behind).await;
            client.until_ready().await;
            let ops = server.door.seen.ops.borrow().clone();
            assert!(ops.contains(&"execute".to_string()), "{ops:?}");
        }
    });
}

#[test]
fn a_bind_that_is_not_whole_or_fails_waits_for_what_is_owed() {
    with_server(4, |server| async move {
        let mut client = server.connect().await;
        let named = [
            parse("a", "apart", &[]),
            parse("o", "once", &[]),
            parse("f", "fail", &[]),
            sync(),
        ];
        client.send(&named.concat()).await;
        client.until_ready().await;
        let run = |name| [bind("", name, &[], &[], &[]), execute("", 0), sync()].concat();
        // Two columns have no three formats: the session is not asked at all.
        let formats = [bind("", "o", &[], &[], &[0, 1, 1]), execute("", 0), sync()].concat();
        let apart = [bind("p", "o", &[], &[], &[]), execute("p", 0), sync()].concat();
        let failing = [bind("", "nothing", &[], &[], &[]), execute("", 0), sync()].concat();
        let behind = [
            (apart, "2DCZ2DCZ"),
            (failing, "2DCZEZ"),
            (formats, "2DCZEZ"),
            (run("f"), "2DCZEZ"),
        ];
        for (behind, wanted) in behind {
            server.door.seen.ops.borrow_mut().clear();
            client.send(&[run("a"), behind].concat()).await;
            while server.door.seen.ops.borrow().is_empty() {
                runtime::sleep(Duration::from_millis(1)).await;
            }
            runtime::sleep(Duration::from_millis(5)).await;
            assert_eq!(*server.door.seen.ops.borrow(), ["run apart"]);
            server.door.seen.release.notify_all();
            let mut said = client.until_ready().await;
            said.extend(client.until_ready().await);
            assert_eq!(tags(&said), wanted);
        }
    });
}

#[test]
fn what_waits_for_another_shard_does_not_hold_up_the_next_statement_and_answers_stay_in_order() {
    with_server(4, |server| async move {
        let mut client = server.connect().await;
        let named = [parse("a", "apart", &[]), parse("o", "once", &[]), sync()];
        client.send(&named.concat()).await;
        client.until_ready().await;
        server.door.seen.ops.borrow_mut().clear();
        let run = |name| [bind("", name, &[], &[], &[]), execute("", 0), sync()].concat();
        let more = OWING_MAX + 3;
        let mut all = [run("a"), run("o"), run("a"), query("rows 1"), run("o")].concat();
        (0..more).for_each(|_| all.extend(run("a")));
        client.send(&all).await;
        let ops = || server.door.seen.ops.borrow().len();
        while ops() < 3 {
            runtime::sleep(Duration::from_millis(1)).await;
        }
        runtime::sleep(Duration::from_millis(5)).await;
        // The query waits for all before it.
        assert_eq!(
            *server.door.seen.ops.borrow(),
            ["run apart", "run", "run apart"]
        );
        let mut said = Vec::new();
        server.door.seen.release.notify_all();
        for _ in 0..5 {
            said.extend(client.until_ready().await);
        }
        while ops() < 5 + OWING_MAX {
            runtime::sleep(Duration::from_millis(1)).await;
        }
        runtime::sleep(Duration::from_millis(5)).await;
        assert_eq!(ops(), 5 + OWING_MAX, "one more waits");
        while said.iter().filter(|s| s.tag == 'Z').count() < 5 + more {
            server.door.seen.release.notify_all();
            said.extend(client.until_ready().await);
        }
        let rows = said.iter().filter(|s| s.tag == 'D').map(|s| {
            let name = s.fields().pop().flatten().unwrap();
            String::from_utf8(name).unwrap()
        });
        let rows: Vec<String> = rows.collect();
        let mut wanted = vec!["apart", "whole", "apart", "é\u{1f600}", "whole"];
        wanted.extend(vec!["apart"; more]);
        assert_eq!(rows, wanted);
    });
}

//! Right answers pass, wrong ones are found, parts of them are waited for.

use super::*;

fn talk(way: Way) -> Talk {
    Talk {
        way,
        bytes: 41,
        rows: 100_000,
        user: "u".into(),
        database: "d".into(),
    }
}

/// Whole answers end where `good` does, no shorter part of one is whole.
fn holds(way: Way, n: u64, good: &[u8]) {
    let talk = talk(way);
    for end in 0..good.len() {
        assert_eq!(talk.answer(n, &good[..end]), Ok(None), "{way:?} {end}");
    }
    let mut more = good.to_vec();
    more.extend(b"the next");
    let right = Answer {
        len: good.len(),
        wrong: None,
    };
    assert_eq!(talk.answer(n, &more), Ok(Some(right)), "{way:?}");
    let other = (n + 1..)
        .find(|m| talk.key(*m) != talk.key(n))
        .expect("another");
    let answer = talk.answer(other, good);
    if way != Way::Ping
        && let Ok(Some(answer)) = answer
    {
        assert!(answer.wrong.is_some(), "{way:?}");
    }
}

fn row(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    wire::put(&mut out, b'2', |_| {});
    wire::put(&mut out, b'D', |out| {
        out.extend([0, 1]);
        out.extend((value.len() as u32).to_be_bytes());
        out.extend(value);
    });
    wire::put(&mut out, b'C', |out| out.extend(b"SELECT 1\0"));
    wire::put(&mut out, b'Z', |out| out.push(b'I'));
    out
}

#[test]
fn an_answer_is_right_whole_or_wrong() {
    let twice = talk(Way::Get).twice(5);
    holds(Way::Simple, 5, &row(twice.to_string().as_bytes()));
    holds(Way::Prepared, 5, &row(&twice.to_be_bytes()));
    let text = twice.to_string();
    let bulk = format!("${}\r\n{text}\r\n", text.len());
    holds(Way::Get, 5, bulk.as_bytes());
    holds(Way::Ping, 5, b"+PONG\r\n");
    let mut echo = Vec::new();
    talk(Way::Echo).ask(5, &mut echo);
    holds(Way::Echo, 5, &echo);
}

#[test]
fn an_error_is_wrong_and_says_what_it_was() {
    let mut out = Vec::new();
    wire::put(&mut out, b'E', |out| {
        out.extend(b"SERROR\0C42P01\0Mno such table\0\0");
    });
    wire::put(&mut out, b'Z', |out| out.push(b'I'));
    let answer = talk(Way::Simple).answer(1, &out).expect("framed");
    let wrong = answer.expect("whole").wrong;
    assert_eq!(wrong.as_deref(), Some("42P01: no such table"));
    for bytes in [&b"$-1\r\n"[..], b"-ERR no\r\n"] {
        let answer = talk(Way::Get).answer(1, bytes).expect("framed");
        assert!(answer.expect("whole").wrong.is_some());
    }
}

#[test]
fn no_row_is_wrong() {
    let mut out = Vec::new();
    wire::put(&mut out, b'Z', |out| out.push(b'I'));
    let answer = talk(Way::Prepared).answer(1, &out).expect("framed");
    assert_eq!(answer.expect("whole").wrong.as_deref(), Some("0 rows"));
}

#[test]
fn keys_are_spread_over_all_rows() {
    let talk = talk(Way::Get);
    let mut seen = [0u32; 10];
    for n in 0..10_000 {
        seen[(talk.key((3 << 40) + n) / 10_000) as usize] += 1;
    }
    assert!(seen.iter().all(|n| (800..1_200).contains(n)), "{seen:?}");
}

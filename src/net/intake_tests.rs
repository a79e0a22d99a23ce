//! Bytes come out as they went in, from one buffer, from a larger one, and from none at all for a while.

use super::*;
use futures_lite::future::{poll_fn, poll_once};
use futures_lite::io::Cursor;
use runtime::buffers::Limits;
use std::pin::pin;

const MIB: usize = 1 << 20;

/// A pool for `connections` with as little beyond them as there may be.
fn pool(connections: usize, message_bytes_max: usize) -> Rc<Pool> {
    let least = Limits::least(connections, message_bytes_max);
    Pool::new(Limits::for_shard(least, connections, message_bytes_max).unwrap())
}

fn in_use(pool: &Pool) -> usize {
    pool.stats().bytes_in_use
}

async fn fill<S: AsyncRead + Unpin>(intake: &mut Intake, stream: &mut S) -> usize {
    poll_fn(|cx| intake.poll_fill(stream, cx, Growth::Wanted))
        .await
        .unwrap()
}

/// The next message, of this length.
async fn next<S: AsyncRead + Unpin>(intake: &mut Intake, stream: &mut S, length: usize) -> Bytes {
    while intake.front().len() < length {
        intake.want(length);
        assert!(fill(intake, stream).await > 0);
    }
    intake.split(length)
}

fn patterned(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 % 251) as u8).collect()
}

#[test]
fn messages_of_every_class_and_one_byte_more_come_out_whole() {
    runtime::block_on(async {
        let pool = pool(4, 3 * MIB);
        let lengths = [
            1,
            4095,
            4096,
            4097,
            8192,
            8193,
            65_536,
            65_537,
            MIB,
            MIB + 1,
            3 * MIB,
            7,
        ];
        let bytes = patterned(lengths.iter().sum());
        let mut intake = Intake::new(pool.clone());
        let mut stream = Cursor::new(&bytes[..]);
        let mut at = 0;
        for length in lengths {
            // One is done with before the next, as in a conversation: together they are more than the pool has.
            let part = next(&mut intake, &mut stream, length).await;
            assert!(part == bytes[at..at + length], "at {at}");
            at += length;
        }
        assert_eq!(at, bytes.len());
        assert!(intake.is_empty());
        assert_eq!(in_use(&pool), 0);
    });
}

#[test]
fn an_empty_intake_holds_nothing_while_it_waits_for_its_client() {
    runtime::block_on(async {
        let pool = pool(4, MIB);
        let mut intake = Intake::new(pool.clone());
        let mut silent = Silent;
        let waiting = poll_once(poll_fn(|cx| {
            intake.poll_fill(&mut silent, cx, Growth::Wanted)
        }));
        assert!(waiting.await.is_none());
        assert_eq!(in_use(&pool), 0);
    });
}

struct Silent;

impl AsyncRead for Silent {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Pending
    }
}

#[test]
fn half_a_short_message_is_kept_in_the_smallest_buffer() {
    runtime::block_on(async {
        let pool = pool(4, MIB);
        let mut intake = Intake::new(pool.clone());
        fill(&mut intake, &mut Cursor::new(b"abc")).await;
        assert_eq!(in_use(&pool), Class::Kib64.bytes());
        intake.want(10);
        let waiting = poll_once(poll_fn(|cx| {
            intake.poll_fill(&mut Silent, cx, Growth::Wanted)
        }));
        assert!(waiting.await.is_none());
        assert_eq!(in_use(&pool), Class::Kib4.bytes());
        fill(&mut intake, &mut Cursor::new(b"defghij")).await;
        assert_eq!(&intake.split(10)[..], b"abcdefghij");
        assert_eq!(in_use(&pool), 0);
    });
}

#[test]
fn a_piece_keeps_its_buffer_and_what_follows_gets_another() {
    runtime::block_on(async {
        let pool = pool(4, MIB);
        let mut intake = Intake::new(pool.clone());
        let bytes = patterned(20_000);
        fill(&mut intake, &mut Cursor::new(&bytes)).await;
        let piece = intake.split(10_000);
        // It is shared, so that nothing is read into it.
        intake.want(10_001);
        let spared = poll_once(poll_fn(|cx| {
            intake.poll_fill(&mut Cursor::new(b"x"), cx, Growth::Spared)
        }));
        assert!(spared.await.is_none());
        assert_eq!(fill(&mut intake, &mut Cursor::new(b"x")).await, 1);
        assert_eq!(&piece[..], &bytes[..10_000]);
        let rest = intake.split(10_001);
        assert_eq!(&rest[..10_000], &bytes[10_000..]);
        assert_eq!(rest[10_000], b'x');
        assert!(in_use(&pool) > 0);
        drop((piece, rest));
        assert_eq!(in_use(&pool), 0);
    });
}

#[test]
fn without_a_buffer_nothing_is_read_until_there_is_one() {
    runtime::block_on(async {
        let pool = pool(1, MIB);
        let mut held = Vec::new();
        for class in Class::ALL {
            while let Some(buffer) = pool.try_take(Share::Receive, class) {
                held.push(buffer);
            }
        }
        let mut intake = Intake::new(pool.clone());
        let bytes = patterned(100);
        let mut stream = Cursor::new(&bytes);
        {
            let mut filling = pin!(fill(&mut intake, &mut stream));
            assert!(poll_once(&mut filling).await.is_none());
            assert_eq!(pool.stats().of(Class::Kib4).waiting, 1);
        }
        assert_eq!(stream.position(), 0, "nothing was read");
        intake.stop_asking();
        assert_eq!(pool.stats().of(Class::Kib4).waiting, 0);
        {
            let mut filling = pin!(fill(&mut intake, &mut stream));
            assert!(poll_once(&mut filling).await.is_none());
            held.clear();
            assert_eq!(filling.await, 100);
        }
        assert_eq!(&intake.split(100)[..], &bytes[..]);
        assert_eq!(in_use(&pool), 0);
    });
}

#[test]
fn a_long_message_waits_for_its_class_while_short_ones_pass() {
    runtime::block_on(async {
        let pool = pool(8, MIB);
        let mut held = Vec::new();
        while let Some(buffer) = pool.try_take(Share::Receive, Class::Mib1) {
            held.push(buffer);
        }
        while let Some(buffer) = pool.try_take(Share::Extra, Class::Kib64) {
            held.push(buffer);
        }
        let bytes = patterned(100_000);
        let mut long = Intake::new(pool.clone());
        let mut stream = Cursor::new(&bytes);
        long.want(100_000);
        {
            let mut filling = pin!(async {
                while long.front().len() < 100_000 {
                    fill(&mut long, &mut stream).await;
                }
            });
            assert!(poll_once(&mut filling).await.is_none());
            assert_eq!(pool.stats().of(Class::Mib1).waiting, 1);
            let mut short = Intake::new(pool.clone());
            let mut stream = Cursor::new(&bytes[..4196]);
            let first = next(&mut short, &mut stream, 4096).await;
            let second = next(&mut short, &mut stream, 100).await;
            assert_eq!([first, second].concat(), bytes[..4196]);
            held.clear();
            filling.await;
        }
        assert!(long.split(100_000) == bytes);
        assert_eq!(in_use(&pool), 0);
    });
}

//! The pool alone: ceilings at their maximum and one more, order of waiting, nothing lost, nothing over.

use super::limits::{SHARES, Share};
use super::*;
use crate::{block_on, spawn, yield_now};
use futures_lite::future::poll_once;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::cell::RefCell;
use std::pin::pin;

const SHARED: [Share; SHARES] = [Share::Receive, Share::Send, Share::Disk, Share::Extra];
const WAITED: [Share; 3] = [Share::Receive, Share::Send, Share::Disk];
const MIB: usize = 1 << 20;

/// A pool without floors.
fn common(bytes: usize) -> Rc<Pool> {
    Pool::new(Limits::of(Default::default(), bytes))
}

fn is_empty(pool: &Pool) {
    let stats = pool.stats();
    assert_eq!(stats.bytes_in_use, 0);
    assert!(stats.bytes_free <= stats.bytes_max);
    for class in stats.classes {
        assert_eq!((class.in_use, class.waiting), (0, 0), "{class:?}");
    }
}

#[test]
fn each_class_gives_its_ceiling_and_not_one_more_and_gives_again() {
    for class in Class::ALL {
        let pool = Pool::new(Limits::for_shard(64 * MIB, 100, MIB).unwrap());
        let mut taken: Vec<Buffer> = Vec::new();
        for share in SHARED {
            while let Some(buffer) = pool.try_take(share, class) {
                taken.push(buffer);
            }
        }
        // The last quarter of the common part is not for what is extra: those who waited for it have it now.
        let ceiling = pool.limits().ceiling(class);
        assert_eq!(taken.len(), ceiling, "{class:?}");
        assert_eq!(pool.stats().of(class).in_use, ceiling);
        assert!(WAITED.iter().all(|s| pool.try_take(*s, class).is_none()));
        let refused = pool.stats().of(class).refused;
        assert_eq!(refused, 4 + 3);
        taken.pop();
        let again = pool.try_take(Share::Receive, class).unwrap_or_else(|| {
            // What was given back may have been another share's floor.
            taken.clear();
            pool.try_take(Share::Receive, class).unwrap()
        });
        drop((again, taken));
        is_empty(&pool);
        assert_eq!(pool.stats().of(class).high_water, ceiling);
    }
}

#[test]
fn bytes_of_all_classes_together_stay_within_the_ceiling() {
    let pool = common(8 * MIB);
    let mut taken = Vec::new();
    for class in Class::ALL.into_iter().rev() {
        while let Some(buffer) = pool.try_take(Share::Send, class) {
            taken.push(buffer);
        }
    }
    let stats = pool.stats();
    assert_eq!(stats.bytes_in_use, 8 * MIB);
    assert_eq!(stats.bytes_high_water, stats.bytes_max);
}

#[test]
fn a_floor_is_for_its_share_alone() {
    let limits = Limits::for_shard(32 * MIB, 10, MIB).unwrap();
    let pool = Pool::new(limits);
    let mut taken: Vec<Buffer> = Vec::new();
    for class in Class::ALL {
        while let Some(buffer) = pool.try_take(Share::Send, class) {
            taken.push(buffer);
        }
    }
    for share in [Share::Receive, Share::Disk] {
        for class in Class::ALL {
            for n in 0..pool.limits().floor(share, class) {
                let buffer = pool.try_take(share, class);
                taken.push(buffer.unwrap_or_else(|| panic!("{share:?} {class:?} {n}")));
            }
        }
    }
    assert!(pool.try_take(Share::Extra, Class::Kib4).is_none());
    assert!(pool.stats().bytes_in_use <= 32 * MIB);
}

#[test]
fn what_is_extra_leaves_a_quarter_to_those_who_cannot_do_without() {
    let pool = common(4 * MIB);
    let extra: Vec<Buffer> =
        std::iter::from_fn(|| pool.try_take(Share::Extra, Class::Kib4)).collect();
    assert_eq!(extra.len(), 3 * MIB / 4096);
    let more: Vec<Buffer> =
        std::iter::from_fn(|| pool.try_take(Share::Receive, Class::Kib4)).collect();
    assert_eq!(more.len(), MIB / 4096);
}

#[test]
fn limits_say_what_they_need_and_take_exactly_that() {
    let least = Limits::least(10_000, MIB);
    // Two buffers a connection, and what is there for any number of them.
    assert_eq!(least, 20_000 * 4096 + Limits::least(0, MIB));
    assert!(Limits::for_shard(least, 10_000, MIB).is_ok());
    let error = Limits::for_shard(least - 1, 10_000, MIB).unwrap_err();
    assert_eq!((error.least, error.bytes_max), (least, least - 1));
    let larger = Limits::for_shard(usize::MAX / 2, 1, 100 * MIB).unwrap();
    assert_eq!(larger.floor(Share::Receive, Class::Mib1), 100);
}

#[test]
fn lengths_go_to_the_class_that_holds_them() {
    for (len, class) in [
        (0, Some(Class::Kib4)),
        (4096, Some(Class::Kib4)),
        (4097, Some(Class::Kib8)),
        (8192, Some(Class::Kib8)),
        (8193, Some(Class::Kib64)),
        (65_536, Some(Class::Kib64)),
        (65_537, Some(Class::Mib1)),
        (MIB, Some(Class::Mib1)),
        (MIB + 1, None),
    ] {
        assert_eq!(Class::fitting(len), class, "{len}");
    }
    for len in [
        0,
        1,
        4096,
        4097,
        12_288,
        65_535,
        65_536,
        70_000,
        MIB,
        3 * MIB + 1,
    ] {
        let (class, units) = Class::covering(len);
        let bytes = class.bytes() * units;
        assert!(bytes >= len && bytes < len + class.bytes() + 4096, "{len}");
    }
    assert_eq!(Class::covering(65_536), (Class::Kib64, 1));
    assert_eq!(Class::covering(512 << 10), (Class::Kib64, 8));
}

#[test]
fn a_buffer_is_aligned_holds_its_class_and_shows_only_what_was_written() {
    let pool = common(8 * MIB);
    for class in Class::ALL {
        let mut buffer = pool.try_take(Share::Send, class).unwrap();
        assert_eq!(buffer.capacity(), class.bytes());
        assert_eq!(buffer.spare().as_ptr() as usize % 4096, 0);
        assert!(buffer.is_empty());
        let bytes = vec![7; class.bytes() + 1];
        assert_eq!(buffer.fill(&bytes), class.bytes(), "and not one byte more");
        assert_eq!(buffer.fill(&[1]), 0);
        assert_eq!(&buffer[..], &bytes[1..]);
        buffer.shift(class.bytes() - 3);
        assert_eq!(&buffer[..], [7, 7, 7]);
        buffer.advance(usize::MAX);
        assert_eq!(buffer.len(), class.bytes());
        drop(buffer);
        let again = pool.try_take(Share::Send, class).unwrap();
        assert!(again.is_empty(), "what another wrote is not shown");
    }
}

#[test]
fn memory_is_used_again_and_what_lies_free_goes_before_the_ceiling_is_passed() {
    let pool = common(4 * MIB);
    let small: Vec<Buffer> =
        std::iter::from_fn(|| pool.try_take(Share::Send, Class::Kib4)).collect();
    assert_eq!(small.len(), 1024);
    drop(small);
    assert_eq!(pool.stats().bytes_free, 4 * MIB);
    let large = [
        pool.try_take(Share::Send, Class::Mib1).unwrap(),
        pool.try_take(Share::Send, Class::Mib1).unwrap(),
    ];
    let stats = pool.stats();
    assert_eq!(stats.bytes_in_use + stats.bytes_free, 4 * MIB);
    drop(large);
    assert_eq!(pool.stats().of(Class::Mib1).free, 2);
    let again = pool.try_take(Share::Send, Class::Mib1).unwrap();
    assert_eq!(pool.stats().of(Class::Mib1).free, 1);
    drop(again);
}

#[test]
fn what_lay_free_for_a_while_goes_back_to_the_system_but_for_a_little() {
    let pool = common(8 * MIB);
    drop(Vec::from_iter(std::iter::from_fn(|| {
        pool.try_take(Share::Send, Class::Kib64)
    })));
    let free = pool.stats().of(Class::Kib64).free;
    assert_eq!(free, 96);
    pool.trim();
    assert_eq!(
        pool.stats().of(Class::Kib64).free,
        free,
        "it was in use until now"
    );
    let busy: Vec<Buffer> = (0..10)
        .filter_map(|_| pool.try_take(Share::Send, Class::Kib64))
        .collect();
    drop(busy);
    pool.trim();
    assert_eq!(pool.stats().of(Class::Kib64).free, 10 + 4);
    pool.trim();
    assert_eq!(pool.stats().of(Class::Kib64).free, 4);
    assert_eq!(pool.stats().bytes_free, 4 * 64 * 1024);
}

#[test]
fn who_waits_is_served_in_order_and_a_large_request_is_not_starved_by_small_ones() {
    block_on(async {
        let pool = common(4 * MIB);
        let mut held = Vec::new();
        while let Some(buffer) = pool.try_take(Share::Send, Class::Kib64) {
            held.push(buffer);
        }
        while let Some(buffer) = pool.try_take(Share::Send, Class::Kib4) {
            held.push(buffer);
        }
        let order = Rc::new(RefCell::new(Vec::new()));
        let mut tasks = Vec::new();
        for (name, class) in [
            ("large", Class::Mib1),
            ("first small", Class::Kib4),
            ("second small", Class::Kib4),
        ] {
            let (pool, order) = (pool.clone(), order.clone());
            tasks.push(spawn(async move {
                let buffer = pool.take(Share::Receive, class).await;
                order.borrow_mut().push(name);
                buffer
            }));
            yield_now().await;
        }
        assert_eq!(pool.stats().of(Class::Mib1).waiting, 1);
        assert_eq!(pool.stats().of(Class::Kib4).waiting, 2);
        while held.pop().is_some() {
            let waiting: usize = pool.stats().classes.iter().map(|c| c.waiting).sum();
            let overtaking = pool.try_take(Share::Send, Class::Kib4);
            assert!(waiting == 0 || overtaking.is_none(), "nobody overtakes");
            yield_now().await;
        }
        assert_eq!(*order.borrow(), ["large", "first small", "second small"]);
        for task in tasks {
            drop(task.await);
        }
        is_empty(&pool);
        let stats = pool.stats().of(Class::Kib4);
        assert_eq!(stats.waits, 2);
        assert!(stats.wait_ns > 0);
    });
}

#[test]
fn who_waits_for_the_common_part_does_not_hold_up_a_floor() {
    block_on(async {
        let pool = Pool::new(Limits::for_shard(Limits::least(4, MIB), 4, MIB).unwrap());
        let mut held = Vec::new();
        while let Some(buffer) = pool.try_take(Share::Receive, Class::Mib1) {
            held.push(buffer);
        }
        let mut waiting = pin!(pool.take(Share::Receive, Class::Mib1));
        assert!(poll_once(&mut waiting).await.is_none());
        for class in Class::ALL {
            let mut disk = pin!(pool.take(Share::Disk, class));
            assert!(poll_once(&mut disk).await.is_some(), "{class:?}");
        }
        assert!(pool.try_take(Share::Send, Class::Kib4).is_some());
        held.pop();
        assert!(poll_once(&mut waiting).await.is_some());
    });
}

#[test]
fn a_waiter_that_gives_up_leaves_its_place_and_what_it_was_given() {
    block_on(async {
        let pool = common(4 * MIB);
        let mut held: Vec<Buffer> =
            std::iter::from_fn(|| pool.try_take(Share::Send, Class::Mib1)).collect();
        let mut first = Box::pin(pool.take(Share::Receive, Class::Mib1));
        let mut second = Box::pin(pool.take(Share::Receive, Class::Mib1));
        assert!(poll_once(&mut first).await.is_none());
        assert!(poll_once(&mut second).await.is_none());
        held.pop();
        // It was granted and never polled again.
        drop(first);
        let buffer = poll_once(&mut second).await;
        assert!(buffer.is_some());
        drop((buffer, second, held));
        // One that was never polled has no place to leave.
        drop(pool.take(Share::Receive, Class::Mib1));
        is_empty(&pool);
        assert_eq!(pool.stats().of(Class::Mib1).waits, 2);
    });
}

#[test]
fn a_request_beyond_all_there_is_runs_alone() {
    block_on(async {
        let pool = common(8 * MIB);
        let one = pool.try_take(Share::Send, Class::Mib1).unwrap();
        let mut all = pin!(pool.hold(Share::Send, 100 * MIB));
        assert!(poll_once(&mut all).await.is_none());
        drop(one);
        let hold = poll_once(&mut all).await.unwrap();
        assert_eq!(hold.bytes(), 4 * MIB);
        assert!(pool.try_take(Share::Send, Class::Mib1).is_none());
        drop(hold);
        is_empty(&pool);
    });
}

/// What a random test does next.
fn step(pool: &Rc<Pool>, random: &mut StdRng, held: &mut Vec<Buffer>, waits: &mut Vec<Take>) {
    let class = Class::ALL[random.random_range(0..4)];
    match random.random_range(0..10) {
        0..4 => held.extend(pool.try_take(SHARED[random.random_range(0..4)], class)),
        4..8 if !held.is_empty() => {
            let at = random.random_range(0..held.len());
            drop(held.swap_remove(at));
        }
        8 => waits.push(pool.take(WAITED[random.random_range(0..3)], class)),
        _ if !waits.is_empty() => {
            let at = random.random_range(0..waits.len());
            drop(waits.swap_remove(at));
        }
        _ => {}
    }
}

#[test]
fn ten_thousand_takes_and_drops_in_any_order_lose_nothing_and_pass_no_ceiling() {
    block_on(async {
        for seed in 0..20 {
            let pool = Pool::new(Limits::for_shard(24 * MIB, 20, MIB).unwrap());
            let mut random = StdRng::seed_from_u64(seed);
            let (mut held, mut waits) = (Vec::new(), Vec::new());
            for _ in 0..10_000 {
                step(&pool, &mut random, &mut held, &mut waits);
                let mut pending = Vec::new();
                for mut wait in waits.drain(..) {
                    match poll_once(&mut wait).await {
                        Some(buffer) => held.push(buffer),
                        None => pending.push(wait),
                    }
                }
                waits = pending;
                let stats = pool.stats();
                let (mut bytes, mut free) = (0, 0);
                for class in stats.classes {
                    assert!(class.in_use <= class.ceiling, "seed {seed}: {class:?}");
                    bytes += class.in_use * class.class.bytes();
                    free += class.free * class.class.bytes();
                }
                assert_eq!(bytes, stats.bytes_in_use);
                assert_eq!(free, stats.bytes_free);
                assert!(bytes + free <= stats.bytes_max, "seed {seed}");
                assert_eq!(held.iter().map(Buffer::capacity).sum::<usize>(), bytes);
                let waiting: usize = stats.classes.iter().map(|c| c.waiting).sum();
                assert_eq!(waiting, waits.len());
            }
            drop(held);
            for wait in waits {
                drop(
                    poll_once(wait)
                        .await
                        .expect("with nothing out there is room"),
                );
            }
            is_empty(&pool);
        }
    });
}

/// A stream that takes up to `most` bytes a call, every other time none.
struct Slow {
    taken: Vec<u8>,
    most: usize,
    ready: bool,
}

impl futures_lite::io::AsyncWrite for Slow {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        self.ready = !self.ready;
        if !self.ready {
            cx.waker().wake_by_ref();
            return std::task::Poll::Pending;
        }
        let n = buf.len().min(self.most);
        self.taken.extend_from_slice(&buf[..n]);
        std::task::Poll::Ready(Ok(n))
    }

    fn poll_write_vectored(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> std::task::Poll<std::io::Result<usize>> {
        let joined: Vec<u8> = bufs.iter().flat_map(|b| b.iter().copied()).collect();
        self.as_mut().poll_write(cx, &joined)
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn poll_close(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}

#[test]
fn what_is_gathered_arrives_in_order_however_it_is_cut() {
    block_on(async {
        let mut random = StdRng::seed_from_u64(3);
        for most in [1, 100, 5_000, 1 << 20] {
            let pool = common(4 * MIB);
            let mut gather = Gather::new(pool.clone());
            let mut stream = Slow {
                taken: Vec::new(),
                most,
                ready: false,
            };
            let mut expected = Vec::new();
            for n in 0..20 {
                for _ in 0..random.random_range(1..40) {
                    let bytes = vec![n; random.random_range(0..700)];
                    assert_eq!(gather.append(&bytes), bytes.len());
                    expected.extend_from_slice(&bytes);
                }
                let tail = vec![100 + n; random.random_range(0..2) * 10_000];
                gather.write_with(&mut stream, &tail).await.unwrap();
                expected.extend_from_slice(&tail);
                assert!(gather.is_empty());
                is_empty(&pool);
            }
            assert!(stream.taken == expected, "most {most}");
        }
    });
}

#[test]
fn small_writes_share_buffers_and_long_ones_get_larger_ones() {
    let pool = common(8 * MIB);
    let mut gather = Gather::new(pool.clone());
    for _ in 0..40 {
        assert_eq!(gather.append(&[1; 100]), 100);
    }
    assert_eq!(pool.stats().of(Class::Kib4).in_use, 1);
    assert_eq!(gather.append(&[1; 200]), 200);
    assert_eq!(pool.stats().of(Class::Kib8).in_use, 1);
    assert_eq!(gather.append(&[1; 50_000]), 50_000);
    assert_eq!(pool.stats().of(Class::Kib64).in_use, 1);
    // Up to what it may gather and the room in its last buffer.
    let rest = gather.append(&[1; 1 << 20]);
    assert!(rest < 1 << 17, "{rest}");
    assert_eq!(gather.append(&[1]), 0);
    gather.clear();
    is_empty(&pool);
}

#[test]
fn a_gather_that_finds_the_pool_empty_waits_for_one_small_buffer_and_goes_on_with_it() {
    block_on(async {
        let pool = common(4 * MIB);
        let mut held: Vec<Buffer> =
            std::iter::from_fn(|| pool.try_take(Share::Send, Class::Kib4)).collect();
        let mut gather = Gather::new(pool.clone());
        assert_eq!(gather.append(&[1; 10_000]), 0);
        assert!(poll_once(gather.room()).await.is_none());
        is_waiting_for_nobody(&pool);
        held.pop();
        gather.room().await;
        assert_eq!(gather.append(&[1; 10_000]), 4096, "all that there is");
        assert_eq!(gather.append(&[1]), 0);
        assert!(poll_once(gather.room()).await.is_some(), "it has one");
        drop(gather);
        drop(held);
        is_empty(&pool);
    });
}

#[test]
fn each_shard_has_a_pool_of_the_limits_it_was_started_with() {
    let limits = Limits::for_shard(40 * MIB, 7, MIB).unwrap();
    let options = crate::ShardOptions {
        shards: 2,
        buffers: limits,
        ..crate::ShardOptions::default()
    };
    let shards = crate::start(options, |_| async {
        assert_eq!(current().limits().bytes_max(), 40 * MIB);
        let buffer = take(Share::Receive, Class::Kib4).await;
        crate::sleep(std::time::Duration::from_millis(20)).await;
        // The other shard has one too.
        assert_eq!(current().stats().of(Class::Kib4).in_use, 1);
        drop(buffer);
        is_empty(&current());
    });
    shards.unwrap().join().unwrap();
}

fn is_waiting_for_nobody(pool: &Pool) {
    assert!(pool.stats().classes.iter().all(|c| c.waiting == 0));
}

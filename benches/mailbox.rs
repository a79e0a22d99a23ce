//! The wall between shards: what a message costs.
//!
//! `call_alone` is one round trip at a time between two otherwise idle shards: waking a parked thread is nearly
//! all of it. `call_64_in_flight` is the cost of a call under load, `note` that of a one-way message, `spawn` that
//! of a local task, which every served message pays for. `half_load` sends calls at half the rate that 64 in flight reach,
//! whether or not earlier ones are back, and prints how long each took from when it was due. Numbers belong into commit
//! messages, with the machine.

mod percentiles;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hdrhistogram::Histogram;
use percentiles::Percentiles;
use runtime::{BoundPort, Port, ShardOptions, block_on, mesh, spawn, start};
use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use types::ShardId;

const PEER: ShardId = ShardId(1);

/// Runs `drive` on shard 0 against a shard 1 that answers, and returns what it measured.
fn between_two<F, Fut>(credits: usize, drive: F) -> Duration
where
    F: Fn(Rc<BoundPort<u64, u64>>) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let ports: Vec<Option<Port<u64, u64>>> = mesh(2, credits).into_iter().map(Some).collect();
    let (ports, took) = (Arc::new(Mutex::new(ports)), Arc::new(Mutex::new(None)));
    let done = Arc::new(AtomicBool::new(false));
    let result = took.clone();
    let options = ShardOptions {
        shards: 2,
        pin: true,
        ..ShardOptions::default()
    };
    let shards = start(options, move |shard| {
        let port = ports
            .lock()
            .expect("a lock")
            .get_mut(usize::from(shard.0))
            .and_then(Option::take);
        let (drive, took, done) = (drive.clone(), took.clone(), done.clone());
        async move {
            let port = port.expect("a port a shard").bind();
            port.serve(|_, q| async move { q + 1 });
            if shard == PEER {
                while !done.load(Ordering::Acquire) {
                    runtime::sleep(Duration::from_millis(5)).await;
                }
                return;
            }
            // The first call pays for both shards' start.
            port.call(PEER, 0).await.expect("an answer");
            let began = runtime::Instant::now();
            drive(port).await;
            *took.lock().expect("a lock") = Some(began.elapsed());
            done.store(true, Ordering::Release);
        }
    });
    shards.expect("two shards").join().expect("no panic");
    let measured = result.lock().expect("a lock").take();
    measured.expect("shard 0 measured")
}

fn calls(c: &mut Criterion) {
    let alone = Percentiles::new();
    let mut group = c.benchmark_group("mailbox");
    group.sample_size(10).throughput(Throughput::Elements(1));
    group.bench_function("call_alone", |b| {
        b.iter_custom(|n| {
            let each = alone.clone();
            between_two(64, move |port| {
                let each = each.clone();
                async move {
                    for q in 0..n {
                        let begun = runtime::Instant::now();
                        port.call(PEER, q).await.expect("an answer");
                        each.record(begun.elapsed());
                    }
                }
            })
        });
    });
    group.bench_function("call_64_in_flight", |b| {
        b.iter_custom(|n| between_two(64, move |port| in_flight(port, n)));
    });
    group.bench_function("note", |b| {
        b.iter_custom(|n| {
            between_two(1024, move |port| async move {
                for q in 0..n {
                    port.note(PEER, q).await.expect("room");
                }
                // Behind all notes in time, so that none is unpaid for.
                port.call(PEER, 0).await.expect("an answer");
            })
        });
    });
    group.finish();
    alone.print("mailbox/call_alone");
}

fn local(c: &mut Criterion) {
    let mut group = c.benchmark_group("local");
    group.sample_size(10).throughput(Throughput::Elements(1));
    group.bench_function("spawn", |b| {
        b.iter_custom(|n| {
            block_on(async move {
                let began = runtime::Instant::now();
                for q in 0..n {
                    assert_eq!(spawn(async move { q }).await, q);
                }
                began.elapsed()
            })
        });
    });
    group.finish();
}

/// Calls in `half_load`, for each of its two parts.
const CALLS: u64 = 400_000;

fn half_load(_: &mut Criterion) {
    let all_at_once = between_two(64, |port| in_flight(port, CALLS));
    let interval_ns = 2 * all_at_once.as_nanos() as u64 / CALLS;
    let took = Arc::new(Mutex::new(Histogram::<u64>::new(3).expect("three digits")));
    let recorded = took.clone();
    between_two(1024, move |port| {
        at_a_rate(port, interval_ns, recorded.clone())
    });
    let took = took.lock().expect("a lock");
    let us = |quantile| took.value_at_quantile(quantile) as f64 / 1e3;
    println!(
        "mailbox/half_load: {} calls/s, p50 {:.1} us, p99 {:.1} us, p99.9 {:.1} us, max {:.0} us",
        1_000_000_000 / interval_ns.max(1),
        us(0.5),
        us(0.99),
        us(0.999),
        us(1.0)
    );
}

async fn at_a_rate(
    port: Rc<BoundPort<u64, u64>>,
    interval_ns: u64,
    recorded: Arc<Mutex<Histogram<u64>>>,
) {
    let begun = runtime::monotonic_ns();
    let took = Rc::new(RefCell::new(Vec::with_capacity(CALLS as usize)));
    let mut calls = Vec::with_capacity(CALLS as usize);
    for q in 0..CALLS {
        let due = begun + q * interval_ns;
        while runtime::monotonic_ns() < due {
            runtime::yield_now().await;
        }
        let (port, took) = (port.clone(), took.clone());
        calls.push(spawn(async move {
            port.call(PEER, q).await.expect("an answer");
            took.borrow_mut().push(runtime::monotonic_ns() - due);
        }));
    }
    for call in calls {
        call.await;
    }
    let mut recorded = recorded.lock().expect("a lock");
    for ns in took.borrow().iter() {
        recorded.record(*ns).expect("less than a century");
    }
}

async fn in_flight(port: Rc<BoundPort<u64, u64>>, calls: u64) {
    let tasks: Vec<_> = (0..64)
        .map(|lot| {
            let port = port.clone();
            spawn(async move {
                for q in 0..calls / 64 + u64::from(lot < calls % 64) {
                    port.call(PEER, q).await.expect("an answer");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await;
    }
}

criterion_group!(benches, calls, local, half_load);
criterion_main!(benches);

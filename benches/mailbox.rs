//! The wall between shards: what a message costs.
//!
//! `call_alone` is one round trip at a time between two otherwise idle shards: waking a parked thread is nearly
//! all of it. `call_64_in_flight` is the cost of a call under load, `note` that of a one-way message, `spawn` that
//! of a local task, which every served message pays for. Numbers belong into commit messages, with the machine.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use runtime::{BoundPort, Port, ShardOptions, block_on, mesh, spawn, start};
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
    let mut group = c.benchmark_group("mailbox");
    group.sample_size(10).throughput(Throughput::Elements(1));
    group.bench_function("call_alone", |b| {
        b.iter_custom(|n| {
            between_two(64, move |port| async move {
                for q in 0..n {
                    port.call(PEER, q).await.expect("an answer");
                }
            })
        });
    });
    group.bench_function("call_64_in_flight", |b| {
        b.iter_custom(|n| {
            between_two(64, move |port| async move {
                let tasks: Vec<_> = (0..64)
                    .map(|lot| {
                        let port = port.clone();
                        spawn(async move {
                            for q in 0..n / 64 + u64::from(lot < n % 64) {
                                port.call(PEER, q).await.expect("an answer");
                            }
                        })
                    })
                    .collect();
                for task in tasks {
                    task.await;
                }
            })
        });
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

criterion_group!(benches, calls, local);
criterion_main!(benches);

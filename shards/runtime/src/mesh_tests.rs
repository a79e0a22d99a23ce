//! Lanes between shards: order, credits, panics of handlers, closing.

use super::*;
use crate::task::{spawn, yield_now};
use crate::time::{sleep, timeout};
use crate::{ShardOptions, Shards, start};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

/// Starts one shard a port and gives each its own.
fn on_shards<Q, R, F, Fut>(ports: Vec<Port<Q, R>>, main: F) -> Shards
where
    Q: Send + 'static,
    R: Send + 'static,
    F: Fn(Rc<BoundPort<Q, R>>) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let opts = ShardOptions {
        shards: ports.len(),
        ..ShardOptions::default()
    };
    let ports = Arc::new(Mutex::new(ports.into_iter().map(Some).collect::<Vec<_>>()));
    start(opts, move |shard| {
        let port = ports.lock().unwrap()[usize::from(shard.0)].take().unwrap();
        let main = main.clone();
        async move {
            assert_eq!(port.shard(), shard);
            main(port.bind()).await;
        }
    })
    .unwrap()
}

/// A shard's main ends only when all shards came here, so that nobody's peer leaves early.
#[derive(Clone, Default)]
struct Finish(Arc<AtomicUsize>);

impl Finish {
    async fn all(&self, shards: usize) {
        self.0.fetch_add(1, Ordering::SeqCst);
        while self.0.load(Ordering::SeqCst) < shards {
            sleep(Duration::from_millis(1)).await;
        }
    }
}

#[test]
fn calls_come_back_to_who_made_them_on_any_number_of_shards() {
    for shards in [1, 2, 4] {
        let finish = Finish::default();
        on_shards(mesh::<u64, u64>(shards, 8), move |port| {
            let finish = finish.clone();
            async move {
                port.serve(|from, q| async move {
                    if q % 3 == 0 {
                        yield_now().await;
                    }
                    q * 1000 + u64::from(from.0)
                });
                let me = port.shard();
                let mut tasks = Vec::new();
                for to in (0..shards as u16).map(ShardId).filter(|to| *to != me) {
                    for lot in 0..32 {
                        let port = port.clone();
                        tasks.push(spawn(async move {
                            for n in 0..200 {
                                let q = lot * 1_000_000 + n;
                                let r = port.call(to, q).await.unwrap();
                                assert_eq!(r, q * 1000 + u64::from(me.0));
                            }
                        }));
                    }
                }
                timeout(SOON, async {
                    for task in tasks {
                        task.await;
                    }
                })
                .await
                .expect("a wake-up was lost");
                let stats = port.stats();
                assert_eq!(stats.calls, (shards as u64 - 1) * 32 * 200);
                assert_eq!(stats.replies, stats.calls);
                assert!(shards == 1 || stats.credit_waits > 0);
                finish.all(shards).await;
            }
        })
        .join()
        .unwrap();
    }
}

#[test]
fn one_at_a_time_over_an_idle_mesh_loses_no_wake_up() {
    let finish = Finish::default();
    on_shards(mesh::<u32, u32>(2, 1), move |port| {
        let finish = finish.clone();
        async move {
            port.serve(|_, q| async move { q + 1 });
            if port.shard() == ShardId(0) {
                let all = async {
                    for n in 0..3000 {
                        assert_eq!(port.call(ShardId(1), n).await, Ok(n + 1));
                        if n % 100 == 0 {
                            sleep(Duration::from_micros(300)).await;
                        }
                    }
                };
                timeout(SOON, all).await.expect("a wake-up was lost");
            }
            finish.all(2).await;
        }
    })
    .join()
    .unwrap();
}

#[test]
fn credits_are_the_ceiling_of_calls_in_flight_and_one_more_waits() {
    const CREDITS: usize = 4;
    let (finish, open) = (Finish::default(), Arc::new(AtomicBool::new(false)));
    let most = Arc::new(AtomicUsize::new(0));
    on_shards(mesh::<(), ()>(2, CREDITS), move |port| {
        let (finish, open, most) = (finish.clone(), open.clone(), most.clone());
        async move {
            let running = Rc::new(Cell::new(0));
            let (gate, peak) = (open.clone(), most.clone());
            port.serve(move |_, ()| {
                let (running, open, peak) = (running.clone(), gate.clone(), peak.clone());
                async move {
                    running.set(running.get() + 1);
                    peak.fetch_max(running.get(), Ordering::SeqCst);
                    while !open.load(Ordering::SeqCst) {
                        sleep(Duration::from_millis(1)).await;
                    }
                    running.set(running.get() - 1);
                }
            });
            if port.shard() == ShardId(0) {
                let calls: Vec<_> = (0..=CREDITS)
                    .map(|_| {
                        let port = port.clone();
                        spawn(async move { port.call(ShardId(1), ()).await })
                    })
                    .collect();
                sleep(Duration::from_millis(30)).await;
                assert_eq!(port.stats().calls, CREDITS as u64, "max + 1 was sent");
                assert_eq!(port.stats().credit_waits, 1);
                assert_eq!(port.in_flight(ShardId(1)), CREDITS);
                open.store(true, Ordering::SeqCst);
                for call in calls {
                    call.await.unwrap();
                }
                assert_eq!(port.in_flight(ShardId(1)), 0);
                assert_eq!(most.load(Ordering::SeqCst), CREDITS);
            }
            finish.all(2).await;
        }
    })
    .join()
    .unwrap();
}

#[test]
fn a_caller_that_went_away_returns_its_credit_with_the_reply() {
    let finish = Finish::default();
    on_shards(mesh::<u32, u32>(2, 2), move |port| {
        let finish = finish.clone();
        async move {
            port.serve(|_, q| async move {
                sleep(Duration::from_millis(3)).await;
                q
            });
            if port.shard() == ShardId(0) {
                for round in 0..10 {
                    for _ in 0..2 {
                        // Sent in the first poll, dropped before the second.
                        let mut call = std::pin::pin!(port.call(ShardId(1), 99));
                        let _ = futures_lite::future::poll_once(&mut call).await;
                    }
                    let call = timeout(SOON, port.call(ShardId(1), round));
                    assert_eq!(call.await.unwrap(), Ok(round));
                }
                assert!(port.stats().replies_unwanted > 0);
                assert_eq!(port.stats().replies, 10);
                while port.in_flight(ShardId(1)) > 0 {
                    sleep(Duration::from_millis(1)).await;
                }
            }
            finish.all(2).await;
        }
    })
    .join()
    .unwrap();
}

#[test]
fn what_is_answered_at_once_does_not_reach_the_handler_and_a_panic_in_it_is_the_callers() {
    let finish = Finish::default();
    on_shards(mesh::<u32, u32>(2, 4), move |port| {
        let finish = finish.clone();
        async move {
            port.answer_at_once(|_, q| {
                assert!(*q != 1, "asked to");
                (q % 2 == 0).then_some(q * 10)
            });
            port.serve(|_, q| async move { q + 100 });
            if port.shard() == ShardId(0) {
                let to = ShardId(1);
                for _ in 0..10 {
                    assert_eq!(port.call(to, 2).await, Ok(20));
                    assert_eq!(port.call(to, 3).await, Ok(103));
                    assert_eq!(port.call(to, 1).await, Err(CallError::Panicked(to)));
                }
                assert_eq!(port.in_flight(to), 0);
            }
            finish.all(2).await;
            if port.shard() == ShardId(1) {
                assert_eq!(port.stats().served, 30);
            }
        }
    })
    .join()
    .unwrap();
}

#[test]
fn a_panicking_handler_is_the_callers_error_and_nobody_elses() {
    let finish = Finish::default();
    on_shards(mesh::<u32, u32>(2, 4), move |port| {
        let finish = finish.clone();
        async move {
            port.serve(|_, q| {
                assert!(q != 1, "before the first await");
                async move {
                    yield_now().await;
                    assert!(q != 2, "after it");
                    q
                }
            });
            if port.shard() == ShardId(0) {
                let to = ShardId(1);
                for _ in 0..10 {
                    assert_eq!(port.call(to, 1).await, Err(CallError::Panicked(to)));
                    assert_eq!(port.call(to, 2).await, Err(CallError::Panicked(to)));
                    assert_eq!(port.call(to, 3).await, Ok(3));
                }
            }
            finish.all(2).await;
            assert_eq!(
                port.stats().panics,
                if port.shard().0 == 1 { 20 } else { 0 }
            );
        }
    })
    .join()
    .unwrap();
}

#[test]
fn notes_arrive_in_order_and_a_full_lane_makes_the_sender_wait() {
    const NOTES: u64 = 2000;
    let (finish, serve) = (Finish::default(), Arc::new(AtomicBool::new(false)));
    let seen = Arc::new(AtomicU64::new(0));
    on_shards(mesh::<u64, ()>(2, 16), move |port| {
        let (finish, serve, seen) = (finish.clone(), serve.clone(), seen.clone());
        async move {
            if port.shard() == ShardId(0) {
                for n in 0..16 {
                    timeout(SOON, port.note(ShardId(1), n))
                        .await
                        .unwrap()
                        .unwrap();
                }
                assert_eq!(port.try_note(ShardId(1), 16), Err(16));
                let one_more = timeout(Duration::from_millis(5), port.note(ShardId(1), 99));
                assert!(one_more.await.is_err(), "max + 1 was taken");
                serve.store(true, Ordering::SeqCst);
                for n in 16..NOTES {
                    timeout(SOON, port.note(ShardId(1), n))
                        .await
                        .unwrap()
                        .unwrap();
                }
                assert!(port.stats().note_waits > 0);
            } else {
                while !serve.load(Ordering::SeqCst) {
                    sleep(Duration::from_millis(1)).await;
                }
                let seen = seen.clone();
                port.serve(move |_, n| {
                    let seen = seen.clone();
                    async move { assert_eq!(seen.fetch_add(1, Ordering::SeqCst), n) }
                });
            }
            let all = async {
                while seen.load(Ordering::SeqCst) < NOTES {
                    sleep(Duration::from_millis(1)).await;
                }
            };
            timeout(SOON, all).await.expect("a wake-up was lost");
            finish.all(2).await;
            assert!(port.stats().lane_depth_max <= 16);
        }
    })
    .join()
    .unwrap();
}

#[test]
fn a_closed_port_answers_what_runs_and_refuses_the_rest() {
    let finish = Finish::default();
    on_shards(mesh::<u32, u32>(2, 4), move |port| {
        let finish = finish.clone();
        async move {
            if port.shard() == ShardId(1) {
                let closing = port.clone();
                port.serve(move |_, q| {
                    let port = closing.clone();
                    async move {
                        port.close();
                        sleep(Duration::from_millis(20)).await;
                        q
                    }
                });
            } else {
                let to = ShardId(1);
                assert_eq!(port.call(to, 7).await, Ok(7), "it ran when the port closed");
                let late = timeout(SOON, port.call(to, 8)).await.unwrap();
                assert_eq!(late, Err(CallError::Closed(to)));
                assert_eq!(port.note(to, 8).await, Err(CallError::Closed(to)));
                assert_eq!(port.try_note(to, 8), Err(8));
            }
            finish.all(2).await;
        }
    })
    .join()
    .unwrap();
}

#[test]
fn a_shard_that_ends_fails_the_calls_that_wait_for_it() {
    on_shards(mesh::<u32, u32>(2, 4), |port| async move {
        if port.shard() == ShardId(1) {
            port.serve(|_, _| std::future::pending());
            sleep(Duration::from_millis(20)).await;
            return;
        }
        let to = ShardId(1);
        let calls: Vec<_> = (0..6)
            .map(|n| {
                let port = port.clone();
                spawn(async move { port.call(to, n).await })
            })
            .collect();
        for call in calls {
            let outcome = timeout(SOON, call).await.expect("a call hangs on the dead");
            assert_eq!(outcome, Err(CallError::Closed(to)));
        }
    })
    .join()
    .unwrap();
}

#[test]
fn a_port_that_nobody_bound_counts_as_closed() {
    let mut ports = mesh::<u32, u32>(2, 4);
    drop(ports.pop());
    crate::block_on(async move {
        let port = ports.pop().unwrap().bind();
        let outcome = timeout(SOON, port.call(ShardId(1), 1)).await.unwrap();
        assert_eq!(outcome, Err(CallError::Closed(ShardId(1))));
        assert_eq!(
            port.call(ShardId(2), 1).await,
            Err(CallError::NoSuchShard(ShardId(2)))
        );
    });
}

#[test]
#[cfg(debug_assertions)]
fn a_handler_that_calls_its_own_class_is_caught() {
    let finish = Finish::default();
    on_shards(mesh::<u32, u32>(2, 4), move |port| {
        let finish = finish.clone();
        async move {
            let back = port.clone();
            port.serve(move |from, q| {
                let port = back.clone();
                async move { port.call(from, q).await.unwrap_or(0) }
            });
            if port.shard() == ShardId(0) {
                let outcome = port.call(ShardId(1), 1).await;
                assert_eq!(outcome, Err(CallError::Panicked(ShardId(1))));
            }
            finish.all(2).await;
        }
    })
    .join()
    .unwrap();
}

#[test]
fn messages_to_more_than_64_shards_find_their_way() {
    let shards = 70;
    let mut ports = mesh::<u16, u16>(shards, 1);
    crate::block_on(async move {
        // All on one executor: the mesh does not care where its ports live.
        let ports: Vec<_> = ports.drain(..).map(Port::bind).collect();
        for port in &ports {
            let me = port.shard().0;
            port.serve(move |from, q| async move { from.0 * 100 + me + q });
        }
        for (from, port) in ports.iter().enumerate() {
            for to in [0, 63, 64, 69] {
                if to != from {
                    let call = timeout(SOON, port.call(ShardId(to as u16), 5));
                    let want = (from * 100 + to + 5) as u16;
                    assert_eq!(call.await.unwrap(), Ok(want));
                }
            }
        }
    });
}

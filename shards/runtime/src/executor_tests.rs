//! Executors and tasks: fairness, cancellation, panics.

use super::*;
use crate::fs::{Dir, OpenMode};
use crate::sync::{Notify, oneshot};
use crate::task::{live_tasks, spawn, spawn_background, yield_if_needed, yield_now};
use crate::time::{Instant, sleep};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

fn shards(n: usize) -> ShardOptions {
    ShardOptions {
        shards: n,
        io_memory: 64 * 1024,
        ..ShardOptions::default()
    }
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn every_shard_runs_once_on_its_own_named_thread() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    start(shards(3), move |shard| {
        let log = log.clone();
        async move {
            assert_eq!(current_shard(), shard);
            let name = std::thread::current().name().map(str::to_owned);
            log.lock().unwrap().push((shard, name));
        }
    })
    .unwrap()
    .join()
    .unwrap();
    let mut seen = std::mem::take(&mut *seen.lock().unwrap());
    seen.sort();
    let want: Vec<_> = (0..3)
        .map(|n| (ShardId(n), Some(format!("shard-{n}"))))
        .collect();
    assert_eq!(seen, want);
}

#[test]
fn more_shards_than_cores_run_unpinned() {
    let opts = ShardOptions {
        pin: true,
        spin: Duration::from_micros(20),
        ..shards(cores() + 1)
    };
    start(opts, |_| async { sleep(Duration::from_millis(1)).await })
        .unwrap()
        .join()
        .unwrap();
    let opts = ShardOptions {
        pin: true,
        ..shards(1)
    };
    start(opts, |_| async {}).unwrap().join().unwrap();
}

#[test]
fn the_number_of_shards_has_both_ends() {
    for wanted in [0, SHARDS_MAX + 1] {
        let refused = start(shards(wanted), |_| async {});
        assert!(matches!(refused, Err(StartError::ShardCount { .. })));
    }
}

#[test]
fn a_panic_in_main_is_reported_while_others_still_run() {
    let outcome = start(shards(2), |shard| async move {
        if shard == ShardId(1) {
            panic!("shard {} met its end", 1);
        }
        sleep(Duration::from_secs(3)).await;
    })
    .unwrap();
    let began = Instant::now();
    let died = outcome.join().unwrap_err();
    assert_eq!(
        (died.shard, died.message.as_str()),
        (ShardId(1), "shard 1 met its end")
    );
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_panic_in_a_detached_task_surfaces_through_join() {
    for background in [false, true] {
        let died = start(shards(1), move |_| async move {
            let task = async {
                yield_now().await;
                panic!("deep down");
            };
            if background {
                spawn_background(task).detach();
            } else {
                spawn(task).detach();
            }
            std::future::pending::<()>().await;
        })
        .unwrap()
        .join()
        .unwrap_err();
        assert_eq!(died.message, "deep down");
    }
}

#[test]
#[should_panic(expected = "the payload arrives")]
fn a_panic_under_block_on_reaches_the_caller() {
    block_on(async {
        spawn(async { panic!("the payload arrives") }).await;
    });
}

#[test]
fn a_destructor_that_panics_ends_the_run_and_not_the_process() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in drop");
        }
    }
    let died = start(shards(1), |_| async {
        let task = spawn(async {
            let _bomb = Bomb;
            std::future::pending::<()>().await;
        });
        yield_now().await;
        task.cancel().await;
        std::future::pending::<()>().await;
    })
    .unwrap()
    .join()
    .unwrap_err();
    assert_eq!(died.message, "in drop");
}

#[test]
fn an_executor_ends_with_main_and_drops_what_is_left_on_it() {
    struct Count(Arc<AtomicUsize>);
    impl Drop for Count {
        fn drop(&mut self) {
            // Only an executor's thread may spawn: this is where a file or socket would close.
            spawn(async {}).detach();
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let count = dropped.clone();
    block_on(async move {
        for _ in 0..10 {
            let (a, b) = (Count(count.clone()), Count(count.clone()));
            spawn(async move {
                let _a = a;
                loop {
                    sleep(Duration::from_secs(1000)).await;
                }
            })
            .detach();
            spawn_background(async move {
                let _b = b;
                loop {
                    yield_now().await;
                }
            })
            .detach();
        }
        yield_now().await;
    });
    assert_eq!(dropped.load(Ordering::SeqCst), 20);
}

#[test]
fn executors_come_and_go_without_leaving_descriptors() {
    block_on(async {});
    let before = open_files();
    for _ in 0..40 {
        block_on(async {
            spawn(std::future::pending::<()>()).detach();
            sleep(Duration::from_micros(10)).await;
        });
    }
    start(shards(4), |_| async {}).unwrap().join().unwrap();
    let after = open_files();
    // Other tests of this process open and close descriptors meanwhile.
    assert!(after < before + 40, "{before} descriptors became {after}");
}

#[test]
fn tasks_give_their_output_and_can_be_cancelled() {
    block_on(async {
        assert_eq!(spawn(async { 6 * 7 }).await, 42);
        let (tx, rx) = oneshot::channel::<()>();
        let task = spawn(async move {
            let _tx = tx;
            std::future::pending::<()>().await;
        });
        yield_now().await;
        assert!(!task.is_finished());
        task.cancel().await;
        assert!(rx.await.is_err(), "the future is gone when cancel returns");
        let before = live_tasks();
        drop(spawn(std::future::pending::<()>()));
        assert_eq!(live_tasks(), before);
    });
}

#[test]
fn a_busy_background_task_does_not_hold_up_the_latency_queue() {
    let median = block_on(async {
        let hog = spawn_background(async {
            loop {
                let until = Instant::now() + Duration::from_micros(50);
                while Instant::now() < until {}
                yield_if_needed().await;
            }
        });
        let mut waits = Vec::new();
        for _ in 0..51 {
            let began = Instant::now();
            sleep(Duration::from_millis(1)).await;
            waits.push(began.elapsed());
        }
        drop(hog);
        waits.sort();
        waits[25]
    });
    // Around 100 ms with the executor's own scheduling; the bound leaves room for a loaded machine.
    assert!(median < Duration::from_millis(40), "{median:?}");
}

#[test]
fn a_wake_from_a_task_to_another_is_not_lost() {
    block_on(async {
        let notify = Rc::new(Notify::new());
        let waits: Vec<_> = (0..100)
            .map(|_| {
                let notify = notify.clone();
                spawn(async move { notify.notified().await })
            })
            .collect();
        while notify.waiting() < 100 {
            yield_now().await;
        }
        notify.notify_all();
        for wait in waits {
            wait.await;
        }
    });
}

/// What the kernel was asked to fill in stays the executor's own when it has ended in the middle of it: memory
/// that is given out again is not written to.
#[test]
fn an_ended_executor_leaves_memory_alone() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..200 {
        let path = dir.path().to_path_buf();
        block_on(async move {
            let dir = Dir::open_or_create(&path).await.unwrap();
            dir.write_small_atomic("a", &[7; 40_000]).await.unwrap();
            let file = Rc::new(dir.open_file("a", OpenMode::default()).await.unwrap());
            for i in 0..8 {
                let (dir, file) = (dir.clone(), file.clone());
                spawn(async move {
                    file.read_at(i * 512, 512).await.unwrap();
                    let name = format!("new{i}");
                    let made = dir
                        .open_file(
                            &name,
                            OpenMode {
                                create: true,
                                direct: true,
                                ..OpenMode::default()
                            },
                        )
                        .await
                        .unwrap();
                    made.allocate(1 << 20).await.unwrap();
                    made.size().await.unwrap();
                    dir.rename(&name, &format!("old{i}")).await.unwrap();
                    dir.sync().await.unwrap();
                })
                .detach();
            }
            crate::sleep(Duration::from_micros(round * 10)).await;
        });
        let filled: Vec<Vec<u8>> = (0..4000).map(|i| vec![0xAB; 16 + i % 60 * 16]).collect();
        std::thread::sleep(Duration::from_micros(300));
        let untouched = filled.iter().flatten().all(|byte| *byte == 0xAB);
        assert!(untouched, "someone wrote into them in round {round}");
    }
}

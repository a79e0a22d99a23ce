//! No task keeps another, the ring or a timer waiting for ever.

use super::*;
use crate::task::{spawn, spawn_background, yield_if_needed, yield_now};
use crate::time::{Instant, sleep, timeout};
use crate::{Listener, Stream, block_on};

fn burn(time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}

/// Bounds leave room for a loaded machine: what they tell apart is "late" from "never".
const LATE: Duration = Duration::from_secs(5);

#[test]
fn a_task_that_wakes_itself_for_ever_starves_neither_ring_nor_timers() {
    block_on(async {
        for background in [false, true] {
            let spinner = async {
                // Wakes itself and returns at once: never asks whether it should yield.
                std::future::poll_fn::<(), _>(|cx| {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                })
                .await;
            };
            let _spinner = if background {
                spawn_background(spinner)
            } else {
                spawn(spinner)
            };
            let talk = async {
                let listener = Listener::bind(([127, 0, 0, 1], 0).into(), 4).unwrap();
                let client = Stream::connect(listener.local_addr().unwrap())
                    .await
                    .unwrap();
                let server = listener.accept().await.unwrap();
                let mut buf = [0; 4];
                for _ in 0..20 {
                    client.write_all(b"ping").await.unwrap();
                    sleep(Duration::from_micros(200)).await;
                    assert_eq!(server.read(&mut buf).await.unwrap(), 4);
                }
            };
            timeout(LATE, talk)
                .await
                .expect("the ring was not looked at");
        }
    });
}

#[test]
fn who_waits_for_a_round_is_not_passed_by_who_comes_with_the_ring() {
    block_on(async {
        let listener = Listener::bind(([127, 0, 0, 1], 0).into(), 64).unwrap();
        let count = Rc::new(RefCell::new(vec![0_u64; 48]));
        let mut tasks = Vec::new();
        for at in 0..48 {
            let client = Stream::connect(listener.local_addr().unwrap())
                .await
                .unwrap();
            let server = listener.accept().await.unwrap();
            tasks.push(spawn(async move {
                let mut buf = [0; 4];
                while matches!(server.read(&mut buf).await, Ok(4)) {
                    burn(Duration::from_micros(20));
                    server.write_all(&buf).await.unwrap();
                }
            }));
            let count = count.clone();
            tasks.push(spawn(async move {
                let mut buf = [0; 4];
                loop {
                    client.write_all(b"ping").await.unwrap();
                    client.read(&mut buf).await.unwrap();
                    count.borrow_mut()[at] += 1;
                }
            }));
        }
        sleep(Duration::from_millis(600)).await;
        let count = count.borrow();
        let (least, most) = (count.iter().min().unwrap(), count.iter().max().unwrap());
        assert!(least * 10 > *most, "{count:?}");
    });
}

#[test]
fn neither_class_starves_the_other() {
    block_on(async {
        let count = Rc::new([Cell::new(0u64), Cell::new(0u64)]);
        let hog = |class: Class| {
            let count = count.clone();
            let work = async move {
                loop {
                    burn(Duration::from_micros(20));
                    count[class as usize].set(count[class as usize].get() + 1);
                    yield_if_needed().await;
                }
            };
            match class {
                Class::Latency => spawn(work),
                Class::Background => spawn_background(work),
            }
        };
        let _hogs = [
            hog(Class::Latency),
            hog(Class::Latency),
            hog(Class::Background),
            hog(Class::Background),
        ];
        sleep(Duration::from_millis(200)).await;
        let (front, back) = (count[0].get(), count[1].get());
        assert!(back >= 10, "background ran {back} times, latency {front}");
        assert!(front > back, "background ran {back} times, latency {front}");
    });
}

#[test]
fn ten_thousand_timers_all_fire_and_none_early() {
    block_on(async {
        let order = Rc::new(RefCell::new(Vec::new()));
        let start = Instant::now();
        let tasks: Vec<_> = (0..10_000u64)
            .map(|n| {
                let order = order.clone();
                let wait = Duration::from_micros(n.wrapping_mul(7919) % 50_000);
                spawn(async move {
                    sleep(wait).await;
                    assert!(start.elapsed() >= wait, "early");
                    order.borrow_mut().push(wait);
                })
            })
            .collect();
        for task in tasks {
            task.await;
        }
        assert_eq!(order.borrow().len(), 10_000);
    });
}

#[test]
fn dropped_sleeps_leave_no_timer_behind() {
    block_on(async {
        for _ in 0..1000 {
            let _ = timeout(Duration::from_secs(3600), async { yield_now().await }).await;
        }
        let left = crate::executor::context().turns.timers.borrow().len();
        assert_eq!(left, 0);
    });
}

#[test]
fn a_shorter_sleep_overtakes_a_longer_one() {
    block_on(async {
        let long = spawn(sleep(Duration::from_secs(3600)));
        yield_now().await;
        let began = Instant::now();
        sleep(Duration::from_millis(2)).await;
        assert!(began.elapsed() < LATE);
        assert!(!long.is_finished());
    });
}

//! Waiters are woken in order and none is forgotten.

use super::*;
use crate::task::{Task, spawn, yield_now};
use crate::{block_on, time};
use futures_lite::future::poll_once;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

async fn settle() {
    for _ in 0..4 {
        yield_now().await;
    }
}

#[test]
fn oneshot_gives_its_value_or_says_that_none_will_come() {
    block_on(async {
        let (tx, rx) = oneshot::channel();
        assert_eq!(tx.send(5), Ok(()));
        assert_eq!(rx.await, Ok(5));
        let (tx, rx) = oneshot::channel::<u8>();
        let waiting = spawn(rx);
        settle().await;
        drop(tx);
        assert_eq!(waiting.await, Err(Closed));
        let (tx, rx) = oneshot::channel();
        drop(rx);
        assert!(tx.is_closed());
        assert_eq!(tx.send(6), Err(6));
    });
}

#[test]
fn notify_one_goes_to_the_first_and_passes_on_when_it_left() {
    block_on(async {
        let notify = Notify::new();
        let mut first = Box::pin(notify.notified());
        let mut second = Box::pin(notify.notified());
        assert!(poll_once(&mut first).await.is_none());
        assert!(poll_once(&mut second).await.is_none());
        notify.notify_one();
        drop(first);
        assert!(poll_once(&mut second).await.is_some());
        notify.notify_one();
        assert_eq!(notify.waiting(), 0);
        let mut late = Box::pin(notify.notified());
        assert!(poll_once(&mut late).await.is_none(), "it was not kept");
        notify.notify_all();
        assert!(poll_once(&mut late).await.is_some());
    });
}

#[test]
fn credits_stop_at_the_ceiling_and_come_back_on_drop() {
    block_on(async {
        let credits = Credits::new("bytes", 10);
        let held = credits.acquire(10).await;
        assert!(credits.try_acquire(1).is_none(), "max + 1");
        assert!(poll_once(credits.acquire(1)).await.is_none());
        assert_eq!((credits.available(), credits.ceiling()), (0, 10));
        drop(held);
        assert_eq!(credits.available(), 10);
        assert_eq!(credits.waiting(), 0, "the dropped wait left");
        let mut permit = credits.try_acquire(7).unwrap();
        permit.shrink(9);
        assert_eq!(permit.amount(), 7);
        permit.shrink(2);
        assert_eq!((permit.amount(), credits.available()), (2, 8));
    });
}

#[test]
fn a_request_above_the_ceiling_runs_alone() {
    block_on(async {
        let credits = Credits::new("bytes", 10);
        let small = credits.acquire(1).await;
        let mut large = Box::pin(credits.acquire(1_000_000));
        assert!(poll_once(&mut large).await.is_none());
        drop(small);
        let large = large.await;
        assert_eq!(large.amount(), 10);
        assert!(credits.try_acquire(1).is_none());
    });
}

#[test]
fn a_large_request_is_not_starved_by_small_ones() {
    block_on(async {
        let credits = Credits::new("bytes", 10);
        let held = credits.acquire(5).await;
        let order = Rc::new(std::cell::RefCell::new(Vec::new()));
        let ask = |n: usize| -> Task<()> {
            let (credits, order) = (credits.clone(), order.clone());
            spawn(async move {
                let _permit = credits.acquire(n).await;
                order.borrow_mut().push(n);
            })
        };
        let tasks = [ask(8), ask(1), ask(2)];
        settle().await;
        assert!(order.borrow().is_empty(), "they stand behind the large one");
        assert!(credits.try_acquire(1).is_none());
        drop(held);
        for task in tasks {
            task.await;
        }
        assert_eq!(*order.borrow(), [8, 1, 2]);
        assert_eq!((credits.available(), credits.waits()), (10, 3));
    });
}

#[test]
fn a_wait_given_up_lets_those_behind_it_pass() {
    block_on(async {
        let credits = Credits::new("slots", 4);
        let held = credits.acquire(3).await;
        let large = {
            let credits = credits.clone();
            spawn(async move { drop(credits.acquire(4).await) })
        };
        let small = {
            let credits = credits.clone();
            spawn(async move { drop(credits.acquire(1).await) })
        };
        settle().await;
        assert!(!small.is_finished());
        large.cancel().await;
        small.await;
        // Granted, but dropped before it was noticed.
        let mut granted = Box::pin(credits.acquire(4));
        assert!(poll_once(&mut granted).await.is_none());
        drop(held);
        drop(granted);
        assert_eq!(credits.available(), 4);
    });
}

#[test]
fn a_channel_holds_its_capacity_and_one_more_waits() {
    block_on(async {
        let (tx, mut rx) = channel::bounded(2);
        tx.send(1).await.unwrap();
        tx.send(2).await.unwrap();
        assert_eq!(tx.try_send(3), Err(channel::TrySendError::Full(3)));
        let waiting = {
            let tx = tx.clone();
            spawn(async move { tx.send(3).await })
        };
        settle().await;
        assert!(!waiting.is_finished());
        for want in 1..=3 {
            assert_eq!(rx.recv().await, Some(want));
        }
        assert_eq!(waiting.await, Ok(()));
        drop(tx);
        assert_eq!(rx.recv().await, None);
    });
}

#[test]
fn a_channel_without_a_receiver_refuses_also_those_who_wait() {
    block_on(async {
        let (tx, rx) = channel::bounded(1);
        tx.send(1).await.unwrap();
        let waiting = {
            let tx = tx.clone();
            spawn(async move { tx.send(2).await })
        };
        settle().await;
        drop(rx);
        assert_eq!(waiting.await, Err(Closed));
        assert!(tx.is_closed());
        assert_eq!(tx.try_send(3), Err(channel::TrySendError::Closed(3)));
    });
}

#[test]
fn many_senders_through_a_small_channel_lose_nothing() {
    block_on(async {
        let (tx, mut rx) = channel::bounded(3);
        let senders: Vec<_> = (0..20u64)
            .map(|sender| {
                let tx = tx.clone();
                spawn(async move {
                    for n in 0..100 {
                        tx.send(sender * 100 + n).await.unwrap();
                        if n % 7 == 0 {
                            yield_now().await;
                        }
                    }
                })
            })
            .collect();
        drop(tx);
        let sum = Rc::new(Cell::new(0));
        let all = async {
            while let Some(n) = rx.recv().await {
                sum.set(sum.get() + n);
            }
        };
        time::timeout(Duration::from_secs(20), all).await.unwrap();
        for sender in senders {
            sender.await;
        }
        assert_eq!(sum.get(), (0..2000).sum::<u64>());
    });
}

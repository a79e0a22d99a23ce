//! Promises of the lock table.

use super::*;
use crate::txn::Isolation;
use std::rc::Rc;
use types::Ts;

fn txn(n: u64) -> TxnRef {
    TxnRef {
        xid: Xid(n),
        snapshot: Ts(0),
        isolation: Isolation::ReadCommitted,
        savepoint: 0,
        apart: 0,
        stop: Stop::at(None),
    }
}

const T: TreeId = TreeId(1);
const TABLE: TableId = TableId(5);

#[test]
fn one_lock_over_the_ceiling_is_refused_and_room_comes_back() {
    runtime::block_on(async {
        let locks = LockTable::new(3 * 200, Rc::default());
        for table in 1..=3 {
            let table = TableId(table);
            locks.table(&txn(1), table, Mode::Shared).await.unwrap();
        }
        let more = locks.table(&txn(1), TableId(4), Mode::Shared).await;
        assert_eq!(more.unwrap_err().code(), SqlState::OUT_OF_MEMORY);
        let known = locks.table(&txn(1), TableId(1), Mode::Shared).await;
        assert!(!known.unwrap());
        locks
            .table(&txn(2), TableId(4), Mode::Shared)
            .await
            .unwrap();
        locks.release(Xid(1));
        locks
            .table(&txn(1), TableId(4), Mode::Shared)
            .await
            .unwrap();
    });
}

#[test]
fn too_many_rows_become_a_table_and_the_memory_comes_back() {
    runtime::block_on(async {
        let locks = Rc::new(LockTable::new(8 * 10 * 202, Rc::default()));
        locks.table(&txn(1), TABLE, Mode::Shared).await.unwrap();
        locks.table(&txn(2), TABLE, Mode::Shared).await.unwrap();
        for n in 0..10 {
            locks
                .row(&txn(1), TABLE, T, &[n], Mode::Exclusive)
                .await
                .unwrap();
        }
        assert_eq!(locks.held(), 11);
        let escalates = {
            let locks = locks.clone();
            runtime::spawn(async move {
                for n in 10..100 {
                    locks
                        .row(&txn(1), TABLE, T, &[n], Mode::Exclusive)
                        .await
                        .unwrap();
                }
            })
        };
        runtime::sleep(Duration::from_millis(30)).await;
        assert!(!escalates.is_finished(), "another writer shares the table");
        locks.release(Xid(2));
        escalates.await;
        assert_eq!(locks.held(), 1);
        let other = TableId(6);
        locks
            .row(&txn(1), other, T, b"a", Mode::Exclusive)
            .await
            .unwrap();
        assert_eq!(locks.held(), 2, "a heavy transaction takes whole tables");
        locks.release(Xid(1));
        assert_eq!(locks.held(), 0);
    });
}

#[test]
fn an_upgrade_waits_for_the_other_sharers_whoever_came_first() {
    for first in [1, 2] {
        runtime::block_on(async move {
            let locks = Rc::new(LockTable::default());
            let table = TableId(9);
            locks.table(&txn(first), table, Mode::Shared).await.unwrap();
            locks
                .table(&txn(3 - first), table, Mode::Shared)
                .await
                .unwrap();
            let upgrade = {
                let locks = locks.clone();
                runtime::spawn(async move { locks.table(&txn(2), table, Mode::Exclusive).await })
            };
            runtime::sleep(std::time::Duration::from_millis(30)).await;
            assert!(!upgrade.is_finished());
            // The second upgrade closes the circle.
            let both = locks.table(&txn(1), table, Mode::Exclusive).await;
            assert_eq!(both.unwrap_err().code(), SqlState::DEADLOCK_DETECTED);
            locks.release(Xid(1));
            assert!(upgrade.await.unwrap());
        });
    }
}

#[test]
fn waiters_get_the_lock_in_the_order_they_came() {
    runtime::block_on(async {
        let locks = Rc::new(LockTable::default());
        let order = Rc::new(RefCell::new(Vec::new()));
        locks
            .row(&txn(1), TABLE, T, b"k", Mode::Exclusive)
            .await
            .unwrap();
        let tasks: Vec<_> = (2..5)
            .map(|n| {
                let (locks, order) = (locks.clone(), order.clone());
                runtime::spawn(async move {
                    locks
                        .row(&txn(n), TABLE, T, b"k", Mode::Exclusive)
                        .await
                        .unwrap();
                    order.borrow_mut().push(n);
                    locks.release(Xid(n));
                })
            })
            .collect();
        runtime::sleep(Duration::from_millis(5)).await;
        assert_eq!(locks.waiting(), 3);
        locks.release(Xid(1));
        for t in tasks {
            t.await;
        }
        assert_eq!(*order.borrow(), vec![2, 3, 4]);
        assert_eq!((locks.held(), locks.waiting()), (0, 0));
    });
}

#[test]
fn sharers_that_come_later_do_not_overtake_one_that_waits() {
    runtime::block_on(async {
        let locks = Rc::new(LockTable::default());
        let lock = |n: u64, mode| {
            let locks = locks.clone();
            runtime::spawn(async move { locks.row(&txn(n), TABLE, T, b"k", mode).await })
        };
        lock(1, Mode::Shared).await.unwrap();
        lock(2, Mode::Shared).await.unwrap();
        let writer = lock(3, Mode::Exclusive);
        runtime::sleep(Duration::from_millis(5)).await;
        let late = lock(4, Mode::Shared);
        runtime::sleep(Duration::from_millis(5)).await;
        assert_eq!(locks.waiting(), 2);
        let tried = locks.try_row(&txn(5), TABLE, T, b"k", Mode::Shared);
        assert!(!tried.unwrap(), "nor does one that would not wait");
        locks.release(Xid(1));
        locks.release(Xid(2));
        writer.await.unwrap();
        assert_eq!(locks.waiting(), 1);
        locks.release(Xid(3));
        late.await.unwrap();
        let shares = locks.try_row(&txn(5), TABLE, T, b"k", Mode::Shared);
        assert!(shares.unwrap());
        locks.release(Xid(4));
        let alone = locks.try_row(&txn(5), TABLE, T, b"k", Mode::Exclusive);
        assert!(alone.unwrap(), "the last sharer may take it for itself");
        locks.release(Xid(5));
        assert_eq!((locks.held(), locks.waiting()), (0, 0));
    });
}

#[test]
fn who_gives_up_waiting_leaves_nobody_behind() {
    runtime::block_on(async {
        let locks = Rc::new(LockTable::default());
        let lock = |n: u64, mode| {
            let locks = locks.clone();
            runtime::spawn(async move { locks.row(&txn(n), TABLE, T, b"k", mode).await })
        };
        let brief = Duration::from_millis(20);
        lock(1, Mode::Shared).await.unwrap();
        let stays = txn(2);
        let mut gives_up = Box::pin(locks.row(&stays, TABLE, T, b"k", Mode::Exclusive));
        let waits = runtime::timeout(Duration::from_millis(5), &mut gives_up).await;
        assert!(waits.is_err());
        let behind = lock(3, Mode::Shared);
        runtime::sleep(brief).await;
        assert_eq!(locks.waiting(), 2);
        drop(gives_up);
        let got = runtime::timeout(Duration::from_secs(5), behind).await;
        got.expect("nobody it has to wait for").unwrap();
        assert_eq!(locks.waiting(), 0);
        locks.release(Xid(1));
        locks.release(Xid(3));
        assert_eq!(locks.held(), 0);
    });
}

#[test]
fn an_upgrade_does_not_wait_for_those_who_wait_for_it() {
    runtime::block_on(async {
        let locks = Rc::new(LockTable::default());
        let lock = |n: u64, mode| {
            let locks = locks.clone();
            runtime::spawn(async move { locks.row(&txn(n), TABLE, T, b"k", mode).await })
        };
        lock(1, Mode::Shared).await.unwrap();
        lock(2, Mode::Shared).await.unwrap();
        let writer = lock(3, Mode::Exclusive);
        runtime::sleep(Duration::from_millis(5)).await;
        let upgrade = lock(1, Mode::Exclusive);
        runtime::sleep(Duration::from_millis(5)).await;
        assert_eq!(locks.waiting(), 2);
        locks.release(Xid(2));
        let got = runtime::timeout(Duration::from_secs(5), upgrade).await;
        got.expect("it is the only owner").unwrap();
        assert!(!writer.is_finished());
        locks.release(Xid(1));
        writer.await.unwrap();
        locks.release(Xid(3));
        assert_eq!((locks.held(), locks.waiting()), (0, 0));
    });
}

#[test]
fn a_cycle_of_two_is_a_deadlock_for_the_one_that_closes_it() {
    runtime::block_on(async {
        let locks = Rc::new(LockTable::default());
        locks
            .row(&txn(1), TABLE, T, b"a", Mode::Exclusive)
            .await
            .unwrap();
        locks
            .row(&txn(2), TABLE, T, b"b", Mode::Exclusive)
            .await
            .unwrap();
        let other = locks.clone();
        let waits =
            runtime::spawn(
                async move { other.row(&txn(1), TABLE, T, b"b", Mode::Exclusive).await },
            );
        runtime::sleep(Duration::from_millis(5)).await;
        let e = locks
            .row(&txn(2), TABLE, T, b"a", Mode::Exclusive)
            .await
            .unwrap_err();
        assert_eq!(e.code(), SqlState::DEADLOCK_DETECTED);
        locks.release(Xid(2));
        waits.await.unwrap();
    });
}

#[test]
fn a_stopped_waiter_leaves_the_queue_and_the_next_is_served() {
    runtime::block_on(async {
        let locks = Rc::new(LockTable::default());
        locks
            .row(&txn(1), TABLE, T, b"k", Mode::Exclusive)
            .await
            .unwrap();
        let stopped = txn(2);
        let stop = stopped.stop.clone();
        let (l2, l3) = (locks.clone(), locks.clone());
        let gives_up =
            runtime::spawn(async move { l2.row(&stopped, TABLE, T, b"k", Mode::Exclusive).await });
        let next =
            runtime::spawn(async move { l3.row(&txn(3), TABLE, T, b"k", Mode::Exclusive).await });
        runtime::sleep(Duration::from_millis(5)).await;
        stop.cancel();
        assert_eq!(gives_up.await.unwrap_err().code(), SqlState::QUERY_CANCELED);
        locks.release(Xid(1));
        next.await.unwrap();
        assert_eq!(locks.row_owner(TABLE, T, b"k"), Some(Xid(3)));
    });
}

#[test]
fn rows_go_on_before_their_tables_do() {
    runtime::block_on(async {
        let locks = Rc::new(LockTable::default());
        locks.table(&txn(1), TABLE, Mode::Shared).await.unwrap();
        for n in 0..3 {
            locks
                .row(&txn(1), TABLE, T, &[n], Mode::Exclusive)
                .await
                .unwrap();
        }
        let l = locks.clone();
        let next =
            runtime::spawn(async move { l.row(&txn(2), TABLE, T, &[1], Mode::Exclusive).await });
        runtime::sleep(Duration::from_millis(5)).await;
        locks.release_rows(Xid(1));
        next.await.unwrap();
        assert_eq!(locks.row_owner(TABLE, T, &[1]), Some(Xid(2)));
        assert_eq!(locks.row_owner(TABLE, T, &[0]), None);
        assert_eq!(locks.table_owners(TABLE), [Xid(1)]);
        // What it locks from now on goes with what was left.
        locks
            .row(&txn(1), TABLE, T, &[0], Mode::Exclusive)
            .await
            .unwrap();
        locks.release(Xid(1));
        locks.release(Xid(2));
        assert_eq!(locks.held(), 0);
    });
}

#[test]
fn writers_share_a_table_and_a_definition_change_waits_for_them() {
    runtime::block_on(async {
        let locks = Rc::new(LockTable::default());
        let table = TableId(5);
        assert!(!locks.table(&txn(1), table, Mode::Shared).await.unwrap());
        assert!(!locks.table(&txn(2), table, Mode::Shared).await.unwrap());
        let l = locks.clone();
        let ddl = runtime::spawn(async move { l.table(&txn(3), table, Mode::Exclusive).await });
        runtime::sleep(Duration::from_millis(5)).await;
        let l = locks.clone();
        let late = runtime::spawn(async move { l.table(&txn(4), table, Mode::Shared).await });
        runtime::sleep(Duration::from_millis(5)).await;
        locks.release(Xid(1));
        assert_eq!(
            locks.waiting(),
            2,
            "one writer is left and the late one queues behind the change"
        );
        locks.release(Xid(2));
        assert!(ddl.await.unwrap());
        locks.release(Xid(3));
        assert!(late.await.unwrap());
    });
}

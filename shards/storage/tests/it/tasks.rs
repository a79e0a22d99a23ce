//! Many tasks on one store whose pool holds a fraction of its pages.

use crate::support::{T, all, from, open_replayed, small};
use std::cell::Cell;
use std::ops::ControlFlow;
use std::rc::Rc;
use storage::{Op, TryError};
use types::TreeId;

#[test]
fn tasks_that_miss_and_evict_each_other_all_get_through() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    runtime::block_on(async move {
        let (store, _) = open_replayed(&path, small()).await;
        let stop = Rc::new(Cell::new(false));
        let checkpoints = {
            let (store, stop) = (store.clone(), stop.clone());
            runtime::spawn_background(async move {
                while !stop.get() {
                    store.checkpoint(store.wal_end(), b"").await.unwrap();
                    runtime::sleep(std::time::Duration::from_millis(3)).await;
                }
            })
        };
        let tasks: Vec<_> = (0..40u32)
            .map(|task| {
                let store = store.clone();
                runtime::spawn(async move {
                    for i in 0..300u32 {
                        let key = (i * 40 + task).to_be_bytes();
                        let bytes = if i % 50 == 7 { 9000 } else { 90 };
                        store.put(T, &key, &vec![task as u8; bytes]).await.unwrap();
                        let back = ((i / 2) * 40 + task).to_be_bytes();
                        let value = store.get(T, &back).await.unwrap().unwrap();
                        assert!(value.iter().all(|b| *b == task as u8));
                        if i % 3 == 2 {
                            let gone = ((i - 2) * 40 + task).to_be_bytes();
                            assert!(store.delete(T, &gone).await.unwrap());
                            store.put(T, &gone, &[task as u8; 30]).await.unwrap();
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await;
        }
        stop.set(true);
        checkpoints.await;
        let cells = all(&store, T).await;
        assert_eq!(cells.len(), 12_000);
        assert!(store.stats().pool_evictions > 0);
    });
}

#[test]
fn a_scan_beside_writers_sees_every_cell_that_stays_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    runtime::block_on(async move {
        let (store, _) = open_replayed(&path, small()).await;
        for i in (0..20_000u32).step_by(2) {
            store.put(T, &i.to_be_bytes(), &[1; 60]).await.unwrap();
        }
        let writer = {
            let store = store.clone();
            runtime::spawn(async move {
                for i in 0..20_000u32 {
                    let odd = (i.wrapping_mul(7919) % 10_000) * 2 + 1;
                    match i % 3 {
                        0 => drop(store.delete(T, &odd.to_be_bytes()).await.unwrap()),
                        _ => store.put(T, &odd.to_be_bytes(), &[2; 200]).await.unwrap(),
                    }
                    if i % 64 == 0 {
                        runtime::yield_now().await;
                    }
                }
            })
        };
        for _ in 0..5 {
            let even: Vec<u32> = from(&store, T, b"")
                .await
                .iter()
                .map(|(k, _)| u32::from_be_bytes(k.as_slice().try_into().unwrap()))
                .filter(|k| k % 2 == 0)
                .collect();
            assert!(even.iter().copied().eq((0..20_000).step_by(2)));
        }
        writer.await;
    });
}

#[test]
fn synchronous_reads_ask_for_what_they_miss() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    runtime::block_on(async move {
        let (store, _) = open_replayed(&path, small()).await;
        for i in 0..2000u32 {
            store.put(T, &i.to_be_bytes(), &[1; 60]).await.unwrap();
        }
        store.put(T, b"\xffa", &[3; 10_000]).await.unwrap();
        store.checkpoint(store.wal_end(), b"").await.unwrap();
        drop(store);
        let (store, _) = open_replayed(&path, small()).await;
        let mut misses = 0;
        let seen = loop {
            let mut seen = Vec::new();
            let outcome = store.try_scan(T, &1990u32.to_be_bytes(), &mut |k, v| {
                seen.push((k.to_vec(), v.len()));
                // Another tree may be read meanwhile.
                assert!(store.try_get(TreeId(99), k, |v| v.is_none()).unwrap());
                ControlFlow::Continue(())
            });
            match outcome {
                Ok(()) => break seen,
                Err(TryError::Miss(page)) => store.fetch(page).await.unwrap(),
                Err(other) => panic!("{other:?}"),
            }
            misses += 1;
        };
        assert_eq!(seen.len(), 11);
        assert_eq!(seen[10], (b"\xffa".to_vec(), 10_000));
        assert!(misses > 1);
        assert!(store.try_get(T, &5u32.to_be_bytes(), |_| ()).is_err());
        assert_eq!(store.stats().pool_misses, misses);
    });
}

#[test]
fn a_batch_does_what_its_changes_would_do_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    runtime::block_on(async move {
        let (store, _) = open_replayed(&path, small()).await;
        let keys: Vec<[u8; 4]> = (0..5000u32)
            .map(|i| (i.wrapping_mul(7919) % 3000).to_be_bytes())
            .collect();
        let long = vec![5; 30_000];
        let ops = || {
            keys.iter().enumerate().map(|(i, key)| match i % 5 {
                0 => Op::Delete { tree: T, key },
                1 if i % 100 == 1 => Op::Put {
                    tree: T,
                    key,
                    value: &long,
                },
                _ => Op::Put {
                    tree: T,
                    key,
                    value: key,
                },
            })
        };
        store.apply(&mut ops()).await.unwrap();
        let other = TreeId(2);
        for op in ops() {
            match op {
                Op::Put { key, value, .. } => store.put(other, key, value).await.unwrap(),
                Op::Delete { key, .. } => drop(store.delete(other, key).await.unwrap()),
            }
        }
        assert_eq!(all(&store, T).await, all(&store, other).await);
        assert_eq!(store.tree_cells(T), store.tree_cells(other));
    });
}

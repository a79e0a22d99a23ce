//! Eviction policies under a store at work.

use crate::support::{T, all, open_replayed, small};
use std::cell::Cell;
use std::rc::Rc;
use storage::{Options, Policy, Store};

/// Every ordered pair of policies, one after the other.
fn pairs() -> Vec<Policy> {
    let mut order = Vec::new();
    for a in Policy::ALL {
        for b in Policy::ALL {
            order.extend([a, b]);
        }
    }
    order
}

fn load(store: &Rc<Store>, task: u32, stop: &Rc<Cell<bool>>) -> runtime::Task<u32> {
    let (store, stop) = (store.clone(), stop.clone());
    runtime::spawn(async move {
        let mut i = 0;
        while !stop.get() {
            let key = (i * 8 + task).to_be_bytes();
            let bytes = if i % 50 == 7 { 9000 } else { 200 };
            store.put(T, &key, &vec![task as u8; bytes]).await.unwrap();
            let back = ((i / 2) * 8 + task).to_be_bytes();
            let value = store.get(T, &back).await.unwrap().unwrap();
            assert!(value.iter().all(|b| *b == task as u8));
            i += 1;
            runtime::yield_if_needed().await;
        }
        i
    })
}

#[test]
fn the_policy_changes_under_load_and_no_page_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    runtime::block_on(async move {
        let (store, _) = open_replayed(&path, small()).await;
        let stop = Rc::new(Cell::new(false));
        let tasks: Vec<_> = (0..8).map(|task| load(&store, task, &stop)).collect();
        let mut now = store.policy();
        assert_eq!(now, Policy::Clock);
        let mut changed = std::collections::BTreeSet::new();
        for (i, policy) in pairs().into_iter().enumerate() {
            // Long enough for each to give up frames of its own.
            let before = store.stats().pool_evictions;
            while store.stats().pool_evictions < before + 100 {
                runtime::sleep(std::time::Duration::from_micros(200)).await;
            }
            changed.insert((now.name(), policy.name()));
            store.set_policy(policy);
            assert_eq!(store.policy(), policy);
            now = policy;
            if i % 9 == 0 {
                store.checkpoint(store.wal_end(), b"").await.unwrap();
            }
        }
        assert_eq!(changed.len(), 36);
        stop.set(true);
        let mut cells = 0;
        for task in tasks {
            cells += task.await;
        }
        assert_eq!(all(&store, T).await.len(), cells as usize);
        store.checkpoint(store.wal_end(), b"").await.unwrap();
        drop(store);
        let (store, _) = open_replayed(&path, small()).await;
        assert_eq!(all(&store, T).await.len(), cells as usize);
    });
}

#[test]
fn a_store_is_the_same_under_every_policy() {
    let mut contents = Vec::new();
    for policy in Policy::ALL {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_path_buf();
        let cells = runtime::block_on(async move {
            let options = Options { policy, ..small() };
            let (store, _) = open_replayed(&path, options).await;
            for i in 0..6000u32 {
                let key = (i.wrapping_mul(7919) % 4000).to_be_bytes();
                match i % 5 {
                    4 => drop(store.delete(T, &key).await.unwrap()),
                    _ => store.put(T, &key, &[i as u8; 150]).await.unwrap(),
                }
                if i % 1500 == 0 {
                    store.checkpoint(store.wal_end(), b"").await.unwrap();
                }
            }
            assert_eq!(store.policy(), policy);
            assert!(store.stats().pool_evictions > 0);
            all(&store, T).await
        });
        contents.push(cells);
    }
    assert!(contents.windows(2).all(|pair| pair[0] == pair[1]));
}

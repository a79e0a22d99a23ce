//! Reading ahead: a scan finds what it is about to need, and nothing else is read for it.

use crate::support::{T, from, open_replayed, small};
use std::cell::Cell;
use std::ops::ControlFlow;
use std::path::Path;
use std::rc::Rc;
use storage::{Options, Policy, Store};

const CELLS: u32 = 40_000;

/// A store of about 1,800 leaves, none of them resident, in a pool of `frames`.
async fn cold(path: &Path, frames: usize, policy: Policy) -> Rc<Store> {
    let options = Options {
        pool_bytes: frames * 4096,
        policy,
        ..small()
    };
    if !path.exists() {
        let (store, _) = open_replayed(path, options.clone()).await;
        for i in 0..CELLS {
            store.put(T, &i.to_be_bytes(), &[1; 150]).await.unwrap();
        }
        store.checkpoint(store.wal_end(), b"").await.unwrap();
        store.close().await.unwrap();
    }
    open_replayed(path, options).await.0
}

#[test]
fn a_scan_misses_little_and_what_is_read_ahead_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    runtime::block_on(async move {
        for policy in Policy::ALL {
            let store = cold(&path, 512, policy).await;
            assert_eq!(from(&store, T, b"").await.len(), CELLS as usize);
            let stats = store.stats();
            assert!(stats.pages_read > 1500);
            assert!(stats.pool_misses < 20, "{policy}: {stats:?}");
            assert_eq!(stats.pages_read_ahead + stats.pool_misses, stats.pages_read);
            let unused = stats.pages_read_ahead - stats.pages_read_ahead_used;
            assert!(unused <= 64, "{policy}: {stats:?}");
        }
    });
}

#[test]
fn one_leaf_is_read_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    runtime::block_on(async move {
        let store = cold(&path, 512, Policy::Clock).await;
        for i in (0..CELLS).step_by(997) {
            let mut seen = 0;
            let mut first = |_: &[u8], _: &[u8]| {
                seen += 1;
                ControlFlow::Break(())
            };
            store.scan(T, &i.to_be_bytes(), &mut first).await.unwrap();
            assert_eq!(seen, 1);
        }
        assert_eq!(store.stats().pages_read_ahead, 0);
    });
}

#[test]
fn a_scan_in_pieces_is_read_ahead_of_like_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    runtime::block_on(async move {
        let store = cold(&path, 512, Policy::Clock).await;
        let mut next = Some(0u32);
        let mut seen = 0;
        while let Some(at) = next.take() {
            let mut left = 100;
            let mut some = |key: &[u8], _: &[u8]| {
                let key = u32::from_be_bytes(key.try_into().unwrap());
                if left == 0 {
                    next = Some(key);
                    return ControlFlow::Break(());
                }
                left -= 1;
                seen += 1;
                ControlFlow::Continue(())
            };
            store.scan(T, &at.to_be_bytes(), &mut some).await.unwrap();
        }
        let stats = store.stats();
        assert_eq!(seen, CELLS);
        assert!(stats.pool_misses < 20, "{stats:?}");
    });
}

#[test]
fn many_scans_share_a_small_pool() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    runtime::block_on(async move {
        drop(cold(&path, 512, Policy::Clock).await);
        for policy in [Policy::Clock, Policy::Lirs, Policy::Arc] {
            let store = cold(&path, 64, policy).await;
            let seen = Rc::new(Cell::new(0));
            let scans: Vec<_> = (0..20u32)
                .map(|i| {
                    let (store, seen) = (store.clone(), seen.clone());
                    runtime::spawn(async move {
                        let found = from(&store, T, &(i * 1500).to_be_bytes()).await;
                        assert_eq!(found.len() as u32, CELLS - i * 1500);
                        seen.set(seen.get() + 1);
                    })
                })
                .collect();
            for scan in scans {
                scan.await;
            }
            assert_eq!(seen.get(), 20);
        }
    });
}

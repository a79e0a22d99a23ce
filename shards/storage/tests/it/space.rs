//! Room: what is freed is used again, what is deleted is given back, and nothing leaks over crashes.

use crate::support::{T, all, copy_dir, open_replayed, small};
use storage::Store;
use types::TreeId;

async fn checkpoint(store: &Store) {
    store.checkpoint(store.wal_end(), b"").await.unwrap();
}

#[test]
fn the_file_stops_growing_under_updates() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    runtime::block_on(async move {
        let (store, _) = open_replayed(&path, small()).await;
        let mut pages = Vec::new();
        for round in 0..12u8 {
            for i in 0..3000u32 {
                store.put(T, &i.to_be_bytes(), &[round; 200]).await.unwrap();
            }
            for i in 0..20u32 {
                store
                    .put(T, &i.to_be_bytes(), &[round; 50_000])
                    .await
                    .unwrap();
            }
            checkpoint(&store).await;
            let stats = store.stats();
            pages.push(stats.pages_allocated + stats.pages_free);
        }
        assert_eq!(
            pages[..4].iter().max(),
            pages[4..].iter().max(),
            "{pages:?}"
        );
    });
}

#[test]
fn deleting_everything_gives_all_pages_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    runtime::block_on(async move {
        let (store, _) = open_replayed(&path, small()).await;
        let n = 20_000u32;
        for order in 0..3u32 {
            for i in 0..n {
                store.put(T, &i.to_be_bytes(), &[1; 100]).await.unwrap();
            }
            checkpoint(&store).await;
            for i in 0..n {
                let k = match order {
                    0 => i,
                    1 => n - 1 - i,
                    _ => i.wrapping_mul(7919) % n,
                };
                assert!(store.delete(T, &k.to_be_bytes()).await.unwrap());
            }
            assert_eq!(store.tree_cells(T), 0);
            assert!(all(&store, T).await.is_empty());
            checkpoint(&store).await;
            checkpoint(&store).await;
            let left = store.stats().pages_allocated;
            // Superblock slots, directory, map, and what sparse nodes are left.
            assert!(left < 40, "order {order}: {left} pages");
        }
    });
}

#[test]
fn a_thinned_tree_shrinks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    runtime::block_on(async move {
        let (store, _) = open_replayed(&path, small()).await;
        for i in 0..40_000u32 {
            store.put(T, &i.to_be_bytes(), &[1; 100]).await.unwrap();
        }
        checkpoint(&store).await;
        checkpoint(&store).await;
        let before = store.stats().pages_allocated;
        for i in 0..40_000u32 {
            if i % 10 != 0 {
                store.delete(T, &i.to_be_bytes()).await.unwrap();
            }
        }
        checkpoint(&store).await;
        checkpoint(&store).await;
        let after = store.stats().pages_allocated;
        assert!(after * 2 < before, "{before} pages, then {after}");
        assert_eq!(all(&store, T).await.len(), 4000);
    });
}

#[test]
fn a_dropped_tree_is_gone_at_once_and_its_pages_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    runtime::block_on(async move {
        let (store, _) = open_replayed(&path.join("a"), small()).await;
        checkpoint(&store).await;
        let empty = store.stats().pages_allocated;
        for i in 0..5000u32 {
            store.put(T, &i.to_be_bytes(), &[1; 100]).await.unwrap();
            store
                .put(TreeId(8), &i.to_be_bytes(), b"kept")
                .await
                .unwrap();
        }
        store.put(T, b"long", &[3; 200_000]).await.unwrap();
        checkpoint(&store).await;
        let (a, b) = (store.clone(), store.clone());
        let dropping = runtime::spawn(async move { a.drop_tree(T).await.unwrap() });
        runtime::yield_now().await;
        assert_eq!(store.trees(), [TreeId(8)]);
        assert_eq!(store.get(T, &0u32.to_be_bytes()).await.unwrap(), None);
        // A tree of the same name may grow while the old one is being freed.
        b.put(T, b"new", b"tree").await.unwrap();
        checkpoint(&store).await;
        copy_dir(&path.join("a"), &path.join("b"));
        dropping.await;
        store.delete(T, b"new").await.unwrap();
        store.drop_tree(T).await.unwrap();
        store.drop_tree(TreeId(8)).await.unwrap();
        checkpoint(&store).await;
        checkpoint(&store).await;
        let left = store.stats().pages_allocated;
        assert!(left <= empty + 2, "{left} of {empty}");

        // The copy crashed, perhaps before the pages were freed: a checkpoint frees them.
        let (copy, _) = open_replayed(&path.join("b"), small()).await;
        assert_eq!(copy.get(T, b"new").await.unwrap().unwrap(), b"tree");
        copy.drop_tree(T).await.unwrap();
        copy.drop_tree(TreeId(8)).await.unwrap();
        checkpoint(&copy).await;
        checkpoint(&copy).await;
        let left = copy.stats().pages_allocated;
        assert!(left <= empty + 2, "after a crash: {left} of {empty}");
    });
}

#[test]
fn no_page_leaks_over_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    runtime::block_on(async move {
        let mut allocated = Vec::new();
        for round in 0..6u8 {
            let (store, _) = open_replayed(&path, small()).await;
            for i in 0..2000u32 {
                store.put(T, &i.to_be_bytes(), &[round; 150]).await.unwrap();
            }
            store.put(T, b"long", &[round; 100_000]).await.unwrap();
            checkpoint(&store).await;
            allocated.push(store.stats().pages_allocated);
            // These are lost with the process, and their pages with them.
            for i in 0..2000u32 {
                store.put(T, &i.to_be_bytes(), &[0; 100]).await.unwrap();
            }
            drop(store);
        }
        assert_eq!(allocated[2], allocated[5], "{allocated:?}");
    });
}

#[test]
fn a_tree_is_measured_to_the_page() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    runtime::block_on(async move {
        let (store, _) = open_replayed(&path, small()).await;
        assert_eq!(store.tree_pages(T).await.unwrap(), 0);
        for (n, long) in [(1u32, 0), (300, 0), (20_000, 0), (20_400, 400)] {
            let before = store.stats().pages_allocated - store.tree_pages(T).await.unwrap();
            let from = store.tree_cells(T) as u32;
            for i in from..n {
                let bytes = if i >= n - long {
                    9_000 + 100 * i as usize % 40_000
                } else {
                    60
                };
                let key = i.wrapping_mul(2_654_435_761).to_be_bytes();
                store.put(T, &key, &vec![7; bytes]).await.unwrap();
            }
            let measured = store.tree_pages(T).await.unwrap();
            assert_eq!(store.stats().pages_allocated - measured, before, "of {n}");
        }
    });
}

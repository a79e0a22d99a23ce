//! Room comes back: churning does not grow the page file, and what is free at its end goes back to the file system.

use crate::support::{T, all, open_replayed, small};
use std::path::Path;
use storage::Store;

async fn checkpoint(store: &Store) {
    store.checkpoint(store.wal_end(), b"").await.unwrap();
}

async fn settle(store: &Store) {
    checkpoint(store).await;
    while store.compact().await.unwrap() > 0 {
        checkpoint(store).await;
    }
}

fn file_pages(path: &Path) -> u64 {
    std::fs::metadata(path.join("data.pages")).unwrap().len() / 4096
}

#[test]
fn deleted_room_goes_back_to_the_file_system_and_nothing_else_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    runtime::block_on(async move {
        let (store, _) = open_replayed(&path, small()).await;
        let value = |i: u32| vec![i as u8; if i.is_multiple_of(50) { 9_000 } else { 300 }];
        for i in 0..6_000u32 {
            store.put(T, &i.to_be_bytes(), &value(i)).await.unwrap();
        }
        checkpoint(&store).await;
        let full = file_pages(&path);
        // The rows that stay are spread over the whole file.
        for i in (0..6_000u32).filter(|i| !i.is_multiple_of(10)) {
            store.delete(T, &i.to_be_bytes()).await.unwrap();
        }
        settle(&store).await;
        let used = store.stats().pages_allocated;
        let now = file_pages(&path);
        assert!(now < full * 2 / 3, "{full} pages before, {now} after");
        assert!(now <= used * 2, "{now} pages for {used} in use");
        let expected: Vec<_> = (0..6_000u32)
            .step_by(10)
            .map(|i| (i.to_be_bytes().to_vec(), value(i)))
            .collect();
        assert_eq!(all(&store, T).await, expected);
        drop(store);
        let (store, _) = open_replayed(&path, small()).await;
        assert_eq!(all(&store, T).await, expected);
        for i in 0..6_000u32 {
            store.put(T, &i.to_be_bytes(), &value(i)).await.unwrap();
        }
        assert_eq!(store.tree_cells(T), 6_000);
    });
}

#[test]
fn a_file_that_is_cut_while_others_write_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    runtime::block_on(async move {
        let (store, _) = open_replayed(&path, small()).await;
        let churn = async {
            for round in 0..12u32 {
                for i in 0..2_000u32 {
                    let value = vec![round as u8; 20 + (i * 7 + round * 13) as usize % 600];
                    store.put(T, &i.to_be_bytes(), &value).await.unwrap();
                }
                for i in (0..2_000u32).filter(|i| (i + round) % 3 != 0) {
                    store.delete(T, &i.to_be_bytes()).await.unwrap();
                }
            }
        };
        let cut = async {
            for _ in 0..40 {
                settle_once(&store).await;
                runtime::yield_now().await;
            }
        };
        futures_util::future::join(churn, cut).await;
        let expected: Vec<_> = (0..2_000u32)
            .filter(|i| (i + 11) % 3 == 0)
            .map(|i| {
                let value = vec![11; 20 + (i * 7 + 11 * 13) as usize % 600];
                (i.to_be_bytes().to_vec(), value)
            })
            .collect();
        assert_eq!(all(&store, T).await, expected);
        checkpoint(&store).await;
        drop(store);
        let (store, _) = open_replayed(&path, small()).await;
        assert_eq!(all(&store, T).await, expected);
    });
}

async fn settle_once(store: &Store) {
    checkpoint(store).await;
    store.compact().await.unwrap();
}

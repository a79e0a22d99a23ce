//! Keys and values at their limits, and values longer than the pool.

use crate::support::{T, all, open_replayed, small};
use std::ops::ControlFlow;
use storage::{StorageError, TryError};
use types::limits::{CELL_KEY_BYTES_MAX, CELL_VALUE_BYTES_MAX};

fn bytes(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i / 3 + i % 251) as u8).collect()
}

#[test]
fn values_of_every_length_class_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    runtime::block_on(async move {
        let (store, _) = open_replayed(&path, small()).await;
        let around = |n: usize| [n - 1, n, n + 1];
        let mut lengths = vec![0, 1];
        for n in [2018, 2024, 4048, 8 * 4048, 9 * 4048, 1012 * 4048, 1 << 20] {
            lengths.extend(around(n));
        }
        for key_bytes in [1, 200, CELL_KEY_BYTES_MAX] {
            for n in &lengths {
                let mut key = n.to_be_bytes().to_vec();
                key.resize(key_bytes.max(8), 7);
                store.put(T, &key, &bytes(*n)).await.unwrap();
            }
            store.checkpoint(store.wal_end(), b"").await.unwrap();
            for n in &lengths {
                let mut key = n.to_be_bytes().to_vec();
                key.resize(key_bytes.max(8), 7);
                assert_eq!(store.get(T, &key).await.unwrap().unwrap(), bytes(*n), "{n}");
            }
        }
        let cells = all(&store, T).await;
        assert_eq!(cells.len(), 3 * lengths.len());
        for (key, value) in cells {
            let n = u64::from_be_bytes(key[..8].try_into().unwrap());
            assert_eq!(value, bytes(n as usize));
            assert!(store.delete(T, &key).await.unwrap());
        }
    });
}

#[test]
fn the_largest_key_and_value_are_taken_and_one_byte_more_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    runtime::block_on(async move {
        let (store, _) = open_replayed(&path, small()).await;
        let (key, value) = (vec![1; CELL_KEY_BYTES_MAX], bytes(CELL_VALUE_BYTES_MAX));
        store.put(T, &key, &value).await.unwrap();
        assert_eq!(store.get(T, &key).await.unwrap().unwrap(), value);
        let mut seen = 0;
        store
            .scan(T, b"", &mut |k, v| {
                assert!(k == key && v == value);
                seen += 1;
                ControlFlow::Continue(())
            })
            .await
            .unwrap();
        assert_eq!(seen, 1);
        let refused = store.try_get(T, &key, |v| v.map(<[u8]>::len));
        assert!(matches!(refused, Err(TryError::TooLarge)), "{refused:?}");
        let long_key = store.put(T, &[1; CELL_KEY_BYTES_MAX + 1], b"").await;
        assert!(matches!(long_key, Err(StorageError::KeyTooLong { .. })));
        let long_value = store.put(T, &key, &vec![0; CELL_VALUE_BYTES_MAX + 1]).await;
        assert!(matches!(long_value, Err(StorageError::ValueTooLong { .. })));
        assert_eq!(store.get(T, &key).await.unwrap().unwrap(), value);
        // A reader of the long value and its replacement at the same time.
        for round in 0..4u8 {
            let (a, b) = (store.clone(), store.clone());
            let (k1, k2) = (key.clone(), key.clone());
            let reader = runtime::spawn(async move { a.get(T, &k1).await.unwrap().unwrap() });
            runtime::yield_now().await;
            let writer = runtime::spawn(async move {
                b.put(T, &k2, &vec![round; 3 << 20]).await.unwrap();
            });
            let read = reader.await;
            writer.await;
            let whole = read == value || read.iter().all(|b| *b + 1 == round || *b == round);
            assert!(whole, "round {round}: a mixture of two values");
        }
    });
}

#[test]
fn a_put_given_up_half_way_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    runtime::block_on(async move {
        let (store, _) = open_replayed(&path, small()).await;
        store.put(T, b"a", b"1").await.unwrap();
        store.checkpoint(store.wal_end(), b"").await.unwrap();
        let before = store.stats().pages_allocated;
        for turns in 0..20 {
            let value = bytes(2 << 20);
            let other = store.clone();
            let task = runtime::spawn(async move { other.put(T, b"b", &value).await });
            for _ in 0..turns {
                runtime::yield_now().await;
            }
            if task.is_finished() {
                task.await.unwrap();
                store.delete(T, b"b").await.unwrap();
            } else {
                task.cancel().await;
            }
            if turns % 5 == 0 {
                store.checkpoint(store.wal_end(), b"").await.unwrap();
            }
        }
        for _ in 0..3 {
            store.checkpoint(store.wal_end(), b"").await.unwrap();
        }
        let stats = store.stats();
        // The map grew with the file.
        assert!(
            stats.pages_allocated <= before + 2,
            "{before}, then {stats:?}"
        );
        assert_eq!(all(&store, T).await, [(b"a".to_vec(), b"1".to_vec())]);
    });
}

//! Trees against `BTreeMap`, with a pool much smaller than the tree.

use crate::support::{T, all, from, open_replayed, small};
use proptest::prelude::*;
use std::collections::BTreeMap;
use storage::Store;
use types::Lsn;

#[derive(Clone, Debug)]
enum Op {
    Put(u16, usize),
    Delete(u16),
    Get(u16),
    Scan(u16),
    Checkpoint,
    Reopen,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (any::<u16>(), 0usize..300).prop_map(|(k, n)| Op::Put(k % 2000, n)),
        2 => (any::<u16>(), 300usize..2100).prop_map(|(k, n)| Op::Put(k % 2000, n)),
        1 => (any::<u16>(), 2000usize..60_000).prop_map(|(k, n)| Op::Put(k % 2000, n)),
        8 => any::<u16>().prop_map(|k| Op::Delete(k % 2000)),
        3 => any::<u16>().prop_map(|k| Op::Get(k % 2000)),
        1 => any::<u16>().prop_map(|k| Op::Scan(k % 2000)),
        1 => Just(Op::Checkpoint),
        1 => Just(Op::Reopen),
    ]
}

fn key(k: u16) -> Vec<u8> {
    let mut key = format!("{k:05}").into_bytes();
    key.resize(5 + usize::from(k % 97), b'.');
    key
}

/// A leaf after the other, down from `before`: each step covers cells, and together they cover all.
async fn backwards(store: &Store, model: &BTreeMap<Vec<u8>, Vec<u8>>, before: Option<Vec<u8>>) {
    let mut end = before;
    let mut seen = Vec::new();
    let below = |end: &Option<Vec<u8>>| match end {
        Some(end) => model.range(..end.clone()).count(),
        None => model.len(),
    };
    let expected = below(&end);
    while let Some(first) = store.leaf_before(T, end.as_deref()).await.unwrap() {
        let covered = below(&end) - below(&Some(first.clone()));
        assert!(covered > 0, "a step that leads nowhere");
        seen.push(covered);
        end = Some(first);
    }
    assert_eq!(seen.iter().sum::<usize>(), expected);
}

fn value(k: u16, n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 31 + usize::from(k)) as u8).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_tree_holds_what_a_map_holds(ops in prop::collection::vec(op(), 1..1500)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_path_buf();
        runtime::block_on(async move {
            let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
            let (mut store, _) = open_replayed(&path, small()).await;
            for op in ops {
                match op {
                    Op::Put(k, n) => {
                        store.put(T, &key(k), &value(k, n)).await.unwrap();
                        model.insert(key(k), value(k, n));
                    }
                    Op::Delete(k) => {
                        let gone = store.delete(T, &key(k)).await.unwrap();
                        assert_eq!(gone, model.remove(&key(k)).is_some());
                    }
                    Op::Get(k) => assert_eq!(
                        store.get(T, &key(k)).await.unwrap().as_ref(),
                        model.get(&key(k))
                    ),
                    Op::Scan(k) => {
                        let there = from(&store, T, &key(k)).await;
                        let expected: Vec<_> = model
                            .range(key(k)..)
                            .map(|(k, v)| (k.clone(), v.clone()))
                            .collect();
                        assert_eq!(there, expected);
                        backwards(&store, &model, Some(key(k))).await;
                    }
                    Op::Checkpoint => store.checkpoint(store.wal_end(), b"m").await.unwrap(),
                    Op::Reopen => {
                        store.checkpoint(store.wal_end(), b"r").await.unwrap();
                        store.close().await.unwrap();
                        drop(store);
                        store = open_replayed(&path, small()).await.0;
                    }
                }
                assert_eq!(store.tree_cells(T), model.len() as u64);
            }
            backwards(&store, &model, None).await;
            let expected: Vec<_> = model.into_iter().collect();
            assert_eq!(all(&store, T).await, expected);
        });
    }
}

#[test]
fn ascending_descending_and_random_loads_survive_a_reopen() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    runtime::block_on(async move {
        let (store, _) = open_replayed(&path, small()).await;
        let n = 20_000u32;
        for i in 0..n {
            let scattered = i.wrapping_mul(2_654_435_761) % n;
            for (tree, k) in [(1, i), (2, n - i), (3, scattered)] {
                store
                    .put(types::TreeId(tree), &k.to_be_bytes(), &[7; 100])
                    .await
                    .unwrap();
            }
        }
        let full = store.stats();
        // Ascending loads fill their pages: 38 cells of 110 bytes a leaf.
        assert!(full.pages_allocated < 2_500, "{full:?}");
        store.checkpoint(Lsn(4096), b"x").await.unwrap();
        drop(store);
        let (store, _) = open_replayed(&path, small()).await;
        assert_eq!(store.meta(), b"x");
        for tree in 1..=3 {
            let there = all(&store, types::TreeId(tree)).await;
            assert_eq!(there.len() as u64, store.tree_cells(types::TreeId(tree)));
            assert!(there.is_sorted());
        }
    });
}

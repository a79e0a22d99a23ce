//! Trees against `BTreeMap`, with a pool much smaller than the tree.

use crate::support::{all, open_replayed, small};
use types::Lsn;

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

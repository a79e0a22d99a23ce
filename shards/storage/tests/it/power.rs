//! A power failure on a simulated disk: what a store has shown after a kill it shows after a power failure as well.

use crate::support::{T, all, small};
use runtime::Dir;
use runtime::sim::{self, Crash, Disk, Image};
use std::path::Path;
use std::rc::Rc;
use storage::Store;

/// Opens the store and repeats what the log has; each record is a key.
async fn open() -> Rc<Store> {
    let dir = Dir::open_or_create(Path::new("/p")).await.unwrap();
    let (store, mut replay) = Store::open(dir, small()).await.unwrap();
    while let Some((_, key)) = replay.next().await.unwrap() {
        store.put(T, &key, &[1; 300]).await.unwrap();
    }
    store
}

/// Logs and puts keys, makes them durable.
async fn put(store: &Store, keys: std::ops::Range<u32>) {
    for key in keys {
        let key = key.to_be_bytes();
        store.append(&key).unwrap();
        store.put(T, &key, &[1; 300]).await.unwrap();
    }
    store.durable(store.wal_end()).await.unwrap();
}

#[test]
fn a_superblock_that_counts_after_a_kill_counts_after_a_power_failure() {
    let disk = Disk::new();
    sim::run(1, &disk, async {
        let store = open().await;
        for round in 0..3 {
            put(&store, round * 100..round * 100 + 100).await;
            store.checkpoint(store.wal_end(), b"").await.unwrap();
        }
    });
    let mut image = Image::new();
    for (n, event) in disk.log().iter().enumerate() {
        image.apply(event);
        let killed = Disk::of(image.crash(Crash::Kill(n as u64)));
        let shown = sim::run(2, &killed, async {
            let store = open().await;
            // Writes over what an older superblock alone refers to.
            put(&store, 1000..1300).await;
            store.drop_tree(T).await.unwrap();
            put(&store, 2000..2300).await;
            all(&store, T).await.len()
        });
        let dark = Disk::of(killed.image().crash(Crash::Least));
        let left = sim::run(3, &dark, async {
            let store = open().await;
            all(&store, T).await.len()
        });
        assert!(shown == 300 && left >= 300, "killed after {n} events");
    }
}

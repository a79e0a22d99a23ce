//! A directory for each test, stores in it, and the crash of one: dropped without a word, or copied as it stands.

use runtime::Dir;
use std::ops::ControlFlow;
use std::path::Path;
use std::rc::Rc;
use storage::{Options, Replay, Store};
use types::TreeId;

pub const T: TreeId = TreeId(7);

/// Options that make everything happen early: a pool of 64 frames, log segments of 64 KiB.
pub fn small() -> Options {
    Options {
        pool_bytes: 64 * 4096,
        wal_segment_bytes: 64 << 10,
        wal_buffer_bytes: 64 << 10,
        checkpoint_wal_bytes: 256 << 10,
        ..Options::default()
    }
}

pub async fn open(path: &Path, options: Options) -> (Rc<Store>, Replay) {
    let dir = Dir::open_or_create(path).await.unwrap();
    Store::open(dir, options).await.unwrap()
}

/// Opens and replays; returns the payloads that the log gave.
pub async fn open_replayed(path: &Path, options: Options) -> (Rc<Store>, Vec<Vec<u8>>) {
    let (store, mut replay) = open(path, options).await;
    let mut records = Vec::new();
    while let Some((_, payload)) = replay.next().await.unwrap() {
        records.push(payload);
    }
    (store, records)
}

pub async fn all(store: &Store, tree: TreeId) -> Vec<(Vec<u8>, Vec<u8>)> {
    from(store, tree, b"").await
}

pub async fn from(store: &Store, tree: TreeId, from: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut out = Vec::new();
    store
        .scan(tree, from, &mut |k, v| {
            out.push((k.to_vec(), v.to_vec()));
            ControlFlow::Continue(())
        })
        .await
        .unwrap();
    out
}

/// The files as a crash at this moment would leave them.
pub fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        match std::fs::copy(entry.path(), to.join(entry.file_name())) {
            Ok(_) => {}
            // Being renamed or deleted right now: a segment that no longer counts, or not yet.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => panic!("copy {:?}: {e}", entry.path()),
        }
    }
}

//! Bytes that a disk gives back wrong: an error that says so, never a panic and never wrong data.

use crate::support::{T, copy_dir, open, open_replayed, small};
use proptest::prelude::*;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use storage::{StorageError, Store};

const CELLS: u32 = 3000;

/// A store with leaves, inner nodes, long values and a log, made once.
fn sample() -> &'static Path {
    static DIR: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = DIR.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_path_buf();
        let at = path.clone();
        runtime::block_on(async move {
            let (store, _) = open_replayed(&at, small()).await;
            for i in 0..CELLS {
                store.put(T, &i.to_be_bytes(), &value(i)).await.unwrap();
            }
            let end = store.append(b"before the checkpoint").unwrap().end;
            store.durable(end).await.unwrap();
            store.checkpoint(end, b"meta").await.unwrap();
            for i in 0..50u32 {
                let end = store.append(&i.to_le_bytes()).unwrap().end;
                store.durable(end).await.unwrap();
            }
            store.close().await.unwrap();
        });
        (dir, path)
    });
    path
}

fn value(i: u32) -> Vec<u8> {
    let n = if i % 500 == 3 { 50_000 } else { 100 };
    vec![i as u8; n]
}

/// Reads everything there is, but for so many records at the end.
async fn read_all(path: &Path, lost: u32) -> Result<(), StorageError> {
    let dir = runtime::Dir::open_or_create(path).await.unwrap();
    let (store, mut replay) = Store::open(dir, small()).await?;
    let mut records = 0u32;
    while let Some((_, record)) = replay.next().await? {
        assert_eq!(record, records.to_le_bytes());
        records += 1;
    }
    // A record is known durable by the next: of the last ones each that is damaged looks like one that was never finished.
    assert!(records + lost >= 50, "{records} records");
    let mut cells = 0u32;
    store
        .scan(T, b"", &mut |k, v| {
            assert_eq!(k, cells.to_be_bytes());
            assert_eq!(v, value(cells));
            cells += 1;
            ControlFlow::Continue(())
        })
        .await?;
    assert_eq!(cells, CELLS);
    Ok(())
}

fn damaged(change: impl Fn(&Path)) -> Result<(), StorageError> {
    damaged_in(1, change)
}

/// `places`: bytes that change.
fn damaged_in(places: u32, change: impl Fn(&Path)) -> Result<(), StorageError> {
    let copy = tempfile::tempdir().unwrap();
    copy_dir(sample(), copy.path());
    change(copy.path());
    let path = copy.path().to_path_buf();
    runtime::block_on(async move { read_all(&path, places).await })
}

fn file(dir: &Path, log: bool) -> PathBuf {
    if !log {
        return dir.join("data.pages");
    }
    std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|p| p.to_string_lossy().contains("wal-0"))
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn flipped_bits_are_reported_or_harmless(log in any::<bool>(), places in prop::collection::vec((any::<u32>(), 1u8..), 1..12)) {
        let outcome = damaged_in(places.len() as u32, |dir| {
            let path = file(dir, log);
            let mut bytes = std::fs::read(&path).unwrap();
            let n = bytes.len();
            for (at, flip) in &places {
                bytes[*at as usize % n] ^= flip;
            }
            std::fs::write(path, bytes).unwrap();
        });
        match outcome {
            Ok(()) | Err(StorageError::Corrupt { .. } | StorageError::NewerFormat { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn misplaced_and_missing_pages_are_reported_or_harmless(from in any::<u32>(), to in any::<u32>(), cut in any::<bool>()) {
        let outcome = damaged(|dir| {
            let path = file(dir, false);
            let mut bytes = std::fs::read(&path).unwrap();
            let pages = bytes.len() / 4096;
            let (from, to) = (from as usize % pages * 4096, to as usize % pages * 4096);
            if cut {
                bytes.truncate(to);
            } else {
                bytes.copy_within(from..from + 4096, to);
            }
            std::fs::write(path, bytes).unwrap();
        });
        match outcome {
            Ok(()) | Err(StorageError::Corrupt { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn one_damaged_slot_of_the_superblock_changes_nothing() {
    for at in (0..8192).step_by(97) {
        let outcome = damaged(|dir| {
            let path = file(dir, false);
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[at] ^= 0x10;
            std::fs::write(path, bytes).unwrap();
        });
        // Eight flipped bits make the number of a newer format.
        let newer = matches!(outcome, Err(StorageError::NewerFormat { .. }));
        assert!(newer || outcome.is_ok(), "byte {at}: {outcome:?}");
    }
}

#[test]
fn a_missing_log_or_page_file_is_not_a_new_store() {
    let without_log = damaged(|dir| std::fs::remove_file(file(dir, true)).unwrap());
    assert!(matches!(without_log, Err(StorageError::Corrupt { .. })));
    let without_pages = damaged(|dir| std::fs::remove_file(file(dir, false)).unwrap());
    assert!(matches!(without_pages, Err(StorageError::Corrupt { .. })));
}

#[test]
fn a_log_of_another_store_is_refused() {
    let other = tempfile::tempdir().unwrap();
    let path = other.path().to_path_buf();
    runtime::block_on(async move {
        let (store, _) = open_replayed(&path, small()).await;
        let end = store.append(b"foreign").unwrap().end;
        store.durable(end).await.unwrap();
    });
    let outcome = damaged(|dir| {
        std::fs::copy(file(other.path(), true), file(dir, true)).unwrap();
    });
    assert!(matches!(outcome, Err(StorageError::Corrupt { .. })));
}

#[test]
fn a_creation_cut_short_begins_again() {
    let dir = tempfile::tempdir().unwrap();
    for bytes in [
        vec![],
        vec![0; 100],
        vec![0; 8192],
        [vec![0; 4096], vec![7; 4096]].concat(),
    ] {
        std::fs::write(dir.path().join("data.pages"), bytes).unwrap();
        let path = dir.path().to_path_buf();
        runtime::block_on(async move {
            let (store, mut replay) = open(&path, small()).await;
            assert!(replay.next().await.unwrap().is_none());
            assert!(store.trees().is_empty());
        });
    }
}

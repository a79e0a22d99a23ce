//! The log: what `durable` has promised is given back, and damage is told from a torn end.

use crate::support::{copy_dir, open, open_replayed, small};
use std::path::{Path, PathBuf};
use storage::StorageError;

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| {
            let name = p.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with("wal-0")
        })
        .collect();
    found.sort();
    found
}

fn payload(i: usize) -> Vec<u8> {
    (0..40 + i * 13).map(|j| (i + j) as u8).collect()
}

/// Writes `n` records, each durable before the next; returns the offset of each in the one segment, and the end.
fn write_log(dir: &Path, n: usize) -> Vec<u64> {
    let path = dir.to_path_buf();
    runtime::block_on(async move {
        let (store, _) = open_replayed(&path, small()).await;
        let mut offsets = Vec::new();
        for i in 0..n {
            let at = store.append(&payload(i)).unwrap();
            store.durable(at.end).await.unwrap();
            // The first segment begins at position 4096, behind a block of 4096: the offset is the position.
            offsets.push(at.start.0);
        }
        offsets.push(store.wal_end().0);
        offsets
    })
}

fn replay(dir: &Path) -> Result<Vec<Vec<u8>>, StorageError> {
    let path = dir.to_path_buf();
    runtime::block_on(async move {
        let (store, mut replay) = open(&path, small()).await;
        let mut out = Vec::new();
        while let Some((_, payload)) = replay.next().await? {
            out.push(payload);
        }
        let after = store.append(b"after").unwrap();
        store.durable(after.end).await.unwrap();
        Ok(out)
    })
}

#[test]
fn a_log_torn_at_any_byte_of_its_last_record_ends_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let offsets = write_log(dir.path(), 6);
    let whole: Vec<Vec<u8>> = (0..6).map(payload).collect();
    let (last, end) = (offsets[5], offsets[6]);
    for cut in last..=end {
        let copy = tempfile::tempdir().unwrap();
        copy_dir(dir.path(), copy.path());
        let segment = &segments(copy.path())[0];
        let mut bytes = std::fs::read(segment).unwrap();
        if cut % 2 == 0 {
            bytes.truncate(cut as usize);
        } else {
            bytes[cut as usize..].fill(0);
        }
        std::fs::write(segment, &bytes).unwrap();
        // A record may end in zeros: it is torn only if a byte is lost.
        let torn = bytes.get(..end as usize)
            != std::fs::read(&segments(dir.path())[0])
                .unwrap()
                .get(..end as usize);
        let kept = if torn { 5 } else { 6 };
        assert_eq!(replay(copy.path()).unwrap(), whole[..kept], "cut at {cut}");
        let mut again = whole[..kept].to_vec();
        again.push(b"after".to_vec());
        assert_eq!(
            replay(copy.path()).unwrap(),
            again,
            "second start, cut at {cut}"
        );
    }
}

#[test]
fn a_bad_record_that_was_durable_is_corruption_and_nothing_is_changed() {
    let dir = tempfile::tempdir().unwrap();
    let offsets = write_log(dir.path(), 6);
    for (i, at) in offsets[..5].iter().enumerate() {
        for byte in [0, 3, 8, 15, 19, 25] {
            let copy = tempfile::tempdir().unwrap();
            copy_dir(dir.path(), copy.path());
            let segment = &segments(copy.path())[0];
            let mut bytes = std::fs::read(segment).unwrap();
            bytes[*at as usize + byte] ^= 0x40;
            std::fs::write(segment, &bytes).unwrap();
            let outcome = replay(copy.path());
            // The last but one: only the last record knew it durable.
            assert!(
                matches!(outcome, Err(StorageError::Corrupt { .. })),
                "record {i} byte {byte}: {outcome:?}"
            );
            assert_eq!(std::fs::read(segment).unwrap(), bytes);
        }
    }
}

#[test]
fn records_of_a_lost_group_never_come_back() {
    // Two records in one flush; the first one's block is lost, the second one's is not. The log ends before both, and
    // a new record of the same length as the first must not bring the second back.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    let (first, second) = (vec![1u8; 8000], vec![2u8; 100]);
    let start = {
        let (first, second) = (first.clone(), second.clone());
        runtime::block_on(async move {
            let (store, _) = open_replayed(&path, small()).await;
            let at = store.append(&first).unwrap();
            let end = store.append(&second).unwrap().end;
            store.durable(end).await.unwrap();
            at.start.0
        })
    };
    let segment = segments(dir.path())[0].clone();
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[start as usize + 100] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    let path = dir.path().to_path_buf();
    let first_again = first.clone();
    runtime::block_on(async move {
        let (store, records) = open_replayed(&path, small()).await;
        assert!(records.is_empty());
        let at = store.append(&first_again).unwrap();
        assert_eq!(at.start.0, start);
        store.durable(at.end).await.unwrap();
    });
    let path = dir.path().to_path_buf();
    let records = runtime::block_on(async move { open_replayed(&path, small()).await.1 });
    assert_eq!(records, [first]);
}

#[test]
fn segments_roll_over_and_go_with_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    let root = dir.path().to_path_buf();
    runtime::block_on(async move {
        let (store, _) = open_replayed(&path, small()).await;
        for i in 0..400 {
            store.admit(1000).await.unwrap();
            store.append(&vec![i as u8; 1000]).unwrap();
        }
        // Longer than a segment: it gets one of its own.
        let long = store.append(&vec![9; 300_000]).unwrap();
        store.durable(long.end).await.unwrap();
        assert!(segments(&root).len() >= 7, "{:?}", segments(&root));
        let redo = long.start;
        store.checkpoint(redo, b"").await.unwrap();
        assert_eq!(segments(&root).len(), 1);
        for i in 0..400 {
            store.admit(1000).await.unwrap();
            store.append(&vec![i as u8; 1000]).unwrap();
        }
        store.durable(store.wal_end()).await.unwrap();
        store.close().await.unwrap();
        drop(store);
        let (store, records) = open_replayed(&root, small()).await;
        assert_eq!(records.len(), 401);
        assert_eq!(records[0], vec![9; 300_000]);
        assert_eq!(records[400], vec![143; 1000]);
        // Starting again and again without a record changes nothing.
        let end = store.wal_end();
        drop(store);
        for _ in 0..3 {
            let (store, records) = open_replayed(&root, small()).await;
            assert_eq!((records.len(), store.wal_end()), (401, end));
            store.close().await.unwrap();
        }
    });
}

#[test]
fn one_fsync_serves_all_who_wait() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    runtime::block_on(async move {
        let (store, _) = open_replayed(&path, small()).await;
        let tasks: Vec<_> = (0..200u32)
            .map(|i| {
                let store = store.clone();
                runtime::spawn(async move {
                    let end = store.append(&i.to_le_bytes()).unwrap().end;
                    store.durable(end).await.unwrap();
                    assert!(store.wal_durable() >= end);
                })
            })
            .collect();
        for task in tasks {
            task.await;
        }
        let stats = store.stats();
        assert_eq!(stats.wal_appends, 200);
        assert!(stats.wal_fsyncs < 20, "{stats:?}");
    });
}

#[test]
fn nothing_is_appended_before_the_replay_has_ended_or_after_close() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    runtime::block_on(async move {
        let (store, mut replay) = open(&path, small()).await;
        assert!(matches!(store.append(b"x"), Err(StorageError::NotReplayed)));
        let early = store.checkpoint(store.wal_end(), b"").await;
        assert!(matches!(early, Err(StorageError::NotReplayed)));
        assert!(replay.next().await.unwrap().is_none());
        assert!(replay.next().await.unwrap().is_none());
        store.append(b"x").unwrap();
        store.close().await.unwrap();
        assert!(matches!(store.append(b"x"), Err(StorageError::Closed)));
        drop(store);
        let (_, records) = open_replayed(&path, small()).await;
        assert_eq!(records, [b"x"]);
    });
}

/// Appends `n` records of 8 KiB made of `byte`, over several segments.
fn grow(dir: &Path, n: usize, byte: u8) {
    let path = dir.to_path_buf();
    runtime::block_on(async move {
        let (store, _) = open_replayed(&path, small()).await;
        for _ in 0..n {
            let at = store.append(&[byte; 8192]).unwrap();
            store.durable(at.end).await.unwrap();
        }
        store.close().await.unwrap();
    });
}

#[test]
fn a_segment_of_another_history_is_not_taken_for_the_next_one() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    grow(one.path(), 3, 0);
    copy_dir(one.path(), other.path());
    grow(one.path(), 30, 1);
    grow(other.path(), 30, 2);
    let names = |dir: &Path| -> Vec<_> {
        let name = |p: PathBuf| p.file_name().unwrap().to_owned();
        segments(dir).into_iter().map(name).collect()
    };
    assert_eq!(names(one.path()), names(other.path()));
    let count = names(one.path()).len();
    assert!(count > 4, "{count} segments");
    // Each is sound, is at its position and belongs to the store: only the chain tells.
    for at in 2..count {
        let mixed = tempfile::tempdir().unwrap();
        copy_dir(one.path(), mixed.path());
        std::fs::copy(&segments(other.path())[at], &segments(mixed.path())[at]).unwrap();
        let error = replay(mixed.path()).unwrap_err();
        assert!(matches!(error, StorageError::Corrupt { .. }), "{error}");
        assert!(error.to_string().contains("does not go on"), "{error}");
    }
    assert_eq!(replay(one.path()).unwrap().len(), 33);
}

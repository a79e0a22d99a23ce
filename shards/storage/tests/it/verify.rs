//! `storage::verify` says nothing about what is sound, names what is not, and changes no byte.

use crate::support::{T, copy_dir, open_replayed, small};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use storage::verify::{Contents, Report, verify};
use types::{Lsn, TreeId};

#[derive(Default)]
struct Seen {
    cells: BTreeMap<Vec<u8>, usize>,
    records: Vec<Vec<u8>>,
    progress: Vec<(u64, u64)>,
}

impl Contents for Seen {
    fn cell(&mut self, tree: TreeId, key: &[u8], value: &[u8]) -> Result<(), String> {
        assert_eq!(tree, T);
        self.cells.insert(key.to_vec(), value.len());
        match key == 77u32.to_be_bytes() {
            true => Err("a cell that the layer above does not know".into()),
            false => Ok(()),
        }
    }

    fn record(&mut self, _at: Lsn, payload: &[u8]) -> Result<(), String> {
        self.records.push(payload.to_vec());
        Ok(())
    }

    fn progress(&mut self, done: u64, total: u64) {
        self.progress.push((done, total));
    }
}

fn value_bytes(i: u32) -> usize {
    match i % 400 {
        3 => 50_000,
        5 => 9_000,
        _ => 100,
    }
}

/// Made once: leaves, inner nodes, long values, free pages and a log.
fn sample() -> &'static Path {
    static DIR: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = DIR.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let at = path.clone();
        runtime::block_on(async move {
            let (store, _) = open_replayed(&at, small()).await;
            for round in 0..3 {
                for i in (0..3_000u32).filter(|i| *i != 77) {
                    let value = vec![round; value_bytes(i)];
                    store.put(T, &i.to_be_bytes(), &value).await.unwrap();
                }
                store.checkpoint(store.wal_end(), b"meta").await.unwrap();
            }
            for i in 0..20u32 {
                store.append(&i.to_le_bytes()).unwrap();
                store.durable(store.wal_end()).await.unwrap();
            }
            store.close().await.unwrap();
        });
        (dir, path)
    });
    path
}

fn verified(path: &Path) -> (Report, Seen) {
    let path = path.to_path_buf();
    runtime::block_on(async move {
        let dir = runtime::Dir::open_or_create(&path).await.unwrap();
        let mut seen = Seen::default();
        let report = verify(&dir, types::Lsn(0), &mut seen).await.unwrap();
        (report, seen)
    })
}

/// A report on a copy of the sample after `change`.
fn changed(change: impl Fn(&mut Vec<u8>)) -> Report {
    let copy = tempfile::tempdir().unwrap();
    copy_dir(sample(), copy.path());
    let path = copy.path().join("data.pages");
    let mut bytes = std::fs::read(&path).unwrap();
    change(&mut bytes);
    std::fs::write(&path, bytes).unwrap();
    verified(copy.path()).0
}

fn contents(path: &Path) -> BTreeMap<String, Vec<u8>> {
    std::fs::read_dir(path)
        .unwrap()
        .map(|e| e.unwrap())
        .map(|e| {
            let name = e.file_name().into_string().unwrap();
            (name, std::fs::read(e.path()).unwrap())
        })
        .collect()
}

#[test]
fn a_sound_store_has_no_findings_and_everything_in_it_is_looked_at() {
    let before = contents(sample());
    let (report, seen) = verified(sample());
    assert_eq!(report.findings, []);
    assert_eq!(report.cells, 2_999);
    assert_eq!((report.trees, report.log_records), (1, 20));
    assert_eq!(report.long_values, 16);
    let expected: BTreeMap<Vec<u8>, usize> = (0..3_000u32)
        .filter(|i| *i != 77)
        .map(|i| (i.to_be_bytes().to_vec(), value_bytes(i)))
        .collect();
    assert_eq!(seen.cells, expected);
    assert!(seen.progress.is_sorted() && seen.progress.len() > 20);
    let (done, total) = seen.progress.last().unwrap();
    assert_eq!(done, total);
    assert_eq!(contents(sample()), before, "looking changed the files");
}

#[test]
fn every_damaged_page_in_use_is_named() {
    let pages = std::fs::metadata(sample().join("data.pages"))
        .unwrap()
        .len() as usize
        / 4096;
    let mut damaged = 0;
    for page in (2..pages).step_by(7) {
        let report = changed(|bytes| bytes[page * 4096 + 2_000] ^= 4);
        if report.damaged > 0 {
            damaged += 1;
            let place = format!("page {page}");
            assert!(
                report.findings.iter().any(|f| f.damage && f.place == place),
                "{place}: {:?}",
                report.findings
            );
        }
    }
    let (sound, _) = verified(sample());
    let in_use = sound.pages as usize * 100 / pages;
    assert!(
        damaged * 700 / pages >= in_use * 9 / 10,
        "{damaged} of {pages}, {in_use} % in use"
    );
}

#[test]
fn a_page_in_the_place_of_another_and_a_stale_one_are_named() {
    // The root's page holds what a sound page of the same tree holds: only its place is wrong.
    let report = changed(|bytes| {
        let sound = bytes[9 * 4096..10 * 4096].to_vec();
        bytes[12 * 4096..13 * 4096].copy_from_slice(&sound);
    });
    let wrong = report.findings.iter().find(|f| f.place == "page 12");
    assert!(
        wrong.is_some_and(|f| f.what.contains("it says it is page 9")),
        "{:?}",
        report.findings
    );
}

#[test]
fn one_bad_superblock_slot_is_told_and_two_are_damage() {
    let report = changed(|bytes| bytes[100] ^= 1);
    assert_eq!((report.damaged, report.findings.len()), (0, 1));
    assert!(report.findings[0].place.contains("slot 0"));
    let report = changed(|bytes| {
        bytes[100] ^= 1;
        bytes[4196] ^= 1;
    });
    assert!(report.damaged > 0);
}

#[test]
fn a_damaged_record_and_an_unknown_cell_are_named() {
    let copy = tempfile::tempdir().unwrap();
    copy_dir(sample(), copy.path());
    let log = contents(copy.path())
        .into_keys()
        .filter(|name| name.starts_with("wal-0"))
        .max()
        .unwrap();
    let path = copy.path().join(&log);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096 + 30] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let (report, _) = verified(copy.path());
    assert_eq!(report.damaged, 1, "{:?}", report.findings);
    assert!(report.findings[0].place.starts_with("lsn 0x"));
    let at = copy.path().join("odd");
    runtime::block_on(async move {
        let (store, _) = open_replayed(&at, small()).await;
        store.put(T, &77u32.to_be_bytes(), b"x").await.unwrap();
        store.checkpoint(store.wal_end(), b"").await.unwrap();
    });
    let (report, _) = verified(&copy.path().join("odd"));
    assert_eq!(report.damaged, 1);
    assert!(report.findings[0].what.contains("layer above"));
}

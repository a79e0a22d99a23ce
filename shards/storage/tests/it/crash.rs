//! A crash at any moment: the files as they stand, or as they could stand when writes that were not synced are lost,
//! torn or in another order, hold everything that was acknowledged and nothing that never was.

use crate::support::{T, all, copy_dir, open_replayed, small};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use storage::Store;
use types::Lsn;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Clone, Debug)]
enum Step {
    Change {
        key: u8,
        bytes: Option<usize>,
    },
    Commit,
    Checkpoint,
    /// Let other tasks run so often.
    Pause(u8),
    Crash {
        seed: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = prop_oneof![
        6 => (0usize..400).prop_map(Some),
        1 => (2000usize..20_000).prop_map(Some),
        3 => Just(None),
    ];
    prop_oneof![
        40 => (any::<u8>(), bytes).prop_map(|(key, bytes)| Step::Change { key, bytes }),
        6 => Just(Step::Commit),
        2 => Just(Step::Checkpoint),
        4 => (1u8..20).prop_map(Step::Pause),
        2 => any::<u64>().prop_map(|seed| Step::Crash { seed }),
    ]
}

/// A change as the log has it: its number, key, and value or nothing.
fn encode(number: u32, key: &[u8], value: Option<&[u8]>) -> Vec<u8> {
    let mut out = number.to_le_bytes().to_vec();
    out.push(key.len() as u8);
    out.extend_from_slice(key);
    out.push(u8::from(value.is_some()));
    out.extend_from_slice(value.unwrap_or_default());
    out
}

fn decode(record: &[u8]) -> (u32, &[u8], Option<&[u8]>) {
    let number = u32::from_le_bytes(record[..4].try_into().unwrap());
    let (key, rest) = record[5..].split_at(record[4] as usize);
    (number, key, (rest[0] == 1).then_some(&rest[1..]))
}

async fn change(store: &Store, key: &[u8], value: Option<&[u8]>) {
    match value {
        Some(value) => store.put(T, key, value).await.unwrap(),
        None => drop(store.delete(T, key).await.unwrap()),
    }
}

/// What a crash leaves, and what must be in it.
struct Wreck {
    dir: PathBuf,
    acknowledged: u32,
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % n.max(1)
    }
}

/// Pages written since the last sync are there, not there, or half there. `synced` is the file at the last checkpoint.
fn mangle_pages(dir: &Path, synced: &[u8], random: &mut Random) {
    let path = dir.join("data.pages");
    let mut now = std::fs::read(&path).unwrap();
    if synced.len() < 8192 || now[..8192] != synced[..8192] {
        return;
    }
    for at in (8192..now.len()).step_by(4096) {
        let old = synced.get(at..at + 4096).unwrap_or(&[0; 4096]).to_vec();
        match random.below(3) {
            0 => now[at..at + 4096].copy_from_slice(&old),
            1 => now[at + 512..at + 4096].copy_from_slice(&old[512..]),
            _ => {}
        }
    }
    std::fs::write(path, now).unwrap();
}

/// Log bytes behind the durable end are there, not there, or anything.
fn mangle_log(dir: &Path, durable: u64, random: &mut Random) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some(start) = name.strip_prefix("wal-0") else {
            continue;
        };
        let start = u64::from_str_radix(start, 16).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let from = (durable.max(start) - start) as usize + if durable > start { 4096 } else { 0 };
        if from >= bytes.len() {
            continue;
        }
        match random.below(3) {
            0 => bytes.truncate(from + random.below(bytes.len() - from)),
            1 => {
                for _ in 0..20 {
                    let at = from + random.below((bytes.len() - from).min(9000));
                    bytes[at] = random.below(256) as u8;
                }
            }
            _ => {}
        }
        std::fs::write(&path, bytes).unwrap();
    }
}

/// Opens what is left; it must be the state after some number of changes, all acknowledged ones among them.
async fn check(wreck: &Wreck, history: &[(Vec<u8>, Option<Vec<u8>>)]) {
    for _ in 0..2 {
        let (store, records) = open_replayed(&wreck.dir, small()).await;
        let meta = store.meta();
        let mut reached = meta.try_into().map_or(0, u32::from_le_bytes);
        for record in &records {
            let (number, key, value) = decode(record);
            assert!(number <= reached + 1, "a gap before change {number}");
            reached = reached.max(number);
            change(&store, key, value).await;
        }
        assert!(
            reached >= wreck.acknowledged,
            "{reached} < {}",
            wreck.acknowledged
        );
        let mut model = Model::new();
        for (key, value) in &history[..reached as usize] {
            match value {
                Some(value) => drop(model.insert(key.clone(), value.clone())),
                None => drop(model.remove(key)),
            }
        }
        let expected: Vec<_> = model.into_iter().collect();
        assert_eq!(all(&store, T).await, expected);
        assert_eq!(store.tree_cells(T), expected.len() as u64);
        // The second time from a checkpoint that is the only thing written.
        store
            .checkpoint(store.wal_end(), &reached.to_le_bytes())
            .await
            .unwrap();
    }
}

async fn run(root: &Path, steps: Vec<Step>) {
    let live = root.join("live");
    let (store, _) = open_replayed(&live, small()).await;
    let mut history: Vec<(Vec<u8>, Option<Vec<u8>>)> = Vec::new();
    let mut acknowledged = 0u32;
    let mut wrecks = Vec::new();
    let mut running: Option<runtime::Task<()>> = None;
    let mut synced = std::fs::read(live.join("data.pages")).unwrap();
    for step in steps {
        if running.as_ref().is_some_and(runtime::Task::is_finished) {
            running = None;
            synced = std::fs::read(live.join("data.pages")).unwrap();
        }
        match step {
            Step::Change { key, bytes } => {
                let number = history.len() as u32 + 1;
                let key = format!("key{key:03}").into_bytes();
                let value = bytes.map(|n| vec![number as u8; n]);
                let record = encode(number, &key, value.as_deref());
                store.admit(record.len()).await.unwrap();
                store.append(&record).unwrap();
                change(&store, &key, value.as_deref()).await;
                history.push((key, value));
            }
            Step::Commit => {
                store.durable(store.wal_end()).await.unwrap();
                acknowledged = history.len() as u32;
            }
            Step::Checkpoint => {
                if let Some(running) = running.take() {
                    running.await;
                }
                let (store, meta) = (store.clone(), (history.len() as u32).to_le_bytes());
                let redo = store.wal_end();
                running = Some(runtime::spawn(async move {
                    store.checkpoint(redo, &meta).await.unwrap();
                }));
                // Its first poll freezes, before anything else is changed.
                runtime::yield_now().await;
            }
            Step::Pause(turns) => {
                for _ in 0..turns {
                    runtime::yield_now().await;
                }
            }
            Step::Crash { seed } => {
                let durable = store.wal_durable();
                let dir = root.join(format!("wreck{}", wrecks.len()));
                copy_dir(&live, &dir);
                let mut random = Random(seed);
                mangle_log(&dir, durable.0, &mut random);
                mangle_pages(&dir, &synced, &mut random);
                wrecks.push(Wreck { dir, acknowledged });
            }
        }
    }
    drop(running);
    let dir = root.join("last");
    copy_dir(&live, &dir);
    wrecks.push(Wreck { dir, acknowledged });
    for wreck in &wrecks {
        check(wreck, &history).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_crash_at_any_moment_loses_nothing_acknowledged(steps in prop::collection::vec(step(), 1..400)) {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().to_path_buf();
        runtime::block_on(async move { run(&path, steps).await });
    }
}

#[test]
fn changes_during_a_checkpoint_are_not_in_its_image() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().to_path_buf();
    runtime::block_on(async move {
        let live = path.join("live");
        let (store, _) = open_replayed(&live, small()).await;
        for i in 0..5000u32 {
            store.put(T, &i.to_be_bytes(), &[1; 100]).await.unwrap();
        }
        let before = all(&store, T).await;
        let checkpoint = store.checkpoint(Lsn(4096), b"image");
        let changes = async {
            for i in 0..5000u32 {
                match i % 3 {
                    0 => drop(store.delete(T, &i.to_be_bytes()).await.unwrap()),
                    _ => store
                        .put(T, &(i * 7).to_be_bytes(), &[2; 120])
                        .await
                        .unwrap(),
                }
            }
        };
        let (done, ()) = futures_util::future::join(checkpoint, changes).await;
        done.unwrap();
        let now = all(&store, T).await;
        assert_ne!(now, before);
        copy_dir(&live, &path.join("copy"));
        let (copy, _) = open_replayed(&path.join("copy"), small()).await;
        assert_eq!(all(&copy, T).await, before);
        store.checkpoint(Lsn(4096), b"image").await.unwrap();
        drop(store);
        let (store, _) = open_replayed(&live, small()).await;
        assert_eq!(all(&store, T).await, now);
    });
}

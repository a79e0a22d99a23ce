//! A write that fails ends all writing, and reading goes on.

use crate::support::{T, copy_dir, open_replayed, small};
use std::path::Path;
use std::process::Command;
use storage::{Options, StorageError, Store};

/// The child finds its directory here.
const DIR: &str = "STORAGE_FENCE_TEST_DIR";

async fn expect_fenced(store: &Store) {
    assert!(store.fenced().is_some());
    let fenced = |r: Result<(), StorageError>| matches!(r, Err(StorageError::Fenced { .. }));
    assert!(fenced(store.append(b"x").map(drop)));
    assert!(fenced(store.admit(1).await));
    assert!(fenced(store.put(T, b"k", b"v").await));
    assert!(fenced(store.delete(T, b"k").await.map(drop)));
    assert!(fenced(store.drop_tree(T).await));
    assert!(fenced(store.checkpoint(store.wal_end(), b"").await));
    assert_eq!(store.get(T, b"there").await.unwrap().unwrap(), b"before");
}

#[test]
fn a_log_that_cannot_be_written_fences_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    runtime::block_on(async move {
        let (store, _) = open_replayed(&path, small()).await;
        store.put(T, b"there", b"before").await.unwrap();
        let kept = store.append(b"kept").unwrap();
        store.durable(kept.end).await.unwrap();
        // The next segment cannot be created: its directory is gone.
        let aside = path.with_extension("aside");
        copy_dir(&path, &aside);
        std::fs::remove_dir_all(&path).unwrap();
        let mut failed = None;
        for _ in 0..300 {
            let end = match store.append(&[1; 1000]) {
                Ok(at) => at.end,
                Err(e) => {
                    failed = Some(e);
                    break;
                }
            };
            if let Err(e) = store.durable(end).await {
                failed = Some(e);
                break;
            }
        }
        assert!(
            matches!(failed, Some(StorageError::Fenced { .. })),
            "{failed:?}"
        );
        expect_fenced(&store).await;
        // What was durable before stays durable.
        store.durable(kept.end).await.unwrap();
        let (_, records) = open_replayed(&aside, small()).await;
        assert_eq!(records, [b"kept"]);
        std::fs::remove_dir_all(&aside).unwrap();
    });
}

/// Runs in a process whose files cannot grow over 4 MiB.
fn child(path: &Path) {
    let path = path.to_path_buf();
    runtime::block_on(async move {
        let options = Options {
            pool_bytes: 1 << 20,
            ..small()
        };
        let (store, _) = open_replayed(&path, options).await;
        store.put(T, b"there", b"before").await.unwrap();
        store.checkpoint(store.wal_end(), b"first").await.unwrap();
        let mut failed = None;
        for i in 0..100_000u32 {
            if let Err(e) = store.put(T, &i.to_be_bytes(), &[1; 1000]).await {
                failed = Some(e);
                break;
            }
        }
        assert!(failed.is_some(), "the limit was never met");
        assert!(store.fenced().is_some(), "{failed:?}");
        let fenced = store.put(T, b"k", b"v").await;
        assert!(matches!(fenced, Err(StorageError::Fenced { .. })));
        let checkpoint = store.checkpoint(store.wal_end(), b"second").await;
        assert!(matches!(checkpoint, Err(StorageError::Fenced { .. })));
    });
}

#[test]
fn a_page_that_cannot_be_written_fences_the_store_and_the_last_checkpoint_stays() {
    if let Some(dir) = std::env::var_os(DIR) {
        return child(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let name =
        "fence::a_page_that_cannot_be_written_fences_the_store_and_the_last_checkpoint_stays";
    // The shell's limit is in units of 512 or 1024 bytes.
    let script = "trap '' XFSZ; ulimit -f 4096; exec \"$0\" --exact \"$1\" --nocapture";
    let run = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env(DIR, dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(
        run.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&run.stderr)
    );
    assert!(said.contains("1 passed"), "{said}");
    let path = dir.path().to_path_buf();
    runtime::block_on(async move {
        let (store, _) = open_replayed(&path, small()).await;
        assert_eq!(store.meta(), b"first");
        assert_eq!(store.tree_cells(T), 1);
        assert_eq!(store.get(T, b"there").await.unwrap().unwrap(), b"before");
    });
}

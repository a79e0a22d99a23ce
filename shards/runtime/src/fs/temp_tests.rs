//! Temporary files on a real disk.

use super::*;
use crate::block_on;

const BLOCK: usize = 4096;

fn on_disk() -> tempfile::TempDir {
    let test = std::env::current_exe().unwrap();
    tempfile::tempdir_in(test.parent().unwrap()).unwrap()
}

fn block(byte: u8) -> IoBuf {
    IoBuf::copied(&[byte; BLOCK])
}

#[test]
fn a_temporary_file_gives_back_what_was_written_and_has_no_name() {
    let folders = [Some(on_disk()), tempfile::tempdir_in("/dev/shm").ok()];
    for folder in folders.into_iter().flatten() {
        for named in [false, true] {
            let path = folder.path().to_path_buf();
            block_on(async move {
                let dir = Dir::open_or_create(&path).await.unwrap();
                let mut temp = TempDir::new(dir.clone(), TempQuota::new(1 << 20));
                if named {
                    temp = temp.always_named();
                }
                let file = temp.create().await.unwrap();
                file.write_at(BLOCK as u64, block(7)).await.unwrap();
                file.write_at(0, block(1)).await.unwrap();
                assert_eq!(dir.list().await.unwrap(), Vec::<String>::new());
                let back = file.read_at(0, 3 * BLOCK).await.unwrap();
                assert_eq!((back.len(), back[0], back[BLOCK]), (2 * BLOCK, 1, 7));
                let other = temp.create().await.unwrap();
                assert!(other.read_at(0, BLOCK).await.unwrap().is_empty());
                assert_eq!(temp.stats().files_open, 2);
            });
        }
    }
}

#[test]
fn the_quota_is_exact_over_all_files_and_comes_back() {
    let folder = on_disk();
    let path = folder.path().to_path_buf();
    block_on(async move {
        let dir = Dir::open_or_create(&path).await.unwrap();
        let quota = TempQuota::new(3 * BLOCK as u64);
        let temp = TempDir::new(dir.clone(), quota.clone());
        let elsewhere = TempDir::new(dir, quota.clone());
        let first = temp.create().await.unwrap();
        let second = elsewhere.create().await.unwrap();
        first.write_at(0, block(1)).await.unwrap();
        first.write_at(BLOCK as u64, block(1)).await.unwrap();
        // Written again it takes nothing more.
        first.write_at(0, block(2)).await.unwrap();
        second.write_at(0, block(1)).await.unwrap();
        let over = second.write_at(BLOCK as u64, block(1)).await.unwrap_err();
        let error = Error::from(over);
        assert_eq!(error.code(), SqlState::CONFIGURATION_LIMIT_EXCEEDED);
        assert_eq!(
            error.message(),
            "temporary file size exceeds temp_file_limit (12kB)"
        );
        assert_eq!(quota.used(), quota.bytes_max());
        drop(first);
        assert_eq!(quota.used(), BLOCK as u64);
        second.write_at(BLOCK as u64, block(1)).await.unwrap();
        drop(second);
        assert_eq!(quota.used(), 0);
        let stats = temp.stats();
        assert_eq!((stats.files_open, stats.bytes_held), (0, 0));
        assert_eq!((stats.files_made, stats.bytes_written), (1, 3 * 4096));
    });
}

#[test]
fn a_full_disk_is_53100_and_another_failure_58030() {
    let error = |errno: i32| {
        let error = io::Error::from_raw_os_error(errno);
        Error::from(TempError::Io {
            what: "write to",
            error,
        })
    };
    assert_eq!(error(libc::ENOSPC).code(), SqlState::DISK_FULL);
    assert!(error(libc::ENOSPC).message().contains("temporary file"));
    assert_eq!(error(libc::EIO).code(), SqlState::IO_ERROR);
}

#[test]
fn clearing_a_directory_removes_whatever_is_in_it() {
    let folder = on_disk();
    let path = folder.path().to_path_buf();
    std::fs::write(path.join("left"), b"x").unwrap();
    std::fs::create_dir_all(path.join("deep/er")).unwrap();
    std::os::unix::fs::symlink("/nowhere", path.join("link")).unwrap();
    block_on(async move {
        let dir = Dir::open_or_create(&path).await.unwrap();
        dir.clear().await.unwrap();
        assert_eq!(dir.list().await.unwrap(), Vec::<String>::new());
    });
}

//! Files and directories on a real disk.

use super::*;
use crate::buffers::{Class, Share, current};
use crate::{block_on, spawn};
use std::future::Future;
use std::rc::Rc;

const DIRECT: OpenMode = OpenMode {
    create: true,
    truncate: false,
    direct: true,
};

fn pattern(len: usize, seed: u8) -> IoBuf {
    let mut buf = IoBuf::zeroed(len);
    for (i, byte) in buf.iter_mut().enumerate() {
        *byte = (i / 7) as u8 ^ seed;
    }
    buf
}

/// On the file system of the build directory, which has O_DIRECT on any developer's machine.
fn on_disk() -> tempfile::TempDir {
    let test = std::env::current_exe().unwrap();
    tempfile::tempdir_in(test.parent().unwrap()).unwrap()
}

fn on_dir<F: Future<Output = ()> + 'static>(test: impl FnOnce(Dir) -> F + 'static) {
    let temp = on_disk();
    let path = temp.path().to_path_buf();
    block_on(async move { test(Dir::open_or_create(&path).await.unwrap()).await });
}

fn in_memory() -> Option<tempfile::TempDir> {
    tempfile::tempdir_in("/dev/shm").ok()
}

#[test]
fn a_fresh_direct_file_gives_back_what_was_written() {
    let temp = on_disk();
    let path = temp.path().to_path_buf();
    block_on(async move {
        let dir = Dir::open_or_create(&path).await.unwrap();
        let file = dir.open_file("pages", DIRECT).await.unwrap();
        assert_eq!(file.size().await.unwrap(), 0);
        assert!(file.read_at(0, 4096).await.unwrap().is_empty());
        let buf = file.write_at(8192, pattern(4096, 1)).await.unwrap();
        assert_eq!(buf.len(), 4096);
        assert_eq!(buf[..], pattern(4096, 1)[..]);
        file.sync_data().await.unwrap();
        assert_eq!(file.size().await.unwrap(), 12288);
        assert_eq!(file.read_at(8192, 4096).await.unwrap()[..], buf[..]);
        assert!(file.read_at(0, 4096).await.unwrap().iter().all(|b| *b == 0));
        file.close().await.unwrap();
    });
}

#[test]
fn transfers_over_the_single_operation_limit_are_whole() {
    for temp in [Some(on_disk()), in_memory()].into_iter().flatten() {
        for direct in [true, false] {
            let path = temp.path().to_path_buf();
            block_on(async move {
                let dir = Dir::open_or_create(&path).await.unwrap();
                let mode = OpenMode { direct, ..DIRECT };
                let file = dir.open_file("big", mode).await.unwrap();
                let len = 2 * IO_MAX + 3 * IO_ALIGN;
                let buf = file.write_at(IO_ALIGN as u64, pattern(len, 9)).await;
                assert_eq!(buf.unwrap()[..], pattern(len, 9)[..]);
                let back = file.read_at(IO_ALIGN as u64, len).await.unwrap();
                assert!(back[..] == pattern(len, 9)[..]);
                let short = file.read_at(IO_MAX as u64, 2 * len).await.unwrap();
                assert_eq!(short.len(), len + IO_ALIGN - IO_MAX);
                file.close().await.unwrap();
            });
        }
    }
}

#[test]
fn direct_io_off_the_alignment_is_refused_not_cut() {
    let temp = on_disk();
    let path = temp.path().to_path_buf();
    block_on(async move {
        let dir = Dir::open_or_create(&path).await.unwrap();
        let file = dir.open_file("pages", DIRECT).await.unwrap();
        if !file.is_direct() {
            return;
        }
        for (pos, len) in [(1, 4096), (512, 4096), (0, 4095), (4096, 512)] {
            let error = file.write_at(pos, IoBuf::zeroed(len)).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(file.read_at(pos, len).await.is_err());
        }
        assert_eq!(file.size().await.unwrap(), 0);
    });
}

#[test]
fn a_memory_file_system_takes_direct_files_too() {
    let Some(temp) = in_memory() else { return };
    let path = temp.path().to_path_buf();
    block_on(async move {
        let dir = Dir::open_or_create(&path).await.unwrap();
        let file = dir.open_file("pages", DIRECT).await.unwrap();
        file.write_at(0, pattern(8192, 3)).await.unwrap();
        file.sync_data().await.unwrap();
        assert_eq!(file.read_at(4096, 8192).await.unwrap().len(), 4096);
        file.truncate(4096).await.unwrap();
        assert!(file.read_at(4096, 4096).await.unwrap().is_empty());
        file.close().await.unwrap();
    });
}

#[test]
fn many_concurrent_pages_do_not_mix() {
    let temp = on_disk();
    let path = temp.path().to_path_buf();
    block_on(async move {
        let dir = Dir::open_or_create(&path).await.unwrap();
        let file = Rc::new(dir.open_file("pages", DIRECT).await.unwrap());
        file.allocate(256 * 4096).await.unwrap();
        let writes: Vec<_> = (0..256u64)
            .map(|n| {
                let file = file.clone();
                spawn(async move { file.write_at(n * 4096, pattern(4096, n as u8)).await })
            })
            .collect();
        for write in writes {
            write.await.unwrap();
        }
        file.sync_data().await.unwrap();
        let reads: Vec<_> = (0..256u64)
            .map(|n| {
                let file = file.clone();
                spawn(async move { (n, file.read_at(n * 4096, 4096).await.unwrap()) })
            })
            .collect();
        for read in reads {
            let (n, page) = read.await;
            assert!(page[..] == pattern(4096, n as u8)[..], "page {n}");
        }
    });
}

#[test]
fn small_files_are_replaced_as_a_whole() {
    let temp = on_disk();
    let path = temp.path().to_path_buf();
    block_on(async move {
        let dir = Dir::open_or_create(&path.join("a/b")).await.unwrap();
        for bytes in [&b""[..], b"one", &vec![7; 100_000], b"x"] {
            dir.write_small_atomic("meta", bytes).await.unwrap();
            assert_eq!(dir.read_small("meta").await.unwrap(), bytes);
            assert_eq!(dir.list().await.unwrap(), ["meta"]);
        }
        assert!(dir.exists("meta").await.unwrap());
        dir.rename("meta", "other").await.unwrap();
        assert!(!dir.exists("meta").await.unwrap());
        dir.remove("other").await.unwrap();
        assert_eq!(
            dir.remove("other").await.unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        assert_eq!(
            dir.read_small("other").await.unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        let sub = dir.subdir("p0").await.unwrap();
        assert_eq!(sub.path(), dir.path().join("p0"));
        dir.subdir("p0").await.unwrap();
        dir.sync().await.unwrap();
    });
}

#[test]
fn a_name_never_leads_out_of_its_directory() {
    let temp = on_disk();
    let path = temp.path().to_path_buf();
    block_on(async move {
        let dir = Dir::open_or_create(&path).await.unwrap();
        for name in [
            "",
            ".",
            "..",
            "/",
            "a/b",
            "../x",
            "a/",
            "/etc/passwd",
            "./a",
            "a\0b",
        ] {
            assert!(dir.open_file(name, DIRECT).await.is_err(), "{name:?}");
            assert!(dir.remove(name).await.is_err(), "{name:?}");
        }
        assert!(dir.list().await.unwrap().is_empty());
    });
}

#[test]
fn a_directory_has_one_holder() {
    let temp = on_disk();
    let path = temp.path().to_path_buf();
    block_on(async move {
        let dir = Dir::open_or_create(&path).await.unwrap();
        let held = dir.lock().unwrap();
        let again = Dir::open_or_create(&path).await.unwrap().lock();
        assert_eq!(again.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(held);
        dir.lock().unwrap();
    });
}

#[test]
fn a_full_disk_is_recognised() {
    let full = io::Error::from_raw_os_error(libc::ENOSPC);
    assert!(io_error_is_disk_full(&full));
    assert!(!io_error_is_disk_full(&io::Error::from_raw_os_error(
        libc::EIO
    )));
    let Ok(file) = std::fs::File::options().write(true).open("/dev/full") else {
        return;
    };
    let error = std::io::Write::write_all(&mut &file, b"x").unwrap_err();
    assert!(io_error_is_disk_full(&error));
}

#[test]
fn what_is_under_way_is_counted_and_a_write_of_a_class_uses_its_memory_again() {
    on_dir(|dir| async move {
        let file = dir.open_file("counted", DIRECT).await.unwrap();
        for class in Class::ALL.into_iter().filter(|c| c.bytes() <= IO_MAX) {
            let before = current().stats().of(class);
            let mut buf = IoBuf::take(class.bytes()).await;
            assert_eq!(current().stats().of(class).in_use, before.in_use + 1);
            let at = buf.as_ptr();
            buf.fill(7);
            drop(file.write_at(0, buf).await.unwrap());
            let buf = IoBuf::take(class.bytes()).await;
            assert_eq!(buf.as_ptr(), at, "{class:?}");
            drop(buf);
            let read = file.read_at(0, class.bytes()).await.unwrap();
            assert!(read.iter().all(|b| *b == 7) && read.len() == class.bytes());
            assert_eq!(current().stats().of(class).in_use, before.in_use + 1);
            let kept = read.keep();
            assert_eq!(current().stats().of(class).in_use, before.in_use);
            assert_eq!(kept.len(), class.bytes());
        }
        // A length that is no class counts as what covers it, and a long read as one operation after the other.
        let buf = IoBuf::take(12 << 10).await;
        assert_eq!(current().stats().of(Class::Kib8).in_use, 2);
        drop(buf);
        let long = IoBuf::copied(&vec![9; 2 * IO_MAX]);
        file.write_at(0, long).await.unwrap();
        let read = file.read_at(0, 3 * IO_MAX).await.unwrap();
        assert_eq!(read.len(), 2 * IO_MAX);
        drop(read);
        assert_eq!(current().stats().bytes_in_use, 0);
        let most = current().stats().bytes_high_water;
        assert!(most <= IO_MAX, "{most}");
    });
}

#[test]
fn operations_beyond_the_buffers_there_are_wait_for_one_another() {
    on_dir(|dir| async move {
        let file = Rc::new(dir.open_file("many", DIRECT).await.unwrap());
        let pool = current();
        // All of the common part is somebody else's.
        let mut held = Vec::new();
        for class in [Class::Mib1, Class::Kib4] {
            while let Some(hold) = pool.try_hold(Share::Receive, class, 1) {
                held.push(hold);
            }
        }
        // And of what is for disks but one operation's.
        for _ in 0..7 {
            held.extend(pool.try_hold(Share::Disk, Class::Kib64, IO_MAX >> 16));
        }
        let writes = (0..200u64).map(|n| {
            let file = file.clone();
            crate::spawn(async move {
                let mut buf = IoBuf::take(IO_MAX).await;
                buf.fill(n as u8);
                file.write_at(n % 4 * IO_MAX as u64, buf).await.map(drop)
            })
        });
        for write in writes.collect::<Vec<_>>() {
            write.await.unwrap();
        }
        assert!(pool.stats().of(Class::Kib64).waits > 0);
        assert!(pool.stats().bytes_high_water <= pool.stats().bytes_max);
    });
}

//! What the simulated machine promises to those who test on it.

use super::*;
use crate::fs::{Dir, File, OpenMode};
use crate::{IoBuf, Notify, blocking, channel, need_yield, oneshot, sleep, spawn, timeout};
use crate::{monotonic_ns, random_u64, spawn_background, wall_micros, yield_if_needed, yield_now};
use std::path::Path;
use std::time::Duration;

const MODE: OpenMode = OpenMode {
    create: true,
    truncate: false,
    direct: false,
};

/// Tasks that sleep, yield, talk and draw numbers; returns in which order they did what.
async fn bustle() -> Vec<u64> {
    let (tx, mut rx) = channel::bounded(4);
    for task in 0..5u64 {
        let tx = tx.clone();
        let work = async move {
            for step in 0..10 {
                match random_u64() % 4 {
                    0 => sleep(Duration::from_micros(random_u64() % 500)).await,
                    1 => yield_now().await,
                    2 => yield_if_needed().await,
                    _ => drop(blocking(|| 1).await),
                }
                tx.send(task * 100 + step).await.unwrap();
            }
        };
        match task % 2 {
            0 => spawn(work).detach(),
            _ => spawn_background(work).detach(),
        }
    }
    drop(tx);
    let mut seen = Vec::new();
    while let Some(step) = rx.recv().await {
        seen.push(step);
    }
    seen.push(monotonic_ns());
    seen
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let runs = [1, 1, 2].map(|seed| run(seed, &Disk::new(), bustle()));
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
    assert_eq!(runs[0].len(), 51);
}

#[test]
fn the_clock_jumps_when_nothing_can_run() {
    let begun = std::time::Instant::now();
    run(3, &Disk::new(), async {
        let (from, wall) = (monotonic_ns(), wall_micros());
        sleep(Duration::from_secs(86_400)).await;
        assert!(monotonic_ns() - from >= 86_400_000_000_000);
        assert!(wall_micros() - wall >= 86_400_000_000);
        let late = timeout(Duration::from_secs(5), std::future::pending::<()>());
        assert!(late.await.is_err());
    });
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn what_waits_is_woken_and_what_is_dropped_is_cancelled() {
    run(4, &Disk::new(), async {
        let (done, outcome) = oneshot::channel();
        let notify = std::rc::Rc::new(Notify::new());
        let waits = notify.clone();
        let _task = spawn(async move {
            waits.notified().await;
            let _ = done.send(need_yield());
        });
        yield_now().await;
        while notify.waiting() == 0 {
            yield_now().await;
        }
        notify.notify_all();
        outcome.await.unwrap();
        let (kept, dropped) = oneshot::channel::<()>();
        drop(spawn(async move {
            std::future::pending::<()>().await;
            drop(kept);
        }));
        assert!(dropped.await.is_err());
    });
}

#[test]
#[should_panic(expected = "the simulated run is stuck")]
fn a_run_that_can_never_end_panics() {
    run(5, &Disk::new(), std::future::pending::<()>());
}

#[test]
#[should_panic(expected = "of a task")]
fn a_panic_of_any_task_ends_the_run() {
    run(6, &Disk::new(), async {
        spawn(async { panic!("of a task") }).detach();
        std::future::pending::<()>().await;
    });
}

async fn file(name: &str) -> (Dir, File) {
    let dir = Dir::open_or_create(Path::new("/d")).await.unwrap();
    let file = dir.open_file(name, MODE).await.unwrap();
    (dir, file)
}

/// What each crash of the disk as it is now leaves of a file.
fn left(disk: &Disk, path: &str) -> Vec<Option<Vec<u8>>> {
    let ways = [Crash::Least, Crash::Most]
        .into_iter()
        .chain((0..200).map(Crash::Some));
    let mut found: Vec<_> = ways
        .map(|how| Disk::of(disk.image().crash(how)).contents(Path::new(path)))
        .collect();
    found.sort();
    found.dedup();
    found
}

async fn write(file: &File, at: u64, byte: u8, len: usize) {
    let bytes = IoBuf::copied(&vec![byte; len]);
    file.write_at(at, bytes).await.unwrap();
}

/// `/` and `/d` are as durable as the test wants its file to be.
fn settled(disk: &Disk) {
    let disk = disk.clone();
    run(0, &disk.clone(), async move {
        let (dir, _) = file("f").await;
        dir.sync().await.unwrap();
        disk.sync_dir(Path::new("/")).await.unwrap();
    });
}

#[test]
fn a_write_is_certain_after_a_sync_and_before_it_whole_torn_or_absent() {
    let disk = Disk::new();
    settled(&disk);
    run(7, &disk, async {
        let (_, file) = file("f").await;
        write(&file, 0, 1, 4096).await;
        file.sync_data().await.unwrap();
    });
    assert_eq!(left(&disk, "/d/f"), [Some(vec![1; 4096])]);
    run(8, &disk, async {
        let (_, file) = file("f").await;
        write(&file, 0, 2, 4096).await;
        assert_eq!(file.read_at(0, 4096).await.unwrap()[..], [2; 4096]);
    });
    let found = left(&disk, "/d/f");
    assert!(found.contains(&Some(vec![1; 4096])) && found.contains(&Some(vec![2; 4096])));
    assert!(found.len() > 10, "torn in {} ways", found.len());
    let torn = (0..50).map(|seed| disk.image().crash(Crash::Torn(seed)));
    let torn: Vec<_> = torn
        .filter_map(|image| Disk::of(image).contents(Path::new("/d/f")))
        .filter(|bytes| *bytes != [1; 4096] && *bytes != [2; 4096])
        .collect();
    assert!(torn.len() > 25, "{} of 50 are torn", torn.len());
    for bytes in found.iter().flatten().chain(&torn) {
        assert_eq!(bytes.len(), 4096);
        let sectors = bytes.as_chunks::<512>().0;
        assert!(sectors.iter().all(|s| s.iter().all(|b| *b == s[0])));
    }
}

#[test]
fn a_sync_covers_only_what_had_completed_before_it_was_issued() {
    let mut overlapped = false;
    for seed in 0..20 {
        let disk = Disk::new();
        settled(&disk);
        run(seed, &disk, async {
            let (_, file) = file("f").await;
            let (_, synced) = futures_util::future::join(
                file.write_at(0, IoBuf::copied(&[1; 512])),
                file.sync_data(),
            )
            .await;
            synced.unwrap();
        });
        overlapped |= left(&disk, "/d/f").len() > 1;
    }
    assert!(overlapped);
}

#[test]
fn a_failed_sync_makes_what_it_covered_uncertain_for_ever() {
    let disk = Disk::new();
    settled(&disk);
    disk.order(Fault::new(On::Sync, "/d/f", Does::Fail(libc::EIO)));
    run(9, &disk, async {
        let (_, file) = file("f").await;
        write(&file, 0, 1, 512).await;
        let failed = file.sync_data().await.unwrap_err();
        assert_eq!(failed.raw_os_error(), Some(libc::EIO));
        file.sync_data().await.unwrap();
        write(&file, 512, 2, 512).await;
        file.sync_data().await.unwrap();
    });
    let found = left(&disk, "/d/f");
    assert_eq!(found.len(), 2);
    assert!(found.iter().flatten().all(|f| f[512..] == [2; 512]));
}

#[test]
fn a_rename_is_whole_and_certain_only_after_the_directory_is_synced() {
    let disk = Disk::new();
    settled(&disk);
    let old_and_new = |disk: &Disk| {
        let mut found: Vec<_> = (0..100)
            .map(|seed| {
                let left = Disk::of(disk.image().crash(Crash::Some(seed)));
                ["f", "g"].map(|name| left.contents(&Path::new("/d").join(name)).is_some())
            })
            .collect();
        found.sort();
        found.dedup();
        found
    };
    run(10, &disk, async {
        let (dir, _) = file("f").await;
        dir.rename("f", "g").await.unwrap();
    });
    assert_eq!(old_and_new(&disk), [[false, true], [true, false]]);
    run(11, &disk, async {
        let (dir, _) = file("g").await;
        dir.sync().await.unwrap();
    });
    assert_eq!(old_and_new(&disk), [[false, true]]);
}

#[test]
fn after_a_kill_what_was_written_is_read_and_still_not_certain() {
    let disk = Disk::new();
    settled(&disk);
    run(12, &disk, async {
        let (_, file) = file("f").await;
        write(&file, 0, 1, 512).await;
    });
    let killed = Disk::of(disk.image().crash(Crash::Kill(1)));
    let seen = killed.contents(Path::new("/d/f"));
    assert_eq!(seen, Some(vec![1; 512]));
    assert_eq!(left(&killed, "/d/f").len(), 2);
}

#[test]
fn a_directory_is_durable_with_its_parents_when_it_is_open() {
    let there = |disk: &Disk| {
        run(1, &Disk::of(disk.image().crash(Crash::Least)), async {
            crate::sim::disk()
                .unwrap()
                .exists(Path::new("/x/y/z"))
                .await
        })
        .unwrap()
    };
    let disk = Disk::new();
    run(1, &disk, async {
        let dir = Dir::open_or_create(Path::new("/x/y")).await.unwrap();
        dir.subdir("z").await.unwrap();
    });
    assert!(there(&disk));
    // Killed at any moment of it, and done again by the next process.
    let mut cut = Image::new();
    for event in disk.log() {
        cut.apply(&event);
        let next = Disk::of(cut.crash(Crash::Kill(1)));
        run(2, &next, async {
            let dir = Dir::open_or_create(Path::new("/x/y")).await.unwrap();
            dir.subdir("z").await.unwrap();
        });
        assert!(there(&next));
    }
}

#[test]
fn faults_meet_the_operation_they_were_ordered_for() {
    let disk = Disk::new();
    settled(&disk);
    let order = |on, does| disk.order(Fault::new(on, "/d/f", does).after(1));
    order(On::Write, Does::Fail(libc::ENOSPC));
    order(On::Open, Does::Fail(libc::EIO));
    order(On::Read, Does::flip(3, 0));
    disk.order(Fault::new(On::Write, "/d/f", Does::Lie).at(4096..8192));
    disk.order(Fault::new(On::Write, "/d/f", Does::misdirect(0)).at(8192..12_288));
    run(13, &disk, async {
        let (dir, file) = file("f").await;
        assert!(dir.open_file("f", MODE).await.is_err());
        write(&file, 0, 1, 512).await;
        let full = file.write_at(0, IoBuf::copied(&[9; 512])).await;
        assert!(crate::io_error_is_disk_full(&full.unwrap_err()));
        write(&file, 4096, 2, 512).await;
        assert_eq!(file.size().await.unwrap(), 512);
        write(&file, 8192, 3, 512).await;
        assert_eq!(file.read_at(0, 4).await.unwrap()[..], [3, 3, 3, 3]);
        assert_eq!(file.read_at(0, 4).await.unwrap()[..], [3, 3, 3, 2]);
    });
    assert_eq!(disk.faults_left(), 0);
}

#[test]
fn syncs_of_one_file_are_told_apart_by_what_was_written_before_them() {
    let disk = Disk::new();
    settled(&disk);
    disk.order(Fault::new(On::Sync, "/d/f", Does::Lie).at(0..512).always());
    run(15, &disk, async {
        let (_, file) = file("f").await;
        for at in [0, 512, 512, 0] {
            write(&file, at, 1 + at as u8, 512).await;
            file.sync_data().await.unwrap();
        }
    });
    // The second one made certain what the first had left out; the last write is not.
    let found = left(&disk, "/d/f");
    assert_eq!(found.len(), 1, "the last write is the same as the first");
    let lies = disk.log().iter().filter(|e| is_nothing(e)).count();
    assert_eq!(lies, 2, "a lie is in the history");
    disk.order(Fault::new(On::Sync, "/d/f", Does::Lie).at(0..512));
    run(16, &disk, async {
        let (_, file) = file("f").await;
        write(&file, 0, 9, 512).await;
        file.sync_data().await.unwrap();
    });
    assert_eq!(left(&disk, "/d/f").len(), 2);
}

fn is_nothing(event: &Event) -> bool {
    let Event::Issued { change, .. } = event else {
        return false;
    };
    matches!(change, Change::Nothing)
}

#[test]
fn a_late_write_is_behind_the_sync_that_should_have_covered_it_and_an_exchanged_one_behind_its_successor()
 {
    for (until, behind, seen) in [
        (Until::NextOperation, 2, [2, 2]),
        (Until::NextWrite, 2, [1, 1]),
    ] {
        let disk = Disk::new();
        settled(&disk);
        disk.order(Fault::new(On::Write, "/d/f", Does::Late(until)));
        let used = disk.clone();
        run(17, &disk, async move {
            let (_, file) = file("f").await;
            write(&file, 0, 1, 512).await;
            file.sync_data().await.unwrap();
            assert_eq!(left(&used, "/d/f").len(), behind, "{until:?}");
            write(&file, 0, 2, 512).await;
            assert_eq!(file.read_at(0, 2).await.unwrap()[..], seen, "{until:?}");
        });
    }
}

#[test]
fn a_log_gone_through_again_gives_the_same_disk() {
    let disk = Disk::new();
    run(14, &disk, async {
        let (dir, file) = file("f").await;
        for i in 0..20u8 {
            write(&file, u64::from(i) * 700, i, 900).await;
            if i % 5 == 0 {
                file.sync_data().await.unwrap();
            }
        }
        file.truncate(5_000).await.unwrap();
        dir.write_small_atomic("small", b"bytes").await.unwrap();
        dir.remove("f").await.unwrap();
    });
    let mut again = Image::new();
    for event in disk.log() {
        again.apply(&event);
    }
    assert_eq!(again.digest(), disk.image().digest());
    for seed in 0..50 {
        let crash = Crash::Some(seed);
        assert_eq!(
            again.crash(crash).digest(),
            disk.image().crash(crash).digest()
        );
    }
}

//! Bugs put in on purpose, to prove that the crash points find bugs.
//!
//! Each test plants one and expects that the enumeration of crash points reports it, and that the point which does is well
//! without it; `the_same_points_all_pass_when_nothing_is_planted` holds the rest of them to that. The bugs that are code
//! (a check left out) are planted in `storage::planted`, those that are a missing or early sync or a late write in the
//! simulated disk, where they look the same.

use crate::points::{Medium, Point, Tally, Trial, Which, enumerate};
use crate::record::{Faults, Recording, Size};
use runtime::sim::{Does, Fault, On, Until};
use std::ops::Range;
use storage::planted::{Planted, plant};

const SEED: u64 = 1;
const SIZE: Size = Size {
    clients: 3,
    units: 24,
};
const SAMPLE: Which = Which::OneIn(30);

const SUPERBLOCK: Range<u64> = 0..2 * 4096;
const PAGES: Range<u64> = 2 * 4096..u64::MAX - 1;
const NOTHING: Range<u64> = u64::MAX - 1..u64::MAX;
const ANY: Range<u64> = 0..u64::MAX;
/// Log segments, without the spare one that is being filled.
const LOG: &str = "/wal-0";
const PAGE_FILE: &str = "/data.pages";

#[derive(Default)]
struct Bug {
    medium: Medium,
    faults: Faults,
    left_out: Option<Planted>,
}

impl Bug {
    fn enumerate(&self, which: Which, failures_max: usize) -> Tally {
        let begun = std::time::Instant::now();
        let recording = match Recording::make(SEED, SIZE, &self.faults) {
            Ok(recording) => recording,
            Err(e) => panic!("the workload failed without a crash: {e}"),
        };
        let trial = Trial {
            medium: self.medium,
            faults: &self.faults.again,
        };
        let _planted = self.left_out.map(plant);
        let tally = enumerate(SEED, &recording, trial, which, failures_max);
        println!(
            "{} points, {} told, {:?}: {:?}",
            tally.points,
            tally.told,
            begun.elapsed(),
            tally.failures
        );
        tally
    }

    /// The first point that reports the bug. Without the bug nothing is wrong with it.
    fn found(&self) -> Point {
        let tally = self.enumerate(SAMPLE, 1);
        let Some((point, _)) = tally.failures.first().cloned() else {
            panic!("{} points and none of them noticed", tally.points);
        };
        let sound = Bug {
            medium: self.medium,
            ..Bug::default()
        };
        let well = sound.enumerate(Which::Only(point), 1);
        assert_eq!((well.points, well.failures.len()), (1, 0));
        point
    }
}

/// When a planted fault begins.
#[derive(Clone, Copy, Debug)]
enum From {
    First,
    Serving,
    Again,
}

/// Every such operation from then on.
fn bug(from: From, fault: Fault) -> Bug {
    let always = vec![fault.always()];
    let faults = match from {
        From::First => Faults {
            first: always,
            ..Faults::default()
        },
        From::Serving => Faults {
            serving: always,
            ..Faults::default()
        },
        From::Again => Faults {
            again: always,
            ..Faults::default()
        },
    };
    Bug {
        faults,
        ..Bug::default()
    }
}

/// The bug is found in each of these parts of a database's life.
fn found(during: &[From], fault: &Fault) {
    for from in during {
        println!("{:?} {} {from:?}", fault.on, fault.path);
        bug(*from, fault.clone()).found();
    }
}

/// Acknowledged and not done.
fn skipped(on: On, path: &str, at: Range<u64>) -> Fault {
    Fault::new(on, path, Does::Lie).at(at)
}

const ALL: &[From] = &[From::First, From::Serving, From::Again];

#[test]
fn the_same_points_all_pass_when_nothing_is_planted() {
    for medium in [Medium::Sound, Medium::Rots] {
        let nothing = Bug {
            medium,
            ..Bug::default()
        };
        let tally = nothing.enumerate(SAMPLE, 3);
        assert_eq!(tally.failures, []);
        assert_eq!(tally.told > 0, medium == Medium::Rots);
    }
}

/// Directory and map: docs/format.md.
const OWN_KINDS: &[u8] = &[5, 6];

#[test]
fn a_lost_write_of_the_directory_or_the_map_is_told() {
    let lost = Bug {
        medium: Medium::Loses(OWN_KINDS),
        ..Bug::default()
    };
    let tally = lost.enumerate(SAMPLE, 3);
    assert_eq!(tally.failures, []);
    assert!(tally.told > 0);
}

#[test]
fn the_same_seed_finds_a_bug_at_the_same_point() {
    let bug = bug(From::Serving, skipped(On::Sync, LOG, ANY));
    assert_eq!(bug.found(), bug.found());
}

#[test]
fn a_log_that_is_not_synced_is_noticed() {
    found(ALL, &skipped(On::Sync, LOG, ANY));
}

#[test]
fn the_log_of_one_partition_that_is_not_synced_is_noticed() {
    found(ALL, &skipped(On::Sync, "p0000/wal-0", ANY));
    found(ALL, &skipped(On::Sync, "p0001/wal-0", ANY));
}

#[test]
fn a_sync_of_the_log_that_is_skipped_now_and_then_is_noticed() {
    let fault = || skipped(On::Sync, LOG, ANY).after(15);
    let serving = (0..100).map(|_| fault()).collect();
    let faults = Faults {
        serving,
        ..Faults::default()
    };
    Bug {
        faults,
        ..Bug::default()
    }
    .found();
}

#[test]
fn pages_that_are_not_synced_before_their_superblock_are_noticed() {
    found(ALL, &skipped(On::Sync, PAGE_FILE, PAGES));
}

#[test]
fn a_superblock_that_is_not_synced_is_noticed() {
    found(ALL, &skipped(On::Sync, PAGE_FILE, SUPERBLOCK));
}

#[test]
fn a_page_file_that_is_not_synced_when_it_is_opened_is_noticed() {
    found(&[From::Again], &skipped(On::Sync, PAGE_FILE, NOTHING));
}

#[test]
fn a_partitions_directory_that_is_not_synced_is_noticed() {
    found(ALL, &skipped(On::SyncDir, "/data/p", ANY));
}

#[test]
fn a_data_directory_that_is_not_synced_is_noticed() {
    found(
        &[From::First],
        &skipped(On::SyncDir, "/data", ANY).exactly(),
    );
    found(&[From::First], &skipped(On::SyncDir, "/", ANY).exactly());
}

#[test]
fn a_small_file_that_is_not_synced_before_its_rename_is_noticed() {
    found(&[From::First], &skipped(On::Sync, "FORMAT", ANY));
}

#[test]
fn a_log_record_taken_without_its_checksum_is_noticed() {
    let left_out = Some(Planted::RecordChecksum);
    Bug {
        left_out,
        ..Bug::default()
    }
    .found();
}

#[test]
fn a_page_taken_without_its_checksum_is_noticed() {
    let left_out = Some(Planted::PageChecksum);
    let medium = Medium::Rots;
    Bug {
        left_out,
        medium,
        ..Bug::default()
    }
    .found();
}

#[test]
fn an_acknowledgement_before_its_sync_is_noticed() {
    let early = Fault::new(On::Sync, LOG, Does::Late(Until::NextOperation));
    found(ALL, &early);
}

#[test]
fn a_record_written_later_than_its_sync_is_noticed() {
    let late = Fault::new(On::Write, LOG, Does::Late(Until::NextOperation));
    found(ALL, &late);
}

#[test]
fn a_record_that_changes_places_with_its_successor_is_noticed() {
    let late = || Fault::new(On::Write, LOG, Does::Late(Until::NextWrite)).after(7);
    let faults = Faults {
        serving: (0..100).map(|_| late()).collect(),
        ..Faults::default()
    };
    Bug {
        faults,
        ..Bug::default()
    }
    .found();
}

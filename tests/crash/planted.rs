//! Bugs put in on purpose, to prove that the crash points find bugs.
//!
//! Each test plants one and expects that the enumeration of crash points reports it, and that the point which does is well
//! without it; `the_same_points_all_pass_when_nothing_is_planted` holds the rest of them to that. The bugs that are code
//! (a check left out) are planted in `storage::planted`, those that are a missing or early sync or a late write in the
//! simulated disk, where they look the same.

use crate::points::{Medium, Point, Tally, Which, enumerate_on};
use crate::record::{Recording, Size};
use runtime::sim::{Does, Fault, On, Until};
use storage::planted::{Planted, plant};

const SEED: u64 = 1;
const SIZE: Size = Size {
    clients: 3,
    units: 24,
};
const SAMPLE: Which = Which::OneIn(30);

fn record(faults: &[Fault]) -> Recording {
    match Recording::make(SEED, SIZE, faults) {
        Ok(recording) => recording,
        Err(e) => panic!("the workload failed without a crash: {e}"),
    }
}

fn points(medium: Medium, recording: &Recording, which: Which, failures_max: usize) -> Tally {
    let begun = std::time::Instant::now();
    let tally = enumerate_on(medium, SEED, recording, which, failures_max);
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
fn finds(medium: Medium, faults: &[Fault], left_out: Option<Planted>) -> Point {
    let recording = record(faults);
    let tally = {
        let _planted = left_out.map(plant);
        points(medium, &recording, SAMPLE, 1)
    };
    let Some((point, _)) = tally.failures.first().cloned() else {
        panic!("{} points and none of them noticed", tally.points);
    };
    let well = points(medium, &record(&[]), Which::Only(point), 1);
    assert_eq!((well.points, well.failures.len()), (1, 0));
    point
}

/// Every such operation is acknowledged and not done.
fn never(on: On, path: &str, at: std::ops::Range<u64>) -> [Fault; 1] {
    [Fault::new(on, path, Does::Lie).at(at).always()]
}

const SUPERBLOCK: std::ops::Range<u64> = 0..2 * 4096;
const PAGES: std::ops::Range<u64> = 2 * 4096..u64::MAX - 1;
const ANY: std::ops::Range<u64> = 0..u64::MAX;
/// Log segments, without the spare one that is being filled.
const LOG: &str = "/wal-0";

#[test]
fn the_same_points_all_pass_when_nothing_is_planted() {
    let recording = record(&[]);
    for medium in [Medium::Sound, Medium::Rots] {
        let tally = points(medium, &recording, SAMPLE, 3);
        assert_eq!(tally.failures, []);
        assert_eq!(tally.told > 0, medium == Medium::Rots);
    }
}

#[test]
fn a_log_that_is_never_synced_is_noticed() {
    finds(Medium::Sound, &never(On::Sync, LOG, ANY), None);
}

#[test]
fn pages_that_are_not_synced_before_their_superblock_are_noticed() {
    finds(Medium::Sound, &never(On::Sync, "data.pages", PAGES), None);
}

#[test]
fn a_superblock_that_is_never_synced_is_noticed() {
    let bug = never(On::Sync, "data.pages", SUPERBLOCK);
    finds(Medium::Sound, &bug, None);
}

#[test]
fn a_partitions_directory_that_is_never_synced_is_noticed() {
    finds(Medium::Sound, &never(On::SyncDir, "/data/p", ANY), None);
}

#[test]
fn directories_that_are_never_synced_are_noticed() {
    finds(Medium::Sound, &never(On::SyncDir, "/", ANY), None);
}

#[test]
fn a_log_record_taken_without_its_checksum_is_noticed() {
    finds(Medium::Sound, &[], Some(Planted::RecordChecksum));
}

#[test]
fn a_page_taken_without_its_checksum_is_noticed() {
    finds(Medium::Rots, &[], Some(Planted::PageChecksum));
}

#[test]
fn an_acknowledgement_before_its_sync_is_noticed() {
    let early = Fault::new(On::Sync, LOG, Does::Late(Until::NextOperation));
    finds(Medium::Sound, &[early.always()], None);
}

#[test]
fn a_record_written_later_than_its_sync_is_noticed() {
    let late = Fault::new(On::Write, LOG, Does::Late(Until::NextOperation));
    finds(Medium::Sound, &[late.always()], None);
}

#[test]
fn a_record_that_changes_places_with_its_successor_is_noticed() {
    let late = || Fault::new(On::Write, LOG, Does::Late(Until::NextWrite)).after(7);
    let now_and_then: Vec<Fault> = (0..100).map(|_| late()).collect();
    finds(Medium::Sound, &now_and_then, None);
}

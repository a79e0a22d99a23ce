//! Power fails, processes die and disks lie, at every moment; what was acknowledged is there and nothing else.
//!
//! A seeded workload runs once on a simulated machine (`runtime::sim`) whose disk keeps a history of every operation. Then,
//! for every boundary between two events, the disks that a crash there could leave are opened again and compared with what
//! the clients had been told. `CONTRIBUTING.md` says how to run all points and how to see a failing one again.

mod check;
mod database;
mod model;
mod planted;
mod points;
mod record;
mod scenarios;
mod workload;

use points::{Point, Tally, Trial, Which, enumerate, report};
use record::{Faults, Recording, Size};

const SIZE: Size = Size {
    clients: 3,
    units: 24,
};

fn record(seed: u64) -> Recording {
    match Recording::make(seed, SIZE, &Faults::default()) {
        Ok(recording) => recording,
        Err(e) => panic!("the workload of seed {seed} failed without a crash: {e}"),
    }
}

fn run(seed: u64, which: Which) -> Tally {
    let begun = std::time::Instant::now();
    let recording = record(seed);
    let tally = enumerate(seed, &recording, Trial::default(), which, 3);
    report(&tally, &recording, SIZE);
    println!(
        "seed {seed}: {} points at {} boundaries, {} failed, {:?}",
        tally.points,
        tally.boundaries,
        tally.failures.len(),
        begun.elapsed()
    );
    tally
}

#[test]
fn the_same_seed_is_the_same_run() {
    let runs = [1, 1, 2].map(|seed| {
        let recording = record(seed);
        let events = recording.events.len();
        (events, recording.image(events).digest())
    });
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

/// Every point of the seeds 1 to this in the full run, which `CRASH_POINTS=all` asks for.
const SEEDS_ALL: u64 = 4;
/// Of the points of a seed, one in so many is in the sample.
const SAMPLE: u64 = 12;

/// `CRASH_SEED` chooses the first seed, `CRASH_SEEDS` how many.
#[test]
fn a_crash_at_any_boundary_loses_nothing_acknowledged() {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let all = std::env::var("CRASH_POINTS").is_ok_and(|p| p == "all");
    let which = if all {
        Which::Every
    } else {
        Which::OneIn(SAMPLE)
    };
    let first = number("CRASH_SEED").unwrap_or(1);
    let seeds = number("CRASH_SEEDS").unwrap_or(SEEDS_ALL);
    let tallies: Vec<Tally> = (first..first + seeds)
        .map(|seed| run(seed, which))
        .collect();
    let points: usize = tallies.iter().map(|t| t.points).sum();
    let failed: usize = tallies.iter().map(|t| t.failures.len()).sum();
    println!("{points} distinct crash points, {failed} failed");
    assert_eq!(failed, 0);
}

#[test]
fn a_first_start_can_be_cut_short_anywhere() {
    let size = Size {
        clients: 1,
        units: 1,
    };
    let recording = Recording::make(1, size, &Faults::default()).unwrap();
    let tally = enumerate(1, &recording, Trial::default(), Which::Every, 3);
    report(&tally, &recording, size);
    assert_eq!(tally.failures.len(), 0);
}

/// The point that `CRASH_REPLAY` names, alone.
#[test]
fn replay() {
    let Ok(text) = std::env::var("CRASH_REPLAY") else {
        return;
    };
    let Some(point) = Point::parse(&text) else {
        panic!("CRASH_REPLAY is seed:boundary:variant, not {text}");
    };
    let tally = run(point.seed, Which::Only(point));
    assert_eq!(tally.failures.len(), 0);
}

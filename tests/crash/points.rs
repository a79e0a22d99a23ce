//! Crash points: a moment of a recorded run, and what of the uncertain a crash there leaves.
//!
//! Every moment between two events of the disk is a boundary. At each there are the crash that leaves least, the one that
//! leaves most, some that leave any subset, one that tears every write, and one that kills the process alone. Points whose disks and
//! promises are the same count once.

use crate::check::{self, Worlds};
use crate::database::{DIR, PARTITIONS};
use crate::record::{Promise, Recording, Size, note};
use runtime::sim::{Change, Crash, Disk, Event, Fault, Image, OpId, Random};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::rc::Rc;

const PAGE: usize = 4096;
/// Where a page says of what kind it is.
const KIND_AT: usize = 24;
/// Where pages begin that are not the superblock's.
const PAGES_AT: u64 = 2 * PAGE as u64;

/// Names one crash point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    pub seed: u64,
    /// Events that had happened.
    pub boundary: usize,
    pub variant: u64,
}

/// Of which the last kills the process alone.
pub const VARIANTS: u64 = 7;

impl Point {
    fn crash(self) -> Crash {
        let mut random = Random::new(self.seed);
        random.mix(self.boundary as u64);
        random.mix(self.variant);
        match self.variant {
            0 => Crash::Least,
            1 => Crash::Most,
            v if v + 1 == VARIANTS => Crash::Kill(random.draw()),
            v if v + 2 == VARIANTS => Crash::Torn(random.draw()),
            _ => Crash::Some(random.draw()),
        }
    }

    /// As `CRASH_REPLAY` takes it.
    pub fn parse(text: &str) -> Option<Point> {
        let mut numbers = text.split(':').map(str::parse::<u64>);
        let mut next = || numbers.next()?.ok();
        Some(Point {
            seed: next()?,
            boundary: next()? as usize,
            variant: next()?,
        })
    }
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.seed, self.boundary, self.variant)
    }
}

/// What an enumeration has met.
#[derive(Default, Debug)]
pub struct Tally {
    pub boundaries: usize,
    pub points: usize,
    /// Points at which the database said that its disk is not what it was.
    pub told: usize,
    pub failures: Vec<(Point, String)>,
}

/// Which points of a run to try.
#[derive(Clone, Copy, Debug)]
pub enum Which {
    Every,
    /// One in so many, by the seed.
    OneIn(u64),
    Only(Point),
}

/// What a disk does besides losing what is not certain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Medium {
    #[default]
    Sound,
    /// One page of a page file is not what was written there (`rot`).
    Rots,
    /// One write of a page of these kinds was acknowledged and never done.
    Loses(&'static [u8]),
}

/// On what the points are tried.
#[derive(Clone, Copy, Default)]
pub struct Trial<'a> {
    pub medium: Medium,
    /// Ordered from the disk of the life after the crash.
    pub faults: &'a [Fault],
}

/// Goes through a recorded run and checks points at every boundary; stops after `failures_max` failures.
pub fn enumerate(
    seed: u64,
    recording: &Recording,
    trial: Trial<'_>,
    which: Which,
    failures_max: usize,
) -> Tally {
    let worlds: Worlds = Rc::new(recording.worlds.clone());
    let mut image = Image::new();
    let mut promises = vec![Promise { told: 0, begun: 0 }; recording.clients()];
    let mut seen = HashSet::new();
    let mut draw = Random::new(seed ^ 0x5eed);
    let mut tally = Tally::default();
    for boundary in 0..=recording.events.len() {
        if boundary > 0 {
            let event = &recording.events[boundary - 1];
            image.apply(event);
            note(&mut promises, event);
        }
        tally.boundaries += 1;
        for variant in 0..VARIANTS {
            let point = Point {
                seed,
                boundary,
                variant,
            };
            let chosen = match which {
                Which::Every => true,
                Which::OneIn(n) => draw.one_in(n),
                Which::Only(only) => only == point,
            };
            if !chosen {
                continue;
            }
            let left = match trial.medium {
                Medium::Loses(kinds) => {
                    let lost = written_page(recording, kinds, point);
                    let image = recording.image_without(boundary, lost);
                    image.crash(point.crash())
                }
                _ => image.crash(point.crash()),
            };
            if !seen.insert(name(&left, &promises, point)) {
                continue;
            }
            tally.points += 1;
            match try_point(trial, left, point, &promises, &worlds) {
                Ok(told) => tally.told += usize::from(told),
                Err(why) => tally.failures.push((point, why)),
            }
            if tally.failures.len() >= failures_max {
                return tally;
            }
        }
    }
    tally
}

/// Equal for points that nobody could tell apart.
fn name(left: &Image, promises: &[Promise], point: Point) -> u64 {
    let mut hash = DefaultHasher::new();
    let killed = point.variant + 1 == VARIANTS;
    (left.digest(), promises, killed).hash(&mut hash);
    hash.finish()
}

/// True when the database has said that its disk is not what it was.
fn try_point(
    trial: Trial<'_>,
    left: Image,
    point: Point,
    promises: &[Promise],
    worlds: &Worlds,
) -> Result<bool, String> {
    let mut random = Random::new(point.seed ^ point.boundary as u64);
    random.mix(point.variant);
    let checked = AssertUnwindSafe(|| match trial.medium {
        Medium::Sound => {
            let seed = random.draw();
            check::check(left, trial.faults, seed, promises, worlds).map(|()| false)
        }
        medium => {
            let disk = Disk::of(left);
            if medium == Medium::Rots {
                rot(&disk, &mut random);
            }
            check::notice(&disk, random.draw(), promises, worlds)
        }
    });
    catch_unwind(checked).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}

/// One of the writes of pages of these kinds.
fn written_page(recording: &Recording, kinds: &[u8], point: Point) -> Option<OpId> {
    let (mut files, mut written) = (Vec::new(), Vec::new());
    for event in &recording.events[..point.boundary] {
        match event {
            Event::Issued { op, change } => match change {
                Change::Create { name, node, .. } if name == "data.pages" => files.push(*node),
                Change::Write { file, at, bytes } if files.contains(file) && *at >= PAGES_AT => {
                    let kind = bytes.get(KIND_AT).is_some_and(|kind| kinds.contains(kind));
                    written.extend(kind.then_some(*op));
                }
                _ => {}
            },
            Event::Done { .. } | Event::Mark(_) => {}
        }
    }
    let mut random = Random::new(point.seed ^ point.boundary as u64);
    random.mix(point.variant);
    let at = random.below(written.len().max(1) as u64) as usize;
    written.get(at).copied()
}

/// Flips a bit of a page, loses its end, or puts another page in its place.
fn rot(disk: &Disk, random: &mut Random) {
    let partition = random.below(PARTITIONS as u64);
    let path = format!("{DIR}/p{partition:04}/data.pages");
    let path = Path::new(&path);
    let bytes = disk.contents(path).unwrap_or_default();
    let pages = bytes.as_chunks::<PAGE>().0;
    let written: Vec<usize> = (0..pages.len())
        .filter(|n| pages[*n].iter().any(|b| *b != 0))
        .collect();
    if written.is_empty() {
        return;
    }
    let mut pick = || written[random.below(written.len() as u64) as usize];
    let (page, other) = (pick(), pick());
    let at = (page * PAGE) as u64;
    match random.below(3) {
        0 => {
            disk.flip(path, at + random.below(PAGE as u64), random.below(8) as u8);
        }
        1 => {
            for sector in 1 + random.below(7)..8 {
                disk.alter(path, at + sector * 512, |s| s.fill(0));
            }
        }
        _ => {
            for (n, sector) in pages[other].as_chunks::<512>().0.iter().enumerate() {
                disk.alter(path, at + n as u64 * 512, |s| *s = *sector);
            }
        }
    }
}

/// Says what failed and how to see it again.
pub fn report(tally: &Tally, recording: &Recording, size: Size) {
    for (point, why) in &tally.failures {
        let near = recording.events[..point.boundary].iter().rev().take(6);
        let near: Vec<String> = near.map(describe).collect();
        eprintln!(
            "crash point {point} of {} boundaries ({size:?}, {:?}):\n{why}\nlast events: {}\nagain: CRASH_REPLAY={point} cargo test --test crash replay -- --nocapture",
            recording.events.len() + 1,
            point.crash(),
            near.join("; "),
        );
    }
}

pub fn describe(event: &Event) -> String {
    let text = format!("{event:?}");
    match text.find("bytes: [") {
        Some(at) => format!("{}…", &text[..at]),
        None => text,
    }
}

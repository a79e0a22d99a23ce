//! One run of a workload with every event of its disk, and what each moment of it promises.

use crate::database::Database;
use crate::model::World;
use crate::workload::{self, Mark, Unit};
use runtime::sim::{self, Disk, Event, Fault, Image, OpId};
use std::rc::Rc;

/// How much a recorded run does.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub clients: usize,
    pub units: usize,
}

/// What a crash at one moment may leave of a client: its worlds after these many units, either of both.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Promise {
    /// The client has been told of so many.
    pub told: usize,
    /// It has begun so many.
    pub begun: usize,
}

/// Faults to order, by the moment from which on.
#[derive(Clone, Default)]
pub struct Faults {
    /// The empty disk.
    pub first: Vec<Fault>,
    /// The first start is over, and clients begin.
    pub serving: Vec<Fault>,
    /// The start after a crash.
    pub again: Vec<Fault>,
}

pub struct Recording {
    pub events: Vec<Event>,
    /// For each client its world after each unit; the first is the empty one.
    pub worlds: Vec<Vec<Rc<World>>>,
}

impl Recording {
    /// Runs the workload of this seed from an empty disk to a clean stop.
    pub fn make(seed: u64, size: Size, faults: &Faults) -> Result<Recording, String> {
        let disk = Disk::new();
        faults.first.iter().for_each(|f| disk.order(f.clone()));
        let scripts: Vec<Vec<Unit>> = (0..size.clients)
            .map(|client| workload::script(seed, client, size.units))
            .collect();
        let worlds = scripts.iter().map(|units| {
            let after = units.iter().map(|u| u.after.clone());
            std::iter::once(Rc::default()).chain(after).collect()
        });
        let worlds = worlds.collect();
        let (scripts, used) = (Rc::new(scripts), disk.clone());
        let serving = faults.serving.clone();
        sim::run(seed, &disk, async move {
            let database = Database::open().await.map_err(|e| e.to_string())?;
            serving.into_iter().for_each(|f| used.order(f));
            workload::perform(&database, &used, &scripts).await?;
            database.shard.close().await.map_err(|e| e.to_string())
        })?;
        Ok(Recording {
            events: disk.log(),
            worlds,
        })
    }

    pub fn clients(&self) -> usize {
        self.worlds.len()
    }

    /// The disk after the first `boundary` events.
    pub fn image(&self, boundary: usize) -> Image {
        self.image_without(boundary, None)
    }

    /// The same, if this operation had never reached the disk.
    pub fn image_without(&self, boundary: usize, lost: Option<OpId>) -> Image {
        let mut image = Image::new();
        for event in &self.events[..boundary] {
            let op = match event {
                Event::Issued { op, .. } | Event::Done { op, .. } => Some(*op),
                Event::Mark(_) => None,
            };
            if op.is_none() || op != lost {
                image.apply(event);
            }
        }
        image
    }
}

/// Takes one more event into the promises.
pub fn note(promises: &mut [Promise], event: &Event) {
    if let Event::Mark(word) = event {
        let mark = Mark::decode(*word);
        if let Some(promise) = promises.get_mut(mark.client) {
            match mark.told {
                true => promise.told = mark.unit,
                false => promise.begun = mark.unit,
            }
        }
    }
}

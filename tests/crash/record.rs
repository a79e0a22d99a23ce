//! One run of a workload with every event of its disk, and what each moment of it promises.

use crate::database::Database;
use crate::model::World;
use crate::workload::{self, Mark, Unit};
use runtime::sim::{self, Disk, Event, Fault, Image};
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

pub struct Recording {
    pub events: Vec<Event>,
    /// For each client its world after each unit; the first is the empty one.
    pub worlds: Vec<Vec<Rc<World>>>,
}

impl Recording {
    /// Runs the workload of this seed from an empty disk to a clean stop. `planted` is ordered from the disk beforehand.
    pub fn make(seed: u64, size: Size, planted: &[Fault]) -> Result<Recording, String> {
        let disk = Disk::new();
        planted.iter().for_each(|fault| disk.order(fault.clone()));
        let scripts: Vec<Vec<Unit>> = (0..size.clients)
            .map(|client| workload::script(seed, client, size.units))
            .collect();
        let worlds = scripts.iter().map(|units| {
            let after = units.iter().map(|u| u.after.clone());
            std::iter::once(Rc::default()).chain(after).collect()
        });
        let worlds = worlds.collect();
        let (scripts, used) = (Rc::new(scripts), disk.clone());
        sim::run(seed, &disk, async move {
            let database = Database::open().await.map_err(|e| e.to_string())?;
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
        let mut image = Image::new();
        self.events[..boundary].iter().for_each(|e| image.apply(e));
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

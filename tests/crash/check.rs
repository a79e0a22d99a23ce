//! Opening what a crash has left, and comparing it with what was promised.
//!
//! Each disk is opened twice. The first time everything promised must be there and nothing else, indexes must agree with
//! their tables, and new work must be taken. Then it crashes again, somewhere in that second life, and the third one must
//! hold what the second had shown and said.

use crate::database::{Client, Database};
use crate::model::{Cells, Content, World, difference};
use crate::record::Promise;
use engine::catalog::databases::FIRST_OID;
use runtime::sim::{self, Crash, Disk, Event, Fault, Image, Random};
use std::cell::RefCell;
use std::rc::Rc;

/// Each client's worlds, by units done.
pub type Worlds = Rc<Vec<Vec<Rc<World>>>>;

/// What clients own begins with these; the probe's table does not.
const OWNED: [char; 2] = ['a', 'b'];
const PROBE: &str = "probe";
/// Rows that the probe inserts: enough for both partitions.
const PROBES: i32 = 8;
const MARK_SHOWN: u64 = 1;
const MARK_PROBED: u64 = 2;

/// Opens the image, checks it, works on it, crashes and checks again. The disk of the life between both crashes has `faults`.
pub fn check(
    image: Image,
    faults: &[Fault],
    seed: u64,
    promises: &[Promise],
    worlds: &Worlds,
) -> Result<(), String> {
    let mut random = Random::new(seed);
    let disk = Disk::of(image.clone());
    faults.iter().for_each(|fault| disk.order(fault.clone()));
    let shown = live(&disk, random.draw(), promises, worlds)?;
    let events = disk.log();
    // Half of the time at its end with nothing spared, else anywhere in between.
    let (upto, how) = match random.one_in(2) {
        true => (events.len(), Crash::Least),
        false => {
            let upto = random.below(events.len() as u64 + 1) as usize;
            let seed = random.draw();
            let how = if random.one_in(3) {
                Crash::Torn(seed)
            } else {
                Crash::Some(seed)
            };
            (upto, how)
        }
    };
    let mut again = image;
    events[..upto].iter().for_each(|e| again.apply(e));
    let said = |mark| events[..upto].iter().any(|e| is_mark(e, mark));
    let fixed: Vec<Promise> = shown
        .iter()
        .map(|n| Promise {
            told: *n,
            begun: *n,
        })
        .collect();
    let promises = match said(MARK_SHOWN) {
        true => &fixed,
        false => promises,
    };
    let disk = Disk::of(again.crash(how));
    let probed = said(MARK_PROBED);
    reopen(&disk, random.draw(), promises, worlds, probed).map_err(|e| {
        format!(
            "second crash ({upto} of {} events, {how:?}): {e}",
            events.len()
        )
    })
}

/// How the machine says that bytes are not those that were written.
const TOLD: &str = "data corrupted";

/// Of a disk that has rotted: what can be read is what was promised, or it is said that it cannot. Says which.
pub fn notice(
    disk: &Disk,
    seed: u64,
    promises: &[Promise],
    worlds: &Worlds,
) -> Result<bool, String> {
    let (promises, worlds) = (promises.to_vec(), worlds.clone());
    let outcome = sim::run(seed, disk, async move {
        let database = open().await?;
        compare(&database, &promises, &worlds).await
    });
    match outcome {
        Ok(_) => Ok(false),
        Err(e) if e.contains(TOLD) => Ok(true),
        Err(e) => Err(e),
    }
}

fn is_mark(event: &Event, mark: u64) -> bool {
    matches!(event, Event::Mark(m) if *m == mark)
}

/// Opens, checks and works. Returns how many units of each client there are.
fn live(
    disk: &Disk,
    seed: u64,
    promises: &[Promise],
    worlds: &Worlds,
) -> Result<Vec<usize>, String> {
    let (marks, worlds) = (disk.clone(), worlds.clone());
    let promises = promises.to_vec();
    sim::run(seed, disk, async move {
        let database = open().await?;
        let shown = compare(&database, &promises, &worlds).await?;
        marks.mark(MARK_SHOWN);
        let client = database.client().map_err(|e| e.to_string())?;
        let checkpoint = seed.is_multiple_of(2);
        let worked = work(&client, checkpoint).await;
        worked.map_err(|e| format!("new work: {e}"))?;
        marks.mark(MARK_PROBED);
        if seed.is_multiple_of(3) {
            let stopped = database.shard.close().await;
            stopped.map_err(|e| format!("stop: {e}"))?;
        }
        Ok(shown)
    })
}

fn reopen(
    disk: &Disk,
    seed: u64,
    promises: &[Promise],
    worlds: &Worlds,
    probed: bool,
) -> Result<(), String> {
    let (promises, worlds) = (promises.to_vec(), worlds.clone());
    sim::run(seed, disk, async move {
        let database = open().await?;
        compare(&database, &promises, &worlds).await?;
        let there = probes(&database).await?;
        match probed {
            true if there != Some(PROBES) => Err(format!("new work: {there:?} rows are left")),
            _ => Ok(()),
        }
    })
}

async fn open() -> Result<Database, String> {
    Database::open().await.map_err(|e| format!("open: {e}"))
}

async fn work(client: &Client, checkpoint: bool) -> types::Result<()> {
    client
        .run("create table probe (id int primary key, n int)")
        .await?;
    client.run("create index probe_n on probe (n)").await?;
    client
        .run("insert into probe select g, 0 from generate_series(1, 9) g")
        .await?;
    if checkpoint {
        client.run("checkpoint").await?;
    }
    client
        .run("begin; update probe set n = id; delete from probe where id = 9; commit")
        .await?;
    Ok(())
}

/// How many rows the probe's table has; all of them must be whole.
async fn probes(database: &Database) -> Result<Option<i32>, String> {
    let catalog = database.shard.catalog(FIRST_OID);
    let Some(table) = catalog.table_by_name(None, PROBE) else {
        return Ok(None);
    };
    database.check_indexes(table).await?;
    let client = database.client().map_err(|e| e.to_string())?;
    let rows = client.run("select id, n from probe where n > 0 order by id");
    let rows = rows.await.map_err(|e| e.to_string())?;
    match rows.len() as i32 {
        0 | PROBES => Ok(Some(rows.len() as i32)),
        n => Err(format!("new work: {n} of {PROBES} rows are changed")),
    }
}

/// Compares what there is with what was promised. Returns which of the promised worlds of each client it is.
pub async fn compare(
    database: &Database,
    promises: &[Promise],
    worlds: &Worlds,
) -> Result<Vec<usize>, String> {
    let client = database.client().map_err(|e| e.to_string())?;
    let found = read(database, &client).await?;
    let mut shown = Vec::new();
    for (n, (promise, history)) in promises.iter().zip(worlds.iter()).enumerate() {
        let own: World = found
            .iter()
            .filter(|(name, _)| name[1..] == n.to_string() && name.starts_with(OWNED))
            .map(|(name, content)| (name.clone(), content.clone()))
            .collect();
        // The later one first: where both are the same it does not matter, and it is the one that others build on.
        let fits = [promise.begun, promise.told]
            .into_iter()
            .find(|units| *history[*units] == own);
        let Some(units) = fits else {
            return Err(format!(
                "client {n}: neither what it was told ({} units): {}\nnor with what it had begun ({}): {}",
                promise.told,
                difference(&own, &history[promise.told]),
                promise.begun,
                difference(&own, &history[promise.begun]),
            ));
        };
        shown.push(units);
    }
    let strange = found.keys().find(|name| !name.starts_with(OWNED));
    match strange.filter(|name| *name != PROBE) {
        Some(name) => Err(format!("there is a table {name}")),
        None => Ok(shown),
    }
}

/// All tables with their rows, read as a client reads them and along their indexes.
async fn read(database: &Database, client: &Client) -> Result<World, String> {
    let catalog = database.shard.catalog(FIRST_OID);
    let mut world = World::new();
    for table in catalog.tables.values() {
        database.check_indexes(table).await?;
        let mut content = Content::default();
        for index in &table.indexes {
            match index.unique {
                true => content.by_n = true,
                false => content.by_v = true,
            }
        }
        if table.name != PROBE {
            let sql = format!("select id, v, n, body from {} order by id", table.name);
            let rows = client.run(&sql).await.map_err(|e| format!("{sql}: {e}"))?;
            for row in rows {
                let (id, cells) = Cells::read(&row).ok_or_else(|| format!("a row is {row:?}"))?;
                content.rows.insert(id, cells);
            }
            look_up(client, &table.name, &content).await?;
        }
        world.insert(table.name.clone(), content);
    }
    Ok(world)
}

/// A row of each table, found by each of its indexes.
async fn look_up(client: &Client, table: &str, content: &Content) -> Result<(), String> {
    let Some((id, cells)) = content.rows.iter().next_back() else {
        return Ok(());
    };
    let by = [
        (content.by_v, "v", cells.v.clone()),
        (content.by_n, "n", cells.n.to_string()),
    ];
    for (there, column, value) in by {
        if !there {
            continue;
        }
        let sql = format!("select id from {table} where {column} = $1 order by id");
        let rows = client.query(&sql, std::slice::from_ref(&value)).await;
        let rows = rows.map_err(|e| format!("{sql}: {e}"))?;
        let same = |c: &Cells| match column {
            "v" => c.v == cells.v,
            _ => c.n == cells.n,
        };
        let expected = content.rows.iter().filter(|(_, c)| same(c)).count();
        if rows.len() != expected {
            return Err(format!(
                "{table}.{id} by {column} = {value}: {} rows and not {expected}",
                rows.len()
            ));
        }
    }
    Ok(())
}

thread_local! {
    /// Of the check that runs, for the report when it panics.
    pub static RUNNING: RefCell<String> = const { RefCell::new(String::new()) };
}

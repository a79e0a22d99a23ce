//! `rustydb-shard restore`: a new data directory from a backup, incremental ones, and the archive of the log.
//!
//! Owns: the order of it. The files are copied, a later copy of a log segment in place of an earlier one; what
//! the partitions then have tells to which moments all of them can be restored; the commits until the chosen one are
//! redone, and transactions over several partitions settled as their coordinator did until then. The log begins a history
//! of its own. `FORMAT` comes last: a directory without it is refused by every command.
//! Never: changes the backup or the archive. Needs room for a copy of both.

use super::progress::Progress;
use crate::config::{Config, Restore};
use crate::router::Router;
use crate::router::backup::{Manifest, Part, shown};
use crate::server::{StartError, bootstrap, directory, shard};
use crate::telemetry::Metrics;
use engine::shard::{Layout, Shard};
use engine::txn::Horizon;
use engine::txn::history::{self, History};
use runtime::Dir;
use runtime::mesh::mesh;
use std::path::{Path, PathBuf};
use types::{Error, PartitionId, ShardId, Ts};

const PAGES: &str = "data.pages";

/// Makes the configured data directory from what it is told; says what it did.
pub fn restore(config: &Config, what: &Restore) -> Result<String, StartError> {
    let until = what.to_time.as_deref().map(moment).transpose();
    let until = until.map_err(StartError::Restore)?;
    let (config, what) = (config.clone(), what.clone());
    runtime::block_on(async move { work(&config, &what, until).await }).map_err(StartError::Restore)
}

/// Nanoseconds since 1970 of a time in the forms of RFC 3339 and of PostgreSQL; one without a zone is UTC.
fn moment(text: &str) -> Result<Ts, String> {
    let bad = || format!("--to-time: \"{text}\" is not a time such as 2027-01-15T08:00:00Z");
    // PostgreSQL prints "+00" where RFC 3339 has "+00:00".
    let (head, zone) = text.split_at(text.len().saturating_sub(3));
    let short = zone.starts_with(['+', '-']) && zone[1..].bytes().all(|b| b.is_ascii_digit());
    let whole = match short && head.contains(':') {
        true => format!("{text}:00"),
        false => text.to_owned(),
    };
    let nanos = match whole.parse::<jiff::Timestamp>() {
        Ok(at) => at.as_nanosecond(),
        Err(_) => whole
            .parse::<jiff::civil::DateTime>()
            .ok()
            .and_then(|at| jiff::tz::TimeZone::UTC.to_timestamp(at).ok())
            .ok_or_else(bad)?
            .as_nanosecond(),
    };
    u64::try_from(nanos).map(Ts).map_err(|_| bad())
}

async fn work(config: &Config, what: &Restore, until: Option<Ts>) -> Result<String, String> {
    let manifests = chain(what).await?;
    let (full, last) = (&manifests[0].1, &manifests[manifests.len() - 1].1);
    let layout = Layout {
        partitions: full.partitions.len() as u16,
        generation: full.generation,
    };
    let dir = Dir::open_or_create(&config.data_dir)
        .await
        .map_err(|e| format!("{}: {e}", config.data_dir.display()))?;
    let left: Vec<String> = dir.list().await.map_err(|e| e.to_string())?;
    if !left.is_empty() {
        return Err(format!(
            "{} is not empty; choose a new directory with --data-dir",
            config.data_dir.display()
        ));
    }
    let _lock = dir.lock().map_err(|e| e.to_string())?;
    let archived = copy(&dir, layout, &manifests, what.archive.as_deref()).await?;
    let mut histories = Vec::new();
    for (p, part) in layout.ids().zip(&full.partitions) {
        histories.push(history_of(&dir, layout, p, part).await?);
    }
    let default = match what.archive {
        Some(_) => None,
        None => Some(Ts(last.to)),
    };
    let until = choose(&histories, Ts(full.from), until, default)?;
    redo(config, &dir, layout, until).await?;
    directory::write(&dir, layout).await?;
    let records: u64 = histories.iter().map(|h| h.records).sum();
    Ok(format!(
        "restored {} partitions as of {} from {} backups and {archived} archived segments; {records} log records",
        layout.partitions,
        shown(until),
        manifests.len(),
    ))
}

/// The manifests of the full backup and those that go on from it, in order.
async fn chain(what: &Restore) -> Result<Vec<(PathBuf, Manifest)>, String> {
    let mut found: Vec<(PathBuf, Manifest)> = Vec::new();
    for path in [&what.from].into_iter().chain(&what.incremental) {
        let manifest = Manifest::read(path)
            .await
            .map_err(|e| e.message().to_owned())?;
        let before = found.last().map(|(_, m)| &m.id);
        if manifest.base.as_ref() != before {
            return Err(match (&manifest.base, before) {
                (Some(_), None) => format!(
                    "{} is incremental; name the full backup with --from and this one with --incremental",
                    path.display()
                ),
                (None, Some(_)) => format!("{} is not incremental", path.display()),
                _ => format!(
                    "{} does not go on from the backup before it",
                    path.display()
                ),
            });
        }
        found.push((path.clone(), manifest));
    }
    Ok(found)
}

/// Copies everything into place. Returns how many segments came from the archive.
async fn copy(
    dir: &Dir,
    layout: Layout,
    manifests: &[(PathBuf, Manifest)],
    archive: Option<&Path>,
) -> Result<u64, String> {
    let said = |e: std::io::Error| e.to_string();
    let mut from_archive = 0;
    let partitions = usize::from(layout.partitions);
    let mut progress = Progress::new("copy");
    let steps = (partitions * (manifests.len() + 1)) as u64;
    let mut done = 0;
    for p in layout.ids() {
        let to = dir.subdir(&layout.name(p)).await.map_err(said)?;
        for (path, manifest) in manifests {
            let part = manifest
                .partitions
                .get(usize::from(p.0))
                .ok_or("the backups have different numbers of partitions")?;
            let from = open(&path.join(&part.directory)).await?;
            if manifest.base.is_none() {
                to.copy_from(&from, PAGES)
                    .await
                    .map_err(|e| format!("{}: {e}", path.display()))?;
            }
            segments(&to, &from).await?;
            done += 1;
            progress.update(done, steps);
        }
        if let Some(archive) = archive {
            let from = open(&archive.join(layout.name(p))).await?;
            from_archive += segments(&to, &from).await?;
        }
        done += 1;
        progress.update(done, steps);
        to.sync().await.map_err(said)?;
    }
    Ok(from_archive)
}

async fn open(path: &Path) -> Result<Dir, String> {
    Dir::open(path)
        .await
        .map_err(|e| format!("{}: {e}", path.display()))
}

/// Copies the segments of the history that is there, from the first one there on. A later copy has all that an earlier had.
async fn segments(to: &Dir, from: &Dir) -> Result<u64, String> {
    let said = |e: std::io::Error| e.to_string();
    let own = to.list().await.map_err(said)?;
    let first = own.iter().find_map(|name| storage::segment_start(name));
    let mut copied = 0;
    for name in from.list().await.map_err(said)? {
        let Some(start) = storage::segment_start(&name) else {
            continue;
        };
        if first.is_some_and(|first| start < first || !storage::same_history(first, start)) {
            continue;
        }
        to.copy_from(from, &name)
            .await
            .map_err(|e| format!("{}/{name}: {e}", from.path().display()))?;
        copied += 1;
    }
    Ok(copied)
}

async fn history_of(
    dir: &Dir,
    layout: Layout,
    p: PartitionId,
    part: &Part,
) -> Result<History, String> {
    let at = |e: String| format!("partition {p}: {e}");
    let of = dir
        .subdir(&layout.name(p))
        .await
        .map_err(|e| at(e.to_string()))?;
    let found = history::read(&of)
        .await
        .map_err(|e| at(e.message().to_owned()))?;
    if part.store() != Some(found.store) {
        return Err(at(
            "it belongs to another data directory than its manifest says".into(),
        ));
    }
    Ok(found)
}

/// The moment that all partitions can be restored to: the wanted one, the one that the last backup names, or the latest.
fn choose(
    histories: &[History],
    images_until: Ts,
    wanted: Option<Ts>,
    default: Option<Ts>,
) -> Result<Ts, String> {
    let first = histories.iter().map(|h| h.from).max().unwrap_or_default();
    let first = first.max(images_until);
    let last = histories.iter().map(|h| h.to).min().unwrap_or_default();
    let until = wanted.or(default).unwrap_or(last);
    if until < first {
        return Err(format!(
            "the backup begins at {}, after {}",
            shown(first),
            shown(until)
        ));
    }
    if until > last {
        return Err(format!(
            "the log ends at {}, before {}",
            shown(last),
            shown(until)
        ));
    }
    match histories.iter().filter_map(|h| h.unlogged).min() {
        Some(at) if at <= until => Err(format!(
            "rows were loaded at {} without being logged; restore to a time before it, or from a backup taken after it",
            shown(at)
        )),
        _ => Ok(until),
    }
}

/// Opens every partition in this one executor, which redoes their logs, and closes them behind a checkpoint.
async fn redo(config: &Config, dir: &Dir, layout: Layout, until: Ts) -> Result<(), String> {
    let said = |e: Error| e.message().to_owned();
    let mut options = shard::options(config, usize::from(layout.partitions));
    options.restore_to = Some(until);
    options.archive_timeout = None;
    options.storage.archive = None;
    options.storage.new_history = true;
    let shard = Shard::open(ShardId(0), 1, dir, layout, &options, Horizon::new(1))
        .await
        .map_err(said)?;
    if let Some(reason) = shard.fenced() {
        return Err(reason);
    }
    let port = mesh(1, 1).remove(0).bind();
    let router = Router::new(shard.clone(), port, Metrics::current());
    bootstrap::begin(&router).await.map_err(said)?;
    shard.close().await.map_err(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_printed_by_us_and_by_psql() {
        let at = Ok(Ts(1_800_000_000_250_000_000));
        for text in [
            "2027-01-15T08:00:00.25Z",
            "2027-01-15 08:00:00.25Z",
            "2027-01-15 08:00:00.25+00",
            "2027-01-15 09:00:00.25+01:00",
            "2027-01-15 08:00:00.25",
        ] {
            assert_eq!(moment(text), at, "{text}");
        }
        for text in ["", "now", "15.1.2027", "1960-01-01T00:00:00Z"] {
            assert!(moment(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_a_moment_that_every_partition_has_can_be_chosen() {
        let of = |from, to| History {
            from: Ts(from),
            to: Ts(to),
            ..History::default()
        };
        let two = [of(10, 90), of(20, 80)];
        assert_eq!(choose(&two, Ts(0), None, None), Ok(Ts(80)));
        assert_eq!(choose(&two, Ts(0), None, Some(Ts(50))), Ok(Ts(50)));
        assert_eq!(choose(&two, Ts(0), Some(Ts(20)), Some(Ts(50))), Ok(Ts(20)));
        assert!(choose(&two, Ts(0), Some(Ts(19)), None).is_err());
        assert!(choose(&two, Ts(0), Some(Ts(81)), None).is_err());
        assert!(choose(&two, Ts(31), Some(Ts(30)), None).is_err());
        let mut lost = two;
        lost[0].unlogged = Some(Ts(40));
        assert!(
            choose(&lost, Ts(0), None, None)
                .unwrap_err()
                .contains("loaded")
        );
        assert_eq!(choose(&lost, Ts(0), Some(Ts(39)), None), Ok(Ts(39)));
    }
}

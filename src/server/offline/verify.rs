//! `rustydb-shard verify`: everything on disk, or in a backup, is looked at, and what is wrong is said, page by page.

use super::progress::Progress;
use crate::config::Config;
use crate::router::backup::Manifest;
use crate::server::{StartError, directory};
use engine::txn::contents::Known;
use runtime::Dir;
use std::path::Path;
use storage::verify::Report;
use types::{Lsn, PartitionId};

/// Checks every partition and prints what it found. `true` when nothing is damaged.
pub fn verify(config: &Config) -> Result<bool, StartError> {
    let directory = directory::open_existing(config)?;
    let mut damaged = 0;
    for partition in directory.layout.ids() {
        let path = config.data_dir.join(directory.layout.name(partition));
        let mut progress = Progress::new(format!("partition {partition}"));
        let checked = runtime::block_on(async move {
            let dir = Dir::open(&path).await.map_err(|e| e.to_string())?;
            let mut tell = |done, total| progress.update(done, total);
            let mut known = Known {
                progress: &mut tell,
            };
            storage::verify::verify(&dir, Lsn(0), &mut known)
                .await
                .map_err(|e| e.to_string())
        });
        match checked {
            Ok(report) => {
                print(partition, &report);
                damaged += u64::from(report.damaged > 0);
            }
            Err(reason) => {
                println!("partition {partition}: cannot be read: {reason}");
                damaged += 1;
            }
        }
    }
    Ok(sum_up(usize::from(directory.layout.partitions), damaged))
}

/// Checks a backup, full or incremental, and prints what it found. `true` when nothing is damaged.
pub fn verify_backup(path: &Path) -> Result<bool, StartError> {
    let bad = |reason: String| StartError::Backup {
        path: path.display().to_string(),
        reason,
    };
    let of = path.to_path_buf();
    let manifest = runtime::block_on(async move { Manifest::read(&of).await })
        .map_err(|e| bad(e.message().to_owned()))?;
    let mut damaged = 0;
    for part in &manifest.partitions {
        let partition = PartitionId(part.number);
        let whole = manifest.base.is_none();
        let (dir, part) = (path.join(&part.directory), part.clone());
        let checked = runtime::block_on(async move {
            let dir = Dir::open(&dir).await.map_err(|e| e.to_string())?;
            let mut progress = Progress::new(format!("partition {partition}"));
            let mut tell = |done, total| progress.update(done, total);
            let mut known = Known {
                progress: &mut tell,
            };
            let checked = match whole {
                true => storage::verify::verify(&dir, part.end(), &mut known).await,
                false => {
                    let store = part.store().unwrap_or_default();
                    let span = (Lsn(part.from), part.end());
                    storage::verify::verify_log(&dir, store, span, &mut known).await
                }
            };
            checked.map_err(|e| e.to_string())
        });
        match checked {
            Ok(report) => {
                print(partition, &report);
                damaged += u64::from(report.damaged > 0);
            }
            Err(reason) => {
                println!("partition {partition}: cannot be read: {reason}");
                damaged += 1;
            }
        }
    }
    println!("backup {} as of {}", manifest.id, manifest.time);
    if let Some(base) = &manifest.base {
        println!("it goes on from {base}");
    }
    Ok(sum_up(manifest.partitions.len(), damaged))
}

fn sum_up(partitions: usize, damaged: u64) -> bool {
    match damaged {
        0 => println!("{partitions} partitions checked, nothing damaged"),
        _ => println!("{partitions} partitions checked, {damaged} damaged"),
    }
    damaged == 0
}

fn print(partition: PartitionId, report: &Report) {
    println!(
        "partition {partition}: {} pages in use, {} free, {} trees, {} cells, {} long values, {} log records",
        report.pages,
        report.pages_free,
        report.trees,
        report.cells,
        report.long_values,
        report.log_records
    );
    for finding in &report.findings {
        let weight = match finding.damage {
            true => "damage",
            false => "note  ",
        };
        println!("  {weight}  {}: {}", finding.place, finding.what);
    }
    let listed = report.findings.iter().filter(|f| f.damage).count() as u64;
    if report.damaged > listed {
        println!("  and {} more", report.damaged - listed);
    }
}

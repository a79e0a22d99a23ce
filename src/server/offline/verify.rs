//! `rustydb-shard verify`: everything on disk is looked at, and what is wrong is said, page by page.

use super::progress::Progress;
use crate::config::Config;
use crate::server::{StartError, directory};
use engine::txn::contents::Known;
use runtime::Dir;
use storage::verify::Report;
use types::PartitionId;

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
            storage::verify::verify(&dir, &mut known)
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
    let n = directory.layout.partitions;
    match damaged {
        0 => println!("{n} partitions checked, nothing damaged"),
        _ => println!("{n} partitions checked, {damaged} damaged"),
    }
    Ok(damaged == 0)
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

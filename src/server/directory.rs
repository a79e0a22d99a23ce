//! The data directory: whose it is, which format it has, which partitions.
//!
//! Owns: `LOCK` (held as long as the process runs), `FORMAT`, a text of two or three lines, and `tmp`, which is empty when the
//! shards start. Whoever opens the directory removes what a repartitioning left. Never: opens a partition.

use super::StartError;
use crate::config::Config;
use engine::shard::Layout;
use runtime::{Dir, DirLock};
use types::limits::PARTITIONS_MAX;

/// The layout of the directory and of everything in it. A newer one is refused. 2: it was repartitioned, and has its
/// partitions under other names.
const FORMAT: u32 = 2;
const FORMAT_FILE: &str = "FORMAT";
/// Where operators put rows aside; nothing in it outlives the process.
const TEMP_DIR: &str = "tmp";

/// An open directory; locked until dropped.
pub struct Directory {
    pub layout: Layout,
    _lock: DirLock,
}

/// Opens the configured directory, or lays out a new one.
pub fn open(config: &Config) -> Result<Directory, StartError> {
    let path = config.data_dir.clone();
    let wanted = config.partitions_new();
    let opened = runtime::block_on(async move {
        if wanted > PARTITIONS_MAX {
            return Err(format!(
                "it can have at most {PARTITIONS_MAX} partitions, not {wanted}"
            ));
        }
        let dir = Dir::open_or_create(&path)
            .await
            .map_err(|e| e.to_string())?;
        let lock = lock(&dir)?;
        let layout = self::layout(&dir, wanted).await?;
        clean(&dir, layout).await?;
        let temp = temp_dir(&dir).await.map_err(|e| e.to_string())?;
        temp.clear()
            .await
            .map_err(|e| format!("its directory {TEMP_DIR} cannot be cleared: {e}"))?;
        Ok(Directory {
            layout,
            _lock: lock,
        })
    });
    opened.map_err(|reason| bad(config, reason))
}

/// The directory of temporary files.
pub async fn temp_dir(root: &Dir) -> std::io::Result<Dir> {
    root.subdir(TEMP_DIR).await
}

/// Opens the configured directory as it is, with no server on it.
pub fn open_existing(config: &Config) -> Result<Directory, StartError> {
    let path = config.data_dir.clone();
    let opened = runtime::block_on(async move {
        let dir = Dir::open(&path).await.map_err(|e| e.to_string())?;
        if !dir.exists(FORMAT_FILE).await.map_err(|e| e.to_string())? {
            return Err("it is not a data directory".to_owned());
        }
        let lock = lock(&dir)?;
        let layout = self::layout(&dir, 0).await?;
        Ok(Directory {
            layout,
            _lock: lock,
        })
    });
    opened.map_err(|reason| bad(config, reason))
}

fn bad(config: &Config, reason: String) -> StartError {
    StartError::Directory {
        path: config.data_dir.display().to_string(),
        reason,
    }
}

fn lock(dir: &Dir) -> Result<DirLock, String> {
    dir.lock().map_err(|e| match e.kind() {
        std::io::ErrorKind::WouldBlock => {
            "another process has it open; stop that one or choose another with --data-dir"
                .to_string()
        }
        _ => format!("it cannot be locked: {e}"),
    })
}

/// The partitions of the directory. An empty one is made a data directory with `wanted`.
pub async fn layout(dir: &Dir, wanted: usize) -> Result<Layout, String> {
    // A process that was killed before it had synced has left uncertain what is in here.
    dir.sync().await.map_err(|e| e.to_string())?;
    if !dir.exists(FORMAT_FILE).await.map_err(|e| e.to_string())? {
        let files = dir.list().await.map_err(|e| e.to_string())?;
        let ours = ["LOCK", &Dir::aside(FORMAT_FILE)];
        if let Some(strange) = files.iter().find(|f| !ours.contains(&f.as_str())) {
            return Err(format!(
                "it is not empty (there is \"{strange}\") and not a data directory; choose an empty one with --data-dir"
            ));
        }
        let layout = Layout {
            partitions: wanted as u16,
            generation: 0,
        };
        write(dir, layout).await?;
        return Ok(layout);
    }
    let bytes = dir
        .read_small(FORMAT_FILE)
        .await
        .map_err(|e| e.to_string())?;
    parse(&String::from_utf8_lossy(&bytes))
}

/// From here on `layout` counts: after a crash the directory has this one or the one before.
pub async fn write(dir: &Dir, layout: Layout) -> Result<(), String> {
    let Layout {
        partitions,
        generation,
    } = layout;
    let text = match generation {
        0 => format!("format = 1\npartitions = {partitions}\n"),
        _ => format!("format = 2\npartitions = {partitions}\ngeneration = {generation}\n"),
    };
    dir.write_small_atomic(FORMAT_FILE, text.as_bytes())
        .await
        .map_err(|e| format!("it cannot be written: {e}"))
}

/// Removes partitions that do not count.
pub async fn clean(dir: &Dir, layout: Layout) -> Result<(), String> {
    let names = dir.list().await.map_err(|e| e.to_string())?;
    for name in names.iter().filter(|n| layout.is_stale(n)) {
        tracing::info!(name, "removed: left by a repartitioning");
        dir.remove_dir(name)
            .await
            .map_err(|e| format!("{name} cannot be removed: {e}"))?;
    }
    Ok(())
}

fn parse(text: &str) -> Result<Layout, String> {
    let known = |key: &str| {
        text.lines()
            .filter_map(|l| l.split_once('='))
            .find(|(k, _)| k.trim() == key)
            .and_then(|(_, v)| v.trim().parse::<u32>().ok())
    };
    let value = |key: &str| {
        known(key)
            .ok_or_else(|| format!("its file {FORMAT_FILE} has no {key}; restore it from a backup"))
    };
    let format = value("format")?;
    if format > FORMAT {
        return Err(format!(
            "its format is {format} and this version knows up to {FORMAT}; use the version that wrote it"
        ));
    }
    let generation = match format {
        1 => 0,
        _ => value("generation")?,
    };
    match u16::try_from(value("partitions")?) {
        Ok(partitions) if partitions > 0 && usize::from(partitions) <= PARTITIONS_MAX => {
            Ok(Layout {
                partitions,
                generation,
            })
        }
        _ => Err(format!(
            "its file {FORMAT_FILE} names an impossible number of partitions; restore it from a backup"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_format_and_nonsense_are_refused_with_the_reason() {
        let layout = |partitions, generation| {
            Ok(Layout {
                partitions,
                generation,
            })
        };
        assert_eq!(parse("format = 1\npartitions = 4\n"), layout(4, 0));
        let again = "format = 2\npartitions = 4\ngeneration = 7\n";
        assert_eq!(parse(again), layout(4, 7));
        assert!(parse("format = 2\npartitions = 4\n").is_err());
        assert!(
            parse("format = 3\npartitions = 4\n")
                .unwrap_err()
                .contains("format is 3")
        );
        assert!(
            parse("format = 1\npartitions = 0\n")
                .unwrap_err()
                .contains("impossible")
        );
        assert!(parse("partitions = 4\n").unwrap_err().contains("no format"));
        assert!(
            parse(&format!(
                "format = 1\npartitions = {}\n",
                PARTITIONS_MAX + 1
            ))
            .is_err()
        );
    }
}

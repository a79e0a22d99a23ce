//! The manifest: what makes a directory a backup, and says what is in it.
//!
//! Owns: its text (TOML, with a checksum of itself at its end) and where it is. It is written last, so a backup that was
//! cut short has none. Asked by: BACKUP, `restore`, `verify --backup`. Never: looks at pages or records.

use super::failed;
use runtime::Dir;
use serde::{Deserialize, Serialize};
use std::path::Path;
use types::{Error, Lsn, Result, SqlState, Ts};

/// Its name in the backup's directory.
pub const FILE: &str = "backup.toml";
const FORMAT: u32 = 1;
/// What stands before the checksum of everything above.
const SEAL: &str = "# xxh3 ";

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// A UUID.
    pub id: String,
    /// The one it goes on from; none in a full backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The moment it restores to, for people.
    pub time: String,
    /// The same, nanoseconds since 1970.
    pub to: u64,
    /// No image has anything that was committed later; so nothing earlier can be restored.
    pub from: u64,
    /// Of the directory's layout.
    pub generation: u32,
    #[serde(rename = "partition")]
    pub partitions: Vec<Part>,
}

/// What a backup has of one partition.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Part {
    pub number: u16,
    pub directory: String,
    /// The store's identity, in hexadecimal.
    pub store: String,
    /// The log is there from here …
    pub from: u64,
    /// … to here.
    pub end: u64,
    /// Pages of the image.
    pub pages: u64,
}

impl Part {
    pub fn end(&self) -> Lsn {
        Lsn(self.end)
    }

    pub fn store(&self) -> Option<u64> {
        u64::from_str_radix(&self.store, 16).ok()
    }
}

impl Manifest {
    pub fn new(
        base: Option<&Manifest>,
        generation: u32,
        (from, to): (Ts, Ts),
        partitions: Vec<Part>,
    ) -> Self {
        Manifest {
            format: FORMAT,
            id: uuid::Uuid::new_v4().to_string(),
            base: base.map(|b| b.id.clone()),
            time: shown(to),
            to: to.0,
            from: from.0,
            generation,
            partitions,
        }
    }

    pub async fn write(&self, dir: &Path) -> Result<()> {
        let io = |e| failed("write the manifest of", dir, &e);
        let text = self.text()?;
        let dir = Dir::open(dir).await.map_err(io)?;
        dir.write_small_atomic(FILE, text.as_bytes())
            .await
            .map_err(io)
    }

    pub async fn read(path: &Path) -> Result<Manifest> {
        let io = |e: std::io::Error| match e.kind() {
            std::io::ErrorKind::NotFound => Error::new(
                SqlState::UNDEFINED_FILE,
                format!("\"{}\" is not a backup: there is no {FILE}", path.display()),
            ),
            _ => failed("read the manifest of", path, &e),
        };
        let dir = Dir::open(path).await.map_err(io)?;
        let bytes = dir.read_small(FILE).await.map_err(io)?;
        Manifest::parse(&String::from_utf8_lossy(&bytes)).map_err(|why| {
            Error::new(
                SqlState::DATA_CORRUPTED,
                format!("the manifest of \"{}\" is damaged: {why}", path.display()),
            )
        })
    }

    fn text(&self) -> Result<String> {
        let body = toml::to_string(self).map_err(|e| Error::internal(e.to_string()))?;
        Ok(format!("{body}{SEAL}{:016x}\n", sum(&body)))
    }

    fn parse(text: &str) -> std::result::Result<Manifest, String> {
        let (body, seal) = text.rsplit_once(SEAL).ok_or("it has no checksum")?;
        if u64::from_str_radix(seal.trim(), 16) != Ok(sum(body)) {
            return Err("its checksum is another".into());
        }
        let manifest: Manifest = toml::from_str(body).map_err(|e| e.to_string())?;
        if manifest.format != FORMAT {
            return Err(format!(
                "its format is {} and this version knows {FORMAT}",
                manifest.format
            ));
        }
        let numbered = (0u16..).zip(&manifest.partitions);
        let good = |(n, part): (u16, &Part)| {
            n == part.number && part.store().is_some() && part.from <= part.end
        };
        if manifest.partitions.is_empty() || !numbered.clone().all(good) {
            return Err("its list of partitions is impossible".into());
        }
        Ok(manifest)
    }
}

/// A moment as people and `restore --to-time` read it.
pub fn shown(ts: Ts) -> String {
    let at = jiff::Timestamp::from_nanosecond(i128::from(ts.0));
    at.map_or_else(|_| ts.0.to_string(), |at| at.to_string())
}

fn sum(text: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Manifest {
        let part = Part {
            number: 0,
            directory: "p0000".into(),
            store: "ffeeddccbbaa9988".into(),
            from: 4096,
            end: 5000,
            pages: 7,
        };
        let span = (Ts(1_799_999_999_000_000_000), Ts(1_800_000_000_000_000_001));
        Manifest::new(None, 0, span, vec![part])
    }

    #[test]
    fn a_manifest_is_read_back_and_any_changed_byte_is_noticed() {
        let manifest = sample();
        let text = manifest.text().unwrap();
        assert_eq!(Manifest::parse(&text), Ok(manifest.clone()));
        assert_eq!(manifest.time, "2027-01-15T08:00:00.000000001Z");
        for i in 0..text.len() - 1 {
            let mut bytes = text.clone().into_bytes();
            bytes[i] ^= 1;
            let changed = String::from_utf8_lossy(&bytes).into_owned();
            assert!(Manifest::parse(&changed).is_err(), "byte {i}: {changed}");
        }
        let next = Manifest::new(
            Some(&manifest),
            0,
            (Ts(4), Ts(5)),
            manifest.partitions.clone(),
        );
        assert_eq!(next.base.as_ref(), Some(&manifest.id));
    }

    #[test]
    fn impossible_partitions_are_refused() {
        let with = |change: fn(&mut Manifest)| {
            let mut manifest = sample();
            change(&mut manifest);
            Manifest::parse(&manifest.text().unwrap()).unwrap_err()
        };
        assert!(with(|m| m.partitions.clear()).contains("partition"));
        assert!(with(|m| m.partitions[0].number = 1).contains("impossible"));
        assert!(with(|m| m.partitions[0].end = 1).contains("impossible"));
        assert!(with(|m| m.partitions[0].store = "x".into()).contains("impossible"));
        assert!(with(|m| m.format = 2).contains("format is 2"));
    }
}

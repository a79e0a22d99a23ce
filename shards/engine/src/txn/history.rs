//! What a copied partition can be restored to.
//!
//! Owns: the reading of an image and the log behind it without opening them: from which moment to which they are complete.
//! Commits and prepares are in the log in the order of their times (each is stamped as it is appended), and a Mark says the
//! same of an idle partition; so the last of them is a time up to which nothing is missing. Asked by: the restore command.
//! Never: changes a byte.

use super::record::{self, Record};
use hashbrown::HashSet;
use runtime::Dir;
use storage::verify;
use types::{Error, Result, Ts, Xid};

/// One partition's history.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub store: u64,
    /// The image has what was committed until then, so it cannot show less.
    pub from: Ts,
    /// Everything committed until then is there.
    pub to: Ts,
    /// From here on rows are missing that were never logged.
    pub unlogged: Option<Ts>,
    pub records: u64,
}

/// Reads the partition in `dir`.
pub async fn read(dir: &Dir) -> Result<History> {
    let mut found = History::default();
    let (mut bad, mut unlogged) = (None, Vec::new());
    let mut stamped: Vec<(Xid, Ts)> = Vec::new();
    let mut visit = |at, payload: &[u8]| {
        found.records += 1;
        match record::decode(payload) {
            Ok(Record::Commit { xid, ts, .. } | Record::Prepare { xid, ts, .. }) => {
                found.to = found.to.max(ts);
                if !unlogged.is_empty() {
                    stamped.push((xid, ts));
                }
            }
            Ok(Record::Mark { ts }) => found.to = found.to.max(ts),
            Ok(Record::Unlogged { xid }) => unlogged.push((at, xid)),
            Ok(
                Record::Chunk { .. } | Record::CommitPrepared { .. } | Record::AbortPrepared { .. },
            ) => {}
            Err(e) => bad = bad.take().or(Some(e)),
        }
    };
    let log = verify::log(dir, &mut visit).await.map_err(Error::from)?;
    if let Some(e) = bad {
        return Err(e);
    }
    if let Ok(stamp) = <[u8; 8]>::try_from(log.meta.as_slice()) {
        found.from = Ts(u64::from_le_bytes(stamp));
    }
    found.store = log.store;
    found.to = found.to.max(found.from);
    let lost: HashSet<Xid> = unlogged
        .into_iter()
        .filter(|(at, _)| *at >= log.image_end)
        .map(|(_, xid)| xid)
        .collect();
    found.unlogged = stamped
        .into_iter()
        .filter(|(xid, _)| lost.contains(xid))
        .map(|(_, ts)| ts)
        .min();
    Ok(found)
}

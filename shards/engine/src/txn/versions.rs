//! Versions of a key as cells of a tree.
//!
//! Owns: their layout: cell key = key, then the bitwise inverse of the commit timestamp big-endian, so that the newest
//! version comes first; cell value = 1 then the payload, or the single byte 0 for a deletion. Keys are self-delimiting
//! (`codec::key`), so no key's versions fall between another's. Never: decides who may see what beyond "at or before S".

use smallvec::SmallVec;
use std::cell::RefCell;
use std::ops::ControlFlow;
use storage::{First, Store, TryError};
use types::{Error, Result, SqlState, TreeId, Ts, limits};

const STAMP: usize = 8;
const _: () = assert!(limits::CELL_KEY_BYTES_MAX >= limits::KEY_BYTES_MAX + STAMP);
const _: () = assert!(limits::CELL_VALUE_BYTES_MAX > limits::ROW_BYTES_MAX);

/// A cell key of `key` at `ts`.
pub fn cell_key(key: &[u8], ts: Ts) -> Vec<u8> {
    let mut out = Vec::with_capacity(key.len() + STAMP);
    out.extend_from_slice(key);
    out.extend_from_slice(&(!ts.0).to_be_bytes());
    out
}

/// A cell value.
pub fn cell_value(payload: Option<&[u8]>) -> Vec<u8> {
    match payload {
        Some(p) => {
            let mut out = Vec::with_capacity(1 + p.len());
            out.push(1);
            out.extend_from_slice(p);
            out
        }
        None => vec![0],
    }
}

/// Splits a cell key; `None` for one that is too short to be ours.
pub fn split(cell: &[u8]) -> Option<(&[u8], Ts)> {
    let (key, stamp) = cell.split_at_checked(cell.len().checked_sub(STAMP)?)?;
    Some((key, Ts(!u64::from_be_bytes(stamp.try_into().ok()?))))
}

/// Whether a cell's key is that of a version of `key`.
pub fn is_of(cell: &[u8], key: &[u8]) -> bool {
    split(cell).is_some_and(|(k, _)| k == key)
}

/// The payload in a cell value; `Some(None)` = deleted, `None` = corrupt.
pub fn payload(value: &[u8]) -> Option<Option<&[u8]>> {
    match value.split_first()? {
        (1, rest) => Some(Some(rest)),
        (0, []) => Some(None),
        _ => None,
    }
}

/// The timestamp of rows put straight into a tree that no snapshot could reach before it was committed.
pub const FROZEN: Ts = Ts(1);

pub fn corrupt(tree: TreeId) -> Error {
    Error::new(
        SqlState::DATA_CORRUPTED,
        format!("a cell of tree {tree} is not a version"),
    )
}

/// The newest version at or before `at`: its timestamp and payload (`None` = deleted).
pub async fn newest(
    store: &Store,
    tree: TreeId,
    key: &[u8],
    at: Ts,
) -> Result<Option<(Ts, Option<Vec<u8>>)>> {
    let from = cell_key(key, at);
    let found = RefCell::new(Ok(None));
    let visit = |cell: &[u8], value: &[u8]| {
        let version = match split(cell) {
            Some((k, ts)) if k == key => payload(value)
                .map(|p| Some((ts, p.map(<[u8]>::to_vec))))
                .ok_or_else(|| corrupt(tree)),
            _ => Ok(None),
        };
        *found.borrow_mut() = version;
        ControlFlow::Break(())
    };
    each(store, tree, &from, &visit, &|| {
        *found.borrow_mut() = Ok(None);
    })
    .await?;
    found.into_inner()
}

/// As `newest`, calling `f` with what there is where it lies; `None` when that is not to be had without waiting.
pub fn newest_here<R>(
    store: &Store,
    tree: TreeId,
    key: &[u8],
    at: Ts,
    f: impl FnOnce(Option<(Ts, Option<&[u8]>)>) -> R,
) -> Option<Result<R>> {
    let mut from = SmallVec::<[u8; 64]>::from_slice(key);
    from.extend_from_slice(&(!at.0).to_be_bytes());
    store.first_here(tree, &from, |first| {
        let of = |cell| split(cell).filter(|(k, _)| *k == key);
        match first {
            First::Cell(cell, value) => Some(match of(cell) {
                Some((_, ts)) => payload(value)
                    .map(|p| f(Some((ts, p))))
                    .ok_or_else(|| corrupt(tree)),
                None => Ok(f(None)),
            }),
            // What begins with the key may be a version of it.
            First::Behind(separator) if separator.starts_with(key) => None,
            First::Behind(_) | First::End => Some(Ok(f(None))),
        }
    })
}

/// Takes away the versions of `key` that no snapshot at or above `horizon` can see, and with them a deletion that has
/// nothing left to hide. Returns how many it took.
pub async fn prune(store: &Store, tree: TreeId, key: &[u8], horizon: Ts) -> Result<u64> {
    // Whether a version that covers the horizon has been passed, and what may go.
    let state = RefCell::new((false, Vec::new()));
    let visit = |cell: &[u8], value: &[u8]| match split(cell) {
        Some((k, version)) if k == key => {
            let (covered, doomed) = &mut *state.borrow_mut();
            let deletion = matches!(payload(value), Some(None));
            if *covered || (deletion && version <= horizon) {
                doomed.push(cell.to_vec());
            }
            *covered |= version <= horizon;
            ControlFlow::Continue(())
        }
        _ => ControlFlow::Break(()),
    };
    each(store, tree, &cell_key(key, Ts(u64::MAX)), &visit, &|| {
        state.replace((false, Vec::new()));
    })
    .await?;
    let (_, doomed) = state.into_inner();
    // Oldest first: were a deletion to go before what it hides, a checkpoint in between would bring that back.
    for cell in doomed.iter().rev() {
        store.delete(tree, cell).await?;
    }
    Ok(doomed.len() as u64)
}

/// Called with a cell's key and value.
type Visit<'a> = dyn Fn(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Visits cells from `from` on, all in one go once the pages are there: no change comes in between. `again` is called
/// before a visit starts over.
async fn each(
    store: &Store,
    tree: TreeId,
    from: &[u8],
    visit: &Visit<'_>,
    again: &dyn Fn(),
) -> Result<()> {
    loop {
        match store.try_scan(tree, from, &mut |cell, value| visit(cell, value)) {
            Ok(()) => return Ok(()),
            Err(TryError::Miss(page)) => Box::pin(store.fetch(page)).await?,
            // A value larger than the pool can hold at once.
            Err(TryError::TooLarge) => {
                again();
                let mut visit = |cell: &[u8], value: &[u8]| visit(cell, value);
                return Ok(Box::pin(store.scan(tree, from, &mut visit)).await?);
            }
            Err(TryError::Error(e)) => return Err(e.into()),
        }
        again();
    }
}

/// One step of collecting garbage: looks at up to `cells` cells from `from` on, deletes versions (and settled deletions)
/// that nobody can see. Returns where to go on and how many it took; `None` at the end of the tree.
pub async fn sweep(
    store: &Store,
    tree: TreeId,
    from: &[u8],
    cells: usize,
    horizon: Ts,
) -> Result<(Option<Vec<u8>>, u64)> {
    let mut doomed: Vec<Vec<u8>> = Vec::new();
    let mut current: Vec<u8> = Vec::new();
    let (mut covered, mut seen, mut resume) = (false, 0, None);
    store
        .scan(tree, from, &mut |cell, value| {
            let Some((key, ts)) = split(cell) else {
                return ControlFlow::Continue(());
            };
            if seen == 0 || key != current {
                if seen >= cells {
                    resume = Some(key.to_vec());
                    return ControlFlow::Break(());
                }
                current = key.to_vec();
                covered = false;
            }
            seen += 1;
            let deletion = matches!(payload(value), Some(None));
            if covered || (deletion && ts <= horizon) {
                doomed.push(cell.to_vec());
            }
            covered |= ts <= horizon;
            ControlFlow::Continue(())
        })
        .await?;
    // Oldest first: were a deletion to go before what it hides, a crash in between would bring that back.
    for cell in doomed.iter().rev() {
        store.delete(tree, cell).await?;
    }
    Ok((resume, doomed.len() as u64))
}

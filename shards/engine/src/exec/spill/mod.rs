//! Rows put aside in temporary files when an operator's memory is full.
//!
//! Owns: `Space` (one operator's temporary file, in blocks), `Run` (rows written once, read in their order) and `Parted`
//! (rows divided by hash). Asked by: the operators, each deciding itself what to put aside and when.
//! Never: decides how much an operator keeps (`Memory::keep` does), outlives its statement: the file goes when the last of
//! its runs does, however the statement ends.
//! Bounds: each writer and reader counts one block in the query's memory, the space one more for the transfer under way, and a
//! row longer than a block its length. Blocks are the query's memory and not of the shard's general buffers: an operator
//! holds many of them for as long as it takes, and would wait for its own. What is being written or read counts there
//! too, but only while it is under way. What the files may take together is `runtime::TempQuota`: 53400; a full disk: 53100.

mod block;
mod parted;
mod run;

pub(crate) use block::Space;
pub(crate) use parted::{LEVELS_MAX, Parted};
pub(crate) use run::{Reader, Run, Writer};

use super::memory::{Memory, Reservation};
use types::Result;

/// Takes `bytes` for an operator that spills when it must: `false` = it must, and nothing was taken. Without room for
/// temporary files the answer is an error instead.
pub(crate) fn keep(reservation: &mut Reservation, bytes: usize, can_spill: bool) -> Result<bool> {
    if !can_spill {
        return reservation.grow(bytes).map(|()| true);
    }
    Ok(reservation.keep(bytes))
}

/// How many readers or writers of `each` bytes fit in what one operator may keep and in half of what is free.
pub(crate) fn places(memory: &Memory, each: usize, max: usize) -> usize {
    let room = memory.work_bytes().min(memory.free() / 2);
    (room / each.max(1)).clamp(2, max)
}

#[cfg(test)]
mod tests;

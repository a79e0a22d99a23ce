//! The records of a partition's WAL, byte by byte (integers little-endian).
//!
//! ```text
//! Chunk           = 1, xid u64, ops                       writes of a large transaction, ahead of its Commit or Prepare
//! Commit          = 2, xid u64, ts u64, n u16, n × partition u16, ops     n > 0: the decision for these other participants
//! Prepare         = 3, xid u64, ts u64, coordinator u16, ops
//! CommitPrepared  = 4, xid u64, ts u64
//! AbortPrepared   = 5, xid u64
//! Mark            = 6, 0 u64, ts u64                      no Commit or Prepare of an earlier time comes after it
//! Unlogged        = 7, xid u64                            the transaction has rows that are in the pages alone
//! ops             = count u32, count × (tree u32, key_len u16, key, value_len u32 (u32::MAX = deleted), value)
//! ```
//!
//! Owns: that layout. Never: trusts a byte; what does not parse is `DATA_CORRUPTED`.

use super::writes::{Payload, WriteSet};
use types::{Error, PartitionId, Result, SqlState, TreeId, Ts, Xid};

/// A chunk is closed when its operations pass this size.
pub const CHUNK_BYTES: usize = 256 << 10;

const DELETED: u32 = u32::MAX;

#[derive(Debug, PartialEq, Eq)]
pub struct WriteOp {
    pub tree: TreeId,
    pub key: Vec<u8>,
    pub value: Payload,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Record {
    Chunk {
        xid: Xid,
        ops: Vec<WriteOp>,
    },
    Commit {
        xid: Xid,
        ts: Ts,
        participants: Vec<PartitionId>,
        ops: Vec<WriteOp>,
    },
    Prepare {
        xid: Xid,
        ts: Ts,
        coordinator: PartitionId,
        ops: Vec<WriteOp>,
    },
    CommitPrepared {
        xid: Xid,
        ts: Ts,
    },
    AbortPrepared {
        xid: Xid,
    },
    Mark {
        ts: Ts,
    },
    Unlogged {
        xid: Xid,
    },
}

/// A transaction's operations cut into runs of about `CHUNK_BYTES`; the last goes into its Commit or Prepare.
pub fn cut(writes: &WriteSet) -> Vec<Vec<u8>> {
    let mut runs = Vec::new();
    let mut run = Ops::new();
    for (tree, key, value) in writes.iter() {
        if run.is_full() {
            runs.push(run.finish());
            run = Ops::new();
        }
        run.push(tree, key, value);
    }
    runs.push(run.finish());
    runs
}

/// All of a transaction's operations in one run.
pub fn all(writes: &WriteSet) -> Vec<u8> {
    let mut ops = Ops::new();
    ops.bytes.reserve(writes.bytes());
    writes
        .iter()
        .for_each(|(tree, key, value)| ops.push(tree, key, value));
    ops.finish()
}

/// Operations being put together for a record.
#[derive(Debug)]
pub struct Ops {
    bytes: Vec<u8>,
    count: u32,
}

impl Default for Ops {
    fn default() -> Ops {
        Ops::new()
    }
}

impl Ops {
    pub fn new() -> Ops {
        Ops {
            bytes: vec![0; 4],
            count: 0,
        }
    }

    /// Time for a record of its own.
    pub fn is_full(&self) -> bool {
        self.bytes.len() > CHUNK_BYTES
    }

    pub fn push(&mut self, tree: TreeId, key: &[u8], value: &Payload) {
        self.count += 1;
        self.bytes.extend_from_slice(&tree.0.to_le_bytes());
        self.bytes
            .extend_from_slice(&(key.len() as u16).to_le_bytes());
        self.bytes.extend_from_slice(key);
        match value {
            Some(v) => {
                self.bytes
                    .extend_from_slice(&(v.len() as u32).to_le_bytes());
                self.bytes.extend_from_slice(v);
            }
            None => self.bytes.extend_from_slice(&DELETED.to_le_bytes()),
        }
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.bytes[..4].copy_from_slice(&self.count.to_le_bytes());
        self.bytes
    }
}

pub fn chunk(xid: Xid, ops: &[u8]) -> Vec<u8> {
    let mut out = head(1, xid, ops.len());
    out.extend_from_slice(ops);
    out
}

pub fn commit(xid: Xid, ts: Ts, participants: &[PartitionId], ops: &[u8]) -> Vec<u8> {
    let mut out = head(2, xid, ops.len() + 10 + 2 * participants.len());
    out.extend_from_slice(&ts.0.to_le_bytes());
    out.extend_from_slice(&(participants.len() as u16).to_le_bytes());
    for p in participants {
        out.extend_from_slice(&p.0.to_le_bytes());
    }
    out.extend_from_slice(ops);
    out
}

pub fn prepare(xid: Xid, ts: Ts, coordinator: PartitionId, ops: &[u8]) -> Vec<u8> {
    let mut out = head(3, xid, ops.len() + 10);
    out.extend_from_slice(&ts.0.to_le_bytes());
    out.extend_from_slice(&coordinator.0.to_le_bytes());
    out.extend_from_slice(ops);
    out
}

pub fn commit_prepared(xid: Xid, ts: Ts) -> Vec<u8> {
    let mut out = head(4, xid, 8);
    out.extend_from_slice(&ts.0.to_le_bytes());
    out
}

pub fn abort_prepared(xid: Xid) -> Vec<u8> {
    head(5, xid, 0)
}

pub fn mark(ts: Ts) -> Vec<u8> {
    let mut out = head(6, Xid(0), 8);
    out.extend_from_slice(&ts.0.to_le_bytes());
    out
}

pub fn unlogged(xid: Xid) -> Vec<u8> {
    head(7, xid, 0)
}

fn head(kind: u8, xid: Xid, more: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(9 + more);
    out.push(kind);
    out.extend_from_slice(&xid.0.to_le_bytes());
    out
}

/// Parses one record.
pub fn decode(bytes: &[u8]) -> Result<Record> {
    let mut r = Reader(bytes);
    let kind = r.take(1)?[0];
    let xid = Xid(r.u64()?);
    let record = match kind {
        1 => Record::Chunk { xid, ops: r.ops()? },
        2 => {
            let ts = Ts(r.u64()?);
            let n = r.u16()?;
            let participants = (0..n)
                .map(|_| r.u16().map(PartitionId))
                .collect::<Result<_>>()?;
            Record::Commit {
                xid,
                ts,
                participants,
                ops: r.ops()?,
            }
        }
        3 => {
            let ts = Ts(r.u64()?);
            let coordinator = PartitionId(r.u16()?);
            Record::Prepare {
                xid,
                ts,
                coordinator,
                ops: r.ops()?,
            }
        }
        4 => Record::CommitPrepared {
            xid,
            ts: Ts(r.u64()?),
        },
        5 => Record::AbortPrepared { xid },
        6 => Record::Mark { ts: Ts(r.u64()?) },
        7 => Record::Unlogged { xid },
        other => return Err(corrupt(format!("record kind {other}"))),
    };
    if !r.0.is_empty() {
        return Err(corrupt(format!("{} bytes after a record's end", r.0.len())));
    }
    Ok(record)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let (head, rest) = self
            .0
            .split_at_checked(n)
            .ok_or_else(|| corrupt("a record ends early".into()))?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.take(N)?;
        let mut out = [0; N];
        out.copy_from_slice(bytes);
        Ok(out)
    }

    fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn ops(&mut self) -> Result<Vec<WriteOp>> {
        let count = self.u32()? as usize;
        let mut ops = Vec::with_capacity(count.min(self.0.len() / 10));
        for _ in 0..count {
            let tree = TreeId(self.u32()?);
            let klen = self.u16()?;
            let key = self.take(klen.into())?.to_vec();
            let vlen = self.u32()?;
            let value = if vlen == DELETED {
                None
            } else {
                Some(self.take(vlen as usize)?.to_vec())
            };
            ops.push(WriteOp { tree, key, value });
        }
        Ok(ops)
    }
}

fn corrupt(what: String) -> Error {
    Error::new(
        SqlState::DATA_CORRUPTED,
        format!("corrupt WAL record: {what}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> WriteSet {
        let mut w = WriteSet::default();
        w.put(TreeId(2), b"k1".to_vec(), Some(b"v".to_vec()))
            .unwrap();
        w.put(TreeId(2), b"k2".to_vec(), None).unwrap();
        w
    }

    #[test]
    fn every_record_reads_back_as_written() {
        let ops = cut(&sample()).pop().unwrap();
        let x = Xid(9);
        let expect = || {
            vec![
                WriteOp {
                    tree: TreeId(2),
                    key: b"k1".to_vec(),
                    value: Some(b"v".to_vec()),
                },
                WriteOp {
                    tree: TreeId(2),
                    key: b"k2".to_vec(),
                    value: None,
                },
            ]
        };
        assert_eq!(
            decode(&chunk(x, &ops)).unwrap(),
            Record::Chunk {
                xid: x,
                ops: expect()
            }
        );
        let parts = vec![PartitionId(3), PartitionId(1)];
        assert_eq!(
            decode(&commit(x, Ts(5), &parts, &ops)).unwrap(),
            Record::Commit {
                xid: x,
                ts: Ts(5),
                participants: parts,
                ops: expect()
            }
        );
        assert_eq!(
            decode(&prepare(x, Ts(5), PartitionId(4), &ops)).unwrap(),
            Record::Prepare {
                xid: x,
                ts: Ts(5),
                coordinator: PartitionId(4),
                ops: expect()
            }
        );
        assert_eq!(
            decode(&commit_prepared(x, Ts(7))).unwrap(),
            Record::CommitPrepared { xid: x, ts: Ts(7) }
        );
        assert_eq!(
            decode(&abort_prepared(x)).unwrap(),
            Record::AbortPrepared { xid: x }
        );
        let marked = Record::Mark { ts: Ts(8) };
        assert_eq!(decode(&mark(Ts(8))).unwrap(), marked);
        assert_eq!(decode(&unlogged(x)).unwrap(), Record::Unlogged { xid: x });
    }

    #[test]
    fn the_bytes_of_a_commit_are_a_contract() {
        let mut w = WriteSet::default();
        w.put(TreeId(0x0102), b"k".to_vec(), Some(b"vv".to_vec()))
            .unwrap();
        let ops = cut(&w).pop().unwrap();
        let got = commit(Xid(1), Ts(2), &[PartitionId(3)], &ops);
        let want = [
            2, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 3, 0, 1, 0, 0, 0, 2, 1, 0, 0,
            1, 0, b'k', 2, 0, 0, 0, b'v', b'v',
        ];
        assert_eq!(got, want);
    }

    #[test]
    fn a_record_cut_anywhere_is_corrupt_and_never_a_panic() {
        let ops = cut(&sample()).pop().unwrap();
        let whole = commit(Xid(1), Ts(2), &[PartitionId(0)], &ops);
        for end in 0..whole.len() {
            assert_eq!(
                decode(&whole[..end]).unwrap_err().code(),
                SqlState::DATA_CORRUPTED,
                "cut at {end}"
            );
        }
        let mut longer = whole;
        longer.push(0);
        assert!(decode(&longer).is_err());
    }

    #[test]
    fn a_large_transaction_is_cut_into_bounded_runs_in_order() {
        let mut w = WriteSet::default();
        for i in 0..20_000u32 {
            w.put(TreeId(1), i.to_be_bytes().to_vec(), Some(vec![0; 64]))
                .unwrap();
        }
        let runs = cut(&w);
        assert!(runs.len() > 4);
        assert!(runs.iter().all(|r| r.len() < CHUNK_BYTES + 1024));
        let total: u32 = runs
            .iter()
            .map(|r| u32::from_le_bytes(r[..4].try_into().unwrap()))
            .sum();
        assert_eq!(total, 20_000);
    }
}

//! The bytes of a log record and of a segment's first block.
//!
//! Owns: framing, checksums, and the answer to "is there a record here?". A record names its own position, so bytes
//! of another place or another store never pass for one. It also says how far behind it the log was durable when it
//! was appended: a bad record followed by one that knew it durable is damage, any other is the torn end.
//! Asked by: append and replay. Never: does I/O or allocates by a length it has not checked.
//! Bounds: a payload up to `RECORD_BYTES_MAX`.
//! Source: CRC-32 (IEEE), seeded with the store's id.

use types::Lsn;

/// A record's payload. A transaction's writes (`TXN_WRITE_BYTES_MAX`) fit one.
pub const RECORD_BYTES_MAX: usize = 1 << 30;
/// Bytes in front of a payload: length, checksum, position, distance to the durable end.
pub(crate) const HEADER: usize = 20;
/// The first block of a segment: identity, then zeros.
pub(crate) const SEGMENT_HEADER: usize = crate::page::PAGE_BYTES;
/// The position of a new store's first record. 0 is no position.
pub(crate) const FIRST_LSN: u64 = 4096;

/// A history of a store has this many positions to itself. A restored store begins the next one, so that its segments are
/// never taken for those that the old history had after the moment of the restore.
const HISTORY_BYTES: u64 = 1 << 44;

/// Where the log of a store goes on whose log before ended at `end`.
pub(crate) fn after_history(end: u64) -> u64 {
    (end / HISTORY_BYTES + 1) * HISTORY_BYTES + FIRST_LSN
}

/// Whether two positions of one store belong to the same history.
pub fn same_history(a: Lsn, b: Lsn) -> bool {
    a.0 / HISTORY_BYTES == b.0 / HISTORY_BYTES
}

const MAGIC: &[u8; 8] = b"RDBSWAL\0";
const _: () = assert!(RECORD_BYTES_MAX > types::limits::TXN_WRITE_BYTES_MAX);

fn checksum(store: u64, frame: &[u8], payload: &[u8]) -> u32 {
    let mut hash = crc32fast::Hasher::new();
    hash.update(&store.to_le_bytes());
    hash.update(&frame[0..4]);
    hash.update(&frame[8..HEADER]);
    hash.update(payload);
    hash.finalize()
}

/// Appends the record that begins at `lsn` to `out`; returns its checksum. `durable` is how far the log is on disk now.
pub(crate) fn encode(store: u64, lsn: u64, durable: u64, payload: &[u8], out: &mut Vec<u8>) -> u32 {
    let behind = u32::try_from(lsn.saturating_sub(durable)).unwrap_or(u32::MAX);
    let mut frame = [0u8; HEADER];
    frame[0..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    frame[8..16].copy_from_slice(&lsn.to_le_bytes());
    frame[16..20].copy_from_slice(&behind.to_le_bytes());
    let sum = checksum(store, &frame, payload);
    frame[4..8].copy_from_slice(&sum.to_le_bytes());
    out.extend_from_slice(&frame);
    out.extend_from_slice(payload);
    sum
}

/// What a record's header says. Not to be believed before `check`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    bytes: [u8; HEADER],
    pub payload: usize,
    /// The log was durable up to here when the record was appended, or further.
    pub durable: u64,
}

/// Reads a header at `lsn`. `None` when it does not name that position or an impossible length.
pub(crate) fn frame(bytes: &[u8], lsn: u64) -> Option<Frame> {
    let bytes: [u8; HEADER] = bytes.get(..HEADER)?.try_into().ok()?;
    let word =
        |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let position = u64::from(word(8)) | u64::from(word(12)) << 32;
    let payload = word(0) as usize;
    if position != lsn || payload > RECORD_BYTES_MAX {
        return None;
    }
    let behind = word(16);
    let durable = match behind {
        u32::MAX => 0,
        _ => lsn.saturating_sub(u64::from(behind)),
    };
    Some(Frame {
        bytes,
        payload,
        durable,
    })
}

impl Frame {
    pub fn checksum(&self) -> u32 {
        u32::from_le_bytes([self.bytes[4], self.bytes[5], self.bytes[6], self.bytes[7]])
    }

    pub fn check(&self, store: u64, payload: &[u8]) -> bool {
        let stored = self.checksum();
        #[cfg(feature = "simulation")]
        if crate::planted::has(crate::planted::Planted::RecordChecksum) {
            return payload.len() == self.payload;
        }
        payload.len() == self.payload && stored == checksum(store, &self.bytes, payload)
    }
}

/// The name of the segment whose first record is at `start`.
pub(crate) fn segment_name(start: Lsn) -> String {
    format!("wal-{:016x}", start.0)
}

/// The first position of the segment of this name; `None` when it is no segment's.
pub fn segment_start(name: &str) -> Option<Lsn> {
    let hex = name.strip_prefix("wal-")?;
    if hex.len() != 16 || hex.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    u64::from_str_radix(hex, 16).ok().map(Lsn)
}

/// What a segment says of the one before it, so that all of them are a chain: its start, and the checksum of its last
/// record. The first segment of a history has none, nor has one that was begun when nothing of the log before was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Link {
    pub start: Lsn,
    pub checksum: u32,
}

/// The first block of a segment.
pub(crate) fn segment_header(store: u64, start: Lsn, before: Option<Link>) -> Vec<u8> {
    let mut block = vec![0u8; SEGMENT_HEADER];
    block[0..8].copy_from_slice(MAGIC);
    block[8..12].copy_from_slice(&crate::superblock::FORMAT.to_le_bytes());
    block[16..24].copy_from_slice(&store.to_le_bytes());
    block[24..32].copy_from_slice(&start.0.to_le_bytes());
    let sum = crc32fast::hash(&block[0..32]);
    block[32..36].copy_from_slice(&sum.to_le_bytes());
    if let Some(link) = before {
        block[40..48].copy_from_slice(&link.start.0.to_le_bytes());
        block[48..52].copy_from_slice(&link.checksum.to_le_bytes());
        let sum = crc32fast::hash(&block[0..52]);
        block[52..56].copy_from_slice(&sum.to_le_bytes());
    }
    block
}

/// What a segment's first block says. `None` when it is no such block.
pub(crate) fn parse_segment_header(block: &[u8]) -> Option<(u64, Lsn, Option<Link>)> {
    let long = |at: usize| Some(u64::from_le_bytes(block.get(at..at + 8)?.try_into().ok()?));
    let short = |at: usize| Some(u32::from_le_bytes(block.get(at..at + 4)?.try_into().ok()?));
    let (store, start) = (long(16)?, Lsn(long(24)?));
    let link = match block.get(36..56)?.iter().all(|b| *b == 0) {
        true => None,
        false => Some(Link {
            start: Lsn(long(40)?),
            checksum: short(48)?,
        }),
    };
    let same = block.get(..56) == segment_header(store, start, link).get(..56);
    same.then_some((store, start, link))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_record_is_read_back_and_any_flipped_bit_is_noticed(
            payload in prop::collection::vec(any::<u8>(), 0..200),
            bit in 0usize..1600,
            lsn in 1u64..1 << 40,
        ) {
            let mut bytes = Vec::new();
            encode(7, lsn, lsn / 2, &payload, &mut bytes);
            let head = frame(&bytes, lsn).unwrap();
            prop_assert!(head.check(7, &bytes[HEADER..]));
            prop_assert!(!head.check(8, &bytes[HEADER..]));
            prop_assert!(frame(&bytes, lsn + 1).is_none());
            prop_assert!(head.durable <= lsn / 2);
            let bit = bit % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let bad = frame(&bytes, lsn).is_none_or(|f| !f.check(7, &bytes[HEADER..]));
            prop_assert!(bad);
        }
    }

    #[test]
    fn a_segments_first_block_is_read_back_and_any_flipped_bit_is_noticed() {
        let link = Link {
            start: Lsn(5),
            checksum: 6,
        };
        for before in [None, Some(link)] {
            let block = segment_header(7, Lsn(8), before);
            assert_eq!(parse_segment_header(&block), Some((7, Lsn(8), before)));
            for bit in 0..56 * 8 {
                let mut bad = block.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(parse_segment_header(&bad), None, "bit {bit}");
            }
        }
    }

    #[test]
    fn segment_names_are_read_back_and_others_are_not() {
        assert_eq!(segment_start(&segment_name(Lsn(0xabc))), Some(Lsn(0xabc)));
        for bad in [
            "wal-",
            "wal-12",
            "wal-000000000000ABCD",
            "data.pages",
            "wal-00000000000000zz",
        ] {
            assert_eq!(segment_start(bad), None, "{bad}");
        }
    }
}

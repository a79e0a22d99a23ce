//! Reading rows: each call answers one batch and says where the next begins, so nothing is kept between calls.

use super::backward::Backward;
use super::call::{Address, KeySpan, Reach, Reply, Resume, ScanCall, stale};
use super::covering::Covering;
use super::cursor::Cursor;
use super::entries::{encode_address, local_rows, start};
use super::{Shard, ShardReply, meter};
use crate::catalog::Table;
use crate::codec::row;
use crate::exec::fragment::Fragment;
use crate::exec::profile::Pages;
use crate::plan::Access;
use crate::txn::{Partition, TxnRef};
use std::ops::ControlFlow;
use types::limits::{BATCH_BYTES_MAX, BATCH_ROWS_MAX};
use types::{Error, PartitionId, Result, Row, TreeId, Value};

impl Shard {
    pub(super) async fn scan(&self, p: &Partition, call: ScanCall) -> ShardReply {
        if !call.measured {
            return self.rows(p, call).await;
        }
        let (reply, used) = Box::pin(meter::pages(&p.store, self.rows(p, call))).await;
        match reply? {
            Reply::Rows { batch, resume, .. } => Ok(Reply::Rows {
                batch,
                resume,
                pages: used,
            }),
            other => Ok(other),
        }
    }

    async fn rows(&self, p: &Partition, call: ScanCall) -> ShardReply {
        let table = call.scan.table.clone();
        let version = call.ctx.catalog.version;
        self.live(&table, version)?;
        let layout = table.layout();
        let backward = match &call.scan.access {
            Access::KeyRange(range) | Access::Index { range, .. } => range.backward,
            Access::Full | Access::Keys(_) | Access::Bitmap(_) | Access::Each(_) => false,
        };
        let mut reader = Reader {
            p,
            txn: &call.txn,
            table: &table,
            fragment: Fragment::new(call.scan, call.ctx),
            layout,
        };
        let resume = match call.reach {
            Reach::Keys(keys) => reader.keys(&keys, call.resume).await?,
            Reach::All => Box::pin(reader.range(Vec::new(), None, call.resume)).await?,
            Reach::Range(span) if backward => {
                Box::pin(reader.backward(table.tree, span, call.resume, &Rows::Here)).await?
            }
            Reach::Range(span) => {
                Box::pin(reader.range(span.lower, span.upper, call.resume)).await?
            }
            Reach::Entries { .. } => return Err(Error::internal("a scan of several spans")),
            Reach::Index { index, span } => {
                if !table.indexes.iter().any(|i| i.tree == index.tree) {
                    return Err(stale(&table));
                }
                let rows = match Covering::of(&table, &index, reader.fragment.wanted()) {
                    Some(covering) => Rows::InEntries(covering),
                    None => Rows::Apart,
                };
                if backward {
                    Box::pin(reader.backward(index.tree, span, call.resume, &rows)).await?
                } else {
                    let from = start(&span, call.resume);
                    Box::pin(reader.index(index.tree, from, span.upper, &rows)).await?
                }
            }
        };
        // A definition change may have dropped the tree while pages were read.
        self.live(&table, version)?;
        let done = resume.is_none() || reader.fragment.limit_reached();
        Ok(Reply::Rows {
            batch: reader.fragment.take()?,
            resume: if done { None } else { resume },
            pages: Pages::default(),
        })
    }

    pub(super) async fn export(
        &self,
        p: &Partition,
        txn: &TxnRef,
        table: &Table,
        resume: Option<Resume>,
    ) -> ShardReply {
        let from = resume.map(|r| r.0).unwrap_or_default();
        let (rows, next) = keyed(p, txn, table, from, BATCH_ROWS_MAX).await?;
        Ok(Reply::Keyed {
            rows,
            resume: next.map(Resume),
        })
    }
}

/// Rows with their keys.
pub(super) type Keyed = Vec<(Vec<u8>, Row)>;

/// Rows from `from` on as the snapshot sees them, at most `rows_max` and a batch's bytes, and where the next begin.
pub(super) async fn keyed(
    p: &Partition,
    txn: &TxnRef,
    table: &Table,
    from: Vec<u8>,
    rows_max: usize,
) -> Result<(Keyed, Option<Vec<u8>>)> {
    let layout = table.layout();
    let mut cursor = Cursor::open(p, txn, table.tree, from, None).await?;
    let (mut rows, mut bytes) = (Keyed::new(), 0);
    while cursor
        .run(&mut |key, payload| {
            rows.push((key.to_vec(), row::decode(payload, &layout)?));
            bytes += payload.len();
            let full = rows.len() >= rows_max || bytes >= BATCH_BYTES_MAX;
            Ok(match full {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            })
        })
        .await?
    {}
    Ok((rows, cursor.position()))
}

/// What lies in the tree that is read.
enum Rows {
    /// The rows.
    Here,
    /// Entries that name rows.
    Apart,
    /// Entries that have all that is wanted of their rows.
    InEntries(Covering),
}

struct Reader<'a> {
    p: &'a Partition,
    txn: &'a TxnRef,
    table: &'a Table,
    fragment: Fragment,
    layout: row::Layout,
}

impl Reader<'_> {
    fn push(
        fragment: &mut Fragment,
        (layout, partition): (&row::Layout, PartitionId),
        key: &[u8],
        payload: &[u8],
    ) -> Result<ControlFlow<()>> {
        if fragment.addressed() {
            let row = row::decode_some(payload, layout, fragment.wanted())?;
            return Self::put(fragment, partition, key, row);
        }
        fragment.push_stored(layout, payload)?;
        Ok(flow(fragment))
    }

    fn put(
        fragment: &mut Fragment,
        partition: PartitionId,
        key: &[u8],
        mut row: Row,
    ) -> Result<ControlFlow<()>> {
        if fragment.addressed() {
            let key = key.to_vec();
            let address = encode_address(&Address { partition, key });
            row.push(Value::Bytea(address.into()));
        }
        fragment.push(row)?;
        Ok(flow(fragment))
    }

    async fn keys(&mut self, keys: &[Vec<u8>], resume: Option<Resume>) -> Result<Option<Resume>> {
        let first = resume.map_or(0, |r| place(&r));
        for (n, key) in keys.iter().enumerate().skip(first) {
            if let Some(payload) = self.p.read(self.txn, self.table.tree, key).await?
                && Self::push(&mut self.fragment, (&self.layout, self.p.id), key, &payload)?
                    .is_break()
            {
                return Ok(if n + 1 < keys.len() {
                    Some(at_place(n + 1))
                } else {
                    None
                });
            }
            if n % 64 == 63 {
                self.txn.stop.check()?;
                runtime::yield_if_needed().await;
            }
        }
        Ok(None)
    }

    async fn range(
        &mut self,
        lower: Vec<u8>,
        upper: Option<Vec<u8>>,
        resume: Option<Resume>,
    ) -> Result<Option<Resume>> {
        let from = resume.map_or(lower, |r| r.0);
        let mut cursor = Cursor::open(self.p, self.txn, self.table.tree, from, upper).await?;
        let (fragment, of) = (&mut self.fragment, (&self.layout, self.p.id));
        while cursor
            .run(&mut |key, payload| Self::push(fragment, of, key, payload))
            .await?
        {}
        Ok(cursor.position().map(Resume))
    }

    async fn index(
        &mut self,
        tree: TreeId,
        from: Vec<u8>,
        upper: Option<Vec<u8>>,
        rows: &Rows,
    ) -> Result<Option<Resume>> {
        let mut cursor = Cursor::open(self.p, self.txn, tree, from, upper).await?;
        if let Rows::InEntries(covering) = rows {
            let (fragment, at) = (&mut self.fragment, self.p.id);
            while cursor
                .run(&mut |entry, key| Self::put(fragment, at, key, covering.row(entry, key)?))
                .await?
            {}
            return Ok(cursor.position().map(Resume));
        }
        let most = self.fragment.limit().min(BATCH_ROWS_MAX);
        loop {
            let rows = local_rows(&mut cursor, most).await?;
            let more = !rows.is_empty();
            for key in &rows {
                if self.fragment.limit_reached() {
                    break;
                }
                if let Some(payload) = self.p.read(self.txn, self.table.tree, key).await? {
                    // A batch may run over by what is left of these keys.
                    let of = (&self.layout, self.p.id);
                    let _ = Self::push(&mut self.fragment, of, key, &payload)?;
                }
            }
            let full = self.fragment.batch_full();
            if !more || full || self.fragment.limit_reached() || cursor.at_end() {
                return Ok(cursor.position().map(Resume));
            }
        }
    }
}

fn flow(fragment: &Fragment) -> ControlFlow<()> {
    if fragment.limit_reached() || fragment.batch_full() {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}

impl Reader<'_> {
    /// From the end of a span to its beginning.
    async fn backward(
        &mut self,
        tree: TreeId,
        span: KeySpan,
        resume: Option<Resume>,
        rows: &Rows,
    ) -> Result<Option<Resume>> {
        let upper = resume.map_or(span.upper, |r| Some(r.0));
        let mut cells = Backward::new(self.p, self.txn, tree, span.lower, upper);
        while let Some(step) = cells.step().await? {
            for (key, payload) in step {
                let of = (&self.layout, self.p.id);
                let flow = match rows {
                    Rows::Here => Self::push(&mut self.fragment, of, &key, &payload)?,
                    Rows::InEntries(covering) => {
                        let row = covering.row(&key, &payload)?;
                        Self::put(&mut self.fragment, self.p.id, &payload, row)?
                    }
                    Rows::Apart => match self.p.read(self.txn, self.table.tree, &payload).await? {
                        Some(row) => Self::push(&mut self.fragment, of, &payload, &row)?,
                        None => ControlFlow::Continue(()),
                    },
                };
                if flow.is_break() {
                    return Ok(Some(Resume(key)));
                }
            }
        }
        Ok(None)
    }
}

/// A place in `Reach::Keys` as a `Resume`.
pub fn at_place(n: usize) -> Resume {
    Resume((n as u64).to_be_bytes().to_vec())
}

pub fn place(resume: &Resume) -> usize {
    <[u8; 8]>::try_from(resume.0.as_slice()).map_or(0, |b| u64::from_be_bytes(b) as usize)
}

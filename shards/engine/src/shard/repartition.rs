//! All rows of one set of partitions into another.
//!
//! Owns: where each row goes, and the making of its index entries there. Asked by: the `repartition` command, offline, with
//! both sets open in one process. Never: touches the old set; what it writes counts once the directory says so.
//! Bounds: `RUN_BYTES` of cells a new partition in memory. Rows are read newest version only: nobody else is there.
//! Rows of a table without a key are numbered anew: their hidden keys are unique within a partition only.

use super::call::Address;
use super::cursor::{Cursor, all_live};
use super::entries::{encode_address, local_key, unique_key};
use super::sequence;
use super::{Shard, layout::Layout};
use crate::catalog::{Table, stored};
use crate::codec::{key, row};
use crate::exec::eval;
use crate::txn::{Isolation, Partition, Stop, TxnRef, versions};
use std::cell::RefCell;
use std::ops::ControlFlow;
use std::rc::Rc;
use storage::Op;
use types::limits::{BATCH_BYTES_MAX, BATCH_ROWS_MAX};
use types::{Error, PartitionId, Result, TreeId, Ts, Xid};

/// Cells a new partition gathers before they are put.
const RUN_BYTES: usize = 256 << 10;

/// Called with the rows moved so far and how many there are.
pub type Tell<'f> = dyn FnMut(u64, u64) + 'f;

/// Copies catalog and rows of `old`, which has settled all that was in doubt, into the empty partitions of `new`, and makes
/// them durable. Returns the number of rows.
pub async fn repartition(old: &Shard, new: &Shard, tell: &mut Tell<'_>) -> Result<u64> {
    let catalogs = old.catalogs();
    let versions = |p: &Rc<Partition>, t: &Table| p.store.tree_cells(t.tree);
    let total = catalogs
        .tables()
        .flat_map(|t| old.partitions.values().map(move |p| versions(p, t)))
        .sum();
    let mut load = Load {
        new,
        runs: new.partitions.keys().map(|_| Run::default()).collect(),
        keyless: vec![0; new.partitions.len()],
        at: old.now(),
    };
    load.catalog(old).await?;
    for partition in old.partitions.values() {
        load.sequences(partition).await?;
    }
    let mut moved = 0;
    for table in catalogs.tables() {
        load.keyless.fill(0);
        for partition in old.partitions.values() {
            load.table(table, partition, &mut |rows| {
                moved += rows;
                tell(moved, total);
            })
            .await?;
        }
    }
    load.flush_all().await?;
    for partition in new.partitions.values() {
        partition.checkpoint().await?;
    }
    Ok(moved)
}

#[derive(Default)]
struct Run {
    cells: Vec<(TreeId, Vec<u8>, Vec<u8>)>,
    bytes: usize,
}

struct Load<'a> {
    new: &'a Shard,
    /// By new partition.
    runs: Vec<Run>,
    /// Rows without a key that the table has in each new partition.
    keyless: Vec<u64>,
    /// After everything that was committed.
    at: Ts,
}

impl Load<'_> {
    async fn catalog(&mut self, old: &Shard) -> Result<()> {
        let from = old.partition(PartitionId(0))?;
        for (key, payload) in all_live(from, stored::TREE).await? {
            self.put(PartitionId(0), stored::TREE, &key, &payload);
        }
        self.flush(PartitionId(0)).await
    }

    async fn sequences(&mut self, from: &Rc<Partition>) -> Result<()> {
        for (key, payload) in all_live(from, stored::SEQUENCES).await? {
            let home = sequence::home(sequence::state_of(&key)?, self.new.partition_count);
            self.put(home, stored::SEQUENCES, &key, &payload);
        }
        Ok(())
    }

    async fn table(
        &mut self,
        table: &Table,
        partition: &Partition,
        tell: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let reader = TxnRef {
            xid: Xid(0),
            snapshot: self.at,
            isolation: Isolation::ReadCommitted,
            savepoint: 0,
            apart: 0,
            stop: Stop::at(None),
        };
        let mut cursor = Cursor::open(partition, &reader, table.tree, Vec::new(), None).await?;
        let layout = table.layout();
        loop {
            let rows = RefCell::new((Vec::new(), 0));
            let more = cursor
                .run(&mut |key, payload| {
                    let (rows, bytes) = &mut *rows.borrow_mut();
                    rows.push((key.to_vec(), payload.to_vec()));
                    *bytes += payload.len();
                    Ok(
                        match rows.len() >= BATCH_ROWS_MAX || *bytes >= BATCH_BYTES_MAX {
                            true => ControlFlow::Break(()),
                            false => ControlFlow::Continue(()),
                        },
                    )
                })
                .await?;
            let (rows, _) = rows.into_inner();
            tell(rows.len() as u64);
            for (key, payload) in rows {
                self.row(table, partition.id, key, &payload, &layout)
                    .await?;
            }
            if !more && cursor.at_end() {
                return Ok(());
            }
        }
    }

    async fn row(
        &mut self,
        table: &Table,
        from: PartitionId,
        key: Vec<u8>,
        payload: &[u8],
        layout: &row::Layout,
    ) -> Result<()> {
        let count = self.new.partition_count;
        let row = if table.has_key() {
            let partition = table.partition_of_key(&key, count)?;
            Address { partition, key }
        } else {
            let partition = PartitionId(from.0 % count);
            let number = &mut self.keyless[usize::from(partition.0)];
            *number += 1;
            let key = number.to_be_bytes().to_vec();
            Address { partition, key }
        };
        self.put(row.partition, table.tree, &row.key, payload);
        if !table.indexes.is_empty() {
            let values = row::decode(payload, layout)?;
            for index in &table.indexes {
                let ctx = eval::blank();
                if index.unique {
                    let Some((entry, _)) = unique_key(table, index, &values, &row, ctx)? else {
                        continue;
                    };
                    let at = key::partition(&entry, count);
                    self.put(at, index.tree, &entry, &encode_address(&row));
                    self.flush_full(at).await?;
                } else if let Some(entry) = local_key(table, index, &values, &row.key, ctx)? {
                    self.put(row.partition, index.tree, &entry, &row.key);
                }
            }
        }
        self.flush_full(row.partition).await
    }

    fn put(&mut self, partition: PartitionId, tree: TreeId, key: &[u8], payload: &[u8]) {
        if let Some(run) = self.runs.get_mut(usize::from(partition.0)) {
            let cell = versions::cell_key(key, versions::FROZEN);
            run.bytes += cell.len() + payload.len();
            run.cells
                .push((tree, cell, versions::cell_value(Some(payload))));
        }
    }

    async fn flush_full(&mut self, partition: PartitionId) -> Result<()> {
        let run = self.runs.get(usize::from(partition.0));
        if run.is_some_and(|run| run.bytes >= RUN_BYTES) {
            self.flush(partition).await?;
        }
        Ok(())
    }

    async fn flush_all(&mut self) -> Result<()> {
        let layout = Layout {
            partitions: self.new.partition_count,
            generation: 0,
        };
        for partition in layout.ids() {
            self.flush(partition).await?;
        }
        Ok(())
    }

    async fn flush(&mut self, partition: PartitionId) -> Result<()> {
        let Some(run) = self.runs.get_mut(usize::from(partition.0)) else {
            return Err(Error::internal("a row for a partition that there is not"));
        };
        let mut cells = std::mem::take(run).cells;
        // Entries of an index come in the order of their rows: sorted, those of a run go to fewer pages.
        cells.sort_unstable();
        let mut ops = cells.iter().map(|(tree, key, value)| Op::Put {
            tree: *tree,
            key,
            value,
        });
        let store = &self.new.partition(partition)?.store;
        Ok(store.apply(&mut ops).await?)
    }
}

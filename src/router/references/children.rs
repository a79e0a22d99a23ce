//! The children's side: keys that rows began to refer to must be there.
//!
//! Owns: the look-up, batched by the partitions of the keys, which locks them too; and the second look at a key that is not
//! there, since the row that wanted it may have gone again.

use super::super::{Router, odd};
use super::pending::{Batch, KeyId, Wanted, WantedKeys};
use super::search::{self, Finder};
use super::{KEYS, Keys, ends, latest, violation};
use engine::catalog::{ForeignKey, Table};
use engine::shard::call::{PartitionCall, ReferencesCall};
use engine::shard::{Reply, key_detail};
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{PartitionId, Result};

/// A key of the parent as it is stored, the child's key, and who wants it.
type Placed = (Vec<u8>, Vec<u8>, Wanted);

impl Router {
    /// 23503 for the first row that refers to nothing.
    pub(super) async fn present(&self, env: &Keys<'_>, id: KeyId, keys: WantedKeys) -> Result<()> {
        let Some((child, key, parent)) = ends(&env.ctx.catalog, id) else {
            return Ok(());
        };
        let mut missing = self.absent(env, parent, child, key, keys).await?;
        missing.sort_by_key(|(_, wanted)| wanted.seq);
        for (_, wanted) in missing {
            if self.is_wanted(env, child, key, &wanted).await? {
                let forms = &env.ctx.session.forms;
                let detail = key_detail(child, &key.columns, &wanted.values, forms);
                return Err(violation(child, key).with_detail(format!(
                    "{detail} is not present in table \"{}\".",
                    parent.name
                )));
            }
        }
        Ok(())
    }

    /// Those that are not there are put into `left`.
    pub(super) async fn missing(
        &self,
        env: &Keys<'_>,
        id: KeyId,
        keys: WantedKeys,
        left: &mut Batch,
    ) -> Result<()> {
        let Some((child, key, parent)) = ends(&env.ctx.catalog, id) else {
            return Ok(());
        };
        for (bytes, wanted) in self.absent(env, parent, child, key, keys).await? {
            left.put_wanted(id, bytes, wanted)?;
        }
        Ok(())
    }

    /// Locks the keys that are there, and answers those that are not.
    async fn absent(
        &self,
        env: &Keys<'_>,
        parent: &Arc<Table>,
        child: &Arc<Table>,
        key: &ForeignKey,
        keys: WantedKeys,
    ) -> Result<Vec<(Vec<u8>, Wanted)>> {
        let mut absent = Vec::new();
        let mut parts: BTreeMap<PartitionId, Vec<Placed>> = BTreeMap::new();
        for (bytes, wanted) in keys {
            match self.place(parent, child, key, &wanted.values, env.ctx)? {
                Some(place) => {
                    let part = parts.entry(place.partition).or_default();
                    part.push((place.key, bytes, wanted));
                }
                None => absent.push((bytes, wanted)),
            }
        }
        // One partition after the other and in the order of the keys, so that two transactions do not wait for each other.
        for (partition, mut keys) in parts {
            keys.sort_by(|a, b| a.0.cmp(&b.0));
            let mut rest = keys.into_iter();
            loop {
                let chunk: Vec<_> = rest.by_ref().take(KEYS).collect();
                if chunk.is_empty() {
                    break;
                }
                let wanted = chunk.iter().map(|(key, ..)| key.clone()).collect();
                let found = self.keys_there(env, parent, key, partition, wanted).await?;
                for ((_, bytes, wanted), found) in chunk.into_iter().zip(found) {
                    if !found {
                        absent.push((bytes, wanted));
                    }
                }
            }
        }
        Ok(absent)
    }

    /// Shares the locks of keys of one partition: which of them are there.
    pub(super) async fn keys_there(
        &self,
        env: &Keys<'_>,
        parent: &Arc<Table>,
        key: &ForeignKey,
        partition: PartitionId,
        keys: Vec<Vec<u8>>,
    ) -> Result<Vec<bool>> {
        env.txn.locks_in(partition);
        let call = ReferencesCall {
            txn: env.by.clone(),
            ctx: env.ctx.clone(),
            table: parent.clone(),
            index: search::tree(parent, key),
            keys,
        };
        match self
            .call(partition, PartitionCall::References(call))
            .await?
        {
            Reply::Found(found) => Ok(found),
            _ => Err(odd()),
        }
    }

    /// Whether a row still has the values.
    async fn is_wanted(
        &self,
        env: &Keys<'_>,
        child: &Arc<Table>,
        key: &ForeignKey,
        wanted: &Wanted,
    ) -> Result<bool> {
        let finder = Finder::new(child, key);
        let now = self.shard.snapshot();
        let by = latest(env.by, now.ts);
        let values = std::iter::once(&wanted.values);
        let types = child.types_of(&key.columns);
        for share in self.shares(&finder, &types, child, values, env.ctx)? {
            let mut resume = None;
            loop {
                let (rows, next) = self
                    .referring(&by, child, &finder, &share, true, resume)
                    .await?;
                if !rows.is_empty() {
                    return Ok(true);
                }
                resume = next;
                if resume.is_none() {
                    break;
                }
            }
        }
        Ok(false)
    }
}

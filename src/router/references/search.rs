//! Between the two ends of a foreign key: a child's values as the parent's key, a key as the children's values, and the way
//! to the rows that have them.
//!
//! Owns: which index finds children, and the conversion where the two sides have different types; a value that the other
//! side's type cannot hold is nobody's.

use super::super::{Router, odd};
use engine::catalog::{ForeignKey, Index, Table};
use engine::codec::key;
use engine::exec::{Context, cast};
use engine::shard::Reply;
use engine::shard::call::{Address, PartitionCall, ReferrersCall, Resume, Via};
use engine::shard::entries::index_key;
use engine::txn::TxnRef;
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{DataType, PartitionId, Result, Row, TreeId, Value};

/// Where a referenced key is looked up.
pub struct Place {
    pub partition: PartitionId,
    pub key: Vec<u8>,
}

/// How rows that refer to a key are found.
pub struct Finder {
    via: Via,
    /// Ordinals of the foreign key's columns as the index has them.
    columns: Vec<usize>,
    /// Their places in the foreign key.
    order: Vec<usize>,
    /// The key says in which partition they are.
    exact: bool,
}

/// A share of the keys for one partition, and their numbers among all.
pub struct Share {
    pub partition: PartitionId,
    pub numbers: Vec<usize>,
    pub keys: Arc<Vec<Vec<u8>>>,
}

/// `value` as the other side has it, if it can.
fn fit(value: &Value, from: DataType, to: DataType, ctx: &Context) -> Option<Value> {
    if from == to {
        return Some(value.clone());
    }
    let there = cast::cast(value.clone(), from, to, -1, false, ctx).ok()?;
    let back = cast::cast(there.clone(), to, from, -1, false, ctx).ok()?;
    (back == *value).then_some(there)
}

/// The unique index that a foreign key goes by; `None`: the primary key.
pub fn index<'t>(parent: &'t Table, key: &ForeignKey) -> Option<&'t Arc<Index>> {
    parent.indexes.iter().find(|i| i.id == key.index)
}

/// The tree of its entries.
pub fn tree(parent: &Table, key: &ForeignKey) -> Option<TreeId> {
    index(parent, key).map(|i| i.tree)
}

impl Finder {
    pub fn new(child: &Table, key: &ForeignKey) -> Finder {
        let n = key.columns.len();
        let order = |columns: &[usize]| -> Option<Vec<usize>> {
            let first = columns.get(..n)?;
            let places = first
                .iter()
                .map(|c| key.columns.iter().position(|k| k == c));
            places.collect()
        };
        let found = |via: Via, order: Vec<usize>, exact: bool| Finder {
            via,
            columns: order.iter().map(|at| key.columns[*at]).collect(),
            order,
            exact,
        };
        if let Some(order) = order(&child.primary_key) {
            let exact = child.primary_key.len() == n && child.placement.is_empty();
            return found(Via::PrimaryKey, order, exact);
        }
        let usable = child.valid_indexes().filter(|i| i.finds_all(n));
        let mut orders = usable.filter_map(|i| Some((i, order(&i.leading_columns())?)));
        if let Some((index, order)) = orders.next() {
            let exact = index.unique && index.parts.len() == n;
            return found(Via::Index(index.clone()), order, exact);
        }
        found(Via::Rows, (0..n).collect(), false)
    }
}

impl Router {
    /// Where the key is that a child's values mean; `None`: nowhere.
    pub(super) fn place(
        &self,
        parent: &Table,
        child: &Table,
        key: &ForeignKey,
        values: &Row,
        ctx: &Context,
    ) -> Result<Option<Place>> {
        let from = child.types_of(&key.columns);
        self.place_of(parent, key, values, &from, ctx)
    }

    /// As `place`, of values of these types.
    pub(super) fn place_of(
        &self,
        parent: &Table,
        key: &ForeignKey,
        values: &Row,
        from: &[DataType],
        ctx: &Context,
    ) -> Result<Option<Place>> {
        let columns = match index(parent, key) {
            Some(index) => index.columns().unwrap_or_default(),
            None => parent.primary_key.clone(),
        };
        let types = parent.types_of(&columns);
        let mut fitted = Vec::with_capacity(columns.len());
        for (column, ty) in columns.iter().zip(&types) {
            let mut places = key.referenced_columns.iter();
            let Some(at) = places.position(|c| c == column) else {
                return Ok(None);
            };
            let Some(value) = fit(&values[at], from[at], *ty, ctx) else {
                return Ok(None);
            };
            fitted.push(value);
        }
        let (partition, key) = match index(parent, key) {
            Some(index) => {
                let bytes = index_key(parent, index, &fitted)?;
                (key::partition(&bytes, self.shard.partition_count), bytes)
            }
            None => {
                let mut bytes = Vec::new();
                key::encode(&fitted, &types, &mut bytes)?;
                let at = parent.partition_of_key(&bytes, self.shard.partition_count)?;
                (at, bytes)
            }
        };
        Ok(Some(Place { partition, key }))
    }

    /// Keys (in the order of the foreign key's columns, of the types `from`) as the finder looks for them in each partition.
    pub(super) fn shares<'k>(
        &self,
        finder: &Finder,
        from: &[DataType],
        child: &Table,
        keys: impl Iterator<Item = &'k Row>,
        ctx: &Context,
    ) -> Result<Vec<Share>> {
        let types = child.types_of(&finder.columns);
        let mut parts: BTreeMap<PartitionId, (Vec<usize>, Vec<Vec<u8>>)> = BTreeMap::new();
        for (n, values) in keys.enumerate() {
            let order = finder.order.iter().zip(&types);
            let fitted = order.map(|(at, ty)| fit(&values[*at], from[*at], *ty, ctx));
            let Some(fitted) = fitted.collect::<Option<Vec<Value>>>() else {
                continue;
            };
            let mut bytes = Vec::new();
            key::encode(&fitted, &types, &mut bytes)?;
            // Without a place of their own all are looked for everywhere.
            let at = match finder.exact {
                true => key::partition(&bytes, self.shard.partition_count),
                false => PartitionId(0),
            };
            let part = parts.entry(at).or_default();
            part.0.push(n);
            part.1.push(bytes);
        }
        let mut shares = Vec::new();
        for (at, (numbers, keys)) in parts {
            let keys = Arc::new(keys);
            let everywhere = self.partition_ids().filter(|p| !finder.exact || *p == at);
            shares.extend(everywhere.map(|partition| Share {
                partition,
                numbers: numbers.clone(),
                keys: keys.clone(),
            }));
        }
        Ok(shares)
    }

    /// Rows that have one of the share's keys: the key's number among all, and where the row is. `once`: a row for each key
    /// will do.
    pub(super) async fn referring(
        &self,
        by: &TxnRef,
        child: &Arc<Table>,
        finder: &Finder,
        share: &Share,
        once: bool,
        resume: Option<Resume>,
    ) -> Result<(Vec<(usize, Address)>, Option<Resume>)> {
        let call = ReferrersCall {
            txn: by.clone(),
            table: child.clone(),
            columns: finder.columns.clone(),
            via: finder.via.clone(),
            keys: share.keys.clone(),
            once,
            resume,
        };
        let call = PartitionCall::Referrers(call);
        let Reply::Referrers { rows, resume } = self.call(share.partition, call).await? else {
            return Err(odd());
        };
        let rows = rows.into_iter();
        let numbered = rows.filter_map(|(n, address)| Some((*share.numbers.get(n)?, address)));
        Ok((numbered.collect(), resume))
    }
}

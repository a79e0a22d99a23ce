//! Where the row of one primary key is: made ready with a plan, for statements that come again and again.
//!
//! Owns: the parts of the key. Asked by: `Lookup` and `Edit`, on the shard of whoever asks. Never: evaluates anything: a part is
//! a parameter or a constant of the column's own type.

use crate::catalog::Table;
use crate::codec::key;
use crate::plan::{Access, Expr};
use smallvec::SmallVec;
use std::sync::Arc;
use types::{DataType, PartitionId, Result, Value};

pub struct Locator {
    table: Arc<Table>,
    /// Of the primary key.
    types: Vec<DataType>,
    parts: Vec<Part>,
}

enum Part {
    Param(usize),
    Const(Value),
}

impl Locator {
    /// `None`: it is not one key, or has to be computed.
    pub fn of(table: &Arc<Table>, access: &Access) -> Option<Locator> {
        let Access::Keys(keys) = access else {
            return None;
        };
        let [exprs] = &keys[..] else { return None };
        let types = table.types_of(&table.primary_key);
        let part = |(expr, ty): (&Expr, &DataType)| match expr {
            Expr::Param(at, of) if of == ty => Some(Part::Param(usize::from(*at))),
            Expr::Const(value, of) if of == ty => Some(Part::Const(value.clone())),
            _ => None,
        };
        let parts = exprs.iter().zip(&types).map(part).collect::<Option<_>>()?;
        Some(Locator {
            table: table.clone(),
            types,
            parts,
        })
    }

    /// The partition that may have the row, and its key there; `None` when no row has such a key.
    pub fn address(
        &self,
        params: &[Value],
        partitions: u16,
    ) -> Result<Option<(PartitionId, Vec<u8>)>> {
        let mut values = SmallVec::<[Value; 4]>::new();
        for part in &self.parts {
            let value = match part {
                Part::Param(at) => params.get(*at).unwrap_or(&Value::Null),
                Part::Const(value) => value,
            };
            if value.is_null() {
                return Ok(None);
            }
            values.push(value.clone());
        }
        let mut bytes = Vec::new();
        key::encode(&values, &self.types, &mut bytes)?;
        let partition = self.table.partition_of_key(&bytes, partitions)?;
        Ok(Some((partition, bytes)))
    }
}

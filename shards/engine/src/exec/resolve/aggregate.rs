//! Which aggregate a call means.

use super::select::{self, Choice};
use super::undefined;
use crate::exec::aggregates;
use crate::exec::functions::Function;
use std::sync::LazyLock;
use types::{DataType, Error, Result, SqlState};

/// A chosen aggregate.
#[derive(Clone, Debug)]
pub struct ResolvedAggregate {
    /// For `AggregateCall::func`.
    pub func: String,
    /// Cast the arguments to these.
    pub arg_types: Vec<DataType>,
    pub ret: DataType,
}

static SIGNATURES: LazyLock<hashbrown::HashMap<&'static str, Vec<&'static Function>>> =
    LazyLock::new(|| {
        let mut by_name = hashbrown::HashMap::<_, Vec<_>>::new();
        for f in aggregates::all() {
            by_name.entry(f.sql).or_default().push(f);
        }
        by_name
    });

pub fn is_aggregate(name: &str) -> bool {
    SIGNATURES.contains_key(name)
}

/// The aggregate `name` over these arguments; `star` for `name(*)`.
pub fn aggregate(name: &str, args: &[DataType], star: bool) -> Result<ResolvedAggregate> {
    if star {
        return if name == "count" {
            Ok(ResolvedAggregate {
                func: "count".to_owned(),
                arg_types: Vec::new(),
                ret: DataType::Int8,
            })
        } else {
            Err(undefined(name, &[]))
        };
    }
    if name == "count" && args.is_empty() {
        return Err(Error::new(
            SqlState::WRONG_OBJECT_TYPE,
            "count(*) must be used to call a parameterless aggregate function",
        ));
    }
    let overloads = SIGNATURES.get(name).map_or(&[][..], Vec::as_slice);
    match select::choose(overloads, args, false) {
        Choice::One(r) => Ok(ResolvedAggregate {
            func: match (r.func.name, r.arg_types.first()) {
                ("array_agg", Some(DataType::Enum(oid))) => format!("array_agg:{oid}"),
                ("array_agg", Some(DataType::Composite(oid))) => format!("array_agg:row {oid}"),
                ("array_agg", Some(element)) => format!("array_agg:{}", element.name()),
                (name, _) => name.to_owned(),
            },
            arg_types: r.arg_types,
            ret: r.ret,
        }),
        Choice::None => Err(undefined(name, args)),
        Choice::Many => Err(super::ambiguous(name, args)),
    }
}

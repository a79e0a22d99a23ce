//! Newtype ids. An id of one kind cannot be passed where another is meant.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(/// One core's executor and all that it owns. 0-based.
    ShardId(u16));
id!(/// A hash slice of every table's rows; the unit of storage, WAL and recovery. 0-based.
    PartitionId(u16));
id!(/// A relation's oid as `pg_class` shows it; user tables and indexes start at 16384.
    TableId(u32));
id!(/// One B+tree inside a partition. The same id names the same tree in every partition.
    TreeId(u32));
id!(/// A byte position in one partition's WAL. Never compared across partitions.
    Lsn(u64));
id!(/// A hybrid logical clock reading: nanoseconds since the Unix epoch, bumped to stay unique per shard.
    Ts(u64));
id!(/// A transaction, unique in the process and across restarts: origin shard in the top 10 bits.
    Xid(u64));
id!(/// One client connection's session: shard in the top 16 bits.
    SessionId(u64));
id!(/// One request, for logs and errors.
    RequestId(u64));

impl Xid {
    pub const SHARD_SHIFT: u32 = 54;

    pub fn new(shard: ShardId, counter: u64) -> Xid {
        Xid((u64::from(shard.0) << Self::SHARD_SHIFT) | (counter & ((1 << Self::SHARD_SHIFT) - 1)))
    }

    pub fn shard(self) -> ShardId {
        ShardId((self.0 >> Self::SHARD_SHIFT) as u16)
    }
}

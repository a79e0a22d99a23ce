//! Hard ceilings, with what they mean and what happens at one more. Configurable ones are defaults here.

/// Shards in one process. `Xid` keeps the shard in 10 bits.
pub const SHARDS_MAX: usize = 1024;
/// Partitions of a data directory. One more: refused when the directory is created.
pub const PARTITIONS_MAX: usize = 1024;
/// Connections of a process, split evenly over its shards. One more: 53300 and a clean close.
pub const CONNECTIONS_MAX: usize = 10_000;
/// A frame on the SQL port, header excluded (COPY data of any length is streamed). One more byte: 54000, closed.
pub const FRAME_BYTES_MAX: usize = 64 << 20;
/// A startup packet; PostgreSQL's own MAX_STARTUP_PACKET_LENGTH.
pub const STARTUP_BYTES_MAX: usize = 10_000;
/// An HTTP request body. One more byte: 413.
pub const HTTP_BODY_BYTES_MAX: usize = 10 << 20;
/// A script's text. It must fit the frame, and each byte may become a token of about 90. One more byte: 54000.
pub const STATEMENT_BYTES_MAX: usize = 8 << 20;
/// Tokens of one statement, blanks not counted (a multi-row INSERT of 200,000 rows with four columns has about as many). One more:
/// 54001.
pub const STATEMENT_TOKENS_MAX: usize = 2_000_000;
/// Length of a chain of binary operators, with the chains in its brackets. The parser builds such chains as a left-deep tree without
/// counting them as depth, and walking or dropping that tree recurses: see `SHARD_STACK_BYTES`. One more: 54001.
pub const OPERATOR_CHAIN_MAX: usize = 5_000;
/// Nesting of expressions and subqueries that the parser accepts. One more: 54001.
pub const STATEMENT_DEPTH_MAX: usize = 500;
/// Stack of a shard's thread, of which the kernel gives what is touched. A level of nesting takes up to 32 KiB of it, a link of a
/// chain 250 bytes.
pub const SHARD_STACK_BYTES: usize = 64 << 20;
/// Rows inside each other as values: what walks them recurses. One more: 54001.
pub const RECORD_DEPTH_MAX: usize = 32;
/// Bound parameters of a statement: a 16-bit count on the wire. One more: 54023.
pub const PARAMETERS_MAX: usize = 65_535;
/// Columns of a table, as PostgreSQL's MaxHeapAttributeNumber. One more: 54011.
pub const COLUMNS_MAX: usize = 1_600;
/// Columns of a result. One more: 54011.
pub const RESULT_COLUMNS_MAX: usize = 1_664;
/// Columns of an index or key. One more: 54011.
pub const INDEX_COLUMNS_MAX: usize = 32;
/// Databases of a server, each a catalog in memory. One more: 54000.
pub const DATABASES_MAX: usize = 1_000;
/// An identifier in bytes; longer ones are cut as PostgreSQL cuts them (NAMEDATALEN - 1).
pub const IDENTIFIER_BYTES_MAX: usize = 63;
/// An encoded key of a table or index, so that an inner page holds at least three. One more byte: 54000.
pub const KEY_BYTES_MAX: usize = 1_024;
/// An encoded row. One more byte: 54000.
pub const ROW_BYTES_MAX: usize = 16 << 20;
/// A key in a tree: one of `KEY_BYTES_MAX` with the timestamp of its version.
pub const CELL_KEY_BYTES_MAX: usize = KEY_BYTES_MAX + 8;
/// A value in a tree: a row with the mark that it is none of a deletion.
pub const CELL_VALUE_BYTES_MAX: usize = ROW_BYTES_MAX + 1;
/// One value in memory while an expression is evaluated (repeat, concatenation …). One more byte: 54000.
pub const VALUE_BYTES_MAX: usize = 64 << 20;
/// Memory of one query's operators and result rows. Operators that can then spill to temporary files; the rest: 53200.
pub const QUERY_BYTES_MAX: usize = 64 << 20;
/// Groups that one partition aggregates before it sends them, to be merged with those of the others: about 20,000. Larger
/// saves messages where keys repeat over many rows, at so much memory a partition and query.
pub const PARTIAL_BYTES_MAX: usize = 4 << 20;
/// Temporary files of the process together. Over it: 53400.
pub const TEMP_BYTES_MAX: usize = 10 << 30;
/// The least a session may set as `work_mem`, as in PostgreSQL.
pub const WORK_BYTES_MIN: usize = 64 << 10;
/// Writes one transaction may hold in one partition before it commits. Over it: 53200.
pub const TXN_WRITE_BYTES_MAX: usize = 512 << 20;
/// Locks of one transaction in one partition.
pub const TXN_LOCK_BYTES_MAX: usize = 512 << 20;
/// Prepared statements of a session. One more: 54000.
pub const PREPARED_MAX: usize = 1_000;
/// The text of one NOTIFY, as in PostgreSQL. One more: 22023.
pub const NOTICE_BYTES_MAX: usize = 7_999;
/// What one transaction may announce with NOTIFY until it commits. More: 54000.
pub const NOTICES_ANNOUNCED_BYTES_MAX: usize = 4 << 20;
/// Notifications that wait for one client to take them: about 40,000 short ones. More: its connection ends with 53400, so that it
/// knows that it has missed some.
pub const NOTICES_WAITING_BYTES_MAX: usize = 4 << 20;
/// Channels that one session listens to. One more: 54000.
pub const CHANNELS_MAX: usize = 10_000;
/// Plans kept by a shard; the least recently used goes.
pub const PLAN_CACHE_MAX: usize = 10_000;
/// Requests waiting or running in a process. One more: 53400 / 429.
pub const PENDING_MAX: usize = 10_000;
/// A statement or request may take this long by default: then 57014 / 504.
pub const STATEMENT_TIMEOUT_MS: u64 = 30_000;
/// Parts of plans that one shard runs in its partitions and that have more rows to give: as many as there are requests. One
/// more: 53400.
pub const RUNS_MAX: usize = PENDING_MAX;
/// Rows of one batch between shards and operators.
pub const BATCH_ROWS_MAX: usize = 1_024;
/// Bytes of one batch (one row may exceed it alone).
pub const BATCH_BYTES_MAX: usize = 128 << 10;
/// Calls one shard may have outstanding at another, per lane.
pub const LANE_CREDITS: usize = 1_024;

const _: () = assert!(FRAME_BYTES_MAX >= STATEMENT_BYTES_MAX);
const _: () = assert!(KEY_BYTES_MAX * 3 < 4096);
const _: () = assert!(NOTICE_BYTES_MAX < NOTICES_ANNOUNCED_BYTES_MAX);
const _: () = assert!(PREPARED_MAX < PLAN_CACHE_MAX);
const _: () = assert!(BATCH_BYTES_MAX < QUERY_BYTES_MAX);
const _: () = assert!(BATCH_BYTES_MAX <= PARTIAL_BYTES_MAX && PARTIAL_BYTES_MAX < QUERY_BYTES_MAX);
const _: () = assert!(WORK_BYTES_MIN < QUERY_BYTES_MAX && QUERY_BYTES_MAX < TEMP_BYTES_MAX);
const _: () = assert!(SHARDS_MAX <= 1 << 10);
// Twice what the deepest statement takes.
const _: () =
    assert!((STATEMENT_DEPTH_MAX * (32 << 10) + OPERATOR_CHAIN_MAX * 250) * 2 <= SHARD_STACK_BYTES);

//! `uuid-ossp`: UUIDs of versions 1, 3, 4 and 5.
//!
//! Never: tells the machine's address: the node of version 1 is a random one, marked as such, as where there is no network card.
//! Source: RFC 4122; PostgreSQL 15, `contrib/uuid-ossp`.

use super::{Function, args};
use DataType::*;
use sha1::Digest;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use types::{DataType, Error, Result, Value};

/// From 1582-10-15 to 1970-01-01, in 100 ns.
const EPOCH_TICKS: u64 = 0x01B2_1DD2_1381_4000;

pub static FUNCTIONS: &[Function] = &[
    constant("uuid_nil", |_, _| Ok(Value::Uuid(uuid::Uuid::nil()))),
    constant("uuid_ns_dns", |_, _| {
        Ok(Value::Uuid(uuid::Uuid::NAMESPACE_DNS))
    }),
    constant("uuid_ns_url", |_, _| {
        Ok(Value::Uuid(uuid::Uuid::NAMESPACE_URL))
    }),
    constant("uuid_ns_oid", |_, _| {
        Ok(Value::Uuid(uuid::Uuid::NAMESPACE_OID))
    }),
    constant("uuid_ns_x500", |_, _| {
        Ok(Value::Uuid(uuid::Uuid::NAMESPACE_X500))
    }),
    constant("uuid_generate_v1", |_, _| {
        Ok(Value::Uuid(of_now(PROCESS.node)))
    })
    .volatile(),
    constant("uuid_generate_v1mc", |_, _| {
        Ok(Value::Uuid(of_now(random_node())))
    })
    .volatile(),
    constant("uuid_generate_v4", |_, _| {
        let mut bytes = [0; 16];
        runtime::random_bytes(&mut bytes);
        Ok(Value::Uuid(
            uuid::Builder::from_random_bytes(bytes).into_uuid(),
        ))
    })
    .volatile(),
    named("uuid_generate_v3", |_, a| {
        let hash: [u8; 16] = md5::Md5::digest(of_name(a)?).into();
        Ok(Value::Uuid(uuid::Builder::from_md5_bytes(hash).into_uuid()))
    }),
    named("uuid_generate_v5", |_, a| {
        let hash = sha1::Sha1::digest(of_name(a)?);
        let mut first = [0; 16];
        first.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        Ok(Value::Uuid(
            uuid::Builder::from_sha1_bytes(first).into_uuid(),
        ))
    }),
];

const fn constant(name: &'static str, eval: super::super::Eval) -> Function {
    Function::new(name, &[], Uuid, eval).sql("")
}

const fn named(name: &'static str, eval: super::super::Eval) -> Function {
    Function::new(name, &[Uuid, Text], Uuid, eval).sql("")
}

fn of_name(a: &[Value]) -> Result<Vec<u8>> {
    let Some(Value::Uuid(namespace)) = a.first() else {
        return Err(Error::internal("a namespace that is no uuid"));
    };
    Ok([namespace.as_bytes(), args::text(a, 1)?.as_bytes()].concat())
}

/// What the UUIDs of one process share.
struct Process {
    node: [u8; 6],
    sequence: u16,
    /// The newest moment that was given away.
    last: AtomicU64,
}

static PROCESS: LazyLock<Process> = LazyLock::new(|| {
    let mut sequence = [0; 2];
    runtime::random_bytes(&mut sequence);
    Process {
        node: random_node(),
        sequence: u16::from_be_bytes(sequence) & 0x3FFF,
        last: AtomicU64::new(0),
    }
});

/// With the multicast bit, which no card has.
fn random_node() -> [u8; 6] {
    let mut node = [0; 6];
    runtime::random_bytes(&mut node);
    node[0] |= 1;
    node
}

/// Version 1: no two have one moment.
fn of_now(node: [u8; 6]) -> uuid::Uuid {
    let micros = u64::try_from(runtime::wall_micros()).unwrap_or(0);
    let now = micros.saturating_mul(10).saturating_add(EPOCH_TICKS);
    let mut last = PROCESS.last.load(Ordering::Relaxed);
    let ticks = loop {
        let next = now.max(last + 1);
        let swapped =
            PROCESS
                .last
                .compare_exchange_weak(last, next, Ordering::Relaxed, Ordering::Relaxed);
        match swapped {
            Ok(_) => break next,
            Err(other) => last = other,
        }
    };
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&(ticks as u32).to_be_bytes());
    bytes[4..6].copy_from_slice(&((ticks >> 32) as u16).to_be_bytes());
    bytes[6..8].copy_from_slice(&((ticks >> 48) as u16 & 0x0FFF | 0x1000).to_be_bytes());
    bytes[8..10].copy_from_slice(&(PROCESS.sequence | 0x8000).to_be_bytes());
    bytes[10..].copy_from_slice(&node);
    uuid::Uuid::from_bytes(bytes)
}

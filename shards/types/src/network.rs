//! Addresses of networks and of cards: inet, cidr, macaddr and macaddr8.
//!
//! Owns: what their texts mean, their bytes on the wire, their order. Asked by: the text and binary forms, the engine's functions.
//! Never: looks a name up. Bounds: every address has at most 16 bytes.
//! Source: PostgreSQL 15, `inet_net_pton.c`, `inet_net_ntop.c`, `network.c`, `mac.c`, `mac8.c`.

mod address;
mod card;

pub use address::{Inet, V4_BITS, V6_BITS};
pub use card::{Mac, Mac8};

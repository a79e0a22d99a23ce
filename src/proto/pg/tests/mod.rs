//! PostgreSQL's protocol against a door made of memory, over real loopback sockets and with raw bytes.

mod bytes;
mod client;
mod door;
mod extended;
mod lifecycle;
mod simple;

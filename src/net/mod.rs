//! Listeners, connection slots and the adapters that carry bytes between sockets and protocols.

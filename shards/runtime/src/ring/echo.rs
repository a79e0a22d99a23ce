//! A bare echo: one ring a thread, no executor, no task, no buffer pool. It is what the kernel asks for a request on a ring, and
//! the ceiling that a request of the server is measured against (`benches/compare/peers.sh`).
//!
//! Owns: its threads, their listening sockets and connections. Asked by: `benches/compare/load`, through the feature
//! `echo`, which no shipped binary has. Never: returns but with an error.
//! Bounds: a connection has `CHUNK` bytes and one receive, or one send with the receive that follows it; it is not read
//! from while it is written to. Connections are spread by the kernel's hash.
//! Source: io_uring_enter(2) for IOSQE_IO_LINK and IOSQE_CQE_SKIP_SUCCESS.

use super::{COMPLETIONS, ENTRIES, NOBODY, accepted};
use io_uring::{IoUring, cqueue, opcode, squeue, types};
use slab::Slab;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::mem::ManuallyDrop;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

const CHUNK: usize = 4 << 10;
const BACKLOG: i32 = 1024;

/// The accept's completions.
const ARRIVES: u64 = NOBODY - 1;

struct Connection {
    socket: Socket,
    bytes: Box<[u8]>,
}

/// Serves `addr` with `threads` of them until one fails.
pub fn echo(addr: SocketAddr, threads: usize) -> io::Result<()> {
    let (to, from) = crossbeam_channel::bounded(1);
    for _ in 0..threads {
        let to = to.clone();
        std::thread::spawn(move || {
            let ended = serve(addr);
            // The first one's end is everybody's.
            let _ = to.try_send(ended);
        });
    }
    drop(to);
    from.recv().unwrap_or(Ok(()))
}

fn serve(addr: SocketAddr) -> io::Result<()> {
    let listening = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    listening.set_reuse_address(true)?;
    listening.set_reuse_port(true)?;
    listening.bind(&SockAddr::from(addr))?;
    listening.listen(BACKLOG)?;
    let mut ring: IoUring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_cqsize(COMPLETIONS)
        .build(ENTRIES)?;
    // Not freed when this returns: the kernel may still write into it.
    let mut open = ManuallyDrop::new(Slab::<Connection>::new());
    let mut done = Vec::new();
    push(&mut ring, &[arrivals(&listening)])?;
    loop {
        match ring.submit_and_wait(1) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        done.extend(
            ring.completion()
                .map(|one| (one.user_data(), one.result(), cqueue::more(one.flags()))),
        );
        for (what, result, more) in done.drain(..) {
            match what {
                NOBODY => {}
                ARRIVES => {
                    if result >= 0 {
                        let socket = Socket::from(accepted(result));
                        socket.set_tcp_nodelay(true)?;
                        let bytes = vec![0; CHUNK].into_boxed_slice();
                        let key = open.insert(Connection { socket, bytes });
                        push(&mut ring, &[receive(&mut open[key], key)])?;
                    }
                    if !more {
                        push(&mut ring, &[arrivals(&listening)])?;
                    }
                }
                key => {
                    let key = key as usize;
                    match usize::try_from(result) {
                        Ok(n) if n > 0 => {
                            let back = send(&open[key], n);
                            push(&mut ring, &[back, receive(&mut open[key], key)])?;
                        }
                        // It had one receive, and this is its end.
                        _ => drop(open.try_remove(key)),
                    }
                }
            }
        }
    }
}

fn arrivals(listening: &Socket) -> squeue::Entry {
    opcode::AcceptMulti::new(types::Fd(listening.as_raw_fd()))
        .build()
        .user_data(ARRIVES)
}

fn receive(connection: &mut Connection, key: usize) -> squeue::Entry {
    let fd = types::Fd(connection.socket.as_raw_fd());
    let bytes = &mut connection.bytes;
    opcode::Recv::new(fd, bytes.as_mut_ptr(), bytes.len() as u32)
        .build()
        .user_data(key as u64)
}

/// All of it, before the receive that is pushed with it begins; only a failure is told, and to nobody: the receive ends, too.
fn send(connection: &Connection, n: usize) -> squeue::Entry {
    let fd = types::Fd(connection.socket.as_raw_fd());
    opcode::Send::new(fd, connection.bytes.as_ptr(), n as u32)
        .flags(libc::MSG_WAITALL | libc::MSG_NOSIGNAL)
        .build()
        .flags(squeue::Flags::IO_LINK | squeue::Flags::SKIP_SUCCESS)
        .user_data(NOBODY)
}

/// Together: a chain that is submitted in parts is none.
fn push(ring: &mut IoUring, entries: &[squeue::Entry]) -> io::Result<()> {
    loop {
        // SAFETY: what an entry points to is the bytes of a connection in `open`, which lie where they are until its receive
        // has ended, and its socket. A connection has one receive under way, so nothing else refers to its bytes.
        if unsafe { ring.submission().push_multiple(entries) }.is_ok() {
            return Ok(());
        }
        ring.submit()?;
    }
}

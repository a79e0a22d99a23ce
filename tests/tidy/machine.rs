//! Who may name what touches the machine: threads, clocks, files, sockets, rings, randomness, raw memory.
//!
//! `shards/runtime` alone does, so that a simulated machine can take its place. What reads the machine before the first shard
//! exists is listed by name.

use super::assert_none;
use super::source::{self, File, comment, has_word};

/// A path, the files outside `shards/runtime` that may name it, and why.
const NAMES: [(&str, &[(&str, &str)]); 9] = [
    ("glommio", &[]),
    ("io_uring", &[]),
    ("std::thread", &[]),
    (
        "std::fs",
        &[
            (
                "src/config/layers.rs",
                "reads the configuration file before any shard exists",
            ),
            (
                "src/config/host.rs",
                "reads the machine's memory before any shard exists",
            ),
        ],
    ),
    ("std::net", &[]),
    (
        "std::time::Instant",
        &[(
            "src/net/hyper.rs",
            "hyper's timer trait has it in its signature",
        )],
    ),
    ("std::time::SystemTime", &[]),
    ("rand", &[]),
    ("tokio", &[]),
];

/// Addresses are data, not sockets.
const ADDRESSES: [&str; 6] = [
    "SocketAddr",
    "SocketAddrV4",
    "SocketAddrV6",
    "IpAddr",
    "Ipv4Addr",
    "Ipv6Addr",
];

/// The places where `unsafe` may be.
const UNSAFE: [&str; 4] = [
    "shards/runtime/src/allocator",
    "shards/runtime/src/io",
    "shards/runtime/src/ring",
    "shards/storage/src/page",
];

fn is_runtime(file: &File) -> bool {
    file.path.starts_with("shards/runtime/")
}

/// The lines of a file that name `path`, written out or through a group such as `use std::{fs, io}`.
fn naming(file: &File, path: &str) -> Vec<usize> {
    let (parent, last) = path.rsplit_once("::").unwrap_or(("", path));
    let group = format!("use {parent}::{{");
    let mut open = false;
    let mut found = Vec::new();
    for (n, line) in file.shipped() {
        open = open || (!parent.is_empty() && line.trim_start().starts_with(&group));
        let direct = match parent.is_empty() {
            true => {
                has_word(line, path)
                    && (line.contains(&format!("{path}::"))
                        || line.contains(&format!("use {path}")))
            }
            false => has_word(line, path),
        };
        let only_addresses = path == "std::net"
            && ADDRESSES.iter().any(|a| has_word(line, a))
            && !["TcpStream", "TcpListener", "UdpSocket", "ToSocketAddrs"]
                .iter()
                .any(|s| has_word(line, s));
        if (direct || (open && has_word(line, last))) && !only_addresses {
            found.push(n);
        }
        open = open && !line.contains(';');
    }
    found
}

#[test]
fn only_the_runtime_touches_the_machine() {
    let files = source::rust();
    let mut breaches = Vec::new();
    for (path, allowed) in NAMES {
        for file in files.iter().filter(|f| !is_runtime(f)) {
            let lines = naming(file, path);
            let exempt = allowed.iter().any(|(name, _)| *name == file.path);
            if exempt && lines.is_empty() {
                breaches.push(file.at(1, format!("needs no exception for {path} any more")));
            }
            if !exempt {
                breaches.extend(lines.iter().map(|n| file.at(*n, path)));
            }
        }
    }
    assert_none("only the runtime touches the machine", &breaches);
}

#[test]
fn only_the_runtime_depends_on_the_ring() {
    let mut breaches = Vec::new();
    for file in source::files(&["Cargo.toml"]) {
        for (n, line) in file.text.lines().enumerate() {
            let names = ["glommio.", "io-uring.", "glommio =", "io-uring ="]
                .iter()
                .any(|name| line.starts_with(name));
            // The root only says which version there is.
            if names && file.path != "Cargo.toml" && file.path != "shards/runtime/Cargo.toml" {
                breaches.push(file.at(n + 1, line));
            }
        }
    }
    assert_none("only the runtime depends on the ring", &breaches);
}

#[test]
fn unsafe_is_where_it_may_be_and_says_why_it_is_sound() {
    let keyword = concat!("un", "safe");
    let mut breaches = Vec::new();
    for file in source::rust() {
        let lines: Vec<&str> = file.text.lines().collect();
        for (n, line) in file.shipped() {
            if !has_word(line, keyword) || line.contains("unsafe_code") {
                continue;
            }
            if !UNSAFE.iter().any(|place| file.path.starts_with(place)) {
                breaches.push(file.at(n, "not here"));
            }
            let reason = lines[n.saturating_sub(6)..n]
                .iter()
                .any(|l| comment(l).contains("SAFETY:"));
            if !reason {
                breaches.push(file.at(n, "says not why it is sound"));
            }
        }
    }
    assert_none(
        "unsafe is where it may be and says why it is sound",
        &breaches,
    );
}

#[test]
fn anyhow_stays_in_main() {
    let mut breaches = Vec::new();
    for file in source::rust() {
        let lines = naming(&file, "anyhow");
        if file.path != "src/main.rs" {
            breaches.extend(lines.iter().map(|n| file.at(*n, "anyhow")));
        }
    }
    assert_none("anyhow stays in main", &breaches);
}

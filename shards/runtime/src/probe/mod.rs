//! What the host must have, looked at before the first shard starts.
//!
//! Owns: the list of what we need of a kernel and of the limits of the process. Asked by: `server` at start.
//! Never: changes a limit, guesses: each problem says in one sentence what is missing and how to get it.
//! Bounds: one small ring for a moment, three files of /proc.
//! Source: io_uring_setup(2), io_uring_register(2) IORING_REGISTER_PROBE, getrlimit(2), proc(5).

pub mod advice;

use io_uring::{IoUring, Probe, opcode};
use std::io;

/// The oldest long-term kernel with all the operations below, and with rings that do not count as locked memory
/// (since 5.12).
const KERNEL_MIN: (u32, u32) = (5, 15);

/// What the executor wants of RLIMIT_MEMLOCK, in bytes: it refuses to start with less.
const MEMLOCK_MIN: u64 = 512 * 1024;

/// Descriptors that a shard needs before it has a single connection: rings, eventfd, listeners, files.
const FILES_PER_SHARD: u64 = 64;

/// CAP_IPC_LOCK's number.
const CAP_IPC_LOCK: u32 = 14;

/// What the host has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostReport {
    pub kernel: String,
    pub cores: usize,
    /// Soft limit in bytes; `u64::MAX` is unlimited.
    pub memlock: u64,
    /// Soft limit; `u64::MAX` is unlimited.
    pub open_files: u64,
}

/// What the host lacks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {fix}")]
pub struct HostProblem {
    pub what: String,
    pub fix: String,
}

fn problem(what: impl Into<String>, fix: impl Into<String>) -> HostProblem {
    HostProblem {
        what: what.into(),
        fix: fix.into(),
    }
}

/// The first problem found, in the order in which an operator would fix them.
pub fn probe(shards: usize) -> Result<HostReport, HostProblem> {
    let release = read("/proc/sys/kernel/osrelease");
    let limits = Limits::parse(&read("/proc/self/limits"), &read("/proc/self/status"));
    check_kernel(&release)?;
    check_limits(&limits, shards)?;
    check_ring(&read("/proc/sys/kernel/io_uring_disabled"))?;
    Ok(HostReport {
        kernel: release.trim().to_string(),
        cores: crate::cores(),
        memlock: limits.memlock,
        open_files: limits.open_files,
    })
}

/// Empty when it cannot be read: then that check has nothing to say.
fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn check_kernel(release: &str) -> Result<(), HostProblem> {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|n| n.parse::<u32>().ok());
    let (Some(Some(major)), Some(Some(minor))) = (numbers.next(), numbers.next()) else {
        return Ok(());
    };
    if (major, minor) < KERNEL_MIN {
        let (want_major, want_minor) = KERNEL_MIN;
        return Err(problem(
            format!("the kernel is {major}.{minor}, without the io_uring that the server needs"),
            format!("run Linux {want_major}.{want_minor} or newer"),
        ));
    }
    Ok(())
}

struct Limits {
    memlock: u64,
    open_files: u64,
    may_lock: bool,
}

impl Limits {
    fn parse(limits: &str, status: &str) -> Limits {
        let soft = |name: &str| {
            let line = limits.lines().find_map(|line| line.strip_prefix(name));
            let first = line.and_then(|rest| rest.split_whitespace().next());
            first.and_then(|n| n.parse().ok()).unwrap_or(u64::MAX)
        };
        let effective = status
            .lines()
            .find_map(|line| line.strip_prefix("CapEff:"))
            .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
        Limits {
            memlock: soft("Max locked memory"),
            open_files: soft("Max open files"),
            may_lock: effective.is_some_and(|caps| caps & (1 << CAP_IPC_LOCK) != 0),
        }
    }
}

fn check_limits(limits: &Limits, shards: usize) -> Result<(), HostProblem> {
    let wanted = MEMLOCK_MIN.saturating_mul(shards as u64);
    // The executor looks at the limit itself, so a capability helps beyond its minimum only.
    if limits.memlock < MEMLOCK_MIN || (limits.memlock < wanted && !limits.may_lock) {
        return Err(problem(
            format!(
                "the locked-memory limit is {} KiB and {shards} shards need {} KiB",
                limits.memlock / 1024,
                wanted / 1024
            ),
            format!(
                "raise it with \"ulimit -l {}\" or LimitMEMLOCK= in the unit",
                wanted / 1024
            ),
        ));
    }
    let files = FILES_PER_SHARD.saturating_mul(shards as u64 + 1);
    if limits.open_files < files {
        return Err(problem(
            format!(
                "the limit of open files is {} and {shards} shards need {files} besides connections",
                limits.open_files
            ),
            "raise it with \"ulimit -n\" or LimitNOFILE= in the unit",
        ));
    }
    Ok(())
}

fn check_ring(disabled: &str) -> Result<(), HostProblem> {
    let ring = match IoUring::new(8) {
        Ok(ring) => ring,
        Err(error) => return Err(ring_refused(&error, disabled)),
    };
    let mut probe = Probe::new();
    if ring.submitter().register_probe(&mut probe).is_err() {
        return Err(problem(
            "the kernel does not say which io_uring operations it has",
            format!("run Linux {}.{} or newer", KERNEL_MIN.0, KERNEL_MIN.1),
        ));
    }
    let missing: Vec<&str> = OPERATIONS
        .iter()
        .filter(|(code, _)| !probe.is_supported(*code))
        .map(|(_, name)| *name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(problem(
        format!("the kernel's io_uring lacks {}", missing.join(", ")),
        format!("run Linux {}.{} or newer", KERNEL_MIN.0, KERNEL_MIN.1),
    ))
}

/// What the executor submits.
const OPERATIONS: &[(u8, &str)] = &[
    (opcode::Read::CODE, "READ"),
    (opcode::Write::CODE, "WRITE"),
    (opcode::ReadFixed::CODE, "READ_FIXED"),
    (opcode::WriteFixed::CODE, "WRITE_FIXED"),
    (opcode::Fsync::CODE, "FSYNC"),
    (opcode::Fallocate::CODE, "FALLOCATE"),
    (opcode::OpenAt::CODE, "OPENAT"),
    (opcode::Close::CODE, "CLOSE"),
    (opcode::Statx::CODE, "STATX"),
    (opcode::PollAdd::CODE, "POLL_ADD"),
    (opcode::Timeout::CODE, "TIMEOUT"),
    (opcode::AsyncCancel::CODE, "ASYNC_CANCEL"),
    (opcode::Connect::CODE, "CONNECT"),
];

fn ring_refused(error: &io::Error, disabled: &str) -> HostProblem {
    match error.raw_os_error() {
        Some(libc::ENOSYS) => problem(
            "the kernel was built without io_uring",
            "run a kernel with CONFIG_IO_URING",
        ),
        Some(libc::EPERM | libc::EACCES) if matches!(disabled.trim(), "1" | "2") => problem(
            "io_uring is switched off on this host",
            "set sysctl kernel.io_uring_disabled=0",
        ),
        Some(libc::EPERM | libc::EACCES) => problem(
            "io_uring is forbidden to this process, as containers' seccomp profiles often do",
            "allow io_uring_setup, io_uring_enter and io_uring_register in the profile",
        ),
        Some(libc::ENOMEM) => problem(
            "the kernel has no locked memory left for a ring",
            "raise LimitMEMLOCK= (ulimit -l) for the user of the server",
        ),
        Some(libc::EMFILE | libc::ENFILE) => problem(
            "there are no file descriptors left",
            "raise LimitNOFILE= (ulimit -n) for the user of the server",
        ),
        _ => problem(
            format!("the kernel refuses a ring: {error}"),
            "see io_uring_setup(2) for the meaning",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "CapEff:\t000001ffffffffff\n";
    const USER: &str = "CapEff:\t0000000000000000\n";

    fn limits(memlock: &str, files: &str, status: &str) -> Limits {
        let text = format!(
            "Limit                     Soft Limit           Hard Limit           Units\n\
             Max open files            {files}                1048576              files\n\
             Max locked memory         {memlock}              8388608              bytes\n"
        );
        Limits::parse(&text, status)
    }

    #[test]
    fn the_host_of_these_tests_will_do() {
        let report = probe(1).unwrap();
        assert!(report.cores >= 1);
        assert!(!report.kernel.is_empty());
    }

    #[test]
    fn an_old_kernel_is_named_with_the_one_wanted() {
        let old = check_kernel("5.4.0-150-generic\n").unwrap_err().to_string();
        assert_eq!(
            old,
            "the kernel is 5.4, without the io_uring that the server needs; run Linux 5.15 or newer"
        );
        for fine in ["5.15.0", "6.18.44-x", "10.0", "", "odd"] {
            assert!(check_kernel(fine).is_ok(), "{fine}");
        }
    }

    #[test]
    fn locked_memory_is_checked_at_the_limit_and_one_below() {
        assert!(check_limits(&limits("1048576", "1024", USER), 2).is_ok());
        let short = check_limits(&limits("1048575", "1024", USER), 2).unwrap_err();
        assert_eq!(
            short.to_string(),
            "the locked-memory limit is 1023 KiB and 2 shards need 1024 KiB; \
             raise it with \"ulimit -l 1024\" or LimitMEMLOCK= in the unit"
        );
        assert!(check_limits(&limits("1048575", "1024", ROOT), 2).is_ok());
        assert!(check_limits(&limits("524287", "1024", ROOT), 1).is_err());
        assert!(check_limits(&limits("unlimited", "unlimited", USER), 64).is_ok());
    }

    #[test]
    fn open_files_are_checked_at_the_limit_and_one_below() {
        assert!(check_limits(&limits("unlimited", "192", USER), 2).is_ok());
        let short = check_limits(&limits("unlimited", "191", USER), 2).unwrap_err();
        assert!(short.what.contains("191"), "{short}");
        assert!(short.fix.contains("LimitNOFILE"), "{short}");
    }

    #[test]
    fn each_refusal_of_a_ring_says_what_to_do() {
        let says = |errno, disabled: &str| {
            ring_refused(&io::Error::from_raw_os_error(errno), disabled).fix
        };
        assert!(says(libc::EPERM, "2\n").contains("kernel.io_uring_disabled=0"));
        assert!(says(libc::EPERM, "0\n").contains("profile"));
        assert!(says(libc::ENOSYS, "").contains("CONFIG_IO_URING"));
        assert!(says(libc::ENOMEM, "").contains("LimitMEMLOCK"));
        assert!(says(libc::EMFILE, "").contains("LimitNOFILE"));
        assert!(says(libc::EIO, "").contains("io_uring_setup(2)"));
    }
}

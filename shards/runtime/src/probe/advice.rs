//! What of the host could be better for the server: what `doctor` prints.
//!
//! Owns: the list of what is looked at, and for each what is there, what is wanted and how to get it. Asked by: `server`.
//! Never: changes anything but for one file of `data_dir` that is gone again before it returns; tells of what it could not
//! look at. Bounds: one ring for a moment, small files of /proc and /sys.
//! Source: proc(5), cgroups(7), "CPU performance scaling" and "timekeeping" of the kernel's documentation, listen(2).

use super::{FILES_PER_SHARD, HostProblem, Limits, check_kernel, check_limits, check_ring, read};
use crate::buffers;
use crate::ring::Ring;
use std::path::Path;

/// Connections that the kernel may keep for a shard that has not accepted them yet.
const BACKLOG: u64 = 1_024;

/// What was found about one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub subject: &'static str,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Fine {
        what: String,
    },
    /// It works, and could work better.
    Advice {
        what: String,
        fix: String,
    },
    /// The server does not start so.
    Problem {
        what: String,
        fix: String,
    },
}

fn fine(what: impl Into<String>) -> Outcome {
    Outcome::Fine { what: what.into() }
}

fn advice(what: impl Into<String>, fix: impl Into<String>) -> Outcome {
    Outcome::Advice {
        what: what.into(),
        fix: fix.into(),
    }
}

/// Nothing is known, and so nothing said, about what the host does not tell.
pub fn examine(shards: usize, connections: usize, data_dir: &Path) -> Vec<Finding> {
    let limits = Limits::parse(&read("/proc/self/limits"), &read("/proc/self/status"));
    let release = read("/proc/sys/kernel/osrelease");
    let required = |checked: Result<(), HostProblem>, what: String| match checked {
        Ok(()) => fine(what),
        Err(HostProblem { what, fix }) => Outcome::Problem { what, fix },
    };
    let disabled = read("/proc/sys/kernel/io_uring_disabled");
    let found = vec![
        (
            "kernel",
            Some(required(
                check_kernel(&release),
                format!("Linux {}", release.trim()),
            )),
        ),
        (
            "io_uring",
            Some(required(
                check_ring(&disabled),
                "every operation there is need of".into(),
            )),
        ),
        (
            "limits",
            Some(required(
                check_limits(&limits, shards),
                format!("enough for {shards} shards"),
            )),
        ),
        ("network ring", Some(network())),
        (
            "open files",
            open_files(limits.open_files, shards, connections),
        ),
        ("cores", cores(shards, crate::cores())),
        ("cpu quota", quota(&read("/sys/fs/cgroup/cpu.max"), shards)),
        ("backlog", backlog(&read("/proc/sys/net/core/somaxconn"))),
        (
            "clock",
            clock(&read(
                "/sys/devices/system/clocksource/clocksource0/current_clocksource",
            )),
        ),
        (
            "cpu frequency",
            governor(&read(
                "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
            )),
        ),
        ("swap", swap(&read("/proc/swaps"))),
        ("data directory", direct(data_dir)),
    ];
    found
        .into_iter()
        .filter_map(|(subject, outcome)| {
            Some(Finding {
                subject,
                outcome: outcome?,
            })
        })
        .collect()
}

/// As a shard will do it.
fn network() -> Outcome {
    match Ring::new(buffers::current()) {
        Ok(_) => fine("the kernel accepts and receives by itself"),
        Err(missing) => advice(
            format!("sockets wait for readiness: {missing}"),
            "run Linux 6.1 or newer, which receives into lent buffers by itself",
        ),
    }
}

fn open_files(limit: u64, shards: usize, connections: usize) -> Option<Outcome> {
    let own = FILES_PER_SHARD.saturating_mul(shards as u64 + 1);
    let wanted = own.saturating_add(connections as u64);
    Some(match limit {
        u64::MAX => fine("no limit"),
        limit if limit >= wanted => fine(format!("{limit}, and {wanted} are enough")),
        limit => advice(
            format!("{limit}, and {connections} connections would need {wanted}"),
            format!(
                "ulimit -n {wanted}, LimitNOFILE={wanted} in the unit, or a lower connections_max"
            ),
        ),
    })
}

fn cores(shards: usize, cores: usize) -> Option<Outcome> {
    Some(match shards <= cores {
        true => fine(format!("{shards} shards on {cores} cores")),
        false => advice(
            format!("{shards} shards share {cores} cores, so that none has one of its own"),
            format!("--cores {cores}"),
        ),
    })
}

/// `max 100000` or `150000 100000`.
fn quota(text: &str, shards: usize) -> Option<Outcome> {
    let mut words = text.split_whitespace();
    let (quota, period) = (words.next()?, words.next()?.parse::<u64>().ok()?);
    let Ok(quota) = quota.parse::<u64>() else {
        return Some(fine("none"));
    };
    let wanted = period.saturating_mul(shards as u64);
    Some(match quota >= wanted {
        true => fine(format!("{quota} of {period} us")),
        false => advice(
            format!(
                "{quota} of {period} us for {shards} shards: all of them stop when it is used up"
            ),
            format!(
                "give the group {wanted} of {period} us (a whole core a shard), or start fewer shards"
            ),
        ),
    })
}

fn backlog(text: &str) -> Option<Outcome> {
    let most: u64 = text.trim().parse().ok()?;
    Some(match most >= BACKLOG {
        true => fine(format!("{most} connections may wait to be accepted")),
        false => advice(
            format!(
                "{most} connections may wait to be accepted, and the server asks for {BACKLOG}"
            ),
            format!("sysctl net.core.somaxconn={BACKLOG}"),
        ),
    })
}

/// Those that are read without a system call.
const QUICK_CLOCKS: [&str; 4] = [
    "tsc",
    "kvm-clock",
    "arch_sys_counter",
    "hyperv_clocksource_tsc_page",
];

fn clock(text: &str) -> Option<Outcome> {
    let name = text.trim();
    match name {
        "" => None,
        name if QUICK_CLOCKS.contains(&name) => Some(fine(name)),
        name => Some(advice(
            format!("{name}, which each look at the time asks the kernel for"),
            "boot with clocksource=tsc if the machine's is stable",
        )),
    }
}

fn governor(text: &str) -> Option<Outcome> {
    match text.trim() {
        "" => None,
        "performance" => Some(fine("performance")),
        other => Some(advice(
            format!("the governor is {other}: a core that has rested is slow at first"),
            "cpupower frequency-set -g performance",
        )),
    }
}

/// A heading, then a line for each device.
fn swap(text: &str) -> Option<Outcome> {
    let mut lines = text.lines();
    lines.next()?;
    Some(match lines.count() {
        0 => fine("none"),
        n => advice(
            format!(
                "{n} devices: a page of a pool that is swapped out stops its shard when it is touched"
            ),
            "MemorySwapMax=0 in the unit, or swapoff",
        ),
    })
}

/// Writes a page past the kernel's cache, as every file of the server is written.
fn direct(data_dir: &Path) -> Option<Outcome> {
    use std::os::unix::fs::OpenOptionsExt;
    // The directory may have to be made yet: then where it will be is asked.
    let there = data_dir.ancestors().find(|d| d.is_dir())?;
    let path = there.join(format!(".rustydb-doctor-{}", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .custom_flags(libc::O_DIRECT);
    let opened = options.open(&path);
    let _ = std::fs::remove_file(&path);
    Some(match opened {
        Ok(_) => fine(format!("{} takes direct writes", there.display())),
        Err(error) => match error.raw_os_error() {
            Some(libc::EINVAL | libc::EOPNOTSUPP) => Outcome::Problem {
                what: format!(
                    "the file system of {} takes no direct writes",
                    there.display()
                ),
                fix: "put it on ext4 or xfs".into(),
            },
            _ => Outcome::Problem {
                what: format!("{} cannot be written: {error}", there.display()),
                fix: "give its directory to the user of the server".into(),
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_fine(outcome: Option<Outcome>) -> bool {
        matches!(outcome, Some(Outcome::Fine { .. }))
    }

    #[test]
    fn this_host_is_told_of_and_left_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let found = examine(1, 100, &dir.path().join("data"));
        assert!(found.iter().any(|f| f.subject == "kernel"));
        assert!(found.iter().any(|f| f.subject == "data directory"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn limits_are_told_at_the_limit_and_one_below() {
        assert!(is_fine(open_files(128 + 10, 1, 10)));
        assert!(!is_fine(open_files(128 + 9, 1, 10)));
        assert!(is_fine(cores(2, 2)) && !is_fine(cores(3, 2)));
        assert!(is_fine(quota("200000 100000\n", 2)) && !is_fine(quota("199999 100000\n", 2)));
        assert!(is_fine(quota("max 100000\n", 64)));
        assert!(is_fine(backlog("1024\n")) && !is_fine(backlog("1023\n")));
    }

    #[test]
    fn what_the_host_does_not_tell_is_not_told() {
        assert_eq!(quota("", 2), None);
        assert_eq!(backlog(""), None);
        assert_eq!(clock(""), None);
        assert_eq!(governor(""), None);
        assert_eq!(swap(""), None);
        assert!(is_fine(swap("Filename Type\n")));
        assert!(!is_fine(swap("Filename Type\n/dev/sda2 partition\n")));
        assert!(is_fine(clock("tsc\n")) && !is_fine(clock("hpet\n")));
        assert!(is_fine(governor("performance\n")) && !is_fine(governor("powersave\n")));
    }
}

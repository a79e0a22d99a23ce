//! What a server's processes have used: processor time and memory, of them and of the processes they started.
//!
//! Bounds: what the kernel's files say. Processor time is in hundredths of a second, which is what Linux tells user programs in,
//! whatever its own tick is. Memory is the proportional share of a page (`Pss`) where the kernel tells it, so that what
//! PostgreSQL's processes share is counted once, else the resident set.
//! Source: proc(5).

use std::fs;
use std::time::Duration;

const TICK: Duration = Duration::from_millis(10);

/// Fields of /proc/PID/stat after the name, which may hold anything: state is the first of them.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after) = text.rsplit_once(')')?;
    Some(after.split_whitespace().map(String::from).collect())
}

/// With all that descend from them.
pub fn family(pids: &[u32]) -> Vec<u32> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else {
            continue;
        };
        let parent = stat(pid).and_then(|fields| fields.get(1)?.parse::<u32>().ok());
        parents.extend(parent.map(|parent| (pid, parent)));
    }
    let mut found = pids.to_vec();
    let mut at = 0;
    while let Some(of) = found.get(at).copied() {
        let children = parents.iter().filter(|(_, parent)| *parent == of);
        let new = children.map(|(pid, _)| *pid).filter(|p| !pids.contains(p));
        found.extend(new.collect::<Vec<u32>>());
        at += 1;
    }
    found
}

/// Of the processes and their descendants, those that ended in between too: they are in their parent's account.
pub fn cpu(pids: &[u32]) -> Duration {
    let ticks = |pid| {
        let fields = stat(pid)?;
        // utime, stime, cutime, cstime.
        let four = fields.get(11..15)?.iter().map(|f| f.parse::<u32>());
        Some(four.map(Result::unwrap_or_default).sum::<u32>())
    };
    TICK * family(pids).into_iter().filter_map(ticks).sum::<u32>()
}

/// In KiB.
pub fn memory_kib(pids: &[u32]) -> u64 {
    family(pids)
        .into_iter()
        .map(|pid| {
            let field = |file: &str, name: &str| {
                let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
                let line = text.lines().find(|line| line.starts_with(name))?;
                line.split_whitespace().nth(1)?.parse::<u64>().ok()
            };
            field("smaps_rollup", "Pss:").or_else(|| field("status", "VmRSS:"))
        })
        .map(Option::unwrap_or_default)
        .sum()
}

/// A thread that sleeps until a moment wakes closer to it; the threads that it starts too. Where it is not allowed, later.
pub fn wake_on_time() {
    let _ = fs::write("/proc/self/timerslack_ns", "1");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_uses_is_seen() {
        let me = std::process::id();
        let before = cpu(&[me]);
        let mut n = 0u64;
        while cpu(&[me]) < before + TICK * 3 {
            n = std::hint::black_box(n + 1);
        }
        assert!(memory_kib(&[me]) > 100);
        assert!(family(&[1]).contains(&1));
    }

    #[test]
    fn children_belong_to_the_family() {
        let mut child = std::process::Command::new("sleep")
            .arg("20")
            .spawn()
            .expect("sleep");
        let family = family(&[std::process::id()]);
        let found = family.contains(&child.id());
        child.kill().expect("a child of ours");
        child.wait().expect("its end");
        assert!(found);
    }
}

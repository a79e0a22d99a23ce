//! What the machine offers, for the settings whose default depends on it.
//!
//! Owns: `Host`. Asked by: `Layers::resolve`; tests make their own. Never: fails (an unreadable fact has a safe default).
//! Source: proc(5) `/proc/meminfo`; cgroups(7) `memory.max`.

/// Memory is taken as this when the system does not say.
const MEMORY_BYTES_UNKNOWN: u64 = 1 << 30;

#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// Cores that this process may use.
    pub cores: usize,
    /// The machine's memory, or less where a control group allows less.
    pub memory_bytes: u64,
}

impl Host {
    pub fn detect() -> Host {
        let total = std::fs::read_to_string("/proc/meminfo")
            .ok()
            .and_then(|text| mem_total(&text));
        let allowed = std::fs::read_to_string("/sys/fs/cgroup/memory.max")
            .ok()
            .and_then(|text| text.trim().parse::<u64>().ok());
        let memory_bytes = match (total, allowed) {
            (Some(total), Some(allowed)) => total.min(allowed),
            (Some(total), None) => total,
            (None, Some(allowed)) => allowed,
            (None, None) => MEMORY_BYTES_UNKNOWN,
        };
        Host {
            cores: runtime::cores().max(1),
            memory_bytes,
        }
    }
}

/// The `MemTotal` line, which is in units of 1024 bytes.
fn mem_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find(|l| l.starts_with("MemTotal:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_meminfo_and_never_guessed_from_garbage() {
        assert_eq!(
            mem_total("MemTotal:       1024 kB\nMemFree: 3 kB\n"),
            Some(1 << 20)
        );
        assert_eq!(mem_total("MemTotal: x kB"), None);
        assert_eq!(mem_total(""), None);
    }
}

//! What memory the process takes and the machine has, as Linux tells it; elsewhere nothing is said.

/// Bytes of this process that are in memory now.
pub fn resident() -> Option<u64> {
    bytes("/proc/self/status", "VmRSS:")
}

/// The most bytes of this process that were in memory at once.
pub fn peak() -> Option<u64> {
    bytes("/proc/self/status", "VmHWM:")
}

/// Bytes that new work can have without swapping.
pub fn available() -> Option<u64> {
    bytes("/proc/meminfo", "MemAvailable:")
}

/// Bytes of the machine.
pub fn total() -> Option<u64> {
    bytes("/proc/meminfo", "MemTotal:")
}

/// The most that a container may have, where one limits it.
pub fn limit() -> Option<u64> {
    std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok()?.trim().parse().ok()
}

/// The kibibytes after `key` in a file of `/proc`, in bytes.
fn bytes(path: &str, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix(key))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kibibytes| kibibytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_system_tells_what_is_taken_and_what_is_free() {
        let (resident, peak) = (resident().unwrap(), peak().unwrap());
        assert!(resident > 0 && resident <= peak, "{resident} of {peak}");
        assert!(available().unwrap() <= total().unwrap());
        assert!(peak < total().unwrap());
        assert_eq!(bytes("/proc/meminfo", "NoSuchKey:"), None);
        assert_eq!(bytes("/proc/nowhere", "VmRSS:"), None);
    }
}

//! Whether another run fits in memory beside those that are running.

use std::time::Duration;

/// How long to wait before asking again.
pub const PAUSE: Duration = Duration::from_millis(250);

/// Whether one more run would fit, judged by what each of `running` takes now, with as much again
/// for what it will take later. Where the system does not tell (it is not Linux), it is let in.
pub fn fits_another(running: usize) -> bool {
    let resident = kibibytes("/proc/self/status", "VmHWM:");
    let available = kibibytes("/proc/meminfo", "MemAvailable:");
    match (resident, available) {
        (Some(resident), Some(available)) => available >= 2 * resident / running.max(1) as u64,
        _ => true,
    }
}

/// The number after `key` in a file of `/proc`.
fn kibibytes(path: &str, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_system_tells_what_is_taken_and_what_is_free() {
        assert!(kibibytes("/proc/self/status", "VmHWM:").is_some_and(|k| k > 0));
        assert!(kibibytes("/proc/meminfo", "MemAvailable:").is_some_and(|k| k > 0));
        assert_eq!(kibibytes("/proc/meminfo", "NoSuchKey:"), None);
    }
}

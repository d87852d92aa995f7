//! Whether another run fits in memory beside those that are running.

use crate::memory::{available, peak};
use std::time::Duration;

/// How long to wait before asking again.
pub const PAUSE: Duration = Duration::from_millis(250);

/// Whether one more run would fit, judged by what each of `running` takes now, with as much again
/// for what it will take later. Where the system does not tell (it is not Linux), it is let in.
pub fn fits_another(running: usize) -> bool {
    match (peak(), available()) {
        (Some(taken), Some(available)) => available >= 2 * taken / running.max(1) as u64,
        _ => true,
    }
}

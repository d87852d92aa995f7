//! The levels of a step, one after another or side by side.

use candle_core::Device;
use rayon::prelude::*;

/// What `levels` give, in their order.
///
/// On the CPU they run side by side: while the loss of one is made, which takes one thread, and while
/// the last thread finishes its part of a flow, other threads have another level to work on. Every
/// level's numbers are its own, so that none depends on which runs when. A device has a queue that
/// is filled from one thread, one after another; the next of `levels` is asked for after that.
///
/// # Errors
/// Of a level, the first that is met; on the CPU others may have made their step.
pub fn side_by_side<T: Send, E: Send>(
    device: &Device,
    levels: impl Iterator<Item = Result<impl FnOnce() -> Result<T, E> + Send, E>>,
) -> Result<Vec<T>, E> {
    if !device.is_cpu() {
        return levels.map(|level| level?()).collect();
    }
    let levels = levels.collect::<Result<Vec<_>, E>>()?;
    // Else two of three may stay with one thread.
    levels.into_par_iter().with_max_len(1).map(|level| level()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    fn with_two_threads<T: Send>(run: impl FnOnce() -> T + Send) -> T {
        rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("two threads").install(run)
    }

    #[test]
    fn levels_run_beside_each_other_and_keep_their_order() {
        let ((ask, asked), (answer, answered)) = (channel(), channel());
        type Level = Box<dyn FnOnce() -> Result<u32, String> + Send>;
        let first: Level = Box::new(move || {
            ask.send(7).map_err(|e| e.to_string())?;
            answered.recv_timeout(Duration::from_secs(60)).map_err(|e| e.to_string())
        });
        let second: Level = Box::new(move || {
            let number = asked.recv_timeout(Duration::from_secs(60)).map_err(|e| e.to_string())?;
            answer.send(number + 1).map_err(|e| e.to_string())?;
            Ok(number)
        });
        let levels = [first, second].into_iter().map(Ok);
        let made = with_two_threads(|| side_by_side(&Device::Cpu, levels));
        assert_eq!(made, Ok(vec![8, 7]));
    }

    #[test]
    fn what_a_level_cannot_do_is_said() {
        let levels = (0..3).map(|level| Ok(move || if level == 1 { Err("no") } else { Ok(level) }));
        assert_eq!(with_two_threads(|| side_by_side(&Device::Cpu, levels)), Err("no"));
        let levels =
            (0..3).map(|level| if level == 2 { Err("none") } else { Ok(move || Ok(level)) });
        assert_eq!(side_by_side(&Device::Cpu, levels), Err("none"));
    }
}

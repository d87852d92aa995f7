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
/// Of a level.
pub fn side_by_side<T: Send, E: Send>(
    device: &Device,
    levels: impl Iterator<Item = Result<impl FnOnce() -> Result<T, E> + Send, E>>,
) -> Result<Vec<T>, E> {
    if !device.is_cpu() {
        return levels.map(|level| level?()).collect();
    }
    let levels = levels.collect::<Result<Vec<_>, E>>()?;
    levels.into_par_iter().with_max_len(1).map(|level| level()).collect()
}

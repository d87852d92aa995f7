//! How many threads the process computes with.

/// The environment variable that candle's own pool is sized by.
const CANDLE: &str = "CANDLE_NUM_THREADS";

/// Holds rayon's pool, which all kernels share, and candle's to `threads`; candle's not where the user sized it.
/// For the start of the program: a pool that is running keeps its size.
pub(crate) fn limit(threads: usize) {
    if threads > 0 && std::env::var_os(CANDLE).is_none() {
        // Candle's threads wait for each other in busy loops: more of them than asked for would cost a third
        // of the time where others compute beside.
        // SAFETY: called once, first thing in the program, which has one thread yet.
        unsafe { std::env::set_var(CANDLE, threads.to_string()) };
    }
    // Fails only where a pool is already running, and none is yet.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
}

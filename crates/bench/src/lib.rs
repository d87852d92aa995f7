//! Timed cases on synthetic input: what `hgad bench` measures.
//!
//! A case has a name like `flow/D200_N8192/forward`, whose beginning is its part ([`PARTS`]); its
//! figure is the median of several runs after a warm-up. Sizes are those of the PyTorch side of
//! the race (`race/peer.py`), so that a name means the same work on both.
//!
//! Invariants: nothing is downloaded; every input is drawn from a seed; what is made ready for a
//! case is not part of its time.

mod case;
mod clock;
mod error;
mod parts;

pub use case::{Case, Setup};
pub use clock::Clock;
pub use error::BenchError;
pub use parts::{PARTS, Part, run};

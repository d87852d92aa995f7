//! How long training still takes.

use hgad_experiment::PassPlace;
use std::time::Instant;

/// Measures from the first pass that this process trains, evaluations between passes included.
#[derive(Default)]
pub struct Clock {
    /// Since when, and how many passes were done before.
    begun: Option<(Instant, usize)>,
    place: Option<PassPlace>,
}

impl Clock {
    /// A pass begins. One that is not after the last is of another run, measured anew.
    pub fn begin(&mut self, place: PassPlace) {
        if self.begun.is_none() || self.place.is_some_and(|p| p.pass >= place.pass) {
            self.begun = Some((Instant::now(), place.pass - 1));
        }
        self.place = Some(place);
    }

    /// Seconds left after `images` of the pass that was begun.
    pub fn left_after(&self, images: u64) -> Option<f64> {
        let place = self.place?;
        let part = images as f64 / place.images.max(1) as f64;
        self.estimate((place.pass - 1) as f64 + part, place.passes)
    }

    /// Seconds left after `pass` of `passes`.
    pub fn left(&self, pass: usize, passes: usize) -> Option<f64> {
        self.estimate(pass as f64, passes)
    }

    fn estimate(&self, done: f64, passes: usize) -> Option<f64> {
        let (begun, before) = self.begun?;
        extrapolate(begun.elapsed().as_secs_f64(), done - before as f64, passes as f64 - done)
    }
}

/// The seconds that `left` passes take where `done` took `seconds`.
fn extrapolate(seconds: f64, done: f64, left: f64) -> Option<f64> {
    (done > 0.0).then(|| seconds / done * left)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(pass: usize) -> PassPlace {
        PassPlace { epoch: 1, epochs: 2, pass, passes: 8, images: 40 }
    }

    #[test]
    fn passes_take_what_they_took() {
        assert_eq!(extrapolate(10.0, 2.0, 6.0), Some(30.0));
        assert_eq!(extrapolate(10.0, 0.5, 3.5), Some(70.0));
        assert_eq!(extrapolate(10.0, 0.0, 8.0), None);
    }

    #[test]
    fn a_run_that_goes_on_counts_its_own_passes_alone() {
        let mut clock = Clock::default();
        assert_eq!(clock.left_after(8), None);
        clock.begin(place(5));
        assert_eq!(clock.begun.unwrap().1, 4);
        clock.begin(place(6));
        assert_eq!(clock.begun.unwrap().1, 4);
        assert!(clock.left_after(20).is_some());
        assert_eq!(clock.left(8, 8), Some(0.0));
        clock.begin(place(1));
        assert_eq!(clock.begun.unwrap().1, 0);
    }
}

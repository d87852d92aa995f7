//! The median time of several runs.

use std::time::Instant;

/// How often a case is run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clock {
    /// Runs go on for that long after the warm-up.
    pub seconds: f64,
    /// But are at least so many.
    pub least: usize,
    /// And at most so many.
    pub most: usize,
}

impl Default for Clock {
    fn default() -> Self {
        Self { seconds: 2.0, least: 5, most: 200 }
    }
}

impl Clock {
    /// Median seconds of `run`, after one run that does not count.
    ///
    /// # Errors
    /// The first that `run` gives.
    pub fn median<E>(&self, mut run: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
        run()?;
        let begin = Instant::now();
        let mut times = Vec::new();
        while times.len() < self.least.max(1)
            || (times.len() < self.most && begin.elapsed().as_secs_f64() < self.seconds)
        {
            let start = Instant::now();
            run()?;
            times.push(start.elapsed().as_secs_f64());
        }
        times.sort_by(f64::total_cmp);
        let middle = times.len() / 2;
        Ok(if times.len() % 2 == 1 {
            times[middle]
        } else {
            (times[middle - 1] + times[middle]) / 2.0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_bounded_both_ways() {
        let count = |seconds, least, most| {
            let mut runs = 0;
            let clock = Clock { seconds, least, most };
            let counted = || {
                runs += 1;
                Ok::<_, ()>(())
            };
            clock.median(counted).unwrap();
            runs
        };
        assert_eq!(count(0.0, 3, 9), 4);
        assert_eq!(count(1e9, 3, 9), 10);
    }

    #[test]
    fn an_error_ends_it() {
        assert_eq!(Clock::default().median(|| Err("no")), Err("no"));
    }
}

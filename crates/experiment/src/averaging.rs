//! An exponential moving average of parameters.

use candle_core::{Tensor, Var};

/// The average of the parameters of one level over the steps of training (Polyak and Juditsky, SIAM J. Control
/// Optim. 1992, in the exponential form that is usual since).
pub struct Average {
    decay: f64,
    steps: u64,
    slots: Vec<Slot>,
}

struct Slot {
    name: String,
    var: Var,
    mean: Tensor,
}

impl Average {
    /// Of `vars` as they are, each step keeping `decay` of what was before.
    ///
    /// # Errors
    /// From candle.
    pub fn new(decay: f64, vars: Vec<(String, Var)>) -> candle_core::Result<Self> {
        let slot = |(name, var): (String, Var)| {
            let mean = var.as_detached_tensor().copy()?;
            Ok(Slot { name, var, mean })
        };
        let slots = vars.into_iter().map(slot).collect::<candle_core::Result<_>>()?;
        Ok(Self { decay, steps: 0, slots })
    }

    /// Counts the parameters in, after a step. The first steps keep less, `(1 + n) / (10 + n)` after `n` of
    /// them, and the very first nothing: an average is not to remember where training began.
    ///
    /// # Errors
    /// From candle.
    pub fn add(&mut self) -> candle_core::Result<()> {
        let n = self.steps as f64;
        let keep = if self.steps == 0 { 0.0 } else { self.decay.min((1.0 + n) / (10.0 + n)) };
        for slot in &mut self.slots {
            let now = slot.var.as_detached_tensor().affine(1.0 - keep, 0.0)?;
            slot.mean = slot.mean.affine(keep, 0.0)?.add(&now)?;
        }
        self.steps += 1;
        Ok(())
    }

    /// Puts the averages in the parameters' place, and the parameters in theirs: once to evaluate, again to go on.
    ///
    /// # Errors
    /// From candle.
    pub fn exchange(&mut self) -> candle_core::Result<()> {
        for slot in &mut self.slots {
            let now = slot.var.as_detached_tensor().copy()?;
            slot.var.set(&slot.mean)?;
            slot.mean = now;
        }
        Ok(())
    }

    /// Steps counted in, for a checkpoint.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Name and average of every parameter, for a checkpoint.
    pub fn state(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.slots.iter().map(|s| (s.name.as_str(), &s.mean))
    }

    /// Takes steps and averages from a checkpoint, by name and shape.
    ///
    /// # Errors
    /// The name of a parameter that `find` does not know in that shape.
    pub fn restore(
        &mut self,
        steps: u64,
        find: impl Fn(&str) -> Option<Tensor>,
    ) -> Result<(), String> {
        for slot in &mut self.slots {
            let found = find(&slot.name).filter(|t| t.dims() == slot.mean.dims());
            let there = |t: Tensor| t.to_device(slot.mean.device())?.to_dtype(slot.mean.dtype());
            slot.mean = found.and_then(|t| there(t).ok()).ok_or_else(|| slot.name.clone())?;
        }
        self.steps = steps;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn it_follows_the_steps_and_changes_places_with_them() {
        let var = Var::new(&[5f32, -5.0], &Device::Cpu).unwrap();
        let mut average = Average::new(0.15, vec![("w".into(), var.clone())]).unwrap();
        let values = |t: &Tensor| t.to_vec1::<f32>().unwrap();
        let mut expected = [0f64; 2];
        for (step, value) in [[1f32, 2.0], [4.0, 8.0], [-2.0, 0.0]].iter().enumerate() {
            var.set(&Tensor::new(value, &Device::Cpu).unwrap()).unwrap();
            average.add().unwrap();
            // 2/11 and 3/12 are above the decay asked for.
            let keep = if step == 0 { 0.0 } else { 0.15 };
            for (e, v) in expected.iter_mut().zip(value) {
                *e = keep * *e + (1.0 - keep) * f64::from(*v);
            }
        }
        let near = |t: &Tensor| {
            values(t).iter().zip(expected).all(|(v, e)| (f64::from(*v) - e).abs() < 1e-6)
        };
        assert!(near(average.state().next().unwrap().1), "{expected:?}");
        average.exchange().unwrap();
        assert!(near(var.as_tensor()));
        average.exchange().unwrap();
        assert_eq!(values(var.as_tensor()), [-2.0, 0.0]);
        assert!(near(average.state().next().unwrap().1));

        // As restored, it goes on the same.
        let copy = Var::new(&[-2f32, 0.0], &Device::Cpu).unwrap();
        let mut restored = Average::new(0.15, vec![("w".into(), copy)]).unwrap();
        let saved = average.state().next().unwrap().1.clone();
        restored.restore(average.steps(), |n| (n == "w").then(|| saved.clone())).unwrap();
        for a in [&mut average, &mut restored] {
            a.add().unwrap();
        }
        let of = |a: &Average| values(a.state().next().unwrap().1);
        assert_eq!(of(&average), of(&restored));
        assert_eq!(restored.restore(1, |_| None).unwrap_err(), "w");
    }

    #[test]
    fn the_first_steps_are_kept_less() {
        let var = Var::new(0f32, &Device::Cpu).unwrap();
        let mut average = Average::new(0.999, vec![("w".into(), var.clone())]).unwrap();
        average.add().unwrap();
        var.set(&Tensor::new(11f32, &Device::Cpu).unwrap()).unwrap();
        average.add().unwrap();
        let mean: f32 = average.state().next().unwrap().1.to_scalar().unwrap();
        assert!((mean - 9.0).abs() < 1e-5, "2/11 of 0 and 9/11 of 11: {mean}");
    }
}

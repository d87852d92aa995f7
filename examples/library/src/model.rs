//! A flow and a prior: a density.

use candle_core::{DType, Device, Tensor};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use hgad_flows::{Bijection, CouplingConfig, coupling_chain};
use hgad_parameters::Parameters;
use hgad_priors::{Prior, PriorConfig};
use std::error::Error;
use std::f32::consts::TAU;

/// Points in a batch.
const BATCH: usize = 512;

/// A density of the plane.
pub struct Density {
    flow: Box<dyn Bijection>,
    prior: Box<dyn Prior>,
    parameters: [Parameters; 2],
}

impl Density {
    /// Eight coupling blocks under the prior of that name, with `groups` centres where it has any.
    pub fn new(prior: &str, groups: usize, seed: u64) -> Result<Self, Box<dyn Error>> {
        let parameters = [0, 1].map(|i| Parameters::new(seed + i, DType::F32, &Device::Cpu));
        let config = CouplingConfig { condition: 0, hidden_factor: 64, ..Default::default() };
        let flow = coupling_chain(&parameters[0], 2, 8, &config)?;
        let config =
            PriorConfig { kind: prior.into(), classes: groups, dim: 2, ..Default::default() };
        let prior = hgad_priors::build(&parameters[1], &config)?;
        Ok(Self { flow: Box::new(flow), prior, parameters })
    }

    /// Latents of `points`, and `ln p(x) = ln p(z) + ln |det dz/dx|` of each, both (N).
    fn of(&self, points: &[[f32; 2]]) -> Result<(Tensor, Tensor), Box<dyn Error>> {
        let x = Tensor::from_slice(points.as_flattened(), (points.len(), 2), &Device::Cpu)?;
        let (z, log_det) = self.flow.forward(&x, None)?;
        let z = z.unsqueeze(0)?;
        let logits = self.prior.class_logits(&z)?;
        let log_density = self.prior.log_density(&z, logits.as_ref())?.squeeze(0)?;
        // Priors leave out their constant, -D/2 ln 2 pi.
        let log_p = ((log_density + log_det)? - TAU.ln() as f64)?;
        Ok((z.squeeze(0)?, log_p))
    }

    /// Trains for `steps` steps on batches of `points`, with a rate that falls to 0.
    pub fn train(&self, points: &[[f32; 2]], steps: usize) -> Result<(), Box<dyn Error>> {
        let vars = self.parameters.iter().flat_map(|p| p.trainable_vars()).map(|(_, v)| v);
        let params = ParamsAdamW { lr: 0.0, weight_decay: 0.0, ..Default::default() };
        let mut adam = AdamW::new(vars.collect(), params)?;
        let batches = points.chunks_exact(BATCH).cycle();
        for (step, batch) in batches.take(steps).enumerate() {
            adam.set_learning_rate(2e-3 * (1.0 - step as f64 / steps as f64));
            adam.backward_step(&self.of(batch)?.1.mean_all()?.neg()?)?;
        }
        self.parameters.iter().for_each(|p| p.track(false));
        Ok(())
    }

    /// `ln p(x)` of each point, in nats.
    pub fn log_p(&self, points: &[[f32; 2]]) -> Result<Vec<f32>, Box<dyn Error>> {
        Ok(self.of(points)?.1.to_vec1()?)
    }

    /// Where each point is mapped to.
    pub fn latents(&self, points: &[[f32; 2]]) -> Result<Vec<[f32; 2]>, Box<dyn Error>> {
        let flat = self.of(points)?.0.flatten_all()?.to_vec1::<f32>()?;
        Ok(flat.chunks_exact(2).map(|p| [p[0], p[1]]).collect())
    }

    /// The prior's main centres; the origin where it has none.
    pub fn centers(&self) -> Result<Vec<[f32; 2]>, Box<dyn Error>> {
        let state = self.parameters[1].state();
        let Some((_, mu)) = state.into_iter().find(|(name, _)| name == "mu") else {
            return Ok(vec![[0.0; 2]]);
        };
        let flat = mu.flatten_all()?.to_vec1::<f32>()?;
        Ok(flat.chunks_exact(2).map(|p| [p[0], p[1]]).collect())
    }
}

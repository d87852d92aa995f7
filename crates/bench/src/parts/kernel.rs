//! `kernel/gemm_2048`: the matrix product that everything dense stands on, against which floors
//! are reckoned.

use crate::case::Plan;
use crate::error::BenchError;
use candle_core::{Device, Tensor};
use hgad_parameters::seeded;

const SIDE: usize = 2048;

pub(crate) fn plans() -> Vec<Plan> {
    vec![Plan::new("kernel/gemm_2048", "GFLOP/s", |setup| {
        let matrix = |name: &str| {
            let mut draws = seeded(0, name);
            let values = (0..SIDE * SIDE).map(|_| draws.uniform(-1.0, 1.0) as f32).collect();
            Tensor::from_vec(values, (SIDE, SIDE), &Device::Cpu)
        };
        let (a, b) = (matrix("a")?, matrix("b")?);
        let seconds = setup.clock.median(|| a.matmul(&b).map(drop)).map_err(BenchError::from)?;
        Ok(2.0 * (SIDE as f64).powi(3) / seconds / 1e9)
    })]
}

//! A case: what is measured, and what came out.

use crate::clock::Clock;
use crate::error::BenchError;
use candle_core::Device;
use serde::Serialize;
use std::path::PathBuf;

/// The figure of one case.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Case {
    /// `PART/INPUT` or `PART/INPUT/WHAT`.
    pub name: String,
    /// Median over runs, in `unit`.
    pub median: f64,
    /// `ms`, `µs a vector`, `ms an image` or `GFLOP/s`.
    pub unit: &'static str,
}

/// What cases are measured with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// How long each is run.
    pub clock: Clock,
    /// A folder of images for the cases that decode; drawn ones where it is `None`.
    pub images: Option<PathBuf>,
    /// Where the cases of `step` are computed; the others run on the CPU.
    pub device: Device,
}

impl Default for Setup {
    fn default() -> Self {
        Self { clock: Clock::default(), images: None, device: Device::Cpu }
    }
}

type Measure = Box<dyn Fn(&Setup) -> Result<f64, BenchError>>;

/// A case that can be measured; nothing of it exists before.
pub(crate) struct Plan {
    pub(crate) name: String,
    unit: &'static str,
    measure: Measure,
}

impl Plan {
    pub(crate) fn new(
        name: impl Into<String>,
        unit: &'static str,
        measure: impl Fn(&Setup) -> Result<f64, BenchError> + 'static,
    ) -> Self {
        Self { name: name.into(), unit, measure: Box::new(measure) }
    }

    pub(crate) fn run(self, setup: &Setup) -> Result<Case, BenchError> {
        let median = (self.measure)(setup)?;
        Ok(Case { name: self.name, median, unit: self.unit })
    }
}

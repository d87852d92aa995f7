//! Networks as a stem and stages, of which some give feature maps.

use crate::backbone::check_images;
use crate::{Backbone, BackboneError, Level, Normalization};
use candle_core::Tensor;

/// A part of a network.
pub(crate) trait Block: Send + Sync {
    fn forward(&self, x: &Tensor) -> Result<Tensor, BackboneError>;
}

/// Blocks after which the map has that stride, and the map's channels.
pub(crate) struct Stage {
    pub(crate) blocks: Vec<Box<dyn Block>>,
    pub(crate) level: Level,
    /// Whether the map is given out.
    pub(crate) tapped: bool,
    /// Kernel and stride of each step that changes the size.
    pub(crate) steps: Vec<(usize, usize)>,
}

/// A whole network, up to its last tapped stage.
pub(crate) struct StagedNetwork {
    pub(crate) name: String,
    pub(crate) stages: Vec<Stage>,
    pub(crate) levels: Vec<Level>,
    pub(crate) normalization: Normalization,
    pub(crate) fingerprint: String,
    pub(crate) same: bool,
}

impl Backbone for StagedNetwork {
    fn name(&self) -> &str {
        &self.name
    }

    fn levels(&self) -> &[Level] {
        &self.levels
    }

    fn normalization(&self) -> Normalization {
        self.normalization
    }

    fn extract(&self, images: &Tensor) -> Result<Vec<Tensor>, BackboneError> {
        check_images(images)?;
        let mut x = images.clone();
        let mut maps = Vec::with_capacity(self.levels.len());
        for stage in &self.stages {
            for block in &stage.blocks {
                x = block.forward(&x)?;
            }
            if stage.tapped {
                maps.push(x.clone());
            }
        }
        Ok(maps)
    }

    fn map_size(&self, height: usize, width: usize) -> Vec<(usize, usize)> {
        let (mut h, mut w) = (height, width);
        let mut sizes = Vec::new();
        for stage in &self.stages {
            for &(kernel, stride) in &stage.steps {
                let after =
                    |s| crate::convolution::Reader::size_after(self.same, s, kernel, stride);
                (h, w) = (after(h), after(w));
            }
            if stage.tapped {
                sizes.push((h, w));
            }
        }
        sizes
    }

    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }
}

/// The last of `strides` that is needed for `taps`; refuses taps that are not among them, and none.
pub(crate) fn deepest(
    kind: &str,
    taps: &[usize],
    strides: &[usize],
) -> Result<usize, BackboneError> {
    require_taps(taps)?;
    let mut last = 0;
    for tap in taps {
        match strides.iter().rposition(|s| s == tap && *s >= SHALLOWEST) {
            Some(i) => last = last.max(i),
            None => {
                let mut known: Vec<usize> =
                    strides.iter().copied().filter(|s| *s >= SHALLOWEST).collect();
                known.dedup();
                return Err(BackboneError::Tap { kind: kind.into(), stride: *tap, known });
            }
        }
    }
    Ok(last)
}

/// The stride of the first map that networks give out; stems hold no features yet.
const SHALLOWEST: usize = 4;

pub(crate) fn require_taps(taps: &[usize]) -> Result<(), BackboneError> {
    if taps.is_empty() {
        let why = "give at least one stride, such as [16]";
        return Err(BackboneError::Setting { key: "backbone.taps", value: "[]".into(), why });
    }
    Ok(())
}

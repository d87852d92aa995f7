//! EfficientNet (Tan and Le, ICML 2019), its lite variant, and MobileNetV2 (Sandler et al., CVPR
//! 2018): one family of stages of mobile blocks, under timm's names.

use crate::convolution::{Reader, Shape};
use crate::fingerprint::Hashed;
use crate::mobilenet::{MobileBlock, Stem};
use crate::stages::{Stage, StagedNetwork, deepest};
use crate::{BackboneError, Level, Normalization, WeightSource};
use hgad_kernels::Activation;

/// One stage: repeats, kernel, stride, expansion, channels, before scaling.
type Row = (usize, usize, usize, usize, usize);

const EFFICIENTNET: [Row; 5] =
    [(1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112)];
const MOBILENET_V2: [Row; 5] =
    [(1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (3, 3, 2, 6, 32), (4, 3, 2, 6, 64), (3, 3, 1, 6, 96)];
/// Stride of the map after the stem and after each stage.
const STRIDES: [usize; 6] = [2, 2, 4, 8, 16, 16];

/// A member of the family.
pub(crate) struct Variant {
    rows: [Row; 5],
    width: f64,
    depth: f64,
    squeeze: bool,
    activation: Activation,
    epsilon: f64,
    same: bool,
    normalization: Normalization,
}

/// `tf_efficientnet_b0` to `b7` by number: width and depth multipliers of the paper.
pub(crate) fn efficientnet(number: usize) -> Variant {
    const SCALES: [(f64, f64); 8] = [
        (1.0, 1.0),
        (1.0, 1.1),
        (1.1, 1.2),
        (1.2, 1.4),
        (1.4, 1.8),
        (1.6, 2.2),
        (1.8, 2.6),
        (2.0, 3.1),
    ];
    let (width, depth) = SCALES[number];
    Variant {
        rows: EFFICIENTNET,
        width,
        depth,
        squeeze: true,
        activation: Activation::Silu,
        epsilon: 1e-3,
        same: true,
        normalization: Normalization::IMAGENET,
    }
}

/// `tf_efficientnet_lite0`: no squeeze-and-excitation, ReLU6.
pub(crate) fn lite0() -> Variant {
    let normalization = Normalization { mean: [0.5; 3], std: [0.5; 3] };
    Variant { squeeze: false, activation: Activation::Relu6, normalization, ..efficientnet(0) }
}

/// `mobilenetv2_100`.
pub(crate) fn mobilenetv2() -> Variant {
    Variant {
        rows: MOBILENET_V2,
        width: 1.0,
        depth: 1.0,
        squeeze: false,
        activation: Activation::Relu6,
        epsilon: 1e-5,
        same: false,
        normalization: Normalization::IMAGENET,
    }
}

/// Channels scaled by `width`, to a multiple of 8 that loses at most a tenth.
fn scaled(channels: usize, width: f64) -> usize {
    let exact = channels as f64 * width;
    let rounded = ((exact + 4.0) as usize / 8 * 8).max(8);
    if (rounded as f64) < 0.9 * exact { rounded + 8 } else { rounded }
}

impl Variant {
    pub(crate) fn build(
        self,
        kind: &str,
        taps: &[usize],
        source: &dyn WeightSource,
    ) -> Result<StagedNetwork, BackboneError> {
        let last = deepest(kind, taps, &STRIDES)?;
        let hashed = Hashed::new(source);
        let reader = Reader { source: &hashed, epsilon: self.epsilon, same: self.same };
        let mut channels = scaled(32, self.width);
        let stem = Shape {
            input: 3,
            output: channels,
            kernel: 3,
            stride: 2,
            depthwise: false,
            activation: self.activation,
        };
        let stem = Stem(reader.convolution("conv_stem", "bn1", stem)?);
        let mut stages = vec![Stage {
            blocks: vec![Box::new(stem)],
            level: Level { name: "conv_stem".into(), channels, stride: 2 },
            tapped: false,
            steps: vec![(3, 2)],
        }];
        for (index, &(repeats, kernel, stride, expansion, width)) in
            self.rows.iter().enumerate().take(last)
        {
            let output = scaled(width, self.width);
            let repeats = (repeats as f64 * self.depth).ceil() as usize;
            let mut blocks = Vec::with_capacity(repeats);
            for r in 0..repeats {
                let block = MobileBlock {
                    input: channels,
                    output,
                    kernel,
                    stride: if r == 0 { stride } else { 1 },
                    expansion,
                    squeeze: self.squeeze,
                    activation: self.activation,
                };
                blocks.push(block.build(&reader, &format!("blocks.{index}.{r}"))?);
                channels = output;
            }
            let at = STRIDES[index + 1];
            // Of two stages with one stride the later gives the map.
            let tapped = taps.contains(&at) && STRIDES.get(index + 2) != Some(&at);
            let level = Level { name: format!("blocks.{index}"), channels, stride: at };
            let steps = if stride > 1 { vec![(kernel, stride)] } else { vec![] };
            stages.push(Stage { blocks, level, tapped, steps });
        }
        let levels = stages.iter().filter(|s| s.tapped).map(|s| s.level.clone()).collect();
        let normalization = source.normalization().unwrap_or(self.normalization);
        Ok(StagedNetwork {
            name: kind.into(),
            fingerprint: hashed.finish(kind, taps, &normalization),
            stages,
            levels,
            normalization,
            same: self.same,
        })
    }
}

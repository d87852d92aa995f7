//! ResNet (He et al., CVPR 2016) and wide ResNet (Zagoruyko and Komodakis, BMVC 2016), timm's names.

use crate::convolution::{Reader, Shape};
use crate::fingerprint::Hashed;
use crate::mobilenet::Stem;
use crate::stages::{Block, Stage, StagedNetwork, deepest};
use crate::{BackboneError, Level, Normalization, WeightSource};
use candle_core::Tensor;
use hgad_kernels::{Activation, Conv2d, max_pool};

/// Strides after the stem and after each layer.
const STRIDES: [usize; 4] = [2, 4, 8, 16];

/// A member of the family.
pub(crate) struct Variant {
    /// Blocks in each of the first three layers.
    repeats: [usize; 3],
    /// Width inside a bottleneck in multiples of 64 a stage; `None`: two plain convolutions.
    bottleneck: Option<usize>,
}

/// Blocks of two 3x3 convolutions, so many in each of the first three layers.
pub(crate) fn resnet(repeats: [usize; 3]) -> Variant {
    Variant { repeats, bottleneck: None }
}

struct Residual {
    before: Vec<Conv2d>,
    /// Its epilogue adds the shortcut, then rectifies.
    last: Conv2d,
    shortcut: Option<Conv2d>,
}

impl Block for Residual {
    fn forward(&self, x: &Tensor) -> Result<Tensor, BackboneError> {
        let shortcut = match &self.shortcut {
            Some(conv) => conv.forward(x, None)?,
            None => x.clone(),
        };
        let mut y = x.clone();
        for conv in &self.before {
            y = conv.forward(&y, None)?;
        }
        Ok(self.last.forward(&y, Some(&shortcut))?)
    }
}

struct Pool;

impl Block for Pool {
    fn forward(&self, x: &Tensor) -> Result<Tensor, BackboneError> {
        Ok(max_pool(x, 3, 2, 1)?)
    }
}

impl Variant {
    /// Blocks of three convolutions instead, `width` times 64 channels inside and four times the
    /// plain width after.
    pub(crate) fn bottleneck(self, width: usize) -> Self {
        Self { bottleneck: Some(width), ..self }
    }

    pub(crate) fn build(
        self,
        kind: &str,
        taps: &[usize],
        source: &dyn WeightSource,
    ) -> Result<StagedNetwork, BackboneError> {
        let last = deepest(kind, taps, &STRIDES)?;
        let hashed = Hashed::new(source);
        let reader = Reader { source: &hashed, epsilon: 1e-5, same: false };
        let shape = |input, output, kernel, stride, activation| Shape {
            input,
            output,
            kernel,
            stride,
            depthwise: false,
            activation,
        };
        let (relu, linear) = (Activation::Relu, Activation::Identity);
        let stem = reader.convolution("conv1", "bn1", shape(3, 64, 7, 2, relu))?;
        let mut stages = vec![Stage {
            blocks: vec![Box::new(Stem(stem)), Box::new(Pool)],
            level: Level { name: "conv1".into(), channels: 64, stride: 2 },
            tapped: false,
            steps: vec![(7, 2), (3, 2)],
        }];
        let mut input = 64;
        for (index, repeats) in self.repeats.into_iter().enumerate().take(last) {
            let planes = 64 << index;
            let output = if self.bottleneck.is_some() { planes * 4 } else { planes };
            let mut blocks: Vec<Box<dyn Block>> = Vec::with_capacity(repeats);
            let entry = if index == 0 { 1 } else { 2 };
            for r in 0..repeats {
                let stride = if r == 0 { entry } else { 1 };
                let name = format!("layer{}.{r}", index + 1);
                let conv = |n: usize, s| {
                    reader.convolution(&format!("{name}.conv{n}"), &format!("{name}.bn{n}"), s)
                };
                let (before, last) = if let Some(width) = self.bottleneck {
                    let inner = planes * width;
                    let first = conv(1, shape(input, inner, 1, 1, relu))?;
                    let middle = conv(2, shape(inner, inner, 3, stride, relu))?;
                    (vec![first, middle], conv(3, shape(inner, output, 1, 1, relu))?)
                } else {
                    let first = conv(1, shape(input, planes, 3, stride, relu))?;
                    (vec![first], conv(2, shape(planes, planes, 3, 1, relu))?)
                };
                let shortcut = if stride != 1 || input != output {
                    let (conv, norm) =
                        (format!("{name}.downsample.0"), format!("{name}.downsample.1"));
                    Some(reader.convolution(
                        &conv,
                        &norm,
                        shape(input, output, 1, stride, linear),
                    )?)
                } else {
                    None
                };
                blocks.push(Box::new(Residual { before, last, shortcut }));
                input = output;
            }
            let at = STRIDES[index + 1];
            stages.push(Stage {
                blocks,
                level: Level { name: format!("layer{}", index + 1), channels: output, stride: at },
                tapped: taps.contains(&at),
                steps: if entry > 1 { vec![(3, entry)] } else { vec![] },
            });
        }
        let levels = stages.iter().filter(|s| s.tapped).map(|s| s.level.clone()).collect();
        let normalization = source.normalization().unwrap_or(Normalization::IMAGENET);
        Ok(StagedNetwork {
            name: kind.into(),
            fingerprint: hashed.finish(kind, taps, &normalization),
            stages,
            levels,
            normalization,
            same: false,
        })
    }
}

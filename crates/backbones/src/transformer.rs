//! Vision transformers (Dosovitskiy et al., ICLR 2021) as DINOv2 trains them (Oquab et al., TMLR
//! 2024), timm's names.
//!
//! Own code, on the fused kernels: candle-transformers' DINOv2 differs from timm's in what matters
//! for features. It resizes the position embedding to the nearest neighbour, approximates GELU by
//! tanh, adds 1e-5 to variances instead of 1e-6, and wants the weights of a classifier, which
//! DINOv2's do not have.

use crate::backbone::check_images;
use crate::fingerprint::Hashed;
use crate::position_embedding::resample;
use crate::{Backbone, BackboneError, Level, Normalization, WeightSource};
use candle_core::Tensor;
use hgad_kernels::{Activation, Conv2d, Conv2dConfig, attention, layer_norm, resize_bilinear};

/// Side of a patch in pixels: the stride of every map.
pub(crate) const PATCH: usize = 14;
/// Side of the grid of patches that the position embedding was trained on, 518 pixels.
const GRID: usize = 37;
const BLOCKS: usize = 12;
/// Channels of an attention head.
const HEAD: usize = 64;
/// Added to variances.
const EPSILON: f64 = 1e-6;

/// A member of the family.
pub(crate) struct Variant {
    channels: usize,
}

/// DINOv2 of so many channels: 384 for small, 768 for base.
pub(crate) fn dinov2(channels: usize) -> Variant {
    Variant { channels }
}

/// Patches as tokens, a class token before them, through blocks of attention. The outputs of the
/// chosen blocks are given out without the class token and after the network's last layer
/// normalization, as timm's `forward_intermediates(norm=True, output_fmt="NHWC")` does and as
/// DINOv2's features are used.
///
/// Images whose sides are no multiples of 14 are resized (bilinear, aligned corners) to the
/// nearest ones first, so that a map always covers the whole image and nothing else: padding would
/// shift the map against the image, and cropping would leave a border unseen.
pub(crate) struct VisionTransformer {
    name: String,
    patches: Conv2d,
    /// The class token with its position, (1, 1, C).
    class: Tensor,
    /// (GRID, GRID, C)
    positions: Tensor,
    /// Up to the last one that is given out.
    blocks: Vec<Block>,
    norm: LayerNorm,
    /// Blocks given out, ascending.
    chosen: Vec<usize>,
    levels: Vec<Level>,
    normalization: Normalization,
    fingerprint: String,
}

struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
}

impl LayerNorm {
    fn forward(&self, x: &Tensor) -> Result<Tensor, BackboneError> {
        Ok(layer_norm(x, &self.weight, &self.bias, EPSILON)?)
    }
}

/// `x += scale1 * attention(norm1(x))`, then `x += scale2 * mlp(norm2(x))`; linear layers are
/// pointwise convolutions of a map of one row, the scales folded into their weights.
struct Block {
    heads: usize,
    norm1: LayerNorm,
    qkv: Conv2d,
    project: Conv2d,
    norm2: LayerNorm,
    widen: Conv2d,
    narrow: Conv2d,
}

impl Block {
    /// `x` (B, 1, N, C) to the same.
    fn forward(&self, x: &Tensor) -> Result<Tensor, BackboneError> {
        let qkv = self.qkv.forward(&self.norm1.forward(x)?, None)?;
        let mixed = attention(&qkv.squeeze(1)?, self.heads)?.unsqueeze(1)?;
        let x = self.project.forward(&mixed, Some(x))?;
        let wide = self.widen.forward(&self.norm2.forward(&x)?, None)?;
        Ok(self.narrow.forward(&wide, Some(&x))?)
    }
}

/// Reads the weights of one network.
struct Reader<'a> {
    source: &'a dyn WeightSource,
    channels: usize,
}

impl Reader<'_> {
    fn norm(&self, name: &str) -> Result<LayerNorm, BackboneError> {
        let of = |part: &str| self.source.tensor(&format!("{name}.{part}"), &[self.channels]);
        Ok(LayerNorm { weight: of("weight")?, bias: of("bias")? })
    }

    /// The linear layer `name`, its outputs multiplied by the tensor `scale` where there is one.
    fn linear(
        &self,
        name: &str,
        (input, output): (usize, usize),
        scale: Option<&str>,
        activation: Activation,
    ) -> Result<Conv2d, BackboneError> {
        let mut weight = self.source.tensor(&format!("{name}.weight"), &[output, input])?;
        let mut bias = self.source.tensor(&format!("{name}.bias"), &[output])?;
        if let Some(scale) = scale {
            let scale = self.source.tensor(scale, &[output])?;
            weight = weight.broadcast_mul(&scale.unsqueeze(1)?)?;
            bias = (bias * scale)?;
        }
        let config = Conv2dConfig { activation, ..Default::default() };
        Ok(Conv2d::new(&weight.reshape((output, input, 1, 1))?, &bias, config)?)
    }

    fn block(&self, index: usize) -> Result<Block, BackboneError> {
        let c = self.channels;
        let name = |part: &str| format!("blocks.{index}.{part}");
        let linear = |part: &str, size, scale: Option<&str>, activation| {
            self.linear(&name(part), size, scale.map(name).as_deref(), activation)
        };
        let (identity, gelu) = (Activation::Identity, Activation::Gelu);
        Ok(Block {
            heads: c / HEAD,
            norm1: self.norm(&name("norm1"))?,
            qkv: linear("attn.qkv", (c, 3 * c), None, identity)?,
            project: linear("attn.proj", (c, c), Some("ls1.gamma"), identity)?,
            norm2: self.norm(&name("norm2"))?,
            widen: linear("mlp.fc1", (c, 4 * c), None, gelu)?,
            narrow: linear("mlp.fc2", (4 * c, c), Some("ls2.gamma"), identity)?,
        })
    }
}

impl Variant {
    pub(crate) fn build(
        self,
        kind: &str,
        blocks: &[usize],
        source: &dyn WeightSource,
    ) -> Result<VisionTransformer, BackboneError> {
        let chosen = chosen(kind, blocks)?;
        let c = self.channels;
        let hashed = Hashed::new(source);
        let reader = Reader { source: &hashed, channels: c };
        let weight = hashed.tensor("patch_embed.proj.weight", &[c, 3, PATCH, PATCH])?;
        let bias = hashed.tensor("patch_embed.proj.bias", &[c])?;
        let patches = Conv2dConfig { stride: PATCH, ..Default::default() };
        let patches = Conv2d::new(&weight, &bias, patches)?;
        let positions = hashed.tensor("pos_embed", &[1, 1 + GRID * GRID, c])?;
        let class = hashed.tensor("cls_token", &[1, 1, c])?;
        let class = (class + positions.narrow(1, 0, 1)?)?;
        let positions = positions.narrow(1, 1, GRID * GRID)?.reshape((GRID, GRID, c))?;
        let last = chosen.last().copied().unwrap_or(0);
        let blocks = (0..=last).map(|i| reader.block(i)).collect::<Result<_, _>>()?;
        let norm = reader.norm("norm")?;
        let level = |b: &usize| Level { name: format!("blocks.{b}"), channels: c, stride: PATCH };
        let normalization = source.normalization().unwrap_or(Normalization::IMAGENET);
        Ok(VisionTransformer {
            name: kind.into(),
            fingerprint: hashed.finish(kind, &chosen, &normalization),
            levels: chosen.iter().map(level).collect(),
            patches,
            class,
            positions,
            blocks,
            norm,
            chosen,
            normalization,
        })
    }
}

/// `blocks` in ascending order, the last one where there is none.
pub(crate) fn chosen(kind: &str, blocks: &[usize]) -> Result<Vec<usize>, BackboneError> {
    let last = BLOCKS - 1;
    if let Some(&block) = blocks.iter().find(|b| **b > last) {
        return Err(BackboneError::Block { kind: kind.into(), block, last });
    }
    let mut chosen = if blocks.is_empty() { vec![last] } else { blocks.to_vec() };
    chosen.sort_unstable();
    chosen.dedup();
    Ok(chosen)
}

/// Patches along a side of so many pixels.
fn patches_along(side: usize) -> usize {
    ((side + PATCH / 2) / PATCH).max(1)
}

impl VisionTransformer {
    /// Images (B, H, W, 3) to tokens (B, 1, 1 + h w, C).
    fn tokens(&self, images: &Tensor, (h, w): (usize, usize)) -> Result<Tensor, BackboneError> {
        let (b, height, width, _) = images.dims4()?;
        let images = match (height, width) == (h * PATCH, w * PATCH) {
            true => images.clone(),
            false => resize_bilinear(images, h * PATCH, w * PATCH)?,
        };
        let like = |t: &Tensor| t.to_device(images.device())?.to_dtype(images.dtype());
        let positions = resample(&self.positions, h, w)?;
        let patches = self.patches.forward(&images, None)?.broadcast_add(&like(&positions)?)?;
        let (_, _, _, c) = patches.dims4()?;
        let class = like(&self.class)?.broadcast_as((b, 1, c))?;
        Ok(Tensor::cat(&[class, patches.reshape((b, h * w, c))?], 1)?.unsqueeze(1)?)
    }
}

impl Backbone for VisionTransformer {
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
        let (b, height, width, _) = images.dims4()?;
        let (h, w) = (patches_along(height), patches_along(width));
        let mut x = self.tokens(images, (h, w))?;
        let mut maps = Vec::with_capacity(self.chosen.len());
        for (index, block) in self.blocks.iter().enumerate() {
            x = block.forward(&x)?;
            if self.chosen.contains(&index) {
                let patches = self.norm.forward(&x.narrow(2, 1, h * w)?)?;
                maps.push(patches.reshape((b, h, w, ()))?);
            }
        }
        Ok(maps)
    }

    fn map_size(&self, height: usize, width: usize) -> Vec<(usize, usize)> {
        vec![(patches_along(height), patches_along(width)); self.levels.len()]
    }

    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }
}

//! A backbone without weights: the cosine transform of blocks of pixels, as JPEG has it.

use candle_core::{DType, Tensor};
use hgad_backbones::{Backbone, BackboneError, BackboneSpec, Level, Normalization};
use std::f64::consts::PI;

/// Side of a block, and so the stride.
const SIDE: usize = 8;

/// The lowest frequencies of every block of 8 x 8 pixels, for each colour.
struct Cosine {
    levels: Vec<Level>,
    /// (8 * 8, frequencies).
    basis: Tensor,
    frequencies: usize,
}

/// Makes it; `options.frequencies`, 1 to 64, is how many of each colour are kept, 15 by default.
pub fn build(spec: &BackboneSpec) -> Result<Box<dyn Backbone>, BackboneError> {
    spec.options.only(&spec.kind, &["frequencies"])?;
    let frequencies = spec.options.get(&spec.kind, "frequencies", 15, "a whole number, 1 to 64")?;
    if !(1..=SIDE * SIDE).contains(&frequencies) {
        let why = "a block of 8 x 8 pixels has 1 to 64 frequencies";
        let value = frequencies.to_string();
        return Err(BackboneError::Setting { key: "backbone.options.frequencies", value, why });
    }
    if spec.taps != [SIDE] {
        let (kind, stride) = (spec.kind.clone(), spec.taps.first().copied().unwrap_or(0));
        return Err(BackboneError::Tap { kind, stride, known: vec![SIDE] });
    }
    // From low to high, as a zigzag would take them.
    let mut pairs: Vec<(usize, usize)> = (0..SIDE * SIDE).map(|i| (i / SIDE, i % SIDE)).collect();
    pairs.sort_by_key(|(u, v)| (u + v, *u));
    let wave = |k: usize, x: usize| {
        let scale = if k == 0 { (1.0 / SIDE as f64).sqrt() } else { (2.0 / SIDE as f64).sqrt() };
        scale * (PI * (x as f64 + 0.5) * k as f64 / SIDE as f64).cos()
    };
    let values: Vec<f32> = (0..SIDE * SIDE)
        .flat_map(|i| {
            let of =
                move |(u, v): &(usize, usize)| (wave(*u, i / SIDE) * wave(*v, i % SIDE)) as f32;
            pairs[..frequencies].iter().map(of).collect::<Vec<_>>()
        })
        .collect();
    let basis = Tensor::from_vec(values, (SIDE * SIDE, frequencies), &candle_core::Device::Cpu)?;
    let level = Level { name: "blocks".into(), channels: 3 * frequencies, stride: SIDE };
    Ok(Box::new(Cosine { levels: vec![level], basis, frequencies }))
}

impl Backbone for Cosine {
    fn name(&self) -> &str {
        "cosine"
    }

    fn levels(&self) -> &[Level] {
        &self.levels
    }

    fn normalization(&self) -> Normalization {
        Normalization::IMAGENET
    }

    fn extract(&self, images: &Tensor) -> Result<Vec<Tensor>, BackboneError> {
        let (b, height, width, _) = images.dims4()?;
        let (h, w) = (height / SIDE, width / SIDE);
        let whole = images.narrow(1, 0, h * SIDE)?.narrow(2, 0, w * SIDE)?;
        // (b, h, 8, w, 8, 3) to a row a block and colour.
        let blocks = whole
            .reshape(&[b, h, SIDE, w, SIDE, 3])?
            .permute(vec![0, 1, 3, 5, 2, 4])?
            .contiguous()?
            .reshape((b * h * w * 3, SIDE * SIDE))?;
        let map = blocks.to_dtype(DType::F32)?.matmul(&self.basis)?;
        Ok(vec![map.reshape((b, h, w, 3 * self.frequencies))?])
    }

    fn map_size(&self, height: usize, width: usize) -> Vec<(usize, usize)> {
        vec![(height / SIDE, width / SIDE)]
    }

    fn fingerprint(&self) -> String {
        // Letters and digits alone: it is the name of a folder.
        format!("{:032x}", 0xc051_0000_0001_0000u64 + self.frequencies as u64)
    }
}

//! A wavelet scattering bank: features without weights.

use crate::backbone::check_images;
use crate::gabor::{Morlet, Plane};
use crate::{Backbone, BackboneError, Level, Normalization};
use candle_core::{Device, Tensor};
use rayon::prelude::*;

/// Octaves.
const SCALES: usize = 3;
/// Directions over half a turn.
const ANGLES: usize = 6;
/// Pixels from one position to the next.
const STRIDE: usize = 1 << SCALES;
/// Below this a modulus counts as silence.
const SILENCE: f32 = 0.01;

/// Wavelet scattering (Mallat, 2012; Bruna and Mallat, PAMI 2013) to order 2 on luma, colour by
/// averages and first-order energies, at stride 8. For each position, 69 channels:
///
/// | channels | what |
/// |---|---|
/// | 3 | means of luma and of two colour differences (red - green, yellow - blue) |
/// | 18 | order 1: means of `|Y * psi|`, 3 octaves x 6 directions |
/// | 18 | peaks: maxima of the same over the position's block, which thin lines raise |
/// | 12 | colour: means of `|U * psi|` and `|V * psi|`, 2 octaves x 3 directions |
/// | 18 | order 2: `||Y * psi1| * psi2|` for the 3 pairs of octaves and 6 relative directions (mean over the first), divided by the first order |
///
/// Energies are compressed by `ln(0.01 + x)`, and each group shifted and scaled by fixed numbers to
/// about zero mean and unit spread on everyday images. Wavelets are Morlet with a Gaussian envelope
/// of 1.4 pixels and frequency 2.1 radians a pixel at the octave's resolution.
pub struct Scattering {
    name: String,
    levels: Vec<Level>,
    wavelets: Vec<Morlet>,
}

impl Scattering {
    /// The bank; `taps` must be its one stride, 8.
    ///
    /// # Errors
    /// Another stride.
    pub fn new(name: &str, taps: &[usize]) -> Result<Self, BackboneError> {
        if let Some(&stride) = taps.iter().find(|t| **t != STRIDE) {
            return Err(BackboneError::Tap { kind: name.into(), stride, known: vec![STRIDE] });
        }
        let wavelets = (0..ANGLES)
            .map(|a| Morlet::new(1.4, 2.1, std::f64::consts::PI * a as f64 / ANGLES as f64))
            .collect();
        let levels = vec![Level { channels: GROUPS.iter().map(|g| g.count).sum(), stride: STRIDE }];
        Ok(Self { name: name.into(), levels, wavelets })
    }

    /// Moduli of all directions.
    fn moduli(&self, plane: &Plane, step: usize) -> Vec<Plane> {
        let smooth = self.wavelets[0].smooth(plane);
        self.wavelets.iter().step_by(step).map(|w| w.modulus(plane, &smooth)).collect()
    }

    /// Channels of one image (H, W, 3), each a plane of positions, in the documented order.
    fn channels(&self, pixels: &[f32], height: usize, width: usize) -> Vec<Plane> {
        let plane = |f: fn(&[f32]) -> f32| Plane {
            height,
            width,
            values: pixels.chunks_exact(3).map(f).collect(),
        };
        let luma = plane(|p| 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2]);
        let colours = [plane(|p| p[0] - p[1]), plane(|p| 0.5 * (p[0] + p[1]) - p[2])];
        let mut means = vec![luma.blocks(STRIDE)];
        means.extend(colours.iter().map(|c| c.blocks(STRIDE)));

        let (mut first, mut peaks) = (Vec::new(), Vec::new());
        let mut second = vec![Vec::new(); SCALES * (SCALES - 1) / 2];
        let mut at_scale = luma;
        // Moduli of finer octaves, brought down to the resolution of the current one.
        let mut finer: Vec<Vec<Plane>> = Vec::new();
        for scale in 0..SCALES {
            let block = STRIDE >> scale;
            for (from, moduli) in finer.iter().enumerate() {
                // Pairs in order: (0, 1), (0, 2), (1, 2).
                second[from + scale - 1] = self.relative(moduli, block, &first[from * ANGLES..]);
            }
            let moduli = self.moduli(&at_scale, 1);
            first.extend(moduli.iter().map(|m| m.blocks(block)));
            peaks.extend(moduli.iter().map(|m| m.peaks(block)));
            finer.push(moduli);
            if scale + 1 < SCALES {
                at_scale = at_scale.halved();
                finer.iter_mut().flatten().for_each(|m| *m = m.halved());
            }
        }
        let mut colour = Vec::new();
        for plane in &colours {
            let mut at_scale = plane.halved();
            for scale in 1..SCALES {
                let block = STRIDE >> scale;
                colour.extend(self.moduli(&at_scale, 2).iter().map(|m| m.blocks(block)));
                at_scale = at_scale.halved();
            }
        }
        let groups = [means, first, peaks, colour, second.concat()];
        let mut out = Vec::new();
        for (group, planes) in GROUPS.iter().zip(groups) {
            out.extend(planes.into_iter().map(|mut p| {
                p.values.iter_mut().for_each(|v| *v = group.apply(*v));
                p
            }));
        }
        out
    }

    /// Second order of one pair of octaves by relative direction, normalized by its first order.
    fn relative(&self, moduli: &[Plane], block: usize, parents: &[Plane]) -> Vec<Plane> {
        let mut sums: Vec<Option<Plane>> = vec![None; ANGLES];
        for (a, modulus) in moduli.iter().enumerate() {
            for (b, second) in self.moduli(modulus, 1).iter().enumerate() {
                let mut mean = second.blocks(block);
                for (v, parent) in mean.values.iter_mut().zip(&parents[a].values) {
                    *v /= (parent + SILENCE) * ANGLES as f32;
                }
                match &mut sums[(b + ANGLES - a) % ANGLES] {
                    Some(sum) => sum.values.iter_mut().zip(&mean.values).for_each(|(s, v)| *s += v),
                    none => *none = Some(mean),
                }
            }
        }
        sums.into_iter().flatten().collect()
    }
}

/// Channels that are compressed and scaled alike.
struct Group {
    count: usize,
    log: bool,
    shift: f32,
    scale: f32,
}

impl Group {
    fn apply(&self, v: f32) -> f32 {
        let v = if self.log { (v + SILENCE).ln() } else { v };
        (v - self.shift) * self.scale
    }
}

/// In the documented order.
const GROUPS: [Group; 5] = [
    Group { count: 3, log: false, shift: 0.0, scale: 1.0 },
    Group { count: 18, log: true, shift: -2.5, scale: 1.0 },
    Group { count: 18, log: true, shift: -1.7, scale: 1.0 },
    Group { count: 12, log: true, shift: -3.5, scale: 1.0 },
    Group { count: 18, log: true, shift: -2.0, scale: 3.0 },
];

impl Backbone for Scattering {
    fn name(&self) -> &str {
        &self.name
    }

    fn levels(&self) -> &[Level] {
        &self.levels
    }

    fn normalization(&self) -> Normalization {
        Normalization::IMAGENET
    }

    fn extract(&self, images: &Tensor) -> Result<Vec<Tensor>, BackboneError> {
        check_images(images)?;
        let (b, h, w, _) = images.dims4()?;
        if h.min(w) < 6 * STRIDE {
            let why = "the filter bank needs images of at least 48 pixels a side; use fewer levels or a larger data.img_size";
            return Err(BackboneError::Setting { key: "pyramid", value: format!("{h}x{w}"), why });
        }
        let pixels = images.to_device(&Device::Cpu)?.flatten_all()?.to_vec1::<f32>()?;
        let channels = self.levels[0].channels;
        let (height, width) = (h / STRIDE, w / STRIDE);
        let mut out = vec![0.0; b * height * width * channels];
        out.par_chunks_mut(height * width * channels).zip(pixels.par_chunks(h * w * 3)).for_each(
            |(out, pixels)| {
                for (c, plane) in self.channels(pixels, h, w).iter().enumerate() {
                    for (position, v) in out.chunks_exact_mut(channels).zip(&plane.values) {
                        position[c] = *v;
                    }
                }
            },
        );
        let map = Tensor::from_vec(out, (b, height, width, channels), &Device::Cpu)?;
        Ok(vec![map.to_device(images.device())?])
    }

    fn map_size(&self, height: usize, width: usize) -> Vec<(usize, usize)> {
        vec![(height / STRIDE, width / STRIDE)]
    }

    fn fingerprint(&self) -> String {
        blake3::hash(b"hgad scattering bank 1").to_hex().to_string()
    }
}

//! A wavelet scattering bank: features without weights.

use crate::backbone::check_images;
use crate::morlet::{Morlet, RADIUS};
use crate::plane::Plane;
use crate::stages::require_taps;
use crate::{Backbone, BackboneError, Level, Normalization};
use candle_core::{Device, Tensor};
use rayon::prelude::*;

/// Octaves.
const SCALES: usize = 3;
/// Directions over half a turn.
const ANGLES: usize = 6;
/// Strides that maps can have.
const STRIDES: [usize; 3] = [4, 8, 16];
/// Octaves of the two filters of an order-2 path.
const PAIRS: [(usize, usize); 3] = [(0, 1), (0, 2), (1, 2)];
/// Below this a modulus counts as silence: about one grey level of 255.
const SILENCE: f32 = 0.02;
/// Deviation of the envelope in pixels and frequency in radians a pixel, at an octave's resolution.
const ENVELOPE: (f64, f64) = (1.4, 2.1);
/// Raise it when features change.
const VERSION: u32 = 2;

/// Wavelet scattering (Mallat, Comm. Pure Appl. Math. 2012; Bruna and Mallat, PAMI 2013) to order
/// 2 on luma Y, and colour by averages and first-order energies of two opponent channels
/// U = red - green and V = (red + green) / 2 - blue, at stride 4, 8 or 16. For each position, 69
/// channels, `psi` an octave's wavelet in one direction:
///
/// | channels | what |
/// |---|---|
/// | 1 | average of Y |
/// | 2 | averages of U and V |
/// | 18 | order 1: averages of `|Y * psi|`, 3 octaves x 6 directions |
/// | 18 | peaks: maxima of the same over the position's own square, which thin lines raise |
/// | 12 | colour: averages of `|U * psi|`, then of `|V * psi|`, 2 coarser octaves x 3 directions |
/// | 18 | order 2: averages of `||Y * psi1| * psi2|` over those of their parent `|Y * psi1|`, for 3 pairs of octaves x 6 directions of psi2 relative to psi1, meant over the direction of psi1 |
///
/// Averages are binomial low-passes one octave after another. Energies are compressed by
/// `ln(0.02 + x)`, and each octave's group is shifted and scaled by fixed numbers to about zero mean
/// and unit spread on photographs of objects and surfaces. Wavelets are Morlet, their envelope
/// Gaussian of 1.4 pixels, their frequency 2.1 radians a pixel at the resolution of their octave.
pub struct Scattering {
    name: String,
    levels: Vec<Level>,
    wavelets: Vec<Morlet>,
}

impl Scattering {
    /// The bank with a map at each stride of `taps`, among 4, 8 and 16.
    ///
    /// # Errors
    /// Another stride, or none.
    pub fn new(name: &str, taps: &[usize]) -> Result<Self, BackboneError> {
        require_taps(taps)?;
        if let Some(&stride) = taps.iter().find(|t| !STRIDES.contains(t)) {
            let known = STRIDES.to_vec();
            return Err(BackboneError::Tap { kind: name.into(), stride, known });
        }
        let direction = |a: usize| std::f64::consts::PI * a as f64 / ANGLES as f64;
        let wavelets =
            (0..ANGLES).map(|a| Morlet::new(ENVELOPE.0, ENVELOPE.1, direction(a))).collect();
        let channels = GROUPS.iter().map(|g| g.count).sum();
        let tapped = STRIDES.into_iter().filter(|s| taps.contains(s));
        let level = |stride| Level { name: format!("scattering.{stride}"), channels, stride };
        Ok(Self { name: name.into(), levels: tapped.map(level).collect(), wavelets })
    }

    /// Moduli in every `step`th direction.
    fn moduli(&self, plane: &Plane, step: usize) -> Vec<Plane> {
        let smooth = self.wavelets[0].smooth(plane);
        self.wavelets.par_iter().step_by(step).map(|w| w.modulus(plane, &smooth)).collect()
    }

    /// All moduli of one image (H, W, 3).
    fn transform(&self, pixels: &[f32], height: usize, width: usize) -> Transformed {
        let plane = |f: fn(&[f32]) -> f32| {
            let values = pixels.chunks_exact(3).map(f).collect();
            octaves(Plane { height, width, values })
        };
        let luma = plane(|p| 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2]);
        let opponents = [plane(|p| p[0] - p[1]), plane(|p| 0.5 * (p[0] + p[1]) - p[2])];
        let first: Vec<Vec<Plane>> = luma.iter().map(|y| self.moduli(y, 1)).collect();
        let second = PAIRS
            .iter()
            .map(|&(from, to)| {
                let of = |parent: &Plane| self.moduli(&parent.reduced(to - from), 1);
                first[from].par_iter().map(of).collect()
            })
            .collect();
        let colour = opponents
            .iter()
            .flat_map(|octaves| octaves[1..].iter().map(|c| self.moduli(c, 2)))
            .collect();
        let [u, v] = opponents;
        Transformed {
            averages: [luma, u, v].map(|[_, _, coarsest]| coarsest),
            first,
            colour,
            second,
        }
    }
}

/// `plane` at the resolution of each octave.
fn octaves(plane: Plane) -> [Plane; SCALES] {
    let half = plane.halved();
    let quarter = half.halved();
    [plane, half, quarter]
}

struct Transformed {
    /// Y, U and V at the coarsest octave's resolution.
    averages: [Plane; 3],
    /// By octave and direction.
    first: Vec<Vec<Plane>>,
    /// By opponent channel and octave, then direction.
    colour: Vec<Vec<Plane>>,
    /// By pair of octaves, direction of the first filter, direction of the second.
    second: Vec<Vec<Vec<Plane>>>,
}

impl Transformed {
    /// The channels at a stride of `1 << octaves` pixels, in the documented order.
    fn channels(&self, octaves: usize) -> Vec<Plane> {
        let mut out: Vec<Plane> =
            self.averages.iter().map(|p| p.reduced(octaves + 1 - SCALES)).collect();
        let first: Vec<Vec<Plane>> = self
            .first
            .iter()
            .enumerate()
            .map(|(scale, moduli)| moduli.par_iter().map(|m| m.reduced(octaves - scale)).collect())
            .collect();
        out.extend(first.iter().flatten().cloned());
        for (scale, moduli) in self.first.iter().enumerate() {
            out.par_extend(moduli.par_iter().map(|m| m.peaks(octaves - scale)));
        }
        for (i, moduli) in self.colour.iter().enumerate() {
            let scale = 1 + i % (SCALES - 1);
            out.extend(moduli.iter().map(|m| m.reduced(octaves - scale)));
        }
        for (&(from, to), moduli) in PAIRS.iter().zip(&self.second) {
            let relative = |turn: usize| {
                let mut sum = vec![0.0; first[from][0].values.len()];
                for (a, parent) in first[from].iter().enumerate() {
                    let child = moduli[a][(a + turn) % ANGLES].reduced(octaves - to);
                    for ((s, c), p) in sum.iter_mut().zip(&child.values).zip(&parent.values) {
                        *s += c / ((p + SILENCE) * ANGLES as f32);
                    }
                }
                Plane { values: sum, ..first[from][0] }
            };
            out.par_extend((0..ANGLES).into_par_iter().map(relative));
        }
        let groups = GROUPS.iter().flat_map(|g| std::iter::repeat_n(g, g.count));
        for (plane, group) in out.iter_mut().zip(groups) {
            plane.values.iter_mut().for_each(|v| *v = group.apply(*v));
        }
        out
    }
}

/// Channels that are compressed and scaled alike.
struct Group {
    count: usize,
    compressed: bool,
    mean: f32,
    deviation: f32,
}

impl Group {
    const fn average(count: usize, mean: f32, deviation: f32) -> Self {
        Self { count, compressed: false, mean, deviation }
    }

    const fn energy(count: usize, mean: f32, deviation: f32) -> Self {
        Self { count, compressed: true, mean, deviation }
    }

    fn apply(&self, v: f32) -> f32 {
        let v = if self.compressed { (v + SILENCE).ln() } else { v };
        (v - self.mean) / self.deviation
    }
}

/// In the documented order; from the normal images of five classes of objects and surfaces, wider
/// for colour, of which those have little.
const GROUPS: [Group; 15] = [
    Group::average(1, 0.4, 1.1),
    Group::average(2, -0.2, 0.3),
    Group::energy(ANGLES, -3.2, 0.6),
    Group::energy(ANGLES, -3.2, 0.7),
    Group::energy(ANGLES, -3.1, 0.8),
    Group::energy(ANGLES, -2.8, 0.9),
    Group::energy(ANGLES, -2.9, 0.9),
    Group::energy(ANGLES, -3.0, 0.8),
    Group::energy(ANGLES / 2, -3.7, 0.4),
    Group::energy(ANGLES / 2, -3.7, 0.4),
    Group::energy(ANGLES / 2, -3.7, 0.4),
    Group::energy(ANGLES / 2, -3.7, 0.4),
    Group::energy(ANGLES, -3.0, 0.5),
    Group::energy(ANGLES, -3.0, 0.5),
    Group::energy(ANGLES, -3.0, 0.5),
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
        if h.min(w) >> (SCALES - 1) <= RADIUS {
            let why = "the filter bank needs images of at least 20 pixels a side; use fewer levels (backbone.pyramid) or a larger data.img_size";
            return Err(BackboneError::Setting { key: "pyramid", value: format!("{h}x{w}"), why });
        }
        let host = images.to_device(&Device::Cpu)?.to_dtype(candle_core::DType::F32)?;
        let pixels = host.flatten_all()?.to_vec1::<f32>()?;
        let transformed: Vec<Transformed> =
            pixels.par_chunks(h * w * 3).map(|p| self.transform(p, h, w)).collect();
        let sizes = self.map_size(h, w);
        self.levels
            .iter()
            .zip(sizes)
            .map(|(level, (height, width))| {
                let n = level.channels;
                let mut out = vec![0.0; b * height * width * n];
                let tasks = out.par_chunks_mut(height * width * n).zip(&transformed);
                tasks.for_each(|(out, image)| {
                    let planes = image.channels(level.stride.ilog2() as usize);
                    for (c, plane) in planes.iter().enumerate() {
                        let positions = out.chunks_exact_mut(n).zip(&plane.values);
                        positions.for_each(|(position, v)| position[c] = *v);
                    }
                });
                let map = Tensor::from_vec(out, (b, height, width, n), &Device::Cpu)?;
                Ok(map.to_dtype(images.dtype())?.to_device(images.device())?)
            })
            .collect()
    }

    fn map_size(&self, height: usize, width: usize) -> Vec<(usize, usize)> {
        let after = |side: usize, stride: usize| (side / stride).max(1);
        self.levels.iter().map(|l| (after(height, l.stride), after(width, l.stride))).collect()
    }

    fn fingerprint(&self) -> String {
        let strides: Vec<usize> = self.levels.iter().map(|l| l.stride).collect();
        let parameters = (VERSION, SCALES, ANGLES, SILENCE, ENVELOPE, strides);
        blake3::hash(format!("scattering {parameters:?}").as_bytes()).to_hex().to_string()
    }
}

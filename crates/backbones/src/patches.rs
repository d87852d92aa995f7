//! What is made of a backbone's maps before a model sees them: context beyond the image's edge,
//! neighbourhoods, several strides in one map.

use crate::{Backbone, BackboneError};
use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;

/// How maps are taken and put together. The default changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patches {
    /// Pixels that the image is continued by on each side, mirrored, before the backbone sees it; maps
    /// are cut back. A network pads with zeros: without a margin, positions at the edge have features of
    /// their own kind.
    pub margin: usize,
    /// Positions a side over which features are averaged, odd; 1 for none. PatchCore's locally aware
    /// features (Roth et al., CVPR 2022, eq. 2) are 3.
    pub neighbourhood: usize,
    /// Whether the maps of all strides become one, on the grid of the coarsest: finer ones are averaged
    /// over its cells, channels put side by side.
    pub join: bool,
}

impl Default for Patches {
    fn default() -> Self {
        Self { margin: 0, neighbourhood: 1, join: false }
    }
}

impl Patches {
    /// Maps of `images` (B, S, S, 3), as these settings want them.
    ///
    /// # Errors
    /// As [`Backbone::extract`]; a margin that fits no stride, or is not below the image's side.
    pub fn extract(
        &self,
        backbone: &dyn Backbone,
        images: &Tensor,
    ) -> std::result::Result<Vec<Tensor>, BackboneError> {
        let (_, h, w, _) = images.dims4()?;
        self.check(backbone, h.min(w))?;
        let mut maps = match self.margin {
            0 => backbone.extract(images)?,
            margin => backbone.extract(&mirrored(images, margin)?)?,
        };
        let sizes = backbone.map_size(h, w).into_iter().zip(backbone.levels());
        for (map, (size, level)) in maps.iter_mut().zip(sizes) {
            if self.neighbourhood > 1 {
                *map = neighbourhood_mean(map, self.neighbourhood / 2)?;
            }
            if self.margin > 0 {
                let cells = self.margin / level.stride;
                *map = map.narrow(1, cells, size.0)?.narrow(2, cells, size.1)?.contiguous()?;
            }
        }
        if self.join && maps.len() > 1 {
            let (_, h, w, _) = maps[coarsest(&maps)?].dims4()?;
            let on_grid = maps.iter().map(|m| cell_mean(m, h, w)).collect::<Result<Vec<_>>>()?;
            maps = vec![Tensor::cat(&on_grid, 3)?];
        }
        Ok(maps)
    }

    /// Height, width and channels of the maps of [`Patches::extract`].
    pub fn map_sizes(
        &self,
        backbone: &dyn Backbone,
        height: usize,
        width: usize,
    ) -> Vec<(usize, usize, usize)> {
        let sizes = backbone.map_size(height, width).into_iter().zip(backbone.levels());
        let sizes: Vec<_> = sizes.map(|((h, w), l)| (h, w, l.channels)).collect();
        match sizes.iter().min_by_key(|s| s.0) {
            Some(&(h, w, _)) if self.join => vec![(h, w, sizes.iter().map(|s| s.2).sum())],
            _ => sizes,
        }
    }

    /// Checks that the settings fit `backbone` and images of `side` pixels.
    ///
    /// # Errors
    /// What does not.
    pub fn check(
        &self,
        backbone: &dyn Backbone,
        side: usize,
    ) -> std::result::Result<(), BackboneError> {
        let wrong = |key, value: usize, why| {
            Err(BackboneError::Setting { key, value: value.to_string(), why })
        };
        if self.neighbourhood.is_multiple_of(2) {
            let why = "expected an odd number of positions, such as 3, or 1 for none";
            return wrong("features.neighbourhood", self.neighbourhood, why);
        }
        if backbone.levels().iter().any(|l| !self.margin.is_multiple_of(l.stride)) {
            let why = "expected a multiple of every stride of backbone.taps, so that maps can be cut back";
            return wrong("features.margin", self.margin, why);
        }
        if self.margin >= side {
            let why = "expected less than the side of the smallest image of the pyramid: there is no more to mirror";
            return wrong("features.margin", self.margin, why);
        }
        Ok(())
    }

    /// A key for caches; empty where nothing is changed.
    pub fn fingerprint(&self) -> String {
        match *self == Self::default() {
            true => String::new(),
            false => format!("v1 {} {} {}", self.margin, self.neighbourhood, self.join),
        }
    }
}

/// Which of `maps` has the fewest rows.
fn coarsest(maps: &[Tensor]) -> Result<usize> {
    let rows = maps.iter().map(|m| m.dim(1)).collect::<Result<Vec<_>>>()?;
    Ok((0..rows.len()).min_by_key(|i| rows[*i]).unwrap_or(0))
}

/// Index below `n` of position `i`, which may lie up to `n - 1` outside, mirrored at the outermost pixel
/// (it comes once, as in PyTorch's `reflect`).
fn reflect(i: isize, n: usize) -> usize {
    let last = n as isize - 1;
    let i = i.abs();
    (if i > last { 2 * last - i } else { i }).clamp(0, last) as usize
}

/// `x` (B, H, W, C) continued by `margin` pixels on each side.
fn mirrored(x: &Tensor, margin: usize) -> Result<Tensor> {
    let (b, h, w, c) = x.dims4()?;
    let (rows, columns) = (h + 2 * margin, w + 2 * margin);
    let from = x.flatten_all()?.to_device(&Device::Cpu)?.to_vec1::<f32>()?;
    let mut out = vec![0.0f32; b * rows * columns * c];
    out.par_chunks_mut(columns * c).enumerate().for_each(|(row, out)| {
        let (image, row) = (row / rows, row % rows);
        let y = reflect(row as isize - margin as isize, h);
        let line = &from[(image * h + y) * w * c..][..w * c];
        for (column, out) in out.chunks_exact_mut(c).enumerate() {
            let x = reflect(column as isize - margin as isize, w);
            out.copy_from_slice(&line[x * c..][..c]);
        }
    });
    Tensor::from_vec(out, (b, rows, columns, c), x.device())
}

/// The mean over the square of `radius` positions around each, of those that lie on the map.
fn neighbourhood_mean(x: &Tensor, radius: usize) -> Result<Tensor> {
    let (_, h, w, _) = x.dims4()?;
    let around = |i: usize, n: usize| i.saturating_sub(radius)..(i + radius + 1).min(n);
    window_mean(x, h, w, &|i| around(i, h), &|i| around(i, w))
}

/// The mean over the cells of a grid of `rows` x `columns` (PyTorch's adaptive average pooling).
fn cell_mean(x: &Tensor, rows: usize, columns: usize) -> Result<Tensor> {
    let (_, h, w, _) = x.dims4()?;
    if (h, w) == (rows, columns) {
        return Ok(x.clone());
    }
    let cell = |i: usize, from: usize, to: usize| i * from / to..((i + 1) * from).div_ceil(to);
    window_mean(x, rows, columns, &|i| cell(i, h, rows), &|i| cell(i, w, columns))
}

/// A window's rows or columns, by its index.
type Windows<'a> = &'a (dyn Fn(usize) -> std::ops::Range<usize> + Sync);

/// Means of `x` (B, H, W, C) over windows, to (B, rows, columns, C).
fn window_mean(
    x: &Tensor,
    rows: usize,
    columns: usize,
    row_window: Windows,
    column_window: Windows,
) -> Result<Tensor> {
    let (b, h, w, c) = x.dims4()?;
    let from = x.flatten_all()?.to_device(&Device::Cpu)?.to_vec1::<f32>()?;
    let mut out = vec![0.0f32; b * rows * columns * c];
    out.par_chunks_mut(columns * c).enumerate().for_each(|(row, out)| {
        let (image, row) = (row / rows, row % rows);
        // Down first, then across: each element is read once for each window's rows.
        let mut line = vec![0.0f32; w * c];
        let window = row_window(row);
        for y in window.clone() {
            let own = &from[(image * h + y) * w * c..][..w * c];
            line.iter_mut().zip(own).for_each(|(l, v)| *l += v);
        }
        for (column, out) in out.chunks_exact_mut(c).enumerate() {
            let across = column_window(column);
            let share = 1.0 / (window.len() * across.len()) as f32;
            for x in across {
                out.iter_mut().zip(&line[x * c..][..c]).for_each(|(o, l)| *o += l * share);
            }
        }
    });
    Tensor::from_vec(out, (b, rows, columns, c), x.device())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(h: usize, w: usize, c: usize) -> Tensor {
        let values = (0..2 * h * w * c).map(|i| ((i * 37) % 101) as f32).collect();
        Tensor::from_vec(values, (2, h, w, c), &Device::Cpu).unwrap()
    }

    fn at(x: &Tensor, index: [usize; 4]) -> f32 {
        let value = index.iter().try_fold(x.clone(), |x, i| x.get(*i));
        value.unwrap().to_scalar().unwrap()
    }

    #[test]
    fn a_margin_is_the_image_mirrored() {
        let x = map(4, 5, 3);
        let y = mirrored(&x, 3).unwrap();
        assert_eq!(y.dims(), [2, 10, 11, 3]);
        assert_eq!(at(&y, [1, 3, 3, 2]), at(&x, [1, 0, 0, 2]));
        assert_eq!(at(&y, [1, 0, 1, 0]), at(&x, [1, 3, 2, 0]));
        assert_eq!(at(&y, [0, 9, 10, 1]), at(&x, [0, 0, 1, 1]));
    }

    #[test]
    fn neighbourhoods_at_the_edge_are_of_what_is_there() {
        let x = map(4, 5, 2);
        let y = neighbourhood_mean(&x, 1).unwrap();
        let mean = |rows: [usize; 2], columns: [usize; 2]| {
            let (mut sum, mut count) = (0.0, 0.0);
            for r in rows[0]..=rows[1] {
                for c in columns[0]..=columns[1] {
                    sum += at(&x, [1, r, c, 1]);
                    count += 1.0;
                }
            }
            sum / count
        };
        assert!((at(&y, [1, 0, 0, 1]) - mean([0, 1], [0, 1])).abs() < 1e-4);
        assert!((at(&y, [1, 2, 4, 1]) - mean([1, 3], [3, 4])).abs() < 1e-4);
        assert!((at(&y, [1, 2, 2, 1]) - mean([1, 3], [1, 3])).abs() < 1e-4);
    }

    #[test]
    fn cells_of_a_grid_share_rows_where_sizes_do_not_divide() {
        let x = map(5, 4, 1);
        let y = cell_mean(&x, 2, 2).unwrap();
        let of = |rows: std::ops::Range<usize>, columns: std::ops::Range<usize>| {
            let cells: Vec<f32> = rows
                .flat_map(|r| columns.clone().map(move |c| (r, c)))
                .map(|(r, c)| at(&x, [0, r, c, 0]))
                .collect();
            cells.iter().sum::<f32>() / cells.len() as f32
        };
        assert!((at(&y, [0, 0, 0, 0]) - of(0..3, 0..2)).abs() < 1e-4);
        assert!((at(&y, [0, 1, 1, 0]) - of(2..5, 2..4)).abs() < 1e-4);
    }
}

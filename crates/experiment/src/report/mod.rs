//! The report of a run: what it shows is collected at the run's end, stored in `report.json`, and
//! drawn as `report.html` by `hgad_report`.

mod assemble;
mod collect;
mod deployed_maps;
mod gallery;
mod latents;
mod likelihoods;
mod principal;
mod store;

pub use collect::Collector;
pub use store::{render, write};

/// Which cells of an (h, w) grid over a mask (size, size) have a marked pixel, row-major; a normal
/// image has no mask.
fn marked_cells(mask: Option<&[bool]>, size: usize, h: usize, w: usize) -> Vec<bool> {
    let mut cells = vec![false; h * w];
    let Some(mask) = mask else { return cells };
    for (i, _) in mask.iter().enumerate().filter(|(_, marked)| **marked) {
        let (y, x) = (i / size, i % size);
        // Grids are coarser than masks as a rule; where not, the cell at a pixel's corner counts.
        cells[y * h / size * w + x * w / size] = true;
    }
    cells
}

/// `v` with four significant digits, so that what is stored is short.
fn short(v: f32) -> f32 {
    if v == 0.0 || !v.is_finite() {
        return v;
    }
    let unit = 10f64.powi(3 - (v.abs() as f64).log10().floor() as i32);
    ((v as f64 * unit).round() / unit) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_marked_by_any_pixel_in_it() {
        let mut mask = vec![false; 16];
        (mask[3], mask[9]) = (true, true);
        assert_eq!(marked_cells(Some(&mask), 4, 2, 2), [false, true, true, false]);
        assert_eq!(marked_cells(None, 4, 2, 2), [false; 4]);
        let fine = marked_cells(Some(&mask), 4, 8, 8);
        assert_eq!(fine.iter().filter(|c| **c).count(), 2);
    }

    #[test]
    fn four_digits() {
        assert_eq!(
            [short(1.23456), short(-0.00123456), short(98765.0)],
            [1.235, -0.001235, 98770.0]
        );
    }
}

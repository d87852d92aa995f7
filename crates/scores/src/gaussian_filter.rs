//! Gaussian filter of a plane, as SciPy's `gaussian_filter`.

/// `plane` (`height` x `width`, row-major) convolved with a Gaussian of standard deviation
/// `sigma` pixels, cut off at 4 sigma, borders reflected (`d c b a | a b c d | d c b a`). Sums in
/// f64, rounded to f32 after each axis, as SciPy does for f32 input. `sigma` 0 copies.
pub fn gaussian_filter(plane: &[f32], height: usize, width: usize, sigma: f64) -> Vec<f32> {
    assert_eq!(plane.len(), height * width, "a plane of {height}x{width}");
    if sigma <= 0.0 || plane.is_empty() {
        return plane.to_vec();
    }
    let radius = (4.0 * sigma + 0.5) as usize;
    let half: Vec<f64> = (0..=radius).map(|i| (-0.5 * (i as f64 / sigma).powi(2)).exp()).collect();
    let total = half[0] + 2.0 * half[1..].iter().sum::<f64>();
    let half: Vec<f64> = half.iter().map(|w| w / total).collect();

    // Down the columns a whole row at a time, so that both passes run along memory.
    let mut down = vec![0.0f32; plane.len()];
    let mut sum = vec![0.0f64; width];
    for (y, out) in down.chunks_exact_mut(width).enumerate() {
        let row = |i: isize| &plane[reflect(i, height) * width..][..width];
        sum.iter_mut().zip(row(y as isize)).for_each(|(s, v)| *s = half[0] * *v as f64);
        for (i, weight) in half.iter().enumerate().skip(1) {
            let (above, below) = (row(y as isize - i as isize), row((y + i) as isize));
            for ((s, a), b) in sum.iter_mut().zip(above).zip(below) {
                *s += weight * (*a as f64 + *b as f64);
            }
        }
        out.iter_mut().zip(&sum).for_each(|(o, s)| *o = *s as f32);
    }
    let mut out = vec![0.0f32; plane.len()];
    let mut padded = vec![0.0f64; width + 2 * radius];
    for (row, out) in down.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        for (i, p) in padded.iter_mut().enumerate() {
            *p = row[reflect(i as isize - radius as isize, width)] as f64;
        }
        sum.iter_mut().zip(&padded[radius..]).for_each(|(s, v)| *s = half[0] * v);
        for (i, weight) in half.iter().enumerate().skip(1) {
            let (left, right) = (&padded[radius - i..], &padded[radius + i..]);
            for ((s, a), b) in sum.iter_mut().zip(left).zip(right) {
                *s += weight * (a + b);
            }
        }
        out.iter_mut().zip(&sum).for_each(|(o, s)| *o = *s as f32);
    }
    out
}

/// The index inside `0..len` that position `i` mirrors to.
fn reflect(i: isize, len: usize) -> usize {
    let period = 2 * len as isize;
    let i = i.rem_euclid(period);
    (if i < len as isize { i } else { period - 1 - i }) as usize
}

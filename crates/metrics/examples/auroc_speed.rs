//! Times the pixel metrics on as many scores as a test set of one class has.

use std::time::Instant;

fn main() -> Result<(), hgad_metrics::MetricError> {
    let (images, side) = (82, 256);
    let mut state = 1u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    let masks: Vec<bool> =
        (0..images * side * side).map(|i| (i % side) < 48 && (i / side) % side < 48).collect();
    let scores: Vec<f32> = masks
        .iter()
        .map(|&m| (uniform() + uniform() + 0.5 * f32::from(u8::from(m))).exp())
        .collect();
    for _ in 0..3 {
        let start = Instant::now();
        let area = hgad_metrics::auroc(&scores, &masks)?;
        println!("AUROC {area:.4} of {} scores: {:.1?}", scores.len(), start.elapsed());
        let start = Instant::now();
        let area = hgad_metrics::aupro(&scores, &masks, side, side, 0.3)?;
        println!("AUPRO {area:.4} of {images} maps: {:.1?}", start.elapsed());
    }
    Ok(())
}

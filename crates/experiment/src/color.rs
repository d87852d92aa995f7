//! Colours of heat maps.

/// Dark violet over red and orange to pale yellow, for `v` from 0 to 1: stops of equal steps in
/// lightness, so that it also reads in grey.
pub fn heat(v: f32) -> [u8; 3] {
    const STOPS: [[f32; 3]; 6] = [
        [8.0, 6.0, 28.0],
        [66.0, 16.0, 96.0],
        [146.0, 38.0, 92.0],
        [218.0, 78.0, 56.0],
        [248.0, 158.0, 36.0],
        [252.0, 248.0, 178.0],
    ];
    let at = v.clamp(0.0, 1.0) * (STOPS.len() - 1) as f32;
    let i = (at as usize).min(STOPS.len() - 2);
    let f = at - i as f32;
    std::array::from_fn(|c| (STOPS[i][c] + f * (STOPS[i + 1][c] - STOPS[i][c])).round() as u8)
}

//! Panels of points and densities in one PNG.

use image::{Rgb, RgbImage};

/// Side of a panel in pixels.
pub const SIDE: u32 = 360;
/// White between panels.
const GAP: u32 = 12;
const BACKGROUND: Rgb<u8> = Rgb([255, 255, 255]);
const POINT: Rgb<u8> = Rgb([38, 84, 124]);
const CENTER: Rgb<u8> = Rgb([213, 94, 0]);

/// What a panel shows, in a square of `2 * reach` around the origin.
pub enum Panel {
    /// Points, and a few larger ones.
    Points(Vec<[f32; 2]>, Vec<[f32; 2]>, f32),
    /// `ln p` of every pixel of [`grid`], row-major.
    Density(Vec<f32>),
}

/// The point of every pixel of a panel, row-major from the top.
pub fn grid(reach: f32) -> Vec<[f32; 2]> {
    let at = |i: u32| reach * ((2 * i + 1) as f32 / SIDE as f32 - 1.0);
    (0..SIDE).flat_map(|row| (0..SIDE).map(move |column| [at(column), -at(row)])).collect()
}

/// Rows of panels.
pub fn draw(rows: &[Vec<Panel>]) -> RgbImage {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0) as u32;
    let span = |n: u32| n * SIDE + (n + 1) * GAP;
    let mut image = RgbImage::from_pixel(span(columns), span(rows.len() as u32), BACKGROUND);
    for (row, panels) in rows.iter().enumerate() {
        for (column, panel) in panels.iter().enumerate() {
            let corner = [column, row].map(|i| GAP + i as u32 * (SIDE + GAP));
            draw_panel(&mut image, corner, panel);
        }
    }
    image
}

fn draw_panel(image: &mut RgbImage, [left, top]: [u32; 2], panel: &Panel) {
    let mut put = |x: u32, y: u32, colour| image.put_pixel(left + x, top + y, colour);
    match panel {
        Panel::Density(log_p) => {
            for (i, log_p) in log_p.iter().enumerate() {
                put(i as u32 % SIDE, i as u32 / SIDE, shade(log_p.exp()));
            }
        }
        Panel::Points(points, centers, reach) => {
            (0..SIDE * SIDE).for_each(|i| put(i % SIDE, i / SIDE, Rgb([246, 247, 249])));
            let mut dot = |[x, y]: [f32; 2], radius: i32, colour| {
                let place = |v: f32| ((v / reach + 1.0) * 0.5 * SIDE as f32) as i32;
                for (dx, dy) in
                    (-radius..=radius).flat_map(|a| (-radius..=radius).map(move |b| (a, b)))
                {
                    let (x, y) = (place(x) + dx, place(-y) + dy);
                    let inside = (0..SIDE as i32).contains(&x) && (0..SIDE as i32).contains(&y);
                    if inside && dx * dx + dy * dy <= radius * radius {
                        put(x as u32, y as u32, colour);
                    }
                }
            };
            points.iter().for_each(|p| dot(*p, 1, POINT));
            centers.iter().for_each(|c| dot(*c, 5, CENTER));
        }
    }
}

/// From white over orange to dark red, for densities up to about 0.25.
fn shade(density: f32) -> Rgb<u8> {
    let t = (density / 0.25).clamp(0.0, 1.0).sqrt();
    let stops = [[255.0, 255.0, 255.0], [253.0, 187.0, 99.0], [179.0, 0.0, 38.0f32]];
    let (low, share) = if t < 0.5 { (0, 2.0 * t) } else { (1, 2.0 * t - 1.0) };
    let mix = |c: usize| stops[low][c] + share * (stops[low + 1][c] - stops[low][c]);
    Rgb([mix(0) as u8, mix(1) as u8, mix(2) as u8])
}

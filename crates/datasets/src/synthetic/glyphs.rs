//! A few letters as 5x7 dots, for prints on products.

use super::geometry::{Point, mix, smooth};

const ALPHABET: &[u8] = b"0123456789ACDGHRU";
/// Seven rows a letter, five bits a row, the highest bit on the left.
const DOTS: [[u8; 7]; 17] = [
    [14, 17, 19, 21, 25, 17, 14],
    [4, 12, 4, 4, 4, 4, 14],
    [14, 17, 1, 6, 8, 16, 31],
    [14, 17, 1, 6, 1, 17, 14],
    [2, 6, 10, 18, 31, 2, 2],
    [31, 16, 30, 1, 1, 17, 14],
    [6, 8, 16, 30, 17, 17, 14],
    [31, 1, 2, 4, 8, 8, 8],
    [14, 17, 17, 14, 17, 17, 14],
    [14, 17, 17, 15, 1, 2, 12],
    [14, 17, 17, 31, 17, 17, 17],
    [14, 17, 16, 16, 16, 17, 14],
    [30, 17, 17, 17, 17, 17, 30],
    [14, 17, 16, 23, 17, 17, 15],
    [17, 17, 17, 31, 17, 17, 17],
    [30, 17, 17, 30, 20, 18, 17],
    [17, 17, 17, 17, 17, 17, 14],
];

/// How much ink of `text` is at `p`, 0 to 1; the text is `height` high, centred at the origin.
pub(crate) fn ink(text: &[u8], p: Point, height: f32) -> f32 {
    let dot = height / 7.0;
    let columns = (text.len() * 6) as i32 - 1;
    let x = p[0] / dot + columns as f32 / 2.0 - 0.5;
    let y = p[1] / dot + 3.0;
    if x < -1.0 || y < -1.0 || x > columns as f32 || y > 7.0 {
        return 0.0;
    }
    let (i, j) = (x.floor(), y.floor());
    let (fx, fy) = (x - i, y - j);
    let at = |i: i32, j: i32| f32::from(u8::from(is_inked(text, i, j)));
    let (i, j) = (i as i32, j as i32);
    let top = mix(at(i, j), at(i + 1, j), fx);
    let bottom = mix(at(i, j + 1), at(i + 1, j + 1), fx);
    smooth(0.2, 0.75, mix(top, bottom, fy))
}

fn is_inked(text: &[u8], column: i32, row: i32) -> bool {
    if column < 0 || !(0..7).contains(&row) || column % 6 == 5 {
        return false;
    }
    let letter = text.get(column as usize / 6);
    let index = letter.and_then(|l| ALPHABET.iter().position(|a| a == l));
    index.is_some_and(|k| (DOTS[k][row as usize] >> (4 - column % 6)) & 1 == 1)
}

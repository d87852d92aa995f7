//! Rows of an image side by side, so that sums along rows vectorise over them.

/// Rows at once.
pub(crate) const ROWS: usize = 16;
/// Bytes of a row that are turned at once.
const PART: usize = 64;
/// Turned ahead of what is asked for, in bytes of a row: with it, a strip stays in the first cache.
const AHEAD: usize = 4 * PART;

/// One byte of each row. A line of the cache, so that no vector reaches from one into another.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Column(pub(crate) [f32; ROWS]);

/// The columns of a strip that moves along up to [`ROWS`] rows.
pub(crate) struct Columns {
    strip: Vec<Column>,
    /// Where in a row the strip starts.
    start: usize,
    filled: usize,
    /// How many are asked for at once.
    span: usize,
    bytes: [[u8; PART]; ROWS],
    turned: [[u8; ROWS]; PART],
}

impl Columns {
    /// For windows of `span` bytes of a row.
    pub(crate) fn new(span: usize) -> Self {
        Self {
            strip: vec![Column([0.0; ROWS]); span + AHEAD],
            start: 0,
            filled: 0,
            span,
            bytes: [[0; PART]; ROWS],
            turned: [[0; ROWS]; PART],
        }
    }

    /// Back to byte `start` of other rows.
    pub(crate) fn restart(&mut self, start: usize) {
        (self.start, self.filled) = (start, 0);
    }

    /// The columns from byte `from` of `rows` (of `line` bytes) on, which never goes back; what is past
    /// the rows is any level.
    #[inline(always)]
    pub(crate) fn window(&mut self, rows: &[u8], line: usize, from: usize) -> &[Column] {
        if from + self.span > self.start + self.filled {
            self.advance(rows, line, from);
        }
        &self.strip[from - self.start..][..self.span]
    }

    #[inline(always)]
    fn advance(&mut self, rows: &[u8], line: usize, from: usize) {
        let kept = self.filled.saturating_sub(from - self.start);
        self.strip.copy_within(self.filled - kept..self.filled, 0);
        (self.start, self.filled) = (from, kept);
        while self.filled + PART <= self.strip.len() {
            let at = self.start + self.filled;
            for (to, row) in self.bytes.iter_mut().zip(rows.chunks_exact(line)) {
                let row = &row[at.min(line)..];
                match row.first_chunk() {
                    Some(whole) => *to = *whole,
                    None => to[..row.len()].copy_from_slice(row),
                }
            }
            turn(&self.bytes, &mut self.turned);
            for (column, bytes) in self.strip[self.filled..].iter_mut().zip(&self.turned) {
                column.0 = bytes.map(f32::from);
            }
            self.filled += PART;
        }
    }
}

/// Rows to columns: four rows to numbers of four bytes, and those of all rows side by side.
#[inline(always)]
pub(crate) fn turn<const N: usize>(rows: &[[u8; N]; ROWS], columns: &mut [[u8; ROWS]; N]) {
    let mut fours = [[0u32; N]; ROWS / 4];
    for (four, rows) in fours.iter_mut().zip(rows.as_chunks::<4>().0) {
        for (i, four) in four.iter_mut().enumerate() {
            let [a, b, c, d] = [rows[0][i], rows[1][i], rows[2][i], rows[3][i]].map(u32::from);
            *four = a | b << 8 | c << 16 | d << 24;
        }
    }
    for (i, column) in columns.iter_mut().enumerate() {
        let bytes = column.as_chunks_mut().0;
        // Not a loop: only so are whole vectors of numbers woven together.
        bytes[0] = fours[0][i].to_le_bytes();
        bytes[1] = fours[1][i].to_le_bytes();
        bytes[2] = fours[2][i].to_le_bytes();
        bytes[3] = fours[3][i].to_le_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_of_rows_that_end_anywhere() {
        for (rows, line, span, step) in
            [(16, 700, 9, 7), (5, 64, 75, 3), (1, 3, 3, 1), (16, 200, 300, 9), (9, 990, 5, 310)]
        {
            let bytes: Vec<u8> = (0..rows * line).map(|i| (i * i % 251) as u8).collect();
            let mut columns = Columns::new(span);
            for start in [0, 1] {
                columns.restart(start);
                for from in (start..line).step_by(step) {
                    for (i, column) in columns.window(&bytes, line, from).iter().enumerate() {
                        for row in (0..rows).filter(|_| from + i < line) {
                            let byte = bytes[row * line + from + i];
                            assert_eq!(column.0[row], f32::from(byte), "{row} {from} {i}");
                        }
                    }
                }
            }
        }
    }
}

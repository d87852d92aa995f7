//! Training of a stack of coupling blocks on a device, forward and backward: matrix products, and
//! the kernels of `shared/stack.h` between them.
//!
//! Rows are image by image. What a first layer makes of the position is a product a row and a column
//! of the grid (see [`crate::PositionCode`]), added by the kernel that rectifies; its gradient sums over
//! the images, then over rows and columns, before any product.

use super::{Launch, Trains, exactly, fewer_rows};
use crate::coupling_stack::StackSize;
use candle_core::Result;

/// A product `C (+)= A B` of matrices in buffers, row-major.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product {
    /// Rows and columns of C, and the length of the sums.
    pub(crate) size: (usize, usize, usize),
    pub(crate) a: Operand,
    pub(crate) b: Operand,
    pub(crate) out: Operand,
    /// Adds to what stands in C.
    pub(crate) accumulate: bool,
}

/// Where the matrix of a product is in its buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operand {
    pub(crate) offset: usize,
    /// From one stored row to the next.
    pub(crate) stride: usize,
    /// Stored the other way round.
    pub(crate) transposed: bool,
}

impl Operand {
    fn rows(stride: usize) -> Self {
        Self { offset: 0, stride, transposed: false }
    }

    fn transposed(self) -> Self {
        Self { transposed: true, ..self }
    }

    fn from(self, offset: usize) -> Self {
        Self { offset, ..self }
    }

    /// Where a matrix of that shape ends.
    pub(crate) fn end(&self, (rows, columns): (usize, usize)) -> usize {
        let (rows, columns) = if self.transposed { (columns, rows) } else { (rows, columns) };
        self.offset + (rows - 1) * self.stride + columns
    }
}

/// Parameters of a block of a stack, `f32` and contiguous, in buffers `B`.
#[derive(Clone, Debug)]
pub struct Block<B> {
    /// First layer (hidden, D - D/2 + K).
    pub w1: B,
    /// Its bias (hidden).
    pub b1: B,
    /// Second layer (2 (D/2), hidden).
    pub w2: B,
    /// Its bias.
    pub b2: B,
    /// Raw gain of the global affine map (D), `g = 0.2 softplus(raw / 2)`.
    pub scale: B,
    /// Its offset (D).
    pub offset: B,
    /// Rotation (D, D).
    pub rotation: B,
}

/// The positions' code, in one or two parts: the rows of all of them, (rows, K), and rows and run of each.
/// Position `p` has row `p / run % rows` of a part.
pub(crate) struct Code<B> {
    pub(crate) codes: B,
    pub(crate) parts: Vec<(usize, usize)>,
}

/// A stack in training: buffers of a step.
pub(crate) struct Stack<B> {
    size: StackSize,
    code: Option<Code<B>>,
    blocks: Vec<Prepared<B>>,
    chunk: Chunk,
    saved: Vec<Saved<B>>,
    gradients: Vec<Gradients<B>>,
    /// Sum of the log-determinants' gradients (1).
    log_det: Option<B>,
}

/// Images, the first position and how many of each.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Chunk {
    pub(crate) images: usize,
    pub(crate) first: usize,
    pub(crate) count: usize,
}

impl Chunk {
    fn rows(&self) -> usize {
        self.images * self.count
    }
}

/// A block with what is made of its parameters once a step.
struct Prepared<B> {
    weights: Block<B>,
    /// (2, D): gain, then offset.
    affine: B,
    /// (1): sum of the gains' logarithms.
    log_gain: B,
    /// The product of the code with the first layer, (rows, hidden).
    code: Option<B>,
}

/// What a block's gradient needs of a chunk.
struct Saved<B> {
    x: B,
    hidden: B,
    /// The subnet's output, without its bias.
    a: B,
}

/// Gradients that add up over chunks.
struct Gradients<B> {
    w1: B,
    w2: B,
    /// Gain and offset (2, D), then the second layer's bias.
    sums: B,
    /// Of what the code adds to the first layer, (rows, hidden).
    code: B,
}

/// Gradients of a block's parameters, in the order of [`Block`].
pub(crate) struct BlockGradients<B> {
    pub(crate) w1: B,
    pub(crate) b1: B,
    pub(crate) w2: B,
    /// Begins after `2 D` other numbers.
    pub(crate) b2: B,
    pub(crate) scale: B,
    pub(crate) offset: B,
}

impl<B> Stack<B> {
    pub(crate) fn new(size: StackSize, code: Option<Code<B>>) -> Self {
        let chunk = Chunk::default();
        let (blocks, saved, gradients) = (Vec::new(), Vec::new(), Vec::new());
        Self { size, code, blocks, chunk, saved, gradients, log_det: None }
    }

    /// Rows and run of two parts, of which the second may have no rows. Without a code the first is there
    /// to add up the positions by.
    fn parts(&self) -> [(usize, usize); 2] {
        let parts = self.code.as_ref().map_or(&[(64, 1)][..], |c| &c.parts);
        [parts[0], parts.get(1).copied().unwrap_or((0, 1))]
    }

    /// Begins a step with these parameters: gradients are 0.
    pub(crate) fn begin<M: Trains<Buffer = B>>(
        &mut self,
        machine: &M,
        blocks: Vec<Block<B>>,
    ) -> Result<()> {
        let (d, h) = (self.size.dim, self.size.hidden);
        (self.log_det, self.gradients) = (None, Vec::new());
        let prepare = |weights: Block<B>| {
            let map = Launch::warps("affine_map", 1).outputs(&[2 * d, 1]).uints(&[d]);
            let outputs = machine.launch(&map, &[&weights.scale, &weights.offset])?;
            let [affine, log_gain] = exactly(outputs)?;
            let of_code = Operand::rows(self.size.input()).transposed().from(self.size.first());
            let product = |code: &Code<B>| {
                let size = (code.parts.iter().map(|p| p.0).sum(), h, self.size.condition);
                let codes = (&code.codes, Operand::rows(self.size.condition));
                product(machine, size, codes, (&weights.w1, of_code))
            };
            let code = self.code.as_ref().map(product).transpose()?;
            Ok(Prepared { weights, affine, log_gain, code })
        };
        self.blocks = blocks.into_iter().map(prepare).collect::<Result<_>>()?;
        Ok(())
    }

    /// Latents and log-determinants of a chunk's vectors `x` (rows, D), which begins a block.
    pub(crate) fn forward<M: Trains<Buffer = B>>(
        &mut self,
        machine: &M,
        x: B,
        chunk: Chunk,
    ) -> Result<(B, B)> {
        let (d, h, h2) = (self.size.dim, self.size.hidden, 2 * self.size.half());
        let n = chunk.rows();
        (self.chunk, self.saved) = (chunk, Vec::with_capacity(self.blocks.len()));
        let (mut x, mut log_det) = (x, None);
        for block in &self.blocks {
            let w = &block.weights;
            let first = Operand::rows(self.size.input()).transposed();
            let size = (n, h, self.size.first());
            let pre = product(machine, size, (&x, Operand::rows(d)), (&w.w1, first))?;
            let hidden = self.hidden(machine, block, &pre)?;
            drop(pre);
            let second = Operand::rows(h).transposed();
            let of_hidden = (&hidden, Operand::rows(h));
            let a = product(machine, (n, h2, h), of_hidden, (&w.w2, second))?;
            let launch = Launch::warps("coupling_block", n)
                .outputs(&[n * d, n])
                .uints(&[n, d, self.size.half(), log_det.is_some().into()])
                .float(self.size.clamp);
            let before = log_det.as_ref().unwrap_or(&block.log_gain);
            let inputs = [&x, &a, &w.b2, &block.affine, &block.log_gain, before];
            let [y, sum] = exactly(machine.launch(&launch, &inputs)?)?;
            log_det = Some(sum);
            let rotation = Operand::rows(d).transposed();
            let z = product(machine, (n, d, d), (&y, Operand::rows(d)), (&w.rotation, rotation))?;
            self.saved.push(Saved { x, hidden, a });
            x = z;
        }
        match log_det {
            Some(log_det) => Ok((x, log_det)),
            None => candle_core::bail!("a stack without blocks"),
        }
    }

    /// The rectified first layer.
    fn hidden<M: Trains<Buffer = B>>(
        &self,
        machine: &M,
        block: &Prepared<B>,
        pre: &B,
    ) -> Result<B> {
        let (h, n) = (self.size.hidden, self.chunk.rows());
        let [(rows1, run1), (rows2, run2)] = self.parts();
        let parts = self.code.as_ref().map_or(0, |c| c.parts.len());
        let launch = Launch::warps("hidden", n)
            .outputs(&[n * h])
            .uints(&[n, h, self.chunk.first, self.chunk.count, parts])
            .uints(&[rows1, run1, rows2.max(1), run2]);
        let bias = &block.weights.b1;
        let code = block.code.as_ref().unwrap_or(bias);
        let [hidden] = exactly(machine.launch(&launch, &[pre, bias, code])?)?;
        Ok(hidden)
    }

    /// Adds the gradients of the last chunk from those of its latents and log-determinants (rows),
    /// whose sum is `total` (1).
    pub(crate) fn backward<M: Trains<Buffer = B>>(
        &mut self,
        machine: &M,
        dz: B,
        log_det: &B,
        total: B,
    ) -> Result<()> {
        let (d, h, half) = (self.size.dim, self.size.hidden, self.size.half());
        let (n, h2, first) = (self.chunk.rows(), 2 * half, self.size.first());
        let (add, parts) = (!self.gradients.is_empty(), self.parts());
        match &mut self.log_det {
            Some(sum) => add_into(machine, &total, sum, (1, 1), true)?,
            None => self.log_det = Some(total),
        }
        if !add {
            let blocks = self.blocks.iter();
            self.gradients =
                blocks.map(|b| self.blank(machine, &b.weights.w1)).collect::<Result<_>>()?;
        }
        let (mut dz, saved) = (dz, std::mem::take(&mut self.saved));
        for (k, saved) in saved.into_iter().enumerate().rev() {
            let Prepared { weights: w, affine, .. } = &self.blocks[k];
            let of_rows = |width| Operand::rows(width);
            let dy = product(machine, (n, d, d), (&dz, of_rows(d)), (&w.rotation, of_rows(d)))?;
            let tile = (n * d).div_ceil(1 << 17).clamp(4, 32);
            let tiles = n.div_ceil(tile);
            let launch = Launch::each("coupling_block_gradient", tiles * d)
                .outputs(&[n * d, n * h2, tiles * (2 * d + h2)])
                .uints(&[n, d, half, tile])
                .float(self.size.clamp);
            let inputs = [&saved.x, &saved.a, &w.b2, affine, &dy, log_det];
            let [mut dx, da, sums] = exactly(machine.launch(&launch, &inputs)?)?;
            drop(dy);
            let (sums, tiles) = fewer_rows(machine, sums, (tiles, 2 * d + h2), super::TILE)?;
            let to = &mut self.gradients[k];
            add_into(machine, &sums, &mut to.sums, (tiles, 2 * d + h2), add)?;

            let over_rows = |size, a, b, out| Product { size, a, b, out, accumulate: add };
            let columns = |width| Operand::rows(width).transposed();
            let of_w2 = over_rows((h2, h, n), columns(h2), of_rows(h), of_rows(h));
            machine.product(&of_w2, &da, &saved.hidden, &mut to.w2)?;
            let dhidden = product(machine, (n, h, h2), (&da, of_rows(h2)), (&w.w2, of_rows(h)))?;
            let launch = Launch::each("hidden_gradient", self.chunk.count * h)
                .outputs(&[n * h, self.chunk.count * h])
                .uints(&[self.chunk.images, self.chunk.count, h]);
            let [dpre, positions] = exactly(machine.launch(&launch, &[&dhidden, &saved.hidden])?)?;
            drop(dhidden);
            let [(rows1, run1), (rows2, run2)] = parts;
            let launch = Launch::each("sum_positions", (rows1 + rows2) * h)
                .uints(&[h, self.chunk.first, self.chunk.count, rows1, run1, rows2, run2])
                .uints(&[add.into()]);
            machine.update(&launch, &[&positions], &mut [&mut to.code])?;
            let input = self.size.input();
            let of_w1 = over_rows((h, first, n), columns(h), of_rows(d), of_rows(input));
            machine.product(&of_w1, &dpre, &saved.x, &mut to.w1)?;
            let (a, b, out) = (of_rows(h), of_rows(input), of_rows(d));
            let back = Product { size: (n, first, h), a, b, out, accumulate: true };
            machine.product(&back, &dpre, &w.w1, &mut dx)?;
            dz = dx;
        }
        Ok(())
    }

    /// The gradients of every block, which are spent then.
    pub(crate) fn gradients<M: Trains<Buffer = B>>(
        &mut self,
        machine: &M,
    ) -> Result<Vec<BlockGradients<B>>> {
        let (d, h, k) = (self.size.dim, self.size.hidden, self.size.condition);
        let Some(log_det) = self.log_det.take() else { return Ok(Vec::new()) };
        let blocks = self.blocks.iter().zip(std::mem::take(&mut self.gradients));
        let finish = |(block, mut g): (&Prepared<B>, Gradients<B>)| {
            let [(rows1, _), (rows2, _)] = self.parts();
            if let Some(code) = &self.code {
                let of_code = Product {
                    size: (h, k, rows1 + rows2),
                    a: Operand::rows(h).transposed(),
                    b: Operand::rows(k),
                    out: Operand::rows(self.size.input()).from(self.size.first()),
                    accumulate: false,
                };
                machine.product(&of_code, &g.code, &code.codes, &mut g.w1)?;
            }
            // Every position is in one row of the first part.
            let mut b1 = machine.blank(&g.code, h)?;
            add_into(machine, &g.code, &mut b1, (rows1, h), false)?;
            let launch = Launch::each("affine_map_gradient", d).outputs(&[d, d]).uints(&[d]);
            let inputs = [&block.weights.scale, &block.affine, &g.sums, &log_det];
            let [scale, offset] = exactly(machine.launch(&launch, &inputs)?)?;
            Ok(BlockGradients { w1: g.w1, b1, w2: g.w2, b2: g.sums, scale, offset })
        };
        blocks.map(finish).collect()
    }

    /// Buffers of a block's gradients, with anything in them.
    fn blank<M: Trains<Buffer = B>>(&self, machine: &M, like: &B) -> Result<Gradients<B>> {
        let [w1, _, w2, b2, affine] = self.size.lengths();
        let blank = |length| machine.blank(like, length);
        let rows: usize = self.parts().iter().map(|p| p.0).sum();
        Ok(Gradients {
            w1: blank(w1)?,
            w2: blank(w2)?,
            sums: blank(affine + b2)?,
            code: blank(rows * self.size.hidden)?,
        })
    }
}

/// A B, in a new buffer.
fn product<M: Trains>(
    machine: &M,
    size: (usize, usize, usize),
    (a, of_a): (&M::Buffer, Operand),
    (b, of_b): (&M::Buffer, Operand),
) -> Result<M::Buffer> {
    let (rows, columns, _) = size;
    let mut out = machine.blank(a, rows * columns)?;
    let out_of = Operand::rows(columns);
    let product = Product { size, a: of_a, b: of_b, out: out_of, accumulate: false };
    machine.product(&product, a, b, &mut out)?;
    Ok(out)
}

/// The sums of the columns of x (rows, cols), to what stands in `out` where `add` is set.
fn add_into<M: Trains>(
    machine: &M,
    x: &M::Buffer,
    out: &mut M::Buffer,
    (rows, cols): (usize, usize),
    add: bool,
) -> Result<()> {
    let launch = Launch::each("sum_rows_into", cols).uints(&[rows, cols, add.into()]);
    machine.update(&launch, &[x], &mut [out])
}

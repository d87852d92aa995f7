//! Kernels of training: coupling blocks and Adam.
//! `cargo bench -p hgad-kernels --bench training`.

use candle_core::{Device, Tensor};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use hgad_kernels::{AdamConfig, BlockWeights, PositionCode, StackSize, StackWorkspace, adam_step};

fn main() {
    divan::main();
}

const CONDITION: usize = 256;
const IMAGES: usize = 8;
/// With 8 images the rows of one tile.
const POSITIONS: usize = 16;

/// Small numbers, none of them 0.
fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 % 1013) as f32 - 506.5) * 1e-4).collect()
}

/// One block and a tile of features.
struct Tile {
    size: StackSize,
    parts: [Vec<f32>; 5],
    maps: Vec<f32>,
    code: Vec<f32>,
}

impl Tile {
    fn new(dim: usize) -> Self {
        let (half, first) = (dim / 2, dim - dim / 2);
        let hidden = 2 * (first + CONDITION);
        let lengths =
            [hidden * (first + CONDITION), hidden, 2 * half * hidden, 2 * half, dim * dim];
        Self {
            size: StackSize { dim, hidden, condition: CONDITION, clamp: 1.9 },
            parts: lengths.map(numbers),
            maps: numbers(IMAGES * POSITIONS * dim),
            code: numbers(POSITIONS * CONDITION),
        }
    }

    fn weights(&self) -> BlockWeights<'_> {
        let [w1, b1, w2, b2, rotation] = &self.parts;
        let affine = vec![0.5; 2 * self.size.dim];
        BlockWeights { w1, b1, w2, b2, affine, rotation }
    }

    fn stack(&self) -> StackWorkspace {
        let code = PositionCode::new(&self.code, CONDITION);
        StackWorkspace::new(self.size, &[self.weights()], Some(code))
    }

    fn maps(&self) -> Vec<&[f32]> {
        self.maps.chunks_exact(POSITIONS * self.size.dim).collect()
    }
}

#[divan::bench(args = [112, 200])]
fn coupling_forward(bencher: Bencher, dim: usize) {
    let tile = Tile::new(dim);
    let (mut stack, maps) = (tile.stack(), tile.maps());
    bencher
        .counter(ItemsCount::new(IMAGES * POSITIONS))
        .bench_local(|| stack.forward(black_box(&maps), (0, POSITIONS)));
}

#[divan::bench(args = [112, 200])]
fn coupling_forward_and_backward(bencher: Bencher, dim: usize) {
    let tile = Tile::new(dim);
    let (mut stack, maps) = (tile.stack(), tile.maps());
    bencher.counter(ItemsCount::new(IMAGES * POSITIONS)).bench_local(|| {
        // The gradients take the latents' shapes; their values cost nothing.
        let (z, log_det) = stack.forward(black_box(&maps), (0, POSITIONS));
        stack.backward(IMAGES, (0, POSITIONS), &z, &log_det);
    });
}

/// Parameters: a block's first layer, and a flow of 12 blocks.
#[divan::bench(args = [356 * 712, 12 * (356 * 712 + 200 * 712)])]
fn adam(bencher: Bencher, count: usize) {
    let parameter = Tensor::from_vec(numbers(count), count, &Device::Cpu).expect("a vector");
    let (gradient, mut mean, mut square) = (numbers(count), vec![0.0; count], vec![0.0; count]);
    let config = AdamConfig { rate: 1e-4, betas: (0.95, 0.99), epsilon: 1e-8, decay: 1e-4 };
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        adam_step(&parameter, black_box(&gradient), (&mut mean, &mut square), 1, &config)
    });
}

//! Kernels of frozen networks at sizes of EfficientNet-B6 and ResNet-18:
//! `cargo bench -p hgad-kernels --bench networks`.

use candle_core::{Device, Result, Tensor};
use divan::{Bencher, black_box};
use hgad_kernels::{
    Activation, Conv2d, Conv2dConfig, Padding, SqueezeExcite, resize_bilinear, squeeze_excite,
};

fn main() {
    divan::main();
}

fn drawn(shape: &[usize]) -> Result<Tensor> {
    Tensor::rand(-1f32, 1.0, shape, &Device::Cpu)
}

/// A kernel of `side` pixels over a square map of `map` pixels.
fn convolution(
    bencher: Bencher,
    (map, input, output): (usize, usize, usize),
    (side, stride, groups): (usize, usize, usize),
) {
    let activation = Activation::Silu;
    let config = Conv2dConfig { stride, padding: Padding::Same, groups, activation };
    let build = || -> Result<(Conv2d, Tensor)> {
        let weight = drawn(&[output, input / groups, side, side])?;
        Ok((Conv2d::new(&weight, &drawn(&[output])?, config)?, drawn(&[1, map, map, input])?))
    };
    let (layer, x) = build().expect("shapes that fit");
    bencher.bench_local(|| layer.forward(black_box(&x), None));
}

/// Side of the kernel and stride.
#[divan::bench(args = [(3, 1), (3, 2), (5, 1), (5, 2)])]
fn depthwise_240_at_64(bencher: Bencher, (side, stride): (usize, usize)) {
    convolution(bencher, (64, 240, 240), (side, stride, 240));
}

/// Side of the map, channels in and out: an expansion and a projection.
#[divan::bench(args = [(64, 40, 240), (64, 240, 40), (32, 864, 144)])]
fn pointwise(bencher: Bencher, size: (usize, usize, usize)) {
    convolution(bencher, size, (1, 1, 1));
}

/// Side of the map and channels in and out.
#[divan::bench(args = [(64, 64), (32, 128), (16, 256)])]
fn dense_3x3(bencher: Bencher, (map, channels): (usize, usize)) {
    convolution(bencher, (map, channels, channels), (3, 1, 1));
}

/// Side of the map and channels.
#[divan::bench(args = [(64, 240), (32, 864)])]
fn squeeze_and_excitation(bencher: Bencher, (map, channels): (usize, usize)) {
    let reduced = channels / 24;
    let build = || -> Result<(SqueezeExcite, Tensor)> {
        let block = SqueezeExcite {
            reduce: drawn(&[reduced, channels])?,
            reduce_bias: drawn(&[reduced])?,
            expand: drawn(&[channels, reduced])?,
            expand_bias: drawn(&[channels])?,
            activation: Activation::Silu,
        };
        Ok((block, drawn(&[1, map, map, channels])?))
    };
    let (block, x) = build().expect("shapes that fit");
    bencher.bench_local(|| squeeze_excite(black_box(&x), &block));
}

/// The image pyramid's second level.
#[divan::bench]
fn halve_512(bencher: Bencher) {
    let x = drawn(&[1, 512, 512, 3]).expect("a shape");
    bencher.bench_local(|| resize_bilinear(black_box(&x), 256, 256));
}

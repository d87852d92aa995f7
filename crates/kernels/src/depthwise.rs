//! Depthwise convolution on channels-last maps, alone or right behind the pointwise convolution
//! that widens its input.
//!
//! A task takes some rows of an image and some channels. The rows of its input are kept, with zeros
//! at both ends, in a ring as high as the window, small enough for the cache; with a pointwise
//! convolution before it they are made there, and the widened map is never written to memory.

use crate::activation::Activation;
use crate::im2col::Window;
use crate::isa::{Isa, dispatch};
use crate::matrix::Matrix;
use crate::packed::{Group, Packed};
use crate::product::{Epilogue, product_raw};
use crate::simd::{Vector, opaque, prefetch};
use rayon::prelude::*;
use std::cell::RefCell;
use std::ops::Range;

/// Weights of a depthwise convolution, channels padded with zeros to whole vectors.
#[derive(Clone, Debug)]
pub(crate) struct DepthwiseWeights {
    /// (padded C / PAD, KH * KW, PAD)
    taps: Vec<f32>,
    bias: Vec<f32>,
}

/// Channels are padded to a multiple of the longest vector, which is a cache line.
const PAD: usize = 16;

impl DepthwiseWeights {
    /// `taps` (KH * KW, C), `bias` (C).
    pub(crate) fn new(taps: &[f32], bias: &[f32]) -> Self {
        let channels = bias.len();
        let count = taps.len() / channels.max(1);
        let mut own = Self { taps: Vec::new(), bias: bias.to_vec() };
        own.bias.resize(channels.next_multiple_of(PAD), 0.0);
        own.taps.resize(own.bias.len() * count, 0.0);
        for (t, row) in taps.chunks_exact(channels.max(1)).enumerate() {
            row.iter().enumerate().for_each(|(c, tap)| own.taps[at(c, count) + t * PAD] = *tap);
        }
        own
    }
}

/// Where the taps of channel `c` begin, `count` of them a channel; the next is [`PAD`] further.
fn at(c: usize, count: usize) -> usize {
    c / PAD * PAD * count + c % PAD
}

/// A pointwise convolution whose output the depthwise one reads.
#[derive(Clone, Copy)]
pub(crate) struct Widening<'a> {
    /// (C_in, C)
    pub(crate) weights: &'a Packed,
    pub(crate) bias: &'a [f32],
    pub(crate) activation: Activation,
}

/// What a depthwise convolution works on.
pub(crate) struct Depthwise<'a> {
    /// The map, (B, H, W, C), or (B, H, W, C_in) before `widening`.
    pub(crate) x: &'a [f32],
    pub(crate) widening: Option<Widening<'a>>,
    pub(crate) weights: &'a DepthwiseWeights,
    pub(crate) residual: Option<&'a [f32]>,
    pub(crate) activation: Activation,
    /// Its geometry; channels are those of the depthwise convolution.
    pub(crate) window: Window,
}

/// Bytes of a ring: rows of a few channels stay in the second level of the cache.
const RING: usize = 192 << 10;
/// Tasks a thread should find, so that none waits long for the last one.
const TASKS: usize = 4;

/// The part of the output that a task makes.
struct Task {
    image: usize,
    rows: Range<usize>,
    group: usize,
}

/// Channels that go together: panels of the widening, if there is one.
struct Channels {
    range: Range<usize>,
    panels: Option<Group>,
}

impl Depthwise<'_> {
    /// The output (B, H', W', C), and the sum over its positions (B, C) if `with_sums`.
    pub(crate) fn run(&self, with_sums: bool) -> (Vec<f32>, Vec<f32>) {
        let w = &self.window;
        let total = w.batch * w.out_height * w.out_width * w.channels;
        let mut out: Vec<f32> = Vec::with_capacity(total);
        let groups = self.groups();
        let tasks = self.tasks(groups.len());
        let target = Output(out.as_mut_ptr());
        let sums: Vec<Vec<f32>> = tasks
            .par_iter()
            .map(|task| self.make(task, &groups[task.group], &target, with_sums))
            .collect();
        // SAFETY: tasks cover every row of every image for every group of channels, and groups
        // cover the channels.
        unsafe { out.set_len(total) };
        let mut of_images = vec![0.0; if with_sums { w.batch * w.channels } else { 0 }];
        // Row by row in their order, so that sums depend on neither tasks nor threads.
        for (task, sums) in tasks.iter().zip(&sums) {
            let channels = &groups[task.group].range;
            let at = task.image * w.channels + channels.start;
            for row in sums.chunks_exact(channels.len().next_multiple_of(PAD)) {
                let of_image = &mut of_images[at..at + channels.len()];
                of_image.iter_mut().zip(row).for_each(|(a, b)| *a += b);
            }
        }
        (out, of_images)
    }

    /// Width of a row of the ring, with the zeros at its ends.
    fn padded_width(&self) -> usize {
        let w = &self.window;
        let reach = w.out_width.saturating_sub(1) * w.stride + w.kernel.1;
        reach.max(w.left + w.width)
    }

    fn groups(&self) -> Vec<Channels> {
        let w = &self.window;
        let pixel = w.kernel.0 * self.padded_width() * size_of::<f32>();
        let fit = (RING / pixel.max(1)).max(1);
        match &self.widening {
            Some(widening) => widening
                .weights
                .groups(fit)
                .into_iter()
                .map(|g| Channels { range: g.columns.clone(), panels: Some(g) })
                .collect(),
            None => {
                let width = fit.next_multiple_of(PAD);
                (0..w.channels)
                    .step_by(width)
                    .map(|c| Channels { range: c..(c + width).min(w.channels), panels: None })
                    .collect()
            }
        }
    }

    fn tasks(&self, groups: usize) -> Vec<Task> {
        let w = &self.window;
        let wanted = TASKS * rayon::current_num_threads();
        // Rows at a border between bands are made twice, so bands are not too low.
        let most = (w.out_height / (2 * w.kernel.0)).max(1);
        let bands = wanted.div_ceil((w.batch * groups).max(1)).min(most);
        let mut tasks = Vec::with_capacity(w.batch * bands * groups);
        for image in 0..w.batch {
            for band in 0..bands {
                let edge = |i: usize| i * w.out_height / bands;
                for group in 0..groups {
                    tasks.push(Task { image, rows: edge(band)..edge(band + 1), group });
                }
            }
        }
        tasks
    }

    fn make(&self, task: &Task, channels: &Channels, target: &Output, with_sums: bool) -> Vec<f32> {
        thread_local! {
            static RING_MEMORY: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
        }
        let w = &self.window;
        let count = channels.range.len();
        let padded = count.next_multiple_of(PAD);
        let row_len = self.padded_width() * padded;
        // For every row of the task (rows, padded channels).
        let mut sums = vec![0.0; if with_sums { task.rows.len() * padded } else { 0 }];
        RING_MEMORY.with_borrow_mut(|ring| {
            // One row more, of zeros, stands for those beyond the image.
            ring.clear();
            ring.resize((w.kernel.0 + 1) * row_len, 0.0);
            let first = (task.rows.start * w.stride).saturating_sub(w.top);
            let mut next = first;
            for (row, oh) in task.rows.clone().enumerate() {
                let of_row = row * padded..(row + 1) * padded;
                let sums = sums.get_mut(of_row).unwrap_or_default();
                let top = (oh * w.stride) as isize - w.top as isize;
                let end = (top + w.kernel.0 as isize).clamp(0, w.height as isize) as usize;
                while next < end {
                    let slot = &mut ring[next % w.kernel.0 * row_len..][..row_len];
                    self.input_row(task.image, next, channels, padded, slot);
                    next += 1;
                }
                let rows: Vec<&[f32]> = (0..w.kernel.0)
                    .map(|i| match usize::try_from(top + i as isize) {
                        Ok(y) if y < w.height => &ring[y % w.kernel.0 * row_len..][..row_len],
                        _ => &ring[w.kernel.0 * row_len..],
                    })
                    .collect();
                let at = ((task.image * w.out_height + oh) * w.out_width) * w.channels
                    + channels.range.start;
                let row = Row {
                    rows: &rows,
                    weights: self.weights,
                    first: channels.range.start,
                    residual: self.residual.map(|r| &r[at..]),
                    activation: self.activation,
                    channels: count,
                    pixel: padded,
                    width: w.out_width,
                    out_stride: w.channels,
                    kernel: w.kernel.1,
                    stride: w.stride,
                };
                // SAFETY: this task alone writes these channels of this row, within the output.
                output_row(&row, target.0.wrapping_add(at), sums);
            }
        });
        sums
    }

    /// Row `y` of the input of the depthwise convolution into a slot of the ring.
    fn input_row(
        &self,
        image: usize,
        y: usize,
        channels: &Channels,
        pixel: usize,
        slot: &mut [f32],
    ) {
        let w = &self.window;
        let slot = &mut slot[w.left * pixel..][..w.width * pixel];
        let row = image * w.height + y;
        match (&self.widening, &channels.panels) {
            (Some(widening), Some(group)) => {
                let k = widening.weights.inner();
                let x = &self.x[row * w.width * k..][..w.width * k];
                let then = Epilogue {
                    bias: Some(&widening.bias[channels.range.clone()]),
                    activation: widening.activation,
                    ..Epilogue::NONE
                };
                let x = Matrix::rows(x, w.width, k, k);
                // SAFETY: the slot holds `width` pixels of at least as many channels as the group.
                unsafe { product_raw(slot.as_mut_ptr(), pixel, x, widening.weights, group, &then) }
            }
            _ => {
                let x = &self.x[row * w.width * w.channels..][..w.width * w.channels];
                for (slot, x) in slot.chunks_exact_mut(pixel).zip(x.chunks_exact(w.channels)) {
                    slot[..channels.range.len()].copy_from_slice(&x[channels.range.clone()]);
                }
            }
        }
    }
}

/// The output's memory, of which every task writes its own part.
struct Output(*mut f32);
// SAFETY: tasks write disjoint parts, and nobody reads before all are done.
unsafe impl Sync for Output {}

/// One row of the output for some channels.
struct Row<'a> {
    /// Rows of the input under the window, zeros at their ends.
    rows: &'a [&'a [f32]],
    weights: &'a DepthwiseWeights,
    /// The first of the channels, a multiple of a vector.
    first: usize,
    /// Added before the activation; laid out as the output.
    residual: Option<&'a [f32]>,
    activation: Activation,
    channels: usize,
    /// Floats from one pixel of the input to the next.
    pixel: usize,
    /// Pixels of the output.
    width: usize,
    /// Floats from one pixel of the output to the next.
    out_stride: usize,
    kernel: usize,
    stride: usize,
}

dispatch!(fn output_row(row: &Row, out: *mut f32, sums: &mut [f32]) = output_row_body);
#[inline(always)]
fn output_row_body<I: Isa>(row: &Row, out: *mut f32, sums: &mut [f32]) {
    let reach = (row.width.saturating_sub(1) * row.stride + row.kernel) * row.pixel;
    let whole = row.channels.next_multiple_of(I::V::LANES);
    let taps = row.rows.len() * row.kernel;
    assert!(row.rows.iter().all(|r| r.len() >= reach) && whole <= row.pixel);
    assert!(row.first.is_multiple_of(I::V::LANES) && row.first + whole <= row.weights.bias.len());
    assert!(row.weights.bias.len() * taps <= row.weights.taps.len());
    assert!(sums.is_empty() || sums.len() >= whole);
    match (row.rows.len(), row.kernel, row.stride) {
        (3, 3, 1) => window::<I::V, 3, 1>(row, out, sums),
        (3, 3, 2) => window::<I::V, 3, 2>(row, out, sums),
        (5, 5, 1) => window::<I::V, 5, 1>(row, out, sums),
        (5, 5, 2) => window::<I::V, 5, 2>(row, out, sums),
        _ => any_window::<I::V>(row, out, sums),
    }
}

/// Pixels of the output that are made together: a tap serves all of them, and their sums are enough
/// for multiply-adds not to wait for each other.
const PIXELS: usize = 8;

/// A window of `K` x `K` at stride `S`.
#[inline(always)]
fn window<V: Vector, const K: usize, const S: usize>(row: &Row, out: *mut f32, sums: &mut [f32]) {
    // The vectors of a cache line go together, so that it is read and written once.
    for line in (0..row.channels).step_by(PAD) {
        let vectors = (line..row.channels.min(line + PAD)).step_by(V::LANES);
        let mut ow = 0;
        while ow < row.width {
            let pixels = match row.width - ow {
                PIXELS.. => PIXELS,
                4.. => 4,
                2.. => 2,
                _ => 1,
            };
            // What they go to is rarely in cache, and there is time to fetch it while they are made.
            for o in ow..ow + pixels {
                prefetch(out.wrapping_add(o * row.out_stride + line), true);
            }
            for c in vectors.clone() {
                // SAFETY: the caller has checked that windows and vectors stay within the rows,
                // and that taps, bias and sums are padded to whole vectors.
                unsafe {
                    let sum = match pixels {
                        PIXELS => pixels_of::<V, K, S, PIXELS>(row, out, ow, c),
                        4 => pixels_of::<V, K, S, 4>(row, out, ow, c),
                        2 => pixels_of::<V, K, S, 2>(row, out, ow, c),
                        _ => pixels_of::<V, K, S, 1>(row, out, ow, c),
                    };
                    add_sum(sums, c, sum);
                }
            }
            ow += pixels;
        }
    }
}

/// `P` pixels from `ow` on, for the vector of channels at `c`; the sum of them.
#[inline(always)]
unsafe fn pixels_of<V: Vector, const K: usize, const S: usize, const P: usize>(
    row: &Row,
    out: *mut f32,
    ow: usize,
    c: usize,
) -> V {
    // SAFETY: the caller's.
    unsafe {
        let taps = row.weights.taps.as_ptr().add(at(row.first + c, K * K));
        let mut sums = [V::load(row.weights.bias.as_ptr().add(row.first + c)); P];
        for i in 0..K {
            let x = row.rows[i].as_ptr().add(ow * S * row.pixel + c);
            for j in 0..K {
                let tap = V::load(taps.add((i * K + j) * PAD));
                // Else numbers that two taps share are kept, for which there are no registers; it
                // takes nothing to read them as part of a multiply-add.
                let x = opaque(x.add(j * row.pixel));
                for (o, sum) in sums.iter_mut().enumerate() {
                    *sum = V::load(x.add(o * S * row.pixel)).mul_add(tap, *sum);
                }
            }
        }
        // A constant in each arm, so that the loop has nothing to choose.
        match row.activation {
            Activation::Relu => store::<V, P>(row, out, ow, c, sums, Activation::Relu),
            Activation::Relu6 => store::<V, P>(row, out, ow, c, sums, Activation::Relu6),
            Activation::Silu => store::<V, P>(row, out, ow, c, sums, Activation::Silu),
            other => store::<V, P>(row, out, ow, c, sums, other),
        }
    }
}

/// Every other window.
#[inline(always)]
fn any_window<V: Vector>(row: &Row, out: *mut f32, sums: &mut [f32]) {
    let count = row.rows.len() * row.kernel;
    for c in (0..row.channels).step_by(V::LANES) {
        for ow in 0..row.width {
            // SAFETY: as in `window`.
            unsafe {
                let taps = row.weights.taps.as_ptr().add(at(row.first + c, count));
                let mut sum = V::load(row.weights.bias.as_ptr().add(row.first + c));
                for (i, x) in row.rows.iter().enumerate() {
                    for j in 0..row.kernel {
                        let x = V::load(x.as_ptr().add((ow * row.stride + j) * row.pixel + c));
                        sum = x.mul_add(V::load(taps.add((i * row.kernel + j) * PAD)), sum);
                    }
                }
                add_sum(sums, c, store(row, out, ow, c, [sum], row.activation));
            }
        }
    }
}

/// Epilogue of some pixels: residual, activation, and out; the sum of what goes there.
#[inline(always)]
unsafe fn store<V: Vector, const P: usize>(
    row: &Row,
    out: *mut f32,
    ow: usize,
    c: usize,
    sums: [V; P],
    activation: Activation,
) -> V {
    let lanes = V::LANES.min(row.channels - c);
    let whole = lanes == V::LANES;
    let mut total = V::splat(0.0);
    for (o, mut y) in sums.into_iter().enumerate() {
        let at = (ow + o) * row.out_stride + c;
        // SAFETY: `lanes` channels from `c` of this pixel are in the output and the residual.
        unsafe {
            if let Some(r) = row.residual {
                y = y.add(V::load_part(r.as_ptr().add(at), lanes));
            }
            let y = activation.of(y);
            if whole {
                y.store(out.add(at))
            } else {
                y.store_part(out.add(at), lanes)
            }
            total = total.add(y);
        }
    }
    total
}

#[inline(always)]
unsafe fn add_sum<V: Vector>(sums: &mut [f32], c: usize, sum: V) {
    if !sums.is_empty() {
        let at = sums[c..].as_mut_ptr();
        // SAFETY: a whole vector is there.
        unsafe { V::load(at).add(sum).store(at) }
    }
}

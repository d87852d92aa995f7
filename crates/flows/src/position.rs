//! Codes of positions, to condition a flow on where a vector comes from.

use crate::FlowError;
use candle_core::{DType, Device, Tensor};

/// Sinusoidal code of a `height` x `width` grid, (height * width, channels), row-major over
/// positions: the first half of the channels encodes x, the second y, each as pairs of sine and
/// cosine at frequencies `10^4^(-2i / (channels / 2))` (Vaswani et al., NeurIPS 2017, in 2-D).
///
/// # Errors
/// `channels` is not a multiple of 4.
pub fn position_encoding(
    channels: usize,
    height: usize,
    width: usize,
    dtype: DType,
    device: &Device,
) -> Result<Tensor, FlowError> {
    if !channels.is_multiple_of(4) {
        return Err(FlowError::Setting {
            key: "condition",
            value: channels.to_string(),
            why: "a 2-D position code needs a multiple of 4 channels",
        });
    }
    let half = channels / 2;
    // PyTorch's oracle computes the frequencies and angles in f32.
    let step = -(1e4f64.ln() / half as f64) as f32;
    let frequencies: Vec<f32> = (0..half / 2).map(|i| ((2 * i) as f32 * step).exp()).collect();
    let code = |at: usize| {
        frequencies.iter().flat_map(move |f| {
            let angle = at as f32 * f;
            [angle.sin(), angle.cos()]
        })
    };
    let mut values = Vec::with_capacity(height * width * channels);
    for y in 0..height {
        for x in 0..width {
            values.extend(code(x));
            values.extend(code(y));
        }
    }
    let t = Tensor::from_vec(values, (height * width, channels), &Device::Cpu)?;
    Ok(t.to_dtype(dtype)?.to_device(device)?)
}

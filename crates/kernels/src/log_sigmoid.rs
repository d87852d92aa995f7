//! Logarithms of the logistic function.

#[cfg(any(feature = "cuda", feature = "metal"))]
use crate::device;
use crate::storage::has_kernels;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

/// `-ln sigmoid(x) = max(-x, 0) + ln(1 + e^-|x|)`, which never overflows, with a gradient.
///
/// # Errors
/// From candle.
pub fn neg_log_sigmoid(x: &Tensor) -> Result<Tensor> {
    if has_kernels(&[x]) {
        return x.contiguous()?.apply_op1(NegLogSigmoid);
    }
    let tail = (x.abs()?.neg()?.exp()? + 1.0)?.log()?;
    x.neg()?.relu()? + tail
}

/// On devices alone: on the CPU candle's operations do.
struct NegLogSigmoid;

#[cfg(any(feature = "cuda", feature = "metal"))]
impl NegLogSigmoid {
    fn plan(&self, x: &Layout) -> Result<(device::Launch, Shape)> {
        Ok((device::neg_log_sigmoid(x.shape().elem_count()), x.shape().clone()))
    }
}

impl CustomOp1 for NegLogSigmoid {
    fn name(&self) -> &'static str {
        "neg_log_sigmoid"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        bail!("{}: a kernel of devices, not of the CPU", self.name())
    }

    #[cfg(any(feature = "cuda", feature = "metal"))]
    device::device_forward!(x lx);

    #[cfg(any(feature = "cuda", feature = "metal"))]
    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let launch = device::neg_log_sigmoid_gradient(x.elem_count());
        device::one(&launch, &[x, grad], x.shape()).map(Some)
    }
}

//! Logarithms of a softmax.

#[cfg(any(feature = "cuda", feature = "metal"))]
use crate::device;
use crate::storage::has_kernels;
use candle_core::{CpuStorage, CustomOp1, D, Layout, Result, Shape, Tensor, bail};

/// `x_k - logsumexp_k(x)` over the last dimension K, safe from overflow, with a gradient.
///
/// # Errors
/// A tensor without dimensions.
pub fn log_softmax(x: &Tensor) -> Result<Tensor> {
    if has_kernels(&[x]) && x.rank() > 0 {
        return x.contiguous()?.apply_op1(LogSoftmax);
    }
    x.broadcast_sub(&x.log_sum_exp(D::Minus1)?.unsqueeze(D::Minus1)?)
}

/// On devices alone: on the CPU candle's operations do.
struct LogSoftmax;

#[cfg(any(feature = "cuda", feature = "metal"))]
impl LogSoftmax {
    fn plan(&self, x: &Layout) -> Result<(device::Launch, Shape)> {
        let k = x.dims().last().copied().unwrap_or(1);
        Ok((device::log_softmax(x.shape().elem_count() / k, k), x.shape().clone()))
    }
}

impl CustomOp1 for LogSoftmax {
    fn name(&self) -> &'static str {
        "log_softmax"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        bail!("{}: a kernel of devices, not of the CPU", self.name())
    }

    #[cfg(any(feature = "cuda", feature = "metal"))]
    device::device_forward!(x lx);

    #[cfg(any(feature = "cuda", feature = "metal"))]
    fn bwd(&self, x: &Tensor, out: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let k = x.dim(D::Minus1)?;
        let launch = device::log_softmax_gradient(x.elem_count() / k, k);
        device::one(&launch, &[out, grad], x.shape()).map(Some)
    }
}

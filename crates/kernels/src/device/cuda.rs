//! Kernels on CUDA devices: compiled by NVRTC at first use, kept by candle for each device.

use super::{CUDA, Launch, Number};
use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::cudarc::driver::{CudaView, LaunchConfig, PushKernelArg};
use candle_core::cuda_backend::cudarc::nvrtc::compile_ptx;
use candle_core::cuda_backend::{CudaDevice, CudaStorage, WrapErr};
use candle_core::op::BackpropOp;
use candle_core::{Layout, Result, Storage, Tensor, bail};
use std::sync::OnceLock;

/// The compiled kernels of this program; PTX is the same for every device.
fn ptx() -> Result<&'static str> {
    static PTX: OnceLock<std::result::Result<String, String>> = OnceLock::new();
    let compiled = PTX.get_or_init(|| match compile_ptx(CUDA) {
        Ok(ptx) => Ok(ptx.to_src()),
        Err(e) => Err(format!("NVRTC did not compile the kernels: {e:?}")),
    });
    match compiled {
        Ok(ptx) => Ok(ptx),
        Err(message) => bail!("{message}"),
    }
}

/// The one output of a kernel.
pub(crate) fn forward(launch: &Launch, inputs: &[(&CudaStorage, &Layout)]) -> Result<CudaStorage> {
    let Some(output) = start(launch, inputs)?.pop() else {
        bail!("{}: a kernel without an output", launch.kernel)
    };
    Ok(output)
}

/// All outputs of a kernel, as vectors.
pub(crate) fn on_tensors(launch: &Launch, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    let guards: Vec<_> = inputs.iter().map(Tensor::storage_and_layout).collect();
    let storages = guards
        .iter()
        .map(|(storage, layout)| match &**storage {
            Storage::Cuda(s) => Ok((s, *layout)),
            _ => bail!("{}: expects tensors on one CUDA device", launch.kernel),
        })
        .collect::<Result<Vec<_>>>()?;
    let outputs = start(launch, &storages)?.into_iter().zip(&launch.outputs);
    let tensor = |(storage, length): (CudaStorage, &usize)| {
        Tensor::from_storage(Storage::Cuda(storage), *length, BackpropOp::none(), false)
    };
    Ok(outputs.map(tensor).collect())
}

fn start(launch: &Launch, inputs: &[(&CudaStorage, &Layout)]) -> Result<Vec<CudaStorage>> {
    let Some((first, _)) = inputs.first() else {
        bail!("{}: a kernel without inputs", launch.kernel)
    };
    let device: CudaDevice = first.device().clone();
    let views = inputs
        .iter()
        .map(|(storage, layout)| match layout.contiguous_offsets() {
            Some((start, end)) => Ok(storage.as_cuda_slice::<f32>()?.slice(start..end)),
            None => bail!("{}: expects a contiguous tensor, got {layout:?}", launch.kernel),
        })
        .collect::<Result<Vec<CudaView<f32>>>>()?;
    let mut outputs = launch
        .outputs
        .iter()
        // SAFETY: the kernel below writes every element before anything reads them.
        .map(|length| unsafe { device.alloc::<f32>(*length) })
        .collect::<Result<Vec<_>>>()?;
    let function = device.get_or_load_custom_func(launch.kernel, "hgad_kernels", ptx()?)?;
    let mut arguments = function.builder();
    views.iter().for_each(|view| {
        arguments.arg(view);
    });
    outputs.iter_mut().for_each(|output| {
        arguments.arg(output);
    });
    // Both kinds of number are four bytes, passed as they are.
    let numbers: Vec<u32> = launch.numbers.iter().copied().map(Number::bits).collect();
    numbers.iter().for_each(|number| {
        arguments.arg(number);
    });
    let config = LaunchConfig {
        grid_dim: (launch.blocks as u32, 1, 1),
        block_dim: (launch.threads as u32, 1, 1),
        shared_mem_bytes: 0,
    };
    // SAFETY: the plan of the launch gives the kernel's parameters in order, and lengths that
    // its sizes are within; the tests run the same plans on the host.
    unsafe { arguments.launch(config) }.w()?;
    let wrap = |output| CudaStorage::wrap_cuda_slice(output, device.clone());
    Ok(outputs.into_iter().map(wrap).collect())
}

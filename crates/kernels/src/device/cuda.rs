//! Kernels on CUDA devices: compiled by NVRTC at first use, kept by candle for each device.

use super::stack::{Operand, Product};
use super::{CUDA, Launch, Number, OfTensors, Trains};
use candle_core::backend::BackendStorage;
use candle_core::cuda_backend::cudarc::cublas::{result::gemm_ex, sys};
use candle_core::cuda_backend::cudarc::driver::{CudaView, DevicePtr, LaunchConfig, PushKernelArg};
use candle_core::cuda_backend::cudarc::nvrtc::compile_ptx;
use candle_core::cuda_backend::{CudaDevice, CudaStorage, WrapErr};
use candle_core::op::BackpropOp;
use candle_core::{Device, Layout, Result, Storage, Tensor, bail};
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
    let Some(output) = start(launch, inputs, &[])?.pop() else {
        bail!("{}: a kernel without an output", launch.kernel)
    };
    Ok(output)
}

/// All outputs of a kernel, as vectors.
pub(crate) fn on_tensors(launch: &Launch, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    let outputs = with_storages(launch.kernel, inputs, |storages| start(launch, storages, &[]))?;
    let tensor = |(storage, length): (CudaStorage, &usize)| {
        Tensor::from_storage(Storage::Cuda(storage), *length, BackpropOp::none(), false)
    };
    Ok(outputs.into_iter().zip(&launch.outputs).map(tensor).collect())
}

/// Sets the threshold above which the driver takes back memory at a wait to what is never reached.
pub(crate) fn keep_memory(device: &CudaDevice) -> Result<()> {
    use candle_core::cuda_backend::cudarc::driver::{result, sys};
    let context = device.cuda_stream().context().clone();
    if !context.has_async_alloc() {
        return Ok(());
    }
    let mut most = u64::MAX;
    let key = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    // SAFETY: the attribute is a `cuuint64_t`, which `most` is.
    unsafe {
        let pool = result::device::get_default_mem_pool(context.cu_device()).w()?;
        result::mem_pool::set_attribute(pool, key, (&raw mut most).cast()).w()
    }
}

/// Bytes that are free.
pub(crate) fn free_memory(device: &CudaDevice) -> Result<usize> {
    device.cuda_stream().context().bind_to_thread().w()?;
    let (free, _) = candle_core::cuda_backend::cudarc::driver::result::mem_get_info().w()?;
    Ok(free)
}

/// Parts one behind the other, on the device.
pub(crate) fn upload(device: &Device, parts: &[&[f32]]) -> Result<Tensor> {
    let device = device.as_cuda_device()?.clone();
    let length = parts.iter().map(|p| p.len()).sum();
    // SAFETY: the copies below write all of it before anything reads it.
    let mut all = unsafe { device.alloc::<f32>(length)? };
    let mut start = 0;
    for part in parts {
        device.memcpy_htod(*part, &mut all.slice_mut(start..start + part.len()))?;
        start += part.len();
    }
    let storage = Storage::Cuda(CudaStorage::wrap_cuda_slice(all, device));
    Ok(Tensor::from_storage(storage, length, BackpropOp::none(), false))
}

/// `f` of the storages of tensors, which `what` is given.
fn with_storages<R>(
    what: &str,
    tensors: &[Tensor],
    f: impl FnOnce(&[(&CudaStorage, &Layout)]) -> Result<R>,
) -> Result<R> {
    let guards: Vec<_> = tensors.iter().map(Tensor::storage_and_layout).collect();
    let storages = guards
        .iter()
        .map(|(storage, layout)| match &**storage {
            Storage::Cuda(s) => Ok((s, *layout)),
            _ => bail!("{what}: expects tensors on one CUDA device"),
        })
        .collect::<Result<Vec<_>>>()?;
    f(&storages)
}

/// The numbers of a contiguous tensor.
fn view<'a>(
    what: &str,
    (storage, layout): &(&'a CudaStorage, &Layout),
) -> Result<CudaView<'a, f32>> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(storage.as_cuda_slice::<f32>()?.slice(start..end)),
        None => bail!("{what}: expects a contiguous tensor, got {layout:?}"),
    }
}

/// Buffers in `updated` are changed; they stand where outputs do.
fn start(
    launch: &Launch,
    inputs: &[(&CudaStorage, &Layout)],
    updated: &[(&CudaStorage, &Layout)],
) -> Result<Vec<CudaStorage>> {
    let Some((first, _)) = inputs.first() else {
        bail!("{}: a kernel without inputs", launch.kernel)
    };
    let device: CudaDevice = first.device().clone();
    let views = inputs
        .iter()
        .chain(updated)
        .map(|of| view(launch.kernel, of))
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
    // its sizes are within; the tests run the same plans on the host. What it changes is memory of
    // the device, which the host reads in the order of the same stream alone.
    unsafe { arguments.launch(config) }.w()?;
    let wrap = |output| CudaStorage::wrap_cuda_slice(output, device.clone());
    Ok(outputs.into_iter().map(wrap).collect())
}

impl Trains for OfTensors {
    fn update(
        &self,
        launch: &Launch,
        inputs: &[&Tensor],
        updated: &mut [&mut Tensor],
    ) -> Result<()> {
        let all: Vec<Tensor> =
            inputs.iter().copied().chain(updated.iter().map(|t| &**t)).cloned().collect();
        with_storages(launch.kernel, &all, |storages| {
            let (inputs, updated) = storages.split_at(inputs.len());
            start(launch, inputs, updated).map(drop)
        })
    }

    fn blank(&self, like: &Tensor, length: usize) -> Result<Tensor> {
        let device = like.device().as_cuda_device()?.clone();
        // SAFETY: what asks for a blank buffer writes it before it is read.
        let storage = CudaStorage::wrap_cuda_slice(unsafe { device.alloc::<f32>(length)? }, device);
        Ok(Tensor::from_storage(Storage::Cuda(storage), length, BackpropOp::none(), false))
    }

    /// By cuBLAS, which has columns where we have rows: `C^T = B^T A^T`.
    fn product(&self, p: &Product, a: &Tensor, b: &Tensor, out: &mut Tensor) -> Result<()> {
        let (rows, columns, length) = p.size;
        let all = [a.clone(), b.clone(), out.clone()];
        with_storages("product", &all, |storages| {
            let device = storages[0].0.device();
            let stream = device.cuda_stream();
            let views = storages
                .iter()
                .zip([(&p.a, (rows, length)), (&p.b, (length, columns)), (&p.out, (rows, columns))])
                .map(|(of, (operand, shape))| {
                    let view = view("product", of)?;
                    match operand.end(shape) <= of.1.shape().elem_count() {
                        true => Ok(view.slice(operand.offset..)),
                        false => bail!("product: {operand:?} is not within its buffer"),
                    }
                })
                .collect::<Result<Vec<_>>>()?;
            let operation = |o: &Operand| match o.transposed {
                true => sys::cublasOperation_t::CUBLAS_OP_T,
                false => sys::cublasOperation_t::CUBLAS_OP_N,
            };
            let compute = match candle_core::cuda::gemm_reduced_precision_f32() {
                true => sys::cublasComputeType_t::CUBLAS_COMPUTE_32F_FAST_TF32,
                false => sys::cublasComputeType_t::CUBLAS_COMPUTE_32F,
            };
            let (alpha, beta) = (1f32, if p.accumulate { 1f32 } else { 0.0 });
            let float = sys::cudaDataType_t::CUDA_R_32F;
            let [(a, _a), (b, _b), (c, _c)] = [0, 1, 2].map(|i| views[i].device_ptr(&stream));
            // SAFETY: every matrix lies within its buffer, as was checked above.
            unsafe {
                gemm_ex(
                    *device.cublas_handle().handle(),
                    operation(&p.b),
                    operation(&p.a),
                    columns as i32,
                    rows as i32,
                    length as i32,
                    (&raw const alpha).cast(),
                    b as *const _,
                    float,
                    p.b.stride as i32,
                    a as *const _,
                    float,
                    p.a.stride as i32,
                    (&raw const beta).cast(),
                    c as *mut _,
                    float,
                    p.out.stride as i32,
                    compute,
                    sys::cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT_TENSOR_OP,
                )
            }
            .w()
        })
    }
}

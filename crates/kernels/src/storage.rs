//! From candle tensors to slices and back.

use candle_core::{CpuStorage, DType, Layout, Result, Storage, Tensor, bail};

/// The elements of a contiguous `f32` storage.
pub(crate) fn contiguous<'a>(
    op: &str,
    storage: &'a CpuStorage,
    layout: &Layout,
) -> Result<&'a [f32]> {
    let CpuStorage::F32(data) = storage else {
        bail!("{op}: expects f32, got {:?}", storage_dtype(storage))
    };
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&data[start..end]),
        None => bail!("{op}: expects a contiguous tensor, got {layout:?}"),
    }
}

fn storage_dtype(storage: &CpuStorage) -> DType {
    use candle_core::backend::BackendStorage;
    storage.dtype()
}

/// Runs `f` on the elements of a tensor on the CPU, made contiguous first.
pub(crate) fn with_slice<R>(
    op: &str,
    t: &Tensor,
    f: impl FnOnce(&[f32]) -> Result<R>,
) -> Result<R> {
    let t = t.contiguous()?;
    let (storage, layout) = t.storage_and_layout();
    match &*storage {
        Storage::Cpu(s) => f(contiguous(op, s, layout)?),
        _ => bail!("{op}: expects a tensor on the CPU"),
    }
}

/// The fused path is for `f32` on the CPU.
pub(crate) fn is_fused(t: &Tensor) -> bool {
    t.device().is_cpu() && t.dtype() == DType::F32
}

/// All tensors are `f32` on a device that this build has kernels for, and of lengths that the
/// kernels count with.
pub(crate) fn has_kernels(tensors: &[&Tensor]) -> bool {
    const LIMIT: usize = 1 << 30;
    tensors.iter().all(|t| {
        let device = t.device();
        ((cfg!(feature = "cuda") && device.is_cuda())
            || (cfg!(feature = "metal") && device.is_metal()))
            && t.dtype() == DType::F32
            && (1..LIMIT).contains(&t.elem_count())
    })
}

/// Runs `f` on the elements of several contiguous `f32` tensors on the CPU, without copies.
///
/// # Errors
/// A tensor of another type, device or layout.
pub fn with_slices<R>(tensors: &[Tensor], f: impl FnOnce(&[&[f32]]) -> R) -> Result<R> {
    let guards: Vec<_> = tensors.iter().map(Tensor::storage_and_layout).collect();
    let slices = guards
        .iter()
        .map(|(storage, layout)| match &**storage {
            Storage::Cpu(s) => contiguous("slices of tensors", s, layout),
            _ => bail!("slices of tensors: expects tensors on the CPU"),
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(f(&slices))
}

//! Kernels on Metal devices: compiled from source at first use, kept for each device.

use super::{Launch, METAL, Number};
use candle_core::backend::BackendStorage;
use candle_core::metal_backend::DeviceId;
use candle_core::op::BackpropOp;
use candle_core::{
    DType, Layout, MetalDevice, MetalError, MetalStorage, Result, Storage, Tensor, bail,
};
use candle_metal_kernels::metal::{ComputeCommandEncoder, ComputePipeline, Library};
use objc2_metal::MTLSize;
use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};

#[derive(Default)]
struct Compiled {
    library: Option<Library>,
    pipelines: HashMap<&'static str, ComputePipeline>,
}

fn pipeline(device: &MetalDevice, kernel: &'static str) -> Result<ComputePipeline> {
    static COMPILED: OnceLock<Mutex<HashMap<DeviceId, Compiled>>> = OnceLock::new();
    let all = COMPILED.get_or_init(Mutex::default);
    let mut all = all.lock().unwrap_or_else(|e| e.into_inner());
    let of_device = all.entry(device.id()).or_default();
    if let Some(pipeline) = of_device.pipelines.get(kernel) {
        return Ok(pipeline.clone());
    }
    let metal = device.metal_device();
    let library = match &of_device.library {
        Some(library) => library.clone(),
        None => metal.new_library_with_source(METAL, None).map_err(MetalError::from)?,
    };
    let function = library.get_function(kernel, None).map_err(MetalError::from)?;
    let pipeline =
        metal.new_compute_pipeline_state_with_function(&function).map_err(MetalError::from)?;
    of_device.library = Some(library);
    of_device.pipelines.insert(kernel, pipeline.clone());
    Ok(pipeline)
}

/// The one output of a kernel.
pub(crate) fn forward(
    launch: &Launch,
    inputs: &[(&MetalStorage, &Layout)],
) -> Result<MetalStorage> {
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
            Storage::Metal(s) => Ok((s, *layout)),
            _ => bail!("{}: expects tensors on one Metal device", launch.kernel),
        })
        .collect::<Result<Vec<_>>>()?;
    let outputs = start(launch, &storages)?.into_iter().zip(&launch.outputs);
    let tensor = |(storage, length): (MetalStorage, &usize)| {
        Tensor::from_storage(Storage::Metal(storage), *length, BackpropOp::none(), false)
    };
    Ok(outputs.map(tensor).collect())
}

fn start(launch: &Launch, inputs: &[(&MetalStorage, &Layout)]) -> Result<Vec<MetalStorage>> {
    let Some((first, _)) = inputs.first() else {
        bail!("{}: a kernel without inputs", launch.kernel)
    };
    let device = first.device().clone();
    let outputs = launch
        .outputs
        .iter()
        .map(|length| device.new_buffer(*length, DType::F32, launch.kernel))
        .collect::<Result<Vec<_>>>()?;
    let pipeline = pipeline(&device, launch.kernel)?;
    let guard = device.command_encoder()?;
    let encoder: &ComputeCommandEncoder = guard.as_ref();
    encoder.set_compute_pipeline_state(&pipeline);
    let mut index = 0;
    for (storage, layout) in inputs {
        let Some((from, _)) = layout.contiguous_offsets() else {
            bail!("{}: expects a contiguous tensor, got {layout:?}", launch.kernel)
        };
        let offset = from * DType::F32.size_in_bytes();
        encoder.set_input_buffer(index, Some(storage.buffer()), offset);
        index += 1;
    }
    for output in &outputs {
        encoder.set_output_buffer(index, Some(output), 0);
        index += 1;
    }
    for number in launch.numbers.iter().copied().map(Number::bits) {
        encoder.set_bytes(index, &number);
        index += 1;
    }
    let line = |width| MTLSize { width, height: 1, depth: 1 };
    encoder.dispatch_thread_groups(line(launch.blocks), line(launch.threads));
    drop(guard);
    let storages = outputs.into_iter().zip(&launch.outputs);
    Ok(storages
        .map(|(buffer, length)| MetalStorage::new(buffer, device.clone(), *length, DType::F32))
        .collect())
}

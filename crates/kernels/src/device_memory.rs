//! Memory of a device.

use candle_core::{Device, Result};

/// Lets a CUDA device keep what its buffers gave back for the next ones: by default the driver takes all of
/// it at every wait for the device, and makes it anew after. Nothing is done on other devices.
///
/// # Errors
/// From the driver.
pub fn keep_device_memory(device: &Device) -> Result<()> {
    #[cfg(feature = "cuda")]
    if let Device::Cuda(device) = device {
        crate::device::cuda::keep_memory(device)?;
    }
    let _ = device;
    Ok(())
}

/// Bytes that are free on a CUDA device; `None` elsewhere.
pub fn free_device_memory(device: &Device) -> Option<usize> {
    #[cfg(feature = "cuda")]
    if let Device::Cuda(device) = device {
        return crate::device::cuda::free_memory(device).ok();
    }
    let _ = device;
    None
}

//! Streams of a device.

use candle_core::{Device, Result};

/// `device` with a stream of its own on CUDA, where what different streams were given may run side by side;
/// another device as it is.
///
/// Tensors of two such devices must not meet in an operation, though candle lets them where the card is the
/// same: nothing makes one stream wait for the other. By way of the host they may.
///
/// # Errors
/// From the driver.
pub fn with_own_stream(device: &Device) -> Result<Device> {
    #[cfg(feature = "cuda")]
    if let candle_core::DeviceLocation::Cuda { gpu_id } = device.location() {
        let own = candle_core::CudaDevice::new_with_stream(gpu_id)?;
        // Else every kernel waits for and records an event for each of its buffers, which takes longer than to
        // start it.
        // SAFETY: this device's memory is made, used and given back in the order of its one stream.
        unsafe { own.disable_event_tracking() };
        return Ok(Device::Cuda(own));
    }
    Ok(device.clone())
}

// CUDA's words on the host.
#include "emulation.h"
#define __global__
#define __device__
#define __syncwarp sync_warp
#define __shfl_xor_sync(mask, x, lane) exchange(x, lane)

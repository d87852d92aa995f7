// CUDA's words on the host.
#include "emulation.h"
#define __global__
#define __device__
#define __syncwarp sync_warp
#define __shfl_xor_sync(mask, x, lane) exchange(x, lane)
#define OF_LANGUAGE                                                                              \
  , K(affine_map), K(affine_map_gradient), K(hidden), K(hidden_gradient), K(sum_positions),      \
      K(coupling_block), K(coupling_block_gradient), K(sum_rows_into), K(adam)

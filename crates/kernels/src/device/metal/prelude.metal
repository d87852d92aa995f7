// What the bodies in ../shared are written with, in the Metal shading language.
#include <metal_stdlib>
using namespace metal;

#define GLOBAL device
#define EXP precise::exp
#define LOG precise::log
#define TANH precise::tanh
// SIMD groups of Apple's processors have 32 lanes.
#define WARP 32u
#define WARP_SUM(x) simd_sum(x)
#define WARP_SYNC() simdgroup_barrier(mem_flags::mem_device)

struct Where {
  uint block, item, items;
};
// Parameters are buffers in the order of a launch: inputs, outputs, numbers.
#define READ(name, i) device const float* name [[buffer(i)]]
#define WRITE(name, i) device float* name [[buffer(i)]]
#define UINT(name, i) constant uint& name [[buffer(i)]]
#define FLOAT(name, i) constant float& name [[buffer(i)]]
#define PLACE                                                                                 \
  uint block [[threadgroup_position_in_grid]], uint item [[thread_position_in_threadgroup]], \
      uint items [[threads_per_threadgroup]]
#define HERE \
  Where { block, item, items }

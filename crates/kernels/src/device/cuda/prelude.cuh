// What the bodies in ../shared are written with, in CUDA.
typedef unsigned int uint;
#define GLOBAL
#define EXP expf
#define LOG logf
#define SQRT sqrtf
#define TANH tanhf
#define WARP 32u
#define WARP_SUM(x) warp_sum(x)
#define WARP_SYNC() __syncwarp()

struct Where {
  uint block, item, items;
};
#define HERE \
  Where { blockIdx.x, threadIdx.x, blockDim.x }

// The sum over the lanes, in every lane.
__device__ inline float warp_sum(float x) {
  for (int lane = 16; lane > 0; lane /= 2) x += __shfl_xor_sync(0xffffffffu, x, lane);
  return x;
}
// The bodies are functions of the device.
#define inline __device__ inline
#define READ const float* __restrict__
#define WRITE float* __restrict__

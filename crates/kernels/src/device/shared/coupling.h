// The affine coupling of a flow and its gradients; equations in coupling.rs.
// A kernel's body is written once: the CUDA and the Metal file beside this folder define
// GLOBAL (address space), EXP, TANH, WARP_SUM and WARP_SYNC, and wrap each body.

// The subnet's output is damped by 0.1 before it is used (FrEIA's AllInOneBlock).
#define DAMPING 0.1f
// Rows whose affine gradients one thread adds up; device.rs counts with the same number.
#define COUPLING_ROWS 32u

// One thread an entry of y (n, d).
inline void coupling_forward(GLOBAL const float* x, GLOBAL const float* a,
                             GLOBAL const float* affine, GLOBAL float* y, uint n, uint d, uint h,
                             float clamp, Where at) {
  uint i = at.block * at.items + at.item;
  if (i >= n * d) return;
  uint row = i / d, col = i % d;
  float u = x[i];
  if (col >= d - h) {
    GLOBAL const float* of_row = a + row * 2 * h + (col - (d - h));
    u = u * EXP(clamp * TANH(DAMPING * of_row[0])) + DAMPING * of_row[h];
  }
  y[i] = u * affine[col] + affine[d + col];
}

// Threads take a column and COUPLING_ROWS rows; `sums` (tiles, 2, d) gets the affine map's part.
inline void coupling_backward(GLOBAL const float* x, GLOBAL const float* a,
                              GLOBAL const float* affine, GLOBAL const float* grad,
                              GLOBAL float* dx, GLOBAL float* da, GLOBAL float* sums, uint n,
                              uint d, uint h, float clamp, Where at) {
  uint wide = (d + at.items - 1) / at.items;
  uint tile = at.block / wide;
  uint col = at.block % wide * at.items + at.item;
  if (col >= d) return;
  uint last = tile * COUPLING_ROWS + COUPLING_ROWS;
  if (last > n) last = n;
  float gain = affine[col], sum_gain = 0.0f, sum_offset = 0.0f;
  for (uint row = tile * COUPLING_ROWS; row < last; row++) {
    uint i = row * d + col;
    float g = grad[i], u = x[i], du = g * gain, slope = 1.0f;
    if (col >= d - h) {
      uint s = row * 2 * h + (col - (d - h));
      float th = TANH(DAMPING * a[s]);
      slope = EXP(clamp * th);
      u = u * slope;
      da[s] = DAMPING * clamp * (1.0f - th * th) * du * u;
      da[s + h] = DAMPING * du;
      u += DAMPING * a[s + h];
    }
    dx[i] = du * slope;
    sum_gain += g * u;
    sum_offset += g;
  }
  sums[tile * 2 * d + col] = sum_gain;
  sums[tile * 2 * d + d + col] = sum_offset;
}

// Sums of `tile` rows at a time of x (rows, cols): (tiles, cols). One thread a tile and a column.
inline void add_rows(GLOBAL const float* x, GLOBAL float* out, uint rows, uint cols, uint tile,
                     Where at) {
  uint i = at.block * at.items + at.item;
  uint begin = i / cols * tile, col = i % cols, end = begin + tile;
  if (begin >= rows) return;
  if (end > rows) end = rows;
  float sum = 0.0f;
  for (uint row = begin; row < end; row++) sum += x[row * cols + col];
  out[i] = sum;
}

// One warp a row of a (n, 2h).
inline void log_det_forward(GLOBAL const float* a, GLOBAL float* out, uint n, uint h, float clamp,
                            Where at) {
  uint row = (at.block * at.items + at.item) / WARP, lane = at.item % WARP;
  if (row >= n) return;
  float sum = 0.0f;
  for (uint i = lane; i < h; i += WARP) sum += TANH(DAMPING * a[row * 2 * h + i]);
  sum = WARP_SUM(sum);
  if (lane == 0) out[row] = clamp * sum;
}

// One thread an entry of da (n, 2h).
inline void log_det_backward(GLOBAL const float* a, GLOBAL const float* grad, GLOBAL float* da,
                             uint n, uint h, float clamp, Where at) {
  uint i = at.block * at.items + at.item;
  if (i >= n * 2 * h) return;
  float slope = 0.0f;
  if (i % (2 * h) < h) {
    float th = TANH(DAMPING * a[i]);
    slope = DAMPING * clamp * (1.0f - th * th) * grad[i / (2 * h)];
  }
  da[i] = slope;
}

// A stack of coupling blocks in training: what lies between its matrix products. Equations in
// coupling.rs; rows are image by image, `count` positions each, from position `first` on.
// GLOBAL and the others are defined as for coupling.h.

// One warp: raw (d) and offset (d) to affine (2, d), `g = 0.2 softplus(raw / 2)` and o, and to
// log_gain (1), `sum ln g`.
inline void affine_map_forward(GLOBAL const float* raw, GLOBAL const float* offset,
                               GLOBAL float* affine, GLOBAL float* log_gain, uint d, Where at) {
  if (at.block != 0 || at.item >= WARP) return;
  float sum = 0.0f;
  for (uint j = at.item; j < d; j += WARP) {
    float half = 0.5f * raw[j], away = half < 0.0f ? half : -half;
    float gain = 0.2f * ((half > 0.0f ? half : 0.0f) + LOG(1.0f + EXP(away)));
    affine[j] = gain;
    affine[d + j] = offset[j];
    sum += LOG(gain);
  }
  sum = WARP_SUM(sum);
  if (at.item == 0) log_gain[0] = sum;
}

// One thread an entry of raw (d): `grad` begins with the gradients of g and o, `log_det` (1) is
// the sum of the log-determinants' gradients, in each of which ln g is.
inline void affine_map_backward(GLOBAL const float* raw, GLOBAL const float* affine,
                                GLOBAL const float* grad, GLOBAL const float* log_det,
                                GLOBAL float* draw, GLOBAL float* doffset, uint d, Where at) {
  uint j = at.block * at.items + at.item;
  if (j >= d) return;
  float of_gain = grad[j] + log_det[0] / affine[j];
  draw[j] = of_gain * 0.1f / (1.0f + EXP(-0.5f * raw[j]));
  doffset[j] = grad[d + j];
}

// One warp a row of x (n, h): `relu(x + b)`, and of each of `parts` the row of that position.
// Position p has row `p / run1 % rows1` of `codes` in the first part, and row `p / run2 % rows2`
// behind those of the first in the second.
inline void hidden_forward(GLOBAL const float* x, GLOBAL const float* bias,
                           GLOBAL const float* codes, GLOBAL float* out, uint n, uint h, uint first,
                           uint count, uint parts, uint rows1, uint run1, uint rows2, uint run2,
                           Where at) {
  uint row = (at.block * at.items + at.item) / WARP, lane = at.item % WARP;
  if (row >= n) return;
  uint p = first + row % count;
  GLOBAL const float* of1 = codes + p / run1 % rows1 * h;
  GLOBAL const float* of2 = codes + (rows1 + p / run2 % rows2) * h;
  for (uint c = lane; c < h; c += WARP) {
    float y = x[row * h + c] + bias[c];
    if (parts > 0) y += of1[c];
    if (parts > 1) y += of2[c];
    out[row * h + c] = y > 0.0f ? y : 0.0f;
  }
}

// One thread a position and a column: the gradient before the rectifier of all images, and its
// sum over them, (count, h).
inline void hidden_backward(GLOBAL const float* grad, GLOBAL const float* hidden,
                            GLOBAL float* out, GLOBAL float* sums, uint images, uint count, uint h,
                            Where at) {
  uint i = at.block * at.items + at.item;
  if (i >= count * h) return;
  float sum = 0.0f;
  for (uint b = 0; b < images; b++) {
    uint j = b * count * h + i;
    float g = hidden[j] > 0.0f ? grad[j] : 0.0f;
    out[j] = g;
    sum += g;
  }
  sums[i] = sum;
}

// One thread a row of the parts and a column: adds up the rows of x (count, h) of its positions.
inline void add_positions(GLOBAL const float* x, GLOBAL float* out, uint h, uint first, uint count,
                          uint rows1, uint run1, uint rows2, uint run2, uint add, Where at) {
  uint i = at.block * at.items + at.item;
  if (i >= (rows1 + rows2) * h) return;
  uint row = i / h, c = i % h, run = run1, whole = rows1 * run1;
  if (row >= rows1) {
    row -= rows1;
    run = run2;
    whole = rows2 * run2;
  }
  float sum = add != 0 ? out[i] : 0.0f;
  for (uint start = first / whole * whole; start < first + count; start += whole)
    for (uint p = start + row * run; p < start + row * run + run; p++)
      if (p >= first && p < first + count) sum += x[(p - first) * h + c];
  out[i] = sum;
}

// One warp a row: y (n, d) of x, the subnet's output `a` (n, 2h) without its bias, and the row's
// log-determinant, with what there is of it so far where `add` is not 0.
inline void block_forward(GLOBAL const float* x, GLOBAL const float* a, GLOBAL const float* bias,
                          GLOBAL const float* affine, GLOBAL const float* log_gain,
                          GLOBAL const float* before, GLOBAL float* y, GLOBAL float* log_det,
                          uint n, uint d, uint h, uint add, float clamp, Where at) {
  uint row = (at.block * at.items + at.item) / WARP, lane = at.item % WARP;
  if (row >= n) return;
  float sum = 0.0f;
  for (uint c = lane; c < d; c += WARP) {
    float u = x[row * d + c];
    if (c >= d - h) {
      uint s = c - (d - h);
      float th = TANH(DAMPING * (a[row * 2 * h + s] + bias[s]));
      sum += th;
      u = u * EXP(clamp * th) + DAMPING * (a[row * 2 * h + h + s] + bias[h + s]);
    }
    y[row * d + c] = u * affine[c] + affine[d + c];
  }
  sum = WARP_SUM(sum);
  if (lane == 0) log_det[row] = (add != 0 ? before[row] : 0.0f) + clamp * sum + log_gain[0];
}

// Threads take a column and `rows` rows; `sums` (tiles, 2d + 2h) gets the parts of the gradients
// of g, o and the subnet's bias.
inline void block_backward(GLOBAL const float* x, GLOBAL const float* a, GLOBAL const float* bias,
                           GLOBAL const float* affine, GLOBAL const float* grad,
                           GLOBAL const float* log_det, GLOBAL float* dx, GLOBAL float* da,
                           GLOBAL float* sums, uint n, uint d, uint h, uint rows, float clamp,
                           Where at) {
  uint i = at.block * at.items + at.item;
  uint tile = i / d, c = i % d, begin = tile * rows, end = begin + rows;
  if (begin >= n) return;
  if (end > n) end = n;
  float gain = affine[c], sum_gain = 0.0f, sum_offset = 0.0f;
  GLOBAL float* of_tile = sums + tile * (2 * d + 2 * h);
  if (c < d - h) {
    for (uint row = begin; row < end; row++) {
      float g = grad[row * d + c];
      sum_gain += g * x[row * d + c];
      sum_offset += g;
      dx[row * d + c] = g * gain;
    }
  } else {
    uint s = c - (d - h);
    float bias_s = bias[s], bias_t = bias[h + s], sum_s = 0.0f, sum_t = 0.0f;
    for (uint row = begin; row < end; row++) {
      float g = grad[row * d + c], du = g * gain;
      float th = TANH(DAMPING * (a[row * 2 * h + s] + bias_s));
      float slope = EXP(clamp * th), u = x[row * d + c] * slope;
      float ds = DAMPING * clamp * (1.0f - th * th) * (du * u + log_det[row]), dt = DAMPING * du;
      da[row * 2 * h + s] = ds;
      da[row * 2 * h + h + s] = dt;
      dx[row * d + c] = du * slope;
      sum_gain += g * (u + DAMPING * (a[row * 2 * h + h + s] + bias_t));
      sum_offset += g;
      sum_s += ds;
      sum_t += dt;
    }
    of_tile[2 * d + s] = sum_s;
    of_tile[2 * d + h + s] = sum_t;
  }
  of_tile[c] = sum_gain;
  of_tile[d + c] = sum_offset;
}

// One thread a column of x (rows, cols): its sum, added to what stands in out where `add` is not 0.
inline void add_into(GLOBAL const float* x, GLOBAL float* out, uint rows, uint cols, uint add,
                     Where at) {
  uint c = at.block * at.items + at.item;
  if (c >= cols) return;
  float sum = add != 0 ? out[c] : 0.0f;
  for (uint row = 0; row < rows; row++) sum += x[row * cols + c];
  out[c] = sum;
}

// Log-density of mixtures of Gaussians with unit covariance, and its gradients; equations in
// mixture.rs. GLOBAL and the others are defined as for coupling.h.

// `w_k - ½ |z - c_k|²`, the same in every lane of a warp.
inline float center_logit(GLOBAL const float* z, GLOBAL const float* center, float weight, uint d,
                          uint lane) {
  float square = 0.0f;
  for (uint j = lane; j < d; j += WARP) {
    float away = z[j] - center[j];
    square += away * away;
  }
  return weight - 0.5f * WARP_SUM(square);
}

// One warp a row of z (g, p, d): log-sum-exp over k, the greatest so far taken out.
inline void mixture_forward(GLOBAL const float* z, GLOBAL const float* centers,
                            GLOBAL const float* weights, GLOBAL float* out, uint g, uint p, uint k,
                            uint d, Where at) {
  uint row = (at.block * at.items + at.item) / WARP, lane = at.item % WARP;
  if (row >= g * p) return;
  uint group = row / p;
  float top = center_logit(z + row * d, centers + group * k * d, weights[group * k], d, lane);
  float sum = 1.0f;
  for (uint i = 1; i < k; i++) {
    uint c = group * k + i;
    float logit = center_logit(z + row * d, centers + c * d, weights[c], d, lane);
    float higher = logit > top ? logit : top;
    sum = sum * EXP(top - higher) + EXP(logit - higher);
    top = higher;
  }
  if (lane == 0) out[row] = top + LOG(sum);
}

// One warp a row: `shares` (g, p, k) gets the gradients of the logits, `dz` that of z.
inline void mixture_rows_backward(GLOBAL const float* z, GLOBAL const float* centers,
                                  GLOBAL const float* weights, GLOBAL const float* density,
                                  GLOBAL const float* grad, GLOBAL float* dz, GLOBAL float* shares,
                                  uint g, uint p, uint k, uint d, Where at) {
  uint row = (at.block * at.items + at.item) / WARP, lane = at.item % WARP;
  if (row >= g * p) return;
  uint group = row / p;
  for (uint i = 0; i < k; i++) {
    uint c = group * k + i;
    float logit = center_logit(z + row * d, centers + c * d, weights[c], d, lane);
    if (lane == 0) shares[row * k + i] = grad[row] * EXP(logit - density[row]);
  }
  WARP_SYNC();
  for (uint j = lane; j < d; j += WARP) {
    float sum = 0.0f;
    for (uint i = 0; i < k; i++)
      sum += shares[row * k + i] * (centers[(group * k + i) * d + j] - z[row * d + j]);
    dz[row * d + j] = sum;
  }
}

// One block a centre of (g, k) and `tile` rows of its group: `dcenters` (tiles, g, k, d) and
// `dweights` (tiles, g, k) get their parts of the gradients.
inline void mixture_centers_backward(GLOBAL const float* z, GLOBAL const float* centers,
                                     GLOBAL const float* shares, GLOBAL float* dcenters,
                                     GLOBAL float* dweights, uint g, uint p, uint k, uint d,
                                     uint tile, Where at) {
  uint c = at.block % (g * k), group = c / k, i = c % k, begin = at.block / (g * k) * tile;
  uint end = begin + tile;
  if (begin >= p) return;
  if (end > p) end = p;
  for (uint j = at.item; j < d; j += at.items) {
    float sum = 0.0f;
    for (uint row = group * p + begin; row < group * p + end; row++)
      sum += shares[row * k + i] * (z[row * d + j] - centers[c * d + j]);
    dcenters[at.block * d + j] = sum;
  }
  if (at.item == 0) {
    float sum = 0.0f;
    for (uint row = group * p + begin; row < group * p + end; row++) sum += shares[row * k + i];
    dweights[at.block] = sum;
  }
}

// One warp a row of z (n, d): `-½ |z - c_k|²` for each of k centres, (n, k).
inline void logits_forward(GLOBAL const float* z, GLOBAL const float* centers, GLOBAL float* out,
                           uint n, uint k, uint d, Where at) {
  uint row = (at.block * at.items + at.item) / WARP, lane = at.item % WARP;
  if (row >= n) return;
  for (uint i = 0; i < k; i++) {
    float logit = center_logit(z + row * d, centers + i * d, 0.0f, d, lane);
    if (lane == 0) out[row * k + i] = logit;
  }
}

// One warp a row: the gradient of z from that of the logits.
inline void logits_rows_backward(GLOBAL const float* z, GLOBAL const float* centers,
                                 GLOBAL const float* grad, GLOBAL float* dz, uint n, uint k,
                                 uint d, Where at) {
  uint row = (at.block * at.items + at.item) / WARP, lane = at.item % WARP;
  if (row >= n) return;
  for (uint j = lane; j < d; j += WARP) {
    float sum = 0.0f;
    for (uint i = 0; i < k; i++)
      sum += grad[row * k + i] * (centers[i * d + j] - z[row * d + j]);
    dz[row * d + j] = sum;
  }
}

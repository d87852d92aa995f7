// Depthwise convolution of channels-last maps and its gradients: weight (kh * kw, c), the border
// zeros. GLOBAL and the others are defined as for coupling.h.

// As `gelu` in activation.rs; Metal has no error function.
inline float gelu(float x) {
  float a = x < 0.0f ? -x : x;
  a = a > 14.0f ? 14.0f : a;
  float t = 1.0f / (1.0f + 0.23164189f * a);
  float p = 0.2548296f + t * (-0.28449674f + t * (1.4214137f + t * (-1.453152f + t * 1.0614054f)));
  return (x < 0.0f ? 0.0f : x) - 0.5f * a * (p * t * EXP(-0.5f * a * a));
}

inline float activate(float x, uint activation) {
  if (activation == 1) return x < 0.0f ? 0.0f : x;
  if (activation == 2) return x < 0.0f ? 0.0f : (x > 6.0f ? 6.0f : x);
  if (activation == 3) return x / (1.0f + EXP(-x));
  if (activation == 4) return 1.0f / (1.0f + EXP(-x));
  if (activation == 5) return gelu(x);
  return x;
}

// One thread an entry of out (b, oh, ow, c). `residual`, read where `add` is not 0, has its shape.
inline void depthwise_forward(GLOBAL const float* x, GLOBAL const float* weight,
                              GLOBAL const float* bias, GLOBAL const float* residual,
                              GLOBAL float* out, uint total, uint height, uint width, uint c,
                              uint kh, uint kw, uint stride, uint top, uint left, uint oh, uint ow,
                              uint add, uint activation, Where at) {
  uint i = at.block * at.items + at.item;
  if (i >= total) return;
  uint channel = i % c, column = i / c % ow, line = i / c / ow % oh, image = i / c / ow / oh;
  float sum = bias[channel];
  for (uint r = 0; r < kh; r++) {
    uint y = line * stride + r;
    if (y < top || y - top >= height) continue;
    for (uint s = 0; s < kw; s++) {
      uint u = column * stride + s;
      if (u < left || u - left >= width) continue;
      sum += x[((image * height + y - top) * width + u - left) * c + channel] *
             weight[(r * kw + s) * c + channel];
    }
  }
  if (add != 0) sum += residual[i];
  out[i] = activate(sum, activation);
}

// One thread an entry of dx (b, height, width, c): the outputs whose windows hold it.
inline void depthwise_input_backward(GLOBAL const float* grad, GLOBAL const float* weight,
                                     GLOBAL float* dx, uint total, uint height, uint width, uint c,
                                     uint kh, uint kw, uint stride, uint top, uint left, uint oh,
                                     uint ow, Where at) {
  uint i = at.block * at.items + at.item;
  if (i >= total) return;
  uint channel = i % c, column = i / c % width, line = i / c / width % height;
  uint image = i / c / width / height;
  float sum = 0.0f;
  for (uint r = 0; r < kh; r++) {
    uint y = line + top;
    if (y < r || (y - r) % stride != 0 || (y - r) / stride >= oh) continue;
    for (uint s = 0; s < kw; s++) {
      uint u = column + left;
      if (u < s || (u - s) % stride != 0 || (u - s) / stride >= ow) continue;
      uint at_output = (image * oh + (y - r) / stride) * ow + (u - s) / stride;
      sum += grad[at_output * c + channel] * weight[(r * kw + s) * c + channel];
    }
  }
  dx[i] = sum;
}

// One thread a tap, a channel and a line of output of all images: `parts` (oh, kh * kw + 1, c),
// whose last tap is the bias. Lines are added up by add_rows.
inline void depthwise_weight_backward(GLOBAL const float* x, GLOBAL const float* grad,
                                      GLOBAL float* parts, uint images, uint height, uint width,
                                      uint c, uint kh, uint kw, uint stride, uint top, uint left,
                                      uint oh, uint ow, Where at) {
  uint i = at.block * at.items + at.item;
  uint taps = kh * kw;
  if (i >= oh * (taps + 1) * c) return;
  uint channel = i % c, tap = i / c % (taps + 1), line = i / c / (taps + 1);
  uint r = tap / kw, s = tap % kw, y = line * stride + r;
  float sum = 0.0f;
  for (uint image = 0; image < images; image++) {
    if (tap < taps && (y < top || y - top >= height)) break;
    for (uint column = 0; column < ow; column++) {
      float g = grad[((image * oh + line) * ow + column) * c + channel];
      uint u = column * stride + s;
      if (tap == taps)
        sum += g;
      else if (u >= left && u - left < width)
        sum += g * x[((image * height + y - top) * width + u - left) * c + channel];
    }
  }
  parts[i] = sum;
}

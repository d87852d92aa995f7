// Reductions of rows of logits and their gradients; equations in softmax.rs. GLOBAL and the others
// are defined as for coupling.h. One thread a row of x (n, k), which holds few numbers.

// `with` 0 leaves out the bias.
inline float row_log_sum_exp(GLOBAL const float* x, GLOBAL const float* bias, uint with, uint k) {
  float top = x[0] + (with != 0 ? bias[0] : 0.0f), sum = 1.0f;
  for (uint i = 1; i < k; i++) {
    float q = x[i] + (with != 0 ? bias[i] : 0.0f), higher = q > top ? q : top;
    sum = sum * EXP(top - higher) + EXP(q - higher);
    top = higher;
  }
  return top + LOG(sum);
}

inline void log_sum_exp_forward(GLOBAL const float* x, GLOBAL const float* bias, GLOBAL float* out,
                                uint n, uint k, Where at) {
  uint row = at.block * at.items + at.item;
  if (row < n) out[row] = row_log_sum_exp(x + row * k, bias, 1, k);
}

// `dx` (n, k) from what came out (n) and its gradient (n).
inline void log_sum_exp_backward(GLOBAL const float* x, GLOBAL const float* bias,
                                 GLOBAL const float* out, GLOBAL const float* grad,
                                 GLOBAL float* dx, uint n, uint k, Where at) {
  uint row = at.block * at.items + at.item;
  if (row >= n) return;
  for (uint i = 0; i < k; i++)
    dx[row * k + i] = grad[row] * EXP(x[row * k + i] + bias[i] - out[row]);
}

inline void entropy_forward(GLOBAL const float* x, GLOBAL float* out, uint n, uint k, Where at) {
  uint row = at.block * at.items + at.item;
  if (row >= n) return;
  float all = row_log_sum_exp(x + row * k, x, 0, k), sum = 0.0f;
  for (uint i = 0; i < k; i++) {
    float log = x[row * k + i] - all;
    sum -= EXP(log) * log;
  }
  out[row] = sum;
}

inline void entropy_backward(GLOBAL const float* x, GLOBAL const float* out,
                             GLOBAL const float* grad, GLOBAL float* dx, uint n, uint k,
                             Where at) {
  uint row = at.block * at.items + at.item;
  if (row >= n) return;
  float all = row_log_sum_exp(x + row * k, x, 0, k);
  for (uint i = 0; i < k; i++) {
    float log = x[row * k + i] - all;
    dx[row * k + i] = -grad[row] * EXP(log) * (log + out[row]);
  }
}

// `p` rows have one row of `target` (n / p, k).
inline void cross_entropy_forward(GLOBAL const float* x, GLOBAL const float* bias,
                                  GLOBAL const float* target, GLOBAL float* out, uint n, uint p,
                                  uint k, Where at) {
  uint row = at.block * at.items + at.item;
  if (row >= n) return;
  float all = row_log_sum_exp(x + row * k, bias, 1, k), sum = 0.0f;
  for (uint i = 0; i < k; i++)
    sum += target[row / p * k + i] * (all - (x[row * k + i] + bias[i]));
  out[row] = sum;
}

inline void cross_entropy_backward(GLOBAL const float* x, GLOBAL const float* bias,
                                   GLOBAL const float* target, GLOBAL const float* grad,
                                   GLOBAL float* dx, uint n, uint p, uint k, Where at) {
  uint row = at.block * at.items + at.item;
  if (row >= n) return;
  float all = row_log_sum_exp(x + row * k, bias, 1, k), whole = 0.0f;
  for (uint i = 0; i < k; i++) whole += target[row / p * k + i];
  for (uint i = 0; i < k; i++) {
    float share = EXP(x[row * k + i] + bias[i] - all);
    dx[row * k + i] = grad[row] * (whole * share - target[row / p * k + i]);
  }
}

inline void log_softmax_forward(GLOBAL const float* x, GLOBAL float* out, uint n, uint k,
                                Where at) {
  uint row = at.block * at.items + at.item;
  if (row >= n) return;
  float all = row_log_sum_exp(x + row * k, x, 0, k);
  for (uint i = 0; i < k; i++) out[row * k + i] = x[row * k + i] - all;
}

// From what came out and its gradient.
inline void log_softmax_backward(GLOBAL const float* out, GLOBAL const float* grad,
                                 GLOBAL float* dx, uint n, uint k, Where at) {
  uint row = at.block * at.items + at.item;
  if (row >= n) return;
  float whole = 0.0f;
  for (uint i = 0; i < k; i++) whole += grad[row * k + i];
  for (uint i = 0; i < k; i++)
    dx[row * k + i] = grad[row * k + i] - whole * EXP(out[row * k + i]);
}

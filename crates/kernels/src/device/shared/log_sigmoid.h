// -ln sigmoid and its gradient; equations in log_sigmoid.rs. GLOBAL and the others are defined as for
// coupling.h. One thread a number.

inline void neg_log_sigmoid_forward(GLOBAL const float* x, GLOBAL float* out, uint n, Where at) {
  uint i = at.block * at.items + at.item;
  if (i >= n) return;
  float away = x[i] < 0.0f ? x[i] : -x[i];
  out[i] = (x[i] < 0.0f ? -x[i] : 0.0f) + LOG(1.0f + EXP(away));
}

inline void neg_log_sigmoid_backward(GLOBAL const float* x, GLOBAL const float* grad,
                                     GLOBAL float* dx, uint n, Where at) {
  uint i = at.block * at.items + at.item;
  if (i >= n) return;
  // By e^-|x| alone, which is at most 1.
  float away = EXP(x[i] < 0.0f ? x[i] : -x[i]);
  dx[i] = -grad[i] * (x[i] < 0.0f ? 1.0f : away) / (1.0f + away);
}

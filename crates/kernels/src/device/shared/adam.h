// A step of Adam in place; equations in adam.rs. GLOBAL is defined as for coupling.h.

// One thread a parameter. Where the loss is not finite nothing is changed.
inline void adam_update(GLOBAL const float* grad, GLOBAL const float* loss, GLOBAL float* p,
                        GLOBAL float* m, GLOBAL float* v, uint n, float beta1, float beta2,
                        float step_size, float root_correction, float epsilon, float decay,
                        Where at) {
  uint i = at.block * at.items + at.item;
  // What is not finite is not itself less itself.
  if (i >= n || loss[0] - loss[0] != 0.0f) return;
  float g = decay * p[i] + grad[i];
  m[i] += (g - m[i]) * (1.0f - beta1);
  v[i] = v[i] * beta2 + g * g * (1.0f - beta2);
  p[i] -= step_size * (m[i] / (SQRT(v[i]) / root_correction + epsilon));
}

extern "C" __global__ void adam(READ grad, READ loss, WRITE p, WRITE m, WRITE v, uint n,
                                float beta1, float beta2, float step_size, float root_correction,
                                float epsilon, float decay) {
  adam_update(grad, loss, p, m, v, n, beta1, beta2, step_size, root_correction, epsilon, decay,
              HERE);
}

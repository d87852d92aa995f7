extern "C" __global__ void mixture_log_density(READ z, READ centers, READ weights, WRITE out,
                                               uint g, uint p, uint k, uint d) {
  mixture_forward(z, centers, weights, out, g, p, k, d, HERE);
}

// `shares` is written and read back by other lanes: no __restrict__ there.
extern "C" __global__ void mixture_rows_gradient(READ z, READ centers, READ weights, READ density,
                                                 READ grad, WRITE dz, float* shares, uint g,
                                                 uint p, uint k, uint d) {
  mixture_rows_backward(z, centers, weights, density, grad, dz, shares, g, p, k, d, HERE);
}

extern "C" __global__ void mixture_centers_gradient(READ z, READ centers, READ shares,
                                                    WRITE dcenters, WRITE dweights, uint g, uint p,
                                                    uint k, uint d, uint tile) {
  mixture_centers_backward(z, centers, shares, dcenters, dweights, g, p, k, d, tile, HERE);
}

extern "C" __global__ void gaussian_logits(READ z, READ centers, WRITE out, uint n, uint k,
                                           uint d) {
  logits_forward(z, centers, out, n, k, d, HERE);
}

extern "C" __global__ void gaussian_logits_rows_gradient(READ z, READ centers, READ grad, WRITE dz,
                                                         uint n, uint k, uint d) {
  logits_rows_backward(z, centers, grad, dz, n, k, d, HERE);
}

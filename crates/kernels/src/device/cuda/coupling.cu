extern "C" __global__ void affine_coupling(READ x, READ a, READ affine, WRITE y, uint n, uint d,
                                           uint h, float clamp) {
  coupling_forward(x, a, affine, y, n, d, h, clamp, HERE);
}

extern "C" __global__ void affine_coupling_gradient(READ x, READ a, READ affine, READ grad,
                                                    WRITE dx, WRITE da, WRITE sums, uint n, uint d,
                                                    uint h, float clamp) {
  coupling_backward(x, a, affine, grad, dx, da, sums, n, d, h, clamp, HERE);
}

extern "C" __global__ void sum_rows(READ x, WRITE out, uint rows, uint cols,
                                    uint tile) {
  add_rows(x, out, rows, cols, tile, HERE);
}

extern "C" __global__ void coupling_log_det(READ a, WRITE out, uint n, uint h, float clamp) {
  log_det_forward(a, out, n, h, clamp, HERE);
}

extern "C" __global__ void coupling_log_det_gradient(READ a, READ grad, WRITE da, uint n, uint h,
                                                     float clamp) {
  log_det_backward(a, grad, da, n, h, clamp, HERE);
}

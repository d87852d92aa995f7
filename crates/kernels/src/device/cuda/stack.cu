extern "C" __global__ void affine_map(READ raw, READ offset, WRITE affine, WRITE log_gain,
                                      uint d) {
  affine_map_forward(raw, offset, affine, log_gain, d, HERE);
}

extern "C" __global__ void affine_map_gradient(READ raw, READ affine, READ grad, READ log_det,
                                               WRITE draw, WRITE doffset, uint d) {
  affine_map_backward(raw, affine, grad, log_det, draw, doffset, d, HERE);
}

extern "C" __global__ void hidden(READ x, READ bias, READ codes, WRITE out, uint n, uint h,
                                  uint first, uint count, uint parts, uint rows1, uint run1,
                                  uint rows2, uint run2) {
  hidden_forward(x, bias, codes, out, n, h, first, count, parts, rows1, run1, rows2, run2, HERE);
}

extern "C" __global__ void hidden_gradient(READ grad, READ hidden, WRITE out, WRITE sums,
                                           uint images, uint count, uint h) {
  hidden_backward(grad, hidden, out, sums, images, count, h, HERE);
}

extern "C" __global__ void sum_positions(READ x, WRITE out, uint h, uint first, uint count,
                                         uint rows1, uint run1, uint rows2, uint run2, uint add) {
  add_positions(x, out, h, first, count, rows1, run1, rows2, run2, add, HERE);
}

extern "C" __global__ void coupling_block(READ x, READ a, READ bias, READ affine, READ log_gain,
                                          READ before, WRITE y, WRITE log_det, uint n, uint d,
                                          uint h, uint add, float clamp) {
  block_forward(x, a, bias, affine, log_gain, before, y, log_det, n, d, h, add, clamp, HERE);
}

extern "C" __global__ void coupling_block_gradient(READ x, READ a, READ bias, READ affine,
                                                   READ grad, READ log_det, WRITE dx, WRITE da,
                                                   WRITE sums, uint n, uint d, uint h, uint rows,
                                                   float clamp) {
  block_backward(x, a, bias, affine, grad, log_det, dx, da, sums, n, d, h, rows, clamp, HERE);
}

extern "C" __global__ void sum_rows_into(READ x, WRITE out, uint rows, uint cols, uint add) {
  add_into(x, out, rows, cols, add, HERE);
}

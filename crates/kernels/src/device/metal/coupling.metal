kernel void affine_coupling(READ(x, 0), READ(a, 1), READ(affine, 2), WRITE(y, 3), UINT(n, 4),
                            UINT(d, 5), UINT(h, 6), FLOAT(clamp, 7), PLACE) {
  coupling_forward(x, a, affine, y, n, d, h, clamp, HERE);
}

kernel void affine_coupling_gradient(READ(x, 0), READ(a, 1), READ(affine, 2), READ(grad, 3),
                                     WRITE(dx, 4), WRITE(da, 5), WRITE(sums, 6), UINT(n, 7),
                                     UINT(d, 8), UINT(h, 9), FLOAT(clamp, 10), PLACE) {
  coupling_backward(x, a, affine, grad, dx, da, sums, n, d, h, clamp, HERE);
}

kernel void sum_rows(READ(x, 0), WRITE(out, 1), UINT(rows, 2), UINT(cols, 3), UINT(tile, 4),
                     PLACE) {
  add_rows(x, out, rows, cols, tile, HERE);
}

kernel void coupling_log_det(READ(a, 0), WRITE(out, 1), UINT(n, 2), UINT(h, 3), FLOAT(clamp, 4),
                             PLACE) {
  log_det_forward(a, out, n, h, clamp, HERE);
}

kernel void coupling_log_det_gradient(READ(a, 0), READ(grad, 1), WRITE(da, 2), UINT(n, 3),
                                      UINT(h, 4), FLOAT(clamp, 5), PLACE) {
  log_det_backward(a, grad, da, n, h, clamp, HERE);
}

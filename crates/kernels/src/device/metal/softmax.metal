kernel void log_sum_exp(READ(x, 0), READ(bias, 1), WRITE(out, 2), UINT(n, 3), UINT(k, 4), PLACE) {
  log_sum_exp_forward(x, bias, out, n, k, HERE);
}

kernel void log_sum_exp_gradient(READ(x, 0), READ(bias, 1), READ(out, 2), READ(grad, 3),
                                 WRITE(dx, 4), UINT(n, 5), UINT(k, 6), PLACE) {
  log_sum_exp_backward(x, bias, out, grad, dx, n, k, HERE);
}

kernel void softmax_entropy(READ(x, 0), WRITE(out, 1), UINT(n, 2), UINT(k, 3), PLACE) {
  entropy_forward(x, out, n, k, HERE);
}

kernel void softmax_entropy_gradient(READ(x, 0), READ(out, 1), READ(grad, 2), WRITE(dx, 3),
                                     UINT(n, 4), UINT(k, 5), PLACE) {
  entropy_backward(x, out, grad, dx, n, k, HERE);
}

kernel void cross_entropy(READ(x, 0), READ(bias, 1), READ(target, 2), WRITE(out, 3), UINT(n, 4),
                          UINT(p, 5), UINT(k, 6), PLACE) {
  cross_entropy_forward(x, bias, target, out, n, p, k, HERE);
}

kernel void cross_entropy_gradient(READ(x, 0), READ(bias, 1), READ(target, 2), READ(grad, 3),
                                   WRITE(dx, 4), UINT(n, 5), UINT(p, 6), UINT(k, 7), PLACE) {
  cross_entropy_backward(x, bias, target, grad, dx, n, p, k, HERE);
}

kernel void log_softmax(READ(x, 0), WRITE(out, 1), UINT(n, 2), UINT(k, 3), PLACE) {
  log_softmax_forward(x, out, n, k, HERE);
}

kernel void log_softmax_gradient(READ(out, 0), READ(grad, 1), WRITE(dx, 2), UINT(n, 3), UINT(k, 4),
                                 PLACE) {
  log_softmax_backward(out, grad, dx, n, k, HERE);
}

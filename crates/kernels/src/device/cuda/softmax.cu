extern "C" __global__ void log_sum_exp(READ x, READ bias, WRITE out, uint n, uint k) {
  log_sum_exp_forward(x, bias, out, n, k, HERE);
}

extern "C" __global__ void log_sum_exp_gradient(READ x, READ bias, READ out, READ grad, WRITE dx,
                                                uint n, uint k) {
  log_sum_exp_backward(x, bias, out, grad, dx, n, k, HERE);
}

extern "C" __global__ void softmax_entropy(READ x, WRITE out, uint n, uint k) {
  entropy_forward(x, out, n, k, HERE);
}

extern "C" __global__ void softmax_entropy_gradient(READ x, READ out, READ grad,
                                                    WRITE dx, uint n, uint k) {
  entropy_backward(x, out, grad, dx, n, k, HERE);
}

extern "C" __global__ void cross_entropy(READ x, READ bias, READ target, WRITE out, uint n, uint p,
                                         uint k) {
  cross_entropy_forward(x, bias, target, out, n, p, k, HERE);
}

extern "C" __global__ void cross_entropy_gradient(READ x, READ bias, READ target, READ grad,
                                                  WRITE dx, uint n, uint p, uint k) {
  cross_entropy_backward(x, bias, target, grad, dx, n, p, k, HERE);
}

extern "C" __global__ void log_softmax(READ x, WRITE out, uint n, uint k) {
  log_softmax_forward(x, out, n, k, HERE);
}

extern "C" __global__ void log_softmax_gradient(READ out, READ grad, WRITE dx, uint n, uint k) {
  log_softmax_backward(out, grad, dx, n, k, HERE);
}

extern "C" __global__ void neg_log_sigmoid(READ x, WRITE out, uint n) {
  neg_log_sigmoid_forward(x, out, n, HERE);
}

extern "C" __global__ void neg_log_sigmoid_gradient(READ x, READ grad, WRITE dx, uint n) {
  neg_log_sigmoid_backward(x, grad, dx, n, HERE);
}

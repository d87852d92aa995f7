kernel void neg_log_sigmoid(READ(x, 0), WRITE(out, 1), UINT(n, 2), PLACE) {
  neg_log_sigmoid_forward(x, out, n, HERE);
}

kernel void neg_log_sigmoid_gradient(READ(x, 0), READ(grad, 1), WRITE(dx, 2), UINT(n, 3), PLACE) {
  neg_log_sigmoid_backward(x, grad, dx, n, HERE);
}

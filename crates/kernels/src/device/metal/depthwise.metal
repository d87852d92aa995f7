kernel void depthwise_conv2d(READ(x, 0), READ(weight, 1), READ(bias, 2), READ(residual, 3),
                             WRITE(out, 4), UINT(total, 5), UINT(height, 6), UINT(width, 7),
                             UINT(c, 8), UINT(kh, 9), UINT(kw, 10), UINT(stride, 11), UINT(top, 12),
                             UINT(left, 13), UINT(oh, 14), UINT(ow, 15), UINT(add, 16),
                             UINT(activation, 17), PLACE) {
  depthwise_forward(x, weight, bias, residual, out, total, height, width, c, kh, kw, stride, top,
                    left, oh, ow, add, activation, HERE);
}

kernel void depthwise_input_gradient(READ(grad, 0), READ(weight, 1), WRITE(dx, 2), UINT(total, 3),
                                     UINT(height, 4), UINT(width, 5), UINT(c, 6), UINT(kh, 7),
                                     UINT(kw, 8), UINT(stride, 9), UINT(top, 10), UINT(left, 11),
                                     UINT(oh, 12), UINT(ow, 13), PLACE) {
  depthwise_input_backward(grad, weight, dx, total, height, width, c, kh, kw, stride, top, left,
                           oh, ow, HERE);
}

kernel void depthwise_weight_gradient(READ(x, 0), READ(grad, 1), WRITE(parts, 2), UINT(images, 3),
                                      UINT(height, 4), UINT(width, 5), UINT(c, 6), UINT(kh, 7),
                                      UINT(kw, 8), UINT(stride, 9), UINT(top, 10), UINT(left, 11),
                                      UINT(oh, 12), UINT(ow, 13), PLACE) {
  depthwise_weight_backward(x, grad, parts, images, height, width, c, kh, kw, stride, top, left, oh,
                            ow, HERE);
}

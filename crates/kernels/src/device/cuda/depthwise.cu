extern "C" __global__ void depthwise_conv2d(READ x, READ weight, READ bias, READ residual,
                                            WRITE out, uint total, uint height, uint width, uint c,
                                            uint kh, uint kw, uint stride, uint top, uint left,
                                            uint oh, uint ow, uint add, uint activation) {
  depthwise_forward(x, weight, bias, residual, out, total, height, width, c, kh, kw, stride, top,
                    left, oh, ow, add, activation, HERE);
}

extern "C" __global__ void depthwise_input_gradient(READ grad, READ weight, WRITE dx, uint total,
                                                    uint height, uint width, uint c, uint kh,
                                                    uint kw, uint stride, uint top, uint left,
                                                    uint oh, uint ow) {
  depthwise_input_backward(grad, weight, dx, total, height, width, c, kh, kw, stride, top, left,
                           oh, ow, HERE);
}

extern "C" __global__ void depthwise_weight_gradient(READ x, READ grad, WRITE parts, uint images,
                                                     uint height, uint width, uint c, uint kh,
                                                     uint kw, uint stride, uint top, uint left,
                                                     uint oh, uint ow) {
  depthwise_weight_backward(x, grad, parts, images, height, width, c, kh, kw, stride, top, left, oh,
                            ow, HERE);
}

kernel void mixture_log_density(READ(z, 0), READ(centers, 1), READ(weights, 2), WRITE(out, 3),
                                UINT(g, 4), UINT(p, 5), UINT(k, 6), UINT(d, 7), PLACE) {
  mixture_forward(z, centers, weights, out, g, p, k, d, HERE);
}

kernel void mixture_rows_gradient(READ(z, 0), READ(centers, 1), READ(weights, 2), READ(density, 3),
                                  READ(grad, 4), WRITE(dz, 5), WRITE(shares, 6), UINT(g, 7),
                                  UINT(p, 8), UINT(k, 9), UINT(d, 10), PLACE) {
  mixture_rows_backward(z, centers, weights, density, grad, dz, shares, g, p, k, d, HERE);
}

kernel void mixture_centers_gradient(READ(z, 0), READ(centers, 1), READ(shares, 2),
                                     WRITE(dcenters, 3), WRITE(dweights, 4), UINT(g, 5), UINT(p, 6),
                                     UINT(k, 7), UINT(d, 8), UINT(tile, 9), PLACE) {
  mixture_centers_backward(z, centers, shares, dcenters, dweights, g, p, k, d, tile, HERE);
}

kernel void gaussian_logits(READ(z, 0), READ(centers, 1), WRITE(out, 2), UINT(n, 3), UINT(k, 4),
                            UINT(d, 5), PLACE) {
  logits_forward(z, centers, out, n, k, d, HERE);
}

kernel void gaussian_logits_rows_gradient(READ(z, 0), READ(centers, 1), READ(grad, 2), WRITE(dz, 3),
                                          UINT(n, 4), UINT(k, 5), UINT(d, 6), PLACE) {
  logits_rows_backward(z, centers, grad, dz, n, k, d, HERE);
}

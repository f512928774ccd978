package io.github.igdefense.tensor;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/** An activation as the kernels see it: [N,U,S] with element strides. */
record Strided(
    Tensor owner,
    int dtype,
    long address,
    long n,
    long u,
    long s,
    long strideN,
    long strideU,
    long strideS) {

  static Strided of(Tensor activation, ScalarType type) {
    Tensor a = activation.to(type);
    long dims = a.dim();
    if (dims != 2 && dims != 4) {
      throw new IllegalArgumentException(
          "expected an activation [N,U,H,W] or [N,U], got "
              + java.util.Arrays.toString(Tensors.shape(a)));
    }
    long n = a.size(0);
    long u = a.size(1);
    long s = dims == 4 ? a.size(2) * a.size(3) : 1;
    boolean collapses =
        dims == 2
            || s == 1
            || a.size(2) == 1
            || a.size(3) == 1
            || a.stride(2) == a.size(3) * a.stride(3);
    if (!collapses) {
      a = a.contiguous();
    }
    long strideS = 1;
    if (s > 1) {
      strideS = a.size(3) > 1 ? a.stride(3) : a.stride(2);
    }
    long strideU = u > 1 ? a.stride(1) : s * strideS;
    long strideN = n > 1 ? a.stride(0) : u * s * Math.max(1, Math.min(strideU, strideS));
    return new Strided(
        a,
        type == ScalarType.Double ? FusedOps.FLOAT64 : FusedOps.FLOAT32,
        Tensors.address(a),
        n,
        u,
        s,
        strideN,
        strideU,
        strideS);
  }
}

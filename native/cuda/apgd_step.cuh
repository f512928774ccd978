// One step of Auto-PGD (Croce and Hein 2020, algorithm 1) on CUDA. Compiled for sm_80 to sm_120, run under
// emulation, not run on a GPU. Formulas in igd/kernels_cuda.h.
//
// Shapes  x, point, previous, gradient, next [N,D] dense, step_size [N]; B bytes per element.
// Bytes   reads 4 arrays, writes 1: 5*N*D*B. libtorch's L-infinity step moves 29 arrays in 11 launches, its L2
//         step about 80 in 40. Here 1 launch each. The L2 step passes over an image four times; after the first the
//         image comes from the caches (N*D*B*16 bytes requested).
// FLOP    L-infinity about 14 per element, L2 about 35 and 3 reductions per image. 16 bytes per access.
// Computed, not measured (bytes / 3.35 TB/s, H100 SXM; N=128, D=3072, float32): 7.9 MB, 2.3 us, about the time of
//         one launch (2 to 3 us): what counts here is 1 launch in place of 11.
// L2: one block per image: up to N = 132 an H100 is not filled.
#ifndef IGD_CUDA_APGD_STEP_CUH_
#define IGD_CUDA_APGD_STEP_CUH_

#include "common.cuh"

namespace igd {
namespace cuda {

template <typename T>
struct ApgdStep {
  const T *x, *point, *previous, *gradient;
  const Acc<T>* step_size;
  int64_t n, d;
  Acc<T> epsilon, momentum;
  T* next;
};

template <typename A>
__device__ __forceinline__ A clamp(A x, A low, A high) {
  x = x < low ? low : x;  // a NaN stays one
  return x > high ? high : x;
}

template <typename A>
__device__ __forceinline__ A with_momentum(A ahead, A point, A previous, A a) {
  return point + a * (ahead - point) + (A(1) - a) * (point - previous);
}

template <int V, typename T>
__device__ __forceinline__ void step_linf_many(const ApgdStep<T>& k, int64_t e) {
  typedef Acc<T> A;
  A x[V], point[V], previous[V], gradient[V];
  get_many<V>(k.x + e, x);
  get_many<V>(k.point + e, point);
  get_many<V>(k.previous + e, previous);
  get_many<V>(k.gradient + e, gradient);
  int64_t image, place;
  divide(e, k.d, &image, &place);
  A step = get(k.step_size + image);
  IGD_UNROLL
  for (int i = 0; i < V; ++i) {
    const A low = clamp(x[i] - k.epsilon, A(0), A(1));
    const A high = clamp(x[i] + k.epsilon, A(0), A(1));
    const A sign = static_cast<A>((gradient[i] > A(0)) - (gradient[i] < A(0)));
    const A ahead = clamp(point[i] + step * sign, low, high);
    x[i] = clamp(with_momentum(ahead, point[i], previous[i], k.momentum), low, high);
    if (i + 1 < V && ++place == k.d) {
      place = 0;
      step = get(k.step_size + ++image);
    }
  }
  put_many<V>(k.next + e, x);
}

// V elements per thread, single ones at the end. Grid: ceil(n*d / (kThreads*V)) blocks.
template <typename T, int V>
__global__ void apgd_step_linf(ApgdStep<T> k) {
  const int64_t e = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * V;
  const int64_t total = k.n * k.d;
  if (e + V <= total) {
    step_linf_many<V>(k, e);
  } else {
    for (int64_t i = e; i < total; ++i) step_linf_many<1>(k, i);
  }
}

// What an L2 projection multiplies a move of length `length` by.
template <typename A>
__device__ __forceinline__ A shrink(A length, A epsilon) {
  return (length > epsilon ? epsilon : length) / (length + A(1e-12));
}

// V > 1 needs d % V == 0. Grid: n blocks.
template <typename T, int V>
__global__ void apgd_step_l2(ApgdStep<T> k) {
  typedef Acc<T> A;
  IGD_SHARED(A, shared, kWarps);
  const int64_t start = static_cast<int64_t>(blockIdx.x) * k.d;
  const A step = get(k.step_size + blockIdx.x);
  const int64_t stride = kThreads * V;

  A sum = 0;
  for (int64_t e = threadIdx.x * V; e < k.d; e += stride) {
    A gradient[V];
    get_many<V>(k.gradient + start + e, gradient);
    IGD_UNROLL
    for (int i = 0; i < V; ++i) sum += gradient[i] * gradient[i];
  }
  const A scale = step / (sqrt(block_sum(sum, shared)) + A(1e-12));

  sum = 0;
  for (int64_t e = threadIdx.x * V; e < k.d; e += stride) {
    A x[V], point[V], gradient[V];
    get_many<V>(k.x + start + e, x);
    get_many<V>(k.point + start + e, point);
    get_many<V>(k.gradient + start + e, gradient);
    IGD_UNROLL
    for (int i = 0; i < V; ++i) {
      const A move = point[i] + scale * gradient[i] - x[i];
      sum += move * move;
    }
  }
  const A first = shrink(sqrt(block_sum(sum, shared)), k.epsilon);

  // The point before the second projection: computed twice, once for its length.
  A second = 0;
  sum = 0;
  IGD_UNROLL
  for (int pass = 0; pass < 2; ++pass) {
    for (int64_t e = threadIdx.x * V; e < k.d; e += stride) {
      A x[V], point[V], previous[V], gradient[V];
      get_many<V>(k.x + start + e, x);
      get_many<V>(k.point + start + e, point);
      get_many<V>(k.previous + start + e, previous);
      get_many<V>(k.gradient + start + e, gradient);
      IGD_UNROLL
      for (int i = 0; i < V; ++i) {
        const A move = point[i] + scale * gradient[i] - x[i];
        const A ahead = clamp(x[i] + move * first, A(0), A(1));
        const A last = with_momentum(ahead, point[i], previous[i], k.momentum) - x[i];
        sum += last * last;
        x[i] = clamp(x[i] + last * second, A(0), A(1));
      }
      if (pass == 1) put_many<V>(k.next + start + e, x);
    }
    if (pass == 0) second = shrink(sqrt(block_sum(sum, shared)), k.epsilon);
  }
}

}  // namespace cuda
}  // namespace igd

#endif  // IGD_CUDA_APGD_STEP_CUH_

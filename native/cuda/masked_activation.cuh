// Masked activation on CUDA: residual sum, ReLU and per-image channel mask; mathematics in
// native/cpu/masked_activation.cpp. Compiled for sm_80 to sm_120, run under emulation, not run on a GPU.
//
// Shapes  x, residual, grad, out [N,C,S] or [N,S,C] dense, mask, grad_mask [N,C]; E = N*C*S, B bytes per element.
// Bytes   forward: reads x (and residual), writes out: 2*E*B (3*E*B with a residual), plus the mask;
//         backward: reads grad, x (and residual), writes grad_in: 3*E*B (4*E*B).
// FLOP    2 to 5 per element. 1 launch, 16 bytes per access.
// Computed, not measured (bytes / 3.35 TB/s, H100 SXM; N=128, C=512, S=16, float32, residual): forward 12.6 MB,
//         3.8 us; backward 16.8 MB, 5.0 us. Three kernels of libtorch (add, relu, mul) move 8*E*B.
#ifndef IGD_CUDA_MASKED_ACTIVATION_CUH_
#define IGD_CUDA_MASKED_ACTIVATION_CUH_

#include "common.cuh"

namespace igd {
namespace cuda {

template <typename T>
struct MaskedActivation {
  const T* grad;  // backward only
  const T* x;
  const T* residual;   // or nullptr
  const Acc<T>* mask;  // or nullptr
  int64_t channels, positions, total;
  bool channels_last, relu;
  T* out;             // or grad_in
  Acc<T>* grad_mask;  // backward with a mask gradient
};

// The mask of consecutive elements; loads it only where it changes.
template <typename A>
struct MaskWalk {
  const A* mask;
  int64_t channels, positions, channel, position, image;
  bool channels_last;
  A factor;

  __device__ __forceinline__ MaskWalk(const A* mask_, int64_t c, int64_t s, bool last, int64_t e)
      : mask(mask_), channels(c), positions(s), channels_last(last), factor(1) {
    int64_t row;
    if (last) {
      divide(e, c, &row, &channel);
      divide(row, s, &image, &position);
    } else {
      divide(e, s, &row, &position);
      divide(row, c, &image, &channel);
    }
    load();
  }
  __device__ __forceinline__ void load() {
    if (mask != nullptr) factor = get(mask + image * channels + channel);
  }
  // To the next element, which exists.
  __device__ __forceinline__ void next() {
    if (channels_last) {
      if (++channel == channels) {
        channel = 0;
        if (++position == positions) position = 0, ++image;
      }
      load();
    } else if (++position == positions) {
      position = 0;
      if (++channel == channels) channel = 0, ++image;
      load();
    }
  }
};

// One element: the result, and for backward the term of the mask's gradient.
template <bool kBackward, typename A>
__device__ __forceinline__ A activate(A pre, A g, A factor, bool relu, A* term) {
  const bool off = relu && pre <= A(0);  // false for a NaN
  if (!kBackward) return (off ? A(0) : pre) * factor;
  *term = g * (off ? A(0) : pre);
  return off ? A(0) : g * factor;
}

// V elements from e on.
template <bool kBackward, int V, typename T>
__device__ __forceinline__ void load_pre(const MaskedActivation<T>& k, int64_t e, Acc<T> (&pre)[V],
                                         Acc<T> (&g)[V]) {
  get_many<V>(k.x + e, pre);
  if (k.residual != nullptr) {
    Acc<T> r[V];
    get_many<V>(k.residual + e, r);
    IGD_UNROLL
    for (int i = 0; i < V; ++i) pre[i] += r[i];
  }
  if (kBackward) get_many<V>(k.grad + e, g);
}

template <bool kBackward, int V, typename T>
__device__ __forceinline__ void activate_many(const MaskedActivation<T>& k, int64_t e) {
  Acc<T> pre[V], g[V] = {}, term;
  load_pre<kBackward, V>(k, e, pre, g);
  MaskWalk<Acc<T>> walk(k.mask, k.channels, k.positions, k.channels_last, e);
  IGD_UNROLL
  for (int i = 0; i < V; ++i) {
    pre[i] = activate<kBackward>(pre[i], g[i], walk.factor, k.relu, &term);
    if (i + 1 < V) walk.next();
  }
  put_many<V>(k.out + e, pre);
}

// Forward, and backward without a mask gradient: V elements per thread, single ones at the end.
// Grid: ceil(total / (kThreads*V)) blocks.
template <typename T, bool kBackward, int V>
__global__ void masked_activation(MaskedActivation<T> k) {
  const int64_t e = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * V;
  if (e + V <= k.total) {
    activate_many<kBackward, V>(k, e);
  } else {
    for (int64_t i = e; i < k.total; ++i) activate_many<kBackward, 1>(k, i);
  }
}

// Backward with a mask gradient, channels-first: `width` lanes (a power of two) per channel of an image.
// V > 1 needs positions % V == 0. Grid: ceil(rows*width / kThreads) blocks.
template <typename T, int V>
__global__ void masked_activation_rows(MaskedActivation<T> k, int width) {
  const int64_t row = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) / width;
  const int lane = static_cast<int>(threadIdx.x) % width;
  const bool valid = row * k.positions < k.total;
  Acc<T> sum = 0;
  if (valid) {
    const Acc<T> factor = k.mask != nullptr ? get(k.mask + row) : Acc<T>(1);
    for (int64_t q = lane * V; q < k.positions; q += width * V) {
      const int64_t e = row * k.positions + q;
      Acc<T> pre[V], g[V] = {}, term;
      load_pre<true, V>(k, e, pre, g);
      IGD_UNROLL
      for (int i = 0; i < V; ++i) {
        pre[i] = activate<true>(pre[i], g[i], factor, k.relu, &term);
        sum += term;
      }
      put_many<V>(k.out + e, pre);
    }
  }
  sum = group_sum(sum, width);
  if (valid && lane == 0) put(k.grad_mask + row, sum);
}

// Lanes along the channels, and channels of a block, with V channels per thread.
template <int V>
constexpr int kColumnLanes = V > 1 ? 8 : kWarp;

// Backward with a mask gradient, channels-last: a block takes kColumnLanes<V>*V channels of an image, its other
// threads share the positions. V > 1 needs channels % V == 0. Grid: images * tiles blocks.
template <typename T, int V>
__global__ void masked_activation_columns(MaskedActivation<T> k, int tiles) {
  constexpr int kLanes = kColumnLanes<V>, kRows = kThreads / kLanes, kTile = kLanes * V;
  IGD_SHARED(Acc<T>, sums, kRows * kTile);
  const int64_t image = blockIdx.x / tiles;
  const int64_t first = static_cast<int64_t>(blockIdx.x % tiles) * kTile;
  const int lane = threadIdx.x % kLanes, row = threadIdx.x / kLanes;
  const int64_t channel = first + lane * V;
  Acc<T> sum[V] = {};
  if (channel < k.channels) {
    Acc<T> factor[V];
    IGD_UNROLL
    for (int i = 0; i < V; ++i) factor[i] = Acc<T>(1);
    if (k.mask != nullptr) get_numbers<V>(k.mask + image * k.channels + channel, factor);
    for (int64_t q = row; q < k.positions; q += kRows) {
      const int64_t e = (image * k.positions + q) * k.channels + channel;
      Acc<T> pre[V], g[V] = {}, term;
      load_pre<true, V>(k, e, pre, g);
      IGD_UNROLL
      for (int i = 0; i < V; ++i) {
        pre[i] = activate<true>(pre[i], g[i], factor[i], k.relu, &term);
        sum[i] += term;
      }
      put_many<V>(k.out + e, pre);
    }
  }
  IGD_UNROLL
  for (int i = 0; i < V; ++i) sums[row * kTile + lane * V + i] = sum[i];
  __syncthreads();
  for (int i = threadIdx.x; i < kTile; i += kThreads) {
    Acc<T> total = 0;
    for (int r = 0; r < kRows; ++r) total += sums[r * kTile + i];
    if (first + i < k.channels) put(k.grad_mask + image * k.channels + first + i, total);
  }
}

}  // namespace cuda
}  // namespace igd

#endif  // IGD_CUDA_MASKED_ACTIVATION_CUH_

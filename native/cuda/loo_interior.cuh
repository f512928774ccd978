// Leave-one-out inside the network on CUDA; mathematics in native/cpu/loo_interior.cpp. Compiled for sm_80 to
// sm_120, run under emulation, not run on a GPU.
//
// Shapes  base [N,OH,OW,O], input [N,H,W,U], weight [U,taps,O/groups], out [P,OH,OW,O] channels-last; B bytes per
//         element, A per accumulator. 1 launch for a whole block of pairs.
// ablate_convolution: a block takes a few output positions of one pair: the differences of the channel at their taps
//         go to shared memory, then 16 bytes of output channels per thread: base, taps with a difference that is
//         not 0, f, store.
// Bytes   writes P*OH*OW*O*B; reads the base of the images that occur once, then from the second-level cache
//         (P*OH*OW*O*B requested), U's channel by 32-byte sectors, weights from the caches.
// FLOP    2*P*OH*OW*taps*O/groups at most: 2.25 per byte for 3x3 float32, far below the ridge of every card.
// Computed, not measured (H100 SXM, 3.35 TB/s; 512 units x 8 images of 8x8, O=512, float32): 537 MB written,
//         160 us (and as many bytes from the second-level cache, 98 us at 5.5 TB/s, beside it).
// ablate_identity: 2*P*S*U*B requested, P*S*U*B written. differences: two logits per pair.
#ifndef IGD_CUDA_LOO_INTERIOR_CUH_
#define IGD_CUDA_LOO_INTERIOR_CUH_

#include "common.cuh"

namespace igd {
namespace cuda {

template <typename T>
struct AblatedConvolution {
  const T* base;
  int64_t n;
  int oh, ow, o;
  const T* input;
  int h, w, u;
  const T* removed;  // or nullptr
  const Acc<T>* weight;
  int kernel, stride, padding, groups;
  bool relu;
  const int64_t* units;
  const int64_t* images;
  T* out;
  int tile, tiles;  // output positions of a block, blocks of a pair
};

// A number that is not one.
template <typename A>
__device__ __forceinline__ A not_a_number() {
  return static_cast<A>(float_of(0x7fc00000u));
}

// V output channels from `channel` on: f(base + taps).
template <int V, typename T>
__device__ __forceinline__ void correct(const AblatedConvolution<T>& k, const T* base, const Acc<T>* deltas,
                                        const Acc<T>* weight, int first, int outputs, int channel, bool good,
                                        T* out) {
  Acc<T> acc[V];
  get_many<V>(base + channel, acc);
  if (channel >= first && channel < first + outputs) {
    const Acc<T>* row = weight + (channel - first);
    for (int t = 0; t < k.kernel * k.kernel; ++t, row += outputs) {
      const Acc<T> delta = deltas[t];
      if (delta == Acc<T>(0)) continue;
      Acc<T> w[V];
      get_numbers<V>(row, w);
      IGD_UNROLL
      for (int i = 0; i < V; ++i) acc[i] += delta * w[i];
    }
  }
  IGD_UNROLL
  for (int i = 0; i < V; ++i) {
    if (k.relu && acc[i] < Acc<T>(0)) acc[i] = 0;  // a NaN stays one
    if (!good) acc[i] = not_a_number<Acc<T>>();
  }
  put_many<V>(out + channel, acc);
}

// V > 1 needs o and o/groups to be multiples of V and 16-byte aligned arrays. Grid: pairs * tiles blocks. Dynamic
// shared memory: tile * kernel^2 accumulators.
template <typename T, int V>
__global__ void ablate_convolution(AblatedConvolution<T> k) {
  typedef Acc<T> A;
  IGD_DYNAMIC_SHARED(A, deltas);  // [tile, taps]
  const int64_t pair = blockIdx.x / k.tiles;
  const int first_position = static_cast<int>(blockIdx.x % k.tiles) * k.tile;
  const int positions = min(k.tile, k.oh * k.ow - first_position);
  const int taps = k.kernel * k.kernel;
  int64_t unit = get_raw(k.units + pair), image = get_raw(k.images + pair);
  const bool good = unit >= 0 && unit < k.u && image >= 0 && image < k.n;
  if (!good) unit = 0, image = 0;

  const T* channel = k.input + image * k.h * k.w * k.u + unit;
  const A removed = k.removed != nullptr ? get(k.removed + unit) : A(0);
  for (int i = threadIdx.x; i < positions * taps; i += kThreads) {
    const int position = first_position + i / taps, tap = i % taps;
    const int row = position / k.ow * k.stride + tap / k.kernel - k.padding;
    const int column = position % k.ow * k.stride + tap % k.kernel - k.padding;
    const bool inside = row >= 0 && row < k.h && column >= 0 && column < k.w;
    deltas[i] = inside ? removed - get(channel + (static_cast<int64_t>(row) * k.w + column) * k.u) : A(0);
  }
  __syncthreads();

  const int outputs = k.o / k.groups;
  const int first = static_cast<int>(unit) / (k.u / k.groups) * outputs;
  const A* weight = k.weight + unit * taps * outputs;
  const int64_t start = static_cast<int64_t>(first_position) * k.o;
  const T* base = k.base + image * k.oh * k.ow * k.o + start;
  T* out = k.out + pair * k.oh * k.ow * k.o + start;
  const int packs = k.o / V;
  for (int i = threadIdx.x; i < positions * packs; i += kThreads) {
    const int position = i / packs, pack = i % packs;
    correct<V>(k, base + static_cast<int64_t>(position) * k.o, deltas + position * taps, weight, first,
               outputs, pack * V, good, out + static_cast<int64_t>(position) * k.o);
  }
}

template <typename T>
struct AblatedIdentity {
  const T* a;
  int64_t n;
  int size, u;  // elements of an image [S,U], and units
  const int64_t* units;
  const int64_t* images;
  T* out;
  int tiles;  // blocks of a pair, kThreads*V elements each
};

// V > 1 needs size % V == 0. Grid: pairs * tiles blocks.
template <typename T, int V>
__global__ void ablate_identity(AblatedIdentity<T> k) {
  const int64_t pair = blockIdx.x / k.tiles;
  const int64_t e = (static_cast<int64_t>(blockIdx.x % k.tiles) * kThreads + threadIdx.x) * V;
  if (e >= k.size) return;
  const int64_t unit = get_raw(k.units + pair);
  int64_t image = get_raw(k.images + pair);
  const bool good = unit >= 0 && unit < k.u && image >= 0 && image < k.n;
  if (!good) image = 0;
  Acc<T> x[V];
  get_many<V>(k.a + image * k.size + e, x);
  int at = static_cast<int>(e) % k.u;
  IGD_UNROLL
  for (int i = 0; i < V; ++i) {
    if (at == unit) x[i] = 0;
    if (!good) x[i] = not_a_number<Acc<T>>();
    if (++at == k.u) at = 0;
  }
  put_many<V>(k.out + pair * k.size + e, x);
}

// Grid: ceil(pairs / kThreads) blocks.
template <typename T>
__global__ void loo_differences(const T* logits, int64_t k, const T* base, const int64_t* labels, int64_t n,
                                const int64_t* images, int64_t pairs, bool signed_difference, double* out) {
  const int64_t pair = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (pair >= pairs) return;
  const int64_t image = get_raw(images + pair);
  const int64_t label = image >= 0 && image < n ? get_raw(labels + image) : -1;
  double difference = not_a_number<double>();
  if (label >= 0 && label < k) {
    difference = static_cast<double>(get(logits + pair * k + label)) -
                 static_cast<double>(get(base + image * k + label));
  }
  put_raw(out + pair, signed_difference ? difference : fabs(difference));
}

}  // namespace cuda
}  // namespace igd

#endif  // IGD_CUDA_LOO_INTERIOR_CUH_

// Masked head on CUDA; mathematics in native/cpu/masked_head.cpp. Compiled for sm_80 to sm_120, run under
// emulation, not run on a GPU.
//
// Shapes  a, grad_a [N,U,S] strided, W, M [K,U], z, y, logits [N,K], p, m [N,U]; B bytes per element of a and W,
//         A per accumulator.
// Launch  1, forward and backward: one block per image (or per kImages of them: W is then read once for all), the
//         vectors p, m.p, z and y in shared memory. Classes with y = 0 are not read, as on the CPU; the others are
//         listed in order by votes.
// Bytes   forward: a once (N*U*S*B), W twice per block from the second-level cache (2*K*U*B*N/kImages), M once per
//         class of the list, outputs N*(2*U + 3*K)*A. Backward: writes grad_a once (N*U*S*B), W twice per block.
// FLOP    forward N*U*(S + 4*K + 3), backward N*U*(4*K + S + 6) at one class per image.
// Computed, not measured (H100 SXM, 3.35 TB/s): N=128, U=512, S=16, K=10, float32: 4.2 MB, 1.3 us + launch;
//         N=128, U=2048, S=49, K=1000: 51 MB, 15 us, and 2 GB of W from the second-level cache, 370 us at about
//         5.5 TB/s: there libtorch's matrix products are the better choice.
// One block per image: below N = 132 an H100 is not filled.
#ifndef IGD_CUDA_MASKED_HEAD_CUH_
#define IGD_CUDA_MASKED_HEAD_CUH_

#include "common.cuh"

namespace igd {
namespace cuda {

template <typename T>
struct HeadForward {
  const T* a;
  DeviceStrides stride;
  int n, units, positions, classes;  // one image's elements fit an int
  const T* weight;
  const T* bias;  // or nullptr
  const uint8_t* masks;
  double temperature;
  const Acc<T>* first_logits_in;  // or nullptr
  Acc<T>* pooled;
  Acc<T>* first_logits;  // this and the next two: or nullptr
  Acc<T>* soft_weights;
  Acc<T>* soft_mask;
  Acc<T>* logits;
  int width;            // lanes per unit where the positions are contiguous, else 0
  bool vectors;         // 16-byte loads of a
  bool weight_vectors;  // of W
};

template <typename T>
struct HeadBackward {
  const Acc<T>* grad_logits;
  const Acc<T>* pooled;
  const Acc<T>* soft_weights;
  const Acc<T>* soft_mask;  // or nullptr
  const T* weight;
  const uint8_t* masks;
  double temperature;
  int n, units, positions, classes;
  bool own_first_logits;
  T* grad_a;
  DeviceStrides stride;
  Acc<T>* grad_first_logits;  // or nullptr
  bool weight_vectors;
  bool rows, columns;  // grad_a's images are dense, with 16-byte stores: channels-first or channels-last
};

// Mean over contiguous positions of every unit of one image.
template <typename T>
__device__ __forceinline__ void pool_rows(const HeadForward<T>& h, const T* a, Acc<T>* pooled) {
  constexpr int V = kVector<T>;
  const int lane = static_cast<int>(threadIdx.x) % h.width;
  const int groups = kThreads / h.width;
  for (int first = 0; first < h.units; first += groups) {
    const int u = first + static_cast<int>(threadIdx.x) / h.width;
    Acc<T> total = 0;
    if (u < h.units) {
      const T* row = a + u * h.stride.u;
      int done = 0;
      if (h.vectors) {
        done = h.positions / V * V;
        for (int q = lane * V; q < done; q += h.width * V) {
          Acc<T> x[V];
          get_many<V>(row + q, x);
          IGD_UNROLL
          for (int i = 0; i < V; ++i) total += x[i];
        }
      }
      for (int q = done + lane; q < h.positions; q += h.width) total += get(row + q);
    }
    total = group_sum(total, h.width);
    if (lane == 0 && u < h.units) pooled[u] = total / static_cast<Acc<T>>(h.positions);
  }
}

// The same for any strides, V units per thread, the first `count` units (count % V == 0): coalesced for
// channels-last. Threads that are left share the positions; `partial` has kThreads*V elements.
template <int V, typename T>
__device__ __forceinline__ void pool_columns(const HeadForward<T>& h, const T* a, int count, Acc<T>* partial,
                                             Acc<T>* pooled) {
  const int packs = count / V;
  const int columns = packs < kThreads ? packs : kThreads;
  const int parts = kThreads / columns;
  const int column = static_cast<int>(threadIdx.x) % columns, part = static_cast<int>(threadIdx.x) / columns;
  for (int first = 0; first < packs; first += columns) {
    const int u = (first + column) * V;
    const bool valid = part < parts && first + column < packs;
    Acc<T> total[V] = {};
    if (valid) {
      for (int q = part; q < h.positions; q += parts) {
        Acc<T> x[V];
        const T* element = a + q * h.stride.s + u * h.stride.u;
        get_many<V>(element, x);
        IGD_UNROLL
        for (int i = 0; i < V; ++i) total[i] += x[i];
      }
      IGD_UNROLL
      for (int i = 0; i < V; ++i) partial[(part * columns + column) * V + i] = total[i];
    }
    __syncthreads();
    if (valid && part == 0) {
      IGD_UNROLL
      for (int i = 0; i < V; ++i) {
        Acc<T> sum = total[i];
        for (int r = 1; r < parts; ++r) sum += partial[(r * columns + column) * V + i];
        pooled[u + i] = sum / static_cast<Acc<T>>(h.positions);
      }
    }
    __syncthreads();
  }
}

// out[i,c] = sum_u x[i,u] * W[c,u] + b[c] for the block's images, a warp per class; x and out in shared memory.
template <int kImages, typename T>
__device__ __forceinline__ void linear(const HeadForward<T>& h, const Acc<T>* x, Acc<T>* out) {
  constexpr int V = kVector<T>;
  const int lane = threadIdx.x % kWarp;
  for (int c = static_cast<int>(threadIdx.x) / kWarp; c < h.classes; c += kWarps) {
    const T* row = h.weight + static_cast<int64_t>(c) * h.units;
    Acc<T> total[kImages] = {};
    int done = 0;
    if (h.weight_vectors) {
      done = h.units / V * V;
      for (int u = lane * V; u < done; u += kWarp * V) {
        Acc<T> w[V];
        get_many<V>(row + u, w);
        IGD_UNROLL
        for (int i = 0; i < kImages; ++i) {
          IGD_UNROLL
          for (int j = 0; j < V; ++j) total[i] += x[i * h.units + u + j] * w[j];
        }
      }
    }
    for (int u = done + lane; u < h.units; u += kWarp) {
      const Acc<T> w = get(row + u);
      IGD_UNROLL
      for (int i = 0; i < kImages; ++i) total[i] += x[i * h.units + u] * w;
    }
    IGD_UNROLL
    for (int i = 0; i < kImages; ++i) {
      total[i] = group_sum(total[i], kWarp);
      if (lane == 0) out[i * h.classes + c] = h.bias != nullptr ? total[i] + get(h.bias + c) : total[i];
    }
  }
}

// Weights below exp of these become 0, as on the CPU.
__device__ __forceinline__ double exp_floor(float) { return -69.0; }
__device__ __forceinline__ double exp_floor(double) { return -667.0; }

// z[classes] becomes softmax(z/temperature).
template <typename A>
__device__ __forceinline__ void softmax(A* z, int classes, double temperature, A* shared_max,
                                        double* shared_sum) {
  A highest = z[0];
  for (int c = threadIdx.x; c < classes; c += kThreads) highest = z[c] > highest ? z[c] : highest;
  highest = block_max(highest, shared_max);
  double total = 0;
  for (int c = threadIdx.x; c < classes; c += kThreads) {
    const double x = (static_cast<double>(z[c]) - static_cast<double>(highest)) / temperature;
    const double e = x < exp_floor(A(0)) ? 0.0 : exp(x);  // a NaN goes through exp
    z[c] = static_cast<A>(e);
    total += e;
  }
  total = block_sum(total, shared_sum);
  const A inverse = static_cast<A>(1.0 / total);
  for (int c = threadIdx.x; c < classes; c += kThreads) z[c] *= inverse;
}

// list[0..count) = the classes with y not 0, in order; by the first warp.
template <typename A>
__device__ __forceinline__ void list_classes(const A* y, int classes, int* list, int* count) {
  if (threadIdx.x >= kWarp) return;
  const int lane = threadIdx.x;
  int found = 0;
  for (int first = 0; first < classes; first += kWarp) {
    const int c = first + lane;
    const bool used = c < classes && y[c] != A(0);
    const unsigned votes = __ballot_sync(kAllLanes, used);
    if (used) list[found + __popc(votes & ((1u << lane) - 1u))] = c;
    found += __popc(votes);
  }
  if (lane == 0) *count = found;
}

// Grid: ceil(n / kImages) blocks. Dynamic shared memory: head_forward_shared().
template <typename T, int kImages>
__global__ void masked_head_forward(HeadForward<T> h) {
  typedef Acc<T> A;
  constexpr int V = kVector<T>;
  IGD_DYNAMIC_SHARED(A, p);  // [kImages,U]
  IGD_SHARED(A, shared_max, kWarps);
  IGD_SHARED(double, shared_sum, kWarps);
  IGD_SHARED(int, count, 1);
  const int region = kImages * h.classes > kThreads * V ? kImages * h.classes : kThreads * V;
  A* z = p + kImages * h.units;                    // [kImages,K]; before that, partial sums of the pooling
  int* list = reinterpret_cast<int*>(z + region);  // [K]
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kImages;

  for (int i = 0; i < kImages; ++i) {
    // Beyond the last image: the last one once more, without results.
    const int64_t image = first + i < h.n ? first + i : h.n - 1;
    const T* a = h.a + image * h.stride.n;
    if (h.width > 0) {
      pool_rows(h, a, p + i * h.units);
    } else {
      const int vectors = h.vectors ? h.units / V * V : 0;
      if (vectors > 0) pool_columns<V>(h, a, vectors, z, p + i * h.units);
      if (vectors < h.units) {
        pool_columns<1>(h, a + vectors * h.stride.u, h.units - vectors, z, p + i * h.units + vectors);
      }
    }
  }
  __syncthreads();
  if (h.first_logits_in == nullptr) {
    linear<kImages>(h, p, z);
  } else {
    for (int i = 0; i < kImages && first + i < h.n; ++i) {
      for (int c = threadIdx.x; c < h.classes; c += kThreads) {
        z[i * h.classes + c] = get(h.first_logits_in + (first + i) * h.classes + c);
      }
    }
  }
  __syncthreads();
  for (int i = 0; i < kImages && first + i < h.n; ++i) {
    const int64_t image = first + i;
    A* zi = z + i * h.classes;
    A* pi = p + i * h.units;
    for (int c = threadIdx.x; c < h.classes; c += kThreads) {
      if (h.first_logits != nullptr) put(h.first_logits + image * h.classes + c, zi[c]);
    }
    softmax(zi, h.classes, h.temperature, shared_max, shared_sum);
    __syncthreads();
    list_classes(zi, h.classes, list, count);
    for (int c = threadIdx.x; c < h.classes; c += kThreads) {
      if (h.soft_weights != nullptr) put(h.soft_weights + image * h.classes + c, zi[c]);
    }
    __syncthreads();
    for (int u = threadIdx.x; u < h.units; u += kThreads) {
      A m = 0;
      for (int j = 0; j < count[0]; ++j) {
        const int c = list[j];
        m += zi[c] * (get_raw(h.masks + static_cast<int64_t>(c) * h.units + u) != 0 ? A(1) : A(0));
      }
      const A x = pi[u];
      put(h.pooled + image * h.units + u, x);
      if (h.soft_mask != nullptr) put(h.soft_mask + image * h.units + u, m);
      pi[u] = m * x;
    }
    __syncthreads();
  }
  linear<kImages>(h, p, z);
  __syncthreads();
  for (int i = 0; i < kImages && first + i < h.n; ++i) {
    for (int c = threadIdx.x; c < h.classes; c += kThreads) {
      put(h.logits + (first + i) * h.classes + c, z[i * h.classes + c]);
    }
  }
}

// sums[u] = sum over `count` classes (listed, or 0, 1, ...) of x[c]*W[c,u], V units from u.
template <int V, typename T>
__device__ __forceinline__ void gather_rows(const HeadBackward<T>& h, const Acc<T>* x, const int* list,
                                            int count, int u, Acc<T> (&sums)[V]) {
  for (int j = 0; j < count; ++j) {
    const int c = list != nullptr ? list[j] : j;
    Acc<T> w[V];
    get_many<V>(h.weight + static_cast<int64_t>(c) * h.units + u, w);
    IGD_UNROLL
    for (int i = 0; i < V; ++i) sums[i] += x[c] * w[i];
  }
}

// dq = g W, m (given or y M), dp = m.dq, dm = pooled.dq for V units from u.
template <int V, typename T>
__device__ __forceinline__ void through_classifier(const HeadBackward<T>& h, int64_t image, const Acc<T>* g,
                                                   const Acc<T>* y, const int* list, int count, int u,
                                                   Acc<T>* dp, Acc<T>* dm) {
  Acc<T> dq[V] = {};
  gather_rows<V>(h, g, nullptr, h.classes, u, dq);
  IGD_UNROLL
  for (int i = 0; i < V; ++i) {
    const int64_t index = image * h.units + u + i;
    Acc<T> m = 0;
    if (h.soft_mask != nullptr) {
      m = get(h.soft_mask + index);
    } else {
      for (int j = 0; j < count; ++j) {
        const int c = list[j];
        m += y[c] *
             (get_raw(h.masks + static_cast<int64_t>(c) * h.units + u + i) != 0 ? Acc<T>(1) : Acc<T>(0));
      }
    }
    dp[u + i] = m * dq[i];
    dm[u + i] = get(h.pooled + index) * dq[i];
  }
}

template <int V, typename T>
__device__ __forceinline__ void add_first_logits(const HeadBackward<T>& h, const Acc<T>* dz, const int* list,
                                                 int count, int u, Acc<T>* dp) {
  Acc<T> sums[V] = {};
  gather_rows<V>(h, dz, list, count, u, sums);
  IGD_UNROLL
  for (int i = 0; i < V; ++i) dp[u + i] += sums[i];
}

// grad_a[u,s] = dp[u]/S for one image.
template <typename T>
__device__ __forceinline__ void spread(const HeadBackward<T>& h, const Acc<T>* dp, T* grad_a) {
  constexpr int V = kVector<T>;
  const Acc<T> positions = static_cast<Acc<T>>(h.positions);
  const int total = h.units * h.positions;
  int done = 0;
  if (h.rows || h.columns) {
    done = total / V * V;
    for (int e = threadIdx.x * V; e < done; e += kThreads * V) {
      Acc<T> x[V];
      const int inner = h.rows ? h.positions : h.units;
      int slow = e / inner, fast = e % inner;
      IGD_UNROLL
      for (int i = 0; i < V; ++i) {
        x[i] = dp[h.rows ? slow : fast] / positions;
        if (++fast == inner) fast = 0, ++slow;
      }
      put_many<V>(grad_a + e, x);
    }
  }
  const bool units_inside = h.stride.u < h.stride.s;
  for (int e = done + static_cast<int>(threadIdx.x); e < total; e += kThreads) {
    const int u = units_inside ? e % h.units : e / h.positions;
    const int q = units_inside ? e / h.units : e % h.positions;
    put(grad_a + u * h.stride.u + q * h.stride.s, dp[u] / positions);
  }
}

// Grid: n blocks. Dynamic shared memory: head_backward_shared().
template <typename T>
__global__ void masked_head_backward(HeadBackward<T> h) {
  typedef Acc<T> A;
  constexpr int V = kVector<T>;
  IGD_DYNAMIC_SHARED(A, dp);  // [U]
  IGD_SHARED(double, shared, kWarps);
  IGD_SHARED(int, count, 1);
  A* dm = dp + h.units;                               // [U]
  A* g = dm + h.units;                                // [K], later dz
  A* y = g + h.classes;                               // [K]
  int* list = reinterpret_cast<int*>(y + h.classes);  // [K]
  const int64_t image = blockIdx.x;
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;

  for (int c = threadIdx.x; c < h.classes; c += kThreads) {
    g[c] = get(h.grad_logits + image * h.classes + c);
    y[c] = get(h.soft_weights + image * h.classes + c);
  }
  __syncthreads();
  list_classes(y, h.classes, list, count);
  __syncthreads();
  const int listed = count[0];
  const int vectors = h.weight_vectors ? h.units / V * V : 0;
  for (int u = threadIdx.x * V; u < vectors; u += kThreads * V) {
    through_classifier<V>(h, image, g, y, list, listed, u, dp, dm);
  }
  for (int u = vectors + static_cast<int>(threadIdx.x); u < h.units; u += kThreads) {
    through_classifier<1>(h, image, g, y, list, listed, u, dp, dm);
  }
  __syncthreads();

  // dz takes the place of g: dy = dm M^T for the listed classes, 0 for the others.
  for (int c = threadIdx.x; c < h.classes; c += kThreads) g[c] = 0;
  __syncthreads();
  for (int j = warp; j < listed; j += kWarps) {
    const int c = list[j];
    A total = 0;
    for (int u = lane; u < h.units; u += kWarp) {
      total += dm[u] * (get_raw(h.masks + static_cast<int64_t>(c) * h.units + u) != 0 ? A(1) : A(0));
    }
    total = group_sum(total, kWarp);
    if (lane == 0) g[c] = total;
  }
  __syncthreads();
  double inner = 0;
  for (int j = threadIdx.x; j < listed; j += kThreads) {
    inner += static_cast<double>(y[list[j]]) * static_cast<double>(g[list[j]]);
  }
  inner = block_sum(inner, shared);
  for (int c = threadIdx.x; c < h.classes; c += kThreads) {
    g[c] = static_cast<A>(static_cast<double>(y[c]) * (static_cast<double>(g[c]) - inner) / h.temperature);
    if (h.grad_first_logits != nullptr) put(h.grad_first_logits + image * h.classes + c, g[c]);
  }
  __syncthreads();
  if (h.own_first_logits) {
    for (int u = threadIdx.x * V; u < vectors; u += kThreads * V) {
      add_first_logits<V>(h, g, list, listed, u, dp);
    }
    for (int u = vectors + static_cast<int>(threadIdx.x); u < h.units; u += kThreads) {
      add_first_logits<1>(h, g, list, listed, u, dp);
    }
    __syncthreads();
  }
  spread(h, dp, h.grad_a + image * h.stride.n);
}

}  // namespace cuda
}  // namespace igd

#endif  // IGD_CUDA_MASKED_HEAD_CUH_

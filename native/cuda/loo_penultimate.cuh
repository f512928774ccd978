// Leave-one-out importance at the penultimate layer on CUDA; mathematics in native/cpu/loo_penultimate.cpp.
// Compiled for sm_80 to sm_120, run under emulation, not run on a GPU.
//
// Shapes  a [N,U,S] strided, class_sums [K,U] float64; B bytes per element of a.
// accumulate, 2 launches: check_labels; then a block per class and tile of units lists the images of its class by
//         votes, in order, pools them (a warp per image) and adds them to class_sums: no workspace, no atomics, the
//         order of the sums depends on shapes and labels only.
// Bytes   a once (N*U*S*B), class_sums of the classes that occur twice (16*K*U at most), the labels once per block
//         from the second-level cache. FLOP: N*U*S additions, in float64 across lanes and images.
// Computed, not measured (H100 SXM, 3.35 TB/s; N=128, U=512, S=16, K=10, float32): 4.3 MB, 1.3 us + 2 launches.
// A batch of one class uses U/32 blocks only (16 of 132 multiprocessors here): mix the classes.
// finish, 1 launch: one thread per (unit, class): K*U*(8 + B) bytes read, 8*K*U written.
#ifndef IGD_CUDA_LOO_PENULTIMATE_CUH_
#define IGD_CUDA_LOO_PENULTIMATE_CUH_

#include "common.cuh"

namespace igd {
namespace cuda {

// bad_label = 1 + the first i with labels[i] outside [0,k), if it was 0. One block.
__global__ void check_labels(const int64_t* labels, int64_t n, int64_t k, int64_t* bad_label) {
  IGD_SHARED(int64_t, first, kThreads);
  int64_t mine = n;
  for (int64_t i = threadIdx.x; i < n; i += kThreads) {
    const int64_t label = get_raw(labels + i);
    if ((label < 0 || label >= k) && i < mine) mine = i;
  }
  first[threadIdx.x] = mine;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (static_cast<int>(threadIdx.x) < half && first[threadIdx.x + half] < first[threadIdx.x]) {
      first[threadIdx.x] = first[threadIdx.x + half];
    }
    __syncthreads();
  }
  if (threadIdx.x == 0 && first[0] < n && get_raw(bad_label) == 0) put_raw(bad_label, first[0] + 1);
}

template <typename T>
struct LooPenultimate {
  const T* a;
  DeviceStrides stride;
  int64_t n, units, positions;
  const int64_t* labels;
  int64_t tiles;  // of units
  bool signed_difference;
  const int64_t* bad_label;
  double* class_sums;
  int64_t* class_counts;
  int width;     // rows: lanes per unit
  bool vectors;  // rows: 16-byte loads
};

// Units of a tile: columns with V units per thread; rows.
template <int V>
constexpr int kLooLanes = V > 1 ? 8 : kWarp;
template <int V>
constexpr int kLooTile = kLooLanes<V>* V;
constexpr int kLooRowTile = 32;

// list[0..result) = the images of [first, first + kThreads) with this label, in order. Used by the whole block;
// ends with a barrier, and the list may be written again after another.
__device__ __forceinline__ int list_images(const int64_t* labels, int64_t n, int64_t first, int64_t label,
                                           int* list, int* warp_counts) {
  const int64_t i = first + threadIdx.x;
  const bool mine = i < n && get_raw(labels + i) == label;
  const unsigned votes = __ballot_sync(kAllLanes, mine);
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  if (lane == 0) warp_counts[warp] = __popc(votes);
  __syncthreads();
  int before = 0, total = 0;
  for (int w = 0; w < kWarps; ++w) {
    before += w < warp ? warp_counts[w] : 0;
    total += warp_counts[w];
  }
  if (mine) list[before + __popc(votes & ((1u << lane) - 1u))] = static_cast<int>(threadIdx.x);
  __syncthreads();
  return total;
}

// Adds what the warps have summed, in their order; thread 0 of the class's first tile counts the images.
template <typename T>
__device__ __forceinline__ void add_tile(const LooPenultimate<T>& k, const double* sums, int tile,
                                         int64_t label, int64_t first_unit, int64_t images) {
  if (images == 0) return;
  for (int i = threadIdx.x; i < tile && first_unit + i < k.units; i += kThreads) {
    double total = 0;
    for (int w = 0; w < kWarps; ++w) total += sums[w * tile + i];
    double* target = k.class_sums + label * k.units + first_unit + i;
    put_raw(target, get_raw(target) + total);
  }
  if (threadIdx.x == 0 && first_unit == 0) {
    put_raw(k.class_counts + label, get_raw(k.class_counts + label) + images);
  }
}

// Contiguous positions: `width` lanes per unit. Grid: classes * tiles blocks.
template <typename T>
__global__ void loo_rows(LooPenultimate<T> k) {
  constexpr int V = kVector<T>;
  IGD_SHARED(int, list, kThreads);
  IGD_SHARED(int, warp_counts, kWarps);
  IGD_SHARED(double, sums, kWarps* kLooRowTile);
  if (get_raw(k.bad_label) != 0) return;
  const int64_t label = blockIdx.x / k.tiles;
  const int64_t first_unit = blockIdx.x % k.tiles * kLooRowTile;
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int group = lane / k.width, groups = kWarp / k.width, in_group = lane % k.width;
  double* own = sums + warp * kLooRowTile;
  own[lane] = 0;
  __syncthreads();
  int64_t images = 0;
  for (int64_t first = 0; first < k.n; first += kThreads) {
    const int count = list_images(k.labels, k.n, first, label, list, warp_counts);
    for (int j = warp; j < count; j += kWarps) {
      const T* image = k.a + (first + list[j]) * k.stride.n;
      for (int next = 0; next < kLooRowTile; next += groups) {
        const int64_t u = first_unit + next + group;
        double total = 0;
        if (u < k.units) {
          const T* row = image + u * k.stride.u;
          int64_t done = 0;
          if (k.vectors) {
            done = k.positions / V * V;
            for (int64_t q = in_group * V; q < done; q += k.width * V) {
              Acc<T> x[V];
              get_many<V>(row + q, x);
              IGD_UNROLL
              for (int i = 0; i < V; ++i) total += static_cast<double>(x[i]);
            }
          }
          for (int64_t q = done + in_group; q < k.positions; q += k.width) {
            total += static_cast<double>(get(row + q));
          }
        }
        total = group_sum(total, k.width) / static_cast<double>(k.positions);
        if (in_group == 0) own[next + group] += k.signed_difference ? total : fabs(total);
      }
    }
    images += count;
    __syncthreads();
  }
  add_tile(k, sums, kLooRowTile, label, first_unit, images);
}

// Any strides, V contiguous units per thread, the other lanes of a warp share the positions. V > 1 needs
// 16-byte aligned units and units % V == 0. Grid: classes * tiles blocks.
template <typename T, int V>
__global__ void loo_columns(LooPenultimate<T> k) {
  constexpr int kLanes = kLooLanes<V>, kTile = kLooTile<V>, kRows = kWarp / kLanes;
  IGD_SHARED(int, list, kThreads);
  IGD_SHARED(int, warp_counts, kWarps);
  IGD_SHARED(double, sums, kWarps* kTile);
  if (get_raw(k.bad_label) != 0) return;
  const int64_t label = blockIdx.x / k.tiles;
  const int64_t first_unit = blockIdx.x % k.tiles * kTile;
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int64_t u = first_unit + lane % kLanes * V;
  const int row = lane / kLanes;
  double own[V] = {};
  int64_t images = 0;
  for (int64_t first = 0; first < k.n; first += kThreads) {
    const int count = list_images(k.labels, k.n, first, label, list, warp_counts);
    for (int j = warp; j < count; j += kWarps) {
      double total[V] = {};
      if (u < k.units) {
        const T* unit = k.a + (first + list[j]) * k.stride.n + u * k.stride.u;
        for (int64_t q = row; q < k.positions; q += kRows) {
          Acc<T> x[V];
          get_many<V>(unit + q * k.stride.s, x);
          IGD_UNROLL
          for (int i = 0; i < V; ++i) total[i] += static_cast<double>(x[i]);
        }
      }
      IGD_UNROLL
      for (int i = 0; i < V; ++i) {
        for (int offset = kLanes; offset < kWarp; offset *= 2) {
          total[i] += __shfl_xor_sync(kAllLanes, total[i], offset, kWarp);
        }
        total[i] /= static_cast<double>(k.positions);
        own[i] += k.signed_difference ? total[i] : fabs(total[i]);
      }
    }
    images += count;
    __syncthreads();
  }
  if (row == 0) {
    IGD_UNROLL
    for (int i = 0; i < V; ++i) sums[warp * kTile + lane * V + i] = own[i];
  }
  __syncthreads();
  add_tile(k, sums, kTile, label, first_unit, images);
}

// importance[u,c] = |W[c,u]| * class_sums[c,u] / divisor * factor (signed: -W).
// Grid: ceil(units*k / kThreads) blocks.
template <typename T>
__global__ void finish_importance(const T* weight, int64_t k, int64_t units, const double* class_sums,
                                  const int64_t* class_counts, bool signed_difference, bool class_mean,
                                  double* importance) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= units * k) return;
  int64_t u, c;
  divide(index, k, &u, &c);
  int64_t divisor;
  if (class_mean) {
    divisor = get_raw(class_counts + c);
  } else {
    divisor = 0;
    for (int64_t j = 0; j < k; ++j) divisor += get_raw(class_counts + j);
  }
  const double w = static_cast<double>(get(weight + c * units + u));
  const double mean = get_raw(class_sums + c * units + u) / static_cast<double>(divisor) *
                      (class_mean ? 1.0 : static_cast<double>(k));
  put_raw(importance + index, divisor == 0 ? 0.0 : (signed_difference ? -w : fabs(w)) * mean);
}

}  // namespace cuda
}  // namespace igd

#endif  // IGD_CUDA_LOO_PENULTIMATE_CUH_

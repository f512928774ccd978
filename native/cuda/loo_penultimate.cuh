// Leave-one-out importance at the penultimate layer on CUDA; mathematics in native/cpu/loo_penultimate.cpp.
// Compiled for sm_80 to sm_120, not run on a GPU.
//
// accumulate: check_labels, then pooling into a float64 workspace [N,U] (the traffic: N*U*S*sizeof(T) bytes),
//   then add_images: one thread per unit adds the images in order, so there are no atomics and the sums are
//   reproducible (N*U*8 bytes, coalesced over units).
// finish: one thread per (unit, class).
#ifndef IGD_CUDA_LOO_PENULTIMATE_CUH_
#define IGD_CUDA_LOO_PENULTIMATE_CUH_

#include "common.cuh"

namespace igd {
namespace cuda {

// bad_label = 1 + the first i with labels[i] outside [0,k), if it was 0. One block.
__global__ void check_labels(const int64_t* labels, int64_t n, int64_t k, int64_t* bad_label) {
  __shared__ int64_t first[kThreads];
  int64_t mine = n;
  for (int64_t i = threadIdx.x; i < n; i += kThreads) {
    if ((labels[i] < 0 || labels[i] >= k) && i < mine) mine = i;
  }
  first[threadIdx.x] = mine;
  __syncthreads();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (static_cast<int>(threadIdx.x) < half && first[threadIdx.x + half] < first[threadIdx.x]) {
      first[threadIdx.x] = first[threadIdx.x + half];
    }
    __syncthreads();
  }
  if (threadIdx.x == 0 && first[0] < n && *bad_label == 0) *bad_label = first[0] + 1;
}

// class_sums[labels[i],u] += |pooled[i,u]| in the order of i; thread 0 of block 0 also counts the classes.
// Grid: ceil(units / kThreads) blocks.
__global__ void add_images(const double* pooled, const int64_t* labels, int64_t n, int64_t units,
                           bool signed_difference, const int64_t* bad_label, double* class_sums,
                           int64_t* class_counts) {
  if (*bad_label != 0) return;
  const int64_t u = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (u < units) {
    for (int64_t i = 0; i < n; ++i) {
      const double p = pooled[i * units + u];
      class_sums[labels[i] * units + u] += signed_difference ? p : fabs(p);
    }
  }
  if (u == 0) {
    for (int64_t i = 0; i < n; ++i) class_counts[labels[i]] += 1;
  }
}

// importance[u,c] = |W[c,u]| * class_sums[c,u] / divisor * factor (signed: -W).
// Grid: ceil(units*k / kThreads) blocks.
template <typename T>
__global__ void finish_importance(const T* weight, int64_t k, int64_t units, const double* class_sums,
                                  const int64_t* class_counts, bool signed_difference, bool class_mean,
                                  double* importance) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= units * k) return;
  const int64_t u = index / k;
  const int64_t c = index % k;
  int64_t divisor = class_counts[c];
  if (!class_mean) {
    divisor = 0;
    for (int64_t j = 0; j < k; ++j) divisor += class_counts[j];
  }
  const double w = static_cast<double>(weight[c * units + u]);
  const double mean =
      class_sums[c * units + u] / static_cast<double>(divisor) * (class_mean ? 1.0 : static_cast<double>(k));
  importance[index] = divisor == 0 ? 0.0 : (signed_difference ? -w : fabs(w)) * mean;
}

}  // namespace cuda
}  // namespace igd

#endif  // IGD_CUDA_LOO_PENULTIMATE_CUH_

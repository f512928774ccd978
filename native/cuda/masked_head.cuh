// Masked head on CUDA; mathematics and shapes in native/cpu/masked_head.cpp.
// Compiled for sm_80 to sm_120, not run on a GPU.
//
// forward:  pooling; linear (z); soft_mask (softmax, mix of the masks, product with p: one block per image);
//           linear (logits). Reads N*U*S*sizeof(T) bytes once, W from the second-level cache.
// backward: through_classifier (dq, m, dp, dm: one thread per (image, unit)); through_softmax (dy, dz: one
//           block per image); add_first_logits (dp += dz W); spread (writes N*U*S*sizeof(T) bytes once).
// Classes whose soft weight is 0 are not read, as on the CPU.
#ifndef IGD_CUDA_MASKED_HEAD_CUH_
#define IGD_CUDA_MASKED_HEAD_CUH_

#include "common.cuh"

namespace igd {
namespace cuda {

// out[i,c] = sum_u x[i,u] * weight[c,u] + bias[c]: one warp per (i,c). Grid: ceil(n*k / kWarps) blocks.
template <typename T>
__global__ void linear(const T* x, const T* weight, const T* bias, int64_t n, int64_t k, int64_t units,
                       T* out) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp;
  const int lane = threadIdx.x % kWarp;
  const bool valid = index < n * k;
  T total = 0;
  if (valid) {
    const T* row = x + index / k * units;
    const T* w = weight + index % k * units;
    for (int64_t u = lane; u < units; u += kWarp) total += row[u] * w[u];
  }
  total = group_sum(total, kWarp);
  if (valid && lane == 0) out[index] = bias != nullptr ? total + bias[index % k] : total;
}

// Weights below exp of these become 0, as on the CPU.
__device__ __forceinline__ double exp_floor(float) { return -69.0; }
__device__ __forceinline__ double exp_floor(double) { return -667.0; }

// y = softmax(z/temperature), m = y M, q = m.pooled for the image of the block. Grid: n blocks.
template <typename T>
__global__ void soft_mask(const T* z, const uint8_t* masks, const T* pooled, int64_t k, int64_t units,
                          double temperature, T* y, T* mask, T* q) {
  __shared__ T shared_max[kWarps];
  __shared__ double shared_sum[kWarps];
  const int64_t image = blockIdx.x;
  const T* zi = z + image * k;
  T* yi = y + image * k;
  T highest = zi[0];
  for (int64_t c = threadIdx.x; c < k; c += kThreads) highest = zi[c] > highest ? zi[c] : highest;
  highest = block_max(highest, shared_max);
  double total = 0;
  for (int64_t c = threadIdx.x; c < k; c += kThreads) {
    const double x = (static_cast<double>(zi[c]) - static_cast<double>(highest)) / temperature;
    const double e = x < exp_floor(T(0)) ? 0.0 : exp(x);  // a NaN goes through exp
    yi[c] = static_cast<T>(e);
    total += e;
  }
  total = block_sum(total, shared_sum);
  const T inverse = static_cast<T>(1.0 / total);
  for (int64_t c = threadIdx.x; c < k; c += kThreads) yi[c] *= inverse;
  __syncthreads();  // yi is read by the whole block below
  for (int64_t u = threadIdx.x; u < units; u += kThreads) {
    T m = 0;
    for (int64_t c = 0; c < k; ++c) {
      const T weight = yi[c];
      if (weight != T(0)) m += weight * (masks[c * units + u] != 0 ? T(1) : T(0));
    }
    const T product = m * pooled[image * units + u];
    mask[image * units + u] = m;
    q[image * units + u] = product;
  }
}

// dq = g W, m (given or y M), dp = m.dq, dm = pooled.dq: one thread per (i,u).
// Grid: ceil(n*units / kThreads) blocks.
template <typename T>
__global__ void through_classifier(const T* g, const T* pooled, const T* y, const T* mask, const T* weight,
                                   const uint8_t* masks, int64_t n, int64_t k, int64_t units, T* dp, T* dm) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= n * units) return;
  const int64_t image = index / units;
  const int64_t u = index % units;
  T dq = 0;
  for (int64_t c = 0; c < k; ++c) dq += g[image * k + c] * weight[c * units + u];
  T m = 0;
  if (mask != nullptr) {
    m = mask[index];
  } else {
    for (int64_t c = 0; c < k; ++c) {
      const T yc = y[image * k + c];
      if (yc != T(0)) m += yc * (masks[c * units + u] != 0 ? T(1) : T(0));
    }
  }
  dp[index] = m * dq;
  dm[index] = pooled[index] * dq;
}

// dy = dm M^T where y is not 0, dz = y.(dy - sum y.dy)/temperature, for the image of the block; dz holds dy
// in between. Grid: n blocks.
template <typename T>
__global__ void through_softmax(const T* dm, const uint8_t* masks, const T* y, int64_t k, int64_t units,
                                double temperature, T* dz) {
  __shared__ double shared[kWarps];
  const int64_t image = blockIdx.x;
  const int warp = threadIdx.x / kWarp;
  const int lane = threadIdx.x % kWarp;
  const T* dmi = dm + image * units;
  const T* yi = y + image * k;
  T* dzi = dz + image * k;
  for (int64_t c = warp; c < k; c += kWarps) {
    T total = 0;
    if (yi[c] != T(0)) {  // the same for the whole warp
      for (int64_t u = lane; u < units; u += kWarp) {
        total += dmi[u] * (masks[c * units + u] != 0 ? T(1) : T(0));
      }
    }
    total = group_sum(total, kWarp);
    if (lane == 0) dzi[c] = total;
  }
  __syncthreads();
  double inner = 0;
  for (int64_t c = threadIdx.x; c < k; c += kThreads) {
    inner += static_cast<double>(yi[c]) * static_cast<double>(dzi[c]);
  }
  inner = block_sum(inner, shared);
  for (int64_t c = threadIdx.x; c < k; c += kThreads) {
    dzi[c] = static_cast<T>(static_cast<double>(yi[c]) * (static_cast<double>(dzi[c]) - inner) / temperature);
  }
}

// dp += dz W over the classes with dz not 0: one thread per (i,u). Grid: ceil(n*units / kThreads) blocks.
template <typename T>
__global__ void add_first_logits(const T* dz, const T* weight, int64_t n, int64_t k, int64_t units, T* dp) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= n * units) return;
  const int64_t image = index / units;
  const int64_t u = index % units;
  T total = dp[index];
  for (int64_t c = 0; c < k; ++c) {
    const T d = dz[image * k + c];
    if (d != T(0)) total += d * weight[c * units + u];
  }
  dp[index] = total;
}

// grad_a[i,u,s] = dp[i,u] / s: one thread per element, the units innermost if `units_innermost`, else the
// positions, so that a warp writes neighbouring addresses. Grid: ceil(n*units*s / kThreads) blocks.
template <typename T>
__global__ void spread(const T* dp, int64_t n, int64_t units, int64_t s, bool units_innermost, T* grad_a,
                       DeviceStrides stride) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= n * units * s) return;
  const int64_t image = index / (units * s);
  const int64_t rest = index % (units * s);
  const int64_t u = units_innermost ? rest % units : rest / s;
  const int64_t q = units_innermost ? rest / units : rest % s;
  grad_a[image * stride.n + u * stride.u + q * stride.s] = dp[image * units + u] / static_cast<T>(s);
}

}  // namespace cuda
}  // namespace igd

#endif  // IGD_CUDA_MASKED_HEAD_CUH_

// Leave-one-out importance at the penultimate layer, in closed form.
//
// Zeroing unit u in front of a linear classifier changes logit c by -W[c,u] * p[n,u], p = mean_s a. So
//   I[u,c] = mean over images of class c of |W[c,u] * p[n,u]|
//          = |W[c,u]| * (sum over labels[n]=c of |p[n,u]|) / count[c],
// and one pass over the activations replaces U+1 forward passes.
//
// accumulate: a [N,U,S] strided, labels [N] -> class_sums [K,U] float64. Sums in float64, images in order, so
//   the result is the same for any number of threads (they share units, never images).
//   Traffic: N*U*S*sizeof(T) bytes read once, 16 bytes of class_sums per (n,u) (in cache for small K*U).
//   Work: N*U*(S+2) additions; bound by memory.
// finish: W, class_sums [K,U] -> importance [U,K], a scaled transpose in 16x16 tiles.
//   Traffic: (sizeof(T)+16)*K*U bytes. Work: 4*K*U FLOP.
//
// Compiled once per instruction set (IGD_ISA_NAMESPACE); no C++ standard library templates here (see simd.h).

#include "kernel_table.h"
#include "pooling.h"

namespace igd {
namespace IGD_ISA_NAMESPACE {
namespace {

template <typename T>
void loo_accumulate(const T* a, Strides stride, int64_t n, int64_t u0, int64_t u1, int64_t s,
                    const int64_t* labels, bool signed_difference, double* class_sums, int64_t units) {
  constexpr int64_t kChunk = 256;
  double pooled[kChunk];
  for (int64_t i = 0; i < n; ++i) {
    const T* image = a + i * stride.n;
    double* row = class_sums + labels[i] * units;
    for (int64_t u = u0; u < u1; u += kChunk) {
      const int64_t count = min_of(kChunk, u1 - u);
      pool_units<T, double>(image + u * stride.u, stride.u, stride.s, count, s, pooled);
      double* sums = row + u;
      if (signed_difference) {
        for (int64_t j = 0; j < count; ++j) sums[j] += pooled[j];
      } else {
        for (int64_t j = 0; j < count; ++j) sums[j] += __builtin_fabs(pooled[j]);
      }
    }
  }
}

template <typename T>
void loo_finish(const T* weight, int64_t k, int64_t units, int64_t u0, int64_t u1, const double* class_sums,
                const int64_t* class_counts, bool signed_difference, bool class_mean, int64_t total,
                double* importance) {
  constexpr int64_t kTile = 16;
  for (int64_t ut = u0; ut < u1; ut += kTile) {
    const int64_t u_end = min_of(ut + kTile, u1);
    for (int64_t ct = 0; ct < k; ct += kTile) {
      const int64_t c_end = min_of(ct + kTile, k);
      for (int64_t c = ct; c < c_end; ++c) {
        // Division by the count, then (reference normalisation) multiplication by K.
        const int64_t divisor = class_mean ? class_counts[c] : total;
        const double factor = class_mean ? 1.0 : static_cast<double>(k);
        for (int64_t u = ut; u < u_end; ++u) {
          const double w = static_cast<double>(weight[c * units + u]);
          const double mean = class_sums[c * units + u] / static_cast<double>(divisor) * factor;
          double value = (signed_difference ? -w : __builtin_fabs(w)) * mean;
          if (divisor == 0) value = 0.0;
          importance[u * k + c] = value;
        }
      }
    }
  }
}

template <typename T>
void fill(KernelTable<T>* table) {
  table->loo_accumulate = loo_accumulate<T>;
  table->loo_finish = loo_finish<T>;
}

}  // namespace

void fill_loo_penultimate(KernelTable<float>* table) { fill(table); }
void fill_loo_penultimate(KernelTable<double>* table) { fill(table); }

}  // namespace IGD_ISA_NAMESPACE
}  // namespace igd

// What the kernels of one instruction set offer to the drivers in api.cpp. Every stage works on a range, so
// that the same code serves a tile of images on one thread and a slice of one image's units or classes.
// Pointers point at the first image of the call; rows are dense unless a stride is given. No stage allocates.
#ifndef IGD_CPU_KERNEL_TABLE_H_
#define IGD_CPU_KERNEL_TABLE_H_

#include <stdint.h>

namespace igd {

// Element strides of an activation tensor a[N,U,S].
struct Strides {
  int64_t n;
  int64_t u;
  int64_t s;
};

// Units per pooling block. Drivers cut unit ranges at multiples of it, so that a unit is summed in the same
// order however the units are shared among threads.
constexpr int64_t kUnitBlock = 16;

// Lines of L = 64/sizeof(T) units that top_images takes from a row at a time.
constexpr int64_t kTopLines = 4;

// Scratch of top_images for one worker.
template <typename T>
struct TopImagesScratch {
  T* packed;            // [kTopLines][n][L]
  T* maxima;            // [kTopLines][n][L]
  int32_t* candidates;  // [L][n]
  T* values;            // [2n]
  int32_t* indices;     // [2n]
  T* work;              // [n]
};

template <typename T>
struct KernelTable {
  // out[j*top + r]: the image of r-th largest q[i,u0+j], j < count <= kTopLines*L, equal ones by index; row
  // length `units`. Returns the position i*units+u of a NaN, or -1.
  int64_t (*top_images)(const T* q, int64_t n, int64_t units, int64_t u0, int64_t count, int64_t top,
                        const TopImagesScratch<T>& memory, int32_t* out);

  // Of rows [i0,i1) of p [N,K]: the largest value, and 1/sum_k exp(scale*(p - largest)). Returns the position
  // i*k+c of a value that is not finite, or -1.
  int64_t (*cdir_rows)(const T* p, int64_t k, int64_t i0, int64_t i1, double scale, T* row_max,
                       T* row_factor);

  // out[t][i][j] = softmax(scale*p)[i, (tile0+t)*L + j], t < tiles, i in [i0,i1), j < L = 64/sizeof(T); 0 where
  // labels are given and the concept is not the image's.
  void (*cdir_tiles)(const T* p, int64_t n, int64_t k, int64_t i0, int64_t i1, int64_t tile0, int64_t tiles,
                     double scale, const T* row_max, const T* row_factor, const int64_t* labels, T* out);

  // scores[u][j] = sum_r log(offset[r] + weight[r]*tile[indices[u*top+r]][j]) - shift*log 2 for u in [u0,u1).
  // `block` such factors multiply without overflow or underflow.
  void (*cdir_units)(const T* tile, const int32_t* indices, int64_t u0, int64_t u1, int64_t top,
                     const T* weight, const T* offset, int64_t block, double shift, double* scores);

  // out[u*k + c0+j] = scores[u][j] - lambda*log(mean_u exp(scores[u][j])) for all units, j < columns.
  void (*cdir_finish)(const double* scores, int64_t units, double lambda, int64_t columns, int64_t c0,
                      int64_t k, double* out);

  // class_sums[labels[i], u] += |mean_s a[i,u,s]| (signed: the mean) for i in [0,n), u in [u0,u1); row length
  // `units`. u0 is a multiple of kUnitBlock.
  void (*loo_accumulate)(const T* a, Strides stride, int64_t n, int64_t u0, int64_t u1, int64_t s,
                         const int64_t* labels, bool signed_difference, double* class_sums, int64_t units);

  // importance[u,c] for u in [u0,u1): |W[c,u]| * sums[c,u] * factor[c] (signed: -W * sums * factor).
  void (*loo_finish)(const T* weight, int64_t k, int64_t units, int64_t u0, int64_t u1,
                     const double* class_sums, const int64_t* class_counts, bool signed_difference,
                     bool class_mean, int64_t total, double* importance);

  // pooled[i,u] = mean_s a[i,u,s] for i in [0,n), u in [u0,u1); row length `units`. u0 as above.
  void (*pool)(const T* a, Strides stride, int64_t n, int64_t u0, int64_t u1, int64_t s, T* pooled,
               int64_t units);

  // out[i,c] = sum_u x[i,u] * weight[c,u] + bias[c] for c in [c0,c1).
  void (*linear)(const T* x, const T* weight, const T* bias, int64_t n, int64_t c0, int64_t c1, int64_t units,
                 T* out, int64_t k);

  // y = softmax(z / temperature) per row.
  void (*softmax)(const T* z, int64_t n, int64_t k, double temperature, T* y);

  // mask[i,u] = sum_c y[i,c] * [masks[c,u] != 0] for u in [u0,u1); classes with y exactly 0 are not read.
  void (*mix_masks)(const T* y, const uint8_t* masks, int64_t n, int64_t k, int64_t u0, int64_t u1,
                    int64_t units, T* mask);

  // out[i,u] = x[i,u] * y[i,u] for u in [u0,u1); out may be x or y.
  void (*multiply)(const T* x, const T* y, int64_t n, int64_t u0, int64_t u1, int64_t units, T* out);

  // out[i,u] = sum_c g[i,c] * weight[c,u] for u in [u0,u1).
  void (*combine)(const T* g, const T* weight, int64_t n, int64_t k, int64_t u0, int64_t u1, int64_t units,
                  T* out);

  // out[i,u] += sum_c g[i,c] * weight[c,u] for u in [u0,u1); classes with g exactly 0 are not read.
  void (*combine_sparse_add)(const T* g, const T* weight, int64_t n, int64_t k, int64_t u0, int64_t u1,
                             int64_t units, T* out);

  // dy[i,c] = sum_u dm[i,u] * [masks[c,u] != 0] for c in [c0,c1); 0 where y[i,c] is exactly 0 (unused).
  void (*mask_dots)(const T* dm, const uint8_t* masks, const T* y, int64_t n, int64_t c0, int64_t c1,
                    int64_t units, T* dy, int64_t k);

  // dz = y.(dy - sum_c y.dy)/temperature per row; dz may be dy.
  void (*softmax_backward)(const T* y, const T* dy, int64_t n, int64_t k, double temperature, T* dz);

  // grad_a[i,u,:] = dp[i,u] / s for u in [u0,u1).
  void (*spread)(const T* dp, int64_t n, int64_t u0, int64_t u1, int64_t s, int64_t units, T* grad_a,
                 Strides stride);
};

// The two kernel files of one instruction set fill their part of the tables.
#define IGD_DECLARE_KERNELS(isa_namespace)               \
  namespace isa_namespace {                              \
  void fill_loo_penultimate(KernelTable<float>* table);  \
  void fill_loo_penultimate(KernelTable<double>* table); \
  void fill_masked_head(KernelTable<float>* table);      \
  void fill_masked_head(KernelTable<double>* table);     \
  void fill_cdir_score(KernelTable<float>* table);       \
  void fill_cdir_score(KernelTable<double>* table);      \
  }

IGD_DECLARE_KERNELS(portable)
IGD_DECLARE_KERNELS(avx2)
IGD_DECLARE_KERNELS(avx512)

}  // namespace igd

#endif  // IGD_CPU_KERNEL_TABLE_H_

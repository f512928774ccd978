// Masked head: class-weighted mask between the pooled activations and the classifier, forward and backward.
// Shapes: a [N,U,S], p, m, q [N,U], z, y, logits [N,K], W, M [K,U], b [K]; . is the elementwise product.
//
// forward    p = mean_s a;  z = p W^T + b (or given);  y = softmax(z/t);  m = y M;  q = m.p;
//            logits = q W^T + b
// backward   dq = g W;  dp = m.dq;  dm = p.dq;  dy = dm M^T;  dz = y.(dy - sum y.dy)/t;
//            dp += dz W (if z was ours);  da[n,u,s] = dp[n,u]/S
//
// Traffic: forward reads N*U*S*sizeof(T) bytes of a once; W (and the rows of M with y != 0) comes once per
//   tile of images, from cache if K*U*sizeof(T) fits. Backward writes N*U*S*sizeof(T) bytes once.
// Work: 4*N*K*U FLOP forward, 2*N*K*U backward, plus 2*U per (image, class with y != 0) for each of m, dy, dz
//   W; at t = 0.01 that is one or two classes per image.
// Blocking: the dot products of 4 images x 4 classes (AVX-512; 4x2 for AVX2) share registers; each product
//   has its own vector accumulator over u, so an image's result does not depend on the images beside it.
//
// Compiled once per instruction set (IGD_ISA_NAMESPACE); no C++ standard library templates here (see simd.h).

#include <math.h>

#include "kernel_table.h"
#include "pooling.h"

namespace igd {
namespace IGD_ISA_NAMESPACE {
namespace {

#if IGD_VECTOR_BYTES >= 64
constexpr int kBlockColumns = 4;  // 32 registers: 16 accumulators
#else
constexpr int kBlockColumns = 2;  // 16 registers: 8 accumulators
#endif

// Columns (classes, or vectors of units) beside `kRows` images.
template <int kRows>
constexpr int columns_for_rows() {
  return kRows == 1 ? 8 : kRows == 2 ? 4 : kBlockColumns;
}

// Bytes of W that one tile of classes may take: stays in the second-level cache while all images pass by.
constexpr int64_t kWeightTileBytes = 192 * 1024;

template <typename T>
void pool(const T* a, Strides stride, int64_t n, int64_t u0, int64_t u1, int64_t s, T* pooled,
          int64_t units) {
  for (int64_t i = 0; i < n; ++i) {
    pool_units<T, T>(a + i * stride.n + u0 * stride.u, stride.u, stride.s, u1 - u0, s,
                     pooled + i * units + u0);
  }
}

template <typename T, int kRows, int kColumns>
IGD_INLINE void dot_block(const T* x, const T* w, const T* bias, int64_t units, T* out, int64_t k) {
  constexpr int64_t kLanes = Vec<T>::kLanes;
  Vec<T> acc[kRows][kColumns];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int c = 0; c < kColumns; ++c) acc[r][c] = zero<T>();
  }
  int64_t u = 0;
  for (; u + kLanes <= units; u += kLanes) {
    Vec<T> xv[kRows];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) xv[r] = load<T>(x + r * units + u);
#pragma GCC unroll 8
    for (int c = 0; c < kColumns; ++c) {
      const Vec<T> wv = load<T>(w + c * units + u);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) acc[r][c] = fma(xv[r], wv, acc[r][c]);
    }
  }
  if (u < units) {
    Vec<T> xv[kRows];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) xv[r] = load_partial<T>(x + r * units + u, units - u);
#pragma GCC unroll 8
    for (int c = 0; c < kColumns; ++c) {
      const Vec<T> wv = load_partial<T>(w + c * units + u, units - u);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) acc[r][c] = fma(xv[r], wv, acc[r][c]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int c = 0; c < kColumns; ++c) {
      T value = sum(acc[r][c]);
      if (bias != nullptr) value += bias[c];
      out[r * k + c] = value;
    }
  }
}

// Classes [c0,c1) for kRows images, kColumns at a time, then the rest by halves.
template <typename T, int kRows, int kColumns>
void linear_rows(const T* x, const T* weight, const T* bias, int64_t c0, int64_t c1, int64_t units, T* out,
                 int64_t k) {
  int64_t c = c0;
  for (; c + kColumns <= c1; c += kColumns) {
    dot_block<T, kRows, kColumns>(x, weight + c * units, bias == nullptr ? nullptr : bias + c, units, out + c,
                                  k);
  }
  if constexpr (kColumns > 1) {
    if (c < c1) linear_rows<T, kRows, kColumns / 2>(x, weight, bias, c, c1, units, out, k);
  }
}

template <typename T>
void linear(const T* x, const T* weight, const T* bias, int64_t n, int64_t c0, int64_t c1, int64_t units,
            T* out, int64_t k) {
  int64_t tile = kWeightTileBytes / (units * static_cast<int64_t>(sizeof(T))) / 8 * 8;
  if (tile < 8) tile = 8;
  for (int64_t c = c0; c < c1; c += tile) {
    const int64_t c_end = min_of(c + tile, c1);
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
      linear_rows<T, 4, columns_for_rows<4>()>(x + i * units, weight, bias, c, c_end, units, out + i * k, k);
    }
    for (; i + 2 <= n; i += 2) {
      linear_rows<T, 2, columns_for_rows<2>()>(x + i * units, weight, bias, c, c_end, units, out + i * k, k);
    }
    for (; i < n; ++i) {
      linear_rows<T, 1, columns_for_rows<1>()>(x + i * units, weight, bias, c, c_end, units, out + i * k, k);
    }
  }
}

// Weights below exp of these (1e-30, 1e-290) become 0: they are far below the rounding of the weights' sum,
// and kept they would lead to subnormal products, a hundred times slower than others.
inline double exp_floor(const float*) { return -69.0; }
inline double exp_floor(const double*) { return -667.0; }

// In double for both types: with a small temperature the argument is large, and float would round it.
template <typename T>
void softmax(const T* z, int64_t n, int64_t k, double temperature, T* y) {
  const double floor = exp_floor(z);
  for (int64_t i = 0; i < n; ++i) {
    const T* zi = z + i * k;
    T* yi = y + i * k;
    T highest = zi[0];
    for (int64_t c = 1; c < k; ++c) highest = zi[c] > highest ? zi[c] : highest;
    double total = 0;
    for (int64_t c = 0; c < k; ++c) {
      const double x = (static_cast<double>(zi[c]) - static_cast<double>(highest)) / temperature;
      const double e = x < floor ? 0.0 : exp(x);  // a NaN goes through exp
      yi[c] = static_cast<T>(e);
      total += e;
    }
    const T inverse = static_cast<T>(1.0 / total);
    for (int64_t c = 0; c < k; ++c) yi[c] *= inverse;
  }
}

template <typename T>
IGD_INLINE Vec<T> load_row(const T* p) {
  return load<T>(p);
}
template <typename T>
IGD_INLINE Vec<T> load_row(const uint8_t* p) {
  return load_mask<T>(p);
}
template <typename T>
IGD_INLINE Vec<T> load_row_partial(const T* p, int64_t count) {
  return load_partial<T>(p, count);
}
template <typename T>
IGD_INLINE Vec<T> load_row_partial(const uint8_t* p, int64_t count) {
  return load_mask_partial<T>(p, count);
}

// Up to kListed classes whose coefficient is not 0.
constexpr int kListed = 64;
template <typename T>
struct ActiveClasses {
  int count;
  int64_t index[kListed];
  T coefficient[kListed];
};

template <typename T, typename Row, int kBlock>
IGD_INLINE void add_active_block(const ActiveClasses<T>& active, const Row* rows, int64_t units, T* out) {
  constexpr int64_t kLanes = Vec<T>::kLanes;
  Vec<T> acc[kBlock];
#pragma GCC unroll 8
  for (int j = 0; j < kBlock; ++j) acc[j] = load<T>(out + j * kLanes);
  for (int a = 0; a < active.count; ++a) {
    const Vec<T> coefficient = splat(active.coefficient[a]);
    const Row* row = rows + active.index[a] * units;
#pragma GCC unroll 8
    for (int j = 0; j < kBlock; ++j) acc[j] = fma(coefficient, load_row<T>(row + j * kLanes), acc[j]);
  }
#pragma GCC unroll 8
  for (int j = 0; j < kBlock; ++j) store(out + j * kLanes, acc[j]);
}

// out[u] += sum_c coefficient[c] * rows[c,u] over the classes whose coefficient is not exactly 0.
template <typename T, typename Row>
void add_active_rows(const T* coefficient, const Row* rows, int64_t k, int64_t u0, int64_t u1, int64_t units,
                     T* out) {
  constexpr int64_t kLanes = Vec<T>::kLanes;
  ActiveClasses<T> active;
  int64_t c = 0;
  while (c < k) {
    active.count = 0;
    for (; c < k && active.count < kListed; ++c) {
      if (coefficient[c] != T(0)) {  // true for a NaN
        active.index[active.count] = c;
        active.coefficient[active.count] = coefficient[c];
        ++active.count;
      }
    }
    if (active.count == 0) break;
    int64_t u = u0;
    for (; u + 4 * kLanes <= u1; u += 4 * kLanes) {
      add_active_block<T, Row, 4>(active, rows + u, units, out + u);
    }
    for (; u + kLanes <= u1; u += kLanes) add_active_block<T, Row, 1>(active, rows + u, units, out + u);
    if (u < u1) {
      const int64_t left = u1 - u;
      Vec<T> acc = load_partial<T>(out + u, left);
      for (int a = 0; a < active.count; ++a) {
        const Row* row = rows + active.index[a] * units + u;
        acc = fma(splat(active.coefficient[a]), load_row_partial<T>(row, left), acc);
      }
      store_partial(out + u, acc, left);
    }
  }
}

template <typename T>
void mix_masks(const T* y, const uint8_t* masks, int64_t n, int64_t k, int64_t u0, int64_t u1, int64_t units,
               T* mask) {
  for (int64_t i = 0; i < n; ++i) {
    T* row = mask + i * units;
    for (int64_t u = u0; u < u1; ++u) row[u] = T(0);
    add_active_rows<T, uint8_t>(y + i * k, masks, k, u0, u1, units, row);
  }
}

template <typename T>
void multiply(const T* x, const T* y, int64_t n, int64_t u0, int64_t u1, int64_t units, T* out) {
  for (int64_t i = 0; i < n; ++i) {
    const T* xi = x + i * units;
    const T* yi = y + i * units;
    T* oi = out + i * units;
    for (int64_t u = u0; u < u1; ++u) oi[u] = xi[u] * yi[u];
  }
}

// Rows of W that a strip takes at once: at a power-of-two row length, more of them would not find room in the
// few cache sets that they share.
constexpr int64_t kClassTile = 64;

// kBlock vectors of units for kRows images, over the classes [c0,c1); `out` already has those before c0.
template <typename T, int kRows, int kBlock>
IGD_INLINE void combine_block(const T* g, const T* weight, int64_t c0, int64_t c1, int64_t k, int64_t units,
                              T* out) {
  constexpr int64_t kLanes = Vec<T>::kLanes;
  Vec<T> acc[kRows][kBlock];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int j = 0; j < kBlock; ++j) acc[r][j] = c0 == 0 ? zero<T>() : load<T>(out + r * units + j * kLanes);
  }
  for (int64_t c = c0; c < c1; ++c) {
    Vec<T> wv[kBlock];
#pragma GCC unroll 8
    for (int j = 0; j < kBlock; ++j) wv[j] = load<T>(weight + c * units + j * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const Vec<T> gv = splat(g[r * k + c]);
#pragma GCC unroll 8
      for (int j = 0; j < kBlock; ++j) acc[r][j] = fma(gv, wv[j], acc[r][j]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int j = 0; j < kBlock; ++j) store(out + r * units + j * kLanes, acc[r][j]);
  }
}

template <typename T>
void combine_partial(const T* g, const T* weight, int64_t k, int64_t units, int64_t left, T* out) {
  Vec<T> acc = zero<T>();
  for (int64_t c = 0; c < k; ++c) {
    acc = fma(splat(g[c]), load_partial<T>(weight + c * units, left), acc);
  }
  store_partial(out, acc, left);
}

// All images for one strip of kBlock vectors of units: its rows of W stay in cache.
template <typename T, int kBlock>
void combine_strip(const T* g, const T* weight, int64_t n, int64_t k, int64_t units, T* out) {
  constexpr int kRows = kBlock > kBlockColumns ? 2 : 4;
  for (int64_t c = 0; c < k; c += kClassTile) {
    const int64_t c_end = min_of(c + kClassTile, k);
    int64_t i = 0;
    for (; i + kRows <= n; i += kRows) {
      combine_block<T, kRows, kBlock>(g + i * k, weight, c, c_end, k, units, out + i * units);
    }
    for (; i < n; ++i) combine_block<T, 1, kBlock>(g + i * k, weight, c, c_end, k, units, out + i * units);
  }
}

template <typename T>
void combine(const T* g, const T* weight, int64_t n, int64_t k, int64_t u0, int64_t u1, int64_t units,
             T* out) {
  constexpr int64_t kLanes = Vec<T>::kLanes;
  int64_t u = u0;
  for (; u + 4 * kLanes <= u1; u += 4 * kLanes) combine_strip<T, 4>(g, weight + u, n, k, units, out + u);
  for (; u + kLanes <= u1; u += kLanes) combine_strip<T, 1>(g, weight + u, n, k, units, out + u);
  if (u < u1) {
    for (int64_t i = 0; i < n; ++i) {
      combine_partial(g + i * k, weight + u, k, units, u1 - u, out + i * units + u);
    }
  }
}

template <typename T>
void combine_sparse_add(const T* g, const T* weight, int64_t n, int64_t k, int64_t u0, int64_t u1,
                        int64_t units, T* out) {
  for (int64_t i = 0; i < n; ++i) {
    add_active_rows<T, T>(g + i * k, weight, k, u0, u1, units, out + i * units);
  }
}

template <typename T>
T mask_dot(const T* x, const uint8_t* mask, int64_t units) {
  constexpr int64_t kLanes = Vec<T>::kLanes;
  Vec<T> acc[4] = {zero<T>(), zero<T>(), zero<T>(), zero<T>()};
  int64_t u = 0;
  for (; u + 4 * kLanes <= units; u += 4 * kLanes) {
#pragma GCC unroll 8
    for (int j = 0; j < 4; ++j) {
      acc[j] = fma(load<T>(x + u + j * kLanes), load_mask<T>(mask + u + j * kLanes), acc[j]);
    }
  }
  Vec<T> rest = add(add(acc[0], acc[1]), add(acc[2], acc[3]));
  for (; u + kLanes <= units; u += kLanes) rest = fma(load<T>(x + u), load_mask<T>(mask + u), rest);
  if (u < units) {
    rest = fma(load_partial<T>(x + u, units - u), load_mask_partial<T>(mask + u, units - u), rest);
  }
  return sum(rest);
}

template <typename T>
void mask_dots(const T* dm, const uint8_t* masks, const T* y, int64_t n, int64_t c0, int64_t c1,
               int64_t units, T* dy, int64_t k) {
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t c = c0; c < c1; ++c) {
      dy[i * k + c] = y[i * k + c] != T(0) ? mask_dot(dm + i * units, masks + c * units, units) : T(0);
    }
  }
}

template <typename T>
void softmax_backward(const T* y, const T* dy, int64_t n, int64_t k, double temperature, T* dz) {
  for (int64_t i = 0; i < n; ++i) {
    const T* yi = y + i * k;
    const T* dyi = dy + i * k;
    T* dzi = dz + i * k;
    double inner = 0;
    for (int64_t c = 0; c < k; ++c) inner += static_cast<double>(yi[c]) * static_cast<double>(dyi[c]);
    for (int64_t c = 0; c < k; ++c) {
      const double yc = static_cast<double>(yi[c]);
      dzi[c] = static_cast<T>(yc * (static_cast<double>(dyi[c]) - inner) / temperature);
    }
  }
}

template <typename T>
IGD_INLINE void fill_contiguous(T* p, T value, int64_t count) {
  constexpr int64_t kLanes = Vec<T>::kLanes;
  if (count >= kLanes) {
    const Vec<T> v = splat(value);
    for (int64_t i = 0; i + kLanes < count; i += kLanes) store(p + i, v);
    store(p + count - kLanes, v);  // the rest, overlapping
  } else {
    store_partial(p, splat(value), count);
  }
}

template <typename T>
void spread(const T* dp, int64_t n, int64_t u0, int64_t u1, int64_t s, int64_t units, T* grad_a,
            Strides stride) {
  constexpr int64_t kChunk = 256;
  T value[kChunk];
  const T size = static_cast<T>(s);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t u = u0; u < u1; u += kChunk) {
      const int64_t count = min_of(kChunk, u1 - u);
      const T* source = dp + i * units + u;
      for (int64_t j = 0; j < count; ++j) value[j] = source[j] / size;
      T* target = grad_a + i * stride.n + u * stride.u;
      if (stride.s == 1 && s > 1) {
        for (int64_t j = 0; j < count; ++j) fill_contiguous(target + j * stride.u, value[j], s);
      } else if (stride.u == 1) {
        for (int64_t q = 0; q < s; ++q) {
          T* row = target + q * stride.s;
          for (int64_t j = 0; j < count; ++j) row[j] = value[j];
        }
      } else {
        for (int64_t j = 0; j < count; ++j) {
          for (int64_t q = 0; q < s; ++q) target[j * stride.u + q * stride.s] = value[j];
        }
      }
    }
  }
}

template <typename T>
void fill(KernelTable<T>* table) {
  table->pool = pool<T>;
  table->linear = linear<T>;
  table->softmax = softmax<T>;
  table->mix_masks = mix_masks<T>;
  table->multiply = multiply<T>;
  table->combine = combine<T>;
  table->combine_sparse_add = combine_sparse_add<T>;
  table->mask_dots = mask_dots<T>;
  table->softmax_backward = softmax_backward<T>;
  table->spread = spread<T>;
}

}  // namespace

void fill_masked_head(KernelTable<float>* table) { fill(table); }
void fill_masked_head(KernelTable<double>* table) { fill(table); }

}  // namespace IGD_ISA_NAMESPACE
}  // namespace igd

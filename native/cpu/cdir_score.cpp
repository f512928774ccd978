// CD-IR: the images that activate a unit most, and the score of a unit for a concept over those images.
//
// S = softmax(scale*P) over the concepts, P [N,K] image-text cosines, and for unit u with its images i(0..R-1)
//   L[u,k] = sum_r log(offset[r] + weight[r]*S[i(r),k]),   offset[r] = 1 - weight[r] + min_prob > 0
// A logarithm per (u,r,k) is what the plain expression pays: 2*10^8 of them for 2,048 units, 100 images and
// 1,000 concepts. Here factors are multiplied and one logarithm is taken of the product: every factor is one
// FMA and one multiplication.
//
// Range: factors lie in [f_min, f_max]; all are scaled by the same power of two so that they lie in
//   [2^-h, 2^h]; after `block` factors per chain, block*h <= 120 (float64: 1000), the exponent is split off
//   exactly. Nothing can overflow or vanish.
// Error: a chain of R factors is off by less than 2R roundings, so that L is off by less than
//   2R*u + R*e(S)/f_min in the worst case, u = 2^-24 (float64: 2^-53), e(S) the rounding of S: about 1e-5
//   (1e-14) for R = 100, below the rounding of a float32 sum of 100 logarithms.
//
// Layout: S is never stored whole. Concepts go in tiles of one cache line (16 float32, 8 float64); the tile of
//   all images, N lines, stays in L2 for N up to 30,000, and a (unit, image) pair reads one line of it.
//   Nothing of size [U,R,K] or [N,K] exists.
// Traffic: P read twice (row sums, tiles), indices once per tile, U*R*K elements from L2.
// Work: U*R*K FMA and as many multiplications, 2*N*K exponentials, U*K logarithms (and exponentials).
//
// Compiled once per instruction set (IGD_ISA_NAMESPACE); no C++ standard library templates here (see simd.h).

#include "kernel_table.h"
#include "simd.h"

namespace igd {
namespace IGD_ISA_NAMESPACE {
namespace {

constexpr int kBytes = IGD_VECTOR_BYTES == 0 ? 16 : IGD_VECTOR_BYTES;
// Vectors per cache line.
constexpr int kVectors = 64 / kBytes;

// Rows that are asked for ahead of use.
constexpr int64_t kAhead = 32;

template <typename T>
struct Traits;

template <>
struct Traits<float> {
  typedef int32_t Int;
  typedef float Vector __attribute__((vector_size(kBytes)));
  typedef int32_t Ints __attribute__((vector_size(kBytes)));
  static constexpr int kMantissa = 23;
  static constexpr Int kOne = 0x3f800000;
  static constexpr float kLowest = -87.0f;      // exp is normal from here on
  static constexpr float kMagic = 12582912.0f;  // 1.5*2^23: adding it rounds to an integer
  static constexpr float kLog2e = 1.44269504088896341f;
  static constexpr float kLn2High = 0.693359375f;
  static constexpr float kLn2Low = -2.12194440e-4f;
  static constexpr int kTerms = 7;
};

template <>
struct Traits<double> {
  typedef int64_t Int;
  typedef double Vector __attribute__((vector_size(kBytes)));
  typedef int64_t Ints __attribute__((vector_size(kBytes)));
  static constexpr int kMantissa = 52;
  static constexpr Int kOne = 0x3ff0000000000000;
  static constexpr double kLowest = -708.0;
  static constexpr double kMagic = 6755399441055744.0;  // 1.5*2^52
  static constexpr double kLog2e = 1.44269504088896340736;
  static constexpr double kLn2High = 6.93145751953125e-1;
  static constexpr double kLn2Low = 1.42860682030941723212e-6;
  static constexpr int kTerms = 13;
};

template <typename T>
using Vector = typename Traits<T>::Vector;
template <typename T>
using Ints = typename Traits<T>::Ints;
template <typename T>
constexpr int64_t kLanes = 64 / sizeof(T);  // elements per cache line
template <typename T>
constexpr int64_t kWidth = kBytes / sizeof(T);  // elements per vector

template <typename T>
IGD_INLINE Vector<T> load_vector(const T* p) {
  Vector<T> v;
  memcpy(&v, p, sizeof(v));
  return v;
}

template <typename T>
IGD_INLINE void store_vector(T* p, Vector<T> v) {
  memcpy(p, &v, sizeof(v));
}

template <typename T>
IGD_INLINE Vector<T> max_vector(Vector<T> a, Vector<T> b) {
  return a > b ? a : b;
}

// 1/n!
constexpr double kTaylor[] = {1,
                              1,
                              1.0 / 2,
                              1.0 / 6,
                              1.0 / 24,
                              1.0 / 120,
                              1.0 / 720,
                              1.0 / 5040,
                              1.0 / 40320,
                              1.0 / 362880,
                              1.0 / 3628800,
                              1.0 / 39916800,
                              1.0 / 479001600,
                              1.0 / 6227020800.0};

// exp(x) for x <= 0, within two roundings; the smallest normal numbers below kLowest.
template <typename T>
IGD_INLINE Vector<T> exp_vector(Vector<T> x) {
  typedef Traits<T> F;
  const Vector<T> zero = {};
  x = max_vector<T>(x, zero + F::kLowest);
  const Vector<T> shifted = x * F::kLog2e + F::kMagic;
  const Vector<T> n = shifted - F::kMagic;
  const Vector<T> r = (x - n * F::kLn2High) - n * F::kLn2Low;
  Vector<T> y = zero + static_cast<T>(kTaylor[F::kTerms]);
#pragma GCC unroll 16
  for (int i = F::kTerms - 1; i >= 0; --i) y = y * r + static_cast<T>(kTaylor[i]);
  // The low bits of `shifted` are n: 2^n by its exponent.
  const Ints<T> power = ((Ints<T>)shifted << F::kMantissa) + F::kOne;
  return y * (Vector<T>)power;
}

// log(m) for m in [1,2), within a few roundings: 2*atanh((m-1)/(m+1)) after halving what exceeds sqrt(2).
IGD_INLINE double log_mantissa(double m) {
  const double upper = m > 1.41421356237309505 ? 1.0 : 0.0;
  m *= 1.0 - 0.5 * upper;
  const double s = (m - 1.0) / (m + 1.0);
  const double z = s * s;
  double y = 1.0 / 21;
  y = y * z + 1.0 / 19;
  y = y * z + 1.0 / 17;
  y = y * z + 1.0 / 15;
  y = y * z + 1.0 / 13;
  y = y * z + 1.0 / 11;
  y = y * z + 1.0 / 9;
  y = y * z + 1.0 / 7;
  y = y * z + 1.0 / 5;
  y = y * z + 1.0 / 3;
  return 2.0 * s + 2.0 * s * z * y + upper * 0.69314718055994530942;
}

// ---- the images of largest activation ----

// Bit j set where v[j] >= t[j], for one cache line.
#if IGD_VECTOR_BYTES == 64
IGD_INLINE uint32_t at_least_mask(const float* v, const float* t) {
  return _mm512_cmp_ps_mask(_mm512_loadu_ps(v), _mm512_loadu_ps(t), _CMP_GE_OQ);
}
IGD_INLINE uint32_t at_least_mask(const double* v, const double* t) {
  return _mm512_cmp_pd_mask(_mm512_loadu_pd(v), _mm512_loadu_pd(t), _CMP_GE_OQ);
}
#elif IGD_VECTOR_BYTES == 32
IGD_INLINE uint32_t at_least_mask(const float* v, const float* t) {
  const __m256 low = _mm256_cmp_ps(_mm256_loadu_ps(v), _mm256_loadu_ps(t), _CMP_GE_OQ);
  const __m256 high = _mm256_cmp_ps(_mm256_loadu_ps(v + 8), _mm256_loadu_ps(t + 8), _CMP_GE_OQ);
  return static_cast<uint32_t>(_mm256_movemask_ps(low)) | static_cast<uint32_t>(_mm256_movemask_ps(high))
                                                              << 8;
}
IGD_INLINE uint32_t at_least_mask(const double* v, const double* t) {
  const __m256d low = _mm256_cmp_pd(_mm256_loadu_pd(v), _mm256_loadu_pd(t), _CMP_GE_OQ);
  const __m256d high = _mm256_cmp_pd(_mm256_loadu_pd(v + 4), _mm256_loadu_pd(t + 4), _CMP_GE_OQ);
  return static_cast<uint32_t>(_mm256_movemask_pd(low)) | static_cast<uint32_t>(_mm256_movemask_pd(high))
                                                              << 4;
}
#else
template <typename T>
IGD_INLINE uint32_t at_least_mask(const T* v, const T* t) {
  uint32_t mask = 0;
  for (int64_t j = 0; j < kLanes<T>; ++j) mask |= static_cast<uint32_t>(v[j] >= t[j]) << j;
  return mask;
}
#endif

// The k-th largest (k from 1) of a[n], which is reordered. Hoare's selection: equal values do no harm.
template <typename T>
T kth_largest(T* a, int64_t n, int64_t k) {
  int64_t low = 0, high = n - 1;
  while (low < high) {
    const T x = a[low], y = a[low + (high - low) / 2], z = a[high];
    const T smaller = x < y ? x : y, larger = x < y ? y : x;
    const T pivot = z < smaller ? smaller : z > larger ? larger : z;
    int64_t i = low, j = high;
    while (i <= j) {
      while (a[i] > pivot) ++i;
      while (a[j] < pivot) --j;
      if (i <= j) {
        const T swapped = a[i];
        a[i++] = a[j];
        a[j--] = swapped;
      }
    }
    if (k - 1 <= j) {
      high = j;
    } else if (k - 1 >= i) {
      low = i;
    } else {
      break;
    }
  }
  return a[k - 1];
}

// Up to this many candidates are ordered by counting, which is quadratic but in vectors.
constexpr int64_t kCounted = 384;

// Writes the `top` best of `count` candidates, given in order of their index, to out: descending, equal ones
// by index. values/indices have room for 2*count elements.
template <typename T>
void order_candidates(T* values, int32_t* indices, int64_t count, int64_t top, T* work, int32_t* out) {
  if (count > 2 * top || count > kCounted) {
    for (int64_t i = 0; i < count; ++i) work[i] = values[i];
    const T last = kth_largest(work, count, top);
    int64_t above = 0;
    for (int64_t i = 0; i < count; ++i) above += values[i] > last;
    int64_t ties = top - above, kept = 0;
    for (int64_t i = 0; i < count; ++i) {
      if (values[i] > last || (values[i] == last && ties-- > 0)) {
        values[kept] = values[i];
        indices[kept++] = indices[i];
      }
    }
    count = kept;
  }
  if (count <= kCounted) {
    for (int64_t i = 0; i < count; ++i) {
      const T own = values[i];
      int32_t rank = 0;
      for (int64_t j = 0; j < i; ++j) rank += values[j] >= own;
      for (int64_t j = i + 1; j < count; ++j) rank += values[j] > own;
      if (rank < top) out[rank] = indices[i];
    }
    return;
  }
  // Stable merging of runs, to and fro between the halves of the arrays.
  T* from = values;
  T* to = values + count;
  int32_t* from_index = indices;
  int32_t* to_index = indices + count;
  for (int64_t run = 1; run < count; run *= 2) {
    for (int64_t begin = 0; begin < count; begin += 2 * run) {
      const int64_t middle = min_of(begin + run, count), end = min_of(begin + 2 * run, count);
      int64_t i = begin, j = middle;
      for (int64_t at = begin; at < end; ++at) {
        const bool left = j >= end || (i < middle && from[i] >= from[j]);
        const int64_t source = left ? i++ : j++;
        to[at] = from[source];
        to_index[at] = from_index[source];
      }
    }
    T* const values_swapped = from;
    from = to;
    to = values_swapped;
    int32_t* const index_swapped = from_index;
    from_index = to_index;
    to_index = index_swapped;
  }
  for (int64_t i = 0; i < top; ++i) out[i] = from_index[i];
}

// Packs lines of units, lanes elements each, into [line][n][lanes] and takes the maxima [line][group][lanes] of
// groups of images. Returns whether there is a NaN.
template <typename T>
bool pack(const T* q, int64_t n, int64_t units, int64_t u0, int64_t count, int64_t group,
          const TopImagesScratch<T>& memory) {
  constexpr int64_t lanes = kLanes<T>, width = kWidth<T>;
  Vector<T> bad = {};
  int64_t g = -1, in_group = 0;
  T* maxima = nullptr;
  for (int64_t i = 0; i < n; ++i, --in_group) {
    const bool first = in_group == 0;
    if (first) {
      maxima = memory.maxima + ++g * lanes;
      in_group = group;
    }
    const T* row = q + i * units + u0;
    for (int64_t j = 0, at = 0; j < count; j += lanes, at += n * lanes) {
      // Rows are far apart: the hardware does not see the next one coming.
      if (i + kAhead < n) __builtin_prefetch(row + j + kAhead * units);
      T* line = memory.packed + at + i * lanes;
      const T* source = row + j;
      if (j + lanes > count) {
        for (int64_t l = 0; l < lanes; ++l) line[l] = j + l < count ? source[l] : T(0);
        source = line;
      }
#pragma GCC unroll 4
      for (int64_t v = 0; v < lanes; v += width) {
        const Vector<T> x = load_vector(source + v);
        bad += x != x ? x : Vector<T>{};
        store_vector(line + v, x);
        store_vector(maxima + at + v, first ? x : max_vector<T>(load_vector(maxima + at + v), x));
      }
    }
  }
  T bads[width];
  store_vector(bads, bad);
  bool nan = false;
  for (int64_t l = 0; l < width; ++l) nan |= bads[l] != bads[l];
  return nan;
}

// Group maxima first: `top` of them reach the top-th largest maximum, so no value below it can be among the
// best; few others are left to be ordered.
template <typename T>
int64_t top_images(const T* q, int64_t n, int64_t units, int64_t u0, int64_t count, int64_t top,
                   const TopImagesScratch<T>& memory, int32_t* out) {
  constexpr int64_t lanes = kLanes<T>;
  const int64_t group = n / (3 * top) > 1 ? n / (3 * top) : 1;
  const int64_t groups = (n + group - 1) / group;
  if (pack(q, n, units, u0, count, group, memory)) {
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = u0; j < u0 + count; ++j) {
        if (q[i * units + j] != q[i * units + j]) return i * units + j;
      }
    }
  }
  for (int64_t first = 0; first < count; first += lanes) {
    const T* packed = memory.packed + first * n;
    const T* maxima = memory.maxima + first * n;
    T threshold[lanes];
    int64_t counts[lanes];
    for (int64_t j = 0; j < lanes; ++j) {
      for (int64_t g = 0; g < groups; ++g) memory.work[g] = maxima[g * lanes + j];
      threshold[j] = kth_largest(memory.work, groups, top);
      counts[j] = 0;
    }
    for (int64_t i = 0; i < n; ++i) {
      for (uint32_t mask = at_least_mask(packed + i * lanes, threshold); mask != 0; mask &= mask - 1) {
        const int64_t j = __builtin_ctz(mask);
        memory.candidates[j * n + counts[j]++] = static_cast<int32_t>(i);
      }
    }
    for (int64_t j = 0; j < lanes && first + j < count; ++j) {
      const int32_t* candidates = memory.candidates + j * n;
      for (int64_t i = 0; i < counts[j]; ++i) {
        memory.indices[i] = candidates[i];
        memory.values[i] = packed[candidates[i] * lanes + j];
      }
      order_candidates(memory.values, memory.indices, counts[j], top, memory.work, out + (first + j) * top);
    }
  }
  return -1;
}

// ---- scores ----

// A line of a row of P from column c on, what lies beyond the row filled with `fill`.
template <typename T>
IGD_INLINE const T* padded(const T* row, int64_t c, int64_t k, T fill, T* buffer) {
  if (c + kLanes<T> <= k) return row + c;
  for (int64_t j = 0; j < kLanes<T>; ++j) buffer[j] = c + j < k ? row[c + j] : fill;
  return buffer;
}

template <typename T>
int64_t cdir_rows(const T* p, int64_t k, int64_t i0, int64_t i1, double scale, T* row_max, T* row_factor) {
  constexpr int64_t lanes = kLanes<T>, width = kWidth<T>;
  const T s = static_cast<T>(scale);
  T buffer[lanes];
  for (int64_t i = i0; i < i1; ++i) {
    const T* row = p + i * k;
    Vector<T> highest[kVectors], bad[kVectors] = {};
    for (int v = 0; v < kVectors; ++v) highest[v] = Vector<T>{} + row[0];
    for (int64_t c = 0; c < k; c += lanes) {
      const T* line = padded(row, c, k, row[0], buffer);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        const Vector<T> x = load_vector(line + v * width);
        bad[v] += x - x;  // 0 where finite, else NaN
        highest[v] = max_vector<T>(highest[v], x);
      }
    }
    T most = row[0], wrong = 0;
    for (int v = 0; v < kVectors; ++v) {
      for (int64_t j = 0; j < width; ++j) {
        most = highest[v][j] > most ? highest[v][j] : most;
        wrong += bad[v][j];
      }
    }
    if (wrong != 0) {
      for (int64_t c = 0; c < k; ++c) {
        if (row[c] - row[c] != 0) return i * k + c;
      }
    }
    Vector<T> sums[kVectors] = {};
    const T low = most - T(1e4) / s;  // its exponential is 0 beside the row's largest, 1
    for (int64_t c = 0; c < k; c += lanes) {
      const T* line = padded(row, c, k, low, buffer);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sums[v] += exp_vector<T>((load_vector(line + v * width) - most) * s);
    }
    double total = 0;
    for (int v = 0; v < kVectors; ++v) {
      for (int64_t j = 0; j < width; ++j) total += static_cast<double>(sums[v][j]);
    }
    row_max[i] = most;
    row_factor[i] = static_cast<T>(1.0 / total);
  }
  return -1;
}

template <typename T>
void cdir_tiles(const T* p, int64_t n, int64_t k, int64_t i0, int64_t i1, int64_t tile0, int64_t tiles,
                double scale, const T* row_max, const T* row_factor, const int64_t* labels, T* out) {
  constexpr int64_t lanes = kLanes<T>, width = kWidth<T>;
  const T s = static_cast<T>(scale);
  T buffer[lanes];
  for (int64_t i = i0; i < i1; ++i) {
    // Rows are far apart: the hardware does not see the next one coming.
    const int64_t next = (i + kAhead / 2) * k + tile0 * lanes;
    for (int64_t c = 0; c <= tiles * lanes && next + c < i1 * k; c += lanes) __builtin_prefetch(p + next + c);
    for (int64_t t = 0; t < tiles; ++t) {
      const int64_t c = (tile0 + t) * lanes;
      const T* line = padded(p + i * k, c, k, row_max[i], buffer);
      T* target = out + (t * n + i) * lanes;
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        const Vector<T> x = load_vector(line + v * width);
        store_vector(target + v * width, exp_vector<T>((x - row_max[i]) * s) * row_factor[i]);
      }
      if (labels != nullptr) {
        for (int64_t j = 0; j < lanes; ++j) target[j] = c + j == labels[i] ? target[j] : T(0);
      }
    }
  }
}

// Splits x > 0 into a factor in [1,2) and its exponent, which is added to `exponent`.
template <typename T>
IGD_INLINE Vector<T> split_exponent(Vector<T> x, Vector<T>* exponent) {
  typedef Traits<T> F;
  const Ints<T> bits = (Ints<T>)x;
  const Ints<T> e = (bits >> F::kMantissa) - (F::kOne >> F::kMantissa);
  *exponent += __builtin_convertvector(e, Vector<T>);
  return (Vector<T>)((bits & ((typename F::Int(1) << F::kMantissa) - 1)) | F::kOne);
}

// Units that are scored together, and independent products per unit and vector: as many as the registers
// hold. A unit's products do not depend on its neighbours.
constexpr int kUnitsTogether = kVectors == 1 ? 4 : kVectors == 2 ? 2 : 1;
constexpr int kChains = 2;

// Scores of kUnits units against one tile; units share the loads of weights and offsets, and their products
// hide each other's latency.
template <typename T, int kUnits>
IGD_INLINE void score_units(const T* tile, const int32_t* indices, int64_t top, const T* weight,
                            const T* offset, int64_t block, double shift, double* scores) {
  constexpr int64_t lanes = kLanes<T>, width = kWidth<T>;
  constexpr int chains = kChains;
  Vector<T> mantissa[kUnits][kVectors], exponent[kUnits][kVectors];
#pragma GCC unroll 4
  for (int j = 0; j < kUnits; ++j) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      mantissa[j][v] = Vector<T>{} + T(1);
      exponent[j][v] = Vector<T>{};
    }
  }
  for (int64_t r0 = 0; r0 < top; r0 += block * chains) {
    const int64_t r1 = min_of(r0 + block * chains, top);
    Vector<T> product[kUnits][chains][kVectors];
#pragma GCC unroll 4
    for (int j = 0; j < kUnits; ++j) {
#pragma GCC unroll 4
      for (int c = 0; c < chains; ++c) {
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) product[j][c][v] = Vector<T>{} + T(1);
      }
    }
    int64_t r = r0;
    for (; r + chains <= r1; r += chains) {
#pragma GCC unroll 4
      for (int c = 0; c < chains; ++c) {
        const Vector<T> w = Vector<T>{} + weight[r + c], o = Vector<T>{} + offset[r + c];
#pragma GCC unroll 4
        for (int j = 0; j < kUnits; ++j) {
          const T* line = tile + static_cast<int64_t>(indices[j * top + r + c]) * lanes;
#pragma GCC unroll 4
          for (int v = 0; v < kVectors; ++v) product[j][c][v] *= load_vector(line + v * width) * w + o;
        }
      }
    }
    for (; r < r1; ++r) {
      // Fewer than `chains` are left: each its own chain, so that none gets more than `block` factors.
#pragma GCC unroll 4
      for (int c = 0; c < chains; ++c) {
        if (r1 - r != c + 1) continue;
#pragma GCC unroll 4
        for (int j = 0; j < kUnits; ++j) {
          const T* line = tile + static_cast<int64_t>(indices[j * top + r]) * lanes;
#pragma GCC unroll 4
          for (int v = 0; v < kVectors; ++v) {
            product[j][c][v] *= load_vector(line + v * width) * weight[r] + offset[r];
          }
        }
      }
    }
#pragma GCC unroll 4
    for (int j = 0; j < kUnits; ++j) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
#pragma GCC unroll 4
        for (int c = 0; c < chains; ++c) {
          mantissa[j][v] *= split_exponent<T>(product[j][c][v], &exponent[j][v]);
        }
        mantissa[j][v] = split_exponent<T>(mantissa[j][v], &exponent[j][v]);
      }
    }
  }
  for (int j = 0; j < kUnits; ++j) {
    T m[lanes], e[lanes];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      store_vector(m + v * width, mantissa[j][v]);
      store_vector(e + v * width, exponent[j][v]);
    }
    double* row = scores + j * lanes;
    for (int64_t l = 0; l < lanes; ++l) {
      row[l] = log_mantissa(static_cast<double>(m[l])) +
               (static_cast<double>(e[l]) - shift) * 0.69314718055994530942;
    }
  }
}

template <typename T>
void cdir_units(const T* tile, const int32_t* indices, int64_t u0, int64_t u1, int64_t top, const T* weight,
                const T* offset, int64_t block, double shift, double* scores) {
  constexpr int64_t lanes = kLanes<T>;
  int64_t u = u0;
  for (; u + kUnitsTogether <= u1; u += kUnitsTogether) {
    score_units<T, kUnitsTogether>(tile, indices + u * top, top, weight, offset, block, shift,
                                   scores + u * lanes);
  }
  for (; u < u1; ++u) {
    score_units<T, 1>(tile, indices + u * top, top, weight, offset, block, shift, scores + u * lanes);
  }
}

template <typename T>
void cdir_finish(const double* scores, int64_t units, double lambda, int64_t columns, int64_t c0, int64_t k,
                 double* out) {
  constexpr int64_t lanes = kLanes<T>, width = kWidth<double>, vectors = lanes / width;
  double prior[lanes] = {};
  if (lambda != 0) {
    Vector<double> highest[vectors], sums[vectors] = {};
    for (int64_t v = 0; v < vectors; ++v) highest[v] = load_vector(scores + v * width);
    for (int64_t u = 1; u < units; ++u) {
      for (int64_t v = 0; v < vectors; ++v) {
        highest[v] = max_vector<double>(highest[v], load_vector(scores + u * lanes + v * width));
      }
    }
    for (int64_t u = 0; u < units; ++u) {
      for (int64_t v = 0; v < vectors; ++v) {
        sums[v] += exp_vector<double>(load_vector(scores + u * lanes + v * width) - highest[v]);
      }
    }
    for (int64_t j = 0; j < lanes; ++j) {
      // The mean of 1 to `units` numbers up to 1.
      const double mean = sums[j / width][j % width] / static_cast<double>(units);
      prior[j] = lambda * (highest[j / width][j % width] + __builtin_log(mean));
    }
  }
  for (int64_t u = 0; u < units; ++u) {
    double* row = out + u * k + c0;
    for (int64_t j = 0; j < columns; ++j) row[j] = scores[u * lanes + j] - prior[j];
  }
}

template <typename T>
void fill(KernelTable<T>* table) {
  table->top_images = top_images<T>;
  table->cdir_rows = cdir_rows<T>;
  table->cdir_tiles = cdir_tiles<T>;
  table->cdir_units = cdir_units<T>;
  table->cdir_finish = cdir_finish<T>;
}

}  // namespace

void fill_cdir_score(KernelTable<float>* table) { fill(table); }
void fill_cdir_score(KernelTable<double>* table) { fill(table); }

}  // namespace IGD_ISA_NAMESPACE
}  // namespace igd

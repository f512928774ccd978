// One vector register of the instruction set that the file is compiled for: IGD_ISA_NAMESPACE,
// IGD_VECTOR_BYTES. IGD_VECTOR_BYTES 0 is plain C++, an array of four elements; 32 and 64 use the compiler's
// vector extension, with intrinsics where it has no word for what is meant (partial loads, bytes to 0/1).
// Everything lives in the instruction set's own namespace and is always inlined: no symbol can be merged with
// that of another instruction set. Nothing of the C++ standard library may be used here for the same reason.
#ifndef IGD_CPU_SIMD_H_
#define IGD_CPU_SIMD_H_

#include <stdint.h>
#include <string.h>

#if defined(IGD_VECTOR_BYTES) && IGD_VECTOR_BYTES > 0
#include <immintrin.h>
#endif

#if !defined(IGD_ISA_NAMESPACE) || !defined(IGD_VECTOR_BYTES)
#error "compile with -DIGD_ISA_NAMESPACE=... and -DIGD_VECTOR_BYTES=..."
#endif

#define IGD_INLINE inline __attribute__((always_inline))

namespace igd {
namespace IGD_ISA_NAMESPACE {

constexpr int64_t min_of(int64_t a, int64_t b) { return a < b ? a : b; }

#if IGD_VECTOR_BYTES == 0

template <typename T>
struct Vec {
  static constexpr int kLanes = 4;
  T v[kLanes];
};

template <typename T>
IGD_INLINE Vec<T> splat(T x) {
  return Vec<T>{{x, x, x, x}};
}

// Loads elements of type From, converted to T.
template <typename T, typename From>
IGD_INLINE Vec<T> load(const From* p) {
  Vec<T> r;
  for (int i = 0; i < Vec<T>::kLanes; ++i) r.v[i] = static_cast<T>(p[i]);
  return r;
}

// 1 where the byte is not 0, else 0.
template <typename T>
IGD_INLINE Vec<T> load_mask(const uint8_t* p) {
  Vec<T> r;
  for (int i = 0; i < Vec<T>::kLanes; ++i) r.v[i] = p[i] != 0 ? T(1) : T(0);
  return r;
}

template <typename T>
IGD_INLINE void store(T* p, Vec<T> x) {
  for (int i = 0; i < Vec<T>::kLanes; ++i) p[i] = x.v[i];
}

template <typename T>
IGD_INLINE Vec<T> add(Vec<T> a, Vec<T> b) {
  for (int i = 0; i < Vec<T>::kLanes; ++i) a.v[i] += b.v[i];
  return a;
}

template <typename T>
IGD_INLINE Vec<T> mul(Vec<T> a, Vec<T> b) {
  for (int i = 0; i < Vec<T>::kLanes; ++i) a.v[i] *= b.v[i];
  return a;
}

template <typename T>
IGD_INLINE Vec<T> div(Vec<T> a, Vec<T> b) {
  for (int i = 0; i < Vec<T>::kLanes; ++i) a.v[i] /= b.v[i];
  return a;
}

// a * b + c
template <typename T>
IGD_INLINE Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) {
  for (int i = 0; i < Vec<T>::kLanes; ++i) c.v[i] += a.v[i] * b.v[i];
  return c;
}

template <typename T>
IGD_INLINE T sum(Vec<T> a) {
  return (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]);
}

// out[j] = sum(a[j])
template <typename T>
IGD_INLINE void store_sums(T* out, const Vec<T> (&a)[4]) {
  for (int j = 0; j < 4; ++j) out[j] = sum(a[j]);
}

// The first `count` (< kLanes) elements, the rest 0.
template <typename T, typename From>
IGD_INLINE Vec<T> load_partial(const From* p, int64_t count) {
  Vec<T> r = {};
  for (int64_t i = 0; i < count; ++i) r.v[i] = static_cast<T>(p[i]);
  return r;
}

template <typename T>
IGD_INLINE Vec<T> load_mask_partial(const uint8_t* p, int64_t count) {
  Vec<T> r = {};
  for (int64_t i = 0; i < count; ++i) r.v[i] = p[i] != 0 ? T(1) : T(0);
  return r;
}

template <typename T>
IGD_INLINE void store_partial(T* p, Vec<T> x, int64_t count) {
  for (int64_t i = 0; i < count; ++i) p[i] = x.v[i];
}

#else

template <typename T>
struct Vec {
  static constexpr int kLanes = IGD_VECTOR_BYTES / sizeof(T);
  typedef T Register __attribute__((vector_size(IGD_VECTOR_BYTES)));
  Register v;
};

template <typename T>
IGD_INLINE Vec<T> splat(T x) {
  return Vec<T>{x - typename Vec<T>::Register{}};
}

template <typename T, typename From>
struct Loader {
  static IGD_INLINE Vec<T> load(const From* p) {
    typedef From Source __attribute__((vector_size(Vec<T>::kLanes * sizeof(From))));
    Source source;
    memcpy(&source, p, sizeof(source));
    return Vec<T>{__builtin_convertvector(source, typename Vec<T>::Register)};
  }
};

template <typename T>
struct Loader<T, T> {
  static IGD_INLINE Vec<T> load(const T* p) {
    Vec<T> r;
    memcpy(&r.v, p, sizeof(r.v));
    return r;
  }
};

template <typename T, typename From>
IGD_INLINE Vec<T> load(const From* p) {
  return Loader<T, From>::load(p);
}

// 1 where the byte is not 0, else 0; the first `count` elements, the rest 0; see the plain versions.
#if IGD_VECTOR_BYTES == 64

template <typename T>
struct Partial;

template <>
struct Partial<float> {
  static IGD_INLINE __mmask16 lanes(int64_t count) { return static_cast<__mmask16>((1u << count) - 1); }
  static IGD_INLINE Vec<float> load(const float* p, int64_t count) {
    return {_mm512_maskz_loadu_ps(lanes(count), p)};
  }
  static IGD_INLINE void store(float* p, Vec<float> x, int64_t count) {
    _mm512_mask_storeu_ps(p, lanes(count), x.v);
  }
  static IGD_INLINE Vec<float> ones(__mmask16 lanes) {
    return {_mm512_maskz_mov_ps(lanes, _mm512_set1_ps(1.0f))};
  }
  static IGD_INLINE Vec<float> load_mask(const uint8_t* p) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return ones(_mm_test_epi8_mask(bytes, bytes));
  }
  static IGD_INLINE Vec<float> load_mask(const uint8_t* p, int64_t count) {
    const __m128i bytes = _mm_maskz_loadu_epi8(lanes(count), p);
    return ones(_mm_test_epi8_mask(bytes, bytes));
  }
};

template <>
struct Partial<double> {
  static IGD_INLINE __mmask8 lanes(int64_t count) { return static_cast<__mmask8>((1u << count) - 1); }
  static IGD_INLINE Vec<double> load(const double* p, int64_t count) {
    return {_mm512_maskz_loadu_pd(lanes(count), p)};
  }
  static IGD_INLINE Vec<double> load(const float* p, int64_t count) {
    return {_mm512_maskz_cvtps_pd(0xff, _mm256_maskz_loadu_ps(lanes(count), p))};
  }
  static IGD_INLINE void store(double* p, Vec<double> x, int64_t count) {
    _mm512_mask_storeu_pd(p, lanes(count), x.v);
  }
  static IGD_INLINE Vec<double> ones(__mmask16 lanes) {
    return {_mm512_maskz_mov_pd(static_cast<__mmask8>(lanes), _mm512_set1_pd(1.0))};
  }
  static IGD_INLINE Vec<double> load_mask(const uint8_t* p) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return ones(_mm_test_epi8_mask(bytes, bytes));
  }
  static IGD_INLINE Vec<double> load_mask(const uint8_t* p, int64_t count) {
    const __m128i bytes = _mm_maskz_loadu_epi8(lanes(count), p);
    return ones(_mm_test_epi8_mask(bytes, bytes));
  }
};

#else

// The bytes of a partial vector of masks, as one integer.
IGD_INLINE uint64_t load_bytes(const uint8_t* p, int64_t count) {
  uint64_t bytes = 0;
  for (int64_t i = 0; i < count; ++i) bytes |= static_cast<uint64_t>(p[i]) << (8 * i);
  return bytes;
}

template <typename T>
struct Partial;

template <>
struct Partial<float> {
  static IGD_INLINE __m256i lanes(int64_t count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static IGD_INLINE Vec<float> load(const float* p, int64_t count) {
    return {_mm256_maskload_ps(p, lanes(count))};
  }
  static IGD_INLINE void store(float* p, Vec<float> x, int64_t count) {
    _mm256_maskstore_ps(p, lanes(count), x.v);
  }
  static IGD_INLINE Vec<float> ones(uint64_t bytes) {
    const __m256i wide = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<int64_t>(bytes)));
    const __m256i zeros = _mm256_cmpeq_epi32(wide, _mm256_setzero_si256());
    return {_mm256_andnot_ps(_mm256_castsi256_ps(zeros), _mm256_set1_ps(1.0f))};
  }
  static IGD_INLINE Vec<float> load_mask(const uint8_t* p) {
    uint64_t bytes;
    memcpy(&bytes, p, sizeof(bytes));
    return ones(bytes);
  }
  static IGD_INLINE Vec<float> load_mask(const uint8_t* p, int64_t count) {
    return ones(load_bytes(p, count));
  }
};

template <>
struct Partial<double> {
  static IGD_INLINE __m256i lanes(int64_t count) {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(count), _mm256_setr_epi64x(0, 1, 2, 3));
  }
  static IGD_INLINE Vec<double> load(const double* p, int64_t count) {
    return {_mm256_maskload_pd(p, lanes(count))};
  }
  static IGD_INLINE Vec<double> load(const float* p, int64_t count) {
    const __m128i four = _mm_cmpgt_epi32(_mm_set1_epi32(static_cast<int>(count)), _mm_setr_epi32(0, 1, 2, 3));
    return {_mm256_cvtps_pd(_mm_maskload_ps(p, four))};
  }
  static IGD_INLINE void store(double* p, Vec<double> x, int64_t count) {
    _mm256_maskstore_pd(p, lanes(count), x.v);
  }
  static IGD_INLINE Vec<double> ones(uint32_t bytes) {
    const __m256i wide = _mm256_cvtepu8_epi64(_mm_cvtsi32_si128(static_cast<int>(bytes)));
    const __m256i zeros = _mm256_cmpeq_epi64(wide, _mm256_setzero_si256());
    return {_mm256_andnot_pd(_mm256_castsi256_pd(zeros), _mm256_set1_pd(1.0))};
  }
  static IGD_INLINE Vec<double> load_mask(const uint8_t* p) {
    uint32_t bytes;
    memcpy(&bytes, p, sizeof(bytes));
    return ones(bytes);
  }
  static IGD_INLINE Vec<double> load_mask(const uint8_t* p, int64_t count) {
    return ones(static_cast<uint32_t>(load_bytes(p, count)));
  }
};

#endif

template <typename T>
IGD_INLINE Vec<T> load_mask(const uint8_t* p) {
  return Partial<T>::load_mask(p);
}

template <typename T>
IGD_INLINE Vec<T> load_mask_partial(const uint8_t* p, int64_t count) {
  return Partial<T>::load_mask(p, count);
}

template <typename T, typename From>
IGD_INLINE Vec<T> load_partial(const From* p, int64_t count) {
  return Partial<T>::load(p, count);
}

template <typename T>
IGD_INLINE void store_partial(T* p, Vec<T> x, int64_t count) {
  Partial<T>::store(p, x, count);
}

template <typename T>
IGD_INLINE void store(T* p, Vec<T> x) {
  memcpy(p, &x.v, sizeof(x.v));
}

template <typename T>
IGD_INLINE Vec<T> add(Vec<T> a, Vec<T> b) {
  return Vec<T>{a.v + b.v};
}

template <typename T>
IGD_INLINE Vec<T> mul(Vec<T> a, Vec<T> b) {
  return Vec<T>{a.v * b.v};
}

template <typename T>
IGD_INLINE Vec<T> div(Vec<T> a, Vec<T> b) {
  return Vec<T>{a.v / b.v};
}

// a * b + c, contracted to one instruction
template <typename T>
IGD_INLINE Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) {
  return Vec<T>{a.v * b.v + c.v};
}

// Sums of the halves, down to one element: a fixed tree.
typedef float Float4 __attribute__((vector_size(16)));
typedef double Double2 __attribute__((vector_size(16)));

IGD_INLINE float sum_register(Float4 a) { return (a[0] + a[2]) + (a[1] + a[3]); }
IGD_INLINE double sum_register(Double2 a) { return a[0] + a[1]; }

typedef float Float8 __attribute__((vector_size(32)));
typedef double Double4 __attribute__((vector_size(32)));

IGD_INLINE float sum_register(Float8 a) {
  return sum_register(__builtin_shufflevector(a, a, 0, 1, 2, 3) + __builtin_shufflevector(a, a, 4, 5, 6, 7));
}
IGD_INLINE double sum_register(Double4 a) {
  return sum_register(__builtin_shufflevector(a, a, 0, 1) + __builtin_shufflevector(a, a, 2, 3));
}

#if IGD_VECTOR_BYTES >= 64
typedef float Float16 __attribute__((vector_size(64)));
typedef double Double8 __attribute__((vector_size(64)));

IGD_INLINE float sum_register(Float16 a) {
  return sum_register(__builtin_shufflevector(a, a, 0, 1, 2, 3, 4, 5, 6, 7) +
                      __builtin_shufflevector(a, a, 8, 9, 10, 11, 12, 13, 14, 15));
}
IGD_INLINE double sum_register(Double8 a) {
  return sum_register(__builtin_shufflevector(a, a, 0, 1, 2, 3) + __builtin_shufflevector(a, a, 4, 5, 6, 7));
}
#endif

template <typename T>
IGD_INLINE T sum(Vec<T> a) {
  return sum_register(a.v);
}

// The first steps of sum_register, down to 16 bytes.
IGD_INLINE Float4 fold(Float4 a) { return a; }
IGD_INLINE Double2 fold(Double2 a) { return a; }
IGD_INLINE Float4 fold(Float8 a) {
  return __builtin_shufflevector(a, a, 0, 1, 2, 3) + __builtin_shufflevector(a, a, 4, 5, 6, 7);
}
IGD_INLINE Double2 fold(Double4 a) {
  return __builtin_shufflevector(a, a, 0, 1) + __builtin_shufflevector(a, a, 2, 3);
}
#if IGD_VECTOR_BYTES >= 64
IGD_INLINE Float4 fold(Float16 a) {
  return fold(__builtin_shufflevector(a, a, 0, 1, 2, 3, 4, 5, 6, 7) +
              __builtin_shufflevector(a, a, 8, 9, 10, 11, 12, 13, 14, 15));
}
IGD_INLINE Double2 fold(Double8 a) {
  return fold(__builtin_shufflevector(a, a, 0, 1, 2, 3) + __builtin_shufflevector(a, a, 4, 5, 6, 7));
}
#endif

// out[j] = sum(a[j]), bit for bit, four at a time: the last steps share instructions.
IGD_INLINE void store_sums(float* out, const Vec<float> (&a)[4]) {
  const Float4 f0 = fold(a[0].v), f1 = fold(a[1].v), f2 = fold(a[2].v), f3 = fold(a[3].v);
  // Each (x[0]+x[2], y[0]+y[2], x[1]+x[3], y[1]+y[3]).
  const Float4 p = __builtin_shufflevector(f0, f1, 0, 4, 1, 5) + __builtin_shufflevector(f0, f1, 2, 6, 3, 7);
  const Float4 q = __builtin_shufflevector(f2, f3, 0, 4, 1, 5) + __builtin_shufflevector(f2, f3, 2, 6, 3, 7);
  const Float4 sums = __builtin_shufflevector(p, q, 0, 1, 4, 5) + __builtin_shufflevector(p, q, 2, 3, 6, 7);
  memcpy(out, &sums, sizeof(sums));
}
IGD_INLINE void store_sums(double* out, const Vec<double> (&a)[4]) {
  const Double2 f0 = fold(a[0].v), f1 = fold(a[1].v), f2 = fold(a[2].v), f3 = fold(a[3].v);
  const Double2 p = __builtin_shufflevector(f0, f1, 0, 2) + __builtin_shufflevector(f0, f1, 1, 3);
  const Double2 q = __builtin_shufflevector(f2, f3, 0, 2) + __builtin_shufflevector(f2, f3, 1, 3);
  memcpy(out, &p, sizeof(p));
  memcpy(out + 2, &q, sizeof(q));
}

#endif

template <typename T>
IGD_INLINE Vec<T> zero() {
  return splat(T(0));
}

}  // namespace IGD_ISA_NAMESPACE
}  // namespace igd

#endif  // IGD_CPU_SIMD_H_

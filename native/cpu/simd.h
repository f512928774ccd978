// One vector register of the instruction set that the file is compiled for (IGD_ISA_NAMESPACE, IGD_VECTOR_BYTES).
// IGD_VECTOR_BYTES 0 is plain C++: an array of four elements. Otherwise the compiler's vector extension.
// Everything lives in the instruction set's own namespace and is always inlined: no symbol can be merged with that
// of another instruction set. Nothing of the C++ standard library may be used here for the same reason.
#ifndef IGD_CPU_SIMD_H_
#define IGD_CPU_SIMD_H_

#include <stdint.h>
#include <string.h>

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

template <typename T>
struct IntegerOf;
template <>
struct IntegerOf<float> {
  typedef int32_t Type;
};
template <>
struct IntegerOf<double> {
  typedef int64_t Type;
};

template <typename T>
IGD_INLINE Vec<T> load_mask(const uint8_t* p) {
  typedef uint8_t Bytes __attribute__((vector_size(Vec<T>::kLanes)));
  typedef typename IntegerOf<T>::Type Integer;
  typedef Integer Integers __attribute__((vector_size(IGD_VECTOR_BYTES)));
  Bytes bytes;
  memcpy(&bytes, p, sizeof(bytes));
  const Integers wide = __builtin_convertvector(bytes, Integers);
  const Vec<T> one = splat(T(1));
  Integers bits;
  memcpy(&bits, &one.v, sizeof(bits));
  bits &= (wide != 0);
  Vec<T> r;
  memcpy(&r.v, &bits, sizeof(bits));
  return r;
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

#endif

template <typename T>
IGD_INLINE Vec<T> zero() {
  return splat(T(0));
}

// The first `count` (< kLanes) elements, the rest 0.
template <typename T, typename From>
IGD_INLINE Vec<T> load_partial(const From* p, int64_t count) {
  From buffer[Vec<T>::kLanes] = {};
  for (int64_t i = 0; i < count; ++i) buffer[i] = p[i];
  return load<T>(buffer);
}

template <typename T>
IGD_INLINE Vec<T> load_mask_partial(const uint8_t* p, int64_t count) {
  uint8_t buffer[Vec<T>::kLanes] = {};
  for (int64_t i = 0; i < count; ++i) buffer[i] = p[i];
  return load_mask<T>(buffer);
}

template <typename T>
IGD_INLINE void store_partial(T* p, Vec<T> x, int64_t count) {
  T buffer[Vec<T>::kLanes];
  store(buffer, x);
  for (int64_t i = 0; i < count; ++i) p[i] = buffer[i];
}

// Registers of a block of `count` (1 <= count <= kMax) vectors: whole ones, the last one perhaps partial. Used where
// a loop over a row ends.
template <typename T, typename From>
IGD_INLINE Vec<T> load_upto(const From* p, int64_t left) {
  return left >= Vec<T>::kLanes ? load<T>(p) : load_partial<T>(p, left);
}

}  // namespace IGD_ISA_NAMESPACE
}  // namespace igd

#endif  // IGD_CPU_SIMD_H_

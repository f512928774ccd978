// Leave-one-out inside the network: the first convolution behind the layer without one unit.
//
// A convolution is linear in its input's channels. With E [N,H,W,U] its input, base = conv(E) + bias, and
// unit u of image n set to the value r[u] everywhere (0, or what the layers in between make of 0),
//   conv(E without u) + bias = base[n] + conv_u(r[u] - E[n,:,:,u]),
// conv_u the convolution of one channel with the weights of that channel. For each pair p = (u,n):
//   out[p,y,x,o] = f(base[n,y,x,o] + sum over taps t of d(y*stride+ty-padding, x*stride+tx-padding) *
//   w[u,t,o])
// with d = r[u] - E[n,:,:,u], 0 outside the image, o in u's group (others: f(base)), f the identity or ReLU.
//
// Layout: channels-last throughout, weights [U,taps,O/groups], so that the inner loop runs over contiguous
//   output channels; the taps of one position are gathered first, those with d = 0 left out (after a ReLU,
//   about half of them).
// Traffic per pair: OH*OW*O elements read (shared by the pairs of one image) and written, taps*O/groups
//   weights (in L1/L2). Work: OH*OW*taps*O/groups FMA at most, against U times as many for the convolution.
// Sums in the accumulator type (bfloat16: float32), taps in order: a pair's values depend on nothing else.
//
// Compiled once per instruction set (IGD_ISA_NAMESPACE); no C++ standard library templates here (see simd.h).

#include "loo_interior_table.h"
#include "simd.h"

namespace igd {
namespace IGD_ISA_NAMESPACE {
namespace {

IGD_INLINE float widen(BFloat16 x) {
  const uint32_t bits = static_cast<uint32_t>(x.bits) << 16;
  float value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}
IGD_INLINE float widen(float x) { return x; }
IGD_INLINE double widen(double x) { return x; }

// To nearest, ties to even; a NaN stays one.
IGD_INLINE void narrow(float x, BFloat16* out) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof(bits));
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  out->bits = static_cast<uint16_t>(x != x ? 0x7fc0u : rounded);
}

// Negative values become 0; a NaN stays one.
template <typename T>
IGD_INLINE Vec<T> rectify(Vec<T> x) {
#if IGD_VECTOR_BYTES == 0
  for (int i = 0; i < Vec<T>::kLanes; ++i) x.v[i] = x.v[i] < T(0) ? T(0) : x.v[i];
  return x;
#else
  const typename Vec<T>::Register zeros = {};
  return Vec<T>{x.v < zeros ? zeros : x.v};
#endif
}

// Loads and stores of the stored type as accumulators.
template <typename T>
struct Memory {
  static IGD_INLINE Vec<T> read(const T* p) { return load<T>(p); }
  static IGD_INLINE Vec<T> read(const T* p, int64_t count) { return load_partial<T>(p, count); }
  static IGD_INLINE void write(T* p, Vec<T> x) { store(p, x); }
  static IGD_INLINE void write(T* p, Vec<T> x, int64_t count) { store_partial(p, x, count); }
};

template <>
struct Memory<BFloat16> {
  static constexpr int kLanes = Vec<float>::kLanes;
  static IGD_INLINE Vec<float> read(const BFloat16* p) {
    float values[kLanes];
    for (int i = 0; i < kLanes; ++i) values[i] = widen(p[i]);
    return load<float>(values);
  }
  static IGD_INLINE Vec<float> read(const BFloat16* p, int64_t count) {
    float values[kLanes] = {};
    for (int64_t i = 0; i < count; ++i) values[i] = widen(p[i]);
    return load<float>(values);
  }
  static IGD_INLINE void write(BFloat16* p, Vec<float> x) {
    float values[kLanes];
    store(values, x);
    for (int i = 0; i < kLanes; ++i) narrow(values[i], p + i);
  }
  static IGD_INLINE void write(BFloat16* p, Vec<float> x, int64_t count) {
    float values[kLanes];
    store(values, x);
    for (int64_t i = 0; i < count; ++i) narrow(values[i], p + i);
  }
};

// The taps of one output position that change anything.
template <typename Acc>
struct Taps {
  static constexpr int kMost = 49;  // kernel <= 7
  int count;
  Acc delta[kMost];
  const Acc* weight[kMost];
};

// out[0..count) = f(base + sum of taps).
template <typename T, typename Acc>
IGD_INLINE void correct(const T* base, const Taps<Acc>& taps, int64_t count, bool relu, T* out) {
  constexpr int kVectors = 4;
  constexpr int64_t kLanes = Vec<Acc>::kLanes;
  int64_t j = 0;
  for (; j + kVectors * kLanes <= count; j += kVectors * kLanes) {
    Vec<Acc> acc[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) acc[v] = Memory<T>::read(base + j + v * kLanes);
    for (int t = 0; t < taps.count; ++t) {
      const Vec<Acc> delta = splat(taps.delta[t]);
      const Acc* weight = taps.weight[t] + j;
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) acc[v] = fma(delta, load<Acc>(weight + v * kLanes), acc[v]);
    }
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v)
      Memory<T>::write(out + j + v * kLanes, relu ? rectify(acc[v]) : acc[v]);
  }
  for (; j + kLanes <= count; j += kLanes) {
    Vec<Acc> acc = Memory<T>::read(base + j);
    for (int t = 0; t < taps.count; ++t) {
      acc = fma(splat(taps.delta[t]), load<Acc>(taps.weight[t] + j), acc);
    }
    Memory<T>::write(out + j, relu ? rectify(acc) : acc);
  }
  if (j < count) {
    const int64_t rest = count - j;
    Vec<Acc> acc = Memory<T>::read(base + j, rest);
    for (int t = 0; t < taps.count; ++t) {
      acc = fma(splat(taps.delta[t]), load_partial<Acc>(taps.weight[t] + j, rest), acc);
    }
    Memory<T>::write(out + j, relu ? rectify(acc) : acc, rest);
  }
}

template <typename T>
void ablate(const AblatedConvolution<T>& c, int64_t begin, int64_t end) {
  typedef typename Accumulator<T>::Type Acc;
  const int64_t outputs = c.o / c.groups;
  const int64_t inputs = c.u / c.groups;
  const int64_t taps_of_unit = c.kernel * c.kernel;
  Taps<Acc> none;
  none.count = 0;
  for (int64_t p = begin; p < end; ++p) {
    const int64_t unit = c.units[p];
    const int64_t image = c.images[p];
    const T* base = c.base + image * c.oh * c.ow * c.o;
    const T* channel = c.input + image * c.h * c.w * c.u + unit;
    const Acc removed = c.removed == nullptr ? Acc(0) : widen(c.removed[unit]);
    const Acc* weight = c.weight + unit * taps_of_unit * outputs;
    const int64_t first = unit / inputs * outputs;  // first output channel of the unit's group
    T* out = c.out + p * c.oh * c.ow * c.o;
    for (int64_t y = 0; y < c.oh; ++y) {
      for (int64_t x = 0; x < c.ow; ++x, base += c.o, out += c.o) {
        Taps<Acc> taps;
        taps.count = 0;
        for (int64_t ty = 0; ty < c.kernel; ++ty) {
          const int64_t row = y * c.stride + ty - c.padding;
          if (row < 0 || row >= c.h) continue;
          for (int64_t tx = 0; tx < c.kernel; ++tx) {
            const int64_t column = x * c.stride + tx - c.padding;
            if (column < 0 || column >= c.w) continue;
            const Acc delta = removed - widen(channel[(row * c.w + column) * c.u]);
            if (delta == Acc(0)) continue;
            taps.delta[taps.count] = delta;
            taps.weight[taps.count] = weight + (ty * c.kernel + tx) * outputs;
            ++taps.count;
          }
        }
        if (first > 0) correct(base, none, first, c.relu, out);
        correct(base + first, taps, outputs, c.relu, out + first);
        const int64_t after = first + outputs;
        if (after < c.o) correct(base + after, none, c.o - after, c.relu, out + after);
      }
    }
  }
}

}  // namespace

void ablate_convolution(const AblatedConvolution<float>& c, int64_t begin, int64_t end) {
  ablate(c, begin, end);
}
void ablate_convolution(const AblatedConvolution<double>& c, int64_t begin, int64_t end) {
  ablate(c, begin, end);
}
void ablate_convolution(const AblatedConvolution<BFloat16>& c, int64_t begin, int64_t end) {
  ablate(c, begin, end);
}

}  // namespace IGD_ISA_NAMESPACE
}  // namespace igd

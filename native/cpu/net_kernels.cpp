// Tile kernels of compiled networks. Compiled twice: with IGD_NET_AMX for processors with AMX-BF16 and
// AVX512-BF16, and in plain C++, which computes the same sums anywhere (for tests, and as the definition).
//
// A unit is 2 destination pixels (tiles of 16 rows) by 32 output channels: 4 accumulators of 16x16 float32.
// Per tap and input block of 32 channels: 4 tile products of 16x16x32 for each pair of parts (1, 3 or 6 pairs: 4,
// 12 or 24 products of 16 cycles) and 4, 8 or 14 tiles of 1 KiB read.
#include "net_kernels.h"

#if IGD_NET_AMX
#include <immintrin.h>
#define IGD_NET_NAMESPACE amx
#else
#include <string.h>
#define IGD_NET_NAMESPACE portable_net
#endif

namespace igd {
namespace IGD_NET_NAMESPACE {
namespace {

// Parts that a number is split into: 1 product multiplies the first ones, 3 and 6 all pairs of parts i and j
// with i + j < parts.
template <int kProducts>
constexpr int64_t kPlanes = kProducts == 1 ? 1 : kProducts == 3 ? 2 : 3;

#if IGD_NET_AMX

struct Row {
  __m512 a;
  __m512 b;
};

inline __m512 widen(__m256i x) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
}
inline Row row_floats(const float* low, const float* high) {
  return {_mm512_loadu_ps(low), _mm512_loadu_ps(high)};
}
inline void row_to_floats(Row r, float* to) {
  _mm512_storeu_ps(to, r.a);
  _mm512_storeu_ps(to + 16, r.b);
}
inline Row row_zero() { return {_mm512_setzero_ps(), _mm512_setzero_ps()}; }
inline Row row_plane(const Bf16* p) {
  return {widen(_mm256_load_si256(reinterpret_cast<const __m256i*>(p))),
          widen(_mm256_load_si256(reinterpret_cast<const __m256i*>(p + 16)))};
}
inline Row operator+(Row x, Row y) { return {_mm512_add_ps(x.a, y.a), _mm512_add_ps(x.b, y.b)}; }
inline Row operator-(Row x, Row y) { return {_mm512_sub_ps(x.a, y.a), _mm512_sub_ps(x.b, y.b)}; }
inline Row operator*(Row x, Row y) { return {_mm512_mul_ps(x.a, y.a), _mm512_mul_ps(x.b, y.b)}; }
// max(x, 0), NaN staying NaN.
inline Row row_relu(Row x) {
  const __m512 zero = _mm512_setzero_ps();
  return {_mm512_max_ps(zero, x.a), _mm512_max_ps(zero, x.b)};
}
inline Row row_low(Row x) { return {x.a, _mm512_setzero_ps()}; }
// Bit c: channel c is above 0.
inline uint32_t row_positive(Row x) {
  const __m512 zero = _mm512_setzero_ps();
  return static_cast<uint32_t>(_mm512_cmp_ps_mask(x.a, zero, _CMP_GT_OQ)) |
         static_cast<uint32_t>(_mm512_cmp_ps_mask(x.b, zero, _CMP_GT_OQ)) << 16;
}
// The channels whose bit is set, others 0.
inline Row row_keep(Row x, uint32_t bits) {
  return {_mm512_maskz_mov_ps(static_cast<__mmask16>(bits), x.a),
          _mm512_maskz_mov_ps(static_cast<__mmask16>(bits >> 16), x.b)};
}
// Rounds to bfloat16, stores, and gives back what was stored; kHalves 1: the upper 16 numbers are 0.
template <int kHalves = 2>
inline Row row_round(Row x, Bf16* to) {
  if (kHalves == 1) {
    const __m256i low = (__m256i)_mm512_cvtneps_pbh(x.a);
    _mm256_store_si256(reinterpret_cast<__m256i*>(to), low);
    _mm256_store_si256(reinterpret_cast<__m256i*>(to + 16), _mm256_setzero_si256());
    return {widen(low), _mm512_setzero_ps()};
  }
  const __m512i packed = (__m512i)_mm512_cvtne2ps_pbh(x.b, x.a);
  _mm512_store_si512(to, packed);
  return {widen(_mm512_castsi512_si256(packed)), widen(_mm512_extracti64x4_epi64(packed, 1))};
}

inline Row row_gather(const float* values, const int32_t* offsets) {
  const __m512i low = _mm512_loadu_si512(offsets);
  const __m512i high = _mm512_loadu_si512(offsets + 16);
  const __m512i zero = _mm512_setzero_si512();
  return {_mm512_mask_i32gather_ps(_mm512_setzero_ps(), _mm512_cmpge_epi32_mask(low, zero), low, values, 4),
          _mm512_mask_i32gather_ps(_mm512_setzero_ps(), _mm512_cmpge_epi32_mask(high, zero), high, values, 4)};
}

// 16 vectors: number j of vector i and number i of vector j change places.
inline void exchange(__m512 r[16]) {
  __m512 t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    for (int k = 0; k < 2; ++k) {
      const __m512d low = _mm512_castps_pd(t[i + k]);
      const __m512d high = _mm512_castps_pd(t[i + k + 2]);
      r[i + 2 * k] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
      r[i + 2 * k + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
    }
  }
  for (int k = 0; k < 4; ++k) {
    t[k] = _mm512_shuffle_f32x4(r[k], r[k + 4], 0x88);
    t[k + 4] = _mm512_shuffle_f32x4(r[k], r[k + 4], 0xdd);
    t[k + 8] = _mm512_shuffle_f32x4(r[k + 8], r[k + 12], 0x88);
    t[k + 12] = _mm512_shuffle_f32x4(r[k + 8], r[k + 12], 0xdd);
  }
  for (int k = 0; k < 8; ++k) {
    r[k] = _mm512_shuffle_f32x4(t[k], t[k + 8], 0x88);
    r[k + 8] = _mm512_shuffle_f32x4(t[k], t[k + 8], 0xdd);
  }
}
// to[i][lane] = values[offsets[lane] + i], 0 where the offset is negative: 16 rows.
inline void patches(const float* values, const int32_t* offsets, float (*to)[kLanes]) {
  for (int half = 0; half < kLanes; half += 16) {
    __m512 r[16];
    for (int i = 0; i < 16; ++i) {
      const int32_t at = offsets[half + i];
      r[i] = at < 0 ? _mm512_setzero_ps() : _mm512_loadu_ps(values + at);
    }
    exchange(r);
    for (int i = 0; i < 16; ++i) _mm512_store_ps(to[i] + half, r[i]);
  }
}
// to[lane * step + i] = rows[i][lane]: 16 rows.
inline void lanes(const float (*rows)[kLanes], float* to, int64_t step) {
  for (int half = 0; half < kLanes; half += 16) {
    __m512 r[16];
    for (int i = 0; i < 16; ++i) r[i] = _mm512_load_ps(rows[i] + half);
    exchange(r);
    for (int i = 0; i < 16; ++i) _mm512_storeu_ps(to + (half + i) * step, r[i]);
  }
}

typedef __m256i Choice;
inline Choice choice_of(uint8_t tap) { return _mm256_set1_epi8(static_cast<char>(tap)); }
inline void choice_store(Choice choice, uint8_t* to) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), choice);
}
// Takes what is larger than `best`, or not a number.
inline void row_larger(Row x, uint8_t tap, Row* best, Choice* choice) {
  const __mmask16 low = _mm512_cmp_ps_mask(x.a, best->a, _CMP_GT_OQ) | _mm512_cmp_ps_mask(x.a, x.a, _CMP_UNORD_Q);
  const __mmask16 high = _mm512_cmp_ps_mask(x.b, best->b, _CMP_GT_OQ) | _mm512_cmp_ps_mask(x.b, x.b, _CMP_UNORD_Q);
  best->a = _mm512_mask_mov_ps(best->a, low, x.a);
  best->b = _mm512_mask_mov_ps(best->b, high, x.b);
  const __mmask32 bits = static_cast<uint32_t>(low) | static_cast<uint32_t>(high) << 16;
  *choice = _mm256_mask_mov_epi8(*choice, bits, choice_of(tap));
}

struct __attribute__((packed)) TileConfig {
  uint8_t palette;
  uint8_t start;
  uint8_t reserved[14];
  uint16_t bytes[16];
  uint8_t rows[16];
};

// Tiles 0..3 accumulate, 4 and 5 hold activations, 6 and 7 weights.
inline void tiles_begin(int rows) {
  TileConfig config = {};
  config.palette = 1;
  for (int i = 0; i < 8; ++i) {
    config.bytes[i] = 64;
    config.rows[i] = static_cast<uint8_t>(i < 6 ? rows : 16);
  }
  // The intrinsic names only 8 bytes of the configuration as its input: all of it must be in memory here.
  __asm__ volatile("" : : "r"(&config) : "memory");
  _tile_loadconfig(&config);
}
inline void tiles_end() { _tile_release(); }

// kMask: the halves of the output channels, bits 0 and 1.
#define IGD_LOAD_WEIGHTS(from)                                     \
  do {                                                             \
    if ((kMask & 1) != 0) _tile_loadd(6, (from), 64);              \
    if ((kMask & 2) != 0) _tile_loadd(7, (from) + kTile, 64);      \
  } while (0)
#define IGD_LOAD_PIXELS(offset)                           \
  do {                                                    \
    _tile_loadd(4, a0 + (offset), bytes);                 \
    if (kPixels > 1) _tile_loadd(5, a1 + (offset), bytes); \
  } while (0)
#define IGD_PRODUCTS()                                             \
  do {                                                             \
    if ((kMask & 1) != 0) _tile_dpbf16ps(0, 4, 6);                 \
    if ((kMask & 2) != 0) _tile_dpbf16ps(1, 4, 7);                 \
    if (kPixels > 1) {                                             \
      if ((kMask & 1) != 0) _tile_dpbf16ps(2, 5, 6);               \
      if ((kMask & 2) != 0) _tile_dpbf16ps(3, 5, 7);               \
    }                                                              \
  } while (0)

// For 16 images side by side: sums from zero or from memory, one input block of one tap, and back.
template <int kPixels, int kHalves>
inline void sums_begin(bool go_on, float (*sums)[256]) {
  if (go_on) {
    _tile_loadd(0, sums[0], 64);
    if (kHalves > 1) _tile_loadd(1, sums[1], 64);
    if (kPixels > 1) {
      _tile_loadd(2, sums[2], 64);
      if (kHalves > 1) _tile_loadd(3, sums[3], 64);
    }
    return;
  }
  _tile_zero(0);
  if (kHalves > 1) _tile_zero(1);
  if (kPixels > 1) {
    _tile_zero(2);
    if (kHalves > 1) _tile_zero(3);
  }
}
template <int kPixels, int kHalves>
inline void sums_end(float (*sums)[256]) {
  _tile_stored(0, sums[0], 64);
  if (kHalves > 1) _tile_stored(1, sums[1], 64);
  if (kPixels > 1) {
    _tile_stored(2, sums[2], 64);
    if (kHalves > 1) _tile_stored(3, sums[3], 64);
  }
}
// `between` runs after every product of parts.
template <int kProducts, int kPixels, int kMask, typename F>
inline void step_products(const Bf16* a0, const Bf16* a1, const Bf16* b, int /*rows*/, float (*)[256],
                          const F& between) {
  constexpr int64_t plane = kTile;
  constexpr int64_t bytes = kLanes * static_cast<int64_t>(sizeof(Bf16));
  IGD_LOAD_WEIGHTS(b);
  if (kProducts == 6) {
    IGD_LOAD_PIXELS(2 * plane);
    IGD_PRODUCTS();
    between();
  }
  if (kProducts > 1) {
    IGD_LOAD_PIXELS(plane);
    IGD_PRODUCTS();
    between();
  }
  IGD_LOAD_PIXELS(0);
  IGD_PRODUCTS();
  between();
  if (kProducts == 6) {
    IGD_LOAD_WEIGHTS(b + 4 * kTile);
    IGD_PRODUCTS();
    between();
  }
  if (kProducts > 1) {
    IGD_LOAD_WEIGHTS(b + 2 * kTile);
    IGD_PRODUCTS();
    between();
  }
  if (kProducts == 6) {
    IGD_LOAD_PIXELS(plane);
    IGD_PRODUCTS();
    between();
  }
}
inline void prefetch_line(const char* p) { _mm_prefetch(p, _MM_HINT_T1); }

#else

struct Row {
  float v[kLanes];
};

inline float widen(Bf16 x) {
  const uint32_t bits = static_cast<uint32_t>(x) << 16;
  float value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}
inline Bf16 round_bf16(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof(bits));
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<Bf16>((bits >> 16) | 0x40u);
  if ((bits & 0x7f800000u) == 0) bits &= 0x80000000u;  // denormals are zero, as in the instruction
  return static_cast<Bf16>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}
inline Row row_floats(const float* low, const float* high) {
  Row r;
  for (int i = 0; i < 16; ++i) {
    r.v[i] = low[i];
    r.v[i + 16] = high[i];
  }
  return r;
}
inline void row_to_floats(Row r, float* to) { memcpy(to, r.v, sizeof(r.v)); }
inline Row row_zero() { return {}; }
inline Row row_plane(const Bf16* p) {
  Row r;
  for (int i = 0; i < kLanes; ++i) r.v[i] = widen(p[i]);
  return r;
}
inline Row operator+(Row x, const Row& y) {
  for (int i = 0; i < kLanes; ++i) x.v[i] += y.v[i];
  return x;
}
inline Row operator-(Row x, const Row& y) {
  for (int i = 0; i < kLanes; ++i) x.v[i] -= y.v[i];
  return x;
}
inline Row operator*(Row x, const Row& y) {
  for (int i = 0; i < kLanes; ++i) x.v[i] *= y.v[i];
  return x;
}
inline Row row_relu(Row x) {
  for (int i = 0; i < kLanes; ++i) x.v[i] = x.v[i] < 0 ? 0 : x.v[i];
  return x;
}
inline Row row_low(Row x) {
  for (int i = 16; i < kLanes; ++i) x.v[i] = 0;
  return x;
}
inline uint32_t row_positive(const Row& x) {
  uint32_t bits = 0;
  for (int i = 0; i < kLanes; ++i) bits |= (x.v[i] > 0 ? uint32_t{1} : uint32_t{0}) << i;
  return bits;
}
inline Row row_keep(Row x, uint32_t bits) {
  for (int i = 0; i < kLanes; ++i) x.v[i] = (bits >> i & 1) != 0 ? x.v[i] : 0;
  return x;
}
template <int kHalves = 2>
inline Row row_round(Row x, Bf16* to) {
  for (int i = 0; i < kLanes; ++i) {
    to[i] = round_bf16(x.v[i]);
    x.v[i] = widen(to[i]);
  }
  return x;
}

inline Row row_gather(const float* values, const int32_t* offsets) {
  Row r;
  for (int i = 0; i < kLanes; ++i) r.v[i] = offsets[i] < 0 ? 0.0f : values[offsets[i]];
  return r;
}

inline void patches(const float* values, const int32_t* offsets, float (*to)[kLanes]) {
  for (int i = 0; i < 16; ++i) row_to_floats(row_gather(values + i, offsets), to[i]);
}
inline void lanes(const float (*rows)[kLanes], float* to, int64_t step) {
  for (int i = 0; i < 16; ++i) {
    for (int l = 0; l < kLanes; ++l) to[l * step + i] = rows[i][l];
  }
}

struct Choice {
  uint8_t v[kLanes];
};
inline Choice choice_of(uint8_t tap) {
  Choice choice;
  memset(choice.v, tap, sizeof(choice.v));
  return choice;
}
inline void choice_store(const Choice& choice, uint8_t* to) { memcpy(to, choice.v, sizeof(choice.v)); }
inline void row_larger(const Row& x, uint8_t tap, Row* best, Choice* choice) {
  for (int i = 0; i < kLanes; ++i) {
    if (x.v[i] > best->v[i] || x.v[i] != x.v[i]) {
      best->v[i] = x.v[i];
      choice->v[i] = tap;
    }
  }
}

inline void tiles_begin(int) {}
inline void tiles_end() {}

// a[row][32] by b[pair 16][out 16][2], added to sums[row][16].
inline void product(const Bf16* a, int64_t row_step, const Bf16* b, int rows, float* sums) {
  float weights[kLanes][16];
  for (int k = 0; k < kLanes; ++k) {
    for (int o = 0; o < 16; ++o) weights[k][o] = widen(b[k / 2 * 32 + o * 2 + k % 2]);
  }
  for (int r = 0; r < rows; ++r) {
    float* sum = sums + r * 16;
    for (int k = 0; k < kLanes; ++k) {
      const float x = widen(a[r * row_step + k]);
      for (int o = 0; o < 16; ++o) sum[o] += x * weights[k][o];
    }
  }
}

// sums[m*2+half][row][out 16] over input blocks and taps. kNet: products of the network, whose weights and places these
// are; kFirst, kSecond: of the two pixels.
template <int kNet, int kFirst, int kSecond, int kPixels, int kHalves>
inline void accumulate(const Bf16* in0, const Bf16* in1, int64_t block_step, int64_t row_step, int64_t plane,
                       const Bf16* weights, int64_t in_blocks, const Tap* taps, int32_t tap_count, int32_t all_taps,
                       int rows, float (*sums)[256]) {
  constexpr int64_t kStep = 2 * kPlanes<kNet> * kTile;
  memset(sums, 0, 4 * sizeof(*sums));
  for (int64_t i = 0; i < in_blocks; ++i) {
    for (int32_t t = 0; t < tap_count; ++t) {
      const Bf16* b = weights + (i * all_taps + taps[t].tap) * kStep;
      for (int m = 0; m < kPixels; ++m) {
        const Bf16* high = (m == 0 ? in0 + taps[t].first : in1 + taps[t].second) + i * block_step;
        const int64_t planes = m == 0 ? kPlanes<kFirst> : kPlanes<kSecond>;
        for (int half = 0; half < kHalves; ++half) {
          float* to = sums[m * 2 + half];
          for (int64_t w = 0; w < planes; ++w) {
            for (int64_t v = planes - 1 - w; v >= 0; --v) {
              product(high + v * plane, row_step, b + (2 * w + half) * kTile, rows, to);
            }
          }
        }
      }
    }
  }
}

template <int kPixels, int kHalves>
inline void sums_begin(bool go_on, float (*sums)[256]) {
  if (!go_on) memset(sums, 0, 4 * sizeof(*sums));
}
template <int kPixels, int kHalves>
inline void sums_end(float (*)[256]) {}
template <int kProducts, int kPixels, int kMask, typename F>
inline void step_products(const Bf16* a0, const Bf16* a1, const Bf16* b, int rows, float (*sums)[256],
                          const F& between) {
  for (int m = 0; m < kPixels; ++m) {
    const Bf16* high = m == 0 ? a0 : a1;
    for (int half = 0; half < 2; ++half) {
      if ((kMask >> half & 1) == 0) continue;
      for (int64_t w = 0; w < kPlanes<kProducts>; ++w) {
        for (int64_t v = kPlanes<kProducts> - 1 - w; v >= 0; --v) {
          product(high + v * kTile, kLanes, b + (2 * w + half) * kTile, rows, sums[m * 2 + half]);
        }
      }
    }
  }
  for (int i = 0; i < kProducts; ++i) between();
}
inline void prefetch_line(const char*) {}

#endif

template <int kProducts>
inline Row row_read(const Bf16* p, int64_t plane) {
  Row r = row_plane(p);
  if (kProducts > 1) {
    Row rest = row_plane(p + plane);
    if (kProducts == 6) rest = rest + row_plane(p + 2 * plane);
    r = r + rest;
  }
  return r;
}

// Three parts hold a float32 exactly. With two, where the low part rounds to half a step of the high one, high +
// low would split differently the next time; splitting the rounded sum gives planes that come back the same.
template <int kProducts, int kHalves = 2>
inline void row_write(Row r, Bf16* p, int64_t plane) {
  const Row high = row_round<kHalves>(r, p);
  if (kProducts == 1) return;
  const Row rest = r - high;
  const Row middle = row_round<kHalves>(rest, p + plane);
  if (kProducts == 6) {
    row_round<kHalves>(rest - middle, p + 2 * plane);
  } else {
    const Row sum = high + middle;
    row_round<kHalves>(sum - row_round<kHalves>(sum, p), p + plane);
  }
}

// What happens to a finished row of sums.
struct Finish {
  Row bias;
  bool relu;
};

template <int kProducts, int kHalves>
inline void finish_row(const float* low, const float* high, const Finish& f, Bf16* out, const Bf16* addend,
                       const uint32_t* mask, uint32_t* positive, int64_t plane) {
  Row r = row_floats(low, high) + f.bias;
  if (addend != nullptr) r = r + row_read<kProducts>(addend, plane);
  if (kHalves == 1) r = row_low(r);
  if (f.relu) r = row_relu(r);
  if (positive != nullptr) *positive = row_positive(r);
  if (mask != nullptr) r = row_keep(r, *mask);
  row_write<kProducts>(r, out, plane);
}

inline Finish finish_of(const BlockWeights& weights, bool relu) {
  return {weights.bias == nullptr ? row_zero() : row_floats(weights.bias, weights.bias + 16), relu};
}

#include "net_kernels_batch.h"

}  // namespace
}  // namespace IGD_NET_NAMESPACE
}  // namespace igd

#include "net_kernels_single.h"

namespace igd {
namespace IGD_NET_NAMESPACE {
namespace {

template <int kProducts>
void rows_map(const RowsMap& t) {
  const Row scale = t.scale == nullptr ? row_zero() : row_floats(t.scale, t.scale + 16);
  const Row shift = t.shift == nullptr ? row_zero() : row_floats(t.shift, t.shift + 16);
  const int64_t plane = t.layout.plane;
  for (int64_t i = 0; i < t.rows; ++i) {
    const int64_t at = i * t.layout.row;
    Row r = row_read<kProducts>(t.in + at, plane);
    if (t.scale != nullptr) r = r * scale;
    r = r + shift;
    if (t.addend != nullptr) r = r + row_read<kProducts>(t.addend + at, plane);
    if (t.relu) r = row_relu(r);
    if (t.positive != nullptr) t.positive[i * t.sign_step] = row_positive(r);
    if (t.mask != nullptr) r = row_keep(r, t.mask[i * t.sign_step]);
    row_write<kProducts>(r, t.out + at, plane);
  }
}

template <int kProducts>
void patch_rows(const PatchRows& t) {
  alignas(64) float rows[16][kLanes];
  int64_t begin = 0;
  for (; t.step == 1 && begin + 16 <= t.count; begin += 16) {
    for (int64_t b = 0; b < t.blocks; ++b) {
      patches(t.values + begin, t.offsets + b * kLanes, rows);
      Bf16* to = t.out + begin * t.out_step + b * t.block_step;
      for (int64_t i = 0; i < 16; ++i) {
        row_write<kProducts>(row_floats(rows[i], rows[i] + 16), to + i * t.out_step, t.plane);
      }
    }
  }
  for (int64_t i = begin; i < t.count; ++i) {
    for (int64_t b = 0; b < t.blocks; ++b) {
      row_write<kProducts>(row_gather(t.values + i * t.step, t.offsets + b * kLanes),
                           t.out + i * t.out_step + b * t.block_step, t.plane);
    }
  }
}

template <int kProducts>
void lane_rows(const LaneRows& t) {
  alignas(64) float rows[16][kLanes];
  int64_t begin = 0;
  for (; begin + 16 <= t.count; begin += 16) {
    for (int64_t i = 0; i < 16; ++i) row_to_floats(row_read<kProducts>(t.in + (begin + i) * t.step, t.plane), rows[i]);
    lanes(rows, t.out + begin, t.out_step);
  }
  for (; begin < t.count; ++begin) {
    row_to_floats(row_read<kProducts>(t.in + begin * t.step, t.plane), rows[0]);
    for (int64_t l = 0; l < kLanes; ++l) t.out[l * t.out_step + begin] = rows[0][l];
  }
}

template <int kProducts>
void pool_rows(const PoolRows& t) {
  for (int64_t r = 0; r < t.rows; ++r) {
    const Bf16* in = t.in + r * kLanes;
    Row best = row_read<kProducts>(in + t.sources[0], t.plane);
    Choice choice = choice_of(t.taps[0]);
    for (int64_t i = 1; i < t.count; ++i) {
      row_larger(row_read<kProducts>(in + t.sources[i], t.plane), t.taps[i], &best, &choice);
    }
    row_write<kProducts>(best, t.out + r * kLanes, t.plane);
    if (t.choices != nullptr) choice_store(choice, t.choices + r * kLanes);
  }
}

template <int kProducts>
void row_store(const float* values, Bf16* row, int64_t plane) {
  row_write<kProducts>(row_floats(values, values + 16), row, plane);
}

template <int kProducts>
void row_load(const Bf16* row, int64_t plane, float* values) {
  row_to_floats(row_read<kProducts>(row, plane), values);
}

template <int kProducts>
NetKernels table() {
  return {conv_batch<kProducts>, conv_single<kProducts>, rows_map<kProducts>, patch_rows<kProducts>,
          lane_rows<kProducts>, pool_rows<kProducts>, row_store<kProducts>, row_load<kProducts>};
}

}  // namespace
}  // namespace IGD_NET_NAMESPACE

#if IGD_NET_AMX
const NetKernels& net_kernels_amx(int products) {
#else
const NetKernels& net_kernels_portable(int products) {
#endif
  static const NetKernels one = IGD_NET_NAMESPACE::table<1>();
  static const NetKernels three = IGD_NET_NAMESPACE::table<3>();
  static const NetKernels six = IGD_NET_NAMESPACE::table<6>();
  return products == 1 ? one : products == 3 ? three : six;
}

}  // namespace igd

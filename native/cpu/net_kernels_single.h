// The convolution of one image, included by net_kernels.cpp once per set of kernels.
//
// With few images every weight is read once or twice per image, so that reading them is what costs. Float32 weights
// are therefore kept as floats (4 bytes; three bfloat16 parts are 6), and the first pair of tiles of a block splits
// them on the way, while the tile unit multiplies the ones before. Later tiles read the parts from a panel that
// stays in the second-level cache. The parts, and the order of additions, are those of the packed weights.
#ifndef IGD_CPU_NET_KERNELS_SINGLE_H_
#define IGD_CPU_NET_KERNELS_SINGLE_H_

#include "net_kernels.h"

namespace igd {
namespace IGD_NET_NAMESPACE {
namespace {

// Where one pass over the weights of a block reads and writes.
struct WeightPass {
  const Bf16* packed;   // parts, read by a pass that does not split
  const float* floats;  // read by a pass that splits
  Bf16* panel;          // written by a pass that splits
  int64_t panel_mask;   // block i of the panel lies at i & panel_mask
};

#if IGD_NET_AMX

// Blocks from the one that is multiplied to the one that is split: tile loads wait for stores that are not yet
// done, and these are done in order, after the products before them.
constexpr int64_t kSplitAhead = 1;

// Bytes from a weight that is read to one that is fetched from memory.
constexpr int64_t kAheadBytes = 3 * 4096;

// Bytes of a tile, fetched per group of products.
constexpr int kFetchBytes = 1024;

// [16 even inputs][16 odd inputs] to three rows of bfloat16 pairs. A part is the rest rounded to 8 bits, halves away
// from zero; see split_weight.
inline void split_row(const float* from, Bf16* to) {
  const __m512i half = _mm512_set1_epi32(0x8000);
  const __m512i high_bits = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
  __m512i even = _mm512_load_si512(from);
  __m512i odd = _mm512_load_si512(from + 16);
  _mm_prefetch(reinterpret_cast<const char*>(from) + kAheadBytes, _MM_HINT_T0);
  _mm_prefetch(reinterpret_cast<const char*>(from) + kAheadBytes + 64, _MM_HINT_T0);
  for (int part = 0; part < 3; ++part) {
    // The last part is exact: rounding would change nothing.
    const __m512i even_up = part == 2 ? even : _mm512_add_epi32(even, half);
    const __m512i odd_up = part == 2 ? odd : _mm512_add_epi32(odd, half);
    _mm512_store_si512(to + part * 2 * kTile,
                       _mm512_mask_blend_epi16(0xaaaaaaaau, _mm512_srli_epi32(even_up, 16), odd_up));
    if (part == 2) break;
    const __m512 even_part = _mm512_castsi512_ps(_mm512_and_si512(even_up, high_bits));
    const __m512 odd_part = _mm512_castsi512_ps(_mm512_and_si512(odd_up, high_bits));
    even = _mm512_castps_si512(_mm512_sub_ps(_mm512_castsi512_ps(even), even_part));
    odd = _mm512_castps_si512(_mm512_sub_ps(_mm512_castsi512_ps(odd), odd_part));
  }
}

// Rows [kBegin, kEnd) of a block's 32 (16 per half).
template <int kBegin, int kEnd>
inline void split_rows(const float* from, Bf16* to) {
#pragma GCC unroll 8
  for (int r = kBegin; r < kEnd; ++r) split_row(from + r * kLanes, to + r * kLanes);
}

template <int kBytes>
inline void prefetch_lines(const Bf16* at, int64_t ahead) {
#pragma GCC unroll 32
  for (int i = 0; i < kBytes; i += 64) _mm_prefetch(reinterpret_cast<const char*>(at) + ahead + i, _MM_HINT_T0);
}

// As accumulate(), for one image. What happens between the groups of products: a sixth of the next block is split, or
// fetched into the first-level cache.
template <int kProducts, int kPixels, int kHalves, bool kSplit>
inline void accumulate_single(const Bf16* in0, const Bf16* in1, int64_t block_step, int64_t row_step,
                              const WeightPass& weights, int64_t in_blocks, const Tap* taps, int32_t tap_count,
                              float (*sums)[256]) {
  constexpr int64_t kStep = 2 * kPlanes<kProducts> * kTile;
  constexpr int64_t plane = kLanes;
  constexpr int kSplitRows = 16 * kHalves;
  constexpr int kMask = kHalves > 1 ? 3 : 1;
  const int64_t bytes = row_step * static_cast<int64_t>(sizeof(Bf16));
  const int64_t last = tap_count * in_blocks - 1;
  _tile_zero(0);
  if (kHalves > 1) _tile_zero(1);
  if (kPixels > 1) {
    _tile_zero(2);
    if (kHalves > 1) _tile_zero(3);
  }
  if (kSplit) {
    for (int64_t i = 0; i < kSplitAhead && i <= last; ++i) {
      split_rows<0, kSplitRows>(weights.floats + i * 2 * kTile, weights.panel + i * kStep);
    }
  }
  int64_t at = 0;
  for (int32_t t = 0; t < tap_count; ++t) {
    const Bf16* a0 = in0 + taps[t].first;
    const Bf16* a1 = in1 + taps[t].second;
    for (int64_t i = 0; i < in_blocks; ++i, ++at, a0 += block_step, a1 += block_step) {
      const Bf16* b = kSplit ? weights.panel + (at & weights.panel_mask) * kStep : weights.packed + at * kStep;
      const int64_t next = at + kSplitAhead;
      const float* from = weights.floats + next * 2 * kTile;
      Bf16* to = weights.panel + (next & weights.panel_mask) * kStep;
#define IGD_MEANWHILE(n)                                                                           \
  do {                                                                                             \
    if (kSplit) {                                                                                  \
      if (next <= last) split_rows<kSplitRows * (n) / 6, kSplitRows * ((n) + 1) / 6>(from, to);       \
      __asm__ volatile("" ::: "memory");  /* a tile load is not known to read memory */            \
    } else if (kProducts == 6) {                                                                   \
      prefetch_lines<kFetchBytes>(b + kStep + (n) * kTile, 0);                                          \
    }                                                                                              \
  } while (0)
      IGD_LOAD_WEIGHTS(b);
      if (kProducts == 6) {
        IGD_LOAD_PIXELS(2 * plane);
        IGD_PRODUCTS();
        IGD_MEANWHILE(0);
        IGD_LOAD_PIXELS(0);
        IGD_PRODUCTS();
        IGD_MEANWHILE(1);
      }
      if (kProducts > 1) {
        IGD_LOAD_PIXELS(plane);
        IGD_PRODUCTS();
        IGD_MEANWHILE(2);
      }
      if (kProducts < 6) {
        prefetch_lines<2 * kFetchBytes * kPlanes<kProducts>>(b, 3 * kStep * static_cast<int64_t>(sizeof(Bf16)));
        IGD_LOAD_PIXELS(0);
        IGD_PRODUCTS();
      }
      if (kProducts > 1) {
        IGD_LOAD_WEIGHTS(b + 2 * kTile);
        IGD_PRODUCTS();
        IGD_MEANWHILE(3);
      }
      if (kProducts == 6) {
        IGD_LOAD_PIXELS(0);
        IGD_PRODUCTS();
        IGD_MEANWHILE(4);
        IGD_LOAD_WEIGHTS(b + 4 * kTile);
        IGD_PRODUCTS();
        IGD_MEANWHILE(5);
      }
#undef IGD_MEANWHILE
    }
  }
  _tile_stored(0, sums[0], 64);
  if (kHalves > 1) _tile_stored(1, sums[1], 64);
  if (kPixels > 1) {
    _tile_stored(2, sums[2], 64);
    if (kHalves > 1) _tile_stored(3, sums[3], 64);
  }
}

// One tile of pixels by two output blocks, 64 channels, whose weights follow each other. Adds in the order of the above.
template <int kProducts>
inline void accumulate_two(const Bf16* in, int64_t block_step, int64_t row_step, const WeightPass& weights,
                           int64_t in_blocks, const Tap* taps, int32_t tap_count, float (*sums)[256]) {
  constexpr int64_t kStep = 2 * kPlanes<kProducts> * kTile;
  constexpr bool kSplit = kProducts == 6;
  constexpr int64_t plane = kLanes;
  const int64_t bytes = row_step * static_cast<int64_t>(sizeof(Bf16));
  const int64_t count = tap_count * in_blocks;
  const bool split = kSplit && weights.floats != nullptr;
  const float* floats = weights.floats;
  // Blocks of both: 0 and 1 of the panel hold even steps, 2 and 3 odd ones.
  Bf16* panel = weights.panel;
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  if (split) {
    split_rows<0, 32>(floats, panel);
    split_rows<0, 32>(floats + count * 2 * kTile, panel + kStep);
    __asm__ volatile("" ::: "memory");
  }
  int64_t at = 0;
  for (int32_t t = 0; t < tap_count; ++t) {
    const Bf16* a = in + taps[t].first;
    for (int64_t i = 0; i < in_blocks; ++i, ++at, a += block_step) {
      const Bf16* b = split ? panel + (at & 1) * 2 * kStep : weights.packed + at * kStep;
      const Bf16* c = split ? b + kStep : weights.packed + (count + at) * kStep;
      const int64_t next = at + 1 < count ? at + 1 : at;
      const float* from = floats + next * 2 * kTile;
      const float* from2 = from + count * 2 * kTile;
      Bf16* to = panel + (next & 1) * 2 * kStep;
#define IGD_MEANWHILE(n)                                                       \
  do {                                                                         \
    if (kSplit && split && at + 1 < count) {                                   \
      split_rows<32 * (n) / 6, 32 * ((n) + 1) / 6>(from, to);                  \
      split_rows<32 * (n) / 6, 32 * ((n) + 1) / 6>(from2, to + kStep);         \
      __asm__ volatile("" ::: "memory");                                       \
    }                                                                          \
  } while (0)
// The first product with a part of the weights, and further ones: tile 7 holds either half of block 1 in turn.
#define IGD_FIRST(part)                                   \
  do {                                                    \
    _tile_loadd(5, b + (part) * 2 * kTile, 64);           \
    _tile_dpbf16ps(0, 4, 5);                              \
    _tile_loadd(6, b + (part) * 2 * kTile + kTile, 64);   \
    _tile_dpbf16ps(1, 4, 6);                              \
    _tile_loadd(7, c + (part) * 2 * kTile, 64);           \
    _tile_dpbf16ps(2, 4, 7);                              \
    _tile_loadd(7, c + (part) * 2 * kTile + kTile, 64);   \
    _tile_dpbf16ps(3, 4, 7);                              \
  } while (0)
#define IGD_SECOND(part)                                  \
  do {                                                    \
    _tile_dpbf16ps(0, 4, 5);                              \
    _tile_dpbf16ps(1, 4, 6);                              \
    _tile_dpbf16ps(3, 4, 7);                              \
    _tile_loadd(7, c + (part) * 2 * kTile, 64);           \
    _tile_dpbf16ps(2, 4, 7);                              \
  } while (0)
#define IGD_THIRD(part)                                   \
  do {                                                    \
    _tile_dpbf16ps(0, 4, 5);                              \
    _tile_dpbf16ps(1, 4, 6);                              \
    _tile_dpbf16ps(2, 4, 7);                              \
    _tile_loadd(7, c + (part) * 2 * kTile + kTile, 64);   \
    _tile_dpbf16ps(3, 4, 7);                              \
  } while (0)
      if (kProducts == 6) {
        _tile_loadd(4, a + 2 * plane, bytes);
        IGD_FIRST(0);
        IGD_MEANWHILE(0);
        _tile_loadd(4, a, bytes);
        IGD_SECOND(0);
        IGD_MEANWHILE(1);
        _tile_loadd(4, a + plane, bytes);
        IGD_THIRD(0);
        IGD_MEANWHILE(2);
        IGD_FIRST(1);
        IGD_MEANWHILE(3);
        _tile_loadd(4, a, bytes);
        IGD_SECOND(1);
        IGD_MEANWHILE(4);
        IGD_FIRST(2);
        IGD_MEANWHILE(5);
      } else {
        prefetch_lines<2 * kFetchBytes * kPlanes<kProducts>>(b, 3 * kStep * static_cast<int64_t>(sizeof(Bf16)));
        prefetch_lines<2 * kFetchBytes * kPlanes<kProducts>>(c, 3 * kStep * static_cast<int64_t>(sizeof(Bf16)));
        if (kProducts == 3) {
          _tile_loadd(4, a + plane, bytes);
          IGD_FIRST(0);
          _tile_loadd(4, a, bytes);
          IGD_SECOND(0);
          IGD_FIRST(1);
        } else {
          _tile_loadd(4, a, bytes);
          IGD_FIRST(0);
        }
      }
#undef IGD_MEANWHILE
#undef IGD_FIRST
#undef IGD_SECOND
#undef IGD_THIRD
    }
  }
  _tile_stored(0, sums[0], 64);
  _tile_stored(1, sums[1], 64);
  _tile_stored(2, sums[2], 64);
  _tile_stored(3, sums[3], 64);
}

constexpr bool kSplits = true;

#else

template <int kProducts, int kPixels, int kHalves, bool>
inline void accumulate_single(const Bf16* in0, const Bf16* in1, int64_t block_step, int64_t row_step,
                              const WeightPass& weights, int64_t in_blocks, const Tap* taps, int32_t tap_count,
                              float (*sums)[256]) {
  accumulate<kProducts, kPixels, kHalves>(in0, in1, block_step, row_step, kLanes, weights.packed, in_blocks, taps,
                                          tap_count, kRows, sums);
}

template <int kProducts>
inline void accumulate_two(const Bf16* in, int64_t block_step, int64_t row_step, const WeightPass& weights,
                           int64_t in_blocks, const Tap* taps, int32_t tap_count, float (*sums)[256]) {
  const Bf16* second = weights.packed + tap_count * in_blocks * 2 * kPlanes<kProducts> * kTile;
  float more[4][256];
  accumulate<kProducts, 1, 2>(in, in, block_step, row_step, kLanes, second, in_blocks, taps, tap_count, kRows, more);
  memcpy(sums[2], more, 2 * sizeof(*sums));
  accumulate<kProducts, 1, 2>(in, in, block_step, row_step, kLanes, weights.packed, in_blocks, taps, tap_count, kRows,
                              more);
  memcpy(sums[0], more, 2 * sizeof(*sums));
}

constexpr bool kSplits = false;

#endif

template <int kProducts, int kPixels, int kHalves>
inline void accumulate_pass(const SingleConv& t, const Bf16* in0, const Bf16* in1, const WeightPass& weights,
                            bool split, float (*sums)[256]) {
  constexpr int64_t kPosition = kPlanes<kProducts> * kLanes;
  const int64_t block_step = t.in_positions * kPosition;
  if (split) {
    accumulate_single<kProducts, kPixels, kHalves, kSplits && kProducts == 6>(
        in0, in1, block_step, t.stride * kPosition, weights, t.weights.in_blocks, t.taps, t.tap_count, sums);
  } else {
    accumulate_single<kProducts, kPixels, kHalves, false>(in0, in1, block_step, t.stride * kPosition, weights,
                                                          t.weights.in_blocks, t.taps, t.tap_count, sums);
  }
}

// The rows of an image's tile that are pixels, to the places of output block `block` of this task.
template <int kProducts, int kHalves>
inline void finish_tile(const SingleConv& t, const SingleImage& image, const PositionTile& tile, int64_t block, const Finish& f,
                        float (*sums)[256]) {
  constexpr int64_t kPosition = kPlanes<kProducts> * kLanes;
  for (int r = 0; r < kRows; ++r) {
    if (tile.to[r] < 0) continue;
    const int64_t row = t.out_at + block * t.out_step + tile.to[r] * kPosition;
    finish_row<kProducts, kHalves>(sums[0] + r * 16, sums[1] + r * 16, f, image.out + row,
                                   image.addend == nullptr ? nullptr : image.addend + row, nullptr, kLanes);
  }
}

template <int kProducts, int kHalves>
void conv_single_halves(const SingleConv& t) {
  constexpr int64_t kPosition = kPlanes<kProducts> * kLanes;
  const Finish f = finish_of(t.weights, t.relu);
  alignas(64) float sums[4][256];
  const bool floats = kSplits && kProducts == 6 && t.floats != nullptr;
  bool split = floats && !t.panel_filled;
  // A unit is two tiles, of one image or one of each.
  const int64_t per_image = t.image_count == 2 ? 1 : 2;
  // Parts that nobody reads again need few places: one is read while others are written.
  const int64_t mask = t.tile_count <= per_image && !t.panel_kept ? 1 : INT64_MAX;
  const WeightPass weights = {floats ? t.panel : t.weights.packed, t.floats, t.panel, mask};
  for (int64_t i = 0; i < t.tile_count; i += per_image, split = false) {
    const SingleImage* second = t.images + (t.image_count - 1);
    const PositionTile* tiles[2] = {t.tiles + i, t.tiles + i};
    if (t.image_count == 1) {
      tiles[1] = i + 1 < t.tile_count ? tiles[0] + 1 : nullptr;
    }
    const Bf16* in0 = t.images[0].in + tiles[0]->source * kPosition;
    if (tiles[1] == nullptr) {
      accumulate_pass<kProducts, 1, kHalves>(t, in0, in0, weights, split, sums);
      finish_tile<kProducts, kHalves>(t, t.images[0], *tiles[0], 0, f, sums);
      break;
    }
    accumulate_pass<kProducts, 2, kHalves>(t, in0, second->in + tiles[1]->source * kPosition, weights, split, sums);
    finish_tile<kProducts, kHalves>(t, t.images[0], *tiles[0], 0, f, sums);
    finish_tile<kProducts, kHalves>(t, *second, *tiles[1], 0, f, sums + 2);
  }
}

template <int kProducts>
void conv_single_two(const SingleConv& t) {
  constexpr int64_t kPosition = kPlanes<kProducts> * kLanes;
  alignas(64) float sums[4][256];
  const WeightPass weights = {t.weights.packed, kSplits ? t.floats : nullptr, t.panel, 0};
  for (int64_t i = 0; i < t.tile_count; ++i) {
    accumulate_two<kProducts>(t.images[0].in + t.tiles[i].source * kPosition, t.in_positions * kPosition, t.stride * kPosition,
                              weights, t.weights.in_blocks, t.taps, t.tap_count, sums);
    BlockWeights second = t.weights;
    second.bias += kLanes;
    finish_tile<kProducts, 2>(t, t.images[0], t.tiles[i], 0, finish_of(t.weights, t.relu), sums);
    finish_tile<kProducts, 2>(t, t.images[0], t.tiles[i], 1, finish_of(second, t.relu), sums + 2);
  }
}

template <int kProducts>
void conv_single(const SingleConv& t) {
  tiles_begin(kRows);
  if (t.two) {
    conv_single_two<kProducts>(t);
  } else if (t.weights.wide) {
    conv_single_halves<kProducts, 2>(t);
  } else {
    conv_single_halves<kProducts, 1>(t);
  }
  tiles_end();
}

}  // namespace
}  // namespace IGD_NET_NAMESPACE
}  // namespace igd

#endif  // IGD_CPU_NET_KERNELS_SINGLE_H_

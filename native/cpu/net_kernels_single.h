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

// The sums of one or two tiles of pixels over input blocks and taps. kNet: products of the network, whose weights and
// places these are; kFirst, kSecond: of the two tiles, which may be fewer: the same, in the same order, without the others.
// What happens between the groups of products: a sixth of the next block is split, or fetched into the first-level cache.
template <int kNet, int kFirst, int kSecond, int kPixels, int kHalves, bool kSplit>
inline void accumulate_single(const Bf16* in0, const Bf16* in1, int64_t block_step, int64_t row_step,
                              const WeightPass& weights, int64_t in_blocks, const Tap* taps, int32_t tap_count,
                              int32_t all_taps, float (*sums)[256]) {
  static_assert(kFirst >= kSecond && (!kSplit || kFirst == 6), "the tile with more products comes first");
  constexpr int64_t kStep = 2 * kPlanes<kNet> * kTile;
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
  for (int64_t i = 0; i < in_blocks; ++i, in0 += block_step, in1 += block_step) {
    for (int32_t t = 0; t < tap_count; ++t, ++at) {
      const Bf16* a0 = in0 + taps[t].first;
      const Bf16* a1 = in1 + taps[t].second;
      const Bf16* b = kSplit ? weights.panel + (at & weights.panel_mask) * kStep
                             : weights.packed + (i * all_taps + taps[t].tap) * kStep;
      const int64_t next = at + kSplitAhead;
      const float* from = weights.floats + next * 2 * kTile;
      Bf16* to = weights.panel + (next & weights.panel_mask) * kStep;
#define IGD_MEANWHILE(n)                                                                           \
  do {                                                                                             \
    if (kSplit) {                                                                                  \
      if (next <= last) split_rows<kSplitRows * (n) / 6, kSplitRows * ((n) + 1) / 6>(from, to);       \
      __asm__ volatile("" ::: "memory");  /* a tile load is not known to read memory */            \
    } else if (kFirst == 6) {                                                                      \
      prefetch_lines<kFetchBytes>(b + kStep + (n) * kTile, 0);                                          \
    }                                                                                              \
  } while (0)
// The pixels of tiles with at least so many products, and theirs.
#define IGD_LOAD(products, offset)                                                    \
  do {                                                                                \
    if (kFirst >= (products)) _tile_loadd(4, a0 + (offset), bytes);                   \
    if (kPixels > 1 && kSecond >= (products)) _tile_loadd(5, a1 + (offset), bytes);   \
  } while (0)
#define IGD_MULTIPLY(products)                                       \
  do {                                                               \
    if (kFirst >= (products)) {                                      \
      _tile_dpbf16ps(0, 4, 6);                                       \
      if ((kMask & 2) != 0) _tile_dpbf16ps(1, 4, 7);                 \
    }                                                                \
    if (kPixels > 1 && kSecond >= (products)) {                      \
      _tile_dpbf16ps(2, 5, 6);                                       \
      if ((kMask & 2) != 0) _tile_dpbf16ps(3, 5, 7);                 \
    }                                                                \
  } while (0)
      IGD_LOAD_WEIGHTS(b);
      if (kFirst == 6) {
        IGD_LOAD(6, 2 * plane);
        IGD_MULTIPLY(6);
        IGD_MEANWHILE(0);
      }
      if (kFirst > 1) {
        IGD_LOAD(3, plane);
        IGD_MULTIPLY(3);
        IGD_MEANWHILE(1);
      }
      if (kNet < 6) {
        prefetch_lines<2 * kFetchBytes * kPlanes<kNet>>(b, 3 * kStep * static_cast<int64_t>(sizeof(Bf16)));
      } else if (kFirst < 6) {
        prefetch_lines<2 * kFetchBytes * kPlanes<kFirst>>(b, kStep * static_cast<int64_t>(sizeof(Bf16)));
      }
      IGD_LOAD(1, 0);
      IGD_MULTIPLY(1);
      IGD_MEANWHILE(2);
      if (kFirst == 6) {
        IGD_LOAD_WEIGHTS(b + 4 * kTile);
        IGD_MULTIPLY(6);
        IGD_MEANWHILE(3);
      }
      if (kFirst > 1) {
        IGD_LOAD_WEIGHTS(b + 2 * kTile);
        IGD_MULTIPLY(3);
        IGD_MEANWHILE(4);
      }
      if (kFirst == 6) {
        IGD_LOAD(6, plane);
        IGD_MULTIPLY(6);
        IGD_MEANWHILE(5);
      }
#undef IGD_MEANWHILE
#undef IGD_LOAD
#undef IGD_MULTIPLY
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
  for (int64_t i = 0; i < in_blocks; ++i, in += block_step) {
    for (int32_t t = 0; t < tap_count; ++t, ++at) {
      const Bf16* a = in + taps[t].first;
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
        _tile_loadd(4, a + plane, bytes);
        IGD_SECOND(0);
        IGD_MEANWHILE(1);
        _tile_loadd(4, a, bytes);
        IGD_THIRD(0);
        IGD_MEANWHILE(2);
        IGD_FIRST(2);
        IGD_MEANWHILE(3);
        IGD_FIRST(1);
        IGD_MEANWHILE(4);
        _tile_loadd(4, a + plane, bytes);
        IGD_SECOND(1);
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

template <int kNet, int kFirst, int kSecond, int kPixels, int kHalves, bool>
inline void accumulate_single(const Bf16* in0, const Bf16* in1, int64_t block_step, int64_t row_step,
                              const WeightPass& weights, int64_t in_blocks, const Tap* taps, int32_t tap_count,
                              int32_t all_taps, float (*sums)[256]) {
  accumulate<kNet, kFirst, kSecond, kPixels, kHalves>(in0, in1, block_step, row_step, kLanes, weights.packed, in_blocks,
                                                      taps, tap_count, all_taps, kRows, sums);
}

template <int kProducts>
inline void accumulate_two(const Bf16* in, int64_t block_step, int64_t row_step, const WeightPass& weights,
                           int64_t in_blocks, const Tap* taps, int32_t tap_count, float (*sums)[256]) {
  float more[4][256];
  for (int64_t block = 0; block < 2; ++block) {
    accumulate<kProducts, kProducts, kProducts, 1, 2>(
        in, in, block_step, row_step, kLanes,
        weights.packed + block * tap_count * in_blocks * 2 * kPlanes<kProducts> * kTile, in_blocks, taps, tap_count,
        tap_count, kRows, more);
    memcpy(sums[2 * block], more, 2 * sizeof(*sums));
  }
}

constexpr bool kSplits = false;

#endif

// One pass over a block's weights for one or two tiles.
struct TilePass {
  const Bf16* in[2];
  const WeightPass& weights;
  bool split;
  float (*sums)[256];
};

template <int kNet, int kFirst, int kSecond, int kPixels, int kHalves>
inline void accumulate_pass(const SingleConv& t, const TilePass& pass) {
  constexpr int64_t kPosition = kPlanes<kNet> * kLanes;
  const int64_t block_step = t.in_positions * kPosition;
  const int64_t row_step = t.stride * kPosition;
  if (pass.split) {
    accumulate_single<kNet, kFirst, kSecond, kPixels, kHalves, kSplits && kFirst == 6>(
        pass.in[0], pass.in[1], block_step, row_step, pass.weights, t.weights.in_blocks, t.taps, t.tap_count, t.all_taps,
        pass.sums);
  } else {
    accumulate_single<kNet, kFirst, kSecond, kPixels, kHalves, false>(
        pass.in[0], pass.in[1], block_step, row_step, pass.weights, t.weights.in_blocks, t.taps, t.tap_count, t.all_taps,
        pass.sums);
  }
}

template <int kNet, int kFirst, int kSecond, int kHalves>
inline void accumulate_pixels(const SingleConv& t, int pixels, const TilePass& pass) {
  if (pixels == 1) {
    accumulate_pass<kNet, kFirst, kFirst, 1, kHalves>(t, pass);
  } else {
    accumulate_pass<kNet, kFirst, kSecond, 2, kHalves>(t, pass);
  }
}

// By the products of the tiles' images.
template <int kNet, int kHalves>
inline void accumulate_tiles(const SingleConv& t, int pixels, int first, int second, const TilePass& pass) {
  if constexpr (kNet == 6) {
    if (first == 3) return accumulate_pixels<6, 3, 3, kHalves>(t, pixels, pass);
    if (first == 1) return accumulate_pixels<6, 1, 1, kHalves>(t, pixels, pass);
    if (second == 3) return accumulate_pixels<6, 6, 3, kHalves>(t, pixels, pass);
    if (second == 1) return accumulate_pixels<6, 6, 1, kHalves>(t, pixels, pass);
  }
  accumulate_pixels<kNet, kNet, kNet, kHalves>(t, pixels, pass);
}

// The rows of an image's tile that are pixels, to the places of output block `block` of this task.
template <int kNet, int kProducts, int kHalves>
inline void finish_rows(const SingleConv& t, const SingleImage& image, const PositionTile& tile, int64_t block,
                        const Finish& f, float (*sums)[256]) {
  constexpr int64_t kPosition = kPlanes<kNet> * kLanes;
  for (int r = 0; r < kRows; ++r) {
    if (tile.to[r] < 0) continue;
    const int64_t row = (t.block + block) * t.out_step + tile.to[r] * kPosition;
    const int64_t sign = (tile.pixel[r] * t.out_blocks + t.block + block) * kRows;
    finish_row<kProducts, kHalves>(sums[0] + r * 16, sums[1] + r * 16, f, image.out + row,
                                   image.addend == nullptr ? nullptr : image.addend + row,
                                   image.mask == nullptr ? nullptr : image.mask + sign,
                                   image.positive == nullptr ? nullptr : image.positive + sign, kLanes);
  }
}

template <int kNet, int kHalves>
inline void finish_tile(const SingleConv& t, const SingleImage& image, const PositionTile& tile, int64_t block,
                        const Finish& f, float (*sums)[256]) {
  if constexpr (kNet == 6) {
    if (image.products == 3) return finish_rows<6, 3, kHalves>(t, image, tile, block, f, sums);
    if (image.products == 1) return finish_rows<6, 1, kHalves>(t, image, tile, block, f, sums);
  }
  finish_rows<kNet, kNet, kHalves>(t, image, tile, block, f, sums);
}

// All parts of a block's weights, for an image of fewer products that comes first.
inline void fill_panel(const SingleConv& t) {
#if IGD_NET_AMX
  const int64_t steps = t.tap_count * t.weights.in_blocks;
  for (int64_t i = 0; i < steps; ++i) split_rows<0, 32>(t.floats + i * 2 * kTile, t.panel + i * 6 * kTile);
#else
  (void)t;
#endif
}

template <int kNet, int kHalves>
void conv_single_halves(const SingleConv& t) {
  constexpr int64_t kPosition = kPlanes<kNet> * kLanes;
  const Finish f = finish_of(t.weights, t.relu);
  alignas(64) float sums[4][256] = {};
  const bool floats = kSplits && kNet == 6 && t.floats != nullptr && t.tap_count == t.all_taps;
  bool split = floats && !t.panel_filled;
  if (split && t.images[0].products < kNet) {
    fill_panel(t);
    split = false;
  }
  // A unit is two tiles, of one image or one of each.
  const int64_t per_image = t.image_count == 2 ? 1 : 2;
  // Parts that nobody reads again need few places: one is read while others are written.
  const int64_t mask = t.tile_count <= per_image && !t.panel_kept ? 1 : INT64_MAX;
  const WeightPass weights = {floats ? t.panel : t.weights.packed, t.floats, t.panel, mask};
  for (int64_t i = 0; i < t.tile_count; i += per_image, split = false) {
    const SingleImage& first = t.images[0];
    const SingleImage& second = t.images[t.image_count - 1];
    const PositionTile* tiles[2] = {t.tiles + i, t.tiles + i};
    if (t.image_count == 1) {
      tiles[1] = i + 1 < t.tile_count ? tiles[0] + 1 : nullptr;
    }
    const Bf16* in0 = first.in + tiles[0]->source * kPosition;
    const Bf16* in1 = tiles[1] == nullptr ? in0 : second.in + tiles[1]->source * kPosition;
    accumulate_tiles<kNet, kHalves>(t, tiles[1] == nullptr ? 1 : 2, first.products, second.products,
                                    {{in0, in1}, weights, split, sums});
    finish_tile<kNet, kHalves>(t, first, *tiles[0], 0, f, sums);
    if (tiles[1] != nullptr) finish_tile<kNet, kHalves>(t, second, *tiles[1], 0, f, sums + 2);
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
    if (second.bias != nullptr) second.bias += kLanes;
    finish_rows<kProducts, kProducts, 2>(t, t.images[0], t.tiles[i], 0, finish_of(t.weights, t.relu), sums);
    finish_rows<kProducts, kProducts, 2>(t, t.images[0], t.tiles[i], 1, finish_of(second, t.relu), sums + 2);
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

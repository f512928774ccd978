// Plans of compiled networks: which source pixels a destination pixel needs, in which order, and packed weights.
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "net.h"

namespace igd {
namespace {

// Sources of a strip, so that they, the next strip's and the weights at hand fit a usual second-level cache (2 MB).
constexpr int64_t kStripBytes = 800 * 1024;

// With one output block nothing of a strip is read again, so it is shorter: its edges follow its middle sooner.
constexpr int64_t kShort = 4;

// A destination pixel: its taps and their sources (pixel numbers), in the order of the taps.
struct Need {
  int32_t pixel;
  std::vector<std::pair<int32_t, int32_t>> taps;  // tap, source pixel
};

// The pixel of a column of pairs; its index in the row.
int64_t pixel_at(const Value& v, int64_t column, int64_t half) { return v.paired ? 2 * column + half : column; }

bool same_taps(const Need& x, const Need& y) {
  if (x.taps.size() != y.taps.size()) return false;
  for (size_t i = 0; i < x.taps.size(); ++i) {
    if (x.taps[i].first != y.taps[i].first) return false;
  }
  return true;
}

// Orders by taps, so that pixels with the same ones come together; equal ones keep their order.
bool before(const Need& x, const Need& y) {
  if (x.taps.size() != y.taps.size()) return x.taps.size() > y.taps.size();
  for (size_t i = 0; i < x.taps.size(); ++i) {
    if (x.taps[i].first != y.taps[i].first) return x.taps[i].first < y.taps[i].first;
  }
  return false;
}

// `need(h, w)` lists the taps of a destination pixel; rows of the destination go into strips of `rows`. `halves`: by
// column of the window.
template <typename F>
BatchPlan plan_pixels(int64_t h, int64_t w, int64_t rows, int64_t source_step, const std::vector<int32_t>& halves,
                      const F& need) {
  BatchPlan plan;
  for (int64_t row = 0; row < h; row += rows) {
    std::vector<Need> needs;
    for (int64_t y = row; y < std::min(h, row + rows); ++y) {
      for (int64_t x = 0; x < w; ++x) {
        needs.push_back({static_cast<int32_t>(y * w + x), need(y, x)});
      }
    }
    std::stable_sort(needs.begin(), needs.end(), before);
    const int32_t begin = static_cast<int32_t>(plan.units.size());
    for (size_t i = 0; i < needs.size();) {
      const bool two = i + 1 < needs.size() && same_taps(needs[i], needs[i + 1]);
      const Need& first = needs[i];
      const Need& second = needs[two ? i + 1 : i];
      plan.units.push_back({first.pixel, two ? second.pixel : -1, static_cast<int32_t>(first.taps.size()),
                            static_cast<int32_t>(plan.taps.size())});
      for (size_t t = 0; t < first.taps.size(); ++t) {
        plan.taps.push_back({first.taps[t].first, static_cast<int32_t>(first.taps[t].second * source_step),
                             static_cast<int32_t>(second.taps[t].second * source_step),
                             halves[static_cast<size_t>(first.taps[t].first) % halves.size()]});
      }
      i += two ? 2 : 1;
    }
    Strip strip = {begin, static_cast<int32_t>(plan.units.size()), INT64_MAX, 0, std::min(h, row + rows)};
    for (const Need& each : needs) {
      for (const auto& tap : each.taps) {
        strip.source_begin = std::min(strip.source_begin, tap.second * source_step);
        strip.source_end = std::max(strip.source_end, (tap.second + 1) * source_step);
      }
    }
    plan.strips.push_back(strip);
  }
  return plan;
}

int64_t strip_rows(const Value& source, int64_t source_rows_per_row, int products) {
  const int64_t bytes = source.columns * source.blocks * batch_block(products) * static_cast<int64_t>(sizeof(Bf16));
  return std::max<int64_t>(1, kStripBytes / (bytes * std::max<int64_t>(1, source_rows_per_row)));
}

}  // namespace

Window window_of(const Value& in, const Value& out, int64_t kernel, int64_t stride, int64_t padding) {
  Window window;
  window.kernel = kernel;
  window.stride = stride;
  window.padding = padding;
  const int64_t pixels_in = in.paired ? 2 : 1;
  const int64_t pixels_out = out.paired ? 2 : 1;
  // Where the kernel's columns fall, for destination column 0: a pixel may be left of the map.
  const auto column = [&](int64_t pixel) { return (pixel + 2 * padding) / pixels_in - 2 * padding / pixels_in; };
  window.first = column(-padding);
  window.columns = column((pixels_out - 1) * stride - padding + kernel - 1) - window.first + 1;
  window.step = pixels_out * stride / pixels_in;
  window.halves.assign(static_cast<size_t>(window.columns), 0);
  window.source_halves.assign(static_cast<size_t>(window.columns), 0);
  for (int64_t a = 0; a < pixels_out; ++a) {
    for (int64_t k = 0; k < kernel; ++k) {
      const int64_t pixel = a * stride - padding + k;
      const int64_t at = column(pixel);
      window.halves[static_cast<size_t>(at - window.first)] |= out.paired ? 1 << a : 3;
      window.source_halves[static_cast<size_t>(at - window.first)] |= in.paired ? 1 << (pixel - at * pixels_in) : 3;
    }
  }
  return window;
}

BatchPlan plan_batch(const Value& in, const Value& out, const Window& window, int products, bool patches) {
  const int64_t rows = strip_rows(in, (patches ? 2 : 1) * (out.blocks == 1 ? kShort : 1) * window.stride, products);
  BatchPlan plan = plan_pixels(
      out.h, out.columns, rows, in.blocks * batch_block(products), window.halves, [&](int64_t y, int64_t x) {
        std::vector<std::pair<int32_t, int32_t>> taps;
        for (int64_t t = 0; t < window.taps(); ++t) {
          const int64_t sy = y * window.stride - window.padding + t / window.columns;
          const int64_t sx = x * window.step + window.first + t % window.columns;
          if (sy < 0 || sy >= in.h || sx < 0 || sx >= in.columns) continue;
          if (window.halves[static_cast<size_t>(t % window.columns)] == 0) continue;
          taps.emplace_back(static_cast<int32_t>(t), static_cast<int32_t>(sy * in.columns + sx));
        }
        return taps;
      });
  plan.local = patches;
  for (const Strip& strip : plan.strips) {
    if (!plan.local || strip.begin == strip.end) continue;
    const Unit& last = plan.units[static_cast<size_t>(strip.end) - 1];
    for (int32_t t = plan.units[static_cast<size_t>(strip.begin)].taps_at; t < last.taps_at + last.taps; ++t) {
      plan.taps[static_cast<size_t>(t)].first -= static_cast<int32_t>(strip.source_begin);
      plan.taps[static_cast<size_t>(t)].second -= static_cast<int32_t>(strip.source_begin);
    }
  }
  return plan;
}

BatchPlan plan_backward(const Value& in, const Value& out, const Window& window, int products, bool patches) {
  const int64_t shorter = in.blocks == 1 ? kShort : 1;
  const int64_t rows = patches ? std::min(strip_rows(in, 2, products), strip_rows(out, 2, products))
                               : strip_rows(out, shorter, products);
  return plan_pixels(in.h, in.columns, window.stride * rows, out.blocks * batch_block(products), window.source_halves,
                     [&](int64_t y, int64_t x) {
                       std::vector<std::pair<int32_t, int32_t>> taps;
                       for (int64_t t = 0; t < window.taps(); ++t) {
                         const int64_t sy = y + window.padding - t / window.columns;
                         const int64_t sx = x - window.first - t % window.columns;
                         if (sy < 0 || sx < 0 || sy % window.stride != 0 || sx % window.step != 0) continue;
                         if (sy / window.stride >= out.h || sx / window.step >= out.columns) continue;
                         if (window.source_halves[static_cast<size_t>(t % window.columns)] == 0) continue;
                         taps.emplace_back(static_cast<int32_t>(t),
                                           static_cast<int32_t>(sy / window.stride * out.columns + sx / window.step));
                       }
                       return taps;
                     });
}

namespace {

// Row r of a tile becomes pixel (y, x) of a map, or none where x < 0.
void set_row(PositionTile* tile, int64_t r, const Value& map, int64_t y, int64_t x) {
  tile->to[r] = x < 0 ? -1 : static_cast<int32_t>((y + 1) * (map.columns + 2) + x + 1);
  tile->pixel[r] = x < 0 ? 0 : static_cast<int32_t>(y * map.columns + x);
}

// Tiles of h x w pixels whose sources are `step` positions apart in a row, and `row` from row to row. set(tile, r, y, x): row r is
// pixel (y, x), or none where x < 0.
// Either tiles of neighbouring pixels of one row, the last one reaching back (or, in a row shorter than a tile, on),
// or tiles that run through the border into the next row, if it begins a whole number of steps on; whichever are fewer.
// `short_rows`: the first also for rows shorter than a tile.
template <typename F>
void add_tiles(SinglePlan* plan, int64_t h, int64_t w, int64_t row, int64_t step, bool short_rows, const F& set) {
  const int64_t per_row = (w + kRows - 1) / kRows;
  const int64_t line = row / step;  // steps from a row to the next
  const bool runs = row % step == 0 && line >= w;
  const int64_t through = ((h - 1) * line + w + kRows - 1) / kRows;
  PositionTile tile;
  if (!runs || (per_row * h <= through && (w >= kRows || short_rows))) {
    for (int64_t y = 0; y < h; ++y) {
      for (int64_t i = 0; i < per_row; ++i) {
        const int64_t x = std::max<int64_t>(0, std::min(i * kRows, w - kRows));
        tile.source = static_cast<int32_t>(y * row + x * step);
        // A pixel belongs to the first tile that has it.
        for (int64_t r = 0; r < kRows; ++r) set(&tile, r, y, x + r < i * kRows || x + r >= w ? -1 : x + r);
        plan->tiles.push_back(tile);
      }
    }
    return;
  }
  for (int64_t i = 0; i < through; ++i) {
    tile.source = static_cast<int32_t>(i * kRows * step);
    for (int64_t r = 0; r < kRows; ++r) {
      const int64_t y = (i * kRows + r) / line, x = (i * kRows + r) % line;
      set(&tile, r, y, y < h && x < w ? x : -1);
    }
    plan->tiles.push_back(tile);
  }
}

}  // namespace

SinglePlan plan_single(const Value& in, const Value& out, const Window& window, int products) {
  SinglePlan plan;
  const int64_t width = in.columns + 2;  // of the bordered map
  plan.step = window.step;
  for (int64_t t = 0; t < window.taps(); ++t) {
    const int64_t at = (t / window.columns + 1 - window.padding) * width + t % window.columns + 1 + window.first;
    const int32_t offset = static_cast<int32_t>(at * planes_of(products) * kLanes);
    plan.taps.push_back({static_cast<int32_t>(t), offset, offset, 3});
  }
  add_tiles(&plan, out.h, out.columns, window.stride * width, window.step, window.stride != window.step,
            [&](PositionTile* tile, int64_t r, int64_t y, int64_t x) { set_row(tile, r, out, y, x); });
  return plan;
}

std::vector<SinglePlan> plan_single_backward(const Value& in, const Value& out, const Window& window, int products) {
  std::vector<SinglePlan> plans;
  const int64_t width = out.columns + 2;  // of the bordered map of gradients that is read
  for (int64_t phase = 0; phase < window.stride * window.step; ++phase) {
    const int64_t row = phase / window.step, column = phase % window.step;
    const int64_t h = (in.h - row + window.stride - 1) / window.stride;
    const int64_t w = (in.columns - column + window.step - 1) / window.step;
    if (h < 1 || w < 1) continue;
    SinglePlan plan;
    for (int64_t t = 0; t < window.taps(); ++t) {
      const int64_t y = row + window.padding - t / window.columns;
      const int64_t x = column - window.first - t % window.columns;
      if (y % window.stride != 0 || x % window.step != 0) continue;
      if (window.source_halves[static_cast<size_t>(t % window.columns)] == 0) continue;
      const int64_t at = (y / window.stride + 1) * width + x / window.step + 1;
      const int32_t offset = static_cast<int32_t>(at * planes_of(products) * kLanes);
      plan.taps.push_back({static_cast<int32_t>(t), offset, offset, 3});
    }
    add_tiles(&plan, h, w, width, 1, false, [&](PositionTile* tile, int64_t r, int64_t i, int64_t j) {
      set_row(tile, r, in, window.stride * i + row, j < 0 ? -1 : window.step * j + column);
    });
    plans.push_back(std::move(plan));
  }
  return plans;
}

// The map is copied once per column of the kernel, shifted by it and cut to the output's width (and with stride 2
// split into even and odd columns and rows), so that the sources of neighbouring outputs are neighbours.
SinglePlan plan_dense(const Value& in, const Value& out, const Window& window, int products, const SinglePlan& single) {
  SinglePlan plan;
  const int64_t pixels = out.h * out.columns;
  const int64_t tiles = (pixels + kRows - 1) / kRows;
  if (10 * tiles > 8 * static_cast<int64_t>(single.tiles.size())) return plan;
  const int64_t width = in.columns + 2;  // of the bordered map
  const int64_t kernel = window.kernel;
  const int64_t stride = window.stride;
  const int64_t rows = out.h + (kernel - 1) / stride;
  const auto group = [&](int64_t column, int64_t row) {
    return ((column * std::min(stride, kernel) + row % stride) * rows + row / stride) * out.columns;
  };
  for (int64_t column = 0; column < window.columns; ++column) {
    for (int64_t row = 0; row < (out.h - 1) * stride + kernel; ++row) {
      if (row % stride >= kernel) continue;
      for (int64_t x = 0; x < out.columns; ++x) {
        const int32_t from = static_cast<int32_t>((row - window.padding + 1) * width + x * window.step + column +
                                                  window.first + 1);
        const int32_t to = static_cast<int32_t>(group(column, row) + x);
        if (!plan.runs.empty() && plan.runs.back().from + plan.runs.back().count == from &&
            plan.runs.back().to + plan.runs.back().count == to) {
          ++plan.runs.back().count;
        } else {
          plan.runs.push_back({from, to, 1});
        }
      }
    }
  }
  // The last tile reads on behind the last pixel.
  plan.positions = window.columns * std::min(stride, kernel) * rows * out.columns + kRows;
  for (int64_t t = 0; t < window.taps(); ++t) {
    const int32_t offset = static_cast<int32_t>(group(t % window.columns, t / window.columns) * planes_of(products) *
                                                kLanes);
    plan.taps.push_back({static_cast<int32_t>(t), offset, offset, 3});
  }
  for (int64_t i = 0; i < tiles; ++i) {
    PositionTile tile;
    tile.source = static_cast<int32_t>(i * kRows);
    for (int64_t r = 0; r < kRows; ++r) {
      const int64_t p = i * kRows + r;
      set_row(&tile, r, out, p / out.columns, p < pixels ? p % out.columns : -1);
    }
    plan.tiles.push_back(tile);
  }
  return plan;
}

namespace {

float widen(Bf16 x) {
  const uint32_t bits = static_cast<uint32_t>(x) << 16;
  float value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}

// The nearest of 8 significant bits, halves away from zero: what costs least to repeat for every use of a weight.
Bf16 round_part(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof(bits));
  return static_cast<Bf16>((bits + 0x8000u) >> 16);
}

bool denormal(Bf16 x) { return (x & 0x7f80u) == 0 && (x & 0x7fu) != 0; }

Weights empty_weights(int64_t out_channels, int64_t in_channels, int64_t taps, int products) {
  Weights w;
  w.out_channels = out_channels;
  w.out_blocks = (out_channels + kLanes - 1) / kLanes;
  w.in_blocks = (in_channels + kLanes - 1) / kLanes;
  w.taps = taps;
  w.packed.assign(static_cast<size_t>(w.out_blocks * taps * w.in_blocks * planes_of(products) * 2 * kTile), 0);
  return w;
}

// Place of a weight's first part; each further one is 2 tiles on.
size_t weight_at(const Weights& w, int64_t out, int64_t in, int64_t tap, int products) {
  const int64_t block = ((out / kLanes * w.in_blocks + in / kLanes) * w.taps + tap) * planes_of(products) * 2;
  const int64_t half = out % kLanes / 16;
  return static_cast<size_t>((block + half) * kTile + in % kLanes / 2 * 32 + out % 16 * 2 + in % 2);
}

}  // namespace

// Parts below the normal numbers count as zero in the tile products. They are left out, so that a weight is the sum of
// its parts, and no arithmetic with slow denormal numbers is needed to find them again.
void split_weight(float value, Bf16 parts[3]) {
  for (;;) {
    parts[0] = round_part(value);
    const float rest = value - widen(parts[0]);
    parts[1] = round_part(rest);
    const float last = rest - widen(parts[1]);
    uint32_t bits;
    memcpy(&bits, &last, sizeof(bits));
    parts[2] = static_cast<Bf16>(bits >> 16);
    int keep = 3;
    while (keep > 0 && (denormal(parts[keep - 1]) || (parts[keep - 1] & 0x7fffu) == 0)) --keep;
    bool small = false;
    for (int i = keep; i < 3; ++i) small = small || denormal(parts[i]);
    if (!small) return;
    value = keep == 0 ? 0.0f : keep == 1 ? widen(parts[0]) : widen(parts[0]) + widen(parts[1]);
  }
}

int64_t float_weights_size(const Weights& weights) {
  return weights.out_blocks * weights.taps * weights.in_blocks * 2 * kTile;
}

void unpack_floats(const Weights& weights, float* floats) {
  const int64_t tiles = weights.out_blocks * weights.taps * weights.in_blocks;
  for (int64_t i = 0; i < tiles; ++i) {
    const Bf16* parts = weights.packed.data() + i * 6 * kTile;
    float* to = floats + i * 2 * kTile;
    for (int64_t k = 0; k < 2 * kTile; ++k) {
      const float sum = widen(parts[k]) + (widen(parts[k + 2 * kTile]) + widen(parts[k + 4 * kTile]));
      to[k / kLanes * kLanes + k % 2 * 16 + k % kLanes / 2] = sum;
    }
  }
}

Weights pack_weights(const float* weight, int64_t out_channels, int64_t in_channels, int64_t taps,
                     int products) {
  Weights w = empty_weights(out_channels, in_channels, taps, products);
  for (int64_t o = 0; o < out_channels; ++o) {
    for (int64_t i = 0; i < in_channels; ++i) {
      for (int64_t t = 0; t < taps; ++t) {
        const float value = weight[(o * in_channels + i) * taps + t];
        const size_t at = weight_at(w, o, i, t, products);
        // With fewer products the first parts of the same split: a network at one precision computes what an image at
        // this precision gets beside others in a network of more products.
        Bf16 parts[3];
        split_weight(value, parts);
        for (int64_t part = 0; part < planes_of(products); ++part) {
          w.packed[at + static_cast<size_t>(part * 2 * kTile)] = parts[part];
        }
      }
    }
  }
  return w;
}

Weights transpose_weights(const Weights& weights, int64_t in_channels, int products) {
  Weights w = empty_weights(in_channels, weights.out_channels, weights.taps, products);
  for (int64_t o = 0; o < weights.out_channels; ++o) {
    for (int64_t i = 0; i < in_channels; ++i) {
      for (int64_t t = 0; t < weights.taps; ++t) {
        const size_t from = weight_at(weights, o, i, t, products);
        const size_t to = weight_at(w, i, o, t, products);
        for (int64_t part = 0; part < planes_of(products); ++part) {
          const size_t step = static_cast<size_t>(part * 2 * kTile);
          w.packed[to + step] = weights.packed[from + step];
        }
      }
    }
  }
  return w;
}

Weights pair_weights(const Weights& weights, const Value& in, const Value& out, const Window& window, int products) {
  Weights w = empty_weights(out.lanes(), in.lanes(), window.taps(), products);
  const int64_t halves_in = in.paired ? 2 : 1;
  const int64_t halves_out = out.paired ? 2 : 1;
  for (int64_t t = 0; t < window.taps(); ++t) {
    for (int64_t a = 0; a < halves_out; ++a) {
      for (int64_t b = 0; b < halves_in; ++b) {
        // The kernel's column of pixels that leads from half b of this column of the source to half a.
        const int64_t column =
            pixel_at(in, t % window.columns + window.first, b) - a * window.stride + window.padding;
        if (column < 0 || column >= window.kernel) continue;
        const int64_t tap = t / window.columns * window.kernel + column;
        for (int64_t o = 0; o < out.c; ++o) {
          for (int64_t i = 0; i < in.c; ++i) {
            const size_t from = weight_at(weights, o, i, tap, products);
            const size_t to = weight_at(w, a * 16 + o, b * 16 + i, t, products);
            for (int64_t part = 0; part < planes_of(products); ++part) {
              const size_t step = static_cast<size_t>(part * 2 * kTile);
              w.packed[to + step] = weights.packed[from + step];
            }
          }
        }
      }
    }
  }
  return w;
}

// ---- memory ----

void* tile_memory(size_t bytes) {
  constexpr size_t kHugePage = size_t{2} << 20;
  const size_t align = bytes >= kHugePage ? kHugePage : 64;
  const size_t size = (bytes + align - 1) / align * align;
  void* memory = aligned_alloc(align, size);
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  if (memory != nullptr && align == kHugePage) madvise(memory, size, MADV_HUGEPAGE);
#endif
  return memory;
}

SlabPool::~SlabPool() {
  for (Bf16* slab : free_) free(slab);
}

Bf16* SlabPool::take() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!free_.empty()) {
      Bf16* slab = free_.back();
      free_.pop_back();
      return slab;
    }
  }
  void* memory = tile_memory(static_cast<size_t>(bytes_));
  if (memory == nullptr) return nullptr;
  memset(memory, 0, static_cast<size_t>(bytes_));
  return static_cast<Bf16*>(memory);
}

void SlabPool::give(Bf16* slab) {
  if (slab == nullptr) return;
  std::lock_guard<std::mutex> lock(mutex_);
  free_.push_back(slab);
}

}  // namespace igd

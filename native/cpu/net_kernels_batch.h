// Part of net_kernels.cpp: the convolution of 16 images side by side.
//
// A unit's tile products leave the vector units and the load ports to spare. In between, step by step, go the
// previous unit's finishing (bias, sum, ReLU, splitting into parts) and the prefetching of what comes next; so the
// tile unit neither waits for them nor for the third-level cache.
//
// Input blocks are the outer loop and taps the inner one: neighbouring taps read the same pixels again, while these are in
// the first-level cache. Long sums (many input blocks) go in chunks: all units of a strip with the weights of one
// chunk, which stay in a near cache, then all with the next; the sums wait in memory. The order of additions is the same.

// What a unit's steps prefetch: lines of a few ranges, one after the other.
struct Prefetch {
  static constexpr int kRanges = 8;
  const char* at = nullptr;
  const char* end = nullptr;
  int count = 0;
  int next = 0;
  const char* begins[kRanges];
  const char* ends[kRanges];
  int64_t lines = 0;

  void clear() {
    at = end = nullptr;
    count = next = 0;
    lines = 0;
  }
  void add(const void* begin, int64_t bytes) {
    if (begin == nullptr || bytes <= 0 || count == kRanges) return;
    begins[count] = static_cast<const char*>(begin);
    ends[count] = begins[count] + bytes;
    lines += (bytes + 63) / 64;
    ++count;
  }
  void step(int64_t number) {
    for (int64_t i = 0; i < number; ++i) {
      if (at >= end) {
        if (next == count) return;
        at = begins[next];
        end = ends[next];
        ++next;
      }
      prefetch_line(at);
      at += 64;
    }
  }
};

// A unit whose sums are complete; its rows are finished one at a time.
template <int kProducts, int kHalves>
struct Finishing {
  const BatchConv& t;
  const Finish f;
  int left = 0;    // rows
  int second = 0;  // of them, of the second pixel
  int32_t second_pixel = -1;
  const float* low = nullptr;
  const Bf16* addend = nullptr;
  const uint32_t* mask = nullptr;
  uint32_t* positive = nullptr;
  Bf16* out = nullptr;

  void start(const Unit& unit, const float (*complete)[256]) {
    left = unit.second < 0 ? t.rows : 2 * t.rows;
    second = left - t.rows;
    second_pixel = unit.second;
    pixel(unit.first, complete[0]);
  }
  void pixel(int64_t number, const float* complete) {
    const int64_t block = number * t.out_blocks + t.block;
    const int64_t at = block * kPlanes<kProducts> * kTile;
    low = complete;
    out = t.out + at;
    if (t.addend != nullptr) addend = t.addend + at;
    if (t.mask != nullptr) mask = t.mask + block * kRows;
    if (t.positive != nullptr) positive = t.positive + block * kRows;
  }
  __attribute__((noinline)) void row() {
    Row r = row_floats(low, low + (kHalves > 1 ? 256 : 0)) + f.bias;
    if (addend != nullptr) {
      r = r + row_read<kProducts>(addend, kTile);
      addend += kLanes;
    }
    if (kHalves == 1) r = row_low(r);
    if (f.relu) r = row_relu(r);
    if (positive != nullptr) *positive++ = row_positive(r);
    if (mask != nullptr) r = row_keep(r, *mask++);
    row_write<kProducts, kHalves>(r, out, kTile);
    low += 16;
    out += kLanes;
    if (--left == second && left > 0) pixel(second_pixel, low + 512 - 16 * t.rows);
  }
  void all() {
    while (left > 0) row();
  }
};

// Input blocks [begin, end) of a unit's sum, with all taps of each; a step is one tap. `go_on`: add to what `sums` holds.
template <int kProducts, int kPixels, int kHalves>
inline void add_blocks(const BatchConv& t, const Unit& unit, int64_t begin, int64_t end, bool go_on,
                       float (*sums)[256], Finishing<kProducts, kHalves>& finishing, Prefetch& own, Prefetch& ahead,
                       int64_t ahead_lines) {
  constexpr int64_t kStep = 2 * kPlanes<kProducts> * kTile;
  constexpr int64_t kPixelBlock = kPlanes<kProducts> * kTile;
  const Tap* taps = t.taps + unit.taps_at;
  const int64_t steps = unit.taps > 0 ? unit.taps * (end - begin) : 1;
  const int64_t own_lines = (own.lines + steps - 1) / steps;
  // Rows to finish per product of parts, in 64ths.
  const int rate = static_cast<int>((2 * t.rows * 64 + steps * kProducts - 1) / (steps * kProducts));
  int due = 0;
  const auto between = [&] {
    for (due += rate; due >= 64 && finishing.left > 0; due -= 64) finishing.row();
  };
  sums_begin<kPixels, kHalves>(go_on, sums);
  for (int64_t i = begin; i < end; ++i) {
    const Bf16* a = t.in + i * kPixelBlock;
    const Bf16* b = t.weights.packed + i * t.tap_count * kStep;
    for (int32_t k = 0; k < unit.taps; ++k) {
      const Bf16* a0 = a + taps[k].first;
      const Bf16* a1 = a + taps[k].second;
      const Bf16* w = b + taps[k].tap * kStep;
      const int32_t halves = kHalves > 1 ? taps[k].halves : 1;
      if (kHalves > 1 && halves == 3) {
        step_products<kProducts, kPixels, 3>(a0, a1, w, t.rows, sums, between);
      } else if (kHalves > 1 && halves == 2) {
        step_products<kProducts, kPixels, 2>(a0, a1, w, t.rows, sums, between);
      } else {
        step_products<kProducts, kPixels, 1>(a0, a1, w, t.rows, sums, between);
      }
      own.step(own_lines);
      ahead.step(ahead_lines);
    }
  }
  sums_end<kPixels, kHalves>(sums);
}

template <int kProducts, int kHalves>
void conv_batch_halves(const BatchConv& t) {
  constexpr int64_t kPixelBytes = kPlanes<kProducts> * kTile * static_cast<int64_t>(sizeof(Bf16));
  Finishing<kProducts, kHalves> finishing{t, finish_of(t.weights, t.relu)};
  alignas(64) float local[2][4][256];
  Prefetch own, ahead;
  for (const MemoryRange& range : t.ahead) ahead.add(range.begin, range.bytes);
  const int64_t in_blocks = t.weights.in_blocks;
  const int64_t all_steps = t.unit_count * (t.units[0].taps > 0 ? t.units[0].taps : 1) * in_blocks;
  const int64_t ahead_lines = (ahead.lines + all_steps - 1) / all_steps;
  const int64_t chunk = t.chunk_blocks > 0 && t.chunk_blocks < in_blocks ? t.chunk_blocks : in_blocks;
  for (int64_t begin = 0; begin < in_blocks; begin += chunk) {
    const int64_t end = begin + chunk < in_blocks ? begin + chunk : in_blocks;
    const bool last = end == in_blocks;
    for (int64_t u = 0; u < t.unit_count; ++u) {
      const Unit& unit = t.units[u];
      float(*sums)[256] = chunk == in_blocks ? local[u % 2] : t.sums + u * 4;
      own.clear();
      if (last) {
        for (int m = 0; m < 2; ++m) {
          const int64_t pixel = m == 0 ? unit.first : unit.second;
          if (pixel < 0) continue;
          const int64_t at = (pixel * t.out_blocks + t.block) * kPixelBytes / static_cast<int64_t>(sizeof(Bf16));
          own.add(t.out + at, kPixelBytes);
          if (t.addend != nullptr && t.addend != t.out) own.add(t.addend + at, kPixelBytes);
        }
      }
      if (unit.second >= 0) {
        add_blocks<kProducts, 2, kHalves>(t, unit, begin, end, begin > 0, sums, finishing, own, ahead, ahead_lines);
      } else {
        add_blocks<kProducts, 1, kHalves>(t, unit, begin, end, begin > 0, sums, finishing, own, ahead, ahead_lines);
      }
      finishing.all();
      if (last) finishing.start(unit, sums);
    }
  }
  finishing.all();
}

template <int kProducts>
void conv_batch(const BatchConv& t) {
  if (t.unit_count == 0) return;
  tiles_begin(t.rows);
  if (t.weights.wide) {
    conv_batch_halves<kProducts, 2>(t);
  } else {
    conv_batch_halves<kProducts, 1>(t);
  }
  tiles_end();
}

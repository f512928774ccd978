// Compiled networks: the C API, forward and backward passes.
#include "net.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <new>

#include "igd/kernels.h"
#include "runtime.h"

#if defined(IGD_HAVE_AMX)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace igd {
namespace {

// Up to this many images run in the single layout anyway; of more, costs_between() decides.
constexpr int64_t kSingleImages = 6;
// Images in the single layout at a time: what they need of memory.
constexpr int64_t kFewAtOnce = 8;
// Maps up to this size: all of those images with each operation. Larger ones: one image after the other.
constexpr int64_t kTogetherPixels = 200;
// What decides between the layouts, measured: a step of the single layout takes longer than one of 16 images, as results are
// not finished meanwhile and rows are further apart; weights of layers above a size are read from beyond the second-level cache.
constexpr double kSingleStep = 1.7;
constexpr double kFarBytesPerNanosecond = 5;
constexpr double kNearLayerBytes = 1 << 20;
// Rough rate of one thread, only used to decide whether threads pay.
constexpr double kProductsPerNanosecond = 150;
// The same with few images, where most of the time goes into reading weights.
constexpr double kFewProductsPerNanosecond = 60;
// Tiles of one task in the single layout.
constexpr int64_t kTilesPerTask = 16;
// Weights of an output block that stay in the second-level cache while a strip is computed; more come in chunks.
constexpr int64_t kNearWeights = 512 * 1024;
constexpr int64_t kChunkWeights = 162 * 1024;
// Elements of the maps that one thread copies at a time.
constexpr int64_t kGathered = 4 * 1024 * 1024;
// Positions that the last tile may read past the bordered map.
constexpr int64_t kSlack = 64;

#if defined(IGD_HAVE_AMX)
bool detect_amx() {
  unsigned a, b, c, d;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  const bool amx = (d >> 22 & 1) != 0 && (d >> 24 & 1) != 0;  // AMX-BF16, AMX-TILE
  const bool avx512 = (b >> 16 & 1) != 0 && (b >> 30 & 1) != 0 && (b >> 31 & 1) != 0;  // F, BW, VL
  if (!amx || !avx512 || !__get_cpuid_count(7, 1, &a, &b, &c, &d) || (a >> 5 & 1) == 0) return false;
  // The operating system gives the tile registers to processes that ask (Linux: ARCH_REQ_XCOMP_PERM, 18).
  return syscall(SYS_arch_prctl, 0x1023, 18) == 0;
}
#endif

bool has_amx() {
#if defined(IGD_HAVE_AMX)
  static const bool found = detect_amx();
  return found && igd_isa_active() == IGD_ISA_AVX512;
#else
  return false;
#endif
}

const NetKernels& kernels_for(int products) {
#if defined(IGD_HAVE_AMX)
  if (has_amx()) return net_kernels_amx(products);
#endif
  return net_kernels_portable(products);
}

int64_t round_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }

}  // namespace
}  // namespace igd

using igd::Bf16;
using igd::Kind;
using igd::Operation;
using igd::Value;

struct igd_net {
  static uint64_t next_number() {
    static std::atomic<uint64_t> last{0};
    return ++last;
  }
  int products = 6;
  bool sealed = false;
  std::vector<Value> values;
  std::vector<Operation> ops;
  std::vector<float> input_scale;
  std::vector<float> input_shift;
  int64_t kept = 0;
  int64_t reused = 0;
  int64_t single = 0;
  int64_t gradients = 0;
  int64_t taped = 0;  // bytes
  igd::SlabPool gradient_slabs;
  igd::SlabPool tape_slabs;
  igd::SlabPool kept_slabs;
  igd::SlabPool reused_slabs;
  igd::SlabPool single_slabs;
  igd::SlabPool single_gradient_slabs;
  igd::SlabPool work_slabs;  // of a thread that works on few images: copied maps, then a panel of weights
  bool gathers = false;
  // Networks are numbered, as an address may be another's later.
  const uint64_t number = next_number();
  std::mutex compared_mutex;
  uint64_t compared_with = 0;  // network that `shares` is about; 0: none
  bool shares = false;
  std::once_flag transposed;
  std::once_flag unpacked_transposed;
  std::once_flag unpacked;
  std::unique_ptr<float, void (*)(void*)> floats{nullptr, free};  // of all operations, for few images
  std::unique_ptr<float, void (*)(void*)> transposed_floats{nullptr, free};
};

struct igd_tape {
  igd_net* net = nullptr;
  int from = 0;
  int to = 0;
  int64_t n = 0;
  std::vector<Bf16*> slabs;
  ~igd_tape() {
    for (Bf16* slab : slabs) net->tape_slabs.give(slab);
  }
};

namespace igd {
namespace {

// An image tensor of floats, element strides.
struct Images {
  const float* data;
  int64_t n, c, h, w;
};

// What a pass starts from: value `from`, and perhaps a second value that is given instead of computed.
struct Inputs {
  Images x;
  int also = -1;
  Images x2 = {nullptr, 0, 0, 0, 0};
  // The same from image `first` on.
  Inputs from_image(int64_t first) const {
    Inputs moved = *this;
    moved.x.data += first * x.n;
    if (also >= 0) moved.x2.data += first * x2.n;
    return moved;
  }
};

// Slabs that go back to their pool.
class Slab {
 public:
  explicit Slab(SlabPool* pool) : pool_(pool), memory_(pool->take()) {}
  ~Slab() { pool_->give(memory_); }
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  Bf16* get() const { return memory_; }

 private:
  SlabPool* pool_;
  Bf16* memory_;
};

enum class Place { kKept, kReused, kSingle };

int64_t place_of(const Value& v, Place place) {
  return place == Place::kKept ? v.kept_at : place == Place::kReused ? v.reused_at : v.single_at;
}

// One group of images on its way through the network.
struct Pass {
  const igd_net* net;
  const NetKernels* kernels;
  Place place;
  Bf16* slab;
  int rows;     // images
  int workers;  // threads that share each operation
  int from;
  int to;
  Bf16* tape = nullptr;  // what the backward pass needs, of this group; or nullptr
  int products = 0;      // single layout: of this image, at most the network's
  int member = 0;        // single layout: which image of the tape's group
  // Signs of a value on the tape; nullptr if there are none.
  uint32_t* positive(int value) const {
    const Value& v = net->values[static_cast<size_t>(value)];
    if (tape == nullptr || !v.relu) return nullptr;
    return reinterpret_cast<uint32_t*>(reinterpret_cast<char*>(tape) + v.tape_at) + member;
  }
  // A pool's choices on the tape.
  uint8_t* choices(int value) const {
    const Value& v = net->values[static_cast<size_t>(value)];
    return tape == nullptr ? nullptr : reinterpret_cast<uint8_t*>(tape) + v.tape_at + member * kLanes;
  }
  // Index of a row's signs. x, as in row(): pixel, or pair if the value is paired.
  static int64_t sign(const Value& v, int64_t y, int64_t x, int64_t block) {
    return ((y * v.columns + x) * v.blocks + block) * kRows;
  }
  // From a row's signs to the next row's, of rows that follow each other.
  int64_t sign_step(const Value& v) const { return place == Place::kSingle ? v.blocks * kRows : 1; }
  // From a pixel's first row to its right neighbour's.
  int64_t column_step(const Value& v) const {
    return place == Place::kSingle ? layout().row : v.blocks * batch_block(net->products);
  }
  RowLayout layout() const {
    return place == Place::kSingle ? single_layout(net->products) : batch_layout();
  }
  Bf16* at(int value) const { return slab + place_of(net->values[static_cast<size_t>(value)], place); }
  // First row of a pixel's block.
  int64_t row(const Value& v, int64_t y, int64_t x, int64_t block) const {
    if (place == Place::kSingle) {
      return (block * v.positions + (y + 1) * (v.columns + 2) + x + 1) * layout().row;
    }
    return ((y * v.columns + x) * v.blocks + block) * batch_block(net->products);
  }
};

double work_of(const Operation& op, const Value& out, double images) {
  // Between pairs, a half of the weights, or more, is zero.
  return (out.paired ? 0.5 : 1.0) * images * static_cast<double>(out.h * out.columns) *
         static_cast<double>(op.weights.out_channels * op.weights.in_blocks * kLanes * op.weights.taps);
}

int share(int workers, double products, double rate = kProductsPerNanosecond) {
  const int worth = workers_for(products / rate);
  return worth < workers ? worth : workers;
}

// ---- input and output ----

// The input's patches (kernel x kernel x channels) as channels, normalised, zero outside the image: rows [begin, end),
// to `to` as if it were the place of the value's row `origin`.
void patch_lines(const Pass& p, const Operation& op, const Images& x, int64_t begin, int64_t end, int64_t origin,
                 Bf16* to) {
  const Value& in = p.net->values[static_cast<size_t>(op.in)];
  const Value& out = p.net->values[static_cast<size_t>(op.out)];
  const float* scale = p.net->input_scale.empty() ? nullptr : p.net->input_scale.data();
  const float* shift = p.net->input_shift.empty() ? nullptr : p.net->input_shift.data();
  const bool single = p.place == Place::kSingle;
  const int64_t width = in.w + 2 * op.padding;
  const int64_t size = in.c * op.kernel * width;  // of the rows of one image that a row of patches needs
  const int64_t lanes = out.blocks * kLanes;
  std::vector<float> rows(static_cast<size_t>(size));
  std::vector<int32_t> offsets(static_cast<size_t>(lanes), -1);
  for (int64_t q = 0; q < out.c; ++q) {
    const int64_t t = q % (op.kernel * op.kernel);
    const int64_t row = q / (op.kernel * op.kernel) * op.kernel + t / op.kernel;
    offsets[static_cast<size_t>(q)] = static_cast<int32_t>(row * width + t % op.kernel);
  }
  for (int64_t y = begin; y < end; ++y) {
    for (int r = 0; r < p.rows; ++r) {
      for (int64_t c = 0; c < in.c; ++c) {
        for (int64_t k = 0; k < op.kernel; ++k) {
          const int64_t sy = y * op.stride - op.padding + k;
          if (sy < 0 || sy >= in.h) {
            std::fill_n(rows.data() + (c * op.kernel + k) * width, width, 0.0f);
            continue;
          }
          float* row = rows.data() + (c * op.kernel + k) * width + op.padding;
          const float* from = x.data + r * x.n + c * x.c + sy * x.h;
          std::fill_n(row - op.padding, op.padding, 0.0f);
          std::fill_n(row + in.w, op.padding, 0.0f);
          if (x.w == 1) {
            memcpy(row, from, static_cast<size_t>(in.w) * sizeof(float));
          } else {
            for (int64_t i = 0; i < in.w; ++i) row[i] = from[i * x.w];
          }
          if (scale != nullptr) {
            for (int64_t i = 0; i < in.w; ++i) row[i] = row[i] * scale[c] + shift[c];
          }
        }
      }
      const PatchRows task = {rows.data(),
                              offsets.data(),
                              out.blocks,
                              out.w,
                              op.stride,
                              to + p.row(out, y - origin, 0, 0) + (single ? 0 : r * kLanes),
                              single ? p.layout().row : out.blocks * batch_block(p.net->products),
                              single ? out.positions * p.layout().row : batch_block(p.net->products),
                              p.layout().plane};
      p.kernels->patch_rows(task);
    }
  }
}

void load_patches(const Pass& p, const Operation& op, const Images& x) {
  const Value& out = p.net->values[static_cast<size_t>(op.out)];
  const double work = 2.0 * static_cast<double>(out.h * out.w * out.blocks * kLanes * p.rows);
  parallel(share(p.workers, work * kProductsPerNanosecond / 10), out.h,
           [&](int64_t begin, int64_t end, int) { patch_lines(p, op, x, begin, end, 0, p.at(op.out)); });
}

// The pixel's column and the channel of a lane; v.c or above if it holds no channel.
struct Lane {
  int64_t x;
  int64_t c;
};
Lane lane_of(const Value& v, int64_t column, int64_t block, int64_t lane) {
  return v.paired ? Lane{2 * column + lane / 16, lane % 16} : Lane{column, block * kLanes + lane};
}

// Floats to planes; `mask`: only where that value's signs are set.
void load_value(const Pass& p, int value, const Images& x, Bf16* to, const uint32_t* mask, bool normalise) {
  const Value& v = p.net->values[static_cast<size_t>(value)];
  const bool affine = normalise && !p.net->input_scale.empty();
  float lanes[kLanes];
  for (int64_t y = 0; y < v.h; ++y) {
    for (int64_t xx = 0; xx < v.columns; ++xx) {
      for (int64_t b = 0; b < v.blocks; ++b) {
        for (int r = 0; r < p.rows; ++r) {
          const int64_t at = p.row(v, y, xx, b) + r * (p.place == Place::kSingle ? 0 : kLanes);
          for (int64_t l = 0; l < kLanes; ++l) {
            const auto [pixel, c] = lane_of(v, xx, b, l);
            float f = c < v.c ? x.data[r * x.n + c * x.c + y * x.h + pixel * x.w] : 0.0f;
            if (affine && c < v.c) {
              f = f * p.net->input_scale[static_cast<size_t>(c)] + p.net->input_shift[static_cast<size_t>(c)];
            }
            if (mask != nullptr && (mask[Pass::sign(v, y, xx, b) + r] >> l & 1) == 0) f = 0;
            lanes[l] = f;
          }
          p.kernels->row_store(lanes, to + at, p.layout().plane);
        }
      }
    }
  }
}

// Planes to floats [rows, H, W, C].
void store_value(const Pass& p, int value, float* y) {
  const Value& v = p.net->values[static_cast<size_t>(value)];
  const Bf16* from = p.at(value);
  float lanes[kLanes];
  for (int r = 0; r < p.rows; ++r) {
    for (int64_t i = 0; i < v.h; ++i) {
      float* to = y + (r * v.h + i) * v.w * v.c;
      for (int64_t j = 0; j < v.columns; ++j) {
        for (int64_t b = 0; b < v.blocks; ++b) {
          p.kernels->row_load(from + p.row(v, i, j, b) + r * (p.place == Place::kSingle ? 0 : kLanes),
                              p.layout().plane, lanes);
          const int64_t count = v.paired ? v.c : std::min(kLanes, v.c - b * kLanes);
          memcpy(to, lanes, static_cast<size_t>(count) * sizeof(float));
          to += count;
          if (!v.paired) continue;
          memcpy(to, lanes + 16, static_cast<size_t>(count) * sizeof(float));
          to += count;
        }
      }
    }
  }
}

// ---- forward ----

// f(first row, rows that follow each other, block, index of the first one's signs) over all pixels of a value, shared among
// workers.
template <typename F>
void each_run(const Pass& p, const Value& v, const F& f) {
  const double work = 4.0 * static_cast<double>(v.h * v.columns * v.blocks * p.rows) * kProductsPerNanosecond;
  parallel(share(p.workers, work), v.h, [&](int64_t begin, int64_t end, int) {
    for (int64_t y = begin; y < end; ++y) {
      for (int64_t b = 0; b < v.blocks; ++b) {
        if (p.place == Place::kSingle) {
          f(p.row(v, y, 0, b), v.columns, b, Pass::sign(v, y, 0, b));
        } else {
          for (int64_t x = 0; x < v.columns; ++x) {
            f(p.row(v, y, x, b), static_cast<int64_t>(p.rows), b, Pass::sign(v, y, x, b));
          }
        }
      }
    }
  });
}

void max_pool(const Pass& p, const Operation& op) {
  const Value& in = p.net->values[static_cast<size_t>(op.in)];
  const Value& out = p.net->values[static_cast<size_t>(op.out)];
  const Bf16* from = p.at(op.in);
  Bf16* to = p.at(op.out);
  const int64_t plane = p.layout().plane;
  const double work = 4.0 * static_cast<double>(out.h * out.w * out.blocks * p.rows * op.kernel * op.kernel);
  uint8_t* choices = p.choices(op.out);
  parallel(share(p.workers, work * kProductsPerNanosecond), out.h, [&](int64_t begin, int64_t end, int) {
    std::vector<int64_t> sources(static_cast<size_t>(op.kernel * op.kernel));
    std::vector<uint8_t> taps(sources.size());
    for (int64_t y = begin; y < end; ++y) {
      for (int64_t x = 0; x < out.w; ++x) {
        for (int64_t b = 0; b < out.blocks; ++b) {
          int64_t count = 0;
          for (int64_t t = 0; t < op.kernel * op.kernel; ++t) {
            const int64_t sy = y * op.stride - op.padding + t / op.kernel;
            const int64_t sx = x * op.stride - op.padding + t % op.kernel;
            if (sy < 0 || sy >= in.h || sx < 0 || sx >= in.w) continue;
            sources[static_cast<size_t>(count)] = p.row(in, sy, sx, b);
            taps[static_cast<size_t>(count++)] = static_cast<uint8_t>(t);
          }
          const PoolRows task = {from,
                                 sources.data(),
                                 taps.data(),
                                 count,
                                 to + p.row(out, y, x, b),
                                 choices == nullptr ? nullptr : choices + Pass::sign(out, y, x, b) * kLanes,
                                 plane,
                                 p.rows};
          p.kernels->pool_rows(task);
        }
      }
    }
  });
}

void affine(const Pass& p, const Operation& op) {
  const Value& v = p.net->values[static_cast<size_t>(op.out)];
  const Bf16* from = p.at(op.in);
  Bf16* to = p.at(op.out);
  uint32_t* positive = p.positive(op.out);
  each_run(p, v, [&](int64_t at, int64_t rows, int64_t block, int64_t sign) {
    const RowsMap task = {from + at,
                          to + at,
                          nullptr,
                          nullptr,
                          positive == nullptr ? nullptr : positive + sign,
                          p.sign_step(v),
                          op.scale.data() + block * kLanes,
                          op.shift.data() + block * kLanes,
                          p.layout(),
                          rows,
                          op.relu};
    p.kernels->rows_map(task);
  });
}

// The weights of an output block.
BlockWeights block_of(const Weights& w, int64_t block, const float* bias, int products) {
  const int64_t size = w.taps * w.in_blocks * planes_of(products) * 2 * kTile;
  return {w.packed.data() + block * size, bias == nullptr ? nullptr : bias + block * kLanes, w.in_blocks,
          w.out_channels - block * kLanes > 16};
}

struct Planes {
  const Bf16* in;
  Bf16* out;
  const Bf16* addend;
  const uint32_t* mask;
  uint32_t* positive;
};

// What one worker does between the strips of a convolution: so patches are used while they are in a near cache.
struct Between {
  std::function<void(const Strip&)> before;
  std::function<void(const Strip&)> after;
  bool in_place = false;  // `before` puts every strip's sources at the beginning of the input
};

// Operations between maps of one block go down and up in turn, so that each begins where the one before it ended.
bool upwards(const igd_net* net, const Operation& op) {
  return op.weights.out_blocks == 1 && op.weights.in_blocks == 1 && (&op - net->ops.data()) % 2 == 0;
}

// A convolution of 16 images: strips of pixels by blocks of output channels, downwards or upwards. With `between`, one
// worker.
void conv_batch(const Pass& p, const Planes& planes, const Weights& weights, const float* bias,
                const BatchPlan& plan, bool relu, double products, bool upwards, const Between& between = {}) {
  const int64_t blocks = weights.out_blocks;
  const int64_t strips = static_cast<int64_t>(plan.strips.size());
  const int64_t steps = weights.taps * weights.in_blocks;
  const int64_t step_bytes = planes_of(p.net->products) * 2 * kTile * static_cast<int64_t>(sizeof(Bf16));
  const int64_t block_bytes = steps * step_bytes;
  const bool chunks = block_bytes > kNearWeights;
  parallel(share(p.workers, products), strips * blocks, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t block = i % blocks;
      const auto number = [&](int64_t n) { return static_cast<size_t>(upwards ? strips - 1 - n : n); };
      const Strip& strip = plan.strips[number(i / blocks)];
      if (between.before && block == 0) between.before(strip);
      BatchConv task = {planes.in + (plan.local && !between.in_place ? strip.source_begin : 0),
                        planes.out,
                        planes.addend,
                        planes.mask,
                        planes.positive,
                        block_of(weights, block, bias, p.net->products),
                        plan.units.data() + strip.begin,
                        strip.end - strip.begin,
                        plan.taps.data(),
                        weights.taps,
                        block,
                        blocks,
                        p.rows,
                        relu,
                        0,
                        nullptr,
                        {}};
      if (chunks) {
        task.sums = static_cast<float(*)[256]>(scratch(static_cast<size_t>(task.unit_count) * 4 * sizeof(*task.sums)));
        if (task.sums != nullptr) task.chunk_blocks = std::max<int64_t>(1, kChunkWeights / (weights.taps * step_bytes));
      }
      if (i + 1 < end) {
        if (!chunks && blocks > 1) task.ahead[0] = {block_of(weights, (block + 1) % blocks, bias, p.net->products).packed, block_bytes};
        // Each block brings its share of the next strip's sources.
        const int64_t next = i / blocks + 1;
        if (next < strips && !between.in_place) {
          const Strip& following = plan.strips[number(next)];
          const int64_t from = upwards ? following.source_begin : std::max(strip.source_end, following.source_begin);
          const int64_t to = upwards ? std::min(strip.source_begin, following.source_end) : following.source_end;
          const int64_t size = to - from;
          const int64_t at = size * block / blocks;
          task.ahead[1] = {planes.in + from + at, (size * (block + 1) / blocks - at) * static_cast<int64_t>(sizeof(Bf16))};
        }
      }
      p.kernels->conv_batch(task);
      if (between.after && block == blocks - 1) between.after(strip);
    }
  });
}

// Whether patches and the convolution that reads them go together, strip by strip.
bool strips_of_patches(const Pass& p, int patches) {
  return p.place != Place::kSingle && p.workers == 1 && p.from == 0 && p.to != patches;
}

// The operation that makes the patches which `op` reads, if they go together; or nullptr.
const Operation* patches_of(const Pass& p, const Operation& op) {
  const int made = p.net->values[static_cast<size_t>(op.in)].producer;
  if (made < 0 || !strips_of_patches(p, op.in)) return nullptr;
  const Operation& before = p.net->ops[static_cast<size_t>(made)];
  return before.kind == Kind::kPatches ? &before : nullptr;
}

void forward_op(const Pass& p, const Operation& op, const Images& x) {
  switch (op.kind) {
    case Kind::kPatches:
      if (!strips_of_patches(p, op.out)) load_patches(p, op, x);
      return;
    case Kind::kAffine:
      affine(p, op);
      return;
    case Kind::kMaxPool:
      max_pool(p, op);
      return;
    case Kind::kConv:
      break;
  }
  const Value& out = p.net->values[static_cast<size_t>(op.out)];
  const Planes planes = {p.at(op.in), p.at(op.out), op.residual < 0 ? nullptr : p.at(op.residual), nullptr,
                         p.positive(op.out)};
  const Operation* patches = patches_of(p, op);
  Between between;
  if (patches != nullptr) {
    const Value& in = p.net->values[static_cast<size_t>(op.in)];
    const int64_t line = p.row(in, 1, 0, 0);
    between.in_place = true;
    between.before = [&, line](const Strip& strip) {
      patch_lines(p, *patches, x, strip.source_begin / line, strip.source_end / line, strip.source_begin / line,
                  p.at(op.in));
    };
  }
  conv_batch(p, planes, op.weights, op.bias.data(), op.batch, op.relu, work_of(op, out, p.rows),
             patches == nullptr && upwards(p.net, op), between);
}

// The operations that lead from a value to another: those after from's producer up to to's.
template <typename F>
void each_op(const igd_net* net, int from, int to, const F& f) {
  const int first = net->values[static_cast<size_t>(from)].producer + 1;
  for (int i = first; i <= net->values[static_cast<size_t>(to)].producer; ++i) {
    f(net->ops[static_cast<size_t>(i)]);
  }
}

bool from_pixels(const igd_net* net, int from) {
  const int use = net->values[static_cast<size_t>(from)].first_use;
  return use >= 0 && net->ops[static_cast<size_t>(use)].kind == Kind::kPatches;
}

void load_inputs(const Pass& p, const Inputs& inputs) {
  if (!from_pixels(p.net, p.from)) load_value(p, p.from, inputs.x, p.at(p.from), nullptr, p.from == 0);
  if (inputs.also >= 0) load_value(p, inputs.also, inputs.x2, p.at(inputs.also), nullptr, false);
}

void forward_group(const Pass& p, const Inputs& inputs) {
  load_inputs(p, inputs);
  each_op(p.net, p.from, p.to, [&](const Operation& op) {
    if (op.out != inputs.also) forward_op(p, op, inputs.x);
  });
}

// ---- few images: single layout ----

int workers_for_few(const Pass& p, const Operation& op, int64_t n) {
  const Value& out = p.net->values[static_cast<size_t>(op.out)];
  return share(p.workers, work_of(op, out, static_cast<double>(n)), kFewProductsPerNanosecond);
}

// Copies of a map for a dense plan.
void gather(const SinglePlan& plan, const Bf16* in, int64_t in_positions, int64_t blocks, int64_t position, Bf16* to) {
  for (int64_t b = 0; b < blocks; ++b, in += in_positions * position, to += plan.positions * position) {
    for (const Run& run : plan.runs) {
      memcpy(to + run.to * position, in + run.from * position,
             static_cast<size_t>(run.count * position) * sizeof(Bf16));
    }
  }
}

// A convolution of few images by a plan, from maps of `in_positions` to maps of `out_positions`.
struct FewConv {
  const igd_net* net;
  const Weights& weights;
  const float* bias;  // or nullptr
  bool relu;
  const SinglePlan& plan;
  int64_t in_positions;
  int64_t out_positions;
  int workers;
};

void conv_few(const FewConv& conv, const SingleImage* images, int64_t n, const std::vector<std::unique_ptr<Slab>>& work) {
  const igd_net* net = conv.net;
  const Weights& w = conv.weights;
  const SinglePlan& plan = conv.plan;
  const int64_t position = single_layout(net->products).row;
  const bool dense = plan.positions > 0;
  const int64_t gathered = plan.positions * w.in_blocks * position;
  const int64_t tiles = static_cast<int64_t>(plan.tiles.size());
  const bool whole = static_cast<int64_t>(plan.taps.size()) == w.taps;
  const bool two =
      n == 1 && images[0].products == net->products && tiles == 1 && whole && w.out_channels % (2 * kLanes) == 0;
  // A tile without another one goes with the next image's.
  const bool pairs = n > 1 && tiles % 2 == 1;
  const int64_t groups = pairs ? (n + 1) / 2 : n;
  const int64_t parts = (tiles + kTilesPerTask - 1) / kTilesPerTask;
  const int64_t block_elements = w.taps * w.in_blocks * 2 * kTile;  // of the weights of one output block
  parallel(conv.workers, w.out_blocks / (two ? 2 : 1) * parts * groups, [&](int64_t begin, int64_t end, int worker) {
    Bf16* const maps = work[static_cast<size_t>(worker)]->get();
    Bf16* const panel = maps + (net->gathers ? kGathered : 0);
    for (int64_t image = 0; dense && image < n; ++image) {
      gather(plan, images[image].in, conv.in_positions, w.in_blocks, position, maps + image * gathered);
    }
    int64_t filled = -1;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t image = i / parts % groups * (pairs ? 2 : 1);
      const int64_t first = i % parts * kTilesPerTask;
      const int64_t block = i / (parts * groups) * (two ? 2 : 1);
      SingleConv task = {{},
                         pairs && image + 1 < n ? 2 : 1,
                         block_of(w, block, conv.bias, net->products),
                         plan.tiles.data() + first,
                         std::min(tiles - first, kTilesPerTask),
                         plan.taps.data(),
                         static_cast<int32_t>(plan.taps.size()),
                         static_cast<int32_t>(w.taps),
                         dense ? plan.positions : conv.in_positions,
                         block,
                         w.out_blocks,
                         plan.step,
                         conv.relu,
                         w.floats == nullptr ? nullptr : w.floats + block * block_elements,
                         panel,
                         filled == block,
                         i + 1 < end && (i + 1) / (parts * groups) == block / (two ? 2 : 1),
                         two,
                         conv.out_positions * position};
      for (int k = 0; k < task.image_count; ++k) {
        task.images[k] = images[image + k];
        if (dense) task.images[k].in = maps + (image + k) * gathered;
      }
      kernels_for(net->products).conv_single(task);
      filled = block;
    }
  });
}

void conv_single(const Pass* images, int64_t n, const std::vector<std::unique_ptr<Slab>>& work,
                 const Operation& op) {
  const igd_net* net = images[0].net;
  const Value& in = net->values[static_cast<size_t>(op.in)];
  const Value& out = net->values[static_cast<size_t>(op.out)];
  const int workers = workers_for_few(images[0], op, n);
  const int64_t gathered = op.dense.positions * op.weights.in_blocks * single_layout(net->products).row;
  // Every worker copies the maps for itself: for a few output blocks that does not pay.
  const bool dense = !op.dense.tiles.empty() && op.weights.out_blocks >= 4 * workers && n * gathered <= kGathered;
  std::vector<SingleImage> maps;
  for (int64_t i = 0; i < n; ++i) {
    const Pass& p = images[i];
    maps.push_back({p.at(op.in), p.at(op.out), op.residual < 0 ? nullptr : p.at(op.residual), nullptr, p.positive(op.out),
                    p.products});
  }
  conv_few({net, op.weights, op.bias.data(), op.relu, dense ? op.dense : op.single, in.positions, out.positions, workers},
           maps.data(), n, work);
}

// The weights as floats, at the first pass of few images; if there is no memory, the packed ones serve.
void unpack_weights(igd_net* net) {
  int64_t size = 0;
  for (const Operation& op : net->ops) size += float_weights_size(op.weights);
  net->floats.reset(static_cast<float*>(tile_memory(static_cast<size_t>(size) * sizeof(float))));
  if (net->floats == nullptr) return;
  float* at = net->floats.get();
  for (Operation& op : net->ops) {
    if (op.kind != Kind::kConv) continue;
    unpack_floats(op.weights, at);
    op.weights.floats = at;
    at += float_weights_size(op.weights);
  }
}

// One operation on some images.
void few_op(const Pass* images, int64_t n, const std::vector<std::unique_ptr<Slab>>& work, const Operation& op,
            const Inputs& inputs) {
  if (op.out != inputs.also && op.kind == Kind::kConv) {
    conv_single(images, n, work, op);
    return;
  }
  for (int64_t i = 0; i < n; ++i) {
    const Inputs own = inputs.from_image(i);
    if (op.out == inputs.also) {
      load_value(images[i], inputs.also, own.x2, images[i].at(inputs.also), nullptr, false);
    } else {
      forward_op(images[i], op, own.x);
    }
  }
}

// Large maps: one image after the other, so that they stay in a near cache. Small ones: all images with each operation,
// so that weights are read and split once. Several threads always take the latter: they meet at every operation's end.
bool one_by_one(const igd_net* net, const Operation& op) {
  const Value& out = net->values[static_cast<size_t>(op.out)];
  return out.h * out.w > kTogetherPixels;
}

// The last `coarse` images with `products` only, the others with the network's.
// `tape`, if there is one, gets them as images [first, first + n).
igd_status forward_few(igd_net* net, int from, int to, int64_t n, const Inputs& inputs, float* y, int64_t coarse = 0,
                       int products = 0, igd_tape* tape = nullptr, int64_t first = 0) {
  if (net->products == 6 && has_amx()) std::call_once(net->unpacked, unpack_weights, net);
  std::vector<std::unique_ptr<Slab>> slabs;
  std::vector<Pass> images;
  // A second value is loaded at its turn, as its place may be another's before.
  Inputs start = inputs;
  const auto producer = [&](int value) { return net->values[static_cast<size_t>(value)].producer; };
  if (start.also >= 0 && producer(start.also) > producer(from)) start.also = -1;
  for (int64_t i = 0; i < n; ++i) {
    slabs.emplace_back(new Slab(&net->single_slabs));
    if (slabs.back()->get() == nullptr) return fail(IGD_OUT_OF_MEMORY, "igd_net_forward: no memory");
    const int own = i < n - coarse ? net->products : products;
    images.push_back({net, &kernels_for(own), Place::kSingle, slabs.back()->get(), 1, igd_threads_get(), from, to,
                      nullptr, own});
    if (tape != nullptr) {
      Bf16*& taped = tape->slabs[static_cast<size_t>((first + i) / kRows)];
      if (taped == nullptr) taped = net->tape_slabs.take();
      if (taped == nullptr) return fail(IGD_OUT_OF_MEMORY, "igd_net_forward: no memory");
      images.back().tape = taped;
      images.back().member = static_cast<int>((first + i) % kRows);
    }
    load_inputs(images.back(), start.from_image(i));
  }
  std::vector<std::unique_ptr<Slab>> work;  // by worker
  std::vector<const Operation*> ops;
  int most = 1;
  each_op(net, from, to, [&](const Operation& op) {
    ops.push_back(&op);
    if (op.kind == Kind::kConv) most = std::max(most, workers_for_few(images[0], op, n));
  });
  for (int i = 0; i < most; ++i) {
    work.emplace_back(new Slab(&net->work_slabs));
    if (work.back()->get() == nullptr) return fail(IGD_OUT_OF_MEMORY, "igd_net_forward: no memory");
  }
  for (size_t begin = 0; begin < ops.size();) {
    size_t end = begin + 1;
    if (images[0].workers > 1 || !one_by_one(net, *ops[begin])) {
      few_op(images.data(), n, work, *ops[begin], inputs);
    } else {
      while (end < ops.size() && one_by_one(net, *ops[end])) ++end;
      for (int64_t i = 0; i < n; ++i) {
        for (size_t k = begin; k < end; ++k) {
          few_op(images.data() + i, 1, work, *ops[k], inputs.from_image(i));
        }
      }
    }
    begin = end;
  }
  const Value& v = net->values[static_cast<size_t>(to)];
  for (int64_t i = 0; i < n; ++i) store_value(images[static_cast<size_t>(i)], to, y + i * v.h * v.w * v.c);
  return IGD_OK;
}

// ---- many images: groups of 16 ----

// f(group, workers of that group): whole groups per thread while there are enough, then all threads on each.
template <typename F>
void each_group(int64_t groups, double products, const F& f) {
  const int threads = workers_for(products / kProductsPerNanosecond);
  const int64_t shared = groups / threads * threads;
  parallel(threads, shared, [&](int64_t begin, int64_t end, int) {
    for (int64_t g = begin; g < end; ++g) f(g, 1);
  });
  for (int64_t g = shared; g < groups; ++g) f(g, threads);
}

double work_between(const igd_net* net, int from, int to, int64_t n) {
  double sum = 0;
  each_op(net, from, to, [&](const Operation& op) {
    if (op.kind == Kind::kConv) {
      sum += work_of(op, net->values[static_cast<size_t>(op.out)], static_cast<double>(n));
    }
  });
  return sum;
}

// Estimated nanoseconds of one thread for a group of 16 images, however many of them there are, and for one image in the
// single layout: products of tiles, and weights that come from beyond the second-level cache.
struct Costs {
  double group = 0;
  double image = 0;
};

Costs costs_between(const igd_net* net, int from, int to) {
  // Of a unit: two tiles of pixels by 32 channels.
  const double step = net->products == 6 ? 180 : net->products == 3 ? 100 : 50;
  Costs costs;
  each_op(net, from, to, [&](const Operation& op) {
    if (op.kind != Kind::kConv) return;
    const double weights = static_cast<double>(op.weights.out_blocks * op.weights.in_blocks);
    const double taps = static_cast<double>(op.weights.taps);
    const double bytes = static_cast<double>(op.weights.packed.size() * sizeof(Bf16));
    const double far = bytes > kNearLayerBytes ? static_cast<double>(op.batch.strips.size()) * bytes : 0;
    const size_t tiles = op.dense.tiles.empty() ? op.single.tiles.size() : op.dense.tiles.size();
    costs.group += op.batch_taps * weights * step + far / kFarBytesPerNanosecond;
    costs.image += static_cast<double>(tiles) / 2 * taps * weights * step * kSingleStep;
  });
  return costs;
}

igd_status forward_many(igd_net* net, int from, int to, int64_t n, const Inputs& inputs, float* y,
                        igd_tape* tape) {
  const int64_t groups = (n + kRows - 1) / kRows;
  const Value& v = net->values[static_cast<size_t>(to)];
  std::atomic<bool> failed{false};
  each_group(groups, work_between(net, from, to, n), [&](int64_t g, int workers) {
    // A second value lies in its place before its turn, so no place may be used twice.
    const bool keep = inputs.also >= 0;
    const Slab slab(keep ? &net->kept_slabs : &net->reused_slabs);
    Bf16* taped = nullptr;
    if (tape != nullptr) taped = tape->slabs[static_cast<size_t>(g)] = net->tape_slabs.take();
    if (slab.get() == nullptr || (tape != nullptr && taped == nullptr)) {
      failed.store(true);
      return;
    }
    const Pass p = {net,
                    &kernels_for(net->products),
                    keep ? Place::kKept : Place::kReused,
                    slab.get(),
                    static_cast<int>(std::min<int64_t>(kRows, n - g * kRows)),
                    workers,
                    from,
                    to,
                    taped};
    forward_group(p, inputs.from_image(g * kRows));
    store_value(p, to, y + g * kRows * v.h * v.w * v.c);
  });
  return failed.load() ? fail(IGD_OUT_OF_MEMORY, "igd_net_forward: no memory") : IGD_OK;
}

// How many of the first of n images take less time side by side; the others run in the single layout.
int64_t side_by_side(const igd_net* net, int from, int to, int64_t n) {
  const Costs costs = costs_between(net, from, to);
  if (kRows * costs.image <= costs.group) return 0;
  const int64_t rest = n % kRows;
  return rest <= kSingleImages || static_cast<double>(rest) * costs.image <= costs.group ? n - rest : n;
}

// Images in whichever layout takes less time. A tape holds the same in either.
igd_status forward(igd_net* net, int from, int to, int64_t n, const Inputs& inputs, float* y, igd_tape* tape = nullptr) {
  const int64_t many = side_by_side(net, from, to, n);
  if (tape != nullptr) tape->slabs.assign(static_cast<size_t>((n + kRows - 1) / kRows), nullptr);
  if (many > 0) {
    const igd_status status = forward_many(net, from, to, many, inputs, y, tape);
    if (status != IGD_OK) return status;
  }
  const Value& v = net->values[static_cast<size_t>(to)];
  const int64_t parts = (n - many + kFewAtOnce - 1) / kFewAtOnce;
  for (int64_t part = 0; part < parts; ++part) {
    const int64_t begin = many + (n - many) * part / parts, end = many + (n - many) * (part + 1) / parts;
    const igd_status status =
        forward_few(net, from, to, end - begin, inputs.from_image(begin), y + begin * v.h * v.w * v.c, 0, 0, tape, begin);
    if (status != IGD_OK) return status;
  }
  return IGD_OK;
}

// Whether a network of fewer products has the same layers, its weights being the first parts of the other's.
bool same_layers(const igd_net* net, const igd_net* coarse) {
  const auto same_value = [](const Value& x, const Value& y) {
    return x.c == y.c && x.h == y.h && x.w == y.w && x.paired == y.paired;
  };
  if (net->values.size() != coarse->values.size() || net->ops.size() != coarse->ops.size() ||
      net->input_scale != coarse->input_scale || net->input_shift != coarse->input_shift) {
    return false;
  }
  for (size_t i = 0; i < net->values.size(); ++i) {
    if (!same_value(net->values[i], coarse->values[i])) return false;
  }
  const int64_t step = planes_of(net->products) * 2 * kTile;
  const int64_t coarse_step = planes_of(coarse->products) * 2 * kTile;
  for (size_t i = 0; i < net->ops.size(); ++i) {
    const Operation& x = net->ops[i];
    const Operation& y = coarse->ops[i];
    if (x.kind != y.kind || x.in != y.in || x.out != y.out || x.residual != y.residual || x.kernel != y.kernel ||
        x.stride != y.stride || x.padding != y.padding || x.relu != y.relu || x.bias != y.bias || x.scale != y.scale ||
        x.shift != y.shift || x.weights.taps != y.weights.taps) {
      return false;
    }
    const int64_t steps = static_cast<int64_t>(x.weights.packed.size()) / step;
    if (steps != static_cast<int64_t>(y.weights.packed.size()) / coarse_step) return false;
    for (int64_t k = 0; k < steps; ++k) {
      if (memcmp(x.weights.packed.data() + k * step, y.weights.packed.data() + k * coarse_step,
                 static_cast<size_t>(coarse_step) * sizeof(Bf16)) != 0) {
        return false;
      }
    }
  }
  return true;
}

// The same, found out once for the pair.
bool shares_layers(const igd_net* net, igd_net* coarse) {
  std::lock_guard<std::mutex> lock(coarse->compared_mutex);
  if (coarse->compared_with != net->number) {
    coarse->shares = same_layers(net, coarse);
    coarse->compared_with = net->number;
  }
  return coarse->shares;
}

// ---- backward ----

// Gradients of one group, or in the single layout of one image: per value where its gradient lies, in planes, in a slab of
// its own.
class Backward {
 public:
  Backward(const Pass& pass, Bf16* gradients)
      : p_(pass), gradients_(gradients), at_(pass.net->values.size(), nullptr) {}

  // grad_y [rows,H,W,C]; writes grad_x (strides of x).
  void run(const float* grad_y, float* grad_x, const Images& x) {
    begin(grad_y);
    for (int i = value(p_.to).producer; i > value(p_.from).producer; --i) step(i, grad_x, x);
    end(grad_x, x);
  }

  // The same in parts. A convolution may be computed elsewhere, from before() to after(); the other steps by step().
  void begin(const float* grad_y) {
    const Value& last = value(p_.to);
    const Images g = {grad_y, last.h * last.w * last.c, 1, last.w * last.c, last.c};
    load_value(p_, p_.to, g, own(p_.to), p_.positive(p_.to), false);
    at_[static_cast<size_t>(p_.to)] = own(p_.to);
  }
  void end(float* grad_x, const Images& x) {
    if (!from_pixels(p_.net, p_.from)) store(grad_x, x);
  }
  // What convolution i reads and writes; `in` is nullptr if it does not count.
  Planes before(int i) {
    const Operation& op = p_.net->ops[static_cast<size_t>(i)];
    Bf16* g = at(op.out);
    if (g == nullptr) return {};
    if (op.residual >= 0) add_residual(op.residual, i, g);
    return {g, own(op.in), at(op.in), mask(op.in, i), nullptr};
  }
  void after(int i) {
    const Operation& op = p_.net->ops[static_cast<size_t>(i)];
    at(op.in) = own(op.in);
  }
  void step(int i, float* grad_x, const Images& x) {
    const Operation& op = p_.net->ops[static_cast<size_t>(i)];
    Bf16* g = at(op.out);
    if (g == nullptr) return;
    switch (op.kind) {
      case Kind::kPatches:
        scatter_patches(op, g, grad_x, x);
        return;
      case Kind::kAffine:
        map(op.in, i, g, op.scale.data());
        return;
      case Kind::kMaxPool:
        max_pool(op, i, g);
        return;
      case Kind::kConv:
        conv(op, i, grad_x, x);
        return;
    }
  }

 private:
  const Value& value(int v) const { return p_.net->values[static_cast<size_t>(v)]; }
  Bf16* own(int v) const {
    return gradients_ + (p_.place == Place::kSingle ? value(v).single_gradient_at : value(v).gradient_at);
  }
  Bf16*& at(int v) { return at_[static_cast<size_t>(v)]; }
  // The signs of the value itself, if this was the last part of its gradient and it came out of a ReLU.
  const uint32_t* mask(int v, int op) const {
    return op == value(v).first_use && v != p_.from ? p_.positive(v) : nullptr;
  }

  void conv(const Operation& op, int i, float* grad_x, const Images& x) {
    const Planes planes = before(i);
    const Operation* patches = patches_of(p_, op);
    Between between;
    int64_t scattered = 0;
    if (patches != nullptr) {
      between.after = [&](const Strip& strip) {
        const int64_t complete = strip.row_end;  // rows of patches
        const int64_t height = value(patches->in).h;
        const int64_t to = complete == value(op.in).h ? height
                                                      : std::min(height, complete * patches->stride - patches->padding);
        if (to > scattered) scatter_lines(*patches, own(op.in), grad_x, x, scattered, to);
        scattered = std::max(scattered, to);
      };
    }
    conv_batch(p_, planes, op.transposed, nullptr, op.backward, false, work_of(op, value(op.out), p_.rows),
               patches == nullptr && upwards(p_.net, op), between);
    if (patches == nullptr) at(op.in) = own(op.in);
  }

  // grad[v] += g * scale, and its mask if this was the last part.
  void map(int v, int i, const Bf16* g, const float* scale) {
    const Bf16* before = at(v);
    const uint32_t* positive = mask(v, i);
    Bf16* to = own(v);
    each_run(p_, value(v), [&](int64_t at, int64_t rows, int64_t block, int64_t sign) {
      const RowsMap task = {g + at,
                            to + at,
                            before == nullptr ? nullptr : before + at,
                            positive == nullptr ? nullptr : positive + sign,
                            nullptr,
                            p_.sign_step(value(v)),
                            scale == nullptr ? nullptr : scale + block * kLanes,
                            nullptr,
                            p_.layout(),
                            rows,
                            false};
      p_.kernels->rows_map(task);
    });
    at(v) = to;
  }

  void add_residual(int v, int i, Bf16* g) {
    if (at(v) == nullptr && mask(v, i) == nullptr) {
      at(v) = g;  // the same numbers; whoever adds to them writes elsewhere
    } else {
      map(v, i, g, nullptr);
    }
  }

  void max_pool(const Operation& op, int i, const Bf16* g) {
    const Value& in = value(op.in);
    const Value& out = value(op.out);
    const uint8_t* choices = p_.choices(op.out);
    const Bf16* before = at(op.in);
    const uint32_t* positive = mask(op.in, i);
    Bf16* to = own(op.in);
    const int64_t plane = p_.layout().plane;
    const double work = 4.0 * static_cast<double>(in.h * in.w * in.blocks * p_.rows);
    parallel(share(p_.workers, work * kProductsPerNanosecond), in.h, [&](int64_t begin, int64_t end, int) {
      float sum[kLanes], lanes[kLanes];
      for (int64_t y = begin; y < end; ++y) {
        for (int64_t x = 0; x < in.w; ++x) {
          for (int64_t b = 0; b < in.blocks; ++b) {
            for (int r = 0; r < p_.rows; ++r) {
              const int64_t image = r * kLanes;
              const int64_t row = p_.row(in, y, x, b) + image;
              if (before != nullptr) {
                p_.kernels->row_load(before + row, plane, sum);
              } else {
                memset(sum, 0, sizeof(sum));
              }
              for (int64_t t = op.kernel * op.kernel - 1; t >= 0; --t) {
                const int64_t oy = y + op.padding - t / op.kernel;
                const int64_t ox = x + op.padding - t % op.kernel;
                if (oy < 0 || ox < 0 || oy % op.stride != 0 || ox % op.stride != 0) continue;
                if (oy / op.stride >= out.h || ox / op.stride >= out.w) continue;
                const int64_t at = p_.row(out, oy / op.stride, ox / op.stride, b) + image;
                const uint8_t* chosen = choices + (Pass::sign(out, oy / op.stride, ox / op.stride, b) + r) * kLanes;
                p_.kernels->row_load(g + at, plane, lanes);
                for (int64_t l = 0; l < kLanes; ++l) sum[l] += chosen[l] == t ? lanes[l] : 0.0f;
              }
              if (positive != nullptr) {
                const uint32_t bits = positive[Pass::sign(in, y, x, b) + r];
                for (int64_t l = 0; l < kLanes; ++l) sum[l] = (bits >> l & 1) != 0 ? sum[l] : 0.0f;
              }
              p_.kernels->row_store(sum, to + row, plane);
            }
          }
        }
      }
    });
    at(op.in) = to;
  }

  // Every row of the input collects what its patches got, in the order of the patches' rows. A few rows at a time, so
  // that patches are read about once.
  void scatter_patches(const Operation& op, const Bf16* g, float* grad_x, const Images& x) {
    const double work = 8.0 * static_cast<double>(value(op.out).h * value(op.out).w * value(op.out).c * p_.rows);
    parallel(share(p_.workers, work * kProductsPerNanosecond / 10), value(op.in).h,
             [&](int64_t begin, int64_t end, int) { scatter_lines(op, g, grad_x, x, begin, end); });
  }

  void scatter_lines(const Operation& op, const Bf16* g, float* grad_x, const Images& x, int64_t begin, int64_t end) {
    constexpr int64_t kBand = 8;
    const Value& in = value(op.in);
    const Value& out = value(op.out);
    const float* scale = p_.net->input_scale.empty() ? nullptr : p_.net->input_scale.data();
    const int64_t width = in.w + 2 * op.padding + op.stride;
    std::vector<float> patches(static_cast<size_t>(out.blocks * kLanes * out.w));  // [lane][column]
    std::vector<float> sums(static_cast<size_t>(kBand * in.c * width));
    for (int64_t from = begin; from < end; from += kBand) {
      const int64_t to = std::min(end, from + kBand);
      const int64_t first = std::max<int64_t>(0, from + op.padding - op.kernel + op.stride) / op.stride;
      const int64_t last = std::min(out.h - 1, (to - 1 + op.padding) / op.stride);
      for (int r = 0; r < p_.rows; ++r) {
        std::fill(sums.begin(), sums.end(), 0.0f);
        for (int64_t oy = first; oy <= last; ++oy) {
          for (int64_t b = 0; b < out.blocks; ++b) {
            p_.kernels->lane_rows({g + p_.row(out, oy, 0, b) + r * kLanes, p_.column_step(out), p_.layout().plane,
                                   out.w, patches.data() + b * kLanes * out.w, out.w});
          }
          for (int64_t k = 0; k < op.kernel; ++k) {
            const int64_t y = oy * op.stride - op.padding + k;
            if (y < from || y >= to) continue;
            for (int64_t c = 0; c < in.c; ++c) {
              for (int64_t i = 0; i < op.kernel; ++i) {
                add_column(patches.data() + ((c * op.kernel + k) * op.kernel + i) * out.w, out.w, op.stride,
                           sums.data() + ((y - from) * in.c + c) * width + i);
              }
            }
          }
        }
        for (int64_t y = from; y < to; ++y) {
          for (int64_t c = 0; c < in.c; ++c) {
            const float f = scale == nullptr ? 1.0f : scale[c];
            const float* sum = sums.data() + ((y - from) * in.c + c) * width + op.padding;
            for (int64_t i = 0; i < in.w; ++i) grad_x[r * x.n + c * x.c + y * x.h + i * x.w] = sum[i] * f;
          }
        }
      }
    }
  }

  static void add_column(const float* part, int64_t count, int64_t stride, float* sum) {
    if (stride == 1) {
      for (int64_t i = 0; i < count; ++i) sum[i] += part[i];
    } else {
      for (int64_t i = 0; i < count; ++i) sum[i * stride] += part[i];
    }
  }

  void store(float* grad_x, const Images& x) {
    const Value& v = value(p_.from);
    const Bf16* g = at(p_.from);
    float lanes[kLanes] = {};
    for (int r = 0; r < p_.rows; ++r) {
      for (int64_t i = 0; i < v.h * v.columns; ++i) {
        const int64_t y = i / v.columns, column = i % v.columns;
        for (int64_t b = 0; b < v.blocks; ++b) {
          if (g != nullptr) {
            p_.kernels->row_load(g + p_.row(v, y, column, b) + r * kLanes, p_.layout().plane, lanes);
          }
          for (int64_t l = 0; l < kLanes; ++l) {
            const auto [pixel, c] = lane_of(v, column, b, l);
            if (c >= v.c) continue;
            float f = lanes[l];
            if (p_.from == 0 && !p_.net->input_scale.empty()) f *= p_.net->input_scale[static_cast<size_t>(c)];
            grad_x[r * x.n + c * x.c + y * x.h + pixel * x.w] = f;
          }
        }
      }
    }
  }

  Pass p_;
  Bf16* gradients_;
  std::vector<Bf16*> at_;
};

// The transposed weights as floats, for the convolutions that take all of them in order.
void unpack_transposed(igd_net* net) {
  int64_t size = 0;
  const auto whole = [](const Operation& op) { return op.kind == Kind::kConv && op.single_backward.size() == 1; };
  for (const Operation& op : net->ops) size += whole(op) ? float_weights_size(op.transposed) : 0;
  if (size == 0) return;
  net->transposed_floats.reset(static_cast<float*>(tile_memory(static_cast<size_t>(size) * sizeof(float))));
  if (net->transposed_floats == nullptr) return;
  float* at = net->transposed_floats.get();
  for (Operation& op : net->ops) {
    if (!whole(op)) continue;
    unpack_floats(op.transposed, at);
    op.transposed.floats = at;
    at += float_weights_size(op.transposed);
  }
}

// Images [first, first + n) of a tape in the single layout, in the order of forward_few().
igd_status backward_few(const igd_tape* tape, int64_t first, int64_t n, const float* grad_y, float* grad_x,
                        const Images& x) {
  igd_net* net = tape->net;
  if (net->products == 6 && has_amx()) std::call_once(net->unpacked_transposed, unpack_transposed, net);
  const Value& last = net->values[static_cast<size_t>(tape->to)];
  std::vector<std::unique_ptr<Slab>> slabs;
  std::vector<Backward> images;
  std::vector<Pass> passes;
  for (int64_t i = 0; i < n; ++i) {
    slabs.emplace_back(new Slab(&net->single_gradient_slabs));
    if (slabs.back()->get() == nullptr) return fail(IGD_OUT_OF_MEMORY, "igd_net_backward: no memory");
    passes.push_back({net, &kernels_for(net->products), Place::kSingle, nullptr, 1, igd_threads_get(), tape->from, tape->to,
                      tape->slabs[static_cast<size_t>((first + i) / kRows)], net->products,
                      static_cast<int>((first + i) % kRows)});
    images.emplace_back(passes.back(), slabs.back()->get());
    images.back().begin(grad_y + (first + i) * last.h * last.w * last.c);
  }
  const int begin = net->values[static_cast<size_t>(tape->from)].producer;
  int most = 1;
  for (int i = last.producer; i > begin; --i) {
    const Operation& op = net->ops[static_cast<size_t>(i)];
    if (op.kind == Kind::kConv) most = std::max(most, workers_for_few(passes[0], op, n));
  }
  std::vector<std::unique_ptr<Slab>> work;  // by worker
  for (int i = 0; i < most; ++i) {
    work.emplace_back(new Slab(&net->work_slabs));
    if (work.back()->get() == nullptr) return fail(IGD_OUT_OF_MEMORY, "igd_net_backward: no memory");
  }
  std::vector<SingleImage> maps;
  // Operation i on images [from, to).
  const auto step = [&](int i, int64_t from, int64_t to) {
    const Operation& op = net->ops[static_cast<size_t>(i)];
    maps.clear();
    for (int64_t k = from; k < to; ++k) {
      Backward& image = images[static_cast<size_t>(k)];
      if (op.kind != Kind::kConv) {
        image.step(i, grad_x + (first + k) * x.n, x);
        continue;
      }
      const Planes planes = image.before(i);
      if (planes.in != nullptr) maps.push_back({planes.in, planes.out, planes.addend, planes.mask, nullptr, net->products});
    }
    if (maps.empty()) return;
    for (const SinglePlan& plan : op.single_backward) {
      conv_few({net, op.transposed, nullptr, false, plan, net->values[static_cast<size_t>(op.out)].positions,
                net->values[static_cast<size_t>(op.in)].positions, workers_for_few(passes[0], op, to - from)},
               maps.data(), to - from, work);
    }
    for (int64_t k = from; k < to; ++k) images[static_cast<size_t>(k)].after(i);
  };
  for (int i = last.producer; i > begin;) {
    const auto alone = [&](int op) { return passes[0].workers == 1 && one_by_one(net, net->ops[static_cast<size_t>(op)]); };
    int until = i - 1;
    if (!alone(i)) {
      step(i, 0, n);
    } else {
      while (until > begin && alone(until)) --until;
      for (int64_t k = 0; k < n; ++k) {
        for (int op = i; op > until; --op) step(op, k, k + 1);
      }
    }
    i = until;
  }
  for (int64_t k = 0; k < n; ++k) images[static_cast<size_t>(k)].end(grad_x + (first + k) * x.n, x);
  return IGD_OK;
}

// ---- building ----

igd_status unsealed(const char* function, const igd_net* net) {
  if (net == nullptr) return fail(IGD_INVALID_ARGUMENT, "%s: net: expected a network, got NULL", function);
  if (net->sealed) {
    return fail(IGD_INVALID_ARGUMENT, "%s: the network is sealed; add operations before igd_net_seal", function);
  }
  return IGD_OK;
}

igd_status sealed(const char* function, const igd_net* net) {
  if (net == nullptr) return fail(IGD_INVALID_ARGUMENT, "%s: net: expected a network, got NULL", function);
  if (!net->sealed) {
    return fail(IGD_INVALID_ARGUMENT, "%s: expected a sealed network; call igd_net_seal first", function);
  }
  return IGD_OK;
}

bool known(const igd_net* net, int value) {
  return value >= 0 && value < static_cast<int>(net->values.size());
}

int add_value(igd_net* net, int64_t c, int64_t h, int64_t w, bool relu, int producer) {
  Value v;
  v.c = c;
  v.h = h;
  v.w = w;
  v.blocks = (c + kLanes - 1) / kLanes;
  v.relu = relu;
  v.producer = producer;
  net->values.push_back(v);
  return static_cast<int>(net->values.size()) - 1;
}

void read_by(igd_net* net, int value, int op) {
  Value& v = net->values[static_cast<size_t>(value)];
  if (v.first_use < 0) v.first_use = op;
  v.last_use = op;
}

// Places in memory that is used again.
class Places {
 public:
  // The first gap of that size, for [now, until] of a time that only grows.
  int64_t place(int64_t size, int now, int until) {
    taken_.erase(std::remove_if(taken_.begin(), taken_.end(), [&](const Taken& t) { return t.until < now; }),
                 taken_.end());
    std::sort(taken_.begin(), taken_.end(), [](const Taken& x, const Taken& y) { return x.begin < y.begin; });
    int64_t at = 0;
    for (const Taken& t : taken_) {
      if (at + size <= t.begin) break;
      at = std::max(at, t.end);
    }
    if (size > 0) taken_.push_back({at, at + size, until});
    size_ = std::max(size_, at + size);
    return at;
  }
  int64_t size() const { return size_; }

 private:
  struct Taken {
    int64_t begin, end;
    int until;
  };
  std::vector<Taken> taken_;
  int64_t size_ = 0;
};

// The operation after which, going backwards, a value's gradient is not read any more. A residual's gradient may be
// the sum's own until another operation adds to it.
int gradient_needed_until(const igd_net* net, int value) {
  const int made = net->values[static_cast<size_t>(value)].producer;
  if (made < 0) return -1;
  const int residual = net->ops[static_cast<size_t>(made)].residual;
  if (residual < 0) return made;
  for (int i = made; i >= 0; --i) {
    const Operation& op = net->ops[static_cast<size_t>(i)];
    if (op.in == residual || (i < made && op.residual == residual)) return i;
  }
  return -1;
}

// Which maps of up to 16 channels are held as pairs: those that all operations around them can read and write so.
void pair_values(igd_net* net) {
  for (size_t i = 0; i < net->values.size(); ++i) {
    Value& v = net->values[i];
    const bool patches = v.producer >= 0 && net->ops[static_cast<size_t>(v.producer)].kind == Kind::kPatches;
    v.paired = v.c <= 16 && v.w % 2 == 0 && !patches && !from_pixels(net, static_cast<int>(i));
  }
  for (bool changed = true; changed;) {
    changed = false;
    const auto not_paired = [&](int value) {
      Value& v = net->values[static_cast<size_t>(value)];
      changed = changed || v.paired;
      v.paired = false;
    };
    for (const Operation& op : net->ops) {
      const bool in = net->values[static_cast<size_t>(op.in)].paired;
      const bool out = net->values[static_cast<size_t>(op.out)].paired;
      const bool residual = op.residual >= 0 && net->values[static_cast<size_t>(op.residual)].paired;
      if (op.kind == Kind::kMaxPool || (op.kind == Kind::kAffine && in != out)) {
        not_paired(op.in);
        not_paired(op.out);
      }
      if (op.kind != Kind::kConv) continue;
      if (op.residual >= 0 && residual != out) {
        not_paired(op.residual);
        not_paired(op.out);
      }
      if (!out && op.stride == 1) not_paired(op.in);
    }
  }
  for (Value& v : net->values) {
    v.columns = v.paired ? v.w / 2 : v.w;
    v.blocks = (v.lanes() + kLanes - 1) / kLanes;
    v.positions = (v.h + 2) * (v.columns + 2) + kSlack;
  }
}

void plan_operations(igd_net* net) {
  const int products = net->products;
  for (Operation& op : net->ops) {
    const Value& in = net->values[static_cast<size_t>(op.in)];
    const Value& out = net->values[static_cast<size_t>(op.out)];
    if (out.paired) {
      for (std::vector<float>* each : {&op.bias, &op.scale, &op.shift}) {
        if (!each->empty()) std::copy_n(each->begin(), 16, each->begin() + 16);
      }
    }
    if (op.kind != Kind::kConv) continue;
    const Window window = window_of(in, out, op.kernel, op.stride, op.padding);
    if (in.paired || out.paired) op.weights = pair_weights(op.weights, in, out, window, products);
    const bool patches = in.producer >= 0 && net->ops[static_cast<size_t>(in.producer)].kind == Kind::kPatches;
    op.batch = plan_batch(in, out, window, products, patches);
    for (const Unit& unit : op.batch.units) op.batch_taps += unit.taps * (unit.second < 0 ? 0.6 : 1.0);
    op.single = plan_single(in, out, window, products);
    op.dense = plan_dense(in, out, window, products, op.single);
    op.backward = plan_backward(in, out, window, products, patches);
    op.single_backward = plan_single_backward(in, out, window, products);
  }
}

// Places of all values in the kinds of slabs.
void place_values(igd_net* net) {
  const int last = static_cast<int>(net->ops.size());
  Places reused, gradients;
  struct Slot {
    int64_t blocks, h, columns;
    int64_t at;
    int until;
  };
  std::vector<Slot> slots;
  // The border must stay zero: a place is used again by maps of the same shape only.
  const auto slot_for = [&](const Value& v, int now, int until, std::vector<Slot>* among, int64_t* total) {
    for (Slot& s : *among) {
      if (s.until < now && s.blocks == v.blocks && s.h == v.h && s.columns == v.columns) {
        s.until = until;
        return s.at;
      }
    }
    among->push_back({v.blocks, v.h, v.columns, *total, until});
    *total += round_up(v.positions * v.blocks * planes_of(net->products) * kLanes, 32);
    return among->back().at;
  };
  const auto size = [&](size_t i) {
    const Value& v = net->values[i];
    return from_pixels(net, static_cast<int>(i)) ? 0 : v.h * v.columns * v.blocks * batch_block(net->products);
  };
  for (size_t i = 0; i < net->values.size(); ++i) {
    Value& v = net->values[i];
    const bool pixels = from_pixels(net, static_cast<int>(i));
    v.kept_at = net->kept;
    net->kept += size(i);
    if (!pixels) v.single_at = slot_for(v, v.producer, v.last_use < 0 ? last : v.last_use, &slots, &net->single);
    v.reused_at = reused.place(size(i), v.producer, v.last_use < 0 ? last : v.last_use);
    const int64_t rows = v.h * v.columns * v.blocks * kRows;
    v.tape_at = net->taped;
    if (v.relu) net->taped += rows * static_cast<int64_t>(sizeof(uint32_t));
    if (v.producer >= 0 && net->ops[static_cast<size_t>(v.producer)].kind == Kind::kMaxPool) {
      net->taped += rows * kLanes;
    }
  }
  // Backwards, a gradient is first written by the last operation that reads its value, or is what a pass starts from.
  std::vector<size_t> order(net->values.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto written = [&](size_t i) {
    const Value& v = net->values[i];
    return v.last_use < 0 ? last : v.last_use;
  };
  std::stable_sort(order.begin(), order.end(), [&](size_t x, size_t y) { return written(x) > written(y); });
  std::vector<Slot> gradient_slots;
  int64_t single_gradients = 0;
  for (size_t i : order) {
    Value& v = net->values[i];
    const int until = -gradient_needed_until(net, static_cast<int>(i));
    v.gradient_at = gradients.place(size(i), -written(i), until);
    if (from_pixels(net, static_cast<int>(i))) continue;
    v.single_gradient_at = slot_for(v, -written(i), until, &gradient_slots, &single_gradients);
  }
  net->single_gradient_slabs.size(single_gradients);
  net->reused = reused.size();
  net->gradients = gradients.size();
  net->kept_slabs.size(net->kept);
  net->reused_slabs.size(net->reused);
  net->single_slabs.size(net->single);
  net->gradient_slabs.size(net->gradients);
  net->tape_slabs.size(net->taped / static_cast<int64_t>(sizeof(Bf16)));
  int64_t panel = 0;
  for (const Operation& op : net->ops) {
    net->gathers = net->gathers || !op.dense.tiles.empty();
    if (net->products == 6) {
      // Forwards and, with the blocks exchanged, backwards.
      const int64_t steps = op.weights.taps * std::max(op.weights.in_blocks, op.weights.out_blocks);
      panel = std::max(panel, std::max<int64_t>(steps, 4) * 6 * kTile);
    }
  }
  net->work_slabs.size((net->gathers ? kGathered : 0) + panel + kLanes);
}

}  // namespace
}  // namespace igd

extern "C" {

int igd_net_accelerated(void) { return igd::has_amx() ? 1 : 0; }

igd_status igd_net_create(int products, int64_t channels, int64_t height, int64_t width, const float* scale,
                          const float* shift, igd_net** net) {
  if (net == nullptr) return igd::fail(IGD_INVALID_ARGUMENT, "igd_net_create: net: expected an address, got NULL");
  *net = nullptr;
  if (products != 1 && products != 3 && products != 6) {
    return igd::fail(IGD_INVALID_ARGUMENT,
                     "igd_net_create: products: expected 1 (bfloat16), 3 (16 bits) or 6 (float32), got %d",
                     products);
  }
  if (channels < 1 || height < 1 || width < 1 || channels > 65536 || height > 4096 || width > 4096) {
    return igd::fail(IGD_INVALID_ARGUMENT,
                     "igd_net_create: expected an input of 1..65536 channels and 1..4096 pixels a side, got "
                     "%lld x %lld x %lld",
                     static_cast<long long>(channels), static_cast<long long>(height),
                     static_cast<long long>(width));
  }
  if ((scale == nullptr) != (shift == nullptr)) {
    return igd::fail(IGD_INVALID_ARGUMENT, "igd_net_create: expected scale and shift together, got one of them");
  }
  std::unique_ptr<igd_net> made(new (std::nothrow) igd_net);
  if (made == nullptr) return igd::fail(IGD_OUT_OF_MEMORY, "igd_net_create: no memory");
  made->products = products;
  if (scale != nullptr) {
    made->input_scale.assign(scale, scale + channels);
    made->input_shift.assign(shift, shift + channels);
  }
  igd::add_value(made.get(), channels, height, width, false, -1);
  *net = made.release();
  return IGD_OK;
}

void igd_net_free(igd_net* net) { delete net; }

igd_status igd_net_conv(igd_net* net, int input, int64_t out_channels, int64_t kernel, int64_t stride,
                        int64_t padding, const float* weight, const float* bias, int residual, int relu,
                        int* value) {
  const igd_status status = igd::unsealed("igd_net_conv", net);
  if (status != IGD_OK) return status;
  if (!igd::known(net, input) || (residual >= 0 && !igd::known(net, residual)) || value == nullptr ||
      weight == nullptr || bias == nullptr) {
    return igd::fail(IGD_INVALID_ARGUMENT,
                     "igd_net_conv: expected known values and non-null arrays, got input %d, residual %d of %d "
                     "values",
                     input, residual, static_cast<int>(net->values.size()));
  }
  const Value in = net->values[static_cast<size_t>(input)];
  const bool patches = input == 0 && in.c < 16;
  const bool usual = (kernel == 1 && padding == 0) || (kernel == 3 && padding == 1);
  if (out_channels < 1 || out_channels > 65536 || stride < 1 || stride > (patches ? 8 : 2) || kernel < 1 ||
      kernel > 15 || (!patches && !usual) || padding < 0 || padding >= kernel + (kernel == 1 ? 1 : 0)) {
    return igd::fail(IGD_UNSUPPORTED,
                     "igd_net_conv: expected kernel 1 without padding or 3 with padding 1 and stride 1 or 2 "
                     "(any below 16 on an input of fewer than 16 channels), got kernel %lld, stride %lld, "
                     "padding %lld; use another implementation for this layer",
                     static_cast<long long>(kernel), static_cast<long long>(stride),
                     static_cast<long long>(padding));
  }
  const int64_t h = (in.h + 2 * padding - kernel) / stride + 1;
  const int64_t w = (in.w + 2 * padding - kernel) / stride + 1;
  if (in.h + 2 * padding < kernel || in.w + 2 * padding < kernel) {
    return igd::fail(IGD_INVALID_ARGUMENT, "igd_net_conv: the map %lld x %lld is smaller than the kernel %lld",
                     static_cast<long long>(in.h), static_cast<long long>(in.w), static_cast<long long>(kernel));
  }
  if (residual >= 0) {
    const Value& r = net->values[static_cast<size_t>(residual)];
    if (r.c != out_channels || r.h != h || r.w != w || residual == 0) {
      return igd::fail(IGD_INVALID_ARGUMENT,
                       "igd_net_conv: residual: expected %lld x %lld x %lld, got %lld x %lld x %lld",
                       static_cast<long long>(out_channels), static_cast<long long>(h),
                       static_cast<long long>(w), static_cast<long long>(r.c), static_cast<long long>(r.h),
                       static_cast<long long>(r.w));
    }
  }
  int64_t elements;
  if (__builtin_mul_overflow(in.h * in.w * igd::batch_block(6), (std::max(in.c * kernel * kernel, out_channels) + 31) / 32,
                             &elements) ||
      elements > INT32_MAX) {
    return igd::fail(IGD_UNSUPPORTED, "igd_net_conv: the map is too large for this engine");
  }
  int source = input;
  if (patches) {
    Operation gather;
    gather.kind = Kind::kPatches;
    gather.in = input;
    gather.kernel = kernel;
    gather.stride = stride;
    gather.padding = padding;
    const int index = static_cast<int>(net->ops.size());
    gather.out = igd::add_value(net, in.c * kernel * kernel, h, w, false, index);
    igd::read_by(net, input, index);
    source = gather.out;
    net->ops.push_back(std::move(gather));
  }
  const int64_t taps = patches ? 1 : kernel * kernel;
  const int index = static_cast<int>(net->ops.size());
  Operation op;
  op.kind = Kind::kConv;
  op.in = source;
  op.residual = residual;
  op.kernel = patches ? 1 : kernel;
  op.stride = patches ? 1 : stride;
  op.padding = patches ? 0 : padding;
  op.relu = relu != 0;
  op.weights =
      igd::pack_weights(weight, out_channels, net->values[static_cast<size_t>(source)].c, taps, net->products);
  op.bias.assign(static_cast<size_t>(op.weights.out_blocks * igd::kLanes), 0.0f);
  std::copy(bias, bias + out_channels, op.bias.begin());
  op.out = igd::add_value(net, out_channels, h, w, relu != 0, index);
  igd::read_by(net, source, index);
  if (residual >= 0) igd::read_by(net, residual, index);
  *value = op.out;
  net->ops.push_back(std::move(op));
  return IGD_OK;
}

igd_status igd_net_affine(igd_net* net, int input, const float* scale, const float* shift, int relu,
                          int* value) {
  const igd_status status = igd::unsealed("igd_net_affine", net);
  if (status != IGD_OK) return status;
  if (!igd::known(net, input) || input == 0 || scale == nullptr || shift == nullptr || value == nullptr) {
    return igd::fail(IGD_INVALID_ARGUMENT,
                     "igd_net_affine: expected a computed value and non-null arrays, got value %d of %d", input,
                     static_cast<int>(net->values.size()));
  }
  const Value in = net->values[static_cast<size_t>(input)];
  const int index = static_cast<int>(net->ops.size());
  Operation op;
  op.kind = Kind::kAffine;
  op.in = input;
  op.relu = relu != 0;
  op.scale.assign(static_cast<size_t>(in.blocks * igd::kLanes), 0.0f);
  op.shift.assign(static_cast<size_t>(in.blocks * igd::kLanes), 0.0f);
  std::copy(scale, scale + in.c, op.scale.begin());
  std::copy(shift, shift + in.c, op.shift.begin());
  op.out = igd::add_value(net, in.c, in.h, in.w, relu != 0, index);
  igd::read_by(net, input, index);
  *value = op.out;
  net->ops.push_back(std::move(op));
  return IGD_OK;
}

igd_status igd_net_max_pool(igd_net* net, int input, int64_t kernel, int64_t stride, int64_t padding,
                            int* value) {
  const igd_status status = igd::unsealed("igd_net_max_pool", net);
  if (status != IGD_OK) return status;
  if (!igd::known(net, input) || input == 0 || value == nullptr || kernel < 1 || kernel > 15 || stride < 1 ||
      padding < 0 || 2 * padding > kernel) {
    return igd::fail(IGD_INVALID_ARGUMENT,
                     "igd_net_max_pool: expected a computed value, kernel 1..15, stride above 0 and padding up "
                     "to half the kernel, got value %d, kernel %lld, stride %lld, padding %lld",
                     input, static_cast<long long>(kernel), static_cast<long long>(stride),
                     static_cast<long long>(padding));
  }
  const Value in = net->values[static_cast<size_t>(input)];
  if (in.h + 2 * padding < kernel || in.w + 2 * padding < kernel) {
    return igd::fail(IGD_INVALID_ARGUMENT, "igd_net_max_pool: the map %lld x %lld is smaller than the kernel",
                     static_cast<long long>(in.h), static_cast<long long>(in.w));
  }
  const int index = static_cast<int>(net->ops.size());
  Operation op;
  op.kind = Kind::kMaxPool;
  op.in = input;
  op.kernel = kernel;
  op.stride = stride;
  op.padding = padding;
  op.out = igd::add_value(net, in.c, (in.h + 2 * padding - kernel) / stride + 1,
                          (in.w + 2 * padding - kernel) / stride + 1, false, index);
  igd::read_by(net, input, index);
  *value = op.out;
  net->ops.push_back(std::move(op));
  return IGD_OK;
}

igd_status igd_net_seal(igd_net* net) {
  const igd_status status = igd::unsealed("igd_net_seal", net);
  if (status != IGD_OK) return status;
  if (net->ops.empty()) return igd::fail(IGD_INVALID_ARGUMENT, "igd_net_seal: the network has no operation");
  igd::pair_values(net);
  igd::plan_operations(net);
  igd::place_values(net);
  net->sealed = true;
  return IGD_OK;
}

static igd_status check_pass(const char* function, const igd_net* net, int from, int also, int to, int64_t n) {
  const igd_status status = igd::sealed(function, net);
  if (status != IGD_OK) return status;
  if (!igd::known(net, from) || !igd::known(net, to) || n < 1 ||
      net->values[static_cast<size_t>(from)].producer >= net->values[static_cast<size_t>(to)].producer) {
    return igd::fail(IGD_INVALID_ARGUMENT,
                     "%s: expected at least 1 image and a value that follows from another, got %lld images from "
                     "value %d to value %d of %d",
                     function, static_cast<long long>(n), from, to, static_cast<int>(net->values.size()));
  }
  // Everything on the way must come from `from`.
  for (int i = net->values[static_cast<size_t>(from)].producer + 1;
       i <= net->values[static_cast<size_t>(to)].producer; ++i) {
    const Operation& op = net->ops[static_cast<size_t>(i)];
    if (also >= 0 && op.out == also) continue;
    for (int v : {op.in, op.residual}) {
      if (v >= 0 && v != from && v != also &&
          net->values[static_cast<size_t>(v)].producer <= net->values[static_cast<size_t>(from)].producer) {
        return igd::fail(IGD_INVALID_ARGUMENT, "%s: value %d is also needed to compute value %d from value %d",
                         function, v, to, from);
      }
    }
  }
  return IGD_OK;
}

igd_status igd_net_forward(igd_net* net, int from, int to, int64_t n, const float* x, int64_t stride_n,
                           int64_t stride_c, int64_t stride_h, int64_t stride_w, float* y, igd_tape** tape) {
  const igd_status status = check_pass("igd_net_forward", net, from, -1, to, n);
  if (status != IGD_OK) return status;
  if (x == nullptr || y == nullptr) {
    return igd::fail(IGD_INVALID_ARGUMENT, "igd_net_forward: x, y: expected addresses, got NULL");
  }
  igd::Inputs images;
  images.x = {x, stride_n, stride_c, stride_h, stride_w};
  if (tape == nullptr) {
    return igd::forward(net, from, to, n, images, y);
  }
  *tape = nullptr;
  std::unique_ptr<igd_tape> made(new (std::nothrow) igd_tape);
  if (made == nullptr) return igd::fail(IGD_OUT_OF_MEMORY, "igd_net_forward: no memory");
  made->net = net;
  made->from = from;
  made->to = to;
  made->n = n;
  const igd_status done = igd::forward(net, from, to, n, images, y, made.get());
  if (done == IGD_OK) *tape = made.release();
  return done;
}

igd_status igd_net_forward_joined(igd_net* net, int from, int also, int to, int64_t n, const float* x,
                                  int64_t stride_n, int64_t stride_c, int64_t stride_h, int64_t stride_w,
                                  const float* x2, int64_t stride2_n, int64_t stride2_c, int64_t stride2_h,
                                  int64_t stride2_w, float* y) {
  const igd_status status = check_pass("igd_net_forward_joined", net, from, also, to, n);
  if (status != IGD_OK) return status;
  if (!igd::known(net, also) || also == from || also == 0 || from == 0 || x == nullptr || x2 == nullptr ||
      y == nullptr) {
    return igd::fail(IGD_INVALID_ARGUMENT,
                     "igd_net_forward_joined: expected two computed values and non-null addresses, got values "
                     "%d and %d",
                     from, also);
  }
  igd::Inputs inputs;
  inputs.x = {x, stride_n, stride_c, stride_h, stride_w};
  inputs.also = also;
  inputs.x2 = {x2, stride2_n, stride2_c, stride2_h, stride2_w};
  return igd::forward(net, from, to, n, inputs, y);
}

igd_status igd_net_forward_coarse(igd_net* net, igd_net* coarse_net, int from, int to, int64_t n, int64_t coarse,
                                  const float* x, int64_t stride_n, int64_t stride_c, int64_t stride_h,
                                  int64_t stride_w, float* y) {
  for (igd_net* each : {net, coarse_net}) {
    const igd_status status = check_pass("igd_net_forward_coarse", each, from, -1, to, n);
    if (status != IGD_OK) return status;
  }
  if (coarse < 0 || coarse > n || x == nullptr || y == nullptr) {
    return igd::fail(IGD_INVALID_ARGUMENT,
                     "igd_net_forward_coarse: expected 0 to %lld coarse images and non-null addresses, got %lld",
                     static_cast<long long>(n), static_cast<long long>(coarse));
  }
  for (int value : {from, to}) {
    const Value& v = net->values[static_cast<size_t>(value)];
    const Value& w = coarse_net->values[static_cast<size_t>(value)];
    if (v.c != w.c || v.h != w.h || v.w != w.w) {
      return igd::fail(IGD_INVALID_ARGUMENT,
                       "igd_net_forward_coarse: coarse_net: expected value %d of %lld x %lld x %lld as in net, got "
                       "%lld x %lld x %lld",
                       value, static_cast<long long>(v.c), static_cast<long long>(v.h), static_cast<long long>(v.w),
                       static_cast<long long>(w.c), static_cast<long long>(w.h), static_cast<long long>(w.w));
    }
  }
  igd::Inputs inputs;
  inputs.x = {x, stride_n, stride_c, stride_h, stride_w};
  if (coarse_net == net) return igd::forward(net, from, to, n, inputs, y);
  const int64_t fine = n - coarse;
  if (fine > 0 && coarse > 0 && n <= igd::kSingleImages && net->products == 6 && coarse_net->products < 6 &&
      igd::shares_layers(net, coarse_net)) {
    return igd::forward_few(net, from, to, n, inputs, y, coarse, coarse_net->products);
  }
  const Value& v = net->values[static_cast<size_t>(to)];
  igd_status status = IGD_OK;
  if (fine > 0) status = igd::forward(net, from, to, fine, inputs, y);
  if (status != IGD_OK || coarse == 0) return status;
  return igd::forward(coarse_net, from, to, coarse, inputs.from_image(fine), y + fine * v.h * v.w * v.c);
}

igd_status igd_net_backward(const igd_tape* tape, const float* grad_y, float* grad_x, int64_t stride_n,
                            int64_t stride_c, int64_t stride_h, int64_t stride_w) {
  if (tape == nullptr || grad_y == nullptr || grad_x == nullptr) {
    return igd::fail(IGD_INVALID_ARGUMENT, "igd_net_backward: expected a tape and addresses, got NULL");
  }
  igd_net* net = tape->net;
  std::call_once(net->transposed, [net] {
    for (Operation& op : net->ops) {
      if (op.kind == Kind::kConv) {
        op.transposed =
            igd::transpose_weights(op.weights, net->values[static_cast<size_t>(op.in)].lanes(), net->products);
      }
    }
  });
  const Value& v = net->values[static_cast<size_t>(tape->to)];
  const igd::Images x = {nullptr, stride_n, stride_c, stride_h, stride_w};
  const int64_t many = igd::side_by_side(net, tape->from, tape->to, tape->n);
  std::atomic<bool> failed{false};
  igd::each_group((many + igd::kRows - 1) / igd::kRows, igd::work_between(net, tape->from, tape->to, many),
                  [&](int64_t g, int workers) {
                    igd::Slab gradients(&net->gradient_slabs);
                    if (gradients.get() == nullptr) {
                      failed.store(true);
                      return;
                    }
                    const igd::Pass p = {net,
                                         &igd::kernels_for(net->products),
                                         igd::Place::kReused,
                                         nullptr,
                                         static_cast<int>(std::min(igd::kRows, tape->n - g * igd::kRows)),
                                         workers,
                                         tape->from,
                                         tape->to,
                                         tape->slabs[static_cast<size_t>(g)]};
                    igd::Backward(p, gradients.get())
                        .run(grad_y + g * igd::kRows * v.h * v.w * v.c, grad_x + g * igd::kRows * stride_n, x);
                  });
  if (failed.load()) return igd::fail(IGD_OUT_OF_MEMORY, "igd_net_backward: no memory");
  const int64_t parts = (tape->n - many + igd::kFewAtOnce - 1) / igd::kFewAtOnce;
  for (int64_t part = 0; part < parts; ++part) {
    const int64_t begin = many + (tape->n - many) * part / parts, end = many + (tape->n - many) * (part + 1) / parts;
    const igd_status status = igd::backward_few(tape, begin, end - begin, grad_y, grad_x, x);
    if (status != IGD_OK) return status;
  }
  return IGD_OK;
}

void igd_tape_free(igd_tape* tape) { delete tape; }

igd_status igd_net_shape(const igd_net* net, int value, int64_t* shape) {
  if (net == nullptr || shape == nullptr || !igd::known(net, value)) {
    return igd::fail(IGD_INVALID_ARGUMENT, "igd_net_shape: expected a network, one of its values and an address");
  }
  const Value& v = net->values[static_cast<size_t>(value)];
  shape[0] = v.c;
  shape[1] = v.h;
  shape[2] = v.w;
  return IGD_OK;
}

}  // extern "C"

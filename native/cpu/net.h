// A compiled convolutional network: values, operations and the plans that the tile kernels follow.
//
// Numbers are held as sums of bfloat16 parts, one plane each: 1 (bfloat16), 2 (16 bits of mantissa) or 3 (all of a
// float32); products are those of parts i and j with i + j < parts: 1, 3 or 6, added in float32.
// Channels come in blocks of 32. Two layouts:
//   batch   16 images side by side: [pixel][block][plane][image 16][channel 32]. A tile's rows are images, so
//           that every pixel has its own list of taps: no padding is stored and none is multiplied.
//   single  one image: [block][position][plane][channel 32], positions being the pixels of the map with a
//           border of one zero pixel. A tile's rows are neighbouring positions.
// Both add up in the same order, so that an image's values are bitwise the same in either and in any batch.
// Maps of up to 16 channels are held as pairs where the operations around them allow it: two neighbouring pixels of a
// row are one pixel of 32 lanes (16 channels of the left one, then 16 of the right one), and the map has half the
// columns.
#ifndef IGD_CPU_NET_H_
#define IGD_CPU_NET_H_

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <mutex>
#include <new>
#include <vector>

#include "net_kernels.h"

namespace igd {

// Memory for tiles: whole cache lines (a tile's row that crosses a line takes two loads), huge pages where large.
// nullptr if there is none; free() it.
void* tile_memory(size_t bytes);

template <typename T>
struct TileAllocator {
  typedef T value_type;
  TileAllocator() = default;
  template <typename U>
  TileAllocator(const TileAllocator<U>&) {}
  T* allocate(size_t n) {
    void* memory = tile_memory(n * sizeof(T));
    if (memory == nullptr) throw std::bad_alloc();
    return static_cast<T*>(memory);
  }
  void deallocate(T* p, size_t) { free(p); }
  bool operator==(const TileAllocator&) const { return true; }
  bool operator!=(const TileAllocator&) const { return false; }
};
typedef std::vector<Bf16, TileAllocator<Bf16>> TileVector;

// ---- plans ----

// Units [begin,end) whose sources, elements [source_begin,source_end), fit the second-level cache together.
struct Strip {
  int32_t begin;
  int32_t end;
  int64_t source_begin;
  int64_t source_end;
  int64_t row_end;  // the strip's last row of the destination, and 1
};

struct BatchPlan {
  std::vector<Unit> units;
  std::vector<Tap> taps;
  std::vector<Strip> strips;
  bool local = false;  // taps count from the strip's source_begin
};

// Neighbouring positions that are copied together.
struct Run {
  int32_t from;
  int32_t to;
  int32_t count;
};

struct SinglePlan {
  std::vector<PositionTile> tiles;
  std::vector<Tap> taps;  // offsets from the source position, elements
  // How a block is copied before it is read, so that all rows of the tiles are pixels: `positions` of them. Empty:
  // the tiles read the map itself.
  std::vector<Run> runs;
  int64_t positions = 0;
  int64_t step = 1;  // source positions from row to row of a tile
};

struct Weights {
  TileVector packed;  // [out block][in block][tap][plane][half 2][pair 16][out 16][2]
  const float* floats = nullptr;  // the same for few images, see SingleConv; or nullptr; not owned
  int64_t in_blocks = 0;
  int64_t out_blocks = 0;
  int64_t out_channels = 0;  // lanes, where pixels are pairs
  int64_t taps = 0;
};

// ---- the network ----

struct Value {
  int64_t c = 0;
  int64_t h = 0;
  int64_t w = 0;
  bool paired = false;
  int64_t columns = 0;  // as the engine has them: w, or w / 2 of pairs
  int64_t blocks = 0;
  // Lanes of a row of pixels or pairs that can be other than 0.
  int64_t lanes() const { return paired ? kLanes : c; }
  bool relu = false;   // the output of a ReLU: its gradient is masked where it is 0
  int producer = -1;   // operation; -1 for the input
  int first_use = -1;  // first operation that reads it
  int last_use = -1;
  int64_t kept_at = 0;      // elements, in a slab that keeps every value (16 images)
  int64_t gradient_at = 0;  // elements, in a slab of gradients whose places are used again
  int64_t tape_at = -1;     // bytes, in a slab of what the backward pass needs: a ReLU's output's signs, [pixel][block]
                            // [image 16] words of a bit per channel; a pool's choices, [pixel][block][image 16][32] bytes
  int64_t reused_at = 0;  // elements, in a slab whose places are used again
  int64_t single_at = 0;  // elements, in a slab of one image
  int64_t single_gradient_at = 0;  // elements, in a slab of one image's gradients
  int64_t positions = 0;  // padded positions of the single layout
};

// A convolution as a sum over rows and columns of maps whose columns are pixels or pairs.
struct Window {
  int64_t kernel = 1;  // rows
  int64_t stride = 1;
  int64_t padding = 0;
  int64_t columns = 1;  // of the kernel
  int64_t step = 1;     // columns of the source per column of the destination
  int64_t first = 0;    // source column of the kernel's first one, for destination column 0
  // By kernel column: the halves of a destination's lanes that it reaches, and, for the gradient, of a source's (bits
  // as in Tap).
  std::vector<int32_t> halves;
  std::vector<int32_t> source_halves;
  int64_t taps() const { return kernel * columns; }
};

enum class Kind { kPatches, kConv, kAffine, kMaxPool };

struct Operation {
  Kind kind = Kind::kConv;
  int in = -1;
  int out = -1;
  int residual = -1;
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t padding = 0;
  bool relu = false;
  Weights weights;     // of the window's taps, once the network is sealed
  Weights transposed;  // for the gradient, made at the first backward
  std::vector<float> bias;
  std::vector<float> scale;
  std::vector<float> shift;
  BatchPlan batch;
  double batch_taps = 0;  // of all units, those of one pixel counting less
  BatchPlan backward;
  SinglePlan single;
  SinglePlan dense;  // fewer tiles, after a copy; no tiles where that gains nothing
  std::vector<SinglePlan> single_backward;
};

// Reusable memory of one size. Thread-safe.
class SlabPool {
 public:
  SlabPool() = default;
  ~SlabPool();
  SlabPool(const SlabPool&) = delete;
  SlabPool& operator=(const SlabPool&) = delete;
  void size(int64_t elements) { bytes_ = elements * static_cast<int64_t>(sizeof(Bf16)); }
  Bf16* take();  // zeroed when new; nullptr if there is no memory
  void give(Bf16* slab);

 private:
  std::mutex mutex_;
  std::vector<Bf16*> free_;
  int64_t bytes_ = 0;
};

// The window of a kernel of pixels. `in` may be paired if `out` is or the stride is 2.
Window window_of(const Value& in, const Value& out, int64_t kernel, int64_t stride, int64_t padding);
// `patches`: the input is patches, made strip by strip (the window is 1x1): strips that leave room for both.
BatchPlan plan_batch(const Value& in, const Value& out, const Window& window, int products, bool patches = false);
// From the output's pixels back to the input's.
BatchPlan plan_backward(const Value& in, const Value& out, const Window& window, int products, bool patches = false);
SinglePlan plan_single(const Value& in, const Value& out, const Window& window, int products);
// From the output's pixels back to the input's: one plan for each place of a pixel in the window's steps, as these have
// taps of their own (with stride 2, four).
std::vector<SinglePlan> plan_single_backward(const Value& in, const Value& out, const Window& window, int products);
SinglePlan plan_dense(const Value& in, const Value& out, const Window& window, int products, const SinglePlan& single);
// Packed weights of the kernel of pixels, arranged for the window.
Weights pair_weights(const Weights& weights, const Value& in, const Value& out, const Window& window, int products);
Weights pack_weights(const float* weight, int64_t out_channels, int64_t in_channels, int64_t taps,
                     int products);
// The parts of a weight held by 3 planes.
void split_weight(float value, Bf16 parts[3]);
// The packed weights of 6 products as floats, see SingleConv; `floats` holds float_weights_size() of them.
int64_t float_weights_size(const Weights& weights);
void unpack_floats(const Weights& weights, float* floats);
// The weights with input and output channels exchanged, from the packed ones.
Weights transpose_weights(const Weights& weights, int64_t in_channels, int products);

inline int64_t planes_of(int products) { return products == 1 ? 1 : products == 3 ? 2 : 3; }
inline RowLayout batch_layout() { return {kLanes, kTile}; }
inline RowLayout single_layout(int products) { return {planes_of(products) * kLanes, kLanes}; }
// Elements of one pixel's block in the batch layout.
inline int64_t batch_block(int products) { return planes_of(products) * kTile; }

}  // namespace igd

#endif  // IGD_CPU_NET_H_

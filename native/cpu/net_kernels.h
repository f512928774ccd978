// What the tile kernels of compiled networks get: plain structures, as their file is compiled for instruction sets
// that the rest of the library must not use (no standard library here, see simd.h).
#ifndef IGD_CPU_NET_KERNELS_H_
#define IGD_CPU_NET_KERNELS_H_

#include <stdint.h>

namespace igd {

typedef uint16_t Bf16;

constexpr int64_t kLanes = 32;             // channels of a block
constexpr int64_t kRows = 16;              // rows of a tile
constexpr int64_t kTile = kRows * kLanes;  // elements of a tile

// Where the 32 channels of a row lie: row r, plane p at base + r*row + p*plane.
struct RowLayout {
  int64_t row;
  int64_t plane;
};

// Destination pixels that share their taps: `second` is -1 if there is only one.
struct Unit {
  int32_t first;
  int32_t second;
  int32_t taps;     // number of taps
  int32_t taps_at;  // index of the first tap
};

// Weight tap, the source offsets (elements) of the two pixels, and the halves of the 32 output channels that have
// weights other than 0 there (bit 0: the lower 16, bit 1: the upper; read in the batch layout, for wide blocks).
struct Tap {
  int32_t tap;
  int32_t first;
  int32_t second;
  int32_t halves;
};

// 16 neighbouring positions: the source position of the first, and the destination positions (-1: none), with the numbers
// of these pixels in their map.
struct PositionTile {
  int32_t source;
  int32_t to[kRows];
  int32_t pixel[kRows];
};

// Packed weights of one output block: [in block][tap][plane][half 2][pair 16][out 16][2].
struct BlockWeights {
  const Bf16* packed;
  const float* bias;  // [32] or NULL
  int64_t in_blocks;
  bool wide;  // more than 16 output channels
};

struct MemoryRange {
  const void* begin;
  int64_t bytes;
};

// One call of the convolution kernel on 16 images, output block `block` of `out_blocks`.
struct BatchConv {
  const Bf16* in;
  Bf16* out;
  const Bf16* addend;    // added before the non-linearity; or NULL
  const uint32_t* mask;  // [pixel][block][image 16]: result kept in channels whose bit is set; or NULL
  uint32_t* positive;    // where to write such bits: set where the result is above 0; or NULL
  BlockWeights weights;
  const Unit* units;
  int64_t unit_count;
  const Tap* taps;
  int64_t tap_count;  // of the whole kernel
  int64_t block;
  int64_t out_blocks;
  int rows;
  bool relu;
  int64_t chunk_blocks;  // input blocks that all units add before the next ones; 0: all
  float (*sums)[256];    // [unit][4], if there are chunks
  MemoryRange ahead[2];  // prefetched, as the next call needs it
};

struct SingleImage {
  const Bf16* in;
  Bf16* out;
  const Bf16* addend;    // or NULL
  const uint32_t* mask;  // as in BatchConv, of this image: every 16th word; or NULL
  uint32_t* positive;    // likewise
  int products;          // the network's, or fewer: only those of the first parts, the further planes being unused
};

// The same on one image, or on two at a time, the one of more products first.
struct SingleConv {
  SingleImage images[2];
  int image_count;
  BlockWeights weights;
  const PositionTile* tiles;
  int64_t tile_count;
  const Tap* taps;
  int32_t tap_count;   // of these
  int32_t all_taps;    // of the weights; all of them come in order, some of them do not read `floats`
  int64_t in_positions;
  int64_t block;
  int64_t out_blocks;
  int64_t stride;
  bool relu;
  // The same weights as floats, [in block][tap][half 2][pair 16][even inputs: out 16][odd inputs: out 16], or NULL; and
  // room for their parts (as in `weights`), which the kernel fills unless it is filled. Kept: filled entirely, as it is
  // read again with other tiles or another image.
  const float* floats;
  Bf16* panel;
  bool panel_filled;
  bool panel_kept;
  // This output block and the next, both wide; their weights follow each other. Best for one tile; the panel needs room
  // for 4 steps only.
  bool two;
  int64_t out_step;  // elements from an output block's first position to the next one's
};

// out = mask(relu(in * scale + shift + addend)) on `rows` rows of one block.
struct RowsMap {
  const Bf16* in;
  Bf16* out;
  const Bf16* addend;
  const uint32_t* mask;  // bits of a row as in BatchConv; or NULL
  uint32_t* positive;    // or NULL
  int64_t sign_step;     // words from a row's bits to the next row's
  const float* scale;  // [32] or NULL
  const float* shift;  // [32] or NULL
  RowLayout layout;
  int64_t rows;
  bool relu;
};

// Patches of one row of an image as channels: row i of block b gets values[i * step + offsets[b * 32 + lane]], or 0
// where an offset is negative.
struct PatchRows {
  const float* values;
  const int32_t* offsets;
  int64_t blocks;
  int64_t count;
  int64_t step;
  Bf16* out;
  int64_t out_step;
  int64_t block_step;
  int64_t plane;
};

// Rows of one block as floats, exchanged: out[lane * out_step + i] is lane `lane` of the row at in + i * step.
struct LaneRows {
  const Bf16* in;
  int64_t step;
  int64_t plane;
  int64_t count;
  float* out;  // [32][out_step]
  int64_t out_step;
};

// The largest of `count` source rows, `rows` times, a row being 32 elements on; and which it was, the first of equals.
struct PoolRows {
  const Bf16* in;
  const int64_t* sources;  // elements
  const uint8_t* taps;     // what `choices` calls them
  int64_t count;           // at least 1
  Bf16* out;
  uint8_t* choices;  // [row][32] or NULL
  int64_t plane;
  int64_t rows;
};

struct NetKernels {
  void (*conv_batch)(const BatchConv& task);
  void (*conv_single)(const SingleConv& task);
  void (*rows_map)(const RowsMap& task);
  void (*patch_rows)(const PatchRows& task);
  void (*lane_rows)(const LaneRows& task);
  void (*pool_rows)(const PoolRows& task);
  // 32 floats <-> one row of planes.
  void (*row_store)(const float* values, Bf16* row, int64_t plane);
  void (*row_load)(const Bf16* row, int64_t plane, float* values);
};

// One table per number of products (1, 3 or 6), for any machine; the AMX ones only where the processor has them.
const NetKernels& net_kernels_portable(int products);
#if defined(IGD_HAVE_AMX)
const NetKernels& net_kernels_amx(int products);
#endif

}  // namespace igd

#endif  // IGD_CPU_NET_KERNELS_H_

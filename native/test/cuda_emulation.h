// The part of the CUDA execution model that our kernels use, on the CPU.
//
// Every CUDA thread of a block is a fiber; blocks run one after another (so shared memory is static). Barriers,
// shuffles and votes are exchanges at the scheduler. The orders of blocks and of threads are permutations drawn from
// a seed. Streams are queues: a launch is kept until synchronize(), streams take turns in a seeded order.
// What it finds: wrong indices; barriers and votes that not all threads reach, or reach at different lines; missing
// barriers that show in results; uninitialised shared memory (all of it is 0xff, a NaN, when a block starts); memory
// that two blocks touch in one launch while one of them writes (global races); under the thread sanitizer, races
// within a block, deterministically, for fibers are told to it as threads and only barriers order them; under the
// address sanitizer, every overrun of global, shared or dynamic shared memory.
// What it does not know: speed, the memory hierarchy, more than one grid dimension, atomics, textures.
// It counts launches, the bytes that kernels ask for and the 32-byte sectors that they touch.
#ifndef IGD_CUDA_EMULATION_H_
#define IGD_CUDA_EMULATION_H_

#include <math.h>
#include <stdint.h>
#include <string.h>

#include <functional>
#include <map>
#include <string>

#include "numbers.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define IGD_UNROLL
#define IGD_SHARED(T, name, count)                                                 \
  static T name[count];                                                            \
  static const bool name##_known = igd_emulation::know_shared(name, sizeof(name)); \
  (void)name##_known
#define IGD_DYNAMIC_SHARED(T, name) T* const name = static_cast<T*>(igd_emulation::dynamic_shared())

struct alignas(16) uint4 {
  uint32_t x, y, z, w;
};
struct EmulatedIndex {
  unsigned x;
};
extern EmulatedIndex threadIdx;
extern EmulatedIndex blockIdx;

typedef struct EmulatedStream* cudaStream_t;
typedef int cudaError_t;
constexpr cudaError_t cudaSuccess = 0;
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize };
cudaError_t cudaGetLastError();
const char* cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetDeviceCount(int* count);
// Refuses more than 99 KiB, what the smallest supported device has.
cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int bytes);

namespace igd_emulation {

using igd_numbers::float_to_bfloat;
using igd_numbers::float_to_half;
using igd_numbers::half_to_float;

// What one kernel did.
struct Counts {
  int64_t launches = 0;
  int64_t requested_read = 0, requested_written = 0;  // bytes
  int64_t sectors_read = 0, sectors_written = 0;      // distinct ones of 32 bytes, per launch
  int64_t wide = 0, narrow = 0;                       // accesses of 16 bytes, and smaller ones
  int64_t bytes() const { return 32 * (sectors_read + sectors_written); }
  int64_t requested() const { return requested_read + requested_written; }
};

// Of the orders of blocks, threads and streams.
void set_seed(uint64_t seed);
// Runs what all streams have queued.
void synchronize();
// Launches that are queued and have not run: of all streams, of one.
int64_t pending();
int64_t pending(cudaStream_t stream);
// Forgets them.
void drop_pending();
// Since the last reset_counts(), by kernel; synchronize() first.
const std::map<std::string, Counts>& counts();
void reset_counts();
// Places that two blocks of one launch touched, one of them writing, since the start.
int64_t global_races();
// Lets the launch after the next `after` ones report an error; -1: none.
void fail_launch(int after);

void enqueue(const char* name, int64_t blocks, int64_t shared_bytes, cudaStream_t stream,
             std::function<void()> body);

template <typename... Parameters, typename... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), int64_t blocks, int64_t shared_bytes,
            cudaStream_t stream, Arguments... arguments) {
  enqueue(name, blocks, shared_bytes, stream, [=] { kernel(static_cast<Parameters>(arguments)...); });
}

// For the kernels.
bool know_shared(void* memory, size_t bytes);
void* dynamic_shared();
void touch(const void* p, int bytes, bool write);
void barrier(int line);
unsigned vote(unsigned mask, bool predicate, int line);
// The bits that the lane `lane ^ lane_mask` gave.
uint64_t exchange(unsigned mask, uint64_t bits, int lane_mask, int line);

}  // namespace igd_emulation

inline void __syncthreads(int line = __builtin_LINE()) { igd_emulation::barrier(line); }
inline unsigned __ballot_sync(unsigned mask, bool predicate, int line = __builtin_LINE()) {
  return igd_emulation::vote(mask, predicate, line);
}
inline bool __any_sync(unsigned mask, bool predicate, int line = __builtin_LINE()) {
  return igd_emulation::vote(mask, predicate, line) != 0;
}
inline bool __all_sync(unsigned mask, bool predicate, int line = __builtin_LINE()) {
  return igd_emulation::vote(mask, predicate, line) == 0xffffffffu;
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width, int line = __builtin_LINE()) {
  static_assert(sizeof(T) <= 8, "shuffles exchange up to 8 bytes");
  (void)width;  // always the warp here
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof(T));
  bits = igd_emulation::exchange(mask, bits, lane_mask, line);
  memcpy(&value, &bits, sizeof(T));
  return value;
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int min(int a, int b) { return a < b ? a : b; }

#endif  // IGD_CUDA_EMULATION_H_

// The part of the CUDA execution model that our kernels use, on the CPU: every CUDA thread of a block is a
// fiber, blocks run one after another (so shared memory is static), barriers and shuffles are exchanges at
// the scheduler. Fibers run in an order that changes with every block. Finds wrong indices, missing barriers
// that show in results, shuffles and barriers that not all threads reach; knows nothing of speed or of races
// between blocks. One launch at a time.
#ifndef IGD_CUDA_EMULATION_H_
#define IGD_CUDA_EMULATION_H_

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <functional>
#include <memory>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline
#define __shared__ static

struct EmulatedIndex {
  unsigned x;
};
extern EmulatedIndex threadIdx;
extern EmulatedIndex blockIdx;

typedef void* cudaStream_t;
typedef int cudaError_t;
constexpr cudaError_t cudaSuccess = 0;
enum cudaMemcpyKind { cudaMemcpyDeviceToDevice };
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline const char* cudaGetErrorString(cudaError_t) { return "none"; }
inline cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t) {
  memcpy(to, from, bytes);
  return cudaSuccess;
}

namespace igd_emulation {

constexpr int kBlockThreads = 256;
constexpr int kWarpThreads = 32;
enum class State { kReady, kAtBarrier, kAtShuffle, kDone };

struct Fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack;
  void* fake_stack;  // of the address sanitizer
  State state;
};

struct Block {
  Fiber fibers[kBlockThreads];
  ucontext_t scheduler;
  const void* scheduler_stack;
  size_t scheduler_stack_bytes;
  const std::function<void()>* body;
  int current;
  unsigned char slots[kBlockThreads][8];
};
Block& block();

// Runs `body` as all threads of all blocks.
void run(int64_t blocks, const std::function<void()>& body);

// Leaves the running fiber until the scheduler has seen all its partners in the same state.
void wait(State state);

template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), int64_t blocks, cudaStream_t, Arguments... arguments) {
  run(blocks, [&] { kernel(static_cast<Parameters>(arguments)...); });
}

}  // namespace igd_emulation

inline void __syncthreads() { igd_emulation::wait(igd_emulation::State::kAtBarrier); }

template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width) {
  using namespace igd_emulation;
  Block& b = block();
  const int me = b.current;
  if (mask != 0xffffffffu || lane_mask >= width) {
    fprintf(stderr, "emulation: a shuffle with mask %x, lane mask %d, width %d\n", mask, lane_mask, width);
    abort();
  }
  memcpy(b.slots[me], &value, sizeof(value));
  wait(State::kAtShuffle);
  memcpy(&value, b.slots[me / kWarpThreads * kWarpThreads + (me % kWarpThreads ^ lane_mask)], sizeof(value));
  wait(State::kAtShuffle);  // before the slots are written again
  return value;
}

#endif  // IGD_CUDA_EMULATION_H_

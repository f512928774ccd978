// Scheduler of the CUDA emulation.
#include "cuda_emulation.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

EmulatedIndex threadIdx;
EmulatedIndex blockIdx;

namespace igd_emulation {

Block& block() {
  static Block instance;
  return instance;
}

namespace {

constexpr size_t kStackBytes = 64 * 1024;

// The address sanitizer must be told of every switch between stacks.
void leave_stack(void** fake_stack, const void* stack, size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(fake_stack, stack, bytes);
#else
  (void)fake_stack, (void)stack, (void)bytes;
#endif
}
void arrive(void* fake_stack, const void** from_stack, size_t* from_bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake_stack, from_stack, from_bytes);
#else
  (void)fake_stack, (void)from_stack, (void)from_bytes;
#endif
}

// From the running fiber to the scheduler; returns when the fiber is resumed (never after kDone).
void to_scheduler(State state) {
  Block& b = block();
  Fiber& fiber = b.fibers[b.current];
  fiber.state = state;
  leave_stack(state == State::kDone ? nullptr : &fiber.fake_stack, b.scheduler_stack,
              b.scheduler_stack_bytes);
  swapcontext(&fiber.context, &b.scheduler);
  arrive(fiber.fake_stack, nullptr, nullptr);
}

void to_fiber(Fiber& fiber) {
  Block& b = block();
  void* own_fake_stack = nullptr;
  leave_stack(&own_fake_stack, fiber.stack.get(), kStackBytes);
  swapcontext(&b.scheduler, &fiber.context);
  arrive(own_fake_stack, nullptr, nullptr);
}

void enter() {
  Block& b = block();
  arrive(nullptr, &b.scheduler_stack, &b.scheduler_stack_bytes);
  (*b.body)();
  to_scheduler(State::kDone);
}

// All fibers of [first, first + count) in `state`: makes them ready.
bool release(int first, int count, State state) {
  Block& b = block();
  for (int i = first; i < first + count; ++i) {
    if (b.fibers[i].state != state) return false;
  }
  for (int i = first; i < first + count; ++i) b.fibers[i].state = State::kReady;
  return true;
}

void run_block(uint64_t seed) {
  Block& b = block();
  for (Fiber& fiber : b.fibers) {
    if (!fiber.stack) fiber.stack.reset(new char[kStackBytes]);
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStackBytes;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, enter, 0);
    fiber.state = State::kReady;
  }
  const int step = static_cast<int>(seed * 2 + 1) % kBlockThreads;  // odd: visits every thread
  for (;;) {
    bool moved = false, all_done = true;
    for (int i = 0; i < kBlockThreads; ++i) {
      const int thread = static_cast<int>((static_cast<unsigned>(i * step) + seed) % kBlockThreads);
      Fiber& fiber = b.fibers[thread];
      all_done = all_done && fiber.state == State::kDone;
      if (fiber.state != State::kReady) continue;
      moved = true;
      b.current = thread;
      threadIdx.x = static_cast<unsigned>(thread);
      to_fiber(fiber);
    }
    if (all_done) return;
    for (int warp = 0; warp < kBlockThreads; warp += kWarpThreads) {
      moved = release(warp, kWarpThreads, State::kAtShuffle) || moved;
    }
    moved = release(0, kBlockThreads, State::kAtBarrier) || moved;
    if (!moved) {
      fprintf(stderr, "emulation: block %u: a barrier or shuffle that not all threads reach\n", blockIdx.x);
      abort();
    }
  }
}

}  // namespace

void wait(State state) { to_scheduler(state); }

void run(int64_t blocks, const std::function<void()>& body) {
  block().body = &body;
  for (int64_t i = 0; i < blocks; ++i) {
    blockIdx.x = static_cast<unsigned>(i);
    run_block(static_cast<uint64_t>(i) * 37 + 11);
  }
}

}  // namespace igd_emulation

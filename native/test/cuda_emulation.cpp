// Scheduler of the CUDA emulation. Compiled without the thread sanitizer, which is told of the fibers by hand: what
// the scheduler itself does orders nothing.
#include "cuda_emulation.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

#include <deque>
#include <memory>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(IGD_EMULATION_TSAN)
#include <sanitizer/tsan_interface.h>
#endif

EmulatedIndex threadIdx;
EmulatedIndex blockIdx;

#if defined(__x86_64__)
// Saves the registers that a function must keep and the stack pointer, and goes on where `load` was saved: a twentieth
// of the time of swapcontext, which asks the kernel for the signal mask.
extern "C" void igd_switch_stack(void** save, void* load);
asm(R"(
.text
.globl igd_switch_stack
.hidden igd_switch_stack
.type igd_switch_stack, @function
igd_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size igd_switch_stack, .-igd_switch_stack
)");
#endif

namespace igd_emulation {
namespace {

#if defined(__x86_64__)
struct Context {
  void* stack_pointer = nullptr;
};
void switch_context(Context* save, Context* load) {
  igd_switch_stack(&save->stack_pointer, load->stack_pointer);
}
void make_context(Context* context, char* stack, size_t bytes, void (*entry)()) {
  const uintptr_t top = (reinterpret_cast<uintptr_t>(stack) + bytes) / 16 * 16;
  void** slots = reinterpret_cast<void**>(top) - 8;  // six registers, where to go, no caller
  for (int i = 0; i < 8; ++i) slots[i] = nullptr;
  slots[6] = reinterpret_cast<void*>(entry);
  context->stack_pointer = slots;
}
#else
struct Context {
  ucontext_t context;
};
void switch_context(Context* save, Context* load) { swapcontext(&save->context, &load->context); }
void make_context(Context* context, char* stack, size_t bytes, void (*entry)()) {
  getcontext(&context->context);
  context->context.uc_stack.ss_sp = stack;
  context->context.uc_stack.ss_size = bytes;
  context->context.uc_link = nullptr;
  makecontext(&context->context, entry, 0);
}
#endif

constexpr int kBlockThreads = 256;
constexpr int kWarpThreads = 32;
constexpr size_t kStackBytes = 64 * 1024;
constexpr size_t kSectorSlots = size_t(1) << 18;
constexpr int kGranules = 16;  // of 2 bytes, per sector
constexpr int kMostShared = 256;
enum class State { kReady, kAtBarrier, kAtWarp, kDone };

struct Fiber {
  Context context;
  std::unique_ptr<char[]> stack;
  void* fake_stack = nullptr;  // of the address sanitizer
  void* thread = nullptr;      // of the thread sanitizer
  State state = State::kDone;
  int line = 0;      // of the barrier or warp operation that it waits at
  int barriers = 0;  // passed in this block
  int exchanges = 0;
};

struct Launch {
  std::string name;
  int64_t blocks;
  size_t shared_bytes;
  std::function<void()> body;
};

// Who touched a sector in this launch: per 2 bytes the block that wrote and the one that read (-1 none, -2 several).
struct Sector {
  uintptr_t address;
  uint64_t launch;
  bool read, written;
  int32_t writer[kGranules], reader[kGranules];
};

struct Emulator {
  Fiber fibers[kBlockThreads];
  bool started = false;
  Context scheduler;
  void* scheduler_thread = nullptr;
  const void* scheduler_stack = nullptr;
  size_t scheduler_stack_bytes = 0;
  const std::function<void()>* body = nullptr;
  int current = 0;
  int32_t block = 0;
  uint64_t slots[2][kBlockThreads];
  char start_token, end_token, barrier_token[2];

  uint64_t seed = 1, state = 1;
  std::map<cudaStream_t, std::deque<Launch>> streams;
  cudaError_t error = cudaSuccess;
  int fail_after = -1;

  struct Shared {
    void* memory;
    size_t bytes;
  } shared[kMostShared];
  int shared_count = 0;
  std::unique_ptr<char[]> dynamic;

  std::vector<Sector> sectors;
  uint64_t launch_number = 0;
  size_t sectors_used = 0;
  Counts* now = nullptr;
  std::map<std::string, Counts> counts;
  int64_t races = 0;
};

Emulator& emulator() {
  static Emulator* instance = new Emulator;  // fibers outlive main's statics
  return *instance;
}

[[noreturn]] __attribute__((format(printf, 1, 2))) void die(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "emulation: block %u, thread %u: ", blockIdx.x, threadIdx.x);
  vfprintf(stderr, format, arguments);
  fprintf(stderr, "\n");
  va_end(arguments);
  _Exit(3);
}

uint64_t draw() {
  Emulator& e = emulator();
  uint64_t x = e.state += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

template <typename I>
void permute(std::vector<I>* order) {
  for (size_t i = 0; i < order->size(); ++i) (*order)[i] = static_cast<I>(i);
  for (size_t i = order->size(); i > 1; --i) std::swap((*order)[i - 1], (*order)[draw() % i]);
}

// The address sanitizer must be told of every switch between stacks, the thread sanitizer of every fiber.
void leave_stack(void** fake_stack, const void* stack, size_t bytes, void* thread) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(fake_stack, stack, bytes);
#else
  (void)fake_stack, (void)stack, (void)bytes;
#endif
#if defined(IGD_EMULATION_TSAN)
  __tsan_switch_to_fiber(thread, __tsan_switch_to_fiber_no_sync);
#else
  (void)thread;
#endif
}
void arrive(void* fake_stack, const void** from_stack, size_t* from_bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake_stack, from_stack, from_bytes);
#else
  (void)fake_stack, (void)from_stack, (void)from_bytes;
#endif
}
void release_to(void* token) {
#if defined(IGD_EMULATION_TSAN)
  __tsan_release(token);
#else
  (void)token;
#endif
}
void acquire_from(void* token) {
#if defined(IGD_EMULATION_TSAN)
  __tsan_acquire(token);
#else
  (void)token;
#endif
}

// From the running fiber to the scheduler; returns when the fiber is resumed.
void to_scheduler(State state) {
  Emulator& e = emulator();
  Fiber& fiber = e.fibers[e.current];
  fiber.state = state;
  leave_stack(&fiber.fake_stack, e.scheduler_stack, e.scheduler_stack_bytes, e.scheduler_thread);
  switch_context(&fiber.context, &e.scheduler);
  arrive(fiber.fake_stack, nullptr, nullptr);
}

void to_fiber(Fiber& fiber) {
  Emulator& e = emulator();
  void* own_fake_stack = nullptr;
  leave_stack(&own_fake_stack, fiber.stack.get(), kStackBytes, fiber.thread);
  switch_context(&e.scheduler, &fiber.context);
  arrive(own_fake_stack, nullptr, nullptr);
}

// A fiber runs its thread of every block.
void enter() {
  Emulator& e = emulator();
  arrive(nullptr, &e.scheduler_stack, &e.scheduler_stack_bytes);
  for (;;) {
    acquire_from(&e.start_token);
    (*e.body)();
    release_to(&e.end_token);
    to_scheduler(State::kDone);
  }
}

void start_fibers() {
  Emulator& e = emulator();
  if (e.started) return;
  e.started = true;
#if defined(IGD_EMULATION_TSAN)
  e.scheduler_thread = __tsan_get_current_fiber();
#endif
  for (Fiber& fiber : e.fibers) {
    fiber.stack.reset(new char[kStackBytes]);
#if defined(IGD_EMULATION_TSAN)
    fiber.thread = __tsan_create_fiber(0);
#endif
    make_context(&fiber.context, fiber.stack.get(), kStackBytes, enter);
  }
}

// All fibers of [first, first + count) in `state`, at the same line: makes them ready.
bool release(int first, int count, State state) {
  Emulator& e = emulator();
  for (int i = first; i < first + count; ++i) {
    if (e.fibers[i].state != state) return false;
  }
  for (int i = first; i < first + count; ++i) {
    if (e.fibers[i].line != e.fibers[first].line) {
      die("threads wait at line %d and line %d for each other", e.fibers[first].line, e.fibers[i].line);
    }
    e.fibers[i].state = State::kReady;
  }
  return true;
}

void run_block(size_t shared_bytes) {
  Emulator& e = emulator();
  for (int i = 0; i < e.shared_count; ++i) memset(e.shared[i].memory, 0xff, e.shared[i].bytes);
  // Of exactly the size that was asked for, so that the address sanitizer sees an overrun.
  e.dynamic.reset(shared_bytes > 0 ? new char[shared_bytes] : nullptr);
  if (shared_bytes > 0) memset(e.dynamic.get(), 0xff, shared_bytes);
  for (Fiber& fiber : e.fibers) {
    fiber.state = State::kReady;
    fiber.barriers = fiber.exchanges = 0;
  }
  std::vector<int> order(kBlockThreads);
  permute(&order);
  release_to(&e.start_token);
  for (;;) {
    bool moved = false, all_done = true;
    for (const int thread : order) {
      Fiber& fiber = e.fibers[thread];
      all_done = all_done && fiber.state == State::kDone;
      if (fiber.state != State::kReady) continue;
      moved = true;
      e.current = thread;
      threadIdx.x = static_cast<unsigned>(thread);
      to_fiber(fiber);
    }
    if (all_done) break;
    for (int warp = 0; warp < kBlockThreads; warp += kWarpThreads) {
      moved = release(warp, kWarpThreads, State::kAtWarp) || moved;
    }
    moved = release(0, kBlockThreads, State::kAtBarrier) || moved;
    if (!moved) die("a barrier, shuffle or vote that not all threads reach");
  }
  acquire_from(&e.end_token);
}

void run(const Launch& launch) {
  Emulator& e = emulator();
  start_fibers();
  if (e.sectors.empty()) e.sectors.resize(kSectorSlots);
  ++e.launch_number;
  e.sectors_used = 0;
  e.now = &e.counts[launch.name];
  ++e.now->launches;
  e.body = &launch.body;
  std::vector<int32_t> order(static_cast<size_t>(launch.blocks));
  permute(&order);
  for (const int32_t block : order) {
    e.block = block;
    blockIdx.x = static_cast<unsigned>(block);
    run_block(launch.shared_bytes);
  }
}

Sector& sector_of(uintptr_t address) {
  Emulator& e = emulator();
  size_t slot = static_cast<size_t>((address >> 5) * 0x9e3779b97f4a7c15ull >> 20) % kSectorSlots;
  for (;; slot = (slot + 1) % kSectorSlots) {
    Sector& s = e.sectors[slot];
    if (s.launch == e.launch_number && s.address == address) return s;
    if (s.launch != e.launch_number) {
      if (++e.sectors_used > kSectorSlots * 3 / 4)
        die("a launch that touches more than the harness can follow");
      s.address = address;
      s.launch = e.launch_number;
      s.read = s.written = false;
      for (int i = 0; i < kGranules; ++i) s.writer[i] = s.reader[i] = -1;
      return s;
    }
  }
}

void race(uintptr_t address, int32_t other) {
  Emulator& e = emulator();
  if (++e.races <= 5) {
    fprintf(stderr, "emulation: global race: blocks %d and %d at %#zx\n", e.block, other,
            static_cast<size_t>(address));
  }
}

}  // namespace

void set_seed(uint64_t seed) { emulator().state = emulator().seed = seed; }

void enqueue(const char* name, int64_t blocks, int64_t shared_bytes, cudaStream_t stream,
             std::function<void()> body) {
  Emulator& e = emulator();
  if (blocks < 1 || blocks > 2147483647 || shared_bytes < 0 || shared_bytes > 99 * 1024) {
    e.error = 9;  // cudaErrorInvalidConfiguration
    return;
  }
  if (e.fail_after == 0) {
    e.fail_after = -1;
    e.error = 719;  // cudaErrorLaunchFailure
    return;
  }
  if (e.fail_after > 0) --e.fail_after;
  e.streams[stream].push_back({name, blocks, static_cast<size_t>(shared_bytes), std::move(body)});
}

int64_t pending() {
  int64_t total = 0;
  for (const auto& stream : emulator().streams) total += static_cast<int64_t>(stream.second.size());
  return total;
}

int64_t pending(cudaStream_t stream) { return static_cast<int64_t>(emulator().streams[stream].size()); }
void drop_pending() { emulator().streams.clear(); }

void synchronize() {
  Emulator& e = emulator();
  while (pending() > 0) {
    std::vector<std::deque<Launch>*> waiting;
    for (auto& stream : e.streams) {
      if (!stream.second.empty()) waiting.push_back(&stream.second);
    }
    std::deque<Launch>& queue = *waiting[draw() % waiting.size()];
    const Launch launch = std::move(queue.front());
    queue.pop_front();
    run(launch);
  }
}

const std::map<std::string, Counts>& counts() { return emulator().counts; }
void reset_counts() { emulator().counts.clear(); }
int64_t global_races() { return emulator().races; }
void fail_launch(int after) { emulator().fail_after = after; }

bool know_shared(void* memory, size_t bytes) {
  Emulator& e = emulator();
  if (e.shared_count == kMostShared) die("more than %d shared arrays", kMostShared);
  e.shared[e.shared_count++] = {memory, bytes};
  memset(memory, 0xff, bytes);
  return true;
}

void* dynamic_shared() { return emulator().dynamic.get(); }

void touch(const void* p, int bytes, bool write) {
  Emulator& e = emulator();
  const uintptr_t address = reinterpret_cast<uintptr_t>(p);
  if (address % static_cast<uintptr_t>(bytes) != 0) die("an access of %d bytes that is not aligned", bytes);
  (write ? e.now->requested_written : e.now->requested_read) += bytes;
  ++(bytes == 16 ? e.now->wide : e.now->narrow);
  // Aligned accesses of up to 16 bytes lie in one sector.
  Sector& s = sector_of(address & ~uintptr_t(31));
  if (write && !s.written) s.written = true, ++e.now->sectors_written;
  if (!write && !s.read) s.read = true, ++e.now->sectors_read;
  const int first = static_cast<int>(address & 31) / 2;
  const int last = (static_cast<int>(address & 31) + bytes - 1) / 2;
  for (int i = first; i <= last; ++i) {
    if (s.writer[i] != -1 && s.writer[i] != e.block) race(address, s.writer[i]);
    if (write) {
      if (s.reader[i] != -1 && s.reader[i] != e.block) race(address, s.reader[i]);
      s.writer[i] = e.block;
    } else {
      s.reader[i] = s.reader[i] == -1 || s.reader[i] == e.block ? e.block : -2;
    }
  }
}

void barrier(int line) {
  Emulator& e = emulator();
  Fiber& fiber = e.fibers[e.current];
  fiber.line = line;
  // Two tokens in turn: a thread that is late must not learn from the next barrier.
  void* token = &e.barrier_token[fiber.barriers++ % 2];
  release_to(token);
  to_scheduler(State::kAtBarrier);
  acquire_from(token);
}

uint64_t exchange(unsigned mask, uint64_t bits, int lane_mask, int line) {
  Emulator& e = emulator();
  const int me = e.current;
  if (mask != 0xffffffffu || lane_mask < 0 || lane_mask >= kWarpThreads) {
    die("a shuffle with mask %x, lane mask %d", mask, lane_mask);
  }
  Fiber& fiber = e.fibers[me];
  fiber.line = line;
  // Two sets of slots in turn: the next exchange must not overwrite what a late lane has not read.
  uint64_t* slots = e.slots[fiber.exchanges++ % 2];
  slots[me] = bits;
  to_scheduler(State::kAtWarp);
  return slots[me / kWarpThreads * kWarpThreads + ((me % kWarpThreads) ^ lane_mask)];
}

unsigned vote(unsigned mask, bool predicate, int line) {
  Emulator& e = emulator();
  const int me = e.current;
  if (mask != 0xffffffffu) die("a vote with mask %x", mask);
  Fiber& fiber = e.fibers[me];
  fiber.line = line;
  uint64_t* slots = e.slots[fiber.exchanges++ % 2];
  slots[me] = predicate ? 1 : 0;
  to_scheduler(State::kAtWarp);
  unsigned result = 0;
  for (int lane = 0; lane < kWarpThreads; ++lane) {
    result |= static_cast<unsigned>(slots[me / kWarpThreads * kWarpThreads + lane]) << lane;
  }
  return result;
}

}  // namespace igd_emulation

cudaError_t cudaGetLastError() {
  const cudaError_t error = igd_emulation::emulator().error;
  igd_emulation::emulator().error = cudaSuccess;
  return error;
}
const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaSuccess ? "no error"
         : error == 9         ? "invalid configuration argument"
                              : "unspecified launch failure";
}
cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int bytes) {
  return bytes <= 99 * 1024 ? cudaSuccess : 1;  // cudaErrorInvalidValue
}

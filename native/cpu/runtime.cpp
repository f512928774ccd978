// Errors, threads, scratch memory, and the explicit dispatcher among the instruction sets compiled in.
#include "runtime.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <atomic>

#if defined(IGD_STD_THREADS)
#include <system_error>
#include <thread>
#include <vector>
#else
#include <omp.h>
#endif

namespace igd {
namespace {

thread_local char last_error[512] = "";

// ---- instruction sets ----

struct Tables {
  KernelTable<float> f32;
  KernelTable<double> f64;
};

struct Dispatcher {
  Tables tables[3];
  int detected = IGD_ISA_PORTABLE;
  std::atomic<int> active{IGD_ISA_PORTABLE};

  Dispatcher() {
    portable::fill_loo_penultimate(&tables[0].f32);
    portable::fill_loo_penultimate(&tables[0].f64);
    portable::fill_masked_head(&tables[0].f32);
    portable::fill_masked_head(&tables[0].f64);
    portable::fill_cdir_score(&tables[0].f32);
    portable::fill_cdir_score(&tables[0].f64);
#if defined(IGD_HAVE_X86_ISAS)
    avx2::fill_loo_penultimate(&tables[1].f32);
    avx2::fill_loo_penultimate(&tables[1].f64);
    avx2::fill_masked_head(&tables[1].f32);
    avx2::fill_masked_head(&tables[1].f64);
    avx2::fill_cdir_score(&tables[1].f32);
    avx2::fill_cdir_score(&tables[1].f64);
    avx512::fill_loo_penultimate(&tables[2].f32);
    avx512::fill_loo_penultimate(&tables[2].f64);
    avx512::fill_masked_head(&tables[2].f32);
    avx512::fill_masked_head(&tables[2].f64);
    avx512::fill_cdir_score(&tables[2].f32);
    avx512::fill_cdir_score(&tables[2].f64);
    __builtin_cpu_init();
    const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
                    __builtin_cpu_supports("f16c") && __builtin_cpu_supports("lzcnt") &&
                    __builtin_cpu_supports("movbe");
    const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512vl");
    detected = v4 ? IGD_ISA_AVX512 : v3 ? IGD_ISA_AVX2 : IGD_ISA_PORTABLE;
#endif
    int chosen = detected;
    const char* wish = getenv("IGD_ISA");
    for (int isa = 0; wish != nullptr && isa < detected; ++isa) {
      if (strcmp(wish, igd_isa_name(isa)) == 0) chosen = isa;
    }
    active.store(chosen, std::memory_order_relaxed);
  }
};

Dispatcher& dispatcher() {
  static Dispatcher instance;
  return instance;
}

// ---- threads ----

int default_threads() {
#if defined(IGD_STD_THREADS)
  const unsigned n = std::thread::hardware_concurrency();
  return n == 0 ? 1 : static_cast<int>(n);
#else
  return omp_get_max_threads();
#endif
}

std::atomic<int>& thread_count() {
  static std::atomic<int> count{default_threads()};
  return count;
}

// Waking a team costs microseconds on a quiet machine and milliseconds on one whose processors are taken, so
// each worker must have this much to do.
constexpr double kNanosecondsPerWorker = 100e3;

// ---- scratch ----

struct Scratch {
  void* memory = nullptr;
  size_t size = 0;
  ~Scratch() { free(memory); }
};

thread_local Scratch thread_scratch;

}  // namespace

igd_status fail(igd_status status, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(last_error, sizeof(last_error), format, arguments);
  va_end(arguments);
  return status;
}

template <>
const KernelTable<float>& kernels<float>() {
  Dispatcher& d = dispatcher();
  return d.tables[d.active.load(std::memory_order_relaxed)].f32;
}

template <>
const KernelTable<double>& kernels<double>() {
  Dispatcher& d = dispatcher();
  return d.tables[d.active.load(std::memory_order_relaxed)].f64;
}

int workers_for(double nanoseconds) {
  const int threads = thread_count().load(std::memory_order_relaxed);
  if (threads <= 1 || nanoseconds < 2 * kNanosecondsPerWorker) return 1;
  const double worth = nanoseconds / kNanosecondsPerWorker;
  return worth < threads ? static_cast<int>(worth) : threads;
}

#if defined(IGD_STD_THREADS)

// For the thread sanitizer: it cannot see the synchronisation inside an uninstrumented OpenMP.
void parallel_for(int workers, int64_t tasks, RangeBody body, const void* context) {
  if (workers > tasks) workers = static_cast<int>(tasks);
  if (workers <= 1) {
    body(context, 0, tasks, 0);
    return;
  }
  std::vector<std::thread> team;
  for (int w = 1; w < workers; ++w) {
    team.emplace_back(body, context, tasks * w / workers, tasks * (w + 1) / workers, w);
  }
  body(context, 0, tasks / workers, 0);
  for (std::thread& thread : team) thread.join();
}

#else

void parallel_for(int workers, int64_t tasks, RangeBody body, const void* context) {
  if (workers > tasks) workers = static_cast<int>(tasks);
  if (workers <= 1) {
    body(context, 0, tasks, 0);
    return;
  }
#pragma omp parallel num_threads(workers)
  {
    // The team may be smaller than asked for (nested regions, thread limit).
    const int64_t team = omp_get_num_threads();
    const int64_t me = omp_get_thread_num();
    const int64_t begin = tasks / team * me + tasks % team * me / team;
    const int64_t end = tasks / team * (me + 1) + tasks % team * (me + 1) / team;
    if (begin < end) body(context, begin, end, static_cast<int>(me));
  }
}

#endif

void* scratch(size_t bytes) {
  Scratch& own = thread_scratch;
  if (own.size < bytes) {
    const size_t size = (bytes + 4095) / 4096 * 4096;
    free(own.memory);
    own.memory = size < bytes ? nullptr : aligned_alloc(64, size);
    own.size = own.memory == nullptr ? 0 : size;
  }
  return own.memory;
}

}  // namespace igd

extern "C" {

const char* igd_last_error(void) { return igd::last_error; }

int igd_api_version(void) { return IGD_API_VERSION; }

const char* igd_build_info(void) {
  return "igd_kernels " IGD_VERSION
#if defined(__clang__)
         ", clang " __clang_version__
#elif defined(__GNUC__)
         ", gcc " __VERSION__
#endif
#if defined(IGD_STD_THREADS)
         ", std::thread"
#else
         ", OpenMP"
#endif
         ", portable"
#if defined(IGD_HAVE_X86_ISAS)
         "+avx2+avx512"
#endif
         ", sanitizer " IGD_SANITIZER_NAME;
}

int igd_isa_detected(void) { return igd::dispatcher().detected; }

int igd_isa_active(void) { return igd::dispatcher().active.load(std::memory_order_relaxed); }

int igd_isa_force(int isa) {
  if (isa < IGD_ISA_PORTABLE || isa > IGD_ISA_AVX512) {
    return igd::fail(IGD_INVALID_ARGUMENT,
                     "igd_isa_force: isa: expected 0 (portable), 1 (avx2) or 2 (avx512), got %d", isa);
  }
  igd::Dispatcher& d = igd::dispatcher();
  if (isa > d.detected) {
    return igd::fail(IGD_UNSUPPORTED,
                     "igd_isa_force: isa: this machine runs at most %s, got %s; ask for %s or a lower one",
                     igd_isa_name(d.detected), igd_isa_name(isa), igd_isa_name(d.detected));
  }
  d.active.store(isa, std::memory_order_relaxed);
  return IGD_OK;
}

const char* igd_isa_name(int isa) {
  switch (isa) {
    case IGD_ISA_PORTABLE:
      return "portable";
    case IGD_ISA_AVX2:
      return "avx2";
    case IGD_ISA_AVX512:
      return "avx512";
    default:
      return "unknown";
  }
}

int igd_threads_get(void) { return igd::thread_count().load(std::memory_order_relaxed); }

igd_status igd_threads_set(int n) {
  if (n < 1 || n > 1024) {
    return igd::fail(IGD_INVALID_ARGUMENT, "igd_threads_set: n: expected 1 to 1024 threads, got %d", n);
  }
  igd::thread_count().store(n, std::memory_order_relaxed);
  return IGD_OK;
}

}  // extern "C"

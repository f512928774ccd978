// The multiply-accumulate rate that this machine reaches when nothing but registers is used: what shares of the
// peak are shares of. One loop per unit; each keeps enough independent sums in flight to hide the latency:
//   float32     vfmadd231ps on 12 sums of the widest vectors (4 cycles, two units: 8 would do)
//   bfloat16    vdpbf16ps on 12 sums of 512 bits, 32 products each
//   tiles       tdpbf16ps on 4 tiles, 8192 products each
// Every thread runs the same loop at once, as cores share a clock and a power budget.
#include "igd/kernels.h"

#include <chrono>

#include "runtime.h"

#if defined(IGD_HAVE_X86_ISAS)
#include <immintrin.h>
#define IGD_PEAK_X86 1
#endif

namespace igd {
namespace {

constexpr int kSums = 12;
constexpr int64_t kFirstIterations = 2000;
// Rounds are long against the start of a team of threads (tens of microseconds) and short against the time slices
// of a busy machine, so that some round is undisturbed.
constexpr double kRoundSeconds = 3e-3;
constexpr int kLeastRounds = 3;

// Runs `iterations` rounds of the unit's loop.
typedef void (*Loop)(int64_t iterations);

struct Unit {
  Loop loop;
  double products;  // multiply-accumulates per iteration
};

// One multiplication and one addition at a time, whatever the compiler makes of it.
void loop_portable(int64_t iterations) {
  volatile float sink = 0;
  float sums[kSums] = {};
  for (int64_t i = 0; i < iterations; ++i) {
    const float x = static_cast<float>(i & 7) * 1e-3f;
    for (int j = 0; j < kSums; ++j) sums[j] = sums[j] * 0.5f + x;
  }
  for (int j = 0; j < kSums; ++j) sink = sink + sums[j];
}

#if defined(IGD_PEAK_X86)
// The instruction itself, so that no compiler can shorten the loop.
#define IGD_PEAK_LOOP(name, isa, Vector, instruction, constraint)                           \
  __attribute__((target(isa))) void name(int64_t iterations) {                              \
    Vector sums[kSums] = {};                                                                \
    /* Not zeros: they would draw less power, and a core's clock depends on it. */          \
    const Vector a = Vector{} + 1e-3f, b = Vector{} + 1.5e-3f;                              \
    for (int64_t i = 0; i < iterations; ++i) {                                              \
      _Pragma("GCC unroll 12") for (int j = 0; j < kSums; ++j) {                            \
        asm volatile(instruction " %2, %1, %0"                                              \
                     : "+" constraint(sums[j])                                              \
                     : constraint(a), constraint(b));                                       \
      }                                                                                     \
    }                                                                                       \
  }

typedef float Vector8 __attribute__((vector_size(32)));
typedef float Vector16 __attribute__((vector_size(64)));

IGD_PEAK_LOOP(loop_avx2, "avx2,fma", Vector8, "vfmadd231ps", "x")
IGD_PEAK_LOOP(loop_avx512, "avx512f", Vector16, "vfmadd231ps", "v")

#if defined(IGD_HAVE_AMX)
IGD_PEAK_LOOP(loop_avx512_bf16, "avx512f", Vector16, "vdpbf16ps", "v")

struct __attribute__((packed)) TileConfig {
  uint8_t palette, start_row, reserved[14];
  uint16_t columns[16];
  uint8_t rows[16];
};

__attribute__((target("amx-tile,amx-bf16"))) void loop_tiles(int64_t iterations) {
  TileConfig config = {};
  config.palette = 1;
  for (int t = 0; t < 8; ++t) {
    config.columns[t] = 64;
    config.rows[t] = 16;
  }
  alignas(64) uint16_t values[512];
  for (int i = 0; i < 512; ++i) values[i] = static_cast<uint16_t>(0x3a80 + i);  // about 0.001 to 0.01
  // gcc's intrinsics name only the first bytes that they read: everything must be in memory before them.
  asm volatile("" ::: "memory");
  _tile_loadconfig(&config);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_loadd(4, values, 64);
  _tile_loadd(5, values, 64);
  _tile_loadd(6, values, 64);
  _tile_loadd(7, values, 64);
  for (int64_t i = 0; i < iterations; ++i) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
}
#endif

bool has_avx512_bf16() {
#if defined(IGD_HAVE_AMX)
  __builtin_cpu_init();
  return igd_isa_active() == IGD_ISA_AVX512 && __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}
#endif  // IGD_PEAK_X86

// The loop of a unit; {nullptr, 0} where the machine has none.
Unit unit_of(int unit) {
  if (unit == IGD_PEAK_FLOAT32) {
#if defined(IGD_PEAK_X86)
    if (igd_isa_active() == IGD_ISA_AVX512) return {loop_avx512, 16.0 * kSums};
    if (igd_isa_active() == IGD_ISA_AVX2) return {loop_avx2, 8.0 * kSums};
#endif
    return {loop_portable, 1.0 * kSums};
  }
#if defined(IGD_PEAK_X86) && defined(IGD_HAVE_AMX)
  if (unit == IGD_PEAK_BFLOAT16_VECTOR && has_avx512_bf16()) return {loop_avx512_bf16, 32.0 * kSums};
  if (unit == IGD_PEAK_BFLOAT16_TILES && igd_net_accelerated() == 1) return {loop_tiles, 4 * 16.0 * 16 * 32};
#endif
  return {nullptr, 0};
}

double seconds_of(Loop loop, int workers, int64_t iterations) {
  const auto start = std::chrono::steady_clock::now();
  parallel(workers, workers, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) loop(iterations);
  });
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace
}  // namespace igd

extern "C" igd_status igd_measure_peak(int unit, double seconds, double* rate) {
  if (rate == nullptr) {
    return igd::fail(IGD_INVALID_ARGUMENT, "igd_measure_peak: rate: expected an address, got NULL");
  }
  if (unit < IGD_PEAK_FLOAT32 || unit > IGD_PEAK_BFLOAT16_TILES) {
    return igd::fail(IGD_INVALID_ARGUMENT, "igd_measure_peak: unit: expected 0, 1 or 2, got %d", unit);
  }
  if (!(seconds > 0 && seconds <= 60)) {
    return igd::fail(IGD_INVALID_ARGUMENT, "igd_measure_peak: seconds: expected more than 0 and at most 60, got %g",
                     seconds);
  }
  const igd::Unit found = igd::unit_of(unit);
  if (found.loop == nullptr) {
    return igd::fail(IGD_UNSUPPORTED, "igd_measure_peak: this machine has no unit %d", unit);
  }
  const int workers = igd_threads_get();
  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  int64_t iterations = igd::kFirstIterations;
  double best = igd::seconds_of(found.loop, workers, iterations);
  while (best < igd::kRoundSeconds) {
    iterations *= 2;
    best = igd::seconds_of(found.loop, workers, iterations);
  }
  for (int i = 0; i < igd::kLeastRounds || elapsed() < seconds; ++i) {
    const double again = igd::seconds_of(found.loop, workers, iterations);
    best = again < best ? again : best;
  }
  *rate = static_cast<double>(workers) * static_cast<double>(iterations) * found.products / best;
  return IGD_OK;
}

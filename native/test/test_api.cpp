// Version, threads, instruction sets, and the refusal of bad arguments with the outputs left alone.
#include "test_support.h"

namespace igd_test {
namespace {

constexpr int64_t kN = 2, kU = 4, kS = 3, kK = 3;
constexpr int64_t kHuge = int64_t(1) << 62;

// A valid call of each function; tests spoil one argument.
struct Arguments {
  int dtype = IGD_FLOAT64;
  std::vector<double> a = std::vector<double>(kN * kU * kS, 1.0);
  const void* a_pointer = a.data();
  int64_t stride_n = kU * kS, stride_u = kS, stride_s = 1;
  int64_t n = kN, u = kU, s = kS, k = kK;
  std::vector<int64_t> labels_memory = {0, 2};
  const int64_t* labels = labels_memory.data();
  std::vector<double> sums_memory = std::vector<double>(kK * kU, 7.0);
  double* sums = sums_memory.data();
  std::vector<int64_t> counts_memory = std::vector<int64_t>(kK, 5);
  int64_t* counts = counts_memory.data();
  std::vector<double> weight_memory = std::vector<double>(kK * kU, 0.5);
  const void* weight = weight_memory.data();
  int normalization = 0;
  std::vector<double> importance_memory = std::vector<double>(kU * kK, 7.0);
  double* importance = importance_memory.data();
  std::vector<double> bias_memory = std::vector<double>(kK, 0.0);
  const void* bias = bias_memory.data();
  std::vector<uint8_t> masks_memory = std::vector<uint8_t>(kK * kU, 1);
  const uint8_t* masks = masks_memory.data();
  double temperature = 0.01;
  std::vector<double> n_by_k = std::vector<double>(kN * kK, 0.25);
  std::vector<double> n_by_u = std::vector<double>(kN * kU, 0.5);
  const void* first_logits_in = nullptr;
  std::vector<double> outputs = std::vector<double>(kN * kU + 4 * kN * kK + kN * kU, 7.0);
  void* pooled = outputs.data();
  void* first_logits = outputs.data() + kN * kU;
  void* soft_weights = outputs.data() + kN * kU + kN * kK;
  void* logits = outputs.data() + kN * kU + 2 * kN * kK;
  void* soft_mask = outputs.data() + kN * kU + 3 * kN * kK;
  const void* grad_logits = n_by_k.data();
  const void* saved_pooled = n_by_u.data();
  const void* saved_weights = n_by_k.data();
  const void* saved_mask = n_by_u.data();
  int own = 1;
  std::vector<double> grad_memory = std::vector<double>(kN * kU * kS, 7.0);
  void* grad_a = grad_memory.data();
  void* grad_first_logits = outputs.data() + kN * kU;

  int accumulate() {
    return igd_loo_penultimate_accumulate(dtype, a_pointer, stride_n, stride_u, stride_s, n, u, s, labels, k,
                                          0, sums, counts);
  }
  int finish() {
    return igd_loo_penultimate_finish(dtype, weight, k, u, sums, counts, 0, normalization, importance);
  }
  int forward() {
    return igd_masked_head_forward(dtype, a_pointer, stride_n, stride_u, stride_s, n, u, s, weight, bias, k,
                                   masks, temperature, first_logits_in, pooled, first_logits, soft_weights,
                                   soft_mask, logits);
  }
  int backward() {
    return igd_masked_head_backward(dtype, grad_logits, saved_pooled, saved_weights, saved_mask, weight,
                                    masks, temperature, n, u, s, k, own, grad_a, stride_n, stride_u, stride_s,
                                    grad_first_logits);
  }
  bool untouched() const {
    for (double x : sums_memory) {
      if (x != 7.0) return false;
    }
    for (int64_t x : counts_memory) {
      if (x != 5) return false;
    }
    for (double x : importance_memory) {
      if (x != 7.0) return false;
    }
    for (double x : outputs) {
      if (x != 7.0) return false;
    }
    for (double x : grad_memory) {
      if (x != 7.0) return false;
    }
    return true;
  }
};

template <typename T>
T* shifted(T* p) {
  return reinterpret_cast<T*>(reinterpret_cast<uintptr_t>(p) + 1);
}
void* shifted(void* p) { return reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(p) + 1); }
const void* shifted(const void* p) {
  return reinterpret_cast<const void*>(reinterpret_cast<uintptr_t>(p) + 1);
}

struct Refusal {
  const char* name;
  int (Arguments::*call)();
  void (*spoil)(Arguments&);
  std::vector<std::string> parts;
};

void test_refusals() {
  typedef Arguments A;
  const Refusal refusals[] = {
      {"dtype", &A::accumulate, [](A& x) { x.dtype = 2; }, {"dtype", "got 2"}},
      {"a null", &A::accumulate, [](A& x) { x.a_pointer = nullptr; }, {": a:", "NULL"}},
      {"a unaligned", &A::accumulate, [](A& x) { x.a_pointer = shifted(x.a_pointer); }, {": a:", "aligned"}},
      {"labels null", &A::accumulate, [](A& x) { x.labels = nullptr; }, {"labels"}},
      {"sums null", &A::accumulate, [](A& x) { x.sums = nullptr; }, {"class_sums"}},
      {"sums unaligned", &A::accumulate, [](A& x) { x.sums = shifted(x.sums); }, {"class_sums", "aligned"}},
      {"counts null", &A::accumulate, [](A& x) { x.counts = nullptr; }, {"class_counts"}},
      {"n zero", &A::accumulate, [](A& x) { x.n = 0; }, {"n: expected", "got 0"}},
      {"u negative", &A::accumulate, [](A& x) { x.u = -1; }, {"u: expected", "got -1"}},
      {"s zero", &A::accumulate, [](A& x) { x.s = 0; }, {"s: expected"}},
      {"k zero", &A::accumulate, [](A& x) { x.k = 0; }, {"k: expected"}},
      {"stride zero", &A::accumulate, [](A& x) { x.stride_s = 0; }, {"strides of at least 1"}},
      {"stride negative", &A::accumulate, [](A& x) { x.stride_u = -3; }, {"-3"}},
      {"stride overflow", &A::accumulate, [](A& x) { x.stride_n = kHuge; }, {"below 2^63"}},
      {"size overflow", &A::accumulate, [](A& x) { x.n = kHuge, x.stride_n = 1; }, {"N*U*S"}},
      {"sums overflow", &A::accumulate, [](A& x) { x.k = kHuge; }, {"class_sums [K,U]", "2^63"}},
      {"label above", &A::accumulate, [](A& x) { x.labels_memory[1] = 3; }, {"labels[1]", "0 to 2", "got 3"}},
      {"label below", &A::accumulate, [](A& x) { x.labels_memory[0] = -1; }, {"labels[0]", "got -1"}},
      {"weight null", &A::finish, [](A& x) { x.weight = nullptr; }, {"weight"}},
      {"sums null", &A::finish, [](A& x) { x.sums = nullptr; }, {"class_sums"}},
      {"counts null", &A::finish, [](A& x) { x.counts = nullptr; }, {"class_counts"}},
      {"importance null", &A::finish, [](A& x) { x.importance = nullptr; }, {"importance"}},
      {"importance unaligned", &A::finish, [](A& x) { x.importance = shifted(x.importance); }, {"aligned"}},
      {"normalization", &A::finish, [](A& x) { x.normalization = 2; }, {"normalization", "got 2"}},
      {"count negative",
       &A::finish,
       [](A& x) {
         static int64_t bad[] = {1, -2, 3};
         x.counts = bad;
       },
       {"class_counts[1]", "got -2"}},
      {"u overflow", &A::finish, [](A& x) { x.u = kHuge; }, {"importance [U,K]"}},
      {"dtype", &A::forward, [](A& x) { x.dtype = -1; }, {"igd_masked_head_forward: dtype"}},
      {"a null", &A::forward, [](A& x) { x.a_pointer = nullptr; }, {": a:"}},
      {"weight unaligned", &A::forward, [](A& x) { x.weight = shifted(x.weight); }, {"weight", "aligned"}},
      {"bias unaligned", &A::forward, [](A& x) { x.bias = shifted(x.bias); }, {"bias", "aligned"}},
      {"masks null", &A::forward, [](A& x) { x.masks = nullptr; }, {"masks"}},
      {"temperature zero", &A::forward, [](A& x) { x.temperature = 0; }, {"temperature"}},
      {"temperature negative", &A::forward, [](A& x) { x.temperature = -1; }, {"temperature", "-1"}},
      {"temperature nan", &A::forward, [](A& x) { x.temperature = std::nan(""); }, {"temperature", "nan"}},
      {"temperature inf", &A::forward, [](A& x) { x.temperature = HUGE_VAL; }, {"temperature", "inf"}},
      {"z unaligned",
       &A::forward,
       [](A& x) { x.first_logits_in = shifted(x.first_logits); },
       {"first_logits_in"}},
      {"pooled null", &A::forward, [](A& x) { x.pooled = nullptr; }, {"pooled_out"}},
      {"logits null", &A::forward, [](A& x) { x.logits = nullptr; }, {"logits_out"}},
      {"logits unaligned",
       &A::forward,
       [](A& x) { x.logits = shifted(x.logits); },
       {"logits_out", "aligned"}},
      {"soft mask unaligned",
       &A::forward,
       [](A& x) { x.soft_mask = shifted(x.soft_mask); },
       {"soft_mask_out"}},
      {"u zero", &A::forward, [](A& x) { x.u = 0; }, {"u: expected"}},
      {"k overflow", &A::forward, [](A& x) { x.k = kHuge; }, {"weight [K,U]"}},
      {"stride zero", &A::forward, [](A& x) { x.stride_n = 0; }, {"strides"}},
      {"grad null", &A::backward, [](A& x) { x.grad_logits = nullptr; }, {"grad_logits"}},
      {"pooled null", &A::backward, [](A& x) { x.saved_pooled = nullptr; }, {"pooled"}},
      {"soft weights null", &A::backward, [](A& x) { x.saved_weights = nullptr; }, {"soft_weights"}},
      {"soft mask unaligned",
       &A::backward,
       [](A& x) { x.saved_mask = shifted(x.saved_mask); },
       {"soft_mask"}},
      {"grad_a null", &A::backward, [](A& x) { x.grad_a = nullptr; }, {"grad_a"}},
      {"grad_a unaligned", &A::backward, [](A& x) { x.grad_a = shifted(x.grad_a); }, {"grad_a", "aligned"}},
      {"grad_a overlapping", &A::backward, [](A& x) { x.stride_u = 2; }, {"its own place"}},
      {"grad_a same place", &A::backward, [](A& x) { x.stride_n = 1; }, {"its own place"}},
      {"dz missing",
       &A::backward,
       [](A& x) { x.own = 0, x.grad_first_logits = nullptr; },
       {"grad_first_logits"}},
      {"temperature", &A::backward, [](A& x) { x.temperature = 0; }, {"temperature"}},
      {"s overflow", &A::backward, [](A& x) { x.s = kHuge, x.stride_u = kHuge; }, {"2^63"}},
  };
  for (const Refusal& refusal : refusals) {
    Arguments arguments;
    refusal.spoil(arguments);
    expect_status((arguments.*refusal.call)(), IGD_INVALID_ARGUMENT, refusal.name, refusal.parts);
    expect(arguments.untouched(), std::string(refusal.name) + ": outputs were touched");
  }
  // The same calls, unspoiled, succeed: the refusals above are due to the one argument.
  Arguments good;
  expect_status(good.accumulate(), IGD_OK, "accumulate");
  expect_status(good.finish(), IGD_OK, "finish");
  expect_status(good.forward(), IGD_OK, "forward");
  expect_status(good.backward(), IGD_OK, "backward");
  expect(!good.untouched(), "good calls write");
}

}  // namespace

// Rates are the machine's affair; that they are rates, and that wider units are not slower by far, is ours.
void test_measure_peak() {
  double rates[3] = {0, 0, 0};
  for (int unit = IGD_PEAK_FLOAT32; unit <= IGD_PEAK_BFLOAT16_TILES; ++unit) {
    double rate = -1;
    const int status = igd_measure_peak(unit, 0.02, &rate);
    if (status == IGD_UNSUPPORTED) {
      expect(unit != IGD_PEAK_FLOAT32, "every machine multiplies float32");
      expect(rate == -1, "a refused measurement leaves the rate alone");
      continue;
    }
    expect(status == IGD_OK && std::isfinite(rate) && rate > 0, "a peak above 0");
    rates[unit] = rate;
  }
  // At least a hundredth of what the slowest processors with these instructions do.
  expect(rates[0] > 1e6, "float32 above 10^6 products per second");
  double rate = 7;
  expect_status(igd_measure_peak(3, 0.02, &rate), IGD_INVALID_ARGUMENT, "unit 3", {"got 3"});
  expect_status(igd_measure_peak(-1, 0.02, &rate), IGD_INVALID_ARGUMENT, "unit -1", {"got -1"});
  expect_status(igd_measure_peak(0, 0, &rate), IGD_INVALID_ARGUMENT, "no time", {"seconds"});
  expect_status(igd_measure_peak(0, std::nan(""), &rate), IGD_INVALID_ARGUMENT, "NaN seconds", {"seconds"});
  expect_status(igd_measure_peak(0, 61, &rate), IGD_INVALID_ARGUMENT, "too long", {"seconds"});
  expect_status(igd_measure_peak(0, 0.02, nullptr), IGD_INVALID_ARGUMENT, "no rate", {"NULL"});
  expect(rate == 7, "a refused measurement leaves the rate alone");
}

void test_api() {
  expect(igd_api_version() == IGD_API_VERSION, "api version");
  expect(std::string(igd_build_info()).find("igd_kernels") == 0, "build info");

  const int detected = igd_isa_detected();
  expect(igd_isa_active() == detected, "the best instruction set is active at first");
  for (int isa = 0; isa <= IGD_ISA_AVX512; ++isa) {
    if (isa <= detected) {
      expect_status(igd_isa_force(isa), IGD_OK, "force");
      expect(igd_isa_active() == isa, "forced");
    } else {
      expect_status(igd_isa_force(isa), IGD_UNSUPPORTED, "force above", {igd_isa_name(isa)});
    }
  }
  igd_isa_force(detected);
  expect_status(igd_isa_force(3), IGD_INVALID_ARGUMENT, "force 3", {"got 3"});
  expect_status(igd_isa_force(-1), IGD_INVALID_ARGUMENT, "force -1", {"got -1"});
  expect(igd_isa_active() == detected, "a refused force changes nothing");
  expect(std::string(igd_isa_name(0)) == "portable" && std::string(igd_isa_name(1)) == "avx2" &&
             std::string(igd_isa_name(2)) == "avx512" && std::string(igd_isa_name(9)) == "unknown",
         "names");

  const int threads = igd_threads_get();
  expect(threads >= 1, "threads");
  expect_status(igd_threads_set(3), IGD_OK, "threads 3");
  expect(igd_threads_get() == 3, "threads set");
  expect_status(igd_threads_set(0), IGD_INVALID_ARGUMENT, "threads 0", {"got 0"});
  expect_status(igd_threads_set(1025), IGD_INVALID_ARGUMENT, "threads 1025");
  expect(igd_threads_get() == 3, "a refused count changes nothing");
  igd_threads_set(threads);

  test_refusals();
  test_measure_peak();
}

void test_isa_environment() {
  expect(igd_isa_active() == IGD_ISA_PORTABLE, "IGD_ISA=portable lowers the instruction set");
  expect_status(igd_isa_force(igd_isa_detected()), IGD_OK, "and does not keep a call from raising it");
}

}  // namespace igd_test

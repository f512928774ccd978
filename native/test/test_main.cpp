// igd_kernel_tests GROUP...: runs the groups (none: all of them) and exits with 1 if a check failed.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "test_support.h"

namespace igd_test {

Report& report() {
  static Report instance;
  return instance;
}

bool expect(bool holds, const std::string& what) {
  Report& r = report();
  ++r.checks;
  if (!holds) {
    ++r.failures;
    if (r.failures <= 40) std::printf("FAILED %s\n", what.c_str());
    if (r.failures == 41) std::printf("(further failures are only counted)\n");
  }
  return holds;
}

void expect_status(int status, int expected, const std::string& what, const std::vector<std::string>& parts) {
  expect(status == expected, what + ": status " + std::to_string(status) + ", expected " +
                                 std::to_string(expected) + " (" + igd_last_error() + ")");
  const std::string message = igd_last_error();
  for (const std::string& part : parts) {
    expect(message.find(part) != std::string::npos, what + ": message lacks '" + part + "': " + message);
  }
}

namespace {

// Must make the run fail: shows that comparisons can.
void self_check() {
  close<double>("wrong value", {1.0, 2.0}, {1.0L, 2.0L + 1e-9L}, {}, 1e-12);
  identical<double>("negative zero", {0.0}, {-0.0});
  close<double>("hidden NaN", {0.0}, {std::numeric_limits<long double>::quiet_NaN()}, {}, 1e-12);
  if (report().failures != 3) std::exit(0);  // WILL_FAIL: this is the failure
}

// A fault inside the library that its sanitizer must report: class_sums is one row short; and two threads add
// to the same sums.
void planted_fault() {
  const int64_t n = 2, u = 8, k = 3;
  std::vector<float> a(static_cast<size_t>(n * u), 1.0f);
  std::vector<int64_t> labels = {0, 2};
  std::vector<double> sums(static_cast<size_t>((k - 1) * u));
  std::vector<int64_t> counts(static_cast<size_t>(k));
  std::vector<double> shared(static_cast<size_t>(k * u));
  const auto add = [&](std::vector<double>* target, int64_t* target_counts) {
    igd_loo_penultimate_accumulate(IGD_FLOAT32, a.data(), u, 1, 1, n, u, 1, labels.data(), k, 0,
                                   target->data(), target_counts);
  };
  std::thread first([&] { add(&shared, counts.data()); });
  std::thread second([&] { add(&shared, counts.data()); });
  first.join();
  second.join();
  add(&sums, counts.data());
}

struct Group {
  const char* name;
  void (*run)();
  bool by_default;
};

const Group kGroups[] = {{"api", test_api, true},
                         {"loo_penultimate", test_loo_penultimate, true},
                         {"loo_interior", test_loo_interior, true},
                         {"masked_head", test_masked_head, true},
                         {"net", test_net, true},
                         {"defended", test_defended, true},
                         {"cdir_score", test_cdir_score, true},
                         {"threads",
                          [] {
                            test_loo_penultimate_threads();
                            test_loo_interior_threads();
                            test_masked_head_threads();
                            test_net_threads();
                            test_defended_threads();
                            test_cdir_score_threads();
                          },
                          true},
#if defined(IGD_CUDA_EMULATION)
                         {"kernel_cases", test_kernel_cases, true},
                         {"cuda_emulated", test_cuda_emulated, true},
                         {"cuda_traffic", test_cuda_traffic, true},
#endif
                         {"isa_environment", test_isa_environment, false},
                         {"self_check", self_check, false},
                         {"planted_fault", planted_fault, false}};

}  // namespace
}  // namespace igd_test

int main(int argc, char** argv) {
  std::printf("%s; instruction sets up to %s\n", igd_build_info(), igd_isa_name(igd_isa_detected()));
  for (int i = 1; i < argc || i == 1; ++i) {
    bool found = false;
    for (const igd_test::Group& group : igd_test::kGroups) {
      if (i < argc ? std::string(argv[i]) == group.name : group.by_default) {
        found = true;
        group.run();
      }
    }
    if (!found) {
      std::fprintf(stderr, "unknown group '%s'\n", argv[i]);
      return 2;
    }
  }
  const igd_test::Report& r = igd_test::report();
  std::printf("%ld checks, %ld failures\n", r.checks, r.failures);
  return r.failures == 0 && r.checks > 0 ? 0 : 1;
}

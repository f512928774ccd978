// Uses the native kernels from C++: leave-one-out importance of one image, checked against arithmetic by hand.
#include <cmath>
#include <cstdint>
#include <cstdio>

#include "igd/kernels.h"

namespace {

int failures = 0;

void expect(const char* what, double expected, double actual) {
  if (!(std::fabs(expected - actual) <= 1e-12 * (1.0 + std::fabs(expected)))) {
    std::fprintf(stderr, "%s: expected %.17g, got %.17g\n", what, expected, actual);
    ++failures;
  }
}

}  // namespace

int main() {
  if (igd_api_version() != IGD_API_VERSION) {
    std::fprintf(stderr, "expected API version %d, got %d\n", IGD_API_VERSION, igd_api_version());
    return 1;
  }
  // Two images, two units, two positions, two classes.
  const double a[8] = {1, 3, -2, -4, 5, 7, 0, 2};  // pooled: 2, -3 | 6, 1
  const int64_t labels[2] = {0, 1};
  double sums[4] = {0, 0, 0, 0};
  int64_t counts[2] = {0, 0};
  if (igd_loo_penultimate_accumulate(IGD_FLOAT64, a, 4, 2, 1, 2, 2, 2, labels, 2, 0, sums, counts) != IGD_OK) {
    std::fprintf(stderr, "accumulate failed: %s\n", igd_last_error());
    return 1;
  }
  const double weight[4] = {0.5, -1, 2, -0.25};
  double importance[4];
  if (igd_loo_penultimate_finish(IGD_FLOAT64, weight, 2, 2, sums, counts, 0, 0, importance) != IGD_OK) {
    std::fprintf(stderr, "finish failed: %s\n", igd_last_error());
    return 1;
  }
  expect("importance[unit 0, class 0]", 1, importance[0]);
  expect("importance[unit 0, class 1]", 12, importance[1]);
  expect("importance[unit 1, class 0]", 3, importance[2]);
  expect("importance[unit 1, class 1]", 0.25, importance[3]);

  // Bad input is refused with a message.
  if (igd_threads_set(0) != IGD_INVALID_ARGUMENT || igd_last_error()[0] == '\0') {
    std::fprintf(stderr, "expected threads_set(0) to be refused with a message\n");
    ++failures;
  }
  if (failures == 0) {
    std::printf("nar consumer: OK (%s)\n", igd_build_info());
  }
  return failures == 0 ? 0 : 1;
}

// Closed-form leave-one-out against the naive sums in long double.
#include <algorithm>

#include "test_support.h"

namespace igd_test {
namespace {

struct Case {
  int64_t n, u, s, k;
};

// 1, odd, one beside a vector or block length, large.
const Case kCases[] = {{1, 1, 1, 1},     {1, 3, 7, 2},      {3, 5, 1, 3},      {2, 15, 4, 10},
                       {2, 16, 16, 10},  {3, 17, 17, 2},    {5, 31, 15, 7},    {4, 32, 31, 33},
                       {4, 33, 33, 5},   {7, 63, 49, 10},   {2, 64, 64, 100},  {3, 65, 65, 10},
                       {1, 256, 3, 10},  {2, 257, 127, 4},  {1, 512, 16, 10},  {3, 2048, 49, 5},
                       {33, 160, 8, 10}, {64, 512, 16, 10}, {9, 640, 64, 1000}};

template <typename T>
struct Result {
  std::vector<double> sums;
  std::vector<int64_t> counts;
};

template <typename T>
Result<T> accumulate(const Activation<T>& a, const std::vector<int64_t>& labels, int64_t k,
                     int signed_difference) {
  Result<T> r{std::vector<double>(static_cast<size_t>(k * a.u)),
              std::vector<int64_t>(static_cast<size_t>(k))};
  expect_status(igd_loo_penultimate_accumulate(dtype_of<T>(), a.memory.data(), a.stride_n, a.stride_u,
                                               a.stride_s, a.n, a.u, a.s, labels.data(), k, signed_difference,
                                               r.sums.data(), r.counts.data()),
                IGD_OK, "accumulate");
  return r;
}

template <typename T>
void check_case(const Case& c, Order order, const std::string& isa) {
  char name[160];
  std::snprintf(name, sizeof(name), "loo %s %s %s N=%d U=%d S=%d K=%d", isa.c_str(), dtype_name<T>(),
                order_name(order), static_cast<int>(c.n), static_cast<int>(c.u), static_cast<int>(c.s),
                static_cast<int>(c.k));
  Activation<T> a(order, c.n, c.u, c.s);
  a.randomize(static_cast<uint64_t>(c.n * 1000 + c.u), -1, 2);
  Random random(17);
  std::vector<int64_t> labels(static_cast<size_t>(c.n));
  for (int64_t& label : labels) label = static_cast<int64_t>(random.bits() % static_cast<uint64_t>(c.k));
  const std::vector<T> weight = random.vector<T>(c.k * c.u, -1, 1);

  for (int signed_difference = 0; signed_difference < 2; ++signed_difference) {
    std::vector<long double> sums(static_cast<size_t>(c.k * c.u)), scale(static_cast<size_t>(c.k * c.u));
    std::vector<int64_t> counts(static_cast<size_t>(c.k));
    for (int64_t i = 0; i < c.n; ++i) {
      const int64_t label = labels[static_cast<size_t>(i)];
      ++counts[static_cast<size_t>(label)];
      for (int64_t u = 0; u < c.u; ++u) {
        long double sum = 0, magnitude = 0;
        for (int64_t s = 0; s < c.s; ++s) {
          sum += a.at(i, u, s);
          magnitude += std::fabs(static_cast<long double>(a.at(i, u, s)));
        }
        const size_t at = static_cast<size_t>(label * c.u + u);
        sums[at] += (signed_difference ? sum : std::fabs(sum)) / c.s;
        scale[at] += magnitude / c.s;
      }
    }
    const Result<T> r = accumulate(a, labels, c.k, signed_difference);
    close(std::string(name) + " sums", r.sums, sums, scale, 1e-14);
    expect(r.counts == counts, std::string(name) + " counts");

    for (int normalization = 0; normalization < 2; ++normalization) {
      std::vector<double> importance(static_cast<size_t>(c.u * c.k), -7);
      expect_status(
          igd_loo_penultimate_finish(dtype_of<T>(), weight.data(), c.k, c.u, r.sums.data(), r.counts.data(),
                                     signed_difference, normalization, importance.data()),
          IGD_OK, "finish");
      std::vector<long double> expected(importance.size()), importance_scale(importance.size());
      for (int64_t u = 0; u < c.u; ++u) {
        for (int64_t k = 0; k < c.k; ++k) {
          const size_t at = static_cast<size_t>(k * c.u + u), to = static_cast<size_t>(u * c.k + k);
          const long double w = weight[at];
          const int64_t count = counts[static_cast<size_t>(k)];
          const long double factor = normalization == 1 ? static_cast<long double>(c.k) / c.n
                                     : count == 0       ? 0.0L
                                                        : 1.0L / count;
          expected[to] = (signed_difference ? -w : std::fabs(w)) * sums[at] * factor;
          importance_scale[to] = std::fabs(w) * scale[at] * factor;
        }
      }
      close(std::string(name) + (normalization ? " reference" : " class-mean"), importance, expected,
            importance_scale, 2e-14);
    }
  }
}

// The definition itself: |logit with the unit zeroed - logit|, averaged over the class.
void check_definition() {
  const int64_t n = 12, u = 9, s = 4, k = 3;
  Activation<double> a(Order::kNchw, n, u, s);
  a.randomize(3, -1, 1);
  Random random(4);
  const std::vector<double> weight = random.vector<double>(k * u, -1, 1);
  std::vector<int64_t> labels(n);
  for (int64_t i = 0; i < n; ++i) labels[static_cast<size_t>(i)] = i % k;
  const Result<double> r = accumulate(a, labels, k, 0);
  std::vector<double> importance(static_cast<size_t>(u * k));
  igd_loo_penultimate_finish(IGD_FLOAT64, weight.data(), k, u, r.sums.data(), r.counts.data(), 0, 0,
                             importance.data());
  std::vector<long double> expected(static_cast<size_t>(u * k));
  const auto logit = [&](int64_t i, int64_t c, int64_t without) {
    long double total = 0;
    for (int64_t j = 0; j < u; ++j) {
      if (j == without) continue;
      long double pooled = 0;
      for (int64_t q = 0; q < s; ++q) pooled += a.at(i, j, q);
      total += weight[static_cast<size_t>(c * u + j)] * pooled / s;
    }
    return total;
  };
  for (int64_t i = 0; i < n; ++i) {
    const int64_t c = labels[static_cast<size_t>(i)];
    for (int64_t j = 0; j < u; ++j) {
      expected[static_cast<size_t>(j * k + c)] += std::fabs(logit(i, c, j) - logit(i, c, -1)) * k / n;
    }
  }
  close("loo by definition", importance, expected, {}, 1e-14);
}

template <typename T>
void check_threads(const std::string& isa) {
  const int64_t n = 64, u = 1027, s = 16, k = 10;  // large enough for threads
  const int threads = igd_threads_get();
  for (Order order : kOrders) {
    Activation<T> a(order, n, u, s);
    a.randomize(5, -1, 1);
    std::vector<int64_t> labels(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; ++i) labels[static_cast<size_t>(i)] = (i * 7) % k;
    igd_threads_set(1);
    const Result<T> one = accumulate(a, labels, k, 0);
    for (int count : {2, 3, 8}) {
      igd_threads_set(count);
      const Result<T> many = accumulate(a, labels, k, 0);
      identical("loo " + isa + " " + order_name(order) + " with " + std::to_string(count) + " threads",
                many.sums, one.sums);
      expect(many.counts == one.counts, "loo counts with threads");
    }
  }
  igd_threads_set(threads);
}

// Two batches give the sums of one; a NaN stays in its class and unit; a refused batch leaves nothing behind.
void check_streaming_and_nan(const std::string& isa) {
  const int64_t n = 6, u = 20, s = 5, k = 3;
  Activation<float> a(Order::kNchw, n, u, s);
  a.randomize(8, -1, 1);
  std::vector<int64_t> labels = {0, 1, 2, 0, 1, 2};
  const Result<float> whole = accumulate(a, labels, k, 0);
  Result<float> parts{std::vector<double>(static_cast<size_t>(k * u)), std::vector<int64_t>(k)};
  for (int64_t i = 0; i < n; i += 2) {
    igd_loo_penultimate_accumulate(IGD_FLOAT32, &a.at(i, 0, 0), a.stride_n, a.stride_u, a.stride_s, 2, u, s,
                                   labels.data() + i, k, 0, parts.sums.data(), parts.counts.data());
  }
  identical("loo " + isa + " streamed", parts.sums, whole.sums);
  expect(parts.counts == whole.counts, "loo streamed counts");

  a.at(4, 7, 2) = std::nanf("");
  const Result<float> poisoned = accumulate(a, labels, k, 0);
  for (int64_t c = 0; c < k; ++c) {
    for (int64_t j = 0; j < u; ++j) {
      const size_t at = static_cast<size_t>(c * u + j);
      if (c == 1 && j == 7) {
        expect(std::isnan(poisoned.sums[at]), "loo " + isa + ": the NaN is in its sum");
      } else {
        expect(poisoned.sums[at] == whole.sums[at], "loo " + isa + ": the NaN is nowhere else");
      }
    }
  }
}

}  // namespace

void test_loo_penultimate() {
  const int threads = igd_threads_get();
  for_each_isa([&](const std::string& isa) {
    igd_threads_set(3);
    for (const Case& c : kCases) {
      for (Order order : kOrders) {
        // The reference is slow: large cases in the two layouts of libtorch only.
        if (c.n * c.u * c.s > 100000 && order != Order::kNchw && order != Order::kChannelsLast) continue;
        check_case<float>(c, order, isa);
        check_case<double>(c, order, isa);
      }
    }
    check_streaming_and_nan(isa);
  });
  check_definition();
  igd_threads_set(threads);
}

void test_loo_penultimate_threads() {
  for_each_isa([&](const std::string& isa) {
    check_threads<float>(isa);
    check_threads<double>(isa);
  });
}

}  // namespace igd_test

// CD-IR: top images against a full stable sort, scores against the plain expression in long double.
#include <algorithm>
#include <numeric>

#include "test_support.h"

namespace igd_test {
namespace {

struct Case {
  int64_t n, u, top;
};

// 1, odd, one beside a cache line or four, more images than candidates, all images.
const Case kTopCases[] = {{1, 1, 1},      {2, 3, 1},      {5, 15, 5},     {7, 16, 3},     {40, 17, 10},
                          {100, 33, 100}, {301, 64, 100}, {1000, 65, 7},  {1000, 130, 1}, {2500, 48, 100},
                          {777, 31, 500}, {3000, 9, 900}, {2000, 8, 2000}};

enum class Values { kRandom, kRelu, kTies, kEqual, kAscending, kDescending, kInfinite };
constexpr Values kValues[] = {Values::kRandom,    Values::kRelu,       Values::kTies,    Values::kEqual,
                              Values::kAscending, Values::kDescending, Values::kInfinite};

template <typename T>
std::vector<T> activations(Values kind, int64_t n, int64_t u) {
  Random random(static_cast<uint64_t>(n * 31 + u) + static_cast<uint64_t>(kind));
  std::vector<T> q(static_cast<size_t>(n * u));
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < u; ++j) {
      double x = random.uniform(-1, 1);
      switch (kind) {
        case Values::kRelu:
          x = std::max(0.0, x - 0.8);
          break;
        case Values::kTies:
          x = std::floor(x * 4) / 4;
          break;
        case Values::kEqual:
          x = 0.5;
          break;
        case Values::kAscending:
          x = static_cast<double>(i / 3);
          break;
        case Values::kDescending:
          x = -static_cast<double>(i / 2);
          break;
        case Values::kInfinite:
          x = x > 0.5    ? std::numeric_limits<double>::infinity()
              : x < -0.5 ? -std::numeric_limits<double>::infinity()
                         : x;
          break;
        default:
          break;
      }
      q[static_cast<size_t>(i * u + j)] = static_cast<T>(x);
    }
  }
  return q;
}

template <typename T>
std::vector<int32_t> top_images(const std::vector<T>& q, int64_t n, int64_t u, int64_t top) {
  std::vector<int32_t> indices(static_cast<size_t>(u * top), -7);
  expect_status(igd_top_images(dtype_of<T>(), q.data(), n, u, top, indices.data()), IGD_OK, "top_images");
  return indices;
}

template <typename T>
void check_top(const Case& c, Values kind, const std::string& isa) {
  const std::vector<T> q = activations<T>(kind, c.n, c.u);
  const std::vector<int32_t> actual = top_images(q, c.n, c.u, c.top);
  std::vector<int32_t> expected(actual.size());
  std::vector<int32_t> order(static_cast<size_t>(c.n));
  for (int64_t j = 0; j < c.u; ++j) {
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
      return q[static_cast<size_t>(a * c.u + j)] > q[static_cast<size_t>(b * c.u + j)];
    });
    std::copy_n(order.begin(), c.top, expected.begin() + j * c.top);
  }
  char name[160];
  std::snprintf(name, sizeof(name), "top_images %s %s values %d N=%d U=%d top=%d", isa.c_str(),
                dtype_name<T>(), static_cast<int>(kind), static_cast<int>(c.n), static_cast<int>(c.u),
                static_cast<int>(c.top));
  identical(name, actual, expected);
}

template <typename T>
void check_nan(const std::string& isa) {
  std::vector<T> q = activations<T>(Values::kRandom, 50, 70);
  q[33 * 70 + 68] = std::numeric_limits<T>::quiet_NaN();
  q[40 * 70 + 2] = std::numeric_limits<T>::quiet_NaN();
  std::vector<int32_t> indices(70 * 5);
  igd_threads_set(1);
  expect_status(igd_top_images(dtype_of<T>(), q.data(), 50, 70, 5, indices.data()), IGD_INVALID_ARGUMENT,
                "NaN activation " + isa, {"NaN at image", "unit"});
}

struct Scoring {
  int64_t n, k, u, top;
  double scale, first, last, min_prob, lambda;
  bool labels;
};

const Scoring kScorings[] = {
    {1, 1, 1, 1, 10, 0.998, 0.97, 1e-7, 1, false},      {7, 3, 5, 7, 10, 0.998, 0.97, 1e-7, 1, false},
    {60, 10, 33, 50, 2, 0.95, 0.5, 1e-7, 0.6, false},   {200, 15, 17, 100, 10, 0.998, 0.97, 1e-7, 1, true},
    {90, 16, 20, 28, 2, 1, 1, 1e-7, 0.6, false},        {90, 17, 20, 28, 200, 1, 1, 1e-7, 0.6, true},
    {300, 33, 9, 300, 10, 0.998, 0.97, 1e-7, 1, false}, {150, 129, 66, 61, 10, 0.998, 0.97, 1e-7, 0, false},
    {40, 8, 12, 40, 10, 1, 1, 1e-12, 1, true},          {64, 100, 70, 1, 10, 0, 0, 0, 1, false}};

template <typename T>
void check_score(const Scoring& c, const std::string& isa) {
  char name[160];
  std::snprintf(name, sizeof(name), "cdir_score %s %s N=%d K=%d U=%d top=%d labels=%d", isa.c_str(),
                dtype_name<T>(), static_cast<int>(c.n), static_cast<int>(c.k), static_cast<int>(c.u),
                static_cast<int>(c.top), c.labels);
  Random random(static_cast<uint64_t>(c.n + c.k));
  const std::vector<T> p = random.vector<T>(c.n * c.k, -0.1, 0.4);
  const std::vector<int32_t> indices =
      top_images(activations<T>(Values::kRandom, c.n, c.u), c.n, c.u, c.top);
  std::vector<int64_t> labels(static_cast<size_t>(c.n));
  for (int64_t& label : labels) label = static_cast<int64_t>(random.bits() % static_cast<uint64_t>(c.k));
  std::vector<double> weight(static_cast<size_t>(c.top));
  for (size_t r = 0; r < weight.size(); ++r) {
    weight[r] = c.first - static_cast<double>(r) / static_cast<double>(c.top) * (c.first - c.last);
  }

  std::vector<long double> s(p.size());
  for (int64_t i = 0; i < c.n; ++i) {
    long double total = 0;
    for (int64_t k = 0; k < c.k; ++k) total += std::exp(static_cast<long double>(c.scale) * p[static_cast<size_t>(i * c.k + k)]);
    for (int64_t k = 0; k < c.k; ++k) {
      const size_t at = static_cast<size_t>(i * c.k + k);
      const bool own = !c.labels || labels[static_cast<size_t>(i)] == k;
      s[at] = own ? std::exp(static_cast<long double>(c.scale) * p[at]) / total : 0.0L;
    }
  }
  std::vector<long double> expected(static_cast<size_t>(c.u * c.k)), scale(expected.size());
  for (int64_t k = 0; k < c.k; ++k) {
    long double mean = 0, highest = -1e300L;
    for (int64_t u = 0; u < c.u; ++u) {
      long double sum = 0;
      for (int64_t r = 0; r < c.top; ++r) {
        const long double w = weight[static_cast<size_t>(r)];
        const int64_t image = indices[static_cast<size_t>(u * c.top + r)];
        sum += std::log(1 + w * (s[static_cast<size_t>(image * c.k + k)] - 1) + c.min_prob);
      }
      expected[static_cast<size_t>(u * c.k + k)] = sum;
      highest = std::max(highest, sum);
    }
    for (int64_t u = 0; u < c.u; ++u) mean += std::exp(expected[static_cast<size_t>(u * c.k + k)] - highest);
    const long double prior = c.lambda * (highest + std::log(mean / c.u));
    for (int64_t u = 0; u < c.u; ++u) expected[static_cast<size_t>(u * c.k + k)] -= prior;
  }
  // Per rank a few roundings of S, relative to its factor, and two of the product.
  std::fill(scale.begin(), scale.end(), static_cast<long double>(c.top) * (1 + c.scale));
  std::vector<double> actual(expected.size(), -7);
  expect_status(igd_cdir_score(dtype_of<T>(), p.data(), c.n, c.k, c.scale, c.labels ? labels.data() : nullptr,
                               indices.data(), c.u, c.top, weight.data(), c.min_prob, c.lambda,
                               actual.data()),
                IGD_OK, name);
  close(name, actual, expected, scale, std::is_same<T, float>::value ? 2e-7 : 4e-16);
}

template <typename T>
void check_threads(const std::string& isa) {
  const int threads = igd_threads_get();
  for (int64_t k : {10, 300}) {  // units shared, tiles shared
    const int64_t n = 600, u = 700, top = 60;
    Random random(7);
    const std::vector<T> p = random.vector<T>(n * k, 0, 0.3);
    const std::vector<T> q = activations<T>(Values::kRelu, n, u);
    const std::vector<double> weight(static_cast<size_t>(top), 0.98);
    std::vector<double> one, many(static_cast<size_t>(u * k));
    std::vector<int32_t> images;
    for (int count : {1, 2, 3, 8}) {
      igd_threads_set(count);
      const std::vector<int32_t> indices = top_images(q, n, u, top);
      expect_status(igd_cdir_score(dtype_of<T>(), p.data(), n, k, 10, nullptr, indices.data(), u, top,
                                   weight.data(), 1e-7, 1, many.data()),
                    IGD_OK, "threads");
      if (count == 1) {
        one = many;
        images = indices;
      }
      identical("cdir_score " + isa + " with " + std::to_string(count) + " threads", many, one);
      identical("top_images " + isa + " with " + std::to_string(count) + " threads", indices, images);
    }
  }
  igd_threads_set(threads);
}

// Every refusal names its argument and leaves the output alone.
void check_refusals() {
  std::vector<double> p(12, 0.1), q(8, 0.5), weight(2, 0.9), scores(6, 7);
  std::vector<int32_t> indices = {0, 1, 3, 2};
  std::vector<int64_t> labels = {0, 1, 2, 0};
  const auto score = [&](int64_t n, int64_t k, double scale, int64_t top, double min_prob) {
    return igd_cdir_score(IGD_FLOAT64, p.data(), n, k, scale, labels.data(), indices.data(), 2, top,
                          weight.data(), min_prob, 1, scores.data());
  };
  expect_status(score(4, 3, 10, 2, 1e-7), IGD_OK, "valid");
  std::fill(scores.begin(), scores.end(), 7);
  expect_status(score(0, 3, 10, 2, 1e-7), IGD_INVALID_ARGUMENT, "n", {"n:", "at least 1"});
  expect_status(score(4, 3, 10, 5, 1e-7), IGD_INVALID_ARGUMENT, "top", {"between 1 and 4", "got 5"});
  expect_status(score(4, 3, 0, 2, 1e-7), IGD_INVALID_ARGUMENT, "scale", {"scale", "got 0"});
  expect_status(score(4, 3, std::nan(""), 2, 1e-7), IGD_INVALID_ARGUMENT, "scale NaN", {"scale", "nan"});
  expect_status(score(4, 3, 10, 2, -1), IGD_INVALID_ARGUMENT, "min_prob", {"min_prob"});
  expect_status(score(4, 2, 10, 2, 1e-7), IGD_INVALID_ARGUMENT, "labels", {"labels[2]", "0 to 1", "got 2"});
  expect_status(score(int64_t(1) << 40, 3, 10, 2, 1e-7), IGD_INVALID_ARGUMENT, "many images", {"2^30"});
  weight[1] = 1.5;
  expect_status(score(4, 3, 10, 2, 1e-7), IGD_INVALID_ARGUMENT, "weight", {"rank_weight", "1.5"});
  weight[1] = 1;
  expect_status(score(4, 3, 10, 2, 0), IGD_INVALID_ARGUMENT, "no probability left", {"1 - rank_weight"});
  indices[2] = 4;
  expect_status(score(4, 3, 10, 2, 1e-7), IGD_INVALID_ARGUMENT, "index", {"indices[2]", "0 to 3", "got 4"});
  indices[2] = 3;
  p[7] = std::numeric_limits<double>::infinity();
  expect_status(score(4, 3, 10, 2, 1e-7), IGD_INVALID_ARGUMENT, "infinite", {"inf", "image 2, concept 1"});
  for (double x : scores) expect(x == 7.0, "scores untouched");
  expect_status(igd_top_images(IGD_FLOAT64, nullptr, 4, 2, 2, indices.data()), IGD_INVALID_ARGUMENT, "q",
                {"q:", "NULL"});
  expect_status(igd_top_images(7, q.data(), 4, 2, 2, indices.data()), IGD_INVALID_ARGUMENT, "dtype",
                {"dtype"});
  expect_status(igd_top_images(IGD_FLOAT64, q.data(), 4, 2, 0, indices.data()), IGD_INVALID_ARGUMENT,
                "top 0", {"top"});
}

}  // namespace

void test_cdir_score() {
  const int threads = igd_threads_get();
  for_each_isa([&](const std::string& isa) {
    igd_threads_set(3);
    for (const Case& c : kTopCases) {
      for (Values kind : kValues) {
        check_top<float>(c, kind, isa);
        check_top<double>(c, kind, isa);
      }
    }
    for (const Scoring& c : kScorings) {
      check_score<float>(c, isa);
      check_score<double>(c, isa);
    }
    check_nan<float>(isa);
    check_nan<double>(isa);
  });
  check_refusals();
  igd_threads_set(threads);
}

void test_cdir_score_threads() {
  for_each_isa([&](const std::string& isa) {
    check_threads<float>(isa);
    check_threads<double>(isa);
  });
}

}  // namespace igd_test

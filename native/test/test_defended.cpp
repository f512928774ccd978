// The defended classifier in one call against the same parts called one by one, and the noise of an image against
// a plain implementation of its generator.
#include <algorithm>
#include <memory>
#include <thread>

#include "test_support.h"

namespace igd_test {
namespace {

constexpr int64_t kChannels = 3, kSize = 8, kPixels = kChannels * kSize * kSize, kClasses = 5;

struct NetDeleter {
  void operator()(igd_net* net) const { igd_net_free(net); }
};
struct DefendedDeleter {
  void operator()(igd_defended* defended) const { igd_defended_free(defended); }
};
typedef std::unique_ptr<igd_defended, DefendedDeleter> Defended;

// Stem, one block at full size, one at half size.
struct Network {
  std::unique_ptr<igd_net, NetDeleter> net;
  int middle = 0, last = 0;
  int64_t middle_units = 12, last_units = 20;
  std::vector<float> weight, bias;
  std::vector<uint8_t> middle_masks, last_masks;

  explicit Network(int products, int64_t stride = 1, uint64_t seed = 3) {
    Random random(seed);
    igd_net* made = nullptr;
    expect_status(igd_net_create(products, kChannels, kSize, kSize, nullptr, nullptr, &made), IGD_OK, "create");
    net.reset(made);
    const auto conv = [&](int in, int64_t from, int64_t to, int64_t stride, int residual) {
      const double bound = std::sqrt(6.0 / static_cast<double>(from * 9));
      const std::vector<float> w = random.vector<float>(to * from * 9, -bound, bound);
      const std::vector<float> b = random.vector<float>(to, -0.1, 0.1);
      int value = 0;
      expect_status(igd_net_conv(made, in, to, 3, stride, 1, w.data(), b.data(), residual, 1, &value), IGD_OK, "conv");
      return value;
    };
    const int stem = conv(0, kChannels, middle_units, stride, -1);
    middle = conv(conv(stem, middle_units, middle_units, 1, -1), middle_units, middle_units, 1, stem);
    last = conv(conv(middle, middle_units, last_units, 2, -1), last_units, last_units, 1, -1);
    expect_status(igd_net_seal(made), IGD_OK, "seal");
    weight = random.vector<float>(kClasses * last_units, -1, 1);
    bias = random.vector<float>(kClasses, -0.5, 0.5);
    for (int64_t i = 0; i < kClasses * middle_units; ++i) middle_masks.push_back(random.bits() % 3 == 0);
    for (int64_t i = 0; i < kClasses * last_units; ++i) last_masks.push_back(random.bits() % 3 == 0);
  }

  // noisy: the network of the noisy images, or none of their own. Owned by neither.
  Defended defend(bool interior, double temperature, double sigma, int64_t samples,
                  const Network* noisy = nullptr) const {
    igd_defended* made = nullptr;
    expect_status(igd_defended_create(net.get(), noisy == nullptr ? nullptr : noisy->net.get(), interior ? middle : last, last, weight.data(), bias.data(), kClasses,
                                      interior ? middle_masks.data() : last_masks.data(), temperature, sigma, samples,
                                      99, &made),
                  IGD_OK, "igd_defended_create");
    return Defended(made);
  }
};

struct Result {
  std::vector<float> logits, first;
  std::vector<int32_t> pseudo;
};

constexpr float kGuard = 12345.0f;

Result call(const igd_defended* defended, const std::vector<float>& x, int64_t n, const std::string& what) {
  Result r;
  r.logits.assign(static_cast<size_t>(n * kClasses) + 1, kGuard);
  r.first = r.logits;
  r.pseudo.assign(static_cast<size_t>(n) + 1, -7);
  const int64_t bytes = igd_defended_workspace(defended, n);
  expect(bytes > 0 && bytes % 4 == 0, what + ": workspace");
  std::vector<float> workspace(static_cast<size_t>(bytes / 4) + 1, NAN);
  workspace.back() = kGuard;
  expect_status(igd_defended_forward(defended, n, x.data(), workspace.data(), r.logits.data(), r.first.data(),
                                     r.pseudo.data()),
                IGD_OK, what);
  expect(workspace.back() == kGuard && r.logits.back() == kGuard && r.first.back() == kGuard && r.pseudo.back() == -7,
         what + ": nothing is written behind the arrays");
  r.logits.pop_back();
  r.first.pop_back();
  r.pseudo.pop_back();
  return r;
}

// ---- the parts, one by one ----

std::vector<float> forward(const Network& m, int from, int to, const std::vector<float>& x, int64_t n) {
  int64_t in[3], out[3];
  expect_status(igd_net_shape(m.net.get(), from, in), IGD_OK, "shape");
  expect_status(igd_net_shape(m.net.get(), to, out), IGD_OK, "shape");
  std::vector<float> y(static_cast<size_t>(n * out[0] * out[1] * out[2]));
  const int64_t size = in[0] * in[1] * in[2];
  expect_status(from == 0 ? igd_net_forward(m.net.get(), 0, to, n, x.data(), size, in[1] * in[2], in[2], 1, y.data(),
                                            nullptr)
                          : igd_net_forward(m.net.get(), from, to, n, x.data(), size, 1, in[2] * in[0], in[0],
                                            y.data(), nullptr),
                IGD_OK, "igd_net_forward");
  return y;
}

Result head(const Network& m, const std::vector<float>& a, int64_t n, double temperature, const float* first) {
  Result r;
  const int64_t s = static_cast<int64_t>(a.size()) / (n * m.last_units);
  r.logits.resize(static_cast<size_t>(n * kClasses));
  r.first.resize(r.logits.size());
  std::vector<float> pooled(static_cast<size_t>(n * m.last_units));
  expect_status(igd_masked_head_forward(IGD_FLOAT32, a.data(), m.last_units * s, 1, m.last_units, n, m.last_units, s,
                                        m.weight.data(), m.bias.data(), kClasses, m.last_masks.data(), temperature,
                                        first, pooled.data(), r.first.data(), nullptr, nullptr, r.logits.data()),
                IGD_OK, "igd_masked_head_forward");
  return r;
}

Result parts(const Network& m, const Network& firsts, bool interior, double temperature, double sigma,
             int64_t samples, const std::vector<float>& x, int64_t n) {
  const int layer = interior ? m.middle : m.last;
  const std::vector<float> clean = forward(m, 0, layer, x, n);
  std::vector<float> z;
  if (sigma > 0) {
    const int64_t rows = n * samples;
    std::vector<float> noisy(static_cast<size_t>(rows * kPixels));
    expect_status(igd_image_noise(x.data(), n, kPixels, samples, 99, noisy.data()), IGD_OK, "igd_image_noise");
    for (int64_t i = 0; i < rows * kPixels; ++i) {
      const int64_t image = i / kPixels / samples;
      noisy[static_cast<size_t>(i)] =
          x[static_cast<size_t>(image * kPixels + i % kPixels)] + static_cast<float>(sigma) * noisy[static_cast<size_t>(i)];
    }
    const std::vector<float> draws = head(firsts, forward(firsts, 0, m.last, noisy, rows), rows, temperature, nullptr).first;
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t c = 0; c < kClasses; ++c) {
        float sum = 0;
        for (int64_t d = 0; d < samples; ++d) sum += draws[static_cast<size_t>((i * samples + d) * kClasses + c)];
        z.push_back(sum / static_cast<float>(samples));
      }
    }
  } else {
    z = head(m, forward(m, 0, m.last, x, n), n, temperature, nullptr).first;
  }
  Result r;
  if (!interior) {
    r = head(m, clean, n, temperature, z.data());
  } else {
    const int64_t u = m.middle_units, s = kSize * kSize;
    std::vector<float> masked(clean.size());
    for (int64_t i = 0; i < n; ++i) {
      double y[kClasses], sum = 0;
      const float* zi = z.data() + i * kClasses;
      const double largest = *std::max_element(zi, zi + kClasses);
      for (int64_t c = 0; c < kClasses; ++c) sum += y[c] = std::exp((zi[c] - largest) / temperature);
      for (int64_t j = 0; j < u; ++j) {
        double mask = 0;
        for (int64_t c = 0; c < kClasses; ++c) {
          mask += y[c] / sum * m.middle_masks[static_cast<size_t>(c * u + j)];
        }
        for (int64_t q = 0; q < s; ++q) {
          const size_t at = static_cast<size_t>((i * s + q) * u + j);
          masked[at] = static_cast<float>(clean[at] * mask);
        }
      }
    }
    r = head(m, forward(m, m.middle, m.last, masked, n), n, temperature, nullptr);
    r.logits = r.first;
  }
  r.first = z;
  for (int64_t i = 0; i < n; ++i) {
    const float* zi = z.data() + i * kClasses;
    r.pseudo.push_back(static_cast<int32_t>(std::max_element(zi, zi + kClasses) - zi));
  }
  return r;
}

// noisy: the network of the noisy images; null for m.
void same_as_parts(const Network& m, const Network* noisy, const std::string& name) {
  const int64_t most = 19;
  const std::vector<float> x = Random(7).vector<float>(most * kPixels, 0, 1);
  for (bool interior : {false, true}) {
    for (int64_t samples : {0, 1, 3}) {
      if (noisy != nullptr && samples == 0) continue;
      const double sigma = samples == 0 ? 0 : 0.1;
      const double temperature = 0.5;  // several classes count
      const int64_t draws = samples == 0 ? 1 : samples;
      const Defended defended = m.defend(interior, temperature, sigma, draws, noisy);
      const Result all = parts(m, noisy == nullptr ? m : *noisy, interior, temperature, sigma, draws, x, most);
      for (int64_t n : {int64_t{1}, int64_t{2}, int64_t{7}, most}) {
        const std::string what = name + (interior ? ", interior" : ", penultimate") + ", samples " +
                                 std::to_string(samples) + ", n " + std::to_string(n);
        const Result got = call(defended.get(), x, n, what);
        const std::vector<float> first(all.first.begin(), all.first.begin() + n * kClasses);
        const std::vector<float> logits(all.logits.begin(), all.logits.begin() + n * kClasses);
        identical(what + ": first logits", got.first, first);
        if (interior) {
          close(what + ": logits", got.logits, std::vector<long double>(logits.begin(), logits.end()), {}, 2e-5);
        } else {
          identical(what + ": logits", got.logits, logits);
        }
        expect(got.pseudo == std::vector<int32_t>(all.pseudo.begin(), all.pseudo.begin() + n), what + ": pseudo-labels");
      }
      // The interior pass as well: the first image's values do not depend on the batch.
      const Result one = call(defended.get(), x, 1, name);
      const Result many = call(defended.get(), x, most, name);
      identical(name + ": image 0 in a batch", one.logits,
                std::vector<float>(many.logits.begin(), many.logits.begin() + kClasses));
    }
  }
}

// ---- noise ----

struct Block {
  uint32_t v[4];
};

Block philox(Block c, uint32_t k0, uint32_t k1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * c.v[0], p1 = uint64_t{0xCD9E8D57} * c.v[2];
    c = {{static_cast<uint32_t>(p1 >> 32) ^ c.v[1] ^ k0, static_cast<uint32_t>(p1),
          static_cast<uint32_t>(p0 >> 32) ^ c.v[3] ^ k1, static_cast<uint32_t>(p0)}};
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return c;
}

uint64_t finish(uint64_t h) {
  h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ull;
  h = (h ^ (h >> 27)) * 0x94d049bb133111ebull;
  return h ^ (h >> 31);
}

void noise() {
  // Known answers of Random123.
  const Block zero = philox({{0, 0, 0, 0}}, 0, 0);
  expect(zero.v[0] == 0x6627e8d5 && zero.v[1] == 0xe169c58d && zero.v[2] == 0xbc57ac4c && zero.v[3] == 0x9b00dbd8,
         "Philox 4x32-10 of zeros");
  const Block pi = philox({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0);
  expect(pi.v[0] == 0xd16cfe09 && pi.v[1] == 0x94fdcceb && pi.v[2] == 0x5001e420 && pi.v[3] == 0x24126ea1,
         "Philox 4x32-10 of the digits of pi");
  const uint64_t seed = 0x123456789abcdef0ull;
  for (int64_t p : {int64_t{1}, int64_t{3}, int64_t{4}, int64_t{149}}) {
    const int64_t n = 3, samples = 2;
    std::vector<float> x = Random(21).vector<float>(n * p, 0, 1);
    x[0] = 0.0f;
    std::vector<float> got(static_cast<size_t>(n * samples * p + 1), kGuard);
    expect_status(igd_image_noise(x.data(), n, p, samples, seed, got.data()), IGD_OK, "noise");
    expect(got.back() == kGuard, "noise: nothing behind the array");
    got.pop_back();
    std::vector<long double> expected;
    for (int64_t i = 0; i < n; ++i) {
      uint64_t h = finish(static_cast<uint64_t>(p) + 0x9e3779b97f4a7c15ull);
      for (int64_t j = 0; j < p; ++j) {
        uint32_t bits;
        std::memcpy(&bits, &x[static_cast<size_t>(i * p + j)], 4);
        h = (h ^ bits) * 0x9e3779b97f4a7c15ull;
        h ^= h >> 29;
      }
      h = finish(h);
      for (int64_t s = 0; s < samples; ++s) {
        for (int64_t j = 0; j < p; ++j) {
          const Block b = philox({{static_cast<uint32_t>(j / 4), static_cast<uint32_t>(s), static_cast<uint32_t>(h),
                                   static_cast<uint32_t>(h >> 32)}},
                                 static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
          const uint32_t a = b.v[j % 4 / 2 * 2], c = b.v[j % 4 / 2 * 2 + 1];
          const double radius = std::sqrt(-2 * std::log(((a >> 8) + 1) * 0x1.0p-24));
          const double angle = 2 * 3.141592653589793 * ((c >> 8) * 0x1.0p-24);
          expected.push_back(radius * (j % 2 == 0 ? std::cos(angle) : std::sin(angle)));
        }
      }
    }
    close("noise of " + std::to_string(p) + " values", got, expected, {}, 4e-6);
    x[0] = -0.0f;
    std::vector<float> again(got.size());
    expect_status(igd_image_noise(x.data(), n, p, samples, seed, again.data()), IGD_OK, "noise");
    identical("noise of -0", again, got);
  }
}

// ---- errors ----

void errors(const Network& m) {
  const Defended defended = m.defend(false, 0.01, 0, 1);
  std::vector<float> x(2 * kPixels, 0.5f);
  std::vector<float> logits(2 * kClasses, kGuard), first = logits;
  std::vector<int32_t> pseudo(2, -7);
  std::vector<float> workspace(static_cast<size_t>(igd_defended_workspace(defended.get(), 2)));
  const auto run = [&](int64_t n) {
    return igd_defended_forward(defended.get(), n, x.data(), workspace.data(), logits.data(), first.data(),
                                pseudo.data());
  };
  for (float bad : {-1e-6f, 1.0001f, NAN, INFINITY}) {
    x[static_cast<size_t>(kPixels + kSize * kSize + 2 * kSize + 3)] = bad;
    expect_status(run(2), IGD_INVALID_ARGUMENT, "a bad pixel",
                  {"expected values in [0,1]", "image 1 at channel 1, row 2, column 3"});
  }
  expect(logits[0] == kGuard && first[0] == kGuard && pseudo[0] == -7, "errors leave the outputs");
  expect_status(run(1), IGD_OK, "the first image alone");
  expect_status(run(0), IGD_INVALID_ARGUMENT, "no images");
  expect_status(run(INT64_MAX / 8), IGD_INVALID_ARGUMENT, "too many images");
  expect(igd_defended_workspace(defended.get(), INT64_MAX / 8) == 0 && igd_defended_workspace(nullptr, 1) == 0 &&
             igd_defended_workspace(defended.get(), 0) == 0,
         "no workspace for what is refused");
  igd_defended* made = nullptr;
  const auto create = [&](int layer, int last, double temperature, double sigma, int64_t samples) {
    return igd_defended_create(m.net.get(), nullptr, layer, last, m.weight.data(), m.bias.data(), kClasses,
                               m.last_masks.data(), temperature, sigma, samples, 0, &made);
  };
  expect_status(create(m.last, m.last, 0, 0, 1), IGD_INVALID_ARGUMENT, "temperature", {"temperature"});
  expect_status(create(m.last, m.last, 0.1, -1, 1), IGD_INVALID_ARGUMENT, "sigma", {"sigma"});
  expect_status(create(m.last, m.last, 0.1, 0, 2), IGD_INVALID_ARGUMENT, "samples without noise", {"samples"});
  expect_status(create(m.last, m.middle, 0.1, 0, 1), IGD_INVALID_ARGUMENT, "order of values");
  expect_status(create(1000, 1000, 0.1, 0, 1), IGD_INVALID_ARGUMENT, "unknown value");
  const auto create_with = [&](igd_net* noisy, double sigma) {
    return igd_defended_create(m.net.get(), noisy, m.last, m.last, m.weight.data(), m.bias.data(), kClasses,
                               m.last_masks.data(), 0.1, sigma, 1, 0, &made);
  };
  const Network high(3);
  expect_status(create_with(high.net.get(), 0), IGD_INVALID_ARGUMENT, "noisy_net without noise", {"noisy_net", "sigma"});
  const Network other(3, 2);
  expect_status(create_with(other.net.get(), 0.1), IGD_INVALID_ARGUMENT, "another network", {"noisy_net", "as in net"});
  igd_net* short_net = nullptr;
  expect_status(igd_net_create(3, kChannels, kSize, kSize, nullptr, nullptr, &short_net), IGD_OK, "create");
  const std::unique_ptr<igd_net, NetDeleter> owner(short_net);
  const std::vector<float> one(kChannels, 1.0f);
  int only = 0;
  expect_status(igd_net_conv(short_net, 0, 1, 1, 1, 0, one.data(), one.data(), -1, 0, &only), IGD_OK, "conv");
  expect_status(igd_net_seal(short_net), IGD_OK, "seal");
  expect_status(create_with(short_net, 0.1), IGD_INVALID_ARGUMENT, "a network without the layer");
  expect(made == nullptr, "nothing is made");
  {
    // The classifier owns neither network: it goes first, then they, in any order.
    std::unique_ptr<Network> mine(new Network(6)), noisy(new Network(3));
    Defended both = mine->defend(false, 0.1, 0.1, 1, noisy.get());
    call(both.get(), std::vector<float>(kPixels, 0.25f), 1, "two networks");
    both.reset();
    noisy.reset();
    mine->defend(false, 0.1, 0.1, 1);
    const Defended alone = mine->defend(false, 0.1, 0.1, 1);
    call(alone.get(), std::vector<float>(kPixels, 0.25f), 1, "the network without the other");
  }
  igd_defended_free(nullptr);
  expect_status(igd_image_noise(nullptr, 1, 1, 1, 0, x.data()), IGD_INVALID_ARGUMENT, "noise of nothing", {"x"});
  std::fill(x.begin(), x.end(), 0.0f);
  Network broken(6);
  broken.bias[2] = NAN;
  const Defended nan = broken.defend(false, 0.01, 0, 1);
  expect(call(nan.get(), x, 2, "NaN").pseudo == std::vector<int32_t>({-1, -1}), "no pseudo-label of NaN");
}

}  // namespace

void test_defended() {
  noise();
  const Network m(6);
  errors(m);
  for_each_isa([&](const std::string& isa) {
    if (isa == "avx2") return;  // the network's kernels are the portable ones there, too
    same_as_parts(m, nullptr, isa + ", float32");
    same_as_parts(Network(1), nullptr, isa + ", bfloat16");
    const Network high(3);
    same_as_parts(m, &high, isa + ", float32, noisy images of 16 bits");
    const Network half(1);
    same_as_parts(m, &half, isa + ", float32, noisy images in bfloat16");
    same_as_parts(high, &half, isa + ", 16 bits, noisy images in bfloat16");
    // Another network of the same shapes: nothing may be read for both.
    Network foreign(3, 1, 4);
    foreign.weight = m.weight;
    foreign.bias = m.bias;
    foreign.last_masks = m.last_masks;
    foreign.middle_masks = m.middle_masks;
    same_as_parts(m, &foreign, isa + ", float32, noisy images through another network");
  });
}

namespace {

void beside_other_threads(const Network& m, const Network* noisy) {
  const Defended defended = m.defend(false, 0.01, 0.05, 2, noisy);
  const int64_t n = 3;
  const std::vector<float> x = Random(8).vector<float>(n * kPixels, 0, 1);
  const Result expected = call(defended.get(), x, n, "alone");
  std::vector<Result> results(4);
  std::vector<std::thread> threads;
  for (Result& r : results) {
    threads.emplace_back([&] {
      r.logits.resize(static_cast<size_t>(n * kClasses));
      r.first.resize(r.logits.size());
      r.pseudo.resize(static_cast<size_t>(n));
      std::vector<float> workspace(static_cast<size_t>(igd_defended_workspace(defended.get(), n) / 4));
      for (int i = 0; i < 3; ++i) {
        igd_defended_forward(defended.get(), n, x.data(), workspace.data(), r.logits.data(), r.first.data(),
                             r.pseudo.data());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Result& r : results) {
    identical("logits beside other threads", r.logits, expected.logits);
    identical("first logits beside other threads", r.first, expected.first);
    expect(r.pseudo == expected.pseudo, "pseudo-labels beside other threads");
  }
}

}  // namespace

void test_defended_threads() {
  const Network m(6), high(3);
  beside_other_threads(m, nullptr);
  beside_other_threads(m, &high);
  const Network half(1);
  beside_other_threads(m, &half);
}

}  // namespace igd_test

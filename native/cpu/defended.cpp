// The defended classifier over a compiled network: both passes in one call, in memory that the caller brings.
//
// Shapes: x [n,C,H,W]; the layer's map [rows,S,U] with rows = n clean images and, with smoothing, n*samples noisy
// ones behind them; the last map [rows,S',U']. Without smoothing z comes from the clean images themselves.
#include <math.h>
#include <stdint.h>
#include <string.h>

#include <new>
#include <vector>

#include "checks.h"
#include "igd/kernels.h"
#include "runtime.h"

struct igd_defended {
  igd_net* net = nullptr;
  igd_net* noisy_net = nullptr;  // of the noisy images; `net` where they have none of their own
  int layer = 0;
  int last = 0;
  int64_t pixels = 0;        // C*H*W of an image
  int64_t columns = 0;       // W
  int64_t plane = 0;         // H*W
  int64_t units = 0;         // U
  int64_t places = 0;        // S
  int64_t last_units = 0;    // U'
  int64_t last_places = 0;   // S'
  int64_t k = 0;
  int64_t samples = 1;
  double temperature = 0;
  double sigma = 0;
  uint64_t seed = 0;
  std::vector<float> weight;
  std::vector<float> bias;
  std::vector<uint8_t> masks;
  std::vector<uint8_t> no_mask;  // for an interior layer, where the head kernel only pools and multiplies
  bool penultimate() const { return layer == last; }
  bool smoothed() const { return sigma > 0; }
};

namespace igd {
namespace {

constexpr double kNoiseNanosecondsPerValue = 10;

// ---- noise ----

uint64_t finish(uint64_t h) {
  h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ull;
  h = (h ^ (h >> 27)) * 0x94d049bb133111ebull;
  return h ^ (h >> 31);
}

// Of the values' bits, in order; -0 as 0.
uint64_t hash(const float* x, int64_t count) {
  uint64_t h = finish(static_cast<uint64_t>(count) + 0x9e3779b97f4a7c15ull);
  for (int64_t i = 0; i < count; ++i) {
    const float value = x[i] + 0.0f;
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    h = (h ^ bits) * 0x9e3779b97f4a7c15ull;
    h ^= h >> 29;
  }
  return finish(h);
}

// Philox 4x32-10.
void philox(uint32_t counter[4], uint64_t key) {
  uint32_t k0 = static_cast<uint32_t>(key);
  uint32_t k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xd2511f53u} * counter[0];
    const uint64_t b = uint64_t{0xcd9e8d57u} * counter[2];
    const uint32_t next0 = static_cast<uint32_t>(b >> 32) ^ counter[1] ^ k0;
    const uint32_t next2 = static_cast<uint32_t>(a >> 32) ^ counter[3] ^ k1;
    counter[1] = static_cast<uint32_t>(b);
    counter[3] = static_cast<uint32_t>(a);
    counter[0] = next0;
    counter[2] = next2;
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
}

// Two uniforms of 24 bits, the first in (0,1], to two normals.
void box_muller(uint32_t a, uint32_t b, float* z) {
  const float radius = sqrtf(-2.0f * logf(static_cast<float>((a >> 8) + 1) * 0x1.0p-24f));
  const float angle = 6.28318530717958647692f * (static_cast<float>(b >> 8) * 0x1.0p-24f);
  z[0] = radius * cosf(angle);
  z[1] = radius * sinf(angle);
}

void draw(uint64_t seed, uint64_t image, int64_t sample, int64_t count, float* noise) {
  for (int64_t i = 0; i < count; i += 4) {
    uint32_t block[4] = {static_cast<uint32_t>(i / 4), static_cast<uint32_t>(sample),
                         static_cast<uint32_t>(image), static_cast<uint32_t>(image >> 32)};
    philox(block, seed);
    float z[4];
    box_muller(block[0], block[1], z);
    box_muller(block[2], block[3], z + 2);
    const int64_t rest = count - i < 4 ? count - i : 4;
    for (int64_t j = 0; j < rest; ++j) noise[i + j] = z[j];
  }
}

void image_noise(const float* x, int64_t n, int64_t pixels, int64_t samples, uint64_t seed, float* noise) {
  const double values = static_cast<double>(n) * static_cast<double>(samples) * static_cast<double>(pixels);
  parallel(workers_for(values * kNoiseNanosecondsPerValue), n * samples,
           [&](int64_t begin, int64_t end, int) {
             for (int64_t i = begin; i < end; ++i) {
               const float* image = x + i / samples * pixels;
               draw(seed, hash(image, pixels), i % samples, pixels, noise + i * pixels);
             }
           });
}

// ---- memory ----

// Floats of one call, and where each part begins.
struct Places {
  int64_t rows = 0;     // clean and noisy images
  int64_t first = 0;    // images that z is computed from
  int64_t images = 0;   // [rows,C,H,W], with smoothing
  int64_t maps = 0;     // [rows,S,U]
  int64_t masked = 0;   // [n,S,U], interior layers
  int64_t lasts = 0;    // [max(first,n),S',U'], interior layers
  int64_t pooled = 0;   // [max(first,n),U']
  int64_t z = 0;        // [first,K]
  int64_t spare = 0;    // [max(first,n),K]
  int64_t weights = 0;  // [n,K], interior layers
  int64_t mask = 0;     // [U], interior layers
  int64_t total = 0;
};

// false if the sizes overflow.
bool place(const igd_defended& d, int64_t n, Places* p) {
  if (n < 1) return false;
  bool fits = true;
  int64_t total = 0;
  const auto reserve = [&](int64_t count, int64_t size) {
    const int64_t at = total;
    int64_t elements;
    fits = fits && !__builtin_mul_overflow(count, size, &elements) &&
           !__builtin_add_overflow(total, elements, &total);
    return at;
  };
  int64_t noisy = 0;
  if (d.smoothed()) fits = !__builtin_mul_overflow(n, d.samples, &noisy);
  fits = fits && !__builtin_add_overflow(n, noisy, &p->rows);
  if (!fits) return false;
  p->first = d.smoothed() ? noisy : n;
  const int64_t head_rows = p->first > n ? p->first : n;
  p->images = reserve(d.smoothed() ? p->rows : 0, d.pixels);
  p->maps = reserve(p->rows, d.units * d.places);
  if (!d.penultimate()) {
    p->masked = reserve(n, d.units * d.places);
    p->lasts = reserve(head_rows, d.last_units * d.last_places);
    p->weights = reserve(n, d.k);
    p->mask = reserve(1, d.units);
  }
  p->pooled = reserve(head_rows, d.last_units);
  p->z = reserve(p->first, d.k);
  p->spare = reserve(head_rows, d.k);
  int64_t bytes;
  fits = fits && !__builtin_mul_overflow(total, int64_t{sizeof(float)}, &bytes);
  p->total = total;
  return fits;
}

// ---- the passes ----

igd_status forward(igd_net* net, int from, int to, int64_t n, const float* x, float* y) {
  int64_t in[3];
  const igd_status status = igd_net_shape(net, from, in);
  if (status != IGD_OK) return status;
  const int64_t size = in[0] * in[1] * in[2];
  // The input is [C,H,W], every other value [H,W,C].
  return from == 0 ? igd_net_forward(net, 0, to, n, x, size, in[1] * in[2], in[2], 1, y, nullptr)
                   : igd_net_forward(net, from, to, n, x, size, 1, in[2] * in[0], in[0], y, nullptr);
}

// z = pool(a)*W^T + b of maps [n,S',U']; the head kernel with nothing masked away that is used.
igd_status classify(const igd_defended& d, int64_t n, const float* a, const Places& p, float* memory, float* z) {
  const uint8_t* masks = d.penultimate() ? d.masks.data() : d.no_mask.data();
  return igd_masked_head_forward(IGD_FLOAT32, a, d.last_units * d.last_places, 1, d.last_units, n, d.last_units,
                                 d.last_places, d.weight.data(), d.bias.data(), d.k, masks, d.temperature,
                                 nullptr, memory + p.pooled, z, nullptr, nullptr, memory + p.spare);
}

void mean_of_draws(const igd_defended& d, int64_t n, const float* z, float* mean) {
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t c = 0; c < d.k; ++c) {
      float sum = 0;
      for (int64_t s = 0; s < d.samples; ++s) sum += z[(i * d.samples + s) * d.k + c];
      mean[i * d.k + c] = sum / static_cast<float>(d.samples);
    }
  }
}

// y = softmax(z/temperature); weights too small to count are 0, as in the head kernel.
void soft_weights(const float* z, int64_t k, double temperature, float* y) {
  float largest = z[0];
  for (int64_t c = 1; c < k; ++c) largest = z[c] > largest || z[c] != z[c] ? z[c] : largest;
  float sum = 0;
  for (int64_t c = 0; c < k; ++c) {
    y[c] = expf((z[c] - largest) / static_cast<float>(temperature));
    if (y[c] < 1e-30f) y[c] = 0;
    sum += y[c];
  }
  for (int64_t c = 0; c < k; ++c) y[c] /= sum;
}

// The second pass of an interior layer: m.A(x) through the rest of the network.
igd_status second_pass(const igd_defended& d, int64_t n, const Places& p, float* memory, const float* z,
                       float* logits) {
  float* y = memory + p.weights;
  float* m = memory + p.mask;
  for (int64_t i = 0; i < n; ++i) {
    soft_weights(z + i * d.k, d.k, d.temperature, y + i * d.k);
    for (int64_t u = 0; u < d.units; ++u) m[u] = 0;
    for (int64_t c = 0; c < d.k; ++c) {
      const float weight = y[i * d.k + c];
      if (weight == 0) continue;
      const uint8_t* kept = d.masks.data() + c * d.units;
      for (int64_t u = 0; u < d.units; ++u) m[u] += kept[u] != 0 ? weight : weight * 0.0f;
    }
    const float* a = memory + p.maps + i * d.units * d.places;
    float* masked = memory + p.masked + i * d.units * d.places;
    for (int64_t s = 0; s < d.places; ++s) {
      for (int64_t u = 0; u < d.units; ++u) masked[s * d.units + u] = a[s * d.units + u] * m[u];
    }
  }
  const igd_status status = forward(d.net, d.layer, d.last, n, memory + p.masked, memory + p.lasts);
  return status != IGD_OK ? status : classify(d, n, memory + p.lasts, p, memory, logits);
}

// The first value outside [0,1], or -1.
int64_t find_bad(const float* x, int64_t count) {
  int bad = 0;
  for (int64_t i = 0; i < count; ++i) bad |= !(x[i] >= 0.0f && x[i] <= 1.0f);
  if (bad == 0) return -1;
  for (int64_t i = 0; i < count; ++i) {
    if (!(x[i] >= 0.0f && x[i] <= 1.0f)) return i;
  }
  return -1;
}

igd_status run(const igd_defended& d, int64_t n, const float* x, const Places& p, float* memory, float* logits,
               float* first_logits) {
  float* noisy = memory + p.images;
  if (d.smoothed()) {
    memcpy(noisy, x, static_cast<size_t>(n * d.pixels) * sizeof(float));
    noisy += n * d.pixels;
    image_noise(x, n, d.pixels, d.samples, d.seed, noisy);
    const float sigma = static_cast<float>(d.sigma);
    for (int64_t i = 0; i < p.first; ++i) {
      const float* clean = x + i / d.samples * d.pixels;
      float* image = noisy + i * d.pixels;
      for (int64_t j = 0; j < d.pixels; ++j) image[j] = clean[j] + sigma * image[j];
    }
  }
  float* maps = memory + p.maps;
  igd_status status;
  if (!d.smoothed()) {
    status = forward(d.net, 0, d.layer, n, x, maps);
  } else {
    status = igd_net_forward_coarse(d.net, d.noisy_net, 0, d.layer, p.rows, p.first, memory + p.images, d.pixels, d.plane,
                                    d.columns, 1, maps);
  }
  if (status != IGD_OK) return status;
  const float* clean = maps;
  const float* firsts = d.smoothed() ? maps + n * d.units * d.places : maps;
  if (d.smoothed() || !d.penultimate()) {
    if (!d.penultimate()) {
      status = forward(d.noisy_net, d.layer, d.last, p.first, firsts, memory + p.lasts);
      if (status != IGD_OK) return status;
      firsts = memory + p.lasts;
    }
    status = classify(d, p.first, firsts, p, memory, memory + p.z);
    if (status != IGD_OK) return status;
    mean_of_draws(d, n, memory + p.z, first_logits);
  }
  if (!d.penultimate()) return second_pass(d, n, p, memory, first_logits, logits);
  return igd_masked_head_forward(IGD_FLOAT32, clean, d.units * d.places, 1, d.units, n, d.units, d.places,
                                 d.weight.data(), d.bias.data(), d.k, d.masks.data(), d.temperature,
                                 d.smoothed() ? first_logits : nullptr, memory + p.pooled,
                                 d.smoothed() ? nullptr : first_logits, nullptr, nullptr, logits);
}

}  // namespace
}  // namespace igd

extern "C" {

igd_status igd_image_noise(const float* x, int64_t n, int64_t p, int64_t samples, uint64_t seed, float* noise) {
  const igd::Checks check("igd_image_noise");
  int64_t rows;
  if (!check.size("n", n) || !check.size("p", p) || !check.size("samples", samples) ||
      !check.product("x", n, p, sizeof(float)) || !check.product("noise", n, samples, sizeof(float))) {
    return IGD_INVALID_ARGUMENT;
  }
  rows = n * samples;
  if (!check.product("noise", rows, p, sizeof(float)) || !check.pointer("x", x, sizeof(float)) ||
      !check.pointer("noise", noise, sizeof(float))) {
    return IGD_INVALID_ARGUMENT;
  }
  igd::image_noise(x, n, p, samples, seed, noise);
  return IGD_OK;
}

igd_status igd_defended_create(igd_net* net, igd_net* noisy_net, int layer, int last, const float* weight,
                               const float* bias, int64_t k, const uint8_t* masks, double temperature,
                               double sigma, int64_t samples, uint64_t seed, igd_defended** defended) {
  const igd::Checks check("igd_defended_create");
  if (!check.pointer("net", net, 1) || !check.pointer("defended", defended, alignof(void*)) ||
      !check.pointer("weight", weight, sizeof(float)) || !check.pointer("bias", bias, sizeof(float)) ||
      !check.pointer("masks", masks, 1) || !check.size("k", k) || !check.size("samples", samples) ||
      !check.temperature(temperature)) {
    return IGD_INVALID_ARGUMENT;
  }
  *defended = nullptr;
  if (!isfinite(sigma) || sigma < 0 || (sigma == 0 && samples != 1)) {
    return igd::fail(IGD_INVALID_ARGUMENT,
                     "igd_defended_create: expected a finite sigma of at least 0, and 1 sample where it is 0, got "
                     "sigma %g and %lld samples",
                     sigma, static_cast<long long>(samples));
  }
  int64_t input[3], map[3], end[3];
  for (igd_status status : {igd_net_shape(net, 0, input), igd_net_shape(net, layer, map),
                            igd_net_shape(net, last, end)}) {
    if (status != IGD_OK) return status;
  }
  if (layer < 1 || last < layer) {
    return igd::fail(IGD_INVALID_ARGUMENT,
                     "igd_defended_create: expected a computed layer and a value that follows from it, got %d and %d",
                     layer, last);
  }
  if (noisy_net != nullptr && sigma == 0) {
    return igd::fail(IGD_INVALID_ARGUMENT,
                     "igd_defended_create: noisy_net: expected NULL where sigma is 0, got a network for no images");
  }
  for (int value : {0, layer, last}) {
    int64_t shape[3], other[3];
    if (noisy_net == nullptr) break;
    igd_status status = igd_net_shape(net, value, shape);
    if (status == IGD_OK) status = igd_net_shape(noisy_net, value, other);
    if (status != IGD_OK) return status;
    if (memcmp(shape, other, sizeof(shape)) != 0) {
      return igd::fail(IGD_INVALID_ARGUMENT,
                       "igd_defended_create: noisy_net: expected value %d of [%lld,%lld,%lld] as in net, got "
                       "[%lld,%lld,%lld]",
                       value, static_cast<long long>(shape[0]), static_cast<long long>(shape[1]),
                       static_cast<long long>(shape[2]), static_cast<long long>(other[0]),
                       static_cast<long long>(other[1]), static_cast<long long>(other[2]));
    }
  }
  if (!check.product("weight", k, end[0], sizeof(float)) || !check.product("masks", k, map[0], 1)) {
    return IGD_INVALID_ARGUMENT;
  }
  try {
    igd_defended* made = new igd_defended;
    *defended = made;
    made->net = net;
    made->noisy_net = noisy_net == nullptr ? net : noisy_net;
    made->layer = layer;
    made->last = last;
    made->pixels = input[0] * input[1] * input[2];
    made->plane = input[1] * input[2];
    made->columns = input[2];
    made->units = map[0];
    made->places = map[1] * map[2];
    made->last_units = end[0];
    made->last_places = end[1] * end[2];
    made->k = k;
    made->samples = samples;
    made->temperature = temperature;
    made->sigma = sigma;
    made->seed = seed;
    made->weight.assign(weight, weight + k * end[0]);
    made->bias.assign(bias, bias + k);
    made->masks.assign(masks, masks + k * map[0]);
    if (layer != last) made->no_mask.assign(static_cast<size_t>(k * end[0]), 0);
  } catch (const std::bad_alloc&) {
    delete *defended;
    *defended = nullptr;
    return igd::fail(IGD_OUT_OF_MEMORY, "igd_defended_create: no memory");
  }
  return IGD_OK;
}

void igd_defended_free(igd_defended* defended) { delete defended; }

int64_t igd_defended_workspace(const igd_defended* defended, int64_t n) {
  igd::Places places;
  if (defended == nullptr || !igd::place(*defended, n, &places)) return 0;
  return places.total * static_cast<int64_t>(sizeof(float));
}

igd_status igd_defended_forward(const igd_defended* defended, int64_t n, const float* x, void* workspace,
                                float* logits, float* first_logits, int32_t* pseudo_labels) {
  const igd::Checks check("igd_defended_forward");
  if (!check.pointer("defended", defended, 1) || !check.size("n", n) || !check.pointer("x", x, sizeof(float)) ||
      !check.pointer("workspace", workspace, sizeof(float)) || !check.pointer("logits", logits, sizeof(float)) ||
      !check.pointer("first_logits", first_logits, sizeof(float)) ||
      !check.pointer("pseudo_labels", pseudo_labels, sizeof(int32_t)) ||
      !check.product("x", n, defended->pixels, sizeof(float))) {
    return IGD_INVALID_ARGUMENT;
  }
  const igd_defended& d = *defended;
  igd::Places places;
  if (!igd::place(d, n, &places)) {
    return igd::fail(IGD_INVALID_ARGUMENT, "igd_defended_forward: n: expected fewer images, got %lld",
                     static_cast<long long>(n));
  }
  const int64_t bad = igd::find_bad(x, n * d.pixels);
  if (bad >= 0) {
    const int64_t at = bad % d.pixels;
    return igd::fail(IGD_INVALID_ARGUMENT,
                     "igd_defended_forward: x: expected values in [0,1], got %g in image %lld at channel %lld, row "
                     "%lld, column %lld; divide 8-bit values by 255",
                     static_cast<double>(x[bad]), static_cast<long long>(bad / d.pixels),
                     static_cast<long long>(at / d.plane), static_cast<long long>(at % d.plane / d.columns),
                     static_cast<long long>(at % d.columns));
  }
  const igd_status status =
      igd::run(d, n, x, places, static_cast<float*>(workspace), logits, first_logits);
  if (status != IGD_OK) return status;
  for (int64_t i = 0; i < n; ++i) {
    const float* z = first_logits + i * d.k;
    int32_t best = 0;
    for (int64_t c = 0; c < d.k && best >= 0; ++c) {
      if (z[c] != z[c]) best = -1;
      else if (z[c] > z[best]) best = static_cast<int32_t>(c);
    }
    pseudo_labels[i] = best;
  }
  return IGD_OK;
}

}  // extern "C"

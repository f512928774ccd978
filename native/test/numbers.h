// bfloat16 and float16 on the host: bits and conversions, to nearest with ties to even.
#ifndef IGD_TEST_NUMBERS_H_
#define IGD_TEST_NUMBERS_H_

#include <math.h>
#include <stdint.h>
#include <string.h>

namespace igd_numbers {

inline float bfloat_to_float(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float x;
  memcpy(&x, &wide, sizeof(x));
  return x;
}

inline uint16_t float_to_bfloat(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof(bits));
  if (x != x) return 0x7fff;
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

inline float half_to_float(uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const int fraction = bits & 1023;
  float x;
  if (exponent == 31) {
    x = fraction == 0 ? INFINITY : NAN;
  } else if (exponent == 0) {
    x = ldexpf(static_cast<float>(fraction), -24);
  } else {
    x = ldexpf(static_cast<float>(1024 + fraction), exponent - 25);
  }
  return (bits & 0x8000) != 0 ? -x : x;
}

inline uint16_t float_to_half(float x) {
  const uint16_t sign = signbit(x) ? 0x8000 : 0;
  if (x != x) return 0x7fff;
  const float size = fabsf(x);
  if (size == 0) return sign;
  if (size >= 65520.0f) return static_cast<uint16_t>(sign | 0x7c00);  // halfway to 65536 and above
  int exponent = 0;
  frexpf(size, &exponent);  // size = f * 2^exponent, f in [0.5,1)
  // Units of the last place: 2^-24 for subnormal numbers, else 2^(exponent - 11).
  const int unit = exponent - 11 < -24 ? -24 : exponent - 11;
  const int units = static_cast<int>(rintf(ldexpf(size, -unit)));  // exact but for the rounding
  // Subnormal: the units are the bits. Else 1024 <= units <= 2048; a carry goes into the exponent.
  const int base = unit == -24 ? 0 : (unit + 24) << 10;
  return static_cast<uint16_t>(sign | (base + units));
}

}  // namespace igd_numbers

#endif  // IGD_TEST_NUMBERS_H_

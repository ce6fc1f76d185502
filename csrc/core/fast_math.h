// exp and log of float32 in plain arithmetic, so that compilers vectorise the loops around them.
// Polynomials of the Cephes library (S. Moshier), good to 2 units in the last place on the ranges used here.
#pragma once

#include <cstdint>
#include <cstring>

namespace pysmdl {

inline float from_bits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline uint32_t to_bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

// e^x for x <= 0; 0 below -87, where it is below 1.6e-38. NaN stays NaN.
inline float exp_nonpositive(float x) {
  const bool vanishes = x < -87.0f;
  x = vanishes ? -87.0f : x;
  const float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to the nearest whole number
  const float rounded = x * 1.44269504f + magic, n = rounded - magic;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float y = 1.9875691500e-4f;
  y = y * r + 1.3981999507e-3f;
  y = y * r + 8.3334519073e-3f;
  y = y * r + 4.1665795894e-2f;
  y = y * r + 1.6666665459e-1f;
  y = y * r + 5.0000001201e-1f;
  y = y * r * r + r + 1.0f;
  y *= from_bits((to_bits(rounded) - to_bits(magic) + 127) << 23);  // 2^n: n is in the lowest bits too
  return vanishes ? 0.0f : y;
}

// Natural logarithm of a normal positive float.
inline float log_positive(float x) {
  const uint32_t bits = to_bits(x);
  int32_t exponent = static_cast<int32_t>((bits >> 23) & 0xff) - 126;
  float m = from_bits((bits & 0x007fffff) | 0x3f000000);  // [0.5, 1)
  const bool low = m < 0.707106781f;
  exponent -= low ? 1 : 0;
  m = (low ? m + m : m) - 1.0f;
  const float e = static_cast<float>(exponent);
  const float z = m * m;
  float y = 7.0376836292e-2f;
  y = y * m - 1.1514610310e-1f;
  y = y * m + 1.1676998740e-1f;
  y = y * m - 1.2420140846e-1f;
  y = y * m + 1.4249322787e-1f;
  y = y * m - 1.6668057665e-1f;
  y = y * m + 2.0000714765e-1f;
  y = y * m - 2.4999993993e-1f;
  y = y * m + 3.3333331174e-1f;
  y = y * m * z - 2.12194440e-4f * e - 0.5f * z;
  return m + y + 0.693359375f * e;
}

}  // namespace pysmdl

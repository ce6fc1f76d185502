#include "dot.h"

#include "simd.h"

namespace pysmdl {

PYSMDL_SIMD double dot(const double* a, const double* b, int64_t n) {
  constexpr int kLanes = 16;  // partial sums kept apart, for the vectoriser
  double lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int lane = 0; lane < kLanes; ++lane) lanes[lane] += a[i + lane] * b[i + lane];
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  for (; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

PYSMDL_SIMD void dot_of_four(const double* a, int64_t stride, const double* b, int64_t n, double* out) {
  constexpr int kLanes = 16, kRows = 4;
  double lanes[kRows][kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int row = 0; row < kRows; ++row)
      for (int lane = 0; lane < kLanes; ++lane) lanes[row][lane] += a[row * stride + i + lane] * b[i + lane];
  for (int row = 0; row < kRows; ++row) {
    double sum = 0;
    for (const double each : lanes[row]) sum += each;
    for (int64_t rest = i; rest < n; ++rest) sum += a[row * stride + rest] * b[rest];
    out[row] = sum;
  }
}

}  // namespace pysmdl

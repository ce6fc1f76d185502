#include "dot.h"

#include "simd.h"

namespace pysmdl {
namespace {

constexpr int kLanes = 16;  // partial sums kept apart, for the vectoriser

// Of partial sums: few additions wait for one another.
inline double sum_of(const double* lanes) {
  double sums[4];
  for (int i = 0; i < 4; ++i) sums[i] = (lanes[i] + lanes[i + 4]) + (lanes[i + 8] + lanes[i + 12]);
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

}  // namespace

PYSMDL_SIMD double dot(const double* a, const double* b, int64_t n) {
  double lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int lane = 0; lane < kLanes; ++lane) lanes[lane] += a[i + lane] * b[i + lane];
  double rest = 0;
  for (; i < n; ++i) rest += a[i] * b[i];
  return sum_of(lanes) + rest;
}

}  // namespace pysmdl

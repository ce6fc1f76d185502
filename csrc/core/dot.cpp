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

}  // namespace pysmdl

// distance_gains on the CPU. Sums are double and in ascending member order, so every backend rounds to the same float.
#include <algorithm>
#include <limits>

#include "../core/ops.h"

namespace pysmdl::cpu {

void distance_gains(const DistanceGainsParams& p) {
  for (int64_t c = 0; c < p.candidate_count; ++c) {
    const float* distance = p.distances + p.candidates[c] * p.regions;  // symmetric: a row is a column, and contiguous
    double sum = 0.0;
    float own = std::numeric_limits<float>::infinity();
    for (int64_t i = 0; i < p.member_count; ++i) {
      const float d = distance[p.members[i]];
      own = std::min(own, d);
      sum += std::min(p.nearest[i], d);
    }
    p.out[c] = p.member_count ? static_cast<float>(sum + own) : 0.0f;
  }
}

}  // namespace pysmdl::cpu

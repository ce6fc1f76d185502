// distance_gains on the CPU. Sums are double and in ascending member order, so every backend rounds to the same float.
#include <limits>
#include <vector>

#include "../core/ops.h"

namespace pysmdl::cpu {

void distance_gains(const DistanceGainsParams& p) {
  std::vector<double> sums(p.candidate_count, 0.0);
  std::vector<float> own(p.candidate_count, std::numeric_limits<float>::infinity());
  for (int64_t i = 0; i < p.member_count; ++i) {
    const float* distance = p.distances + p.members[i] * p.regions;
    for (int64_t c = 0; c < p.candidate_count; ++c) {
      const float d = distance[p.candidates[c]];
      own[c] = lower(own[c], d);
      sums[c] += lower(p.nearest[i], d);
    }
  }
  for (int64_t c = 0; c < p.candidate_count; ++c)
    p.out[c] = p.member_count ? static_cast<float>(sums[c] + own[c]) : 0.0f;
}

}  // namespace pysmdl::cpu

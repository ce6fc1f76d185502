// distance_gains on the CPU. Sums are double and in ascending member order, so every backend rounds to the same float.
#include <limits>
#include <vector>

#include "../core/ops.h"
#include "../core/simd.h"

namespace pysmdl::cpu {
namespace {

// One member's part of each candidate's sum: its row stays in the first cache, and so do the sums.
PYSMDL_SIMD void add_member(const float* __restrict distances, float nearest, const int32_t* __restrict candidates,
                            double* __restrict sums, float* __restrict own, int64_t count) {
  for (int64_t c = 0; c < count; ++c) {
    const float d = distances[candidates[c]];
    own[c] = lower(own[c], d);
    sums[c] += lower(nearest, d);
  }
}

}  // namespace

void distance_gains(const DistanceGainsParams& p) {
  std::vector<double> sums(p.candidate_count, 0.0);
  std::vector<float> own(p.candidate_count, std::numeric_limits<float>::infinity());
  for (int64_t i = 0; i < p.member_count; ++i)
    add_member(p.distances + p.members[i] * p.regions, p.nearest[i], p.candidates, sums.data(), own.data(),
               p.candidate_count);
  for (int64_t c = 0; c < p.candidate_count; ++c)
    p.out[c] = p.member_count ? static_cast<float>(sums[c] + own[c]) : 0.0f;
}

}  // namespace pysmdl::cpu

#include "neighbours.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "dot.h"
#include "simd.h"

namespace pysmdl {
namespace {

constexpr int kLanes = 32;  // partial sums kept apart: for the vectoriser, and for the same order on every machine

PYSMDL_SIMD void add_row(const int8_t* flip, const int16_t* from, int16_t* to, int64_t count) {
  for (int64_t t = 0; t < count; ++t) to[t] = static_cast<int16_t>(from[t] + flip[t]);
}

// Of the empty subset: the size of each T.
std::vector<int16_t> sizes(const int8_t* flip, int64_t n, int64_t count) {
  std::vector<int16_t> found(count, 0);
  for (int64_t x = 0; x < n; ++x)
    for (int64_t t = 0; t < count; ++t) found[t] += std::max(0, -flip[x * count + t]);
  return found;
}

// Sums over the n entries of a and b where mask is 1; n is a multiple of kLanes.
PYSMDL_SIMD void masked_sums(const float* mask, const float* a, const float* b, int64_t n, double& of_a, double& of_b) {
  float in_a[kLanes] = {}, in_b[kLanes] = {};
  for (int64_t i = 0; i < n; i += kLanes)
    for (int lane = 0; lane < kLanes; ++lane) {
      in_a[lane] += mask[i + lane] * a[i + lane];
      in_b[lane] += mask[i + lane] * b[i + lane];
    }
  of_a = of_b = 0;
  for (int lane = 0; lane < kLanes; ++lane) of_a += in_a[lane], of_b += in_b[lane];
}

// out = alpha * table[d]; returns their sum.
PYSMDL_SIMD double weighted(const double* alpha, const double* table, const int16_t* d, int64_t n, float* out) {
  double sums[kLanes] = {}, part[kLanes];
  int64_t t = 0;
  for (; t + kLanes <= n; t += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) part[lane] = alpha[t + lane] * table[d[t + lane]];
    for (int lane = 0; lane < kLanes; ++lane) sums[lane] += part[lane], out[t + lane] = static_cast<float>(part[lane]);
  }
  double sum = 0;
  for (const double each : sums) sum += each;
  for (; t < n; ++t) {
    const double last = alpha[t] * table[d[t]];
    sum += last, out[t] = static_cast<float>(last);
  }
  return sum;
}

double logistic(double z) { return 1 / (1 + std::exp(-z)); }

}  // namespace

void differences(const int8_t* flip, int64_t n, int64_t count, const uint8_t* member, int64_t subsets, int16_t* out) {
  const std::vector<int16_t> nothing = sizes(flip, n, count);
  for (int64_t s = 0; s < subsets; ++s, out += count) {
    std::copy(nothing.begin(), nothing.end(), out);
    for (int64_t x = 0; x < n; ++x)
      if (member[s * n + x]) add_row(flip + x * count, out, out, count);
  }
}

Neighbours::Neighbours(const Surrogate& s)
    : s_(s),
      padded_((s.count + kLanes - 1) / kLanes * kLanes),
      lacks_(s.n * padded_),
      effect_(s.n),
      fewer_(s.n),
      more_(s.n),
      exponential_(s.span + 1) {
  const double rate = 1 / (s.reach * static_cast<double>(s.span));
  for (int64_t d = 0; d <= s.span; ++d) exponential_[d] = s.smooth * std::exp(-rate * static_cast<double>(d));
  mirrored_.assign(exponential_.rbegin(), exponential_.rend());
  for (int64_t t = 0; t < s.count; ++t) alphas_ += s.alpha[t];
  std::vector<double> flips(s.count);
  for (int64_t x = 0; x < s.n; ++x) {
    const int8_t* flip = s.flip + x * s.count;
    std::copy(flip, flip + s.count, flips.begin());
    effect_[x] = dot(s.alpha, flips.data(), s.count);
    std::transform(flip, flip + s.count, lacks_.data() + x * padded_,
                   [](int8_t each) { return each > 0 ? 1.0f : 0.0f; });
    more_[x] = s.count ? std::exp(-rate * std::abs(flip[0])) : 1;
    fewer_[x] = 1 / more_[x];
  }
}

Subset Neighbours::of_nothing() const {
  Subset subset{sizes(s_.flip, s_.n, s_.count), std::vector<float>(padded_), std::vector<float>(padded_)};
  for (int64_t t = 0; t < s_.count; ++t) subset.mean += s_.alpha[t] * static_cast<double>(subset.differences[t]);
  settle(subset);
  return subset;
}

void Neighbours::add(int32_t x, const Subset& from, Subset& to) const {
  add_row(s_.flip + x * s_.count, from.differences.data(), to.differences.data(), s_.count);
  to.mean = from.mean + effect_[x];
  settle(to);
}

void Neighbours::settle(Subset& subset) const {
  const int16_t* d = subset.differences.data();
  subset.near_sum = weighted(s_.alpha, exponential_.data(), d, s_.count, subset.near.data());
  subset.far_sum = weighted(s_.alpha, mirrored_.data(), d, s_.count, subset.far.data());
}

double Neighbours::worth(const Subset& subset) const { return worth(subset.near_sum, subset.far_sum, subset.mean); }

double Neighbours::worth(const Subset& subset, int32_t x, int sign) const {
  double near, far;
  masked_sums(lacks_.data() + x * padded_, subset.near.data(), subset.far.data(), padded_, near, far);
  const double lack = sign > 0 ? more_[x] : fewer_[x], have = sign > 0 ? fewer_[x] : more_[x];
  return worth(lack * near + have * (subset.near_sum - near), have * far + lack * (subset.far_sum - far),
               subset.mean + sign * effect_[x]);
}

double Neighbours::worth(double near, double far, double mean) const {
  const double line = s_.linear * (alphas_ - 2 * mean / static_cast<double>(s_.span));
  return s_.kept * logistic(s_.offset + line + near) - s_.removed * logistic(s_.offset - line + far);
}

}  // namespace pysmdl

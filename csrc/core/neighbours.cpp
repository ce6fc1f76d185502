#include "neighbours.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "dot.h"
#include "simd.h"

namespace pysmdl {
namespace {

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

double logistic(double z) { return 1 / (1 + std::exp(-z)); }

}  // namespace

void differences(const int8_t* flip, int64_t n, int64_t count, const bool* member, int64_t subsets, int16_t* out) {
  const std::vector<int16_t> nothing = sizes(flip, n, count);
  for (int64_t s = 0; s < subsets; ++s, out += count) {
    std::copy(nothing.begin(), nothing.end(), out);
    for (int64_t x = 0; x < n; ++x)
      if (member[s * n + x]) add_row(flip + x * count, out, out, count);
  }
}

Neighbours::Neighbours(const Surrogate& s)
    : s_(s), lacks_(s.n * s.count), effect_(s.n, 0.0), fewer_(s.n), more_(s.n), exponential_(s.span + 1) {
  const double rate = 1 / (s.reach * static_cast<double>(s.span));
  for (int64_t d = 0; d <= s.span; ++d) exponential_[d] = s.smooth * std::exp(-rate * static_cast<double>(d));
  for (int64_t t = 0; t < s.count; ++t) alphas_ += s.alpha[t];
  for (int64_t x = 0; x < s.n; ++x) {
    const int8_t* flip = s.flip + x * s.count;
    for (int64_t t = 0; t < s.count; ++t) {
      lacks_[x * s.count + t] = flip[t] > 0;
      effect_[x] += s.alpha[t] * flip[t];
    }
    more_[x] = s.count ? std::exp(-rate * std::abs(flip[0])) : 1;
    fewer_[x] = 1 / more_[x];
  }
}

Subset Neighbours::of_nothing() const {
  Subset subset{sizes(s_.flip, s_.n, s_.count), std::vector<double>(s_.count), std::vector<double>(s_.count)};
  settle(subset);
  return subset;
}

void Neighbours::add(int32_t x, const Subset& from, Subset& to) const {
  add_row(s_.flip + x * s_.count, from.differences.data(), to.differences.data(), s_.count);
  settle(to);
}

void Neighbours::settle(Subset& subset) const {
  subset.near_sum = subset.far_sum = subset.mean = 0;
  for (int64_t t = 0; t < s_.count; ++t) {
    const int64_t d = subset.differences[t];
    subset.near_sum += subset.near[t] = s_.alpha[t] * exponential_[d];
    subset.far_sum += subset.far[t] = s_.alpha[t] * exponential_[s_.span - d];
    subset.mean += s_.alpha[t] * static_cast<double>(d);
  }
}

double Neighbours::worth(const Subset& subset) const { return worth(subset.near_sum, subset.far_sum, subset.mean); }

double Neighbours::worth(const Subset& subset, int32_t x, int sign) const {
  const double* lacks = &lacks_[x * s_.count];
  const double near = dot(lacks, subset.near.data(), s_.count), far = dot(lacks, subset.far.data(), s_.count);
  const double lack = sign > 0 ? more_[x] : fewer_[x], have = sign > 0 ? fewer_[x] : more_[x];
  return worth(lack * near + have * (subset.near_sum - near), have * far + lack * (subset.far_sum - far),
               subset.mean + sign * effect_[x]);
}

double Neighbours::worth(double near, double far, double mean) const {
  const double line = s_.linear * (alphas_ - 2 * mean / static_cast<double>(s_.span));
  return s_.kept * logistic(s_.offset + line + near) - s_.removed * logistic(s_.offset - line + far);
}

}  // namespace pysmdl

#include "neighbours.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "fast_math.h"
#include "simd.h"

namespace pysmdl {
namespace {

constexpr int kTile = 32;   // regions whose sums are in registers at a time
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

// sums[i, x] = sum over t of rows[i][t] * lacks[t, x], for kRows rows and one tile of x. Each is added up in order of t.
PYSMDL_SIMD void tile_sums(const float* const* rows, const float* lacks, int64_t count, int64_t wide, float* sums) {
  float in[Neighbours::kRows][kTile] = {};
  for (int64_t t = 0; t < count; ++t, lacks += wide)
    for (int i = 0; i < Neighbours::kRows; ++i) {
      const float value = rows[i][t];
      for (int x = 0; x < kTile; ++x) in[i][x] += value * lacks[x];
    }
  for (int i = 0; i < Neighbours::kRows; ++i) std::copy(in[i], in[i] + kTile, sums + i * wide);
}

// out = near * table[d] - far * mirrored[d]; adds the two terms' sums up.
PYSMDL_SIMD void weighted(const double* near, const double* far, const double* table, const double* mirrored,
                          const int16_t* d, int64_t n, float* out, double& of_near, double& of_far) {
  double nears[kLanes] = {}, fars[kLanes] = {};
  int64_t t = 0;
  for (; t + kLanes <= n; t += kLanes)
    for (int lane = 0; lane < kLanes; ++lane) {
      const double a = near[t + lane] * table[d[t + lane]], b = far[t + lane] * mirrored[d[t + lane]];
      nears[lane] += a, fars[lane] += b, out[t + lane] = static_cast<float>(a - b);
    }
  of_near = of_far = 0;
  for (int lane = 0; lane < kLanes; ++lane) of_near += nears[lane], of_far += fars[lane];
  for (; t < n; ++t) {
    const double a = near[t] * table[d[t]], b = far[t] * mirrored[d[t]];
    of_near += a, of_far += b, out[t] = static_cast<float>(a - b);
  }
}

double score(const Surrogate& s, double z) {
  if (!s.bounded) return z;
  return std::clamp((1 + 2 * s.soft) / (1 + std::exp(-z)) - s.soft, 0.0, 1.0);
}

double worth_of(const Surrogate& s, double z, double mirrored) {
  return s.kept * score(s, z) - s.removed * score(s, mirrored);
}

// p of each z, in plain arithmetic that is vectorised.
PYSMDL_SIMD void link(float* z, int64_t n, float soft) {
  for (int64_t i = 0; i < n; ++i) {
    const float e = exp_nonpositive(-std::fabs(z[i])), high = 1 / (1 + e);
    const float p = (z[i] < 0 ? 1 - high : high) * (1 + 2 * soft) - soft;
    z[i] = p < 0 ? 0.0f : p > 1 ? 1.0f : p;
  }
}

}  // namespace

void differences(const int8_t* flip, int64_t n, int64_t count, const uint8_t* member, int64_t subsets, int16_t* out) {
  const std::vector<int16_t> nothing = sizes(flip, n, count);
  for (int64_t s = 0; s < subsets; ++s, out += count) {
    std::copy(nothing.begin(), nothing.end(), out);
    for (int64_t x = 0; x < n; ++x)
      if (member[s * n + x]) add_row(flip + x * count, out, out, count);
  }
}

void predict(const Surrogate& s, const uint8_t* member, int64_t subsets, bool paired, double* value, double* unsure) {
  const double rate = 1 / (s.reach * static_cast<double>(s.span));
  std::vector<double> table(s.span + 1), mirrored;
  for (int64_t d = 0; d <= s.span; ++d) table[d] = s.smooth * std::exp(-rate * static_cast<double>(d));
  mirrored.assign(table.rbegin(), table.rend());
  std::vector<int16_t> d(s.count);
  std::vector<float> unused(s.count);
  const std::vector<int16_t> nothing = sizes(s.flip, s.n, s.count);
  for (int64_t i = 0; i < subsets; ++i, member += s.n) {
    std::copy(nothing.begin(), nothing.end(), d.begin());
    double line = 0;
    for (int64_t x = 0; x < s.n; ++x) {
      line += (member[x] ? 0.5 : -0.5) * s.effect[x];
      if (member[x]) add_row(s.flip + x * s.count, d.data(), d.data(), s.count);
    }
    double near, far, other_near, other_far;
    weighted(s.near, s.far, table.data(), mirrored.data(), d.data(), s.count, unused.data(), near, far);
    weighted(s.near, s.far, mirrored.data(), table.data(), d.data(), s.count, unused.data(), other_near, other_far);
    const double z[2] = {s.offset + line + near + far, s.offset - line + other_near + other_far};
    value[i] = worth_of(s, z[0], z[1]);
    int64_t least = s.span, most = 0;
    for (const int16_t each : d) least = std::min<int64_t>(least, each), most = std::max<int64_t>(most, each);
    int64_t apart[2] = {least, s.span - most};
    if (paired) apart[0] = apart[1] = std::min(apart[0], apart[1]);
    unsure[i] = 0;
    for (int view = 0; view < 2; ++view) {
      const double p = 1 / (1 + std::exp(-z[view])), slope = s.bounded ? p * (1 - p) : 1;
      unsure[i] += (view ? s.removed : s.kept) * slope * std::sqrt(1 - std::exp(-rate * double(apart[view])));
    }
  }
}

Neighbours::Neighbours(const Surrogate& s)
    : s_(s),
      wide_((s.n + kTile - 1) / kTile * kTile),
      lacks_(s.count * wide_),
      fewer_(s.n),
      more_(s.n),
      exponential_(s.span + 1),
      sums_(2 * kRows * wide_) {
  const double rate = 1 / (s.reach * static_cast<double>(s.span));
  for (int64_t d = 0; d <= s.span; ++d) exponential_[d] = s.smooth * std::exp(-rate * static_cast<double>(d));
  mirrored_.assign(exponential_.rbegin(), exponential_.rend());
  for (int64_t x = 0; x < s.n; ++x) {
    const int8_t* flip = s.flip + x * s.count;
    for (int64_t t = 0; t < s.count; ++t) lacks_[t * wide_ + x] = flip[t] > 0 ? 1.0f : 0.0f;
    more_[x] = s.count ? std::exp(-rate * std::abs(flip[0])) : 1;
    fewer_[x] = 1 / more_[x];
  }
}

Subset Neighbours::of_nothing() const {
  Subset subset{sizes(s_.flip, s_.n, s_.count), std::vector<uint8_t>(s_.n), std::vector<float>(s_.count),
                std::vector<float>(s_.count)};
  for (int64_t x = 0; x < s_.n; ++x) subset.line -= s_.effect[x] / 2;
  settle(subset);
  return subset;
}

void Neighbours::add(int32_t x, const Subset& from, Subset& to) const {
  add_row(s_.flip + x * s_.count, from.differences.data(), to.differences.data(), s_.count);
  to.has = from.has;
  to.has[x] = 1;
  to.line = from.line + s_.effect[x];
  settle(to);
}

void Neighbours::settle(Subset& subset) const {
  const int16_t* d = subset.differences.data();
  const double *table = exponential_.data(), *mirrored = mirrored_.data();
  weighted(s_.near, s_.far, table, mirrored, d, s_.count, subset.kept.data(), subset.near[0], subset.far[0]);
  weighted(s_.near, s_.far, mirrored, table, d, s_.count, subset.removed.data(), subset.near[1], subset.far[1]);
}

double Neighbours::worth(const Subset& subset) const {
  return worth_of(s_, s_.offset + subset.line + subset.near[0] + subset.far[0],
                  s_.offset - subset.line + subset.near[1] + subset.far[1]);
}

void Neighbours::worth_of_all(const Subset* const* subsets, int count, float* const* out) const {
  const float* rows[2][kRows];
  for (int i = 0; i < kRows; ++i) {
    const Subset& subset = *subsets[std::min(i, count - 1)];
    rows[0][i] = subset.kept.data(), rows[1][i] = subset.removed.data();
  }
  for (int view = 0; view < 2; ++view)
    for (int64_t x = 0; x < wide_; x += kTile)
      tile_sums(rows[view], lacks_.data() + x, s_.count, wide_, sums_.data() + view * kRows * wide_ + x);
  for (int i = 0; i < count; ++i) {
    const Subset& subset = *subsets[i];
    float *kept = sums_.data() + i * wide_, *removed = kept + kRows * wide_;
    for (int64_t x = 0; x < s_.n; ++x) {
      // Where T lacks x, adding x makes d grow and span - d fall: near shrinks, far grows; where T has it, the reverse.
      const double lack = subset.has[x] ? fewer_[x] : more_[x], have = subset.has[x] ? more_[x] : fewer_[x];
      const double line = subset.line + (subset.has[x] ? -s_.effect[x] : s_.effect[x]);
      kept[x] = float(s_.offset + line + lack * (subset.far[0] + kept[x]) + have * (subset.near[0] - kept[x]));
      removed[x] = float(s_.offset - line + have * (subset.far[1] + removed[x]) + lack * (subset.near[1] - removed[x]));
    }
    if (s_.bounded) link(kept, s_.n, float(s_.soft)), link(removed, s_.n, float(s_.soft));
    for (int64_t x = 0; x < s_.n; ++x) out[i][x] = float(s_.kept * kept[x] - s_.removed * removed[x]);
  }
}

}  // namespace pysmdl

#include "neighbours.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "fast_math.h"
#include "simd.h"

namespace pysmdl {
namespace {

// kept = pull e(d) and removed = pull e(span - d) of each T, and their sums. All of whole tiles: a compiler vectorises
// no rest.
PYSMDL_SIMD LogOdds weighted(const Terms& terms, const int16_t* d, float* kept, float* removed) {
  const auto padded = static_cast<int64_t>(terms.pull.size());
  const float rate = terms.rate, smooth = terms.smooth;
  float sums[2][kTile] = {};
  for (int64_t t = 0; t < padded; t += kTile) {
    const float* pull = &terms.pull[t];
    for (int i = 0; i < kTile; ++i) {
      const auto apart = static_cast<float>(d[t + i]);
      kept[t + i] = pull[i] * (smooth * exp_nonpositive(-rate * apart));
      removed[t + i] = pull[i] * (smooth * exp_nonpositive(-rate * (static_cast<float>(terms.span) - apart)));
    }
    for (int i = 0; i < kTile; ++i) sums[0][i] += kept[t + i], sums[1][i] += removed[t + i];
  }
  LogOdds total{};
  for (int i = 0; i < kTile; ++i) total.kept += sums[0][i], total.removed += sums[1][i];
  return total;
}

// The least and the most of n differences.
PYSMDL_SIMD std::pair<int16_t, int16_t> range(const int16_t* d, int64_t n, int16_t least) {
  int16_t most = 0;
  for (int64_t t = 0; t < n; ++t) least = std::min(least, d[t]), most = std::max(most, d[t]);
  return {least, most};
}

double score(const Surrogate& s, double z) {
  if (!s.bounded) return z;
  return std::clamp((1 + 2 * s.soft) / (1 + std::exp(-z)) - s.soft, 0.0, 1.0);
}

double worth_of(const Surrogate& s, double z, double mirrored) {
  return s.kept * score(s, z) - s.removed * score(s, mirrored);
}

// How unsure what a subset is worth is, by its differences d from the measured ones: the deviation of a yes or no as
// likely as each view's score, for near 0 or 1 that is seldom wrong but then by a lot, times what the nearest leaves.
Doubt unsure_of(const Surrogate& s, LogOdds z, const int16_t* d) {
  const double rate = 1 / (s.reach * static_cast<double>(s.span));
  const auto [least, most] = range(d, s.count, static_cast<int16_t>(s.span));
  const auto view = [&](double odds, int64_t apart) {
    const double p = 1 / (1 + std::exp(-odds)), spread = s.bounded ? p * (1 - p) : 1;
    return std::sqrt(spread * (1 - std::exp(-rate * static_cast<double>(apart))));
  };
  return {s.kept * view(z.kept, least), s.removed * view(z.removed, s.span - most)};
}

// p of each z, in plain arithmetic that is vectorised.
PYSMDL_SIMD void link(float* z, int64_t n, float soft) {
  for (int64_t i = 0; i < n; ++i) {
    const float e = exp_nonpositive(-std::fabs(z[i])), high = 1 / (1 + e);
    const float p = (z[i] < 0 ? 1 - high : high) * (1 + 2 * soft) - soft;
    z[i] = p < 0 ? 0.0f : p > 1 ? 1.0f : p;
  }
}

// z of a subset and of its complement with region x changed, for every x, from the sums over those T that lack x.
PYSMDL_SIMD void all_log_odds(const Subset& subset, const float* more, const float* fewer, const float* effect,
                              double offset, int64_t n, float* kept, float* removed) {
  const auto sum = static_cast<float>(subset.sums.kept), mirrored = static_cast<float>(subset.sums.removed);
  const auto line = static_cast<float>(subset.line), middle = static_cast<float>(offset);
  const uint8_t* has = subset.has;
  for (int64_t x = 0; x < n; ++x) {
    // Where T lacks x, adding x makes d grow and span - d fall; where T has it, the reverse.
    const float lack = has[x] ? fewer[x] : more[x], have = has[x] ? more[x] : fewer[x];
    const float slope = line + (has[x] ? -effect[x] : effect[x]);
    kept[x] = middle + slope + lack * kept[x] + have * (sum - kept[x]);
    removed[x] = middle - slope + have * removed[x] + lack * (mirrored - removed[x]);
  }
}

}  // namespace

Subsets::Subsets(int64_t subsets, int64_t n, int64_t count)
    : terms_(new float[2 * subsets * whole_tiles(count)]),
      differences_(new int16_t[subsets * whole_tiles(count)]),
      has_(new uint8_t[subsets * n]),
      subsets_(subsets) {
  const int64_t padded = whole_tiles(count);
  for (int64_t i = 0; i < subsets; ++i) {
    float* terms = terms_.get() + 2 * i * padded;
    int16_t* differences = differences_.get() + i * padded;
    subsets_[i] = {differences, has_.get() + i * n, terms, terms + padded, {}, 0};
    std::fill(differences + count, differences + padded, int16_t{0});
  }
}

Terms::Terms(const Surrogate& s)
    : pull(whole_tiles(s.count)),
      rate(static_cast<float>(1 / (s.reach * static_cast<double>(s.span)))),
      smooth(static_cast<float>(s.smooth)),
      span(static_cast<int>(s.span)) {
  std::copy(s.pull, s.pull + s.count, pull.begin());
}

void predict(const Surrogate& s, const uint8_t* member, int64_t subsets, double* value, double* unsure) {
  const Terms terms(s);
  std::vector<float> kept(terms.pull.size()), removed(terms.pull.size());  // not read here
  Walk walk(s.flip, s.n, s.count);
  for (int64_t i = 0; i < subsets; ++i, member += s.n) {
    const int16_t* d = walk.to(member);
    double line = 0;
    for (int64_t x = 0; x < s.n; ++x) line += (member[x] ? 0.5 : -0.5) * s.effect[x];
    const LogOdds sums = weighted(terms, d, kept.data(), removed.data());
    const LogOdds z{s.offset + line + sums.kept, s.offset - line + sums.removed};
    const Doubt doubt = unsure_of(s, z, d);
    value[i] = worth_of(s, z.kept, z.removed);
    unsure[i] = doubt.kept + doubt.removed;
  }
}

Neighbours::Neighbours(const Surrogate& s)
    : s_(s),
      wide_(whole_tiles(s.n)),
      lacks_(s.count * wide_),
      fewer_(s.n),
      more_(s.n),
      effect_(s.n),
      terms_(s),
      sums_(2 * kRows * wide_) {
  const double rate = 1 / (s.reach * static_cast<double>(s.span));
  for (int64_t x = 0; x < s.n; ++x) {
    const int8_t* flip = s.flip + x * s.count;
    float* to = lacks_.data() + x / kTile * kTile * s.count + x % kTile;
    for (int64_t t = 0; t < s.count; ++t) to[t * kTile] = flip[t] > 0 ? 1.0f : 0.0f;
    const double more = s.count ? std::exp(-rate * std::abs(flip[0])) : 1;
    more_[x] = static_cast<float>(more), fewer_[x] = static_cast<float>(1 / more);
    effect_[x] = static_cast<float>(s.effect[x]);
  }
}

void Neighbours::take(const uint8_t* member, const int16_t* differences, Subset& to) const {
  std::copy(differences, differences + s_.count, to.differences);
  to.line = 0;
  for (int64_t x = 0; x < s_.n; ++x) {
    to.has[x] = member[x] != 0;
    to.line += (to.has[x] ? 0.5 : -0.5) * s_.effect[x];
  }
  settle(to);
}

void Neighbours::take_nothing(Subset& to) const {
  const std::vector<uint8_t> none(s_.n, 0);
  take(none.data(), sizes(s_.flip, s_.n, s_.count).data(), to);
}

void Neighbours::add(int32_t x, const Subset& from, Subset& to) const {
  add_row(s_.flip + x * s_.count, from.differences, to.differences, s_.count);
  if (to.has != from.has) std::copy(from.has, from.has + s_.n, to.has);
  to.has[x] = 1;
  to.line = from.line + s_.effect[x];
  settle(to);
}

void Neighbours::settle(Subset& subset) const {
  subset.sums = weighted(terms_, subset.differences, subset.kept, subset.removed);
}

LogOdds Neighbours::log_odds(const Subset& subset) const {
  return {s_.offset + subset.line + subset.sums.kept, s_.offset - subset.line + subset.sums.removed};
}

double Neighbours::worth(const Subset& subset) const {
  const LogOdds z = log_odds(subset);
  return worth_of(s_, z.kept, z.removed);
}

Doubt Neighbours::unsure(const Subset& subset) const { return unsure_of(s_, log_odds(subset), subset.differences); }

double Neighbours::worth_of_one(const Subset& subset, int32_t x) const {
  float sums[2];
  sums_of_one(subset.kept, subset.removed, s_.flip + x * s_.count, s_.count, sums);
  const double lack = subset.has[x] ? fewer_[x] : more_[x], have = subset.has[x] ? more_[x] : fewer_[x];
  const double line = subset.line + (subset.has[x] ? -s_.effect[x] : s_.effect[x]);
  return worth_of(s_, s_.offset + line + lack * sums[0] + have * (subset.sums.kept - sums[0]),
                  s_.offset - line + have * sums[1] + lack * (subset.sums.removed - sums[1]));
}

// To sums_: z of each with region x changed, for every x.
void Neighbours::change_all(const Subset* const* subsets, int count) const {
  const float* rows[2 * kRows];
  for (int i = 0; i < kRows; ++i) {
    const Subset& subset = *subsets[std::min(i, count - 1)];
    rows[2 * i] = subset.kept, rows[2 * i + 1] = subset.removed;
  }
  for (int64_t x = 0; x < wide_; x += kTile)
    tile_sums(rows, lacks_.data() + x * s_.count, s_.count, wide_, sums_.data() + x);
  for (int i = 0; i < count; ++i) {
    float *kept = sums_.data() + 2 * i * wide_, *removed = kept + wide_;
    all_log_odds(*subsets[i], more_.data(), fewer_.data(), effect_.data(), s_.offset, s_.n, kept, removed);
  }
}

void Neighbours::worth_of_all(const Subset* const* subsets, int count, float* const* out, int64_t apart) const {
  change_all(subsets, count);
  for (int i = 0; i < count; ++i) {
    float *kept = sums_.data() + 2 * i * wide_, *removed = kept + wide_;
    if (s_.bounded) link(kept, s_.n, float(s_.soft)), link(removed, s_.n, float(s_.soft));
    const auto own = static_cast<float>(s_.kept), other = static_cast<float>(s_.removed);
    for (int64_t x = 0; x < s_.n; ++x) out[i][x * apart] = own * kept[x] - other * removed[x];
  }
}

void Neighbours::add_squared_changes(const Subset* const* subsets, int count, double* sums) const {
  change_all(subsets, count);
  for (int i = 0; i < count; ++i) {
    const LogOdds z = log_odds(*subsets[i]);
    const float *kept = sums_.data() + 2 * i * wide_, *removed = kept + wide_;
    for (int64_t x = 0; x < s_.n; ++x) {
      const double own = kept[x] - z.kept, other = removed[x] - z.removed;
      sums[x] += own * own + other * other;
    }
  }
}

}  // namespace pysmdl

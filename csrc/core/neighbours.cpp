#include "neighbours.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "fast_math.h"
#include "simd.h"

namespace pysmdl {
namespace {

PYSMDL_SIMD void add_row(const int8_t* flip, const int16_t* from, int16_t* to, int64_t count) {
  for (int64_t t = 0; t < count; ++t) to[t] = static_cast<int16_t>(from[t] + flip[t]);
}

PYSMDL_SIMD void subtract_row(const int8_t* flip, int16_t* to, int64_t count) {
  for (int64_t t = 0; t < count; ++t) to[t] = static_cast<int16_t>(to[t] - flip[t]);
}

PYSMDL_SIMD void add_size(const int8_t* flip, int16_t* to, int64_t count) {
  for (int64_t t = 0; t < count; ++t) to[t] = static_cast<int16_t>(to[t] + (flip[t] < 0 ? -flip[t] : 0));
}

// Of the empty subset: the size of each T.
std::vector<int16_t> sizes(const int8_t* flip, int64_t n, int64_t count) {
  std::vector<int16_t> found(count, 0);
  for (int64_t x = 0; x < n; ++x) add_size(flip + x * count, found.data(), count);
  return found;
}

// Sums over T of near and far by alikeness, of a subset and of its complement.
struct Sums {
  double near[2], far[2];
};

// kept = near e(d) - far e(span - d), removed = near e(span - d) - far e(d), and the sums of their terms; `both` holds
// e(d) and e(span - d) by d.
PYSMDL_SIMD Sums weighted(const double* near, const double* far, const double (*both)[2], const int16_t* d, int64_t n,
                          float* kept, float* removed) {
  constexpr int kBlock = 8;
  double sums[4][kBlock] = {}, close[kBlock], remote[kBlock];
  for (int64_t t = 0; t < n; t += kBlock) {
    const int size = static_cast<int>(std::min<int64_t>(kBlock, n - t));
    for (int i = 0; i < size; ++i) close[i] = both[d[t + i]][0], remote[i] = both[d[t + i]][1];
    for (int i = 0; i < size; ++i) {
      const double a = near[t + i] * close[i], b = far[t + i] * remote[i];
      const double c = near[t + i] * remote[i], e = far[t + i] * close[i];
      sums[0][i] += a, sums[1][i] += b, sums[2][i] += c, sums[3][i] += e;
      kept[t + i] = static_cast<float>(a - b), removed[t + i] = static_cast<float>(c - e);
    }
  }
  double total[4] = {};
  for (int s = 0; s < 4; ++s)
    for (const double each : sums[s]) total[s] += each;
  return {{total[0], total[2]}, {total[1], total[3]}};
}

// The least and the most of n differences.
PYSMDL_SIMD std::pair<int16_t, int16_t> range(const int16_t* d, int64_t n, int16_t least) {
  int16_t most = 0;
  for (int64_t t = 0; t < n; ++t) least = std::min(least, d[t]), most = std::max(most, d[t]);
  return {least, most};
}

// e(d) and e(span - d) by d.
std::vector<double> exponentials(const Surrogate& s) {
  std::vector<double> both(2 * (s.span + 1));
  const double rate = 1 / (s.reach * static_cast<double>(s.span));
  for (int64_t d = 0; d <= s.span; ++d)
    both[2 * d] = both[2 * (s.span - d) + 1] = s.smooth * std::exp(-rate * static_cast<double>(d));
  return both;
}

const double (*pairs(const std::vector<double>& both))[2] { return reinterpret_cast<const double(*)[2]>(both.data()); }

double score(const Surrogate& s, double z) {
  if (!s.bounded) return z;
  return std::clamp((1 + 2 * s.soft) / (1 + std::exp(-z)) - s.soft, 0.0, 1.0);
}

double worth_of(const Surrogate& s, double z, double mirrored) {
  return s.kept * score(s, z) - s.removed * score(s, mirrored);
}

// How unsure what a subset is worth is, by its differences d from the measured ones: the slope of each view's score
// times the deviation that the nearest of them leaves.
double unsure_of(const Surrogate& s, LogOdds z, const int16_t* d) {
  const double rate = 1 / (s.reach * static_cast<double>(s.span));
  const auto [least, most] = range(d, s.count, static_cast<int16_t>(s.span));
  int64_t near = least, far = s.span - most;
  if (s.paired) near = far = std::min(near, far);
  const auto view = [&](double odds, int64_t apart) {
    const double p = 1 / (1 + std::exp(-odds)), slope = s.bounded ? p * (1 - p) : 1;
    return slope * std::sqrt(1 - std::exp(-rate * static_cast<double>(apart)));
  };
  return s.kept * view(z.kept, near) + s.removed * view(z.removed, far);
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
  Walk walk(flip, n, count);
  for (int64_t s = 0; s < subsets; ++s, out += count) {
    const int16_t* found = walk.to(member + s * n);
    std::copy(found, found + count, out);
  }
}

void predict(const Surrogate& s, const uint8_t* member, int64_t subsets, double* value, double* unsure) {
  const std::vector<double> both = exponentials(s);
  std::vector<float> unused(2 * s.count);
  Walk walk(s.flip, s.n, s.count);
  for (int64_t i = 0; i < subsets; ++i, member += s.n) {
    const int16_t* d = walk.to(member);
    double line = 0;
    for (int64_t x = 0; x < s.n; ++x) line += (member[x] ? 0.5 : -0.5) * s.effect[x];
    const Sums sums = weighted(s.near, s.far, pairs(both), d, s.count, unused.data(), unused.data() + s.count);
    const LogOdds z{s.offset + line + sums.near[0] + sums.far[0], s.offset - line + sums.near[1] + sums.far[1]};
    value[i] = worth_of(s, z.kept, z.removed);
    unsure[i] = unsure_of(s, z, d);
  }
}

Walk::Walk(const int8_t* flip, int64_t n, int64_t count)
    : flip_(flip), n_(n), count_(count), nothing_(sizes(flip, n, count)), differences_(nothing_), has_(n, 0) {}

const int16_t* Walk::to(const uint8_t* member) {
  int64_t steps = 0, size = 0;
  for (int64_t x = 0; x < n_; ++x) steps += !member[x] != !has_[x], size += member[x] != 0;
  if (size < steps) {  // shorter from nothing
    differences_ = nothing_;
    std::fill(has_.begin(), has_.end(), uint8_t{0});
  }
  for (int64_t x = 0; x < n_; ++x) {
    if (!member[x] == !has_[x]) continue;
    int16_t* d = differences_.data();
    if (member[x]) add_row(flip_ + x * count_, d, d, count_);
    else subtract_row(flip_ + x * count_, d, count_);
    has_[x] = member[x] != 0;
  }
  return differences_.data();
}

Neighbours::Neighbours(const Surrogate& s)
    : s_(s),
      wide_((s.n + kTile - 1) / kTile * kTile),
      lacks_(s.count * wide_),
      fewer_(s.n),
      more_(s.n),
      both_(exponentials(s)),
      sums_(2 * kRows * wide_) {
  const double rate = 1 / (s.reach * static_cast<double>(s.span));
  for (int64_t x = 0; x < s.n; ++x) {
    const int8_t* flip = s.flip + x * s.count;
    float* to = lacks_.data() + x / kTile * kTile * s.count + x % kTile;
    for (int64_t t = 0; t < s.count; ++t) to[t * kTile] = flip[t] > 0 ? 1.0f : 0.0f;
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
  const Sums sums = weighted(s_.near, s_.far, pairs(both_), subset.differences.data(), s_.count, subset.kept.data(),
                             subset.removed.data());
  std::copy(sums.near, sums.near + 2, subset.near);
  std::copy(sums.far, sums.far + 2, subset.far);
}

LogOdds Neighbours::log_odds(const Subset& subset) const {
  return {s_.offset + subset.line + subset.near[0] + subset.far[0],
          s_.offset - subset.line + subset.near[1] + subset.far[1]};
}

double Neighbours::worth(const Subset& subset) const {
  const LogOdds z = log_odds(subset);
  return worth_of(s_, z.kept, z.removed);
}

double Neighbours::unsure(const Subset& subset) const {
  return unsure_of(s_, log_odds(subset), subset.differences.data());
}

double Neighbours::worth_of_one(const Subset& subset, int32_t x) const {
  float sums[2];
  sums_of_one(subset.kept.data(), subset.removed.data(), s_.flip + x * s_.count, s_.count, sums);
  const double lack = subset.has[x] ? fewer_[x] : more_[x], have = subset.has[x] ? more_[x] : fewer_[x];
  const double line = subset.line + (subset.has[x] ? -s_.effect[x] : s_.effect[x]);
  return worth_of(s_, s_.offset + line + lack * (subset.far[0] + sums[0]) + have * (subset.near[0] - sums[0]),
                  s_.offset - line + have * (subset.far[1] + sums[1]) + lack * (subset.near[1] - sums[1]));
}

void Neighbours::worth_of_all(const Subset* const* subsets, int count, float* const* out) const {
  const float* rows[2 * kRows];
  for (int i = 0; i < kRows; ++i) {
    const Subset& subset = *subsets[std::min(i, count - 1)];
    rows[2 * i] = subset.kept.data(), rows[2 * i + 1] = subset.removed.data();
  }
  for (int64_t x = 0; x < wide_; x += kTile)
    tile_sums(rows, lacks_.data() + x * s_.count, s_.count, wide_, sums_.data() + x);
  for (int i = 0; i < count; ++i) {
    const Subset& subset = *subsets[i];
    float *kept = sums_.data() + 2 * i * wide_, *removed = kept + wide_;
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

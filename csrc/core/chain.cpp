#include "chain.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <vector>

#include "dot.h"
#include "exact_sums.h"
#include "neighbours.h"
#include "simd.h"

namespace pysmdl {
namespace {

constexpr int64_t kPatience = 6;  // all n regions at once take the time of about n / 6 single ones

class Chain {
 public:
  Chain(const Surrogate& s, int64_t k, int32_t* order)
      : s_(s),
        n_(s.n),
        k_(k),
        order_(order),
        place_(s.n),
        neighbours_(s),
        subsets_(neighbours_.room_for(s.n + 1)),
        value_(s.n + 1),
        worth_(s.n + 1),
        area_(s.n),
        changed_(s.n * (s.n + 1)),
        asked_(s.n + 1, 0) {
    neighbours_.take_nothing(subsets_[0]);
    value_[0] = neighbours_.worth(subsets_[0]);
    follow(0, n_);
    std::fill(asked_.begin(), asked_.end(), patience_);  // most of these will stay: all regions at once
  }

  double total() const { return worth_[n_]; }

  Doubt unsure(int64_t j) const { return neighbours_.unsure(subsets_[j]); }

  // The best place for region x, at most `within` away, where that gains more than `least`; true where it moved.
  bool put(int32_t x, int64_t within, double least) {
    const int64_t i = place_[x], first = std::max<int64_t>(0, i - within), last = std::min(n_ - 1, i + within);
    price(x, first, last + 1);
    const float* changed = changed_.data() + x * (n_ + 1);
    const double *value = value_.data(), *worth = worth_.data(), *area = area_.data(), own = s_.area[x] / 2;
    double best = least, after = 0, next = value[i + 1];
    int64_t to = i;
    for (int64_t j = i - 1; j >= first; --j) {  // subset j + 1 becomes subset j with x
      const double with = changed[j];
      after += j + 1 < k_ ? area[j] * (with + next) / 2 : 0;
      next = with;
      const double gain = (j < k_ ? own * (value[j] + with) : 0) + after - (worth[i + 1] - worth[j]);
      if (gain > best) best = gain, to = j;
    }
    after = 0, next = value[i];
    for (int64_t j = i + 1; j <= last; ++j) {  // subset j becomes subset j + 1 without x
      const double without = changed[j + 1];
      after += j - 1 < k_ ? area[j] * (next + without) / 2 : 0;
      next = without;
      const double gain = (j < k_ ? own * (without + value[j + 1]) : 0) + after - (worth[j + 1] - worth[i]);
      if (gain > best) best = gain, to = j;
    }
    if (to < i) std::rotate(order_ + to, order_ + i, order_ + i + 1);
    if (to > i) std::rotate(order_ + i, order_ + i + 1, order_ + to + 1);
    if (to != i) follow(std::min(i, to), std::max(i, to));
    return to != i;
  }

 private:
  // Brings subsets first + 1 .. last up to date with the order.
  void follow(int64_t first, int64_t last) {
    for (int64_t j = first; j < last; ++j) {
      neighbours_.add(order_[j], subsets_[j], subsets_[j + 1]);
      value_[j + 1] = neighbours_.worth(subsets_[j + 1]);
      asked_[j + 1] = 0;
    }
    for (int64_t j = first; j < std::min(n_, last + 1); ++j) place_[order_[j]] = j, area_[j] = s_.area[order_[j]];
    for (int64_t j = first; j < n_; ++j)
      worth_[j + 1] = worth_[j] + (j < k_ ? area_[j] * (value_[j] + value_[j + 1]) / 2 : 0);
  }

  // What subsets first .. last are worth with region x changed. Those asked for often enough are priced with any one
  // region changed: as the order still moves, most are not, and single regions come cheaper.
  void price(int32_t x, int64_t first, int64_t last) {
    const Subset* stale[Neighbours::kRows];
    float* to[Neighbours::kRows];
    int count = 0;
    for (int64_t j = first; j <= last; ++j) {
      if (asked_[j] <= patience_) {
        if (++asked_[j] > patience_) stale[count] = &subsets_[j], to[count++] = changed_.data() + j;
        else changed_[x * (n_ + 1) + j] = static_cast<float>(neighbours_.worth_of_one(subsets_[j], x));
      }
      if (count == Neighbours::kRows || (j == last && count)) {
        neighbours_.worth_of_all(stale, count, to, n_ + 1);
        count = 0;
      }
    }
  }

  const Surrogate& s_;
  const int64_t n_, k_, patience_ = n_ / kPatience;
  int32_t* order_;
  std::vector<int64_t> place_;  // of each region in the order
  const Neighbours neighbours_;
  Subsets subsets_;             // [n + 1]
  std::vector<double> value_;   // what each is worth. [n + 1]
  std::vector<double> worth_;   // of the chain up to each. [n + 1]
  std::vector<double> area_;    // of the region that comes next. [n]
  std::vector<float> changed_;  // [n, n + 1]: what each is worth with one region more or less
  std::vector<int64_t> asked_;  // how often since its subset changed; up to date above patience. [n + 1]
};

// 1 where a flip is negative, else -1, to whole tiles `apart` elements apart.
PYSMDL_SIMD void signs_of(const int8_t* flip, int64_t count, float* to, int64_t apart) {
  for (; count >= kTile; count -= kTile, flip += kTile, to += apart)
    for (int t = 0; t < kTile; ++t) to[t] = flip[t] < 0 ? 1.0f : -1.0f;
  for (int64_t t = 0; t < count; ++t) to[t] = flip[t] < 0 ? 1.0f : -1.0f;
}

// The sum of flips times what their subsets pull.
PYSMDL_SIMD double flips_pulled(const int8_t* flip, const double* pull, int64_t count) {
  double in[kTile] = {};
  int64_t t = 0;
  for (; t + kTile <= count; t += kTile)
    for (int i = 0; i < kTile; ++i) in[i] += flip[t + i] * pull[t + i];
  for (int i = 0; t < count; ++t, ++i) in[i] += flip[t] * pull[t];
  double sum = 0;
  for (const double each : in) sum += each;
  return sum;
}

// Which regions the measured subset t holds. [n].
void read_subset(const int8_t* flip, int64_t n, int64_t count, int64_t t, uint8_t* member) {
  for (int64_t x = 0; x < n; ++x) member[x] = flip[x * count + t] < 0;
}

}  // namespace

void kernel_rows(const int8_t* flip, int64_t n, int64_t count, const double* alike, const double* table, int64_t span,
                 int64_t first, int64_t stride, float* kernel) {
  const int64_t wide = whole_tiles(count), across = whole_tiles(n);
  std::vector<float> signs(n * wide), likeness(n * across), own(kTogether * n), rows(kTogether * across),
      lines(kTogether * wide);
  const float *each[kTogether], *each_own[kTogether];
  for (int i = 0; i < kTogether; ++i) each[i] = rows.data() + i * across, each_own[i] = own.data() + i * n;
  for (int64_t x = 0; x < n; ++x)  // [wide / kTile, n, kTile]
    signs_of(flip + x * count, count, signs.data() + x * kTile, n * kTile);
  for (int64_t x = 0; x < across; x += kTile)  // [across / kTile, n, kTile]
    for (int64_t y = 0; y < n; ++y)
      std::copy(alike + y * n + x, alike + y * n + std::min(x + kTile, n), likeness.data() + x * n + y * kTile);
  const std::vector<float> by_difference(table, table + span + 1);
  std::vector<uint8_t> member(n);
  Walk walk(flip, n, count);
  for (int64_t from = first; from < count; from += kTogether) {
    const int64_t together = std::min<int64_t>(kTogether, count - from);
    for (int64_t x = 0; x < n; ++x)
      for (int64_t i = 0; i < together; ++i) own[i * n + x] = flip[x * count + from + i] < 0 ? 1.0f : -1.0f;
    for (int64_t x = 0; x < across; x += kTile) tile_sums(each_own, &likeness[x * n], n, across, &rows[x]);
    for (int64_t t = 0; t < from + together; t += kTile) tile_sums(each, &signs[t * n], n, wide, &lines[t]);
    for (int64_t i = 0; i < together; ++i) {
      read_subset(flip, n, count, from + i, member.data());
      const int16_t* apart = walk.to(member.data());
      float* to = kernel + (from + i) * stride;
      const float* line = &lines[i * wide];
      for (int64_t t = 0; t <= from + i; ++t) to[t] = line[t] + by_difference[apart[t]];
    }
  }
}

void effects(const int8_t* flip, int64_t n, int64_t count, const double* alike, const double* pull, double* effect) {
  std::vector<double> sums(n);
  for (int64_t x = 0; x < n && count; ++x)  // a region's flips are plus its weight where T lacks it, or minus
    sums[x] = -2 * flips_pulled(flip + x * count, pull, count) / std::max(1, std::abs(flip[x * count]));
  for (int64_t x = 0; x < n; ++x) effect[x] = dot(alike + x * n, sums.data(), n);
}

void influences(const Surrogate& s, double* influence) {
  const Neighbours neighbours(s);
  Subsets some = neighbours.room_for(Neighbours::kRows);
  const Subset* each[Neighbours::kRows];
  std::vector<uint8_t> member(s.n);
  Walk walk(s.flip, s.n, s.count);
  std::fill_n(influence, s.n, 0.0);
  for (int64_t from = 0; from < s.count; from += Neighbours::kRows) {
    const int together = static_cast<int>(std::min<int64_t>(Neighbours::kRows, s.count - from));
    for (int i = 0; i < together; ++i) {
      read_subset(s.flip, s.n, s.count, from + i, member.data());
      neighbours.take(member.data(), walk.to(member.data()), some[i]);
      each[i] = &some[i];
    }
    neighbours.add_squared_changes(each, together, influence);
  }
  const double changes = 2.0 * static_cast<double>(std::max<int64_t>(1, s.count));
  for (int64_t x = 0; x < s.n; ++x) influence[x] = std::sqrt(influence[x] / changes);
}

void greedy_chain(const Surrogate& s, int32_t* order) {
  const Neighbours neighbours(s);
  Subsets both = neighbours.room_for(2);
  Subset &front = both[0], &back = both[1];
  neighbours.take_nothing(front);
  neighbours.take_nothing(back);
  std::vector<int32_t> left(s.n);
  std::iota(left.begin(), left.end(), 0);
  std::vector<float> value(2 * s.n);
  const Subset* ends[2] = {&front, &back};
  float* to[2] = {value.data(), value.data() + s.n};
  const auto take = [&](Subset& end, const float* worth, float sign) {
    const auto better = [&](int32_t a, int32_t b) { return sign * worth[a] < sign * worth[b]; };
    const auto chosen = std::max_element(left.begin(), left.end(), better);
    const int32_t x = *chosen;
    left.erase(chosen);
    neighbours.add(x, end, end);
    return x;
  };
  for (int64_t first = 0, last = s.n - 1; first <= last;) {
    neighbours.worth_of_all(ends, 2, to, 1);
    order[first++] = take(front, to[0], 1);
    if (first <= last) order[last--] = take(back, to[1], -1);
  }
}

double improve_chain(const Surrogate& s, int64_t k, int64_t passes, int64_t within, double least, int32_t* order,
                     double* unsure) {
  Chain chain(s, k, order);
  within = std::clamp<int64_t>(within, 0, s.n);
  for (bool moved = true; moved && passes > 0; --passes) {
    moved = false;
    for (int32_t x = 0; x < s.n; ++x) moved |= chain.put(x, within, least);
  }
  for (int64_t j = 0; j <= s.n; ++j) {
    const Doubt doubt = chain.unsure(j);
    unsure[j] = doubt.kept, unsure[s.n + 1 + j] = doubt.removed;
  }
  return chain.total();
}

}  // namespace pysmdl

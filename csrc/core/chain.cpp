#include "chain.h"

#include <algorithm>
#include <numeric>
#include <vector>

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
        subsets_(s.n + 1, neighbours_.of_nothing()),
        value_(s.n + 1),
        changed_((s.n + 1) * s.n),
        asked_(s.n + 1, 0) {
    value_[0] = neighbours_.worth(subsets_[0]);
    follow(0, n_);
    std::fill(asked_.begin(), asked_.end(), patience_);  // most of these will stay: all regions at once
  }

  double total() const {
    double sum = 0;
    for (int64_t j = 0; j < k_; ++j) sum += step(j, order_[j], value_[j], value_[j + 1]);
    return sum;
  }

  double unsure(int64_t j) const { return neighbours_.unsure(subsets_[j]); }

  // The best place for region x, at most `within` away, where that gains more than `least`; true where it moved.
  bool put(int32_t x, int64_t within, double least) {
    const int64_t i = place_[x], first = std::max<int64_t>(0, i - within), last = std::min(n_ - 1, i + within);
    refresh(first, last + 1);
    const double own = step(i, x, value_[i], value_[i + 1]);
    double best = least, before = own, after = 0, next = value_[i + 1];
    int64_t to = i;
    for (int64_t j = i - 1; j >= first; --j) {  // subset j + 1 becomes subset j with x
      const double with = changed(j, x);
      before += step(j, order_[j], value_[j], value_[j + 1]);
      after += step(j + 1, order_[j], with, next);
      next = with;
      const double gain = step(j, x, value_[j], with) + after - before;
      if (gain > best) best = gain, to = j;
    }
    before = own, after = 0, next = value_[i];
    for (int64_t j = i + 1; j <= last; ++j) {  // subset j becomes subset j + 1 without x
      const double without = changed(j + 1, x);
      before += step(j, order_[j], value_[j], value_[j + 1]);
      after += step(j - 1, order_[j], next, without);
      next = without;
      const double gain = step(j, x, without, value_[j + 1]) + after - before;
      if (gain > best) best = gain, to = j;
    }
    if (to < i) std::rotate(order_ + to, order_ + i, order_ + i + 1);
    if (to > i) std::rotate(order_ + i, order_ + i + 1, order_ + to + 1);
    follow(std::min(i, to), std::max(i, to));
    return to != i;
  }

 private:
  // What step j counts, if it adds region x to a subset worth `from` and makes one worth `to`.
  double step(int64_t j, int32_t x, double from, double to) const { return j < k_ ? s_.area[x] * (from + to) / 2 : 0; }

  // Brings subsets first + 1 .. last up to date with the order.
  void follow(int64_t first, int64_t last) {
    for (int64_t j = first; j < last; ++j) {
      neighbours_.add(order_[j], subsets_[j], subsets_[j + 1]);
      value_[j + 1] = neighbours_.worth(subsets_[j + 1]);
      asked_[j + 1] = 0;
    }
    for (int64_t j = first; j < std::min(n_, last + 1); ++j) place_[order_[j]] = j;
  }

  // What subset j is worth with region x changed.
  double changed(int64_t j, int32_t x) const {
    return asked_[j] > patience_ ? changed_[j * n_ + x] : neighbours_.worth_of_one(subsets_[j], x);
  }

  // Counts that subsets first .. last are asked for; those asked for often enough are priced with any one region
  // changed: as the order still moves, most are not, and single regions come cheaper.
  void refresh(int64_t first, int64_t last) {
    const Subset* stale[Neighbours::kRows];
    float* to[Neighbours::kRows];
    int count = 0;
    for (int64_t j = first; j <= last; ++j) {
      if (asked_[j] <= patience_ && ++asked_[j] > patience_)
        stale[count] = &subsets_[j], to[count++] = changed_.data() + j * n_;
      if (count == Neighbours::kRows || (j == last && count)) {
        neighbours_.worth_of_all(stale, count, to);
        count = 0;
      }
    }
  }

  const Surrogate& s_;
  const int64_t n_, k_, patience_ = n_ / kPatience;
  int32_t* order_;
  std::vector<int64_t> place_;  // of each region in the order
  const Neighbours neighbours_;
  std::vector<Subset> subsets_;  // [n + 1]
  std::vector<double> value_;    // [n + 1]
  std::vector<float> changed_;   // [n + 1, n]: of each subset with one region more or less
  std::vector<int64_t> asked_;   // how often since its subset changed; up to date above patience. [n + 1]
};

PYSMDL_SIMD void signs_of(const int8_t* flip, int64_t count, float* to) {
  for (int64_t t = 0; t < count; ++t) to[t] = flip[t] < 0 ? 1.0f : -1.0f;
}

}  // namespace

void kernel_rows(const int8_t* flip, int64_t n, int64_t count, const double* alike, const double* table, int64_t span,
                 int64_t first, int64_t stride, double* even, double* odd) {
  const int64_t wide = (count + kTile - 1) / kTile * kTile;
  std::vector<float> signs(n * wide), rows(kTogether * n), lines(kTogether * wide);
  const float* each[kTogether];
  for (int i = 0; i < kTogether; ++i) each[i] = rows.data() + i * n;
  for (int64_t t = 0; t < count; t += kTile)  // [wide / kTile, n, kTile]
    for (int64_t x = 0; x < n; ++x)
      signs_of(flip + x * count + t, std::min<int64_t>(kTile, count - t), signs.data() + t * n + x * kTile);
  std::vector<uint8_t> member(n);
  std::vector<double> row(n), total(n, 0.0);
  for (int64_t x = 0; x < n; ++x) add_to(alike + x * n, total.data(), n);
  Walk walk(flip, n, count);
  for (int64_t from = first; from < count; from += kTogether) {
    const int64_t together = std::min<int64_t>(kTogether, count - from);
    for (int64_t i = 0; i < together; ++i) {
      int64_t size = 0;
      for (int64_t x = 0; x < n; ++x) size += member[x] = flip[x * count + from + i] < 0;
      const bool has = 2 * size < n;  // of the regions that it has, or lacks, whichever are fewer
      std::fill(row.begin(), row.end(), 0.0);
      for (int64_t x = 0; x < n; ++x)
        if (member[x] == has) add_to(alike + x * n, row.data(), n);
      for (int64_t x = 0; x < n; ++x) rows[i * n + x] = static_cast<float>((has ? 1 : -1) * (2 * row[x] - total[x]));
    }
    for (int64_t t = 0; t < from + together; t += kTile) tile_sums(each, &signs[t * n], n, wide, &lines[t]);
    for (int64_t i = 0; i < together; ++i) {
      for (int64_t x = 0; x < n; ++x) member[x] = flip[x * count + from + i] < 0;
      const int16_t* apart = walk.to(member.data());
      double *to_even = even + (from + i) * stride, *to_odd = odd ? odd + (from + i) * stride : nullptr;
      for (int64_t t = 0; t <= from + i; ++t) {
        const double near = table[apart[t]], far = table[span - apart[t]], line = lines[i * wide + t];
        to_even[t] = odd ? near + far : line + near;
        if (odd) to_odd[t] = 2 * line + near - far;
      }
    }
  }
}

void greedy_chain(const Surrogate& s, int32_t* order) {
  const Neighbours neighbours(s);
  Subset front = neighbours.of_nothing(), back = front;
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
    neighbours.worth_of_all(ends, 2, to);
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
  for (int64_t j = 0; j <= s.n; ++j) unsure[j] = chain.unsure(j);
  return chain.total();
}

}  // namespace pysmdl

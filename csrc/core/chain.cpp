#include "chain.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace pysmdl {
namespace {

constexpr double kLeast = 1e-9;  // a move must gain more than rounding can make
constexpr int kLanes = 4;        // partial sums kept apart, so that the additions overlap

using Differences = std::vector<int16_t>;  // |S xor T| of one subset S, for every measured T

class Worth {
 public:
  explicit Worth(const Surrogate& s) : s_(s), pairs_(2 * (s.span + 1)) {
    for (int64_t d = 0; d <= s.span; ++d) {
      pairs_[2 * d] = s.kernel[d];
      pairs_[2 * d + 1] = s.kernel[s.span - d];
    }
  }

  // Of S with region x added (sign 1) or taken away (sign -1); of S itself with sign 0.
  double of(const int16_t* differences, int64_t x, int sign) const {
    const int8_t* flip = s_.flip + x * s_.count;
    double z[kLanes] = {}, y[kLanes] = {};
    int64_t t = 0;
    for (; t + kLanes <= s_.count; t += kLanes)
      for (int lane = 0; lane < kLanes; ++lane) add(differences, flip, sign, t + lane, z[lane], y[lane]);
    for (; t < s_.count; ++t) add(differences, flip, sign, t, z[0], y[0]);
    return s_.kept * logistic(sum(z)) - s_.removed * logistic(sum(y));
  }

 private:
  void add(const int16_t* differences, const int8_t* flip, int sign, int64_t t, double& z, double& y) const {
    const double* pair = &pairs_[2 * (differences[t] + sign * flip[t])];
    z += s_.alpha[t] * pair[0];
    y += s_.alpha[t] * pair[1];
  }
  double sum(const double (&lanes)[kLanes]) const { return s_.offset + (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]); }
  static double logistic(double z) { return 1 / (1 + std::exp(-z)); }

  const Surrogate& s_;
  std::vector<double> pairs_;  // kernel of S and of its complement, side by side
};

// Of the empty subset: the size of each T.
Differences of_nothing(const Surrogate& s) {
  Differences sizes(s.count, 0);
  for (int64_t x = 0; x < s.n; ++x)
    for (int64_t t = 0; t < s.count; ++t) sizes[t] += std::max(0, -s.flip[x * s.count + t]);
  return sizes;
}

void flip(const Surrogate& s, int64_t x, const int16_t* from, int16_t* to) {
  for (int64_t t = 0; t < s.count; ++t) to[t] = from[t] + s.flip[x * s.count + t];
}

class Chain {
 public:
  Chain(const Surrogate& s, int64_t k, int32_t* order)
      : s_(s), worth_(s), k_(k), order_(order), differences_((s.n + 1) * s.count), value_(s.n + 1, 0.0) {
    const Differences nothing = of_nothing(s);
    std::copy(nothing.begin(), nothing.end(), at(0));
    follow(0, s.n);
  }

  double total() const {
    double sum = 0;
    for (int64_t j = 1; j <= k_; ++j) sum += value_[j];
    return sum;
  }

  // The best place for region x within reach; true where it moved.
  bool place(int32_t x, int64_t reach) {
    const int64_t i = std::find(order_, order_ + s_.n, x) - order_;
    double best = kLeast, gain = 0;
    int64_t to = i;
    for (int64_t j = i - 1; j >= std::max<int64_t>(0, i - reach); --j) {  // subset j + 1 becomes subset j with x
      if (j + 1 <= k_) gain += worth_.of(at(j), x, 1) - value_[j + 1];
      if (gain > best) best = gain, to = j;
    }
    gain = 0;
    for (int64_t j = i + 1; j <= std::min(s_.n - 1, i + reach) && j <= k_; ++j) {  // subset j becomes j + 1 without x
      gain += worth_.of(at(j + 1), x, -1) - value_[j];
      if (gain > best) best = gain, to = j;
    }
    if (to < i) std::rotate(order_ + to, order_ + i, order_ + i + 1);
    if (to > i) std::rotate(order_ + i, order_ + i + 1, order_ + to + 1);
    follow(std::min(i, to), std::max(i, to));
    return to != i;
  }

 private:
  int16_t* at(int64_t j) { return &differences_[j * s_.count]; }

  // Brings subsets first + 1 .. last up to date with the order.
  void follow(int64_t first, int64_t last) {
    for (int64_t j = first; j < last; ++j) {
      flip(s_, order_[j], at(j), at(j + 1));
      if (j + 1 <= k_) value_[j + 1] = worth_.of(at(j + 1), 0, 0);
    }
  }

  const Surrogate& s_;
  const Worth worth_;
  const int64_t k_;
  int32_t* order_;
  std::vector<int16_t> differences_;  // [n + 1, count]
  std::vector<double> value_;         // [n + 1]
};

}  // namespace

void greedy_chain(const Surrogate& s, int32_t* order) {
  const Worth worth(s);
  Differences front = of_nothing(s), back = front;
  std::vector<int32_t> left(s.n);
  for (int64_t x = 0; x < s.n; ++x) left[x] = static_cast<int32_t>(x);
  const auto take = [&](Differences& end, double sign) {
    double best = 0;
    std::size_t chosen = 0;
    for (std::size_t i = 0; i < left.size(); ++i) {
      const double value = sign * worth.of(end.data(), left[i], 1);
      if (i == 0 || value > best) best = value, chosen = i;
    }
    const int32_t x = left[chosen];
    left.erase(left.begin() + static_cast<std::ptrdiff_t>(chosen));
    flip(s, x, end.data(), end.data());
    return x;
  };
  for (int64_t first = 0, last = s.n - 1; first <= last;) {
    order[first++] = take(front, 1);
    if (first <= last) order[last--] = take(back, -1);
  }
}

double improve_chain(const Surrogate& s, int64_t k, int64_t passes, int64_t reach, int32_t* order) {
  Chain chain(s, k, order);
  for (bool moved = true; moved && passes > 0; --passes) {
    moved = false;
    for (int32_t x = 0; x < s.n; ++x) moved |= chain.place(x, reach);
  }
  return chain.total();
}

}  // namespace pysmdl

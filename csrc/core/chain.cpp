#include "chain.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "neighbours.h"

namespace pysmdl {
namespace {

class Chain {
 public:
  Chain(const Surrogate& s, int64_t k, int32_t* order)
      : n_(s.n),
        k_(k),
        order_(order),
        neighbours_(s),
        subsets_(s.n + 1, neighbours_.of_nothing()),
        value_(s.n + 1, 0.0) {
    follow(0, n_);
  }

  double total() const { return std::accumulate(value_.begin() + 1, value_.begin() + k_ + 1, 0.0); }

  // The best place for region x, at most `within` away, where that gains more than `least`; true where it moved.
  bool place(int32_t x, int64_t within, double least) {
    const int64_t i = std::find(order_, order_ + n_, x) - order_;
    double best = least, gain = 0;
    int64_t to = i;
    for (int64_t j = i - 1; j >= std::max<int64_t>(0, i - within); --j) {  // subset j + 1 becomes subset j with x
      if (j + 1 <= k_) gain += neighbours_.worth(subsets_[j], x, 1) - value_[j + 1];
      if (gain > best) best = gain, to = j;
    }
    gain = 0;
    for (int64_t j = i + 1; j <= std::min(n_ - 1, i + within) && j <= k_; ++j) {  // subset j becomes j + 1 without x
      gain += neighbours_.worth(subsets_[j + 1], x, -1) - value_[j];
      if (gain > best) best = gain, to = j;
    }
    if (to < i) std::rotate(order_ + to, order_ + i, order_ + i + 1);
    if (to > i) std::rotate(order_ + i, order_ + i + 1, order_ + to + 1);
    follow(std::min(i, to), std::max(i, to));
    return to != i;
  }

 private:
  // Brings subsets first + 1 .. last up to date with the order.
  void follow(int64_t first, int64_t last) {
    for (int64_t j = first; j < last; ++j) {
      neighbours_.add(order_[j], subsets_[j], subsets_[j + 1]);
      value_[j + 1] = neighbours_.worth(subsets_[j + 1]);
    }
  }

  const int64_t n_, k_;
  int32_t* order_;
  const Neighbours neighbours_;
  std::vector<Subset> subsets_;  // [n + 1]
  std::vector<double> value_;    // [n + 1]
};

}  // namespace

void greedy_chain(const Surrogate& s, int32_t* order) {
  const Neighbours neighbours(s);
  Subset front = neighbours.of_nothing(), back = front;
  std::vector<int32_t> left(s.n);
  std::iota(left.begin(), left.end(), 0);
  const auto take = [&](Subset& end, double sign) {
    std::size_t chosen = 0;
    double best = 0;
    for (std::size_t i = 0; i < left.size(); ++i) {
      const double value = sign * neighbours.worth(end, left[i], 1);
      if (i == 0 || value > best) best = value, chosen = i;
    }
    const int32_t x = left[chosen];
    left.erase(left.begin() + static_cast<std::ptrdiff_t>(chosen));
    neighbours.add(x, end, end);
    return x;
  };
  for (int64_t first = 0, last = s.n - 1; first <= last;) {
    order[first++] = take(front, 1);
    if (first <= last) order[last--] = take(back, -1);
  }
}

double improve_chain(const Surrogate& s, int64_t k, int64_t passes, int64_t within, double least, int32_t* order) {
  Chain chain(s, k, order);
  within = std::clamp<int64_t>(within, 0, s.n);
  for (bool moved = true; moved && passes > 0; --passes) {
    moved = false;
    for (int32_t x = 0; x < s.n; ++x) moved |= chain.place(x, within, least);
  }
  return chain.total();
}

}  // namespace pysmdl

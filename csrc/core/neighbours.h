// What a surrogate says of a subset and of its neighbours, the subsets with one region more or less.
#pragma once

#include <cstdint>
#include <vector>

#include "chain.h"

namespace pysmdl {

// A subset S, by its differences from every measured T.
struct Subset {
  std::vector<int16_t> differences;  // |S xor T|
  std::vector<float> near, far;      // alpha * smooth * exp(-d / (reach * span)), of S and of its complement; padded
  double near_sum = 0, far_sum = 0;
  double mean = 0;  // sum of alpha * d
};

// A region more or less multiplies each exponential by one of two numbers, whichever T has or lacks: so a neighbour
// costs one sum over those T that lack the region. That sum is in float32, good to about 1e-6: memory sets its speed.
class Neighbours {
 public:
  explicit Neighbours(const Surrogate& surrogate);

  Subset of_nothing() const;
  // Makes `to` the subset `from` with region x more; they may be the same.
  void add(int32_t x, const Subset& from, Subset& to) const;
  double worth(const Subset& subset) const;
  // Of the subset with region x added (sign 1) or taken away (sign -1).
  double worth(const Subset& subset, int32_t x, int sign) const;

 private:
  void settle(Subset& subset) const;
  double worth(double near, double far, double mean) const;

  const Surrogate& s_;
  double alphas_ = 0;           // their sum
  int64_t padded_;              // count, rounded up to whole lanes
  std::vector<float> lacks_;    // [n, padded]: 1 where T lacks x, else 0
  std::vector<double> effect_;  // [n]: what adding x does to the sum of alpha * d
  // [n]: what an exponential is multiplied by when d falls, and grows, by x's weight
  std::vector<double> fewer_, more_;
  std::vector<double> exponential_, mirrored_;  // by differences, and by span less differences. [span + 1]
};

}  // namespace pysmdl

// What a surrogate says of a subset and of all its neighbours, the subsets with one region more or less.
#pragma once

#include <cstdint>
#include <vector>

#include "chain.h"
#include "exact_sums.h"

namespace pysmdl {

// z(S), and z(V - S).
struct LogOdds {
  double kept, removed;
};

// A subset S, by its differences from every measured T.
struct Subset {
  std::vector<int16_t> differences;  // |S xor T|
  std::vector<uint8_t> has;          // [n]
  std::vector<float> kept, removed;  // near e(d) - far e(span - d), and near e(span - d) - far e(d); padded
  double near[2] = {}, far[2] = {};  // sums of the terms, of S and of its complement
  double line = 0;                   // sum of signed effects / 2
};

// The differences of one subset after the other from every measured T.
class Walk {
 public:
  Walk(const int8_t* flip, int64_t n, int64_t count);

  // |S xor T| of the subset S, member [n]; valid until the next one is asked for. From one prefix of an order to the
  // next it is a single step.
  const int16_t* to(const uint8_t* member);

 private:
  const int8_t* flip_;
  int64_t n_, count_;
  std::vector<int16_t> nothing_, differences_;  // of the empty subset, and of the last one
  std::vector<uint8_t> has_;                    // the last one. [n]
};

// A region more or less multiplies each exponential by one of two numbers, whichever T has or lacks: so a neighbour
// costs one sum for each view over those T that lack the region, and the sums of all neighbours are a matrix product.
// They are in float32, good to about 1e-6.
class Neighbours {
 public:
  explicit Neighbours(const Surrogate& surrogate);

  Subset of_nothing() const;
  // Makes `to` the subset `from` with region x more; they may be the same.
  void add(int32_t x, const Subset& from, Subset& to) const;
  double worth(const Subset& subset) const;
  // How unsure that is, by the nearest one measured.
  double unsure(const Subset& subset) const;
  // Of each of up to kRows subsets with region x changed, for every x: out[i] [n].
  static constexpr int kRows = kTogether / 2;  // two views each
  void worth_of_all(const Subset* const* subsets, int count, float* const* out) const;
  // With region x changed, alone.
  double worth_of_one(const Subset& subset, int32_t x) const;

 private:
  void settle(Subset& subset) const;
  LogOdds log_odds(const Subset& subset) const;

  const Surrogate& s_;
  int64_t wide_;                      // n, rounded up to whole tiles
  std::vector<float> lacks_;          // [wide / kTile, count, kTile]: 1 where T lacks x, else 0
  std::vector<double> fewer_, more_;  // [n]: what an exponential is multiplied by when d falls, and grows
  std::vector<double> both_;          // the exponential of d and of span - d, by d. [span + 1, 2]
  mutable std::vector<float> sums_;   // [kRows, 2, wide]
};

}  // namespace pysmdl

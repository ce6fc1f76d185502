// What a surrogate says of a subset and of all its neighbours, the subsets with one region more or less.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "chain.h"
#include "exact_sums.h"
#include "walk.h"

namespace pysmdl {

// z(S), and z(V - S).
struct LogOdds {
  double kept, removed;
};

// How much what S is worth may be off by z(S), and by z(V - S).
struct Doubt {
  double kept, removed;
};

// A subset S, by its differences from every measured T.
struct Subset {
  int16_t* differences;   // |S xor T|, whole tiles as kept and removed
  uint8_t* has;           // [n]
  float *kept, *removed;  // pull e(d), and pull e(span - d)
  LogOdds sums;           // of these
  double line;            // sum of signed effects / 2
};

// So many subsets in one piece of memory, to be filled.
class Subsets {
 public:
  Subsets(int64_t subsets, int64_t n, int64_t count);

  Subset& operator[](int64_t i) { return subsets_[i]; }
  const Subset& operator[](int64_t i) const { return subsets_[i]; }

 private:
  std::unique_ptr<float[]> terms_;
  std::unique_ptr<int16_t[]> differences_;
  std::unique_ptr<uint8_t[]> has_;
  std::vector<Subset> subsets_;
};

// What the terms of z(S) are made of, in float32.
struct Terms {
  explicit Terms(const Surrogate& surrogate);

  std::vector<float> pull;  // [count], and zeros up to whole tiles
  float rate, smooth;       // e(d) = smooth * exp(-rate * d)
  int span;
};

// A region more or less multiplies each exponential by one of two numbers, whichever T has or lacks: so a neighbour
// costs one sum for each view over those T that lack the region, and the sums of all neighbours are a matrix product.
// They are in float32, good to about 1e-6.
class Neighbours {
 public:
  explicit Neighbours(const Surrogate& surrogate);

  Subsets room_for(int64_t subsets) const { return {subsets, s_.n, s_.count}; }
  void take_nothing(Subset& to) const;
  // Makes `to` the subset of these regions [n], which differs so much from each T [count].
  void take(const uint8_t* member, const int16_t* differences, Subset& to) const;
  // Makes `to` the subset `from` with region x more; they may be the same.
  void add(int32_t x, const Subset& from, Subset& to) const;
  double worth(const Subset& subset) const;
  // How unsure that is by each of its views.
  Doubt unsure(const Subset& subset) const;
  // Of each of up to kRows subsets with region x changed, for every x: out[i] [n], `apart` elements apart.
  static constexpr int kRows = kTogether / 2;  // two views each
  void worth_of_all(const Subset* const* subsets, int count, float* const* out, int64_t apart) const;
  // What a region's change adds to z of up to kRows subsets and of their complements, squared: added to sums [n].
  void add_squared_changes(const Subset* const* subsets, int count, double* sums) const;
  // With region x changed, alone.
  double worth_of_one(const Subset& subset, int32_t x) const;

 private:
  void settle(Subset& subset) const;
  void change_all(const Subset* const* subsets, int count) const;
  LogOdds log_odds(const Subset& subset) const;

  const Surrogate& s_;
  int64_t wide_;                     // n, rounded up to whole tiles
  std::vector<float> lacks_;         // [wide / kTile, count, kTile]: 1 where T lacks x, else 0
  std::vector<float> fewer_, more_;  // [n]: what an exponential is multiplied by when d falls, and grows
  std::vector<float> effect_;        // [n]
  const Terms terms_;
  mutable std::vector<float> sums_;  // [kRows, 2, wide]: z of subsets with one region changed, kept and removed
};

}  // namespace pysmdl

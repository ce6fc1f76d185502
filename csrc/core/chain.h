// Chains: orders of regions, read as the subsets of their first 0, 1, ... n, under a surrogate of a set function.
#pragma once

#include <cstdint>

namespace pysmdl {

// A kernel machine over measured subsets T. With d = |S xor T|, where |.| adds up the regions' weights, span in all:
//   z(S) = offset + sum over T of alpha[T] * (linear * (1 - 2 d / span) + smooth * exp(-d / (reach * span)))
// With p the logistic function, a subset is worth kept * p(z(S)) - removed * p(z(V - S)); |(V - S) xor T| is span - d.
struct Surrogate {
  const int8_t* flip;   // [n, count]: what adding region x does to |S xor T|: plus its weight where T lacks x, or minus
  const double* alpha;  // [count]
  double linear, smooth, reach, offset, kept, removed;
  int64_t n, count, span;
};

// |S xor T| of every measured T, for subsets S: member [subsets, n], 0 or not, to out [subsets, count].
void differences(const int8_t* flip, int64_t n, int64_t count, const uint8_t* member, int64_t subsets, int16_t* out);

// Greedy on the surrogate from both ends: in turn the region that makes the front worth most, and the one that makes
// the back worth least. Of equals the lowest. order: [n].
void greedy_chain(const Surrogate& surrogate, int32_t* order);

// Moves one region after the other, each to the place at most `within` away that makes the first k subsets of the chain
// worth most together, where that gains more than `least`; in `passes` rounds or until nothing moves. order: [n], in
// place. Returns what they are worth.
double improve_chain(const Surrogate& surrogate, int64_t k, int64_t passes, int64_t within, double least,
                     int32_t* order);

}  // namespace pysmdl

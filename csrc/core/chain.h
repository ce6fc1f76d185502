// Chains: orders of regions, read as the subsets of their first 0, 1, ... n, under a surrogate of a set function.
#pragma once

#include <cstdint>

namespace pysmdl {

// A kernel machine over measured subsets T. With d = |S xor T|, where |.| adds up the regions' weights, span in all,
// and e(d) = smooth * exp(-d / (reach * span)):
//   z(S) = offset + (sum over x of effect[x] / 2, minus where S lacks x) + sum over T of pull[T] * e(d)
// |(V - S) xor T| is span - d, so z(V - S) changes these and the signs of effects.
// With p(z) = (1 + 2 soft) / (1 + exp(-z)) - soft, cut off at 0 and 1, or z itself where scores are not `bounded`, a
// subset is worth kept * p(z(S)) - removed * p(z(V - S)), and a chain the area under that: each of its first k steps
// counts the area of the region added times the mean of what the subsets before and after it are worth.
struct Surrogate {
  const int8_t* flip;  // [n, count]: what adding region x does to |S xor T|: plus its weight where T lacks x, or minus
  const double* pull;  // [count]
  const double* effect;  // [n]
  const double* area;    // [n]
  double smooth, reach, offset, soft, kept, removed;
  bool bounded;
  int64_t n, count, span;
};

// |S xor T| of every measured T, for subsets S: member [subsets, n], 0 or not, to out [subsets, count].
void differences(const int8_t* flip, int64_t n, int64_t count, const uint8_t* member, int64_t subsets, int16_t* out);

// Rows first .. count - 1 of the kernel between measured subsets, up to the diagonal, in rows of `stride` elements:
// signs(T) alike signs(T') + table[d], signs +1 where a subset has a region and -1 where it lacks it.
void kernel_rows(const int8_t* flip, int64_t n, int64_t count, const double* alike, const double* table, int64_t span,
                 int64_t first, int64_t stride, float* kernel);

// effect[x] = 2 sum over y of alike[x, y] * (sum over T of pull[T], minus where T lacks y): the linear part of a fit.
void effects(const int8_t* flip, int64_t n, int64_t count, const double* alike, const double* pull, double* effect);

// How much each region's change changes z(S): the root mean square over all measured subsets S and their complements.
// influence: [n].
void influences(const Surrogate& surrogate, double* influence);

// What subsets are worth, and how unsure that is by the nearest ones measured: member [subsets, n], to value and unsure
// [subsets].
void predict(const Surrogate& surrogate, const uint8_t* member, int64_t subsets, double* value, double* unsure);

// Greedy on the surrogate from both ends: in turn the region that makes the front worth most, and the one that makes
// the back worth least. Of equals the lowest. order: [n].
void greedy_chain(const Surrogate& surrogate, int32_t* order);

// Moves one region after the other, each to the place at most `within` away that makes the chain worth most, where that
// gains more than `least`; in `passes` rounds or until nothing moves. order: [n], in place. Returns what it is worth;
// to unsure [2, n + 1] how unsure that is of each of its subsets, by its view kept and by its view removed: `predict`
// says their sum.
double improve_chain(const Surrogate& surrogate, int64_t k, int64_t passes, int64_t within, double least,
                     int32_t* order, double* unsure);

}  // namespace pysmdl

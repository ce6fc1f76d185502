#include "walk.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "chain.h"
#include "exact_sums.h"
#include "simd.h"

namespace pysmdl {
namespace {

PYSMDL_SIMD void subtract_row(const int8_t* flip, int16_t* to, int64_t count) {
  for (int64_t t = 0; t < count; ++t) to[t] = static_cast<int16_t>(to[t] - flip[t]);
}

PYSMDL_SIMD void add_size(const int8_t* flip, int16_t* to, int64_t count) {
  for (int64_t t = 0; t < count; ++t) to[t] = static_cast<int16_t>(to[t] + (flip[t] < 0 ? -flip[t] : 0));
}

// Regions in which a subset differs from another, and its size.
PYSMDL_SIMD std::pair<int32_t, int32_t> steps_and_size(const uint8_t* member, const uint8_t* has, int64_t n) {
  int32_t steps = 0, size = 0;
  for (int64_t x = 0; x < n; ++x) steps += (member[x] != 0) != (has[x] != 0), size += member[x] != 0;
  return {steps, size};
}

}  // namespace

std::vector<int16_t> sizes(const int8_t* flip, int64_t n, int64_t count) {
  std::vector<int16_t> found(whole_tiles(count), 0);
  for (int64_t x = 0; x < n; ++x) add_size(flip + x * count, found.data(), count);
  return found;
}

PYSMDL_SIMD void add_row(const int8_t* flip, const int16_t* from, int16_t* to, int64_t count) {
  for (int64_t t = 0; t < count; ++t) to[t] = static_cast<int16_t>(from[t] + flip[t]);
}

Walk::Walk(const int8_t* flip, int64_t n, int64_t count)
    : flip_(flip), n_(n), count_(count), nothing_(sizes(flip, n, count)), differences_(nothing_), has_(n, 0) {}

const int16_t* Walk::to(const uint8_t* member) {
  const auto [steps, size] = steps_and_size(member, has_.data(), n_);
  if (size < steps) {  // shorter from nothing
    differences_ = nothing_;
    std::fill(has_.begin(), has_.end(), uint8_t{0});
  }
  for (int64_t x = 0; x < n_; ++x) {
    if (x % 8 == 0 && x + 8 <= n_ && std::memcmp(member + x, &has_[x], 8) == 0) {
      x += 7;  // the same eight
      continue;
    }
    if (!member[x] == !has_[x]) continue;
    int16_t* d = differences_.data();
    if (member[x]) add_row(flip_ + x * count_, d, d, count_);
    else subtract_row(flip_ + x * count_, d, count_);
    has_[x] = member[x] != 0;
  }
  return differences_.data();
}

void differences(const int8_t* flip, int64_t n, int64_t count, const uint8_t* member, int64_t subsets, int16_t* out) {
  Walk walk(flip, n, count);
  for (int64_t s = 0; s < subsets; ++s, out += count) {
    const int16_t* found = walk.to(member + s * n);
    std::copy(found, found + count, out);
  }
}

}  // namespace pysmdl

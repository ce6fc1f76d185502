// From subset to subset: how far each is from every measured one.
#pragma once

#include <cstdint>
#include <vector>

namespace pysmdl {

// |S xor T| of the empty subset from every T: the size of each. Whole tiles (exact_sums.h), the rest 0.
std::vector<int16_t> sizes(const int8_t* flip, int64_t n, int64_t count);

// The same with a region more, from [count] to [count].
void add_row(const int8_t* flip, const int16_t* from, int16_t* to, int64_t count);

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

}  // namespace pysmdl

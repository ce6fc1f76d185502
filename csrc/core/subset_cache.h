// Subsets by number: each distinct bit row gets the next id, so what is known of a subset is a line of a table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pysmdl {

class SubsetCache {
 public:
  explicit SubsetCache(int64_t words);

  // Writes the id of each row of rows[count, words] to ids; rows never seen before get ids size(), size() + 1, ...
  void intern(const uint32_t* rows, int64_t count, int32_t* ids);
  // As intern, but unknown rows get -1 and nothing is added.
  void find(const uint32_t* rows, int64_t count, int32_t* ids) const;

  int64_t size() const { return static_cast<int64_t>(rows_.size()) / words_; }
  int64_t words() const { return words_; }
  const uint32_t* row(int64_t id) const { return rows_.data() + id * words_; }

 private:
  uint64_t hash(const uint32_t* row) const;
  // The slot of `row`, or the free slot where it belongs.
  std::size_t slot_of(const uint32_t* row) const;
  void grow();

  int64_t words_;
  std::vector<uint32_t> rows_;  // [size, words], in id order
  std::vector<int32_t> slots_;  // open addressing, a power of two, at most half full; -1 is free
};

}  // namespace pysmdl

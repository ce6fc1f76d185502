#include "subset_cache.h"

#include <algorithm>

#include "check.h"

namespace pysmdl {

SubsetCache::SubsetCache(int64_t words) : words_(words), slots_(256, -1) {
  PYSMDL_CHECK(words > 0, "words must be at least 1, got ", words);
}

uint64_t SubsetCache::hash(const uint32_t* row) const {
  uint64_t h = 0x9e3779b97f4a7c15ull;
  for (int64_t w = 0; w < words_; ++w) {  // splitmix64's finaliser over the words
    h ^= row[w];
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ull;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebull;
    h ^= h >> 31;
  }
  return h;
}

std::size_t SubsetCache::slot_of(const uint32_t* row) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = hash(row) & mask;
  while (slots_[slot] >= 0 && !std::equal(row, row + words_, this->row(slots_[slot]))) slot = (slot + 1) & mask;
  return slot;
}

void SubsetCache::grow() {
  std::vector<int32_t> wider(slots_.size() * 2, -1);
  slots_.swap(wider);
  for (int64_t id = 0; id < size(); ++id) slots_[slot_of(row(id))] = static_cast<int32_t>(id);
}

void SubsetCache::intern(const uint32_t* rows, int64_t count, int32_t* ids) {
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t* row = rows + i * words_;
    std::size_t slot = slot_of(row);
    if (slots_[slot] < 0) {
      PYSMDL_CHECK(size() < INT32_MAX, "a cache numbers at most ", INT32_MAX, " subsets");
      if (2 * static_cast<std::size_t>(size() + 1) > slots_.size()) {  // first: where memory ends, nothing has changed
        grow();
        slot = slot_of(row);
      }
      const auto id = static_cast<int32_t>(size());
      rows_.insert(rows_.end(), row, row + words_);
      slots_[slot] = id;
    }
    ids[i] = slots_[slot];
  }
}

void SubsetCache::find(const uint32_t* rows, int64_t count, int32_t* ids) const {
  for (int64_t i = 0; i < count; ++i) ids[i] = slots_[slot_of(rows + i * words_)];
}

}  // namespace pysmdl

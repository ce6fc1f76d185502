// Shares work out over torch's own threads where torch is loaded, else over threads started for the call.
#pragma once

#include <cstdint>
#include <functional>

namespace pysmdl {

constexpr int kMostThreads = 1024;  // of one call, however many are asked for

// Calls task(begin, end) on disjoint ranges that cover [0, units), on at most `threads` threads: on fewer where no more
// can be started. Returns when all are done, or throws what a task threw first. A thread takes the same ranges in each
// call of as many units, unless another was through before it.
void parallel_for(int64_t units, int threads, const std::function<void(int64_t, int64_t)>& task);

}  // namespace pysmdl

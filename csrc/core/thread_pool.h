// A small pool of sleeping workers; the caller works too. No OpenMP: two OpenMP runtimes in one process do not mix.
#pragma once

#include <cstdint>
#include <functional>

namespace pysmdl {

// Calls task(begin, end) on disjoint ranges that cover [0, units), on at most `threads` threads.
// Returns when all are done. Calls from several threads at once run one after another.
void parallel_for(int64_t units, int threads, const std::function<void(int64_t, int64_t)>& task);

}  // namespace pysmdl

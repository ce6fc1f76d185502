#include "parallel.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace pysmdl {
namespace {

struct Job {
  void work() {
    for (;;) {
      const int64_t begin = next.fetch_add(chunk, std::memory_order_relaxed);
      if (begin >= units) return;
      task(begin, std::min(begin + chunk, units));
    }
  }

  const std::function<void(int64_t, int64_t)>& task;
  const int64_t units, chunk;
  std::atomic<int64_t> next{0};
};

void join_in(void* job) { static_cast<Job*>(job)->work(); }

// The OpenMP that torch brought, by what GCC's compiled code calls; its workers spin for a while after each of the
// model's own loops, so threads of ours would have to wait for a core. Nothing links to it: a second one would be worse.
// In a forked child its workers are gone.
using Parallel = void (*)(void (*)(void*), void*, unsigned, unsigned);
const pid_t loaded_in = getpid();
Parallel torchs() {
  return getpid() == loaded_in ? reinterpret_cast<Parallel>(dlsym(RTLD_DEFAULT, "GOMP_parallel")) : nullptr;
}

}  // namespace

void parallel_for(int64_t units, int threads, const std::function<void(int64_t, int64_t)>& task) {
  threads = static_cast<int>(std::min<int64_t>(threads, units));
  if (threads <= 1) {
    if (units > 0) task(0, units);
    return;
  }
  // Many chunks per thread: whoever is late gets less, and nobody waits long for the last.
  Job job{task, units, std::max<int64_t>(1, units / (16 * threads))};
  if (const Parallel parallel = torchs()) {
    parallel(join_in, &job, static_cast<unsigned>(threads), 0);
    return;
  }
  std::vector<std::thread> helpers;
  for (int helper = 1; helper < threads; ++helper) helpers.emplace_back(join_in, &job);
  job.work();
  for (std::thread& helper : helpers) helper.join();
}

}  // namespace pysmdl

#include "parallel.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace pysmdl {
namespace {

// A thread begins with its own share of the units, the same from one call to the next, so that it writes what its own
// caches hold: cores that share no cache pass on each line that another wrote before. Whoever is through helps others.
struct Job {
  struct alignas(64) Share {
    std::atomic<int64_t> next;
    int64_t end;
  };

  Job(const std::function<void(int64_t, int64_t)>& task, int64_t units, int threads)
      : task(task), chunk(std::max<int64_t>(1, units / (16 * threads))), shares(threads) {
    for (int t = 0; t < threads; ++t) {
      shares[t].next = units * t / threads;
      shares[t].end = units * (t + 1) / threads;
    }
  }

  void work(size_t thread) {
    for (size_t i = 0; i < shares.size(); ++i) {
      Share& share = shares[(thread + i) % shares.size()];
      for (;;) {
        const int64_t begin = share.next.fetch_add(chunk, std::memory_order_relaxed);
        if (begin >= share.end) break;
        task(begin, std::min(begin + chunk, share.end));
      }
    }
  }

  const std::function<void(int64_t, int64_t)>& task;
  const int64_t chunk;
  std::vector<Share> shares;
  int (*own)() = nullptr;  // number of the thread that asks
};

void join_in(void* it) {
  Job& job = *static_cast<Job*>(it);
  job.work(static_cast<size_t>(job.own()));
}

// The OpenMP that torch brought, by what GCC's compiled code calls; its workers spin for a while after each of the
// model's own loops, so threads of ours would have to wait for a core. Nothing links to it: a second one would be worse.
// In a forked child its workers are gone.
struct Torchs {
  void (*parallel)(void (*)(void*), void*, unsigned, unsigned);
  int (*thread)();
};
const pid_t loaded_in = getpid();
Torchs torchs() {
  if (getpid() != loaded_in) return {};
  return {reinterpret_cast<decltype(Torchs::parallel)>(dlsym(RTLD_DEFAULT, "GOMP_parallel")),
          reinterpret_cast<decltype(Torchs::thread)>(dlsym(RTLD_DEFAULT, "omp_get_thread_num"))};
}

}  // namespace

void parallel_for(int64_t units, int threads, const std::function<void(int64_t, int64_t)>& task) {
  threads = static_cast<int>(std::min<int64_t>(threads, units));
  if (threads <= 1) {
    if (units > 0) task(0, units);
    return;
  }
  Job job(task, units, threads);
  if (const Torchs openmp = torchs(); openmp.parallel && openmp.thread) {
    job.own = openmp.thread;
    openmp.parallel(join_in, &job, static_cast<unsigned>(threads), 0);
    return;
  }
  std::vector<std::thread> helpers;
  for (int helper = 1; helper < threads; ++helper) helpers.emplace_back(&Job::work, &job, helper);
  job.work(0);
  for (std::thread& helper : helpers) helper.join();
}

}  // namespace pysmdl

#include "parallel.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
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

  // No error may leave a thread that is not the caller's: the first one is kept for the caller, and all stop.
  void work(size_t thread) noexcept {
    try {
      for (size_t i = 0; i < shares.size(); ++i) {
        Share& share = shares[(thread + i) % shares.size()];
        while (!failed.load(std::memory_order_relaxed)) {
          const int64_t begin = share.next.fetch_add(chunk, std::memory_order_relaxed);
          if (begin >= share.end) break;
          task(begin, std::min(begin + chunk, share.end));
        }
      }
    } catch (...) {
      if (!failed.exchange(true)) error = std::current_exception();
    }
  }

  const std::function<void(int64_t, int64_t)>& task;
  const int64_t chunk;
  std::vector<Share> shares;
  int (*own)() = nullptr;  // number of the thread that asks
  std::atomic<bool> failed{false};
  std::exception_ptr error;
};

void join_in(void* it) {
  Job& job = *static_cast<Job*>(it);
  job.work(static_cast<size_t>(job.own()));
}

// The OpenMP that torch brought, by what GCC's compiled code calls; its workers spin for a while after each of the
// model's own loops, so threads of ours would have to wait for a core. Nothing links to it: a second one would be
// worse. In a forked child its workers are gone.
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

// Runs work(1) .. work(threads - 1) on threads of their own and work(0) here; fewer where no more can be started.
template <typename Work>
int with_threads(int threads, const Work& work) {
  std::vector<std::thread> helpers;
  helpers.reserve(threads - 1);
  try {
    while (static_cast<int>(helpers.size()) < threads - 1) helpers.emplace_back(work, helpers.size() + 1);
  } catch (const std::system_error&) {
  } catch (const std::bad_alloc&) {
  }
  const int started = static_cast<int>(helpers.size()) + 1;
  work(0);
  for (std::thread& helper : helpers) helper.join();
  return started;
}

// How many threads OpenMP may be asked for, of so many: it ends the process where it cannot start one. So whoever asks
// for more than ever before tries beforehand, with as many threads that are there at once.
int startable(int threads) {
  thread_local int tried = 1;  // OpenMP keeps threads for each that asks
  if (threads > tried) {
    std::mutex mutex;
    std::condition_variable all_here;
    bool here = false;
    tried = with_threads(threads, [&](size_t thread) {
      std::unique_lock lock(mutex);
      if (thread > 0) return all_here.wait(lock, [&] { return here; });
      here = true;
      all_here.notify_all();
    });
  }
  return std::min(threads, tried);
}

}  // namespace

void parallel_for(int64_t units, int threads, const std::function<void(int64_t, int64_t)>& task) {
  threads = static_cast<int>(std::min<int64_t>({threads, kMostThreads, units}));
  if (threads <= 1) {
    if (units > 0) task(0, units);
    return;
  }
  Job job(task, units, threads);
  const Torchs openmp = torchs();
  if (openmp.parallel && openmp.thread) {
    job.own = openmp.thread;
    openmp.parallel(join_in, &job, static_cast<unsigned>(startable(threads)), 0);
  } else {
    with_threads(threads, [&job](size_t thread) { job.work(thread); });
  }
  if (job.error) std::rethrow_exception(job.error);
}

}  // namespace pysmdl

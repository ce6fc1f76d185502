#include "thread_pool.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace pysmdl {
namespace {

class ThreadPool {
 public:
  void run(int64_t units, int threads, const std::function<void(int64_t, int64_t)>& task) {
    std::lock_guard<std::mutex> one_job(jobs_);
    const int helpers = threads - 1;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      while (static_cast<int>(workers_.size()) < helpers) {
        const int index = static_cast<int>(workers_.size());
        workers_.emplace_back([this, index] { work(index); });
        workers_.back().detach();  // they sleep until the process ends
      }
      task_ = &task;
      units_ = units;
      // A few chunks per thread: whoever is late (a worker waking up, a busy core) gets less.
      chunk_ = std::max<int64_t>(1, units / (4 * threads));
      next_.store(0, std::memory_order_relaxed);
      helpers_ = helpers;
      ++generation_;
    }
    wake_.notify_all();
    drain();
    std::unique_lock<std::mutex> lock(mutex_);
    // Workers that have not woken yet have nothing left to do: take them off the job instead of waiting for them.
    helpers_ = 0;
    done_.wait(lock, [this] { return joined_ == 0; });
    task_ = nullptr;
  }

 private:
  void drain() {
    for (;;) {
      const int64_t begin = next_.fetch_add(chunk_, std::memory_order_relaxed);
      if (begin >= units_) return;
      (*task_)(begin, std::min(begin + chunk_, units_));
    }
  }

  void work(int index) {
    uint64_t seen = 0;
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return generation_ != seen && index < helpers_; });
      seen = generation_;
      ++joined_;
      lock.unlock();
      drain();
      lock.lock();
      if (--joined_ == 0) done_.notify_one();
    }
  }

  std::mutex jobs_, mutex_;
  std::condition_variable wake_, done_;
  std::vector<std::thread> workers_;
  const std::function<void(int64_t, int64_t)>* task_ = nullptr;
  std::atomic<int64_t> next_{0};
  int64_t units_ = 0, chunk_ = 1;
  int helpers_ = 0, joined_ = 0;
  uint64_t generation_ = 0;
};

// Threads do not survive fork(): a child makes its own pool and leaves the parent's alone.
ThreadPool& pool() {
  static std::mutex mutex;
  static ThreadPool* current = nullptr;
  static pid_t owner = 0;
  std::lock_guard<std::mutex> lock(mutex);
  if (!current || owner != getpid()) {
    current = new ThreadPool();  // lives as long as the process: workers may outlast static destructors
    owner = getpid();
  }
  return *current;
}

}  // namespace

void parallel_for(int64_t units, int threads, const std::function<void(int64_t, int64_t)>& task) {
  threads = static_cast<int>(std::min<int64_t>(threads, units));
  if (threads <= 1) {
    if (units > 0) task(0, units);
    return;
  }
  pool().run(units, threads, task);
}

}  // namespace pysmdl

// What every op's binding does after checks of its own: memory that is safe to use without the GIL, and the call.
#pragma once

#include <initializer_list>
#include <vector>

#include "tensor.h"

namespace pysmdl {

// What an op may write to while it reads the others.
inline void expect_output(const Borrowed& out, std::initializer_list<const Borrowed*> inputs) {
  PYSMDL_CHECK(!out.read_only, out.name, " is read-only");
  out.expect_no_overlap();
  for (const Borrowed* input : inputs) input->expect_same_device(out), out.expect_apart(*input);
}

inline void expect_threads(int threads) { PYSMDL_CHECK(threads >= 1, "threads must be at least 1, got ", threads); }

// The numbers of a contiguous int32 tensor. On the CPU a copy of them is checked and used: once the GIL is released
// another thread may write to the tensor. A GPU's are not looked at.
class Index {
 public:
  explicit Index(const Borrowed& tensor) : numbers_(tensor.as<int32_t>()) {
    if (tensor.device != DeviceKind::cpu) return;
    copy_.assign(numbers_, numbers_ + tensor.size());
    numbers_ = copy_.data();
  }
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  const int32_t* data() const { return numbers_; }

  // Throws what refuse(place, number) says of the first number outside [least, end).
  template <typename Refuse>
  void expect_within(int64_t least, int64_t end, const Refuse& refuse) const {
    for (size_t i = 0; i < copy_.size(); ++i) PYSMDL_CHECK(least <= copy_[i] && copy_[i] < end, refuse(i, copy_[i]));
  }

 private:
  const int32_t* numbers_;
  std::vector<int32_t> copy_;
};

// Calls what is for the device that `out` is on, without the GIL.
template <typename Cpu, typename Cuda>
void launch(const TensorView& out, const Cpu& on_cpu, [[maybe_unused]] const Cuda& on_cuda) {
  const pybind11::gil_scoped_release release;
  if (out.device == DeviceKind::cpu) {
    on_cpu();
    return;
  }
#ifdef PYSMDL_WITH_CUDA
  on_cuda();
#else
  throw BackendFailure("this build of pysmdl has no CUDA part: rebuild with PYSMDL_CUDA=ON, or use backend=\"triton\"");
#endif
}

}  // namespace pysmdl

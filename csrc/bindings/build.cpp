// What this binary is: for `pysmdl env` and bug reports.
#include <pybind11/stl.h>

#include <map>
#include <string>

#include "../core/check.h"
#include "register.h"

#ifdef PYSMDL_WITH_CUDA
#include <cuda_runtime_api.h>
#endif

namespace py = pybind11;

namespace pysmdl {
namespace {

std::string compiler() {
#if defined(__clang__)
  return "clang " __clang_version__;
#elif defined(__GNUC__)
  return "gcc " __VERSION__;
#else
  return "unknown";
#endif
}

std::string cpu_features() {
  std::string features;
#if defined(__x86_64__) && defined(__GNUC__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2")) features += "avx2 ";
  if (__builtin_cpu_supports("fma")) features += "fma ";
  if (__builtin_cpu_supports("avx512f")) features += "avx512f ";
  if (__builtin_cpu_supports("avx512bw")) features += "avx512bw ";
#endif
  if (!features.empty()) features.pop_back();
  return features.empty() ? "baseline" : features;
}

std::map<std::string, std::string> build_info() {
  std::map<std::string, std::string> info{
      {"compiler", compiler()}, {"build_type", PYSMDL_BUILD_TYPE}, {"cpu_features", cpu_features()}};
#ifdef PYSMDL_WITH_CUDA
  info["cuda"] = std::to_string(CUDART_VERSION / 1000) + "." + std::to_string(CUDART_VERSION % 1000 / 10);
  info["cuda_architectures"] = PYSMDL_CUDA_ARCHITECTURES;
#else
  info["cuda"] = "not built";
#endif
  return info;
}

// 0 where there is no driver or no device: that is an answer, not an error.
int cuda_device_count() {
  int count = 0;
#ifdef PYSMDL_WITH_CUDA
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    cudaGetLastError();
    count = 0;
  }
#endif
  return count;
}

}  // namespace

void register_build(py::module_& m) {
  m.attr("__version__") = PYSMDL_VERSION;
  m.def("build_info", &build_info);
  m.def("cuda_device_count", &cuda_device_count);
  static py::object failure = py::exception<BackendFailure>(m, "BackendFailure", PyExc_RuntimeError);
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const BackendFailure& error) {
      PyErr_SetString(failure.ptr(), error.what());
    }
  });
}

}  // namespace pysmdl

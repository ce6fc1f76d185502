#include "bindings/register.h"

PYBIND11_MODULE(_C, m) {
  pysmdl::register_build(m);
  pysmdl::register_chains(m);
  pysmdl::register_kernels(m);
  pysmdl::register_subsets(m);
}

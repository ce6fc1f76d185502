// Errors that name the argument, the value and what would have been right.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace pysmdl {

// Joins its arguments into one message: message("out has ", n, " rows").
template <typename... Parts>
std::string message(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  return text.str();
}

// Raised where the named backend cannot run; pybind11 turns it into pysmdl's BackendError.
struct BackendFailure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace pysmdl

// std::invalid_argument becomes ValueError on the Python side.
#define PYSMDL_CHECK(condition, ...)                                               \
  do {                                                                             \
    if (!(condition)) throw std::invalid_argument(::pysmdl::message(__VA_ARGS__)); \
  } while (false)

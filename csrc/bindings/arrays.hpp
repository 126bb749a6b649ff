// numpy's arrays as arguments: their types and their place in memory.
#pragma once

#include <pybind11/numpy.h>

#include <string>

#include "scalars.hpp"
#include "zkcore/column.hpp"

namespace zkcore {

inline bool has_native_type(const pybind11::array& array, char kind) {
  return array.dtype().kind() == kind && array.dtype().byteorder() != '>';
}

// Limbs of field elements or of points.
inline bool is_uint64(const pybind11::array& array) {
  return has_native_type(array, 'u') && array.itemsize() == 8;
}

inline void require_plain(const pybind11::array& array, const char* name) {
  constexpr int kWanted =
      pybind11::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | pybind11::detail::npy_api::NPY_ARRAY_ALIGNED_;
  if ((array.flags() & kWanted) != kWanted)
    fail(std::string(name) + ": array is not C-contiguous and aligned");
}

// `otherwise`: what else is allowed here, for the message.
inline ColumnType integer_type(const pybind11::array& array, const char* name, const char* otherwise) {
  if (has_native_type(array, 'i')) {
    switch (array.itemsize()) {
      case 1:
        return ColumnType::kInt8;
      case 2:
        return ColumnType::kInt16;
      case 4:
        return ColumnType::kInt32;
      case 8:
        return ColumnType::kInt64;
      default:
        break;
    }
  }
  const auto type = pybind11::str(static_cast<pybind11::object>(array.dtype())).cast<std::string>();
  throw pybind11::type_error(std::string(name) + ": expected int8, int16, int32, int64 or " + otherwise +
                             ", not " + type);
}

}  // namespace zkcore

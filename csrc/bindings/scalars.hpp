// Scalars as Python passes them: 32-byte little-endian integers below R, lists of them as one bytes object.
#pragma once

#include <pybind11/pybind11.h>

#include <string>
#include <vector>

#include "cpu/parallel.hpp"
#include "zkcore/field.hpp"

namespace zkcore {

[[noreturn]] inline void fail(const std::string& message) { throw pybind11::value_error(message); }

inline std::vector<Fr> scalars(const pybind11::bytes& data, const char* name) {
  const std::string_view bytes = data;
  if (bytes.size() % Fr::kBytes != 0) fail(std::string(name) + ": scalars are 32 bytes each");
  std::vector<Fr> values(bytes.size() / Fr::kBytes);
  for (size_t i = 0; i < values.size(); ++i) {
    const auto* in = reinterpret_cast<const uint8_t*>(bytes.data()) + i * Fr::kBytes;
    if (!Fr::from_bytes_le(in, values[i])) fail(std::string(name) + ": a scalar is not below R");
  }
  return values;
}

inline Fr scalar(const pybind11::bytes& data, const char* name) {
  const std::vector<Fr> values = scalars(data, name);
  if (values.size() != 1) fail(std::string(name) + ": expected one scalar");
  return values[0];
}

inline pybind11::bytes to_bytes(const Fr* values, size_t count) {
  std::string out(count * Fr::kBytes, '\0');
  auto* bytes = reinterpret_cast<uint8_t*>(out.data());
  {
    const pybind11::gil_scoped_release release;
    parallel_for(count, 1024, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) values[i].to_bytes_le(bytes + i * Fr::kBytes);
    });
  }
  return pybind11::bytes(out);
}
inline pybind11::bytes to_bytes(const std::vector<Fr>& values) {
  return to_bytes(values.data(), values.size());
}
inline pybind11::bytes to_bytes(const Fr& value) { return to_bytes(&value, 1); }

}  // namespace zkcore

# Sets zkcore_processor_flags. A build that assumes mulx/adcx/adox says so at import on a processor without them.
include(CheckCXXCompilerFlag)
include(CheckCXXSourceRuns)

set(zkcore_processor_flags "")
set(zkcore_adx_flags -mbmi2 -madx)

if(ZKCORE_NATIVE)
  check_cxx_compiler_flag(-march=native ZKCORE_HAS_MARCH_NATIVE)
  if(ZKCORE_HAS_MARCH_NATIVE)
    list(APPEND zkcore_processor_flags -march=native)
  endif()
endif()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$" AND NOT ZKCORE_X86_ADX STREQUAL "OFF")
  if(ZKCORE_X86_ADX STREQUAL "AUTO")
    set(CMAKE_REQUIRED_FLAGS "-mbmi2 -madx")
    check_cxx_source_runs(
      "int main() { return __builtin_cpu_supports(\"bmi2\") && __builtin_cpu_supports(\"adx\") ? 0 : 1; }"
      ZKCORE_HOST_HAS_ADX)
    unset(CMAKE_REQUIRED_FLAGS)
  endif()
  if(ZKCORE_X86_ADX STREQUAL "ON" OR ZKCORE_HOST_HAS_ADX)
    list(APPEND zkcore_processor_flags ${zkcore_adx_flags})
  endif()
endif()
message(STATUS "zkcore processor flags: ${zkcore_processor_flags}")

#include <pybind11/pybind11.h>

#include "cpu/buckets.hpp"
#include "cpu/parallel.hpp"
#include "zkcore/platform.hpp"
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace py = pybind11;

void bind_cuda(py::module_& m);
void bind_curve(py::module_& m);
void bind_field(py::module_& m);

namespace {

// Without this a processor that lacks the instructions would be killed in the middle of a proof.
void require_processor() {
#if ZK_X86_ADX
  if (!__builtin_cpu_supports("bmi2") || !__builtin_cpu_supports("adx")) {
    throw py::import_error(
        "this build needs a processor with BMI2 and ADX; rebuild with -DZKCORE_X86_ADX=OFF");
  }
#endif
}

// glibc keeps what was freed, blocks of up to 32 MiB, for later. With this it goes back to the system at
// once, but for small blocks; whoever counts this process's memory sees what is in use.
void keep_nothing_freed() {
#ifdef __GLIBC__
  constexpr int kLarge = 1 << 18;
  mallopt(M_MMAP_THRESHOLD, kLarge);
  mallopt(M_TRIM_THRESHOLD, kLarge);
#endif
}

}  // namespace

PYBIND11_MODULE(_engine, m) {
  require_processor();
  m.doc() = "zkcore's native engine; use it through zkcore.field.";
  m.def("set_threads", &zkcore::set_threads, py::arg("count"),
        "Threads used by later calls; 0: one per core.");
  m.def("threads", &zkcore::threads);
  m.def("keep_nothing_freed", &keep_nothing_freed);
  m.def("set_bucket_room", &zkcore::set_bucket_room, py::arg("bytes"),
        "Memory for rows that are committed to together; 0: as much as makes good use of the cores.");
  bind_field(m);
  bind_curve(m);
  bind_cuda(m);
}

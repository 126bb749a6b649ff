#include <pybind11/pybind11.h>

#include "cpu/parallel.hpp"
#include "zkcore/platform.hpp"

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

}  // namespace

PYBIND11_MODULE(_engine, m) {
  require_processor();
  m.doc() = "zkcore's native engine; use it through zkcore.field.";
  m.def("set_threads", &zkcore::set_threads, py::arg("count"),
        "Threads used by later calls; 0: one per core.");
  m.def("threads", &zkcore::threads);
  bind_field(m);
  bind_curve(m);
  bind_cuda(m);
}

// Launches and bytes of every CUDA operation, counted by the emulation and compared with what the kernels' headers
// claim. Writes them to the file named by IGD_TRAFFIC_TSV.
#include <cstdio>
#include <cstdlib>

#include "cuda_emulation.h"
#include "kernel_cases.h"
#include "test_support.h"

namespace igd_test {

Engine emulated_engine(bool with_failures);

void test_cuda_traffic() {
  using namespace igd_emulation;
  const char* path = std::getenv("IGD_TRAFFIC_TSV");
  std::FILE* file = path != nullptr ? std::fopen(path, "w") : nullptr;
  expect(path == nullptr || file != nullptr, "the file named by IGD_TRAFFIC_TSV can be written");
  const char* columns = "operation\tdtype\tshape\tlaunches\tminimum\tmoved\tratio\trequested\twide\n";
  if (file != nullptr) std::fputs(columns, file);
  run_traffic_cases(
      emulated_engine(false),
      [] {
        synchronize();
        reset_counts();
      },
      [&](const Claim& claim) {
        synchronize();
        Counts all;
        for (const auto& kernel : counts()) {
          all.launches += kernel.second.launches;
          all.sectors_read += kernel.second.sectors_read;
          all.sectors_written += kernel.second.sectors_written;
          all.requested_read += kernel.second.requested_read;
          all.requested_written += kernel.second.requested_written;
          all.wide += kernel.second.wide;
          all.narrow += kernel.second.narrow;
        }
        const double moved = static_cast<double>(all.bytes()),
                     requested = static_cast<double>(all.requested());
        const double ratio = moved / claim.minimum;
        const std::string name = claim.operation + " " + claim.dtype;
        expect(all.launches == claim.launches, name + ": " + std::to_string(all.launches) +
                                                   " launches, claimed " + std::to_string(claim.launches));
        expect(ratio <= 1.1, name + ": moves " + std::to_string(ratio) + " times the minimum of bytes");
        expect(requested <= 1.1 * claim.requested && requested >= 0.9 * claim.requested,
               name + ": asks for " + std::to_string(requested) + " bytes, claimed " +
                   std::to_string(claim.requested));
        if (file != nullptr) {
          std::fprintf(file, "%s\t%s\t%s\t%lld\t%.0f\t%.0f\t%.3f\t%.0f\t%.3f\n", claim.operation.c_str(),
                       claim.dtype.c_str(), claim.shape.c_str(), static_cast<long long>(all.launches),
                       claim.minimum, moved, ratio, requested,
                       16.0 * static_cast<double>(all.wide) / requested);
        }
      });
  if (file != nullptr) std::fclose(file);
}

}  // namespace igd_test

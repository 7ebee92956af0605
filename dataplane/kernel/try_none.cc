// In a build without kernel programs (-DRINGWAY_BPF=OFF) there is nothing to try.
#include "dataplane/kernel/try_programs.h"

namespace ringway::dp {

std::vector<ProgramFinding> TryPrograms(const std::string&, const std::string&) { return {}; }

}  // namespace ringway::dp

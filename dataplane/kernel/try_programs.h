// Each kernel program of this build, loaded as it would be, attached to nothing and let go again: what `ringway capabilities`
// reports. A second or so. Any thread.
#pragma once

#include <string>
#include <vector>

namespace ringway::dp {

struct ProgramFinding {
  std::string name;   // "l4_tc"
  std::string what;   // what it is for
  bool usable = false;
  std::string detail;  // why not, with the path of the verifier's log; empty when usable
};

// `log_folder` gets the verifier's log of each that is refused. Empty in a build without kernel programs.
std::vector<ProgramFinding> TryPrograms(const std::string& log_folder);

}  // namespace ringway::dp

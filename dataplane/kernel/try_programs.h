// Each kernel program of this build, loaded as it would be, attached to nothing and let go again, and whether it could be pinned: what `ringway capabilities`
// reports. A second or so. Any thread.
#pragma once

#include <string>
#include <vector>

namespace ringway::dp {

enum class ProgramVerdict { kUsable, kNo, kNoProgram };  // kNoProgram: what one might look for and is done otherwise

struct ProgramFinding {
  std::string name;   // "l4_tc"
  std::string what;   // what it is for
  ProgramVerdict verdict = ProgramVerdict::kNo;
  std::string detail;  // why not, with the path of the verifier's log; when usable, where it is not
};

// `log_folder` gets the verifier's log of each that is refused; `pin_folder` is where those would be pinned that are (packet.pin_dir,
// connect.pin_dir): nothing is left in it. Empty in a build without kernel programs.
std::vector<ProgramFinding> TryPrograms(const std::string& log_folder, const std::string& pin_folder);

}  // namespace ringway::dp

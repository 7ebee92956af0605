// What the checker tells of the endpoints it has taken down. Exactly those: who is not named is up, or not checked.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace ringway::cp {

struct CheckFailure {
  uint64_t generation = 0;
  std::string reason;  // of the latest failed check
};
using CheckFailures = std::map<std::string, CheckFailure>;  // by endpoint id

}  // namespace ringway::cp

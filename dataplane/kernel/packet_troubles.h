// What is known against endpoints that ought to get packets: the way to them, their family. Said once for each endpoint and cause, and
// again when it comes back after ten minutes; shown as long as it is so. The packet thread's own.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace ringway::dp {

struct PacketTrouble {
  uint64_t identity = 0;  // as PacketEndpoint's
  std::string endpoint;   // "web/n/e1", for people
  std::string words;      // the cause, and what to do
  bool operator==(const PacketTrouble&) const = default;
};

// One text for each cause: "web/n/e1 and 2 more: ...".
std::vector<std::string> ByCause(const std::vector<PacketTrouble>& troubles);

class PacketTroubles {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // What is so now. Returns what is to be logged, one line for each cause.
  std::vector<std::string> Note(std::vector<PacketTrouble> now, Time at);
  const std::vector<PacketTrouble>& all() const { return all_; }
  std::string Words() const;  // of all; empty without one

 private:
  std::vector<PacketTrouble> all_;
  std::map<std::pair<uint64_t, std::string>, Time> said_;  // when it was last so
};

}  // namespace ringway::dp

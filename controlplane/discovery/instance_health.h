// How a catalog's checks become an instance's health: the worst of them counts. Shared by the embedded catalog and Consul.
#pragma once

#include <cstdint>
#include <string_view>

#include "controlplane/discovery/instance.h"

namespace ringway::cp {

// A check as either catalog has it.
struct CheckView {
  std::string_view name;
  std::string_view status;  // "passing", "warning"; any other word is critical
  std::string_view output;
  std::string_view notes;   // where maintenance keeps its reason
  bool maintenance = false;
};

// Takes the check into account. Begin with kPassing: without checks an instance is passing.
void Worsen(Instance& instance, const CheckView& check);

// Once health is known: the weight that goes with it, and the port. An instance without an IP address and a port is critical
// and says so.
void SetWeightAndPort(Instance& instance, int64_t weight_passing, int64_t weight_warning, int64_t port);

}  // namespace ringway::cp

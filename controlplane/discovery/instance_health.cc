// See instance_health.h.
#include "controlplane/discovery/instance_health.h"

#include <arpa/inet.h>

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"

namespace ringway::cp {
namespace {

constexpr int64_t kPortMax = 65535;
constexpr int64_t kWeightMax = 65535;

bool IsLiteral(const std::string& address) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, address.c_str(), bytes) == 1 || inet_pton(AF_INET6, address.c_str(), bytes) == 1;
}

InstanceHealth HealthOf(const CheckView& check) {
  if (check.status == "passing") return InstanceHealth::kPassing;
  if (check.status == "warning") return InstanceHealth::kWarning;
  return check.maintenance ? InstanceHealth::kMaintenance : InstanceHealth::kCritical;
}

// Output of the check, or its notes where it has none; first line.
std::string ReasonOf(const CheckView& check) {
  const std::string_view text = check.output.empty() ? check.notes : check.output;
  const std::string line(text.substr(0, text.find('\n')));
  return line.empty() ? absl::StrCat("check ", std::string(check.name), " is ", std::string(check.status)) : line;
}

}  // namespace

void Worsen(Instance& instance, const CheckView& check) {
  const InstanceHealth health = HealthOf(check);
  if (health <= instance.health) return;
  instance.health = health;
  instance.reason = ReasonOf(check);
}

void SetWeightAndPort(Instance& instance, int64_t weight_passing, int64_t weight_warning, int64_t port) {
  const bool warning = instance.health == InstanceHealth::kWarning;
  instance.weight = static_cast<uint32_t>(std::clamp<int64_t>(warning ? weight_warning : weight_passing, 1, kWeightMax));
  const bool port_fits = port > 0 && port <= kPortMax;
  instance.port = port_fits ? static_cast<uint16_t>(port) : uint16_t{0};
  if (IsLiteral(instance.address) && port_fits) return;
  instance.health = InstanceHealth::kCritical;
  instance.reason = absl::StrCat("cannot be reached: ", instance.address, ":", port, " is not an IP address and a port");
}

}  // namespace ringway::cp

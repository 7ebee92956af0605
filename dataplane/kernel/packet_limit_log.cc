// See packet_limit_log.h.
#include "dataplane/kernel/packet_limit_log.h"

#include "absl/strings/str_cat.h"

namespace ringway::dp {
namespace {

constexpr std::chrono::seconds kLineEvery{60};
constexpr std::chrono::seconds kTroubleFor{10};

struct Words {
  const char* what;
  const char* meaning;
};
// In the order of Kind.
constexpr Words kWords[] = {
    {"no endpoint is ready", "new connections are refused"},
    {"no port is free towards an endpoint (packet.snat_ports)", "new connections are refused; a wider range, more endpoints, or \"nat\": \"transparent\" give more"},
    {"the flow table is full (packet.flows_max)", "new connections stay among the half-open ones and are lost when newer ones push them out"},
    {"half-open connections displace older ones, as in a flood of SYNs", "ports, or the table of half-open ones, are used up; clients that are slow to answer may be reset"},
};

void Append(std::string& list, const std::string& name) { absl::StrAppend(&list, list.empty() ? "" : ", ", name); }

}  // namespace

std::array<uint64_t, PacketLimitLog::kKinds> PacketLimitLog::Since(const PacketLimits& limits, std::array<std::string, kKinds>& names) const {
  const auto more = [](uint64_t now, uint64_t before) { return now > before ? now - before : 0; };
  std::array<uint64_t, kKinds> since{};
  since[kNoPort] = more(limits.no_port, before_.no_port);
  since[kTableFull] = more(limits.table_full, before_.table_full);
  since[kHalfOpen] = more(limits.half_open_displaced, before_.half_open_displaced);
  // What the kernel itself pushes out is not counted. It does so a little before the map is full: each CPU keeps some entries free.
  if (limits.half_open_max != 0 && limits.half_open_entries * 10 >= limits.half_open_max * 9) ++since[kHalfOpen];
  for (const auto& [name, service] : limits.services) {
    const auto old = before_.services.find(name);
    const uint64_t refused = old == before_.services.end() ? 0 : more(service.refused, old->second.refused);
    if (refused == 0) continue;
    if (!service.ready) since[kNoEndpoint] += refused;
    // Ready again only now: what it refused was refused for want of it.
    if (service.ready && since[kNoPort] == 0) continue;
    Append(names[service.ready ? kNoPort : kNoEndpoint], name);
  }
  return since;
}

std::string PacketLimitLog::Line(Kind kind, uint64_t more, const std::string& names, Clock::time_point now) {
  State& state = states_[kind];
  const std::string what = absl::StrCat("packet delivery: ", kWords[kind].what, names.empty() ? "" : " of " + names);
  state.count += more;
  state.untold += more;
  if (more != 0) state.last = now;
  if (!state.on) {
    if (more == 0) return "";
    state = {.on = true, .count = more, .untold = 0, .at = now, .last = now};
    return absl::StrCat(what, ": ", kWords[kind].meaning);
  }
  if (now - state.at < kLineEvery) return "";
  const std::string count = absl::StrCat(", ", state.untold, " times in a minute, ", state.count, " since it began");
  state.at = now;
  state.on = state.untold != 0;
  state.untold = 0;
  return state.on ? absl::StrCat(what, ", still", count)
                  : absl::StrCat(what, ": not any more for a minute, ", state.count, " times in all");
}

std::vector<std::string> PacketLimitLog::Tick(const PacketLimits& limits, Clock::time_point now) {
  std::vector<std::string> lines;
  if (began_) {
    std::array<std::string, kKinds> names;
    const std::array<uint64_t, kKinds> since = Since(limits, names);
    trouble_.clear();
    for (int kind = 0; kind < kKinds; ++kind) {
      if (std::string line = Line(static_cast<Kind>(kind), since[kind], names[kind], now); !line.empty()) lines.push_back(std::move(line));
      const State& state = states_[kind];
      if (state.on && now - state.last < kTroubleFor) absl::StrAppend(&trouble_, trouble_.empty() ? "" : "; ", kWords[kind].what, ": ", kWords[kind].meaning);
    }
  }
  before_ = limits;
  began_ = true;
  return lines;
}

}  // namespace ringway::dp

// See packet_troubles.h.
#include "dataplane/kernel/packet_troubles.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace ringway::dp {
namespace {

constexpr std::chrono::minutes kSaidFor{10};  // routes may come and go

}  // namespace

std::vector<std::string> ByCause(const std::vector<PacketTrouble>& troubles) {
  struct Cause {
    const PacketTrouble* first;
    size_t count;
  };
  std::map<std::string, Cause> causes;
  for (const PacketTrouble& one : troubles) ++causes.try_emplace(one.words, Cause{&one, 0}).first->second.count;
  std::vector<std::string> texts;
  for (const auto& [words, cause] : causes) {
    texts.push_back(absl::StrCat(cause.first->endpoint, cause.count > 1 ? absl::StrCat(" and ", cause.count - 1, " more") : "", ": ", words));
  }
  return texts;
}

std::vector<std::string> PacketTroubles::Note(std::vector<PacketTrouble> now, Time at) {
  std::vector<PacketTrouble> fresh;
  for (const PacketTrouble& one : now) {
    const auto [said, first] = said_.try_emplace({one.identity, one.words}, at);
    said->second = at;
    if (first) fresh.push_back(one);
  }
  std::erase_if(said_, [at](const auto& one) { return at - one.second > kSaidFor; });
  all_ = std::move(now);
  return ByCause(fresh);
}

std::string PacketTroubles::Words() const { return absl::StrJoin(ByCause(all_), "; "); }

}  // namespace ringway::dp

// See maglev.h.
#include "dataplane/feed/maglev.h"

#include <algorithm>

namespace ringway::dp {
namespace {

// The finisher of SplitMix64 (Steele, Lea, Flood 2014).
uint64_t Mixed(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// One endpoint's way through the table: a permutation of it, begun at `at`, in steps of `step`.
struct Walk {
  uint32_t at = 0;
  uint32_t step = 0;
  uint64_t credit = 0;  // weights of the rounds so far, less what was taken for them
};

}  // namespace

uint64_t IdentityHash(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  hash = Mixed(hash);
  return hash == 0 ? 1 : hash;
}

std::vector<uint16_t> MaglevTable(std::vector<MaglevEndpoint> endpoints, uint32_t size) {
  std::vector<uint16_t> table(size);
  if (endpoints.empty()) return table;
  std::sort(endpoints.begin(), endpoints.end(), [](const auto& a, const auto& b) { return a.identity < b.identity; });
  std::vector<Walk> walks;
  walks.reserve(endpoints.size());
  uint32_t heaviest = 1;
  for (const MaglevEndpoint& endpoint : endpoints) {
    const uint64_t other = Mixed(endpoint.identity + 0x9e3779b97f4a7c15u);
    walks.push_back({static_cast<uint32_t>(endpoint.identity % size), static_cast<uint32_t>(other % (size - 1) + 1), 0});
    heaviest = std::max(heaviest, endpoint.weight);
  }
  std::vector<bool> taken(size);
  // In each round the heaviest takes one entry and the others in proportion.
  for (uint32_t filled = 0; filled < size;) {
    for (size_t i = 0; i < endpoints.size() && filled < size; ++i) {
      Walk& walk = walks[i];
      walk.credit += std::max<uint32_t>(endpoints[i].weight, 1);
      if (walk.credit < heaviest) continue;
      walk.credit -= heaviest;
      while (taken[walk.at]) {
        walk.at += walk.step;
        if (walk.at >= size) walk.at -= size;
      }
      taken[walk.at] = true;
      table[walk.at] = endpoints[i].value;
      ++filled;
    }
  }
  return table;
}

}  // namespace ringway::dp

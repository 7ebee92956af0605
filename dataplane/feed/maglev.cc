// See maglev.h.
#include "dataplane/feed/maglev.h"

#include <algorithm>
#include <utility>

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
  uint32_t left = 0;    // entries it still has to get
  uint64_t weight = 1;
  uint64_t credit = 0;  // weights of the rounds so far, less what its looks cost
  uint16_t value = 0;
};

// In the order of identities, each with its share of the table to an entry: together they take all of it.
std::vector<Walk> Walks(std::vector<MaglevEndpoint> endpoints, uint32_t size) {
  std::sort(endpoints.begin(), endpoints.end(), [](const auto& a, const auto& b) { return a.identity < b.identity; });
  uint64_t total = 0;
  for (const MaglevEndpoint& endpoint : endpoints) total += std::max<uint32_t>(endpoint.weight, 1);
  std::vector<Walk> walks;
  walks.reserve(endpoints.size());
  uint64_t before = 0;
  for (const MaglevEndpoint& endpoint : endpoints) {
    Walk walk;
    walk.at = static_cast<uint32_t>(endpoint.identity % size);
    walk.step = static_cast<uint32_t>(Mixed(endpoint.identity + 0x9e3779b97f4a7c15u) % (size - 1) + 1);
    walk.weight = std::max<uint32_t>(endpoint.weight, 1);
    walk.left = static_cast<uint32_t>((before + walk.weight) * size / total - before * size / total);
    walk.value = endpoint.value;
    before += walk.weight;
    if (walk.left > 0) walks.push_back(walk);
  }
  return walks;
}

uint64_t Heaviest(const std::vector<Walk>& walks) {
  return std::max_element(walks.begin(), walks.end(), [](const Walk& a, const Walk& b) { return a.weight < b.weight; })->weight;
}

}  // namespace

uint64_t IdentityHash(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  hash = Mixed(hash);
  return hash == 0 ? 1 : hash;
}

// In each round the heaviest looks at one entry and the others in proportion. Who finds it taken has lost the look: so an entry
// belongs to who comes by first, whatever happened elsewhere, until somebody has all of his share.
std::vector<uint16_t> MaglevTable(std::vector<MaglevEndpoint> endpoints, uint32_t size) {
  std::vector<uint16_t> table(size);
  if (endpoints.empty()) return table;
  std::vector<Walk> walks = Walks(std::move(endpoints), size);
  std::vector<bool> taken(size);
  const uint64_t price = Heaviest(walks);
  while (!walks.empty()) {
    const uint64_t faster = price / Heaviest(walks);  // only light ones are left
    bool done = false;
    while (!done) {
      for (Walk& walk : walks) {
        walk.credit += walk.weight * faster;
        if (walk.credit < price) continue;
        walk.credit -= price;
        const uint32_t at = walk.at;
        walk.at += walk.step;
        if (walk.at >= size) walk.at -= size;
        if (taken[at] || walk.left == 0) continue;
        taken[at] = true;
        table[at] = walk.value;
        done |= --walk.left == 0;
      }
    }
    std::erase_if(walks, [](const Walk& walk) { return walk.left == 0; });
  }
  return table;
}

}  // namespace ringway::dp

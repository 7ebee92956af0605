// Maglev's lookup table (Eisenbud et al., NSDI 2016, section 3.4): a hash picks an entry, the entry names an endpoint. Each
// endpoint gets its share by weight, and when one comes or goes few entries change beside its own. The same identities and
// weights give the same table on every machine, in whatever order they come. Pure.
//
// How many move beside its own falls with size * share^2. Measured, of one endpoint that leaves, or joins (its own entries are 1),
// with equal weights at worst, with weights of 1 to 5 in the mean, and of the lightest, whose share is a third of the mean:
//     entries     10 endpoints   40     100    100 weighted   its lightest   built with 100 in
//       16,381        1.07      1.43   2.47                                      0.4 ms
//       65,521        1.02      1.17   1.57                                      1.6 ms
//      196,613        1.01      1.12   1.33        1.35           1.65           5 ms
//      393,241                         1.21        1.23           1.45          10 ms
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace ringway::dp {

struct MaglevEndpoint {
  uint64_t identity = 0;  // its own, well mixed (IdentityHash)
  uint32_t weight = 1;    // 0 counts as 1
  uint16_t value = 0;     // what the table holds for it
};

// `size` entries, a prime well above the number of endpoints; zeroes when there are none.
std::vector<uint16_t> MaglevTable(std::vector<MaglevEndpoint> endpoints, uint32_t size);

// 64 bits that stand for a name: the same in every process and release (FNV-1a, then mixed). Never 0.
uint64_t IdentityHash(std::string_view name);

}  // namespace ringway::dp

// Maglev's lookup table (Eisenbud et al., NSDI 2016, section 3.4): a hash picks an entry, the entry names an endpoint. Each
// endpoint gets its share by weight, and when one comes or goes few entries change beside its own. The same identities and
// weights give the same table on every machine, in whatever order they come. Pure.
//
// Beyond the paper: who finds an entry taken does not look further in the same turn, and who has his share stops. So what one's
// entries become when it leaves hardly moves anybody else. Measured, of one endpoint that leaves, or joins (its own entries are 1):
// each in turn, the worst of equal weights; with weights of 1 to 5 the mean, and the worst, one of weight 1 (a third of a mean share):
//     entries     10 endpoints        40                100               200               built with 100 in
//      65,521     1.02  1.08  1.13    1.11  1.11  1.19  1.33  1.33  1.67  1.88  1.82  2.65  1.2 to 2.3 ms
//     196,613     1.01  1.07  1.12    1.10  1.07  1.15  1.22  1.18  1.33  1.42  1.42  1.86  3.6 to 5.4 ms
// With the paper's filling 196,613 entries gave 1.33, 1.35, 1.66 for 100 endpoints and 1.75, 1.95, 3.01 for 200.
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

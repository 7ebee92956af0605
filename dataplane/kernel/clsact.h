// The tc program as a filter of a clsact qdisc, on kernels before 6.6 (no tcx). Such a filter outlives us by itself, so what is
// ours is marked in the pin folder: clsact-IFINDEX, our filter is there; clsact-ours-IFINDEX, the qdisc is of our making.
// tc-bpf(8), rtnetlink(7). Any one thread.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "dataplane/kernel/pin_directory.h"

namespace ringway::dp {

inline constexpr char kClsact[] = "clsact-";            // + ifindex: a folder
inline constexpr char kClsactOurs[] = "clsact-ours-";   // + ifindex: a folder

// Puts the program there, or replaces ours. When it fails nothing of it is left.
absl::Status AttachClsact(const PinDirectory& pins, uint32_t ifindex, int program);

// The marks alone: what they are of went with its network namespace.
void ForgetClsact(const PinDirectory& pins);

// Takes our filter away, and the qdisc if we made it and nobody else has a filter in it. Without our mark it does nothing.
void RemoveClsact(const PinDirectory& pins, uint32_t ifindex);

}  // namespace ringway::dp

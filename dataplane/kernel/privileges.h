// Which capabilities a thread keeps when the kernel programs are loaded (capabilities(7); they are each thread's own).
#pragma once

#include "absl/status/status.h"

namespace ringway::dp {

// The calling thread, and those it starts: of what kernel programs need only CAP_BPF (new tables) and CAP_NET_ADMIN (interfaces
// that come later) stay; CAP_PERFMON and CAP_SYS_ADMIN, which only loading and mounting need, are given up, and everything else
// with them. For threads that do nothing but kernel programs.
absl::Status KeepOnlyProgramPrivileges();

}  // namespace ringway::dp

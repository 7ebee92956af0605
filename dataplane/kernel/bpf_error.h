// Errors of bpf(2) and libbpf as Status, in words: what was tried, what came, and what it usually means. Any thread.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace ringway::dp {

// `error` is an errno, negative (as libbpf returns it) or positive. PermissionDenied for EPERM and EACCES, Unimplemented when
// this kernel does not know what was asked for, NotFound, ResourceExhausted; Unavailable for anything else.
absl::Status BpfError(int error, const std::string& what);

}  // namespace ringway::dp

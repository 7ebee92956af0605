// See bpf_error.h.
#include "dataplane/kernel/bpf_error.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace ringway::dp {

absl::Status BpfError(int error, const std::string& what) {
  const int number = std::abs(error);
  const std::string text = what + ": " + std::strerror(number);
  switch (number) {
    case EPERM:
      return absl::PermissionDeniedError(text + " (wanted CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, and a seccomp profile that lets bpf(2) pass)");
    case EACCES:
      return absl::PermissionDeniedError(text + " (refused by the verifier, or no right to the file)");
    case ENOSYS:
    case EOPNOTSUPP:
      return absl::UnimplementedError(text + " (this kernel does not have it)");
    case ENOENT:
    case ENODEV:
    case ENOLINK:
      return absl::NotFoundError(text);
    case ENOMEM:
    case ENOSPC:
    case E2BIG:
    case EMFILE:
    case ENFILE:
      return absl::ResourceExhaustedError(text);
    case EEXIST:
    case EBUSY:
      return absl::AlreadyExistsError(text);
    case EINVAL:
      return absl::InvalidArgumentError(text + " (the kernel refuses it: a feature newer than this kernel, or a program the verifier rejects)");
    default:
      return absl::UnavailableError(text);
  }
}

}  // namespace ringway::dp

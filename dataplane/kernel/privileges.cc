// See privileges.h.
#include "dataplane/kernel/privileges.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <initializer_list>

#include "dataplane/kernel/bpf_error.h"

namespace ringway::dp {

// Two system calls; a library would be there for these alone.
absl::Status KeepOnlyProgramPrivileges() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  if (syscall(SYS_capget, &header, data) != 0) return BpfError(errno, "capget");
  uint32_t keep[_LINUX_CAPABILITY_U32S_3] = {};
  for (const uint32_t capability : {CAP_BPF, CAP_NET_ADMIN}) keep[CAP_TO_INDEX(capability)] |= CAP_TO_MASK(capability);
  for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; ++i) {
    data[i].permitted &= keep[i];
    data[i].effective = data[i].permitted;
    data[i].inheritable = 0;
  }
  if (syscall(SYS_capset, &header, data) != 0) return BpfError(errno, "capset");
  return absl::OkStatus();
}

}  // namespace ringway::dp

// See privileges.h.
#include "common/privileges/privileges.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "common/log/log.h"

namespace ringway {
namespace {

// A seccomp profile or a security module: what is kept then is more than needed, and all works.
void SayOnce(const char* call, int error) {
  static std::atomic_flag said;
  if (said.test_and_set()) return;
  spdlog::warn("capabilities that are not needed are kept: {}: {} (wanted a seccomp profile that lets capget, capset and prctl pass)", call, std::strerror(error));
}

bool Holds(const __user_cap_data_struct* data, int capability) { return (data[CAP_TO_INDEX(capability)].permitted & CAP_TO_MASK(capability)) != 0; }

// bpf_capable() and its like in linux/capability.h.
bool IsPartOfSysAdmin(int capability) { return capability == CAP_BPF || capability == CAP_PERFMON || capability == CAP_NET_ADMIN; }

}  // namespace

// Two system calls; a library would be there for these alone. Where nothing is to be given up there is nothing to refuse.
void KeepOnly(Capabilities kept) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  if (syscall(SYS_capget, &header, data) != 0) return SayOnce("capget", errno);
  uint32_t keep[_LINUX_CAPABILITY_U32S_3] = {};
  for (int capability : kept) {
    if (IsPartOfSysAdmin(capability) && !Holds(data, capability)) capability = CAP_SYS_ADMIN;
    keep[CAP_TO_INDEX(capability)] |= CAP_TO_MASK(capability);
  }
  bool change = false;
  for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; ++i) {
    change = change || (data[i].permitted & ~keep[i]) != 0 || data[i].inheritable != 0;
    data[i].permitted &= keep[i];
    data[i].effective &= keep[i];
    data[i].inheritable = 0;  // and with it the ambient ones
  }
  if (change && syscall(SYS_capset, &header, data) != 0) SayOnce("capset", errno);
}

void GainNoPrivileges() {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) SayOnce("PR_SET_NO_NEW_PRIVS", errno);
}

}  // namespace ringway

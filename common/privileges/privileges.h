// Which capabilities a thread keeps (capabilities(7): they are each thread's own, and those it starts begin with what it has). Says
// in the log, once a process, when the system lets nothing be given up. Who keeps what: docs/operating/privileges.md.
#pragma once

#include <linux/capability.h>

#include <initializer_list>

namespace ringway {

using Capabilities = std::initializer_list<int>;

// As root: files, folders and sockets of other users, as file modes would not allow them.
inline constexpr Capabilities kFileCapabilities = {CAP_DAC_OVERRIDE};
inline constexpr Capabilities kNoCapabilities = {};

// The calling thread gives up every capability that is not named, in each of its sets but the bounding one; what it does not have
// it does not get. CAP_SYS_ADMIN, which the kernel takes for CAP_BPF, CAP_PERFMON and (with programs) CAP_NET_ADMIN, stays where one
// of these is named and not there.
void KeepOnly(Capabilities kept);

// Neither this thread nor what it starts gets more than it has by executing a program, as root or otherwise (PR_SET_NO_NEW_PRIVS).
void GainNoPrivileges();

}  // namespace ringway

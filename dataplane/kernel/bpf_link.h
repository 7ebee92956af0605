// Programs attached by bpf links: a link detaches its program when nobody holds it any more, so a crash leaves nothing behind
// unless the link is pinned, and a pinned one is taken over by the next process without a gap (BPF_LINK_UPDATE). Main thread.
#pragma once

#include <linux/bpf.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dataplane/feed/listener_sockets.h"
#include "dataplane/kernel/pin_directory.h"

namespace ringway::dp {

inline constexpr char kLinkPin[] = "link-";  // how the name of every pinned link begins

// `target` is an interface's index, or a cgroup's descriptor, as `type` has it; `flags` as in bpf_attr.link_create.flags.
absl::StatusOr<UniqueFd> CreateLink(int program, int target, bpf_attach_type type, uint32_t flags = 0);

// As CreateLink, with the link pinned under `name`. One that is pinned there and still attached to `target` gets the new program in
// one step. One whose interface or cgroup is gone is replaced, and so is one whose interface has moved to another network
// namespace while `target` is another one's number here.
absl::StatusOr<UniqueFd> CreatePinnedLink(const PinDirectory& pins, const std::string& name, int program, int target,
                                          bpf_attach_type type, uint32_t flags = 0);

// At once: unpinning alone lets a program go only after a while (RCU). Not there is fine.
absl::Status DropPinnedLink(const PinDirectory& pins, const std::string& name);

// Its interface, in whatever network namespace, or its cgroup is still there.
bool IsAttachedAnywhere(int link);

}  // namespace ringway::dp

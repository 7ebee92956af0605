// See bpf_link.h.
#include "dataplane/kernel/bpf_link.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>

#include "dataplane/kernel/bpf_error.h"
#include "dataplane/kernel/interface_xdp.h"

namespace ringway::dp {
namespace {

constexpr uint32_t kProgramsMax = 64;  // at one side of an interface: BPF_MPROG_MAX

bpf_link_info InfoOf(int link) {
  bpf_link_info info{};
  uint32_t size = sizeof(info);
  if (bpf_link_get_info_by_fd(link, &info, &size) != 0) return {};
  return info;
}

bool IsAmongTcx(uint32_t link_id, int ifindex, bpf_attach_type type) {
  uint32_t programs[kProgramsMax] = {}, links[kProgramsMax] = {};
  struct bpf_prog_query_opts answer {};
  answer.sz = sizeof(answer);
  answer.prog_ids = programs;
  answer.link_ids = links;
  answer.count = kProgramsMax;
  if (bpf_prog_query_opts(ifindex, type, &answer) != 0) return false;
  return std::any_of(links, links + std::min(answer.count, kProgramsMax), [link_id](uint32_t id) { return id == link_id; });
}

// A link tells the number of its interface and not the network namespace, so the interface that has this number here is asked what
// runs at it. A cgroup's number is that of no other one, and in the pin's name.
bool IsAttachedTo(int target, int link, bpf_attach_type type) {
  const bpf_link_info info = InfoOf(link);
  if (type == BPF_XDP) return info.type == BPF_LINK_TYPE_XDP && info.xdp.ifindex == static_cast<uint32_t>(target) && RunsXdp(info.xdp.ifindex, info.prog_id);
  if (type == BPF_TCX_INGRESS || type == BPF_TCX_EGRESS) return info.type == BPF_LINK_TYPE_TCX && IsAmongTcx(info.id, target, type);
  return true;
}

}  // namespace

absl::StatusOr<UniqueFd> CreateLink(int program, int target, bpf_attach_type type, uint32_t flags) {
  bpf_link_create_opts options{};
  options.sz = sizeof(options);
  options.flags = flags;
  UniqueFd link(bpf_link_create(program, target, type, &options));
  if (link.get() < 0) return BpfError(errno, "attach");
  return link;
}

absl::StatusOr<UniqueFd> CreatePinnedLink(const PinDirectory& pins, const std::string& name, int program, int target,
                                          bpf_attach_type type, uint32_t flags) {
  if (absl::StatusOr<UniqueFd> old = pins.Get(name); old.ok()) {
    if (IsAttachedTo(target, old->get(), type) && bpf_link_update(old->get(), program, nullptr) == 0) return old;
    if (absl::Status s = DropPinnedLink(pins, name); !s.ok()) return s;
  }
  absl::StatusOr<UniqueFd> link = CreateLink(program, target, type, flags);
  if (!link.ok()) return link;
  if (absl::Status s = pins.Pin(link->get(), name); !s.ok()) return s;
  return link;
}

absl::Status DropPinnedLink(const PinDirectory& pins, const std::string& name) {
  if (const absl::StatusOr<UniqueFd> link = pins.Get(name); link.ok()) bpf_link_detach(link->get());
  return pins.Unpin(name);
}

bool IsAttachedAnywhere(int link) {
  const bpf_link_info info = InfoOf(link);
  if (info.type == BPF_LINK_TYPE_XDP) return info.xdp.ifindex != 0;
  if (info.type == BPF_LINK_TYPE_TCX) return info.tcx.ifindex != 0;
  return info.type == BPF_LINK_TYPE_CGROUP && info.cgroup.cgroup_id != 0;
}

}  // namespace ringway::dp

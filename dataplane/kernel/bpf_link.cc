// See bpf_link.h.
#include "dataplane/kernel/bpf_link.h"

#include <bpf/bpf.h>

#include <cerrno>

#include "dataplane/kernel/bpf_error.h"

namespace ringway::dp {
namespace {

bool IsInterfaceType(bpf_attach_type type) { return type == BPF_XDP || type == BPF_TCX_INGRESS || type == BPF_TCX_EGRESS; }

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
    const bool there = !IsInterfaceType(type) || LinkInterface(old->get()) == static_cast<uint32_t>(target);
    if (there && bpf_link_update(old->get(), program, nullptr) == 0) return old;
    if (absl::Status s = pins.Unpin(name); !s.ok()) return s;
  }
  absl::StatusOr<UniqueFd> link = CreateLink(program, target, type, flags);
  if (!link.ok()) return link;
  if (absl::Status s = pins.Pin(link->get(), name); !s.ok()) return s;
  return link;
}

uint32_t LinkInterface(int link) {
  bpf_link_info info{};
  uint32_t size = sizeof(info);
  if (bpf_link_get_info_by_fd(link, &info, &size) != 0) return 0;
  if (info.type == BPF_LINK_TYPE_XDP) return info.xdp.ifindex;
  if (info.type == BPF_LINK_TYPE_TCX) return info.tcx.ifindex;
  return 0;
}

}  // namespace ringway::dp

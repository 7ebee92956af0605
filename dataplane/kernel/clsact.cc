// See clsact.h.
#include "dataplane/kernel/clsact.h"

#include <bpf/libbpf.h>
#include <linux/netlink.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "common/log/log.h"
#include "dataplane/kernel/bpf_error.h"

namespace ringway::dp {
namespace {

constexpr uint32_t kFilterPriority = 0x5257;
constexpr uint32_t kFilterHandle = 1;

bpf_tc_hook HookOf(uint32_t ifindex, int point) {
  bpf_tc_hook hook{};
  hook.sz = sizeof(hook);
  hook.ifindex = static_cast<int>(ifindex);
  hook.attach_point = static_cast<bpf_tc_attach_point>(point);
  return hook;
}

bpf_tc_opts Filter() {
  bpf_tc_opts options{};
  options.sz = sizeof(options);
  options.handle = kFilterHandle;
  options.priority = kFilterPriority;
  return options;
}

bool IsMarked(const std::string& mark) {
  struct stat status {};
  return stat(mark.c_str(), &status) == 0;
}

absl::Status Mark(const std::string& mark) {
  if (mkdir(mark.c_str(), 0700) != 0 && errno != EEXIST) return BpfError(errno, mark);
  return absl::OkStatus();
}

// One datagram of a dump: 1 it names a filter, 0 it is the end, -1 go on, -2 it says that it failed.
int ReadDump(const char* data, size_t size) {
  nlmsghdr header;
  for (size_t at = 0; at + sizeof(header) <= size; at += NLMSG_ALIGN(header.nlmsg_len)) {
    std::memcpy(&header, data + at, sizeof(header));
    if (header.nlmsg_type == RTM_NEWTFILTER) return 1;
    if (header.nlmsg_type == NLMSG_DONE) return 0;
    if (header.nlmsg_type == NLMSG_ERROR || header.nlmsg_len < sizeof(header)) return -2;
  }
  return -1;
}

// A filter of anybody at that side of the qdisc; also when it cannot be known.
bool HasFilters(uint32_t ifindex, uint32_t side) {
  const UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  struct {
    nlmsghdr header;
    tcmsg message;
  } question{};
  question.header.nlmsg_len = sizeof(question);
  question.header.nlmsg_type = RTM_GETTFILTER;
  question.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  question.message.tcm_family = AF_UNSPEC;
  question.message.tcm_ifindex = static_cast<int>(ifindex);
  question.message.tcm_parent = TC_H_MAKE(TC_H_CLSACT, side);
  if (fd.get() < 0 || send(fd.get(), &question, sizeof(question), 0) < 0) return true;
  char answer[32768];
  for (;;) {
    const ssize_t size = recv(fd.get(), answer, sizeof(answer), 0);
    if (size <= 0) return true;
    const int read = ReadDump(answer, static_cast<size_t>(size));
    if (read != -1) return read != 0;
  }
}

void DestroyIfEmpty(uint32_t ifindex) {
  if (HasFilters(ifindex, TC_H_MIN_INGRESS) || HasFilters(ifindex, TC_H_MIN_EGRESS)) {
    spdlog::info("interface {}: others have filters in the clsact qdisc that packet delivery made; it stays", ifindex);
    return;
  }
  bpf_tc_hook both = HookOf(ifindex, BPF_TC_INGRESS | BPF_TC_EGRESS);
  bpf_tc_hook_destroy(&both);
}

}  // namespace

absl::Status AttachClsact(const PinDirectory& pins, uint32_t ifindex, int program) {
  const std::string ours = pins.PathOf(kClsactOurs + std::to_string(ifindex));
  const std::string filter = pins.PathOf(kClsact + std::to_string(ifindex));
  const bool ours_before = IsMarked(ours), filter_before = IsMarked(filter);
  // The marks come first: whatever fails after them can be undone by them, now or by whoever comes next.
  for (const std::string& mark : {ours, filter}) {
    if (absl::Status s = Mark(mark); !s.ok()) {
      if (!ours_before) rmdir(ours.c_str());
      return s;
    }
  }
  bpf_tc_hook hook = HookOf(ifindex, BPF_TC_INGRESS);
  const int made = bpf_tc_hook_create(&hook);
  if (made != 0 && !ours_before) rmdir(ours.c_str());
  if (made != 0 && made != -EEXIST) {
    if (!filter_before) rmdir(filter.c_str());
    return BpfError(made, "clsact");
  }
  bpf_tc_opts options = Filter();
  options.prog_fd = program;
  options.flags = BPF_TC_F_REPLACE;
  const int error = bpf_tc_attach(&hook, &options);
  if (error == 0) return absl::OkStatus();
  if (!filter_before) RemoveClsact(pins, ifindex);
  return BpfError(error, "clsact filter");
}

void ForgetClsact(const PinDirectory& pins) {
  for (const std::string& name : pins.Names()) {
    if (name.starts_with(kClsact)) rmdir(pins.PathOf(name).c_str());
  }
}

void RemoveClsact(const PinDirectory& pins, uint32_t ifindex) {
  const std::string ours = pins.PathOf(kClsactOurs + std::to_string(ifindex));
  const std::string filter = pins.PathOf(kClsact + std::to_string(ifindex));
  if (!IsMarked(filter)) return;
  bpf_tc_hook hook = HookOf(ifindex, BPF_TC_INGRESS);
  const bpf_tc_opts options = Filter();
  bpf_tc_detach(&hook, &options);  // the interface may be gone
  if (IsMarked(ours)) DestroyIfEmpty(ifindex);
  rmdir(filter.c_str());
  rmdir(ours.c_str());
}

}  // namespace ringway::dp

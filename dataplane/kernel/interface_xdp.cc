// See interface_xdp.h.
#include "dataplane/kernel/interface_xdp.h"

#include <bpf/libbpf.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/netdev.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>

#include "dataplane/feed/listener_sockets.h"

namespace ringway::dp {
namespace {

bpf_xdp_query_opts Query(uint32_t ifindex) {
  bpf_xdp_query_opts answer{};
  answer.sz = sizeof(answer);
  if (bpf_xdp_query(static_cast<int>(ifindex), 0, &answer) != 0) return {};
  return answer;
}

}  // namespace

std::string XdpAttachedHow(uint32_t ifindex) {
  switch (Query(ifindex).attach_mode) {
    case XDP_ATTACHED_NONE:
      return "";
    case XDP_ATTACHED_SKB:
      return "xdp (generic)";
    default:
      return "xdp (driver)";
  }
}

bool RunsXdp(uint32_t ifindex, uint32_t program) {
  const bpf_xdp_query_opts found = Query(ifindex);
  return program != 0 && (found.drv_prog_id == program || found.skb_prog_id == program || found.hw_prog_id == program);
}

bool TakesXdpFrames(uint32_t ifindex) { return (Query(ifindex).feature_flags & NETDEV_XDP_ACT_NDO_XMIT) != 0; }

bool IsVeth(uint32_t ifindex) {
  ethtool_drvinfo info{};
  info.cmd = ETHTOOL_GDRVINFO;
  ifreq request{};
  request.ifr_data = reinterpret_cast<char*>(&info);
  if (if_indextoname(ifindex, request.ifr_name) == nullptr) return false;
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return fd.get() >= 0 && ioctl(fd.get(), SIOCETHTOOL, &request) == 0 && std::strcmp(info.driver, "veth") == 0;
}

}  // namespace ringway::dp

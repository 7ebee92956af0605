// See veth_peer.h.
#include "dataplane/kernel/veth_peer.h"

#include <string_view>

#include "dataplane/kernel/netlink_question.h"

namespace ringway::dp {
namespace {

bool SaysVeth(const char* info, size_t size) {
  bool veth = false;
  Attributes(info, size, [&](int type, const char* value, size_t length) {
    if (type == IFLA_INFO_KIND) veth = std::string_view(value, length).starts_with("veth");
  });
  return veth;
}

}  // namespace

bool IsVethToElsewhere(uint32_t ifindex) {
  Question<ifinfomsg> question = Ask<ifinfomsg>(RTM_GETLINK);
  question.body.ifi_index = static_cast<int>(ifindex);
  bool veth = false, elsewhere = false;
  Answer(question, RTM_NEWLINK, [&](int type, const char* value, size_t size) {
    if (type == IFLA_LINKINFO) veth = SaysVeth(value, size);
    if (type == IFLA_LINK_NETNSID) elsewhere = true;
  });
  return veth && elsewhere;
}

}  // namespace ringway::dp

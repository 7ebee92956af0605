// See route.h.
#include "dataplane/kernel/route.h"

#include <cstddef>
#include <cstring>

#include "dataplane/kernel/netlink_question.h"

namespace ringway::dp {
namespace {

Question<rtmsg> WayTo(const IpAddress& to, size_t size) {
  Question<rtmsg> question = Ask<rtmsg>(RTM_GETROUTE);
  question.body.rtm_family = to.v6 ? AF_INET6 : AF_INET;
  question.body.rtm_dst_len = static_cast<unsigned char>(size * 8);
  question.body.rtm_flags = RTM_F_FIB_MATCH;
  const rtattr dest{static_cast<unsigned short>(RTA_LENGTH(size)), RTA_DST};
  std::memcpy(question.attribute, &dest, sizeof(dest));
  std::memcpy(question.attribute + sizeof(dest), to.bytes.data(), size);
  question.header.nlmsg_len += dest.rta_len;
  return question;
}

// RTA_MULTIPATH: next hops one after another, each with its length and attributes of its own, which say nothing that is asked here.
void AddNextHops(const char* data, size_t size, std::vector<uint32_t>& out) {
  rtnexthop hop;
  for (size_t at = 0; at + sizeof(hop) <= size; at += RTNH_ALIGN(hop.rtnh_len)) {
    std::memcpy(&hop, data + at, sizeof(hop));
    if (hop.rtnh_len < sizeof(hop)) return;
    out.push_back(static_cast<uint32_t>(hop.rtnh_ifindex));
  }
}

}  // namespace

Route RouteTo(const IpAddress& to) {
  const size_t size = to.v6 ? 16 : 4;
  Route route;
  bool gateway = false;
  const rtmsg answer = Answer(WayTo(to, size), RTM_NEWROUTE, [&](int type, const char* value, size_t length) {
    uint32_t out = 0;
    if (type == RTA_OIF && length == sizeof(out)) {
      std::memcpy(&out, value, sizeof(out));
      route.out.push_back(out);
    }
    if (type == RTA_MULTIPATH) AddNextHops(value, length, route.out);
    if (type == RTA_GATEWAY || type == RTA_VIA || type == RTA_MULTIPATH) gateway = true;
  });
  if (answer.rtm_type == RTN_LOCAL) route.kind = Route::Kind::kOwn;
  if (answer.rtm_type == RTN_UNICAST) route.kind = Route::Kind::kThere;
  route.host = route.kind == Route::Kind::kThere && !gateway && route.out.size() == 1 && answer.rtm_dst_len == size * 8;
  return route;
}

}  // namespace ringway::dp

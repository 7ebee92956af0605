// See veth_peer.h.
#include "dataplane/kernel/veth_peer.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cstring>
#include <functional>

#include "dataplane/feed/listener_sockets.h"

namespace ringway::dp {
namespace {

// A question about one thing: header, body, and room for one attribute.
template <typename Body>
struct Question {
  nlmsghdr header{};
  Body body{};
  char attribute[32] = {};
};

template <typename Body>
Question<Body> Ask(uint16_t type) {
  Question<Body> question;
  question.header.nlmsg_len = NLMSG_LENGTH(sizeof(Body));
  question.header.nlmsg_type = type;
  question.header.nlmsg_flags = NLM_F_REQUEST;
  return question;
}

// Calls `each` with the attributes of the answer, and gives its body; zeroes without one.
template <typename Body>
Body Answer(const Question<Body>& question, uint16_t type, const std::function<void(const rtattr*)>& each) {
  const UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (fd.get() < 0 || send(fd.get(), &question, question.header.nlmsg_len, 0) < 0) return {};
  alignas(nlmsghdr) char answer[16384];
  const ssize_t size = recv(fd.get(), answer, sizeof(answer), 0);
  const auto* header = reinterpret_cast<const nlmsghdr*>(answer);
  if (size < 0 || !NLMSG_OK(header, static_cast<size_t>(size)) || header->nlmsg_type != type) return {};
  Body body;
  std::memcpy(&body, answer + NLMSG_LENGTH(0), sizeof(body));
  const char* first = answer + NLMSG_LENGTH(NLMSG_ALIGN(sizeof(Body)));
  auto left = static_cast<int>(answer + header->nlmsg_len - first);
  for (const auto* at = reinterpret_cast<const rtattr*>(first); RTA_OK(at, left); at = RTA_NEXT(at, left)) each(at);
  return body;
}

bool SaysVeth(const rtattr* info) {
  auto left = static_cast<int>(RTA_PAYLOAD(info));
  for (const auto* at = static_cast<const rtattr*>(RTA_DATA(info)); RTA_OK(at, left); at = RTA_NEXT(at, left)) {
    if (at->rta_type == IFLA_INFO_KIND) return std::strncmp(static_cast<const char*>(RTA_DATA(at)), "veth", RTA_PAYLOAD(at)) == 0;
  }
  return false;
}

}  // namespace

bool IsVethToElsewhere(uint32_t ifindex) {
  Question<ifinfomsg> question = Ask<ifinfomsg>(RTM_GETLINK);
  question.body.ifi_index = static_cast<int>(ifindex);
  bool veth = false, elsewhere = false;
  Answer(question, RTM_NEWLINK, [&](const rtattr* one) {
    const int type = one->rta_type & NLA_TYPE_MASK;
    if (type == IFLA_LINKINFO) veth = SaysVeth(one);
    if (type == IFLA_LINK_NETNSID) elsewhere = true;
  });
  return veth && elsewhere;
}

uint32_t HostRouteTo(const IpAddress& to) {
  const size_t size = to.v6 ? 16 : 4;
  Question<rtmsg> question = Ask<rtmsg>(RTM_GETROUTE);
  question.body.rtm_family = to.v6 ? AF_INET6 : AF_INET;
  question.body.rtm_dst_len = static_cast<unsigned char>(size * 8);
  question.body.rtm_flags = RTM_F_FIB_MATCH;  // the route itself, not what comes of it
  auto* dest = reinterpret_cast<rtattr*>(reinterpret_cast<char*>(&question) + question.header.nlmsg_len);
  dest->rta_type = RTA_DST;
  dest->rta_len = static_cast<unsigned short>(RTA_LENGTH(size));
  std::memcpy(RTA_DATA(dest), to.bytes.data(), size);
  question.header.nlmsg_len += dest->rta_len;
  uint32_t out = 0;
  bool gateway = false;
  const rtmsg route = Answer(question, RTM_NEWROUTE, [&](const rtattr* one) {
    if (one->rta_type == RTA_OIF) std::memcpy(&out, RTA_DATA(one), sizeof(out));
    if (one->rta_type == RTA_GATEWAY || one->rta_type == RTA_VIA) gateway = true;
  });
  return gateway || route.rtm_dst_len != size * 8 ? 0 : out;
}

}  // namespace ringway::dp

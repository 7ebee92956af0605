// See veth_peer.h.
#include "dataplane/kernel/veth_peer.h"

#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cstring>
#include <functional>
#include <string_view>

#include "dataplane/feed/listener_sockets.h"

namespace ringway::dp {
namespace {

// A question about one thing: header, body, and room for one attribute.
template <typename Body>
struct Question {
  nlmsghdr header{};
  Body body{};
  char attribute[32] = {};
  static_assert(sizeof(Body) % NLMSG_ALIGNTO == 0);
};

template <typename Body>
Question<Body> Ask(uint16_t type) {
  Question<Body> question;
  question.header.nlmsg_len = NLMSG_LENGTH(sizeof(Body));
  question.header.nlmsg_type = type;
  question.header.nlmsg_flags = NLM_F_REQUEST;
  return question;
}

using Each = std::function<void(int type, const char* value, size_t size)>;

// Attributes one after another, by their offsets: the kernel's macros look through the bytes as if they were aligned.
void Attributes(const char* data, size_t size, const Each& each) {
  rtattr one;
  for (size_t at = 0; at + sizeof(one) <= size; at += RTA_ALIGN(one.rta_len)) {
    std::memcpy(&one, data + at, sizeof(one));
    if (one.rta_len < sizeof(one) || at + one.rta_len > size) return;
    each(one.rta_type & NLA_TYPE_MASK, data + at + sizeof(one), one.rta_len - sizeof(one));
  }
}

// Calls `each` with the attributes of the answer, and gives its body; zeroes without one.
template <typename Body>
Body Answer(const Question<Body>& question, uint16_t type, const Each& each) {
  const UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (fd.get() < 0 || send(fd.get(), &question, question.header.nlmsg_len, 0) < 0) return {};
  char answer[16384];
  const ssize_t got = recv(fd.get(), answer, sizeof(answer), 0);
  constexpr size_t kFirst = NLMSG_LENGTH(NLMSG_ALIGN(sizeof(Body)));
  nlmsghdr header{};
  Body body{};
  if (got < static_cast<ssize_t>(kFirst)) return body;
  std::memcpy(&header, answer, sizeof(header));
  if (header.nlmsg_type != type || header.nlmsg_len > static_cast<size_t>(got) || header.nlmsg_len < kFirst) return body;
  std::memcpy(&body, answer + NLMSG_LENGTH(0), sizeof(body));
  Attributes(answer + kFirst, header.nlmsg_len - kFirst, each);
  return body;
}

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

uint32_t HostRouteTo(const IpAddress& to) {
  const size_t size = to.v6 ? 16 : 4;
  Question<rtmsg> question = Ask<rtmsg>(RTM_GETROUTE);
  question.body.rtm_family = to.v6 ? AF_INET6 : AF_INET;
  question.body.rtm_dst_len = static_cast<unsigned char>(size * 8);
  question.body.rtm_flags = RTM_F_FIB_MATCH;  // the route itself, not what comes of it
  const rtattr dest{static_cast<unsigned short>(RTA_LENGTH(size)), RTA_DST};
  std::memcpy(question.attribute, &dest, sizeof(dest));
  std::memcpy(question.attribute + sizeof(dest), to.bytes.data(), size);
  question.header.nlmsg_len += dest.rta_len;
  uint32_t out = 0;
  bool gateway = false;
  const rtmsg route = Answer(question, RTM_NEWROUTE, [&](int type, const char* value, size_t length) {
    if (type == RTA_OIF && length == sizeof(out)) std::memcpy(&out, value, sizeof(out));
    if (type == RTA_GATEWAY || type == RTA_VIA) gateway = true;
  });
  return gateway || route.rtm_dst_len != size * 8 ? 0 : out;
}

}  // namespace ringway::dp

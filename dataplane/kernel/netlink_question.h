// One question to rtnetlink(7) and its one answer: of a link, of the way to an address. Any one thread; a socket for each question.
#pragma once

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

#include "dataplane/feed/listener_sockets.h"

namespace ringway::dp {

// Header, body, and room for one attribute.
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

using EachAttribute = std::function<void(int type, const char* value, size_t size)>;

// One after another, by their offsets: the kernel's macros look through the bytes as if they were aligned.
inline void Attributes(const char* data, size_t size, const EachAttribute& each) {
  rtattr one;
  for (size_t at = 0; at + sizeof(one) <= size; at += RTA_ALIGN(one.rta_len)) {
    std::memcpy(&one, data + at, sizeof(one));
    if (one.rta_len < sizeof(one) || at + one.rta_len > size) return;
    each(one.rta_type & NLA_TYPE_MASK, data + at + sizeof(one), one.rta_len - sizeof(one));
  }
}

// Calls `each` with the attributes of the answer, and gives its body; zeroes without one.
template <typename Body>
Body Answer(const Question<Body>& question, uint16_t type, const EachAttribute& each) {
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

}  // namespace ringway::dp

// One table for what a failed operation means, so that no handler knows errno by itself.
#pragma once

#include <cerrno>
#include <cstdint>

namespace ringway::dp {

enum class Verdict : uint8_t {
  kGone,        // the peer, or the way to it, is gone: normal on a network
  kCanceled,    // we asked for it
  kNoBuffers,   // wait for one
  kAgain,       // submit again
  kLimit,       // descriptors, local ports or memory are short: nobody else's fault
  kUnexpected,  // count it, treat it as gone
};

// `result` is a negative errno from a completion.
constexpr Verdict Judge(int32_t result) {
  switch (-result) {
    case ECONNRESET:
    case ECONNABORTED:
    case ECONNREFUSED:
    case EPIPE:
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETUNREACH:
    case ENETDOWN:
    case ENETRESET:
    case ENOTCONN:
    case ESHUTDOWN:
    case EPROTO:
    case EPERM:  // a packet filter refused
    case EACCES:
      return Verdict::kGone;
    case ECANCELED:
      return Verdict::kCanceled;
    case ENOBUFS:
      return Verdict::kNoBuffers;
    case EAGAIN:
    case EINTR:
      return Verdict::kAgain;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EADDRNOTAVAIL:
      return Verdict::kLimit;
    default:
      return Verdict::kUnexpected;
  }
}

}  // namespace ringway::dp

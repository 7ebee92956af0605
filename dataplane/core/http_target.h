// Request targets and Host (RFC 9112 section 3.2, RFC 9110 section 4.2, RFC 3986 section 3.2.2):
// which of the four forms a target has, and what may stand where a host stands. Header only, for
// inlining into the head parser; pure functions, any thread.
#pragma once

#include <algorithm>
#include <string_view>

#include "dataplane/core/http_field.h"
#include "dataplane/core/http_head.h"
#include "dataplane/core/http_scan.h"
#include "dataplane/core/http_token.h"

namespace ringway::dp::http {

inline bool IsPort(std::string_view text) {  // may be empty (RFC 3986 section 3.2.3)
  uint32_t value = 0;
  if (text.size() > 5) return false;
  for (const char c : text) {
    if (!IsDigit(c)) return false;
    value = value * 10 + static_cast<uint32_t>(c - '0');
  }
  return value <= 65535;
}

// `text`, which is within `in`, as host [ ":" port ], the host not empty: a registered name, an
// IPv4 address, or an IPv6 address in brackets (its bytes, not its grammar). No userinfo, no zone,
// no IPvFuture.
inline bool IsHostPort(const Input& in, std::string_view text) {
  const auto plain = static_cast<size_t>(Find<PlainStop>(in, text.data()) - text.data());
  if (plain >= text.size()) return !text.empty();
  size_t at = 0;
  if (!text.empty() && text[0] == '[') {
    for (at = 1;
         at < text.size() && (Has(text[at], kHexDigit) || text[at] == ':' || text[at] == '.');) {
      ++at;
    }
    if (at < 3 || at == text.size() || text[at] != ']') return false;
    ++at;
  } else {
    for (at = plain; at < text.size() && text[at] != ':'; ++at) {
      if (Has(text[at], kRegName)) continue;
      const bool escape = text[at] == '%' && at + 2 < text.size() && Has(text[at + 1], kHexDigit) &&
                          Has(text[at + 2], kHexDigit);
      if (!escape) return false;
      at += 2;
    }
    if (at == 0) return false;
  }
  if (at == text.size()) return true;
  return text[at] == ':' && IsPort(text.substr(at + 1));
}

struct Target {
  bool absolute_form = false;
  std::string_view authority;  // of absolute-form and authority-form
  std::string_view path;       // without the query
};

// `text` is not empty and consists of target bytes; `path_end` is the offset of its first "?" or
// its size. False: not a form that `method` may have.
inline bool ReadTarget(const Input& in, std::string_view text, size_t path_end, Method method,
                       Target& out) {
  if (method == Method::kConnect) {  // authority-form: host and port
    out.authority = text;
    out.path = text.substr(text.size());
    const size_t colon = text.rfind(':');
    return IsHostPort(in, text) && colon != text.npos && colon + 1 < text.size() &&
           text.back() != ']';
  }
  out.path = text.substr(0, path_end);
  if (text[0] == '/') return true;
  if (text[0] == '*') return text.size() == 1 && method == Method::kOptions;
  size_t at = 0;
  if (text.size() > 7 && EqualNoCase(text.substr(0, 7), "http://")) at = 7;
  if (text.size() > 8 && EqualNoCase(text.substr(0, 8), "https://")) at = 8;
  if (at == 0) return false;
  const size_t authority_end = std::min(text.find_first_of("/?", at), text.size());
  out.absolute_form = true;
  out.authority = text.substr(at, authority_end - at);
  out.path = text.substr(authority_end, path_end - authority_end);
  return IsHostPort(in, out.authority);
}

}  // namespace ringway::dp::http

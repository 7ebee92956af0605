// Parsing of a request's head: the request line, then its fields (http_field_section.h), then whether Host and target agree.
// See http_head.h for the contract; targets are read in http_target.h.
#include <cstring>
#include <new>
#include <string_view>

#include "dataplane/core/http_field_section.h"
#include "dataplane/core/http_head.h"
#include "dataplane/core/http_message.h"
#include "dataplane/core/http_scan.h"
#include "dataplane/core/http_target.h"
#include "dataplane/core/http_token.h"

namespace ringway::dp {
namespace {

using http::Input;

Method ToMethod(std::string_view text) {
  switch (text.size()) {
    case 3:
      return text == "GET" ? Method::kGet : text == "PUT" ? Method::kPut : Method::kOther;
    case 4:
      return text == "POST" ? Method::kPost : text == "HEAD" ? Method::kHead : Method::kOther;
    case 5:
      return text == "TRACE" ? Method::kTrace : text == "PATCH" ? Method::kPatch : Method::kOther;
    case 6:
      return text == "DELETE" ? Method::kDelete : Method::kOther;
    case 7:
      return text == "OPTIONS"   ? Method::kOptions
             : text == "CONNECT" ? Method::kConnect
                                 : Method::kOther;
    default:
      return Method::kOther;
  }
}

bool IsIdempotent(Method method) {
  return method != Method::kPost && method != Method::kConnect && method != Method::kPatch &&
         method != Method::kOther;
}

// One parse. Its parts return what is wrong, or kNone and go on.
class RequestParser {
 public:
  RequestParser(const Input in, const RequestRules& rules, RequestHead& head)
      : in_(in), rules_(rules), head_(head) {}

  HeadError Parse() {
    const char* p = in_.begin;
    HeadError error = SkipEmptyLine(p);
    if (error == HeadError::kNone) error = ReadMethod(p);
    if (error == HeadError::kNone) error = ReadTarget(p);
    if (error == HeadError::kNone) error = ReadVersion(p);
    if (error != HeadError::kNone) return error;
    const bool origin_form = in_.begin[head_.target.offset] == '/' && head_.method != Method::kConnect;  // nearly always
    http::Target other;
    if (!origin_form && !ReadOtherForm(other)) return Bad(BadReason::kTarget);
    http::FieldSection<RequestHead> fields(in_, head_, rules_.keep_forwarded, rules_.keep_upgrade);
    http::ControlScan scan(in_, p);
    error = fields.Read(scan, p);
    if (error != HeadError::kNone) return error;
    return fields.has_host() && origin_form ? HeadError::kNone : JudgeHost(fields.has_host(), other);
  }

 private:
  HeadError Bad(BadReason reason) {
    head_.bad_reason = reason;
    return HeadError::kBad;
  }

  HeadError SkipEmptyLine(const char*& p) {  // one is let pass: RFC 9112 section 2.2
    if (p == in_.end) return HeadError::kIncomplete;
    if (*p != '\r') [[likely]]
      return HeadError::kNone;
    if (p + 1 == in_.end) return HeadError::kIncomplete;
    if (p[1] != '\n') return Bad(BadReason::kLineEnd);
    p += 2;
    head_.start = 2;
    return p == in_.end ? HeadError::kIncomplete : HeadError::kNone;
  }

  HeadError ReadMethod(const char*& p) {
    if (in_.end - p < 4 || std::memcmp(p, "GET ", 4) != 0) return ReadOtherMethod(p);
    head_.method = Method::kGet;
    head_.method_idempotent = true;
    p += 4;
    return HeadError::kNone;
  }

  [[gnu::noinline]] HeadError ReadOtherMethod(const char*& p) {
    const char* end = http::FindTokenEnd(in_, p);
    if (end - p > int{kMethodBytesMax}) return HeadError::kNotImplemented;
    if (end == in_.end) return HeadError::kIncomplete;
    if (*end != ' ' || end == p) {
      return Bad(*end == '\n' || *end == '\r' ? BadReason::kLineEnd : BadReason::kRequestLine);
    }
    head_.method = ToMethod(http::Between(p, end));
    head_.method_idempotent = IsIdempotent(head_.method);
    p = end + 1;
    return HeadError::kNone;
  }

  // Sets `path` to where it is in origin-form.
  HeadError ReadTarget(const char*& p) {
    const char* const path_end = http::Find<http::PathStop>(in_, p);
    const char* end = path_end;
    if (end != in_.end && *end == '?') end = http::FindOn<http::TargetStop>(in_, end);
    if (end - p > int64_t{rules_.limits.target_bytes_max}) return HeadError::kTargetTooLong;
    if (end == in_.end) return HeadError::kIncomplete;
    if (*end != ' ') {
      return Bad(*end == '\n' || *end == '\r' ? BadReason::kLineEnd : BadReason::kTarget);
    }
    if (end == p) return Bad(BadReason::kRequestLine);
    head_.target = http::ToSpan(in_, http::Between(p, end));
    head_.path = http::ToSpan(in_, http::Between(p, path_end));
    p = end + 1;
    return HeadError::kNone;
  }

  // Another form than origin-form. False: not one that the method may have.
  [[gnu::noinline]] bool ReadOtherForm(http::Target& target) {
    const std::string_view text(in_.begin + head_.target.offset, head_.target.size);
    if (!http::ReadTarget(in_, text, head_.path.size, head_.method, target)) return false;
    head_.path = http::ToSpan(in_, target.path);
    head_.absolute_form = target.absolute_form;
    return true;
  }

  HeadError ReadVersion(const char*& p) {
    constexpr std::string_view kPattern = "HTTP/0.0\r\n";
    if (in_.end - p < 10 || !http::IsVersion(p) || std::memcmp(p + 8, "\r\n", 2) != 0) [[unlikely]] {
      const HeadError error = http::Match(in_, p, kPattern);
      if (error == HeadError::kBad) return Bad(BadReason::kRequestLine);
      return error == HeadError::kNone ? HeadError::kVersion : error;
    }
    head_.minor_version = static_cast<uint8_t>(p[7] - '0');
    head_.version_offset = http::ToOffset(in_, p + 7);
    p += kPattern.size();
    return HeadError::kNone;
  }

  [[gnu::noinline]] HeadError JudgeHost(bool has_host, const http::Target& target) {
    if (!has_host) {
      if (head_.minor_version == 1) return Bad(BadReason::kHost);
      head_.host_from_target = target.absolute_form;
      if (target.absolute_form) head_.host = http::ToSpan(in_, target.authority);
      return HeadError::kNone;
    }
    const std::string_view host(in_.begin + head_.host.offset, head_.host.size);
    if (!target.absolute_form) return HeadError::kNone;
    return http::EqualNoCase(host, target.authority) ? HeadError::kNone : Bad(BadReason::kHost);
  }

  const Input in_;
  const RequestRules& rules_;
  RequestHead& head_;
};

}  // namespace

HeadError ParseRequestHead(const char* data, uint32_t size, const RequestRules& rules,
                           uint32_t& scanned, RequestHead& out) {
  http::Attempt attempt(data, size, rules.limits.head_bytes_max, scanned);
  if (!attempt.worthwhile()) return attempt.Incomplete();
  new (&out) RequestHead;
  const HeadError error = RequestParser(attempt.in(), rules, out).Parse();
  return error == HeadError::kIncomplete ? attempt.Incomplete() : error;
}

}  // namespace ringway::dp

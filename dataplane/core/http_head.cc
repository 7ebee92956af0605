// Parsing of message heads: the entry points, start lines, and what the field lines say together.
// One pass from left to right, so that the first thing wrong in a head decides how it is refused.
// See http_head.h for the contract; lines are read in http_field.h, targets in http_target.h.
#include "dataplane/core/http_head.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <string_view>
#include <type_traits>

#include "dataplane/core/http_field.h"
#include "dataplane/core/http_scan.h"
#include "dataplane/core/http_target.h"
#include "dataplane/core/http_token.h"

namespace ringway::dp {
namespace {

using http::Field;
using http::Input;
using http::Line;

Span ToSpan(const Input& in, std::string_view text) {
  return Span{static_cast<uint32_t>(text.data() - in.begin), static_cast<uint32_t>(text.size())};
}

uint32_t ToOffset(const Input& in, const char* p) { return static_cast<uint32_t>(p - in.begin); }

std::string_view Between(const char* from, const char* to) {
  return std::string_view(from, static_cast<size_t>(to - from));
}

// Upgrading to HTTP itself would carry requests past the balancer: h2c, and TLS of RFC 2817.
bool OffersHttp(std::string_view protocols) {
  while (!protocols.empty()) {
    const std::string_view element = protocols.substr(0, protocols.find(','));
    protocols.remove_prefix(std::min(element.size() + 1, protocols.size()));
    size_t from = 0;
    while (from < element.size() && http::IsSpace(element[from])) ++from;
    size_t to = from;
    while (to < element.size() && http::Has(element[to], http::kToken)) ++to;
    const std::string_view name = element.substr(from, to - from);
    for (const std::string_view refused : {"h2c", "h2", "http", "tls"}) {
      if (http::EqualNoCase(name, refused)) return true;
    }
  }
  return false;
}

// All field lines of one head. Lives for one parse, on its stack.
template <typename Head>
class FieldSection {
 public:
  static constexpr bool kRequest = std::is_same_v<Head, RequestHead>;
  static constexpr int kCutsHere = kRequest ? kCutsMax : kCutsMax - 1;  // one is for coding_line

  FieldSection(const Input& in, Head& head, bool keep_forwarded, bool keep_upgrade)
      : in_(in), head_(head), keep_forwarded_(keep_forwarded), keep_upgrade_(keep_upgrade) {
    if constexpr (!kRequest) bodiless_ = head.status < 200 || head.status == 204;
  }

  // From the first field line to the end of the blank line.
  HeadError Read(const char* p) {
    const Input in = in_;  // a copy that needs no reloading
    head_.headers_offset = ToOffset(in, p);
    if (p == in.end) return HeadError::kIncomplete;
    http::ControlScan scan(in, p);
    for (;;) {
      if (p == in.end) return HeadError::kIncomplete;
      if (*p == '\r') return OnBlankLine(p);
      Line line = http::ReadPlainLine(in, scan, p);
      if (line.cr == nullptr) [[unlikely]] {
        Line odd;
        const HeadError error = http::ReadLine(in_, p, odd, head_.bad_reason);
        if (error != HeadError::kNone) return error;
        line = odd;
      }
      p = line.end();
      const Field field = http::Recognize(line.name());
      if (field == Field::kOther) continue;
      const BadReason reason = OnField(field, line);
      if (reason != BadReason::kNone) [[unlikely]] {
        head_.bad_reason = reason;
        return HeadError::kBad;
      }
      if (IsCut(field)) Cut(line);
    }
  }

  bool has_host() const { return has_host_; }

 private:
  BadReason OnField(Field field, Line line) {
    switch (field) {
      case Field::kConnection:
        return OnConnection(line.value());
      case Field::kContentLength:
        return OnContentLength(line);
      case Field::kTransferEncoding:
        return OnTransferEncoding(line);
      case Field::kUpgrade:
        ++upgrade_lines_;
        upgrade_ = line.value();
        return BadReason::kNone;
      default:
        if constexpr (kRequest) return OnRequestField(field, line);
        return BadReason::kNone;
    }
  }

  BadReason OnRequestField(Field field, Line line) {
    const std::string_view value = line.value();
    if (field == Field::kHost) {
      if (has_host_ || !(value.empty() || http::IsHostPort(in_, value))) return BadReason::kHost;
      has_host_ = true;
      head_.host = ToSpan(in_, value);
    } else if (field == Field::kExpect && head_.minor_version == 1) {
      head_.expect_continue |= http::IsWord(value, "100-continue");
    } else if (field == Field::kForwardedFor && keep_forwarded_ && !value.empty()) {
      head_.forwarded_for = ToSpan(in_, value);
    }
    return BadReason::kNone;
  }

  BadReason OnConnection(std::string_view list) {
    if (OnOption(list)) return BadReason::kNone;  // nearly always
    std::string_view token;
    bool bad = false;
    while (http::NextToken(list, token, bad)) {
      if (OnOption(token)) continue;
      const Field field = http::Recognize(token);
      if (field == Field::kUpgrade) {
        upgrade_option_ = true;
      } else if (field == Field::kHost || field == Field::kContentLength ||
                 field == Field::kTransferEncoding) {
        return BadReason::kConnection;
      } else if (field != Field::kConnection && field != Field::kHopByHop) {
        if (nominated_count_ == kNominatedMax) return BadReason::kConnection;
        nominated_[nominated_count_++] = Name{token.data(), token.size()};
      }
    }
    return bad ? BadReason::kConnection : BadReason::kNone;
  }

  bool OnOption(std::string_view option) {
    const bool close = http::IsWord(option, "close");
    const bool keep_alive = http::IsWord(option, "keep-alive");
    close_option_ |= close;
    keep_alive_option_ |= keep_alive;
    return close || keep_alive;
  }

  BadReason OnContentLength(Line line) {
    uint64_t length = 0;
    if (has_length_ || !http::ReadLength(line, length)) return BadReason::kContentLength;
    if (head_.chunked) return BadReason::kBothFramings;
    has_length_ = true;
    head_.has_length = !bodiless_;
    head_.length = bodiless_ ? 0 : length;
    return BadReason::kNone;
  }

  BadReason OnTransferEncoding(Line line) {
    if (head_.chunked || head_.minor_version == 0 || bodiless_ ||
        !http::IsWord(line.value(), "chunked") || line.has_tab()) {
      return BadReason::kTransferEncoding;
    }
    if (has_length_) return BadReason::kBothFramings;
    head_.chunked = true;
    if constexpr (!kRequest) head_.coding_line = ToSpan(in_, line.whole());
    return BadReason::kNone;
  }

  HeadError OnBlankLine(const char* cr) {
    if (cr + 1 == in_.end) return HeadError::kIncomplete;
    if (cr[1] != '\n') {
      head_.bad_reason = BadReason::kLineEnd;
      return HeadError::kBad;
    }
    head_.size = ToOffset(in_, cr + 2);
    head_.keep_alive = !close_option_ && (head_.minor_version == 1 || keep_alive_option_);
    if (upgrade_lines_ == 1) JudgeUpgrade();
    if (nominated_count_ != 0 || head_.upgrade) Recut(cr);
    if (cuts_overflow_) {
      head_.bad_reason = BadReason::kCuts;
      return HeadError::kBad;
    }
    return HeadError::kNone;
  }

  void JudgeUpgrade() {
    bool possible = head_.minor_version == 1 && upgrade_option_ && keep_upgrade_;
    if constexpr (kRequest) {
      possible = possible && !head_.chunked && head_.length == 0;
    } else {
      possible = possible && head_.status == 101;
    }
    if (!possible || upgrade_.empty() || OffersHttp(upgrade_)) return;
    head_.upgrade = true;
    head_.upgrade_value = ToSpan(in_, upgrade_);
  }

  bool IsCut(Field field) const {
    switch (field) {
      case Field::kConnection:
      case Field::kHopByHop:
        return true;
      case Field::kUpgrade:
        return !head_.upgrade;
      case Field::kExpect:
        return kRequest && head_.minor_version == 0;
      case Field::kForwardedFor:
      case Field::kForwardedRest:
        return kRequest && !keep_forwarded_;
      case Field::kContentLength:
        return bodiless_;
      default:
        return false;
    }
  }

  bool IsNominated(std::string_view name) const {
    return std::any_of(nominated_, nominated_ + nominated_count_, [name](const Name& other) {
      return http::EqualNoCase(name, {other.data, other.size});
    });
  }

  void Cut(Line line) {
    const Span span = ToSpan(in_, line.whole());
    Cuts& cuts = head_.cuts;
    Span* last = cuts.count != 0 ? &cuts.at[cuts.count - 1] : nullptr;
    if (last != nullptr && last->offset + last->size == span.offset) {
      last->size += span.size;
    } else if (cuts.count == kCutsHere) {
      cuts_overflow_ = true;
    } else {
      cuts.at[cuts.count++] = span;
    }
  }

  // Decides the cuts again, now that it is known what Connection names and whether Upgrade stays.
  // Needed by few heads, and bounded: kNominatedMax comparisons a line.
  [[gnu::noinline]] void Recut(const char* blank_line) {
    head_.cuts.count = 0;
    cuts_overflow_ = false;
    if constexpr (kRequest) head_.forwarded_for = Span{};
    Line line{};
    for (const char* p = in_.begin + head_.headers_offset; p != blank_line; p = line.end()) {
      http::ReadLine(in_, p, line, head_.bad_reason);  // has been read before: it succeeds
      const Field field = http::Recognize(line.name());
      const bool cut = IsCut(field) || IsNominated(line.name());
      if (cut) Cut(line);
      if constexpr (kRequest) {
        if (cut && field == Field::kExpect) head_.expect_continue = false;
        if (!cut && field == Field::kForwardedFor && !line.value().empty()) {
          head_.forwarded_for = ToSpan(in_, line.value());
        }
      }
    }
  }

  const Input& in_;
  Head& head_;
  const bool keep_forwarded_;
  const bool keep_upgrade_;
  bool bodiless_ = false;  // a response that has no body whatever its fields say

  bool has_host_ = false;
  bool has_length_ = false;
  bool close_option_ = false;
  bool keep_alive_option_ = false;
  bool upgrade_option_ = false;
  bool cuts_overflow_ = false;
  uint32_t upgrade_lines_ = 0;
  std::string_view upgrade_;
  int nominated_count_ = 0;
  struct Name {
    const char* data;
    size_t size;
  };
  Name nominated_[kNominatedMax];  // the first nominated_count_; not initialized, to save the time
};

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

// Matches [p, in.end) against `pattern`, in which "0" stands for any digit. kBad at the first
// byte that differs; kIncomplete when the input ends before the pattern does.
HeadError Match(const Input& in, const char* p, std::string_view pattern) {
  for (const char expected : pattern) {
    if (p == in.end) return HeadError::kIncomplete;
    if (expected == '0' ? !http::IsDigit(*p) : *p != expected) return HeadError::kBad;
    ++p;
  }
  return HeadError::kNone;
}

// Eight bytes at p are "HTTP/1.0" or "HTTP/1.1". If not, Match finds out what is wrong.
bool IsVersion(const char* p) {
  return std::memcmp(p, "HTTP/1.", 7) == 0 && (p[7] == '0' || p[7] == '1');
}

class RequestParser {
 public:
  RequestParser(const Input& in, const RequestRules& rules, RequestHead& head)
      : in_(in), rules_(rules), head_(head) {}

  HeadError Parse() {
    HeadError error = ReadEmptyLine();
    if (error == HeadError::kNone) error = ReadMethod();
    if (error == HeadError::kNone) error = ReadTargetBytes();
    if (error == HeadError::kNone) error = ReadVersion();
    if (error != HeadError::kNone) return error;
    http::Target target;
    if (!http::ReadTarget(in_, target_, path_size_, head_.method, target)) {
      return Bad(BadReason::kTarget);
    }
    FieldSection<RequestHead> fields(in_, head_, rules_.keep_forwarded, rules_.keep_upgrade);
    error = fields.Read(p_);
    if (error != HeadError::kNone) return error;
    head_.target = ToSpan(in_, target_);
    head_.path = ToSpan(in_, target.path);
    head_.absolute_form = target.absolute_form;
    return JudgeHost(fields.has_host(), target);
  }

 private:
  HeadError Bad(BadReason reason) {
    head_.bad_reason = reason;
    return HeadError::kBad;
  }

  HeadError ReadEmptyLine() {  // one is let pass: RFC 9112 section 2.2
    if (p_ == in_.end) return HeadError::kIncomplete;
    if (*p_ != '\r') [[likely]]
      return HeadError::kNone;
    if (p_ + 1 == in_.end) return HeadError::kIncomplete;
    if (p_[1] != '\n') return Bad(BadReason::kLineEnd);
    p_ += 2;
    head_.start = 2;
    return p_ == in_.end ? HeadError::kIncomplete : HeadError::kNone;
  }

  HeadError ReadMethod() {
    const char* end = http::FindTokenEnd(in_, p_);
    if (end - p_ > int{kMethodBytesMax}) return HeadError::kNotImplemented;
    if (end == in_.end) return HeadError::kIncomplete;
    if (*end != ' ' || end == p_) {
      return Bad(*end == '\n' || *end == '\r' ? BadReason::kLineEnd : BadReason::kRequestLine);
    }
    head_.method = ToMethod(Between(p_, end));
    head_.method_idempotent = IsIdempotent(head_.method);
    p_ = end + 1;
    return HeadError::kNone;
  }

  HeadError ReadTargetBytes() {
    const char* path_end = http::Find<http::PathStop>(in_, p_);
    const char* end = path_end;
    if (end != in_.end && *end == '?') end = http::Find<http::TargetStop>(in_, end);
    if (end - p_ > int64_t{rules_.limits.target_bytes_max}) return HeadError::kTargetTooLong;
    if (end == in_.end) return HeadError::kIncomplete;
    if (*end != ' ') {
      return Bad(*end == '\n' || *end == '\r' ? BadReason::kLineEnd : BadReason::kTarget);
    }
    if (end == p_) return Bad(BadReason::kRequestLine);
    target_ = Between(p_, end);
    path_size_ = static_cast<size_t>(path_end - p_);
    p_ = end + 1;
    return HeadError::kNone;
  }

  HeadError ReadVersion() {
    constexpr std::string_view kPattern = "HTTP/0.0\r\n";
    if (in_.end - p_ < 10 || !IsVersion(p_) || p_[8] != '\r' || p_[9] != '\n') [[unlikely]] {
      const HeadError error = Match(in_, p_, kPattern);
      if (error == HeadError::kBad) return Bad(BadReason::kRequestLine);
      return error == HeadError::kNone ? HeadError::kVersion : error;
    }
    head_.minor_version = static_cast<uint8_t>(p_[7] - '0');
    head_.version_offset = ToOffset(in_, p_ + 7);
    p_ += kPattern.size();
    return HeadError::kNone;
  }

  HeadError JudgeHost(bool has_host, const http::Target& target) {
    if (!has_host) {
      if (head_.minor_version == 1) return Bad(BadReason::kHost);
      head_.host_from_target = target.absolute_form;
      if (target.absolute_form) head_.host = ToSpan(in_, target.authority);
      return HeadError::kNone;
    }
    const std::string_view host(in_.begin + head_.host.offset, head_.host.size);
    if (target.absolute_form && !http::EqualNoCase(host, target.authority)) {
      return Bad(BadReason::kHost);
    }
    return HeadError::kNone;
  }

  const Input& in_;
  const RequestRules& rules_;
  RequestHead& head_;
  const char* p_ = in_.begin;
  std::string_view target_;
  size_t path_size_ = 0;
};

HeadError ReadStatus(const Input& in, const char*& p, ResponseHead& head) {
  constexpr std::string_view kPattern = "HTTP/0.0 000";
  if (in.end - p < 12 || !IsVersion(p) || p[8] != ' ' || !http::IsDigit(p[9]) ||
      !http::IsDigit(p[10]) || !http::IsDigit(p[11])) [[unlikely]] {
    const HeadError error = Match(in, p, kPattern);
    if (error == HeadError::kBad) head.bad_reason = BadReason::kRequestLine;
    return error == HeadError::kNone ? HeadError::kVersion : error;
  }
  head.minor_version = static_cast<uint8_t>(p[7] - '0');
  head.version_offset = ToOffset(in, p + 7);
  const int status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
  head.status = static_cast<uint16_t>(status);
  p += kPattern.size();
  if (status >= 100 && status <= 599) return HeadError::kNone;
  head.bad_reason = BadReason::kStatus;
  return HeadError::kBad;
}

// "HTTP/1.1 200 OK": the space after the code may be missing along with the reason.
HeadError ReadStatusLine(const Input& in, const char*& p, ResponseHead& head) {
  const HeadError error = ReadStatus(in, p, head);
  if (error != HeadError::kNone) return error;
  if (p == in.end) return HeadError::kIncomplete;
  const char* cr = *p == ' ' ? http::Find<http::ControlStop>(in, p) : p;
  if (cr == in.end) return HeadError::kIncomplete;
  if (*cr != '\r' && *cr != '\n') {
    head.bad_reason = BadReason::kRequestLine;
    return HeadError::kBad;
  }
  if (*cr == '\r' && cr + 1 == in.end) return HeadError::kIncomplete;
  if (*cr == '\n' || cr[1] != '\n') {
    head.bad_reason = BadReason::kLineEnd;
    return HeadError::kBad;
  }
  p = cr + 2;
  return HeadError::kNone;
}

// Whether it is worth to parse: false when the bytes from `scanned` on neither end the head nor
// hold a control byte that cannot be in one. The last bytes before are looked at again, because
// an end may have begun there.
bool MayBeDecided(const Input& in, uint32_t scanned) {
  const char* p = in.begin + (scanned > 3 ? scanned - 3 : 0);
  if (p != in.begin && *p == '\n') --p;
  while ((p = http::Find<http::ControlStop>(in, p)) != in.end) {
    if (*p != '\r') return true;
    if (p + 1 == in.end) return false;
    if (p[1] != '\n') return true;
    p += 2;
    if (in.end - p >= 2 && p[0] == '\r' && p[1] == '\n') return true;
  }
  return false;
}

// Parses at most `head_bytes_max` of the bytes, and keeps the promise that `scanned` makes.
template <typename Parse>
HeadError ParseWithin(const char* data, uint32_t size, uint32_t head_bytes_max, uint32_t& scanned,
                      Parse&& parse) {
  const Input in{data, data + std::min(size, head_bytes_max)};
  const auto limit = ToOffset(in, in.end);
  const bool full = size >= head_bytes_max;
  if (scanned != 0 && scanned <= limit && !full && !MayBeDecided(in, scanned)) {
    scanned = limit;
    return HeadError::kIncomplete;
  }
  const HeadError error = parse(in);
  if (error != HeadError::kIncomplete) return error;
  scanned = limit;
  return full ? HeadError::kTooLarge : HeadError::kIncomplete;
}

}  // namespace

bool AddCut(Cuts& cuts, Span line) {
  Span* const end = cuts.at + cuts.count;
  Span* const next =
      std::find_if(cuts.at, end, [line](const Span& cut) { return cut.offset > line.offset; });
  const bool joins_next = next != end && line.offset + line.size == next->offset;
  const bool joins_last = next != cuts.at && next[-1].offset + next[-1].size == line.offset;
  if (joins_last) {
    next[-1].size += line.size;
    if (!joins_next) return true;
    next[-1].size += next->size;
    std::move(next + 1, end, next);
    --cuts.count;
  } else if (joins_next) {
    *next = Span{line.offset, line.size + next->size};
  } else {
    if (cuts.count == kCutsMax) return false;
    std::move_backward(next, end, end + 1);
    *next = line;
    ++cuts.count;
  }
  return true;
}

HeadError ParseRequestHead(const char* data, uint32_t size, const RequestRules& rules,
                           uint32_t& scanned, RequestHead& out) {
  return ParseWithin(data, size, rules.limits.head_bytes_max, scanned, [&](const Input& in) {
    new (&out) RequestHead;
    return RequestParser(in, rules, out).Parse();
  });
}

HeadError ParseResponseHead(const char* data, uint32_t size, uint32_t head_bytes_max,
                            uint32_t& scanned, ResponseHead& out) {
  return ParseWithin(data, size, head_bytes_max, scanned, [&](const Input& in) {
    new (&out) ResponseHead;
    const char* p = in.begin;
    const HeadError error = ReadStatusLine(in, p, out);
    if (error != HeadError::kNone) return error;
    return FieldSection<ResponseHead>(in, out, true, true).Read(p);
  });
}

}  // namespace ringway::dp

// What the field lines of one head say together: framing, persistence, upgrade, and the lines to cut. One pass from left to
// right, so that the first thing wrong decides how the head is refused. Lives for one parse, on its stack. Header only, for
// inlining into the two head parsers; single lines are read in http_field.h.
//
// The pass does what nearly all heads need. What few need (Connection with other options than its own two, Upgrade, deciding
// the cuts again) is kept out of it: not inlined, so that it takes no registers there.
#pragma once

#include <algorithm>
#include <string_view>
#include <type_traits>

#include "dataplane/core/http_field.h"
#include "dataplane/core/http_head.h"
#include "dataplane/core/http_message.h"
#include "dataplane/core/http_scan.h"
#include "dataplane/core/http_target.h"
#include "dataplane/core/http_token.h"

namespace ringway::dp::http {

// Upgrading to HTTP itself would carry requests past the balancer: h2c, and TLS of RFC 2817.
inline bool OffersHttp(std::string_view protocols) {
  while (!protocols.empty()) {
    const std::string_view element = protocols.substr(0, protocols.find(','));
    protocols.remove_prefix(std::min(element.size() + 1, protocols.size()));
    size_t from = 0;
    while (from < element.size() && IsSpace(element[from])) ++from;
    size_t to = from;
    while (to < element.size() && Has(element[to], kToken)) ++to;
    const std::string_view name = element.substr(from, to - from);
    for (const std::string_view refused : {"h2c", "h2", "http", "tls"}) {
      if (EqualNoCase(name, refused)) return true;
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

  // From the first field line, at `p`, to the end of the blank line. `scan` has not gone beyond `p`.
  [[gnu::always_inline]] HeadError Read(ControlScan& scan, const char* p) {
    const Input in = in_;  // a copy that needs no reloading
    head_.headers_offset = ToOffset(in, p);
    for (;;) {
      Line line;
      if (!ReadPlainLine(in, scan, p, line)) [[unlikely]] {
        if (p == in.end) return HeadError::kIncomplete;
        if (*p == '\r') return OnBlankLine(p);
        Line odd;
        const HeadError error = ReadLine(in, p, odd, head_.bad_reason);
        if (error != HeadError::kNone) return error;
        line = {p, odd.colon, odd.cr};
      }
      p = line.end();
      const Field field = Recognize(line.name());
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
        special_ = true;
        upgrade_lines_ = static_cast<uint8_t>(std::min(upgrade_lines_ + 1, 2));
        upgrade_ = ToText(line.value());
        return BadReason::kNone;
      default:
        if constexpr (kRequest) return OnRequestField(field, line);
        return BadReason::kNone;
    }
  }

  BadReason OnRequestField(Field field, Line line) {
    const std::string_view value = line.value();
    if (field == Field::kHost) {
      if (has_host_ || !(value.empty() || IsHostPort(in_, value))) return BadReason::kHost;
      has_host_ = true;
      head_.host = ToSpan(in_, value);
    } else if (field == Field::kExpect && head_.minor_version == 1) {
      head_.expect_continue |= IsWord(value, "100-continue");
    } else if (field == Field::kForwardedFor && keep_forwarded_ && !value.empty()) {
      head_.forwarded_for = ToSpan(in_, value);
    }
    return BadReason::kNone;
  }

  [[gnu::noinline]] BadReason OnConnection(std::string_view list) {
    if (OnOption(list)) return BadReason::kNone;  // nearly always
    std::string_view token;
    bool bad = false;
    while (NextToken(list, token, bad)) {
      if (OnOption(token)) continue;
      const Field field = Recognize(token);
      if (field == Field::kUpgrade) {
        upgrade_option_ = true;
      } else if (field == Field::kHost || field == Field::kContentLength ||
                 field == Field::kTransferEncoding) {
        return BadReason::kConnection;
      } else if (field != Field::kConnection && field != Field::kHopByHop) {
        if (nominated_count_ == kNominatedMax) return BadReason::kConnection;
        special_ = true;
        nominated_[nominated_count_++] = ToText(token);
      }
    }
    return bad ? BadReason::kConnection : BadReason::kNone;
  }

  bool OnOption(std::string_view option) {
    const bool close = IsWord(option, "close");
    const bool keep_alive = IsWord(option, "keep-alive");
    close_option_ |= close;
    keep_alive_option_ |= keep_alive;
    return close || keep_alive;
  }

  BadReason OnContentLength(Line line) {
    uint64_t length = 0;
    if (has_length_ || !ReadLength(line, length)) return BadReason::kContentLength;
    if (head_.chunked) return BadReason::kBothFramings;
    has_length_ = true;
    head_.has_length = !bodiless_;
    head_.length = bodiless_ ? 0 : length;
    return BadReason::kNone;
  }

  [[gnu::noinline]] BadReason OnTransferEncoding(Line line) {
    if (head_.chunked || head_.minor_version == 0 || bodiless_ ||
        !IsWord(line.value(), "chunked") || line.has_tab()) {
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
    return special_ ? OnSpecialEnd(cr) : HeadError::kNone;
  }

  // Something was seen that only all fields together decide.
  [[gnu::noinline]] HeadError OnSpecialEnd(const char* cr) {
    if (upgrade_lines_ == 1) JudgeUpgrade();
    if (nominated_count_ != 0 || head_.upgrade) Recut(cr);
    if (!cuts_overflow_) return HeadError::kNone;
    head_.bad_reason = BadReason::kCuts;
    return HeadError::kBad;
  }

  void JudgeUpgrade() {
    bool possible = head_.minor_version == 1 && upgrade_option_ && keep_upgrade_;
    if constexpr (kRequest) {
      possible = possible && !head_.chunked && head_.length == 0;
    } else {
      possible = possible && head_.status == 101;
    }
    if (!possible || upgrade_.size == 0 || OffersHttp(upgrade_)) return;
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
    return std::any_of(nominated_, nominated_ + nominated_count_, [name](const Text& other) {
      return EqualNoCase(name, other);
    });
  }

  [[gnu::noinline]] void Cut(Line line) {
    const Span span = ToSpan(in_, line.whole());
    Cuts& cuts = head_.cuts;
    Span* last = cuts.count != 0 ? &cuts.at[cuts.count - 1] : nullptr;
    if (last != nullptr && last->offset + last->size == span.offset) {
      last->size += span.size;
    } else if (cuts.count == kCutsHere) {
      special_ = cuts_overflow_ = true;
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
      if (ReadLine(in_, p, line, head_.bad_reason) != HeadError::kNone) return;  // has been read before: it succeeds
      const Field field = Recognize(line.name());
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

  struct Text;
  static Text ToText(std::string_view text) { return {text.data(), text.size()}; }

  const Input in_;
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
  bool special_ = false;  // any of: a line of Upgrade, a nominated field, no room for a cut
  uint8_t upgrade_lines_ = 0;  // none, one, or more
  uint8_t nominated_count_ = 0;
  // A string_view would be initialized, and few heads need these.
  struct Text {
    const char* data;
    size_t size;
    operator std::string_view() const { return {data, size}; }
  };
  Text upgrade_;                   // of the last of upgrade_lines_
  Text nominated_[kNominatedMax];  // the first nominated_count_
};

}  // namespace ringway::dp::http

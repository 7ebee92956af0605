// See line.h.
#include "dataplane/access_log/line.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <ctime>

#include "dataplane/access_log/escape.h"

namespace ringway::dp {
namespace {

constexpr int64_t kSecondUs = 1000000;

void AppendNumber(uint64_t value, std::string& out) {
  char text[20];
  out.append(text, std::to_chars(text, text + sizeof text, value).ptr);
}

// Milliseconds to the microsecond: 12.345.
void AppendMs(uint64_t us, std::string& out) {
  AppendNumber(us / 1000, out);
  const uint64_t rest = us % 1000;
  const char text[] = {'.', static_cast<char>('0' + rest / 100), static_cast<char>('0' + rest / 10 % 10), static_cast<char>('0' + rest % 10)};
  out.append(text, sizeof text);
}

void AppendAddress(const IpAddress& address, std::string& out) {
  char text[kIpTextMax];
  out.append(text, FormatIp(address, text));
}

// A key of a JSON object, as an argument of a template.
template <size_t kSize>
struct Key {
  consteval Key(const char (&key)[kSize]) { std::copy_n(key, kSize, name); }
  char name[kSize];
};

// `,"key":`, made by the compiler and at a fixed place.
template <Key kKey>
constexpr auto kKeyText = [] {
  constexpr size_t kLength = sizeof kKey.name - 1;
  std::array<char, kLength + 4> text{};
  std::copy_n(",\"", 2, text.begin());
  std::copy_n(kKey.name, kLength, text.begin() + 2);
  std::copy_n("\":", 2, text.begin() + 2 + kLength);
  return text;
}();

// The keys of one JSON object, in order.
class Object {
 public:
  explicit Object(std::string& out) : out_(out), begin_(out.size()) {}
  ~Object() {
    out_[begin_] = '{';  // instead of the first key's comma
    out_ += '}';
  }
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  template <Key kKey>
  void Name() {
    out_.append(kKeyText<kKey>.data(), kKeyText<kKey>.size());
  }
  template <Key kKey>
  void Text(std::string_view value) {
    Name<kKey>();
    AppendJsonString(value, out_);
  }
  // Null where there is none.
  template <Key kKey>
  void TextOrNull(std::string_view value) {
    if (value.empty()) return Null<kKey>();
    Text<kKey>(value);
  }
  template <Key kKey>
  void Number(uint64_t value) {
    Name<kKey>();
    AppendNumber(value, out_);
  }
  template <Key kKey>
  void Ms(uint64_t us) {
    Name<kKey>();
    AppendMs(us, out_);
  }
  template <Key kKey>
  void MsOrNull(uint32_t us) {
    if (us == kNever) return Null<kKey>();
    Ms<kKey>(us);
  }
  template <Key kKey>
  void Bool(bool value) {
    Name<kKey>();
    out_ += value ? "true" : "false";
  }
  template <Key kKey>
  void Null() {
    Name<kKey>();
    out_ += "null";
  }

 private:
  std::string& out_;
  const size_t begin_;
};

// From the connection on, so that the parts add up.
uint32_t ResponseUs(const AccessRecord& r) {
  if (r.response_us == kNever || r.connect_us == kNever) return kNever;
  return r.response_us - std::min(r.connect_us, r.response_us);
}

void AppendTruncated(uint8_t truncated, Object& object, std::string& out) {
  static constexpr const char* kNames[kAccessTexts] = {"target", "host", "forwarded_for", "referer", "user_agent"};
  if (truncated == 0) return;
  object.Name<"truncated">();
  char before = '[';
  for (uint32_t i = 0; i < kAccessTexts; ++i) {
    if ((truncated >> i & 1) == 0) continue;
    out += before;
    AppendJsonString(kNames[i], out);
    before = ',';
  }
  out += ']';
}

}  // namespace

void Calendar::Set(int64_t unix_s) {
  if (unix_s == second_) return;
  second_ = unix_s;
  const std::time_t seconds = static_cast<std::time_t>(unix_s);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  // Not strftime's %b: it follows the locale.
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour,
                utc.tm_min, utc.tm_sec);
  iso_ = text;
  std::snprintf(text, sizeof text, "%02d/%s/%04d:%02d:%02d:%02d +0000", utc.tm_mday, kMonths[utc.tm_mon], utc.tm_year + 1900,
                utc.tm_hour, utc.tm_min, utc.tm_sec);
  common_ = text;
}

void Calendar::AppendIso(int64_t unix_us, std::string& out) {
  Set(unix_us / kSecondUs);
  char digits[8];
  uint64_t rest = static_cast<uint64_t>(unix_us % kSecondUs);
  for (int i = 5; i >= 0; --i, rest /= 10) digits[i] = static_cast<char>('0' + rest % 10);
  digits[6] = 'Z';
  out += iso_;
  out.append(digits, 7);
}

void Calendar::AppendCommon(int64_t unix_us, std::string& out) {
  Set(unix_us / kSecondUs);
  out += common_;
}

LineWriter::Texts LineWriter::Split(const AccessRecord& record, const char* text) {
  Texts t;
  std::string_view* const all[kAccessTexts] = {&t.line, &t.host, &t.forwarded_for, &t.referer, &t.user_agent};
  for (uint32_t i = 0; i < kAccessTexts; ++i) {
    *all[i] = {text, record.sizes[i]};
    text += record.sizes[i];
  }
  const size_t space = t.line.find(' ');
  if (space == std::string_view::npos) return t;
  t.method = t.line.substr(0, space);
  t.target = t.line.substr(space + 1);
  const size_t last = t.target.rfind(" HTTP/");
  if (last == std::string_view::npos) return t;  // cut off, or not understood
  t.version = t.target.substr(last + 6);
  t.target = t.target.substr(0, last);
  return t;
}

void LineWriter::Append(api::AccessFormat format, const AccessRecord& record, const char* text, const HandleNames::Reader& names,
                        int64_t unix_us_at_zero, std::string& out) {
  const Texts texts = Split(record, text);
  const int64_t start = unix_us_at_zero + static_cast<int64_t>(record.start_us);
  if (format == api::AccessFormat::kJson) AppendJson(record, texts, names, start, out);
  else AppendCombined(record, texts, names, start, out);
  out += '\n';
}

void LineWriter::AppendJson(const AccessRecord& r, const Texts& t, const HandleNames::Reader& names, int64_t unix_us, std::string& out) {
  Object object(out);
  object.Name<"time">();
  out += '"';
  calendar_.AppendIso(unix_us, out);
  out += '"';
  object.Text<"listener">(names.Listener(r.listener));
  object.Text<"protocol">(r.tcp ? "tcp" : "http");
  object.Name<"client">();
  out += '"';
  AppendAddress(r.client, out);
  out += '"';
  object.Number<"client_port">(r.client.port);
  if (!r.tcp) {
    object.TextOrNull<"method">(t.method);
    object.TextOrNull<"target">(t.method.empty() ? t.line : t.target);
    object.TextOrNull<"version">(t.version);
    object.TextOrNull<"host">(t.host);
    if (r.status == 0) object.Null<"status">();
    else object.Number<"status">(r.status);
  }
  object.Text<"end">(kEndNames[static_cast<size_t>(r.end)]);
  object.TextOrNull<"service">(names.Service(r.service));
  object.TextOrNull<"endpoint">(names.Endpoint(r.endpoint));
  object.TextOrNull<"endpoint_address">(names.EndpointAddress(r.endpoint));
  object.Number<"retries">(r.attempts > 1 ? r.attempts - 1u : 0u);
  object.Bool<"reused">(r.reused);
  object.Ms<"total_ms">(r.end_us - r.start_us);
  object.MsOrNull<"queue_ms">(r.queue_us);
  object.MsOrNull<"connect_ms">(r.connect_us);
  if (!r.tcp) object.MsOrNull<"response_ms">(ResponseUs(r));
  object.Number<"received_bytes">(r.bytes_received);
  object.Number<"sent_bytes">(r.bytes_sent);
  if (!r.tcp) {
    object.TextOrNull<"forwarded_for">(t.forwarded_for);
    object.TextOrNull<"referer">(t.referer);
    object.TextOrNull<"user_agent">(t.user_agent);
  }
  AppendTruncated(r.truncated, object, out);
}

void LineWriter::AppendCombined(const AccessRecord& r, const Texts& t, const HandleNames::Reader& names, int64_t unix_us, std::string& out) {
  const auto quoted = [&out](std::string_view text) {
    out += " \"";
    AppendQuotable(text.empty() ? "-" : text, out);
    out += '"';
  };
  AppendAddress(r.client, out);
  out += " - - [";
  calendar_.AppendCommon(unix_us, out);
  out += ']';
  if (r.tcp) quoted("TCP " + std::string(names.Listener(r.listener)));
  else quoted(t.line);
  const char status[] = {' ', static_cast<char>('0' + r.status / 100 % 10), static_cast<char>('0' + r.status / 10 % 10),
                         static_cast<char>('0' + r.status % 10), ' '};
  out.append(status, sizeof status);
  AppendNumber(r.bytes_sent - std::min<uint64_t>(r.head_bytes_sent, r.bytes_sent), out);
  quoted(t.referer);
  quoted(t.user_agent);
}

}  // namespace ringway::dp

// What must hold for every head that is accepted, request or response, told by plain string work
// that shares nothing with the parser.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dataplane/core/http_head.h"
#include "tests/fuzz/fuzz_check.h"

namespace ringway::dp::fuzz {

inline std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

inline std::string Trim(std::string_view text) {
  const size_t from = text.find_first_not_of(" \t");
  if (from == text.npos) return "";
  return std::string(text.substr(from, text.find_last_not_of(" \t") - from + 1));
}

struct Fields {
  std::vector<std::pair<std::string, std::string>> lines;  // name in small letters, value

  size_t Count(std::string_view name) const {
    size_t count = 0;
    for (const auto& line : lines) count += line.first == name;
    return count;
  }
  std::string Value(std::string_view name) const {
    for (const auto& line : lines) {
      if (line.first == name) return line.second;
    }
    return "";
  }
};

// `text` is from the first field line to the end of the blank line.
inline Fields SplitFields(std::string_view text) {
  Fields fields;
  while (!text.starts_with("\r\n")) {
    const size_t end = text.find("\r\n");
    FUZZ_CHECK(end != text.npos);
    const std::string_view line = text.substr(0, end);
    for (const char c : line) {
      FUZZ_CHECK(c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f));
    }
    const size_t colon = line.find(':');
    FUZZ_CHECK(colon != line.npos && colon != 0);
    const std::string name = Lower(line.substr(0, colon));
    FUZZ_CHECK(name.find_first_not_of("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") ==
               name.npos);
    fields.lines.emplace_back(name, Trim(line.substr(colon + 1)));
    text.remove_prefix(end + 2);
  }
  FUZZ_CHECK(text.size() == 2);
  return fields;
}

inline void CheckSpan(Span span, uint32_t size) {
  FUZZ_CHECK(span.offset <= size && span.size <= size - span.offset);
}

// Whole lines, ascending, apart from one another.
inline void CheckCuts(std::string_view text, const Cuts& cuts, uint32_t from, uint32_t to) {
  FUZZ_CHECK(cuts.count <= kCutsMax);
  uint32_t last = 0;
  for (int i = 0; i < cuts.count; ++i) {
    const Span cut = cuts.at[i];
    FUZZ_CHECK(cut.size > 2 && cut.offset >= from && cut.offset + cut.size <= to);
    FUZZ_CHECK(i == 0 || cut.offset > last);
    FUZZ_CHECK(text.substr(cut.offset - 2, 2) == "\r\n");
    last = cut.offset + cut.size;
    FUZZ_CHECK(text.substr(last - 2, 2) == "\r\n");
  }
}

inline std::string Without(std::string_view text, const Cuts& cuts) {
  std::string out;
  size_t at = 0;
  for (int i = 0; i < cuts.count; ++i) {
    out += text.substr(at, cuts.at[i].offset - at);
    at = cuts.at[i].offset + cuts.at[i].size;
  }
  return out.append(text.substr(at));
}

// The one message framing that the fields of the whole head allow.
template <typename Head>
void CheckFraming(const Head& head, const Fields& fields, bool bodiless) {
  const size_t lengths = fields.Count("content-length");
  const size_t codings = fields.Count("transfer-encoding");
  FUZZ_CHECK(lengths + codings <= 1);
  FUZZ_CHECK(head.chunked == (codings == 1));
  FUZZ_CHECK(head.has_length == (lengths == 1 && !bodiless));
  FUZZ_CHECK(head.has_length || head.length == 0);
  if (head.chunked) {
    FUZZ_CHECK(Lower(fields.Value("transfer-encoding")) == "chunked" && head.minor_version == 1);
  }
  if (head.has_length) {
    const std::string value = fields.Value("content-length");
    FUZZ_CHECK(!value.empty() && value.find_first_not_of("0123456789") == value.npos);
    FUZZ_CHECK(std::stoull(value) == head.length && head.length <= uint64_t{1} << 62);
  }
}

inline void CheckNoHopByHop(const Fields& forwarded, bool upgrade) {
  for (const char* name : {"connection", "keep-alive", "proxy-connection", "te"}) {
    FUZZ_CHECK(forwarded.Count(name) == 0);
  }
  FUZZ_CHECK(forwarded.Count("upgrade") == (upgrade ? 1 : 0));
}

// What Connection names must not pass. `fields` are those received.
inline void CheckNominated(const Fields& fields, const Fields& forwarded, bool upgrade) {
  for (const auto& [name, value] : fields.lines) {
    if (name != "connection") continue;
    for (size_t from = 0; from <= value.size();) {
      const size_t comma = std::min(value.find(',', from), value.size());
      const std::string option = Lower(Trim(std::string_view(value).substr(from, comma - from)));
      FUZZ_CHECK(forwarded.Count(option) == 0 || (option == "upgrade" && upgrade));
      from = comma + 1;
    }
  }
}

}  // namespace ringway::dp::fuzz

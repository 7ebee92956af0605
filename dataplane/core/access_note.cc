// See access_note.h.
#include "dataplane/core/access_note.h"

#include <algorithm>
#include <cstring>

#include "dataplane/core/http_field.h"

namespace ringway::dp {
namespace {

void Append(AccessNote& note, AccessText which, std::string_view text) {
  const auto i = static_cast<size_t>(which);
  const auto size = static_cast<uint16_t>(std::min<size_t>(text.size(), kAccessTextMax[i]));
  if (size < text.size()) note.truncated = static_cast<uint8_t>(note.truncated | 1u << i);
  note.sizes[i] = size;
  if (size > 0) std::memcpy(note.text + note.size, text.data(), size);  // an absent text has no address
  note.size = static_cast<uint16_t>(note.size + size);
}

std::string_view Value(const char* from, const char* to) {
  while (from != to && http::IsSpace(*from)) ++from;
  while (to != from && http::IsSpace(to[-1])) --to;
  return {from, static_cast<size_t>(to - from)};
}

struct Fields {
  std::string_view referer;
  std::string_view user_agent;
};

// The head is known to be valid: lines end with CRLF, and no white space stands before a colon.
Fields FindFields(const char* p, const char* end) {
  constexpr std::string_view kReferer = "referer:", kUserAgent = "user-agent:";
  Fields fields;
  for (int left = 2; p + kUserAgent.size() < end && left > 0;) {
    const char* line_end = static_cast<const char*>(std::memchr(p, '\n', static_cast<size_t>(end - p)));
    const char first = static_cast<char>(*p | 0x20);
    if (first == 'u' && p[10] == ':' && http::IsWord(p, "user-agent")) {
      fields.user_agent = Value(p + kUserAgent.size(), line_end - 1);
      --left;
    } else if (first == 'r' && p[7] == ':' && http::IsWord(p, "referer")) {
      fields.referer = Value(p + kReferer.size(), line_end - 1);
      --left;
    }
    p = line_end + 1;
  }
  return fields;
}

}  // namespace

void NoteNothing(AccessNote& note) {
  note.sizes = {};
  note.size = 0;
  note.truncated = 0;
}

void NoteRequest(const char* data, const RequestHead& head, AccessNote& note) {
  const auto text = [data](Span span) { return std::string_view(data + span.offset, span.size); };
  const Fields fields = FindFields(data + head.headers_offset, data + head.size);
  note.size = 0;
  note.truncated = 0;
  Append(note, AccessText::kLine, {data + head.start, head.version_offset + 1 - head.start});
  Append(note, AccessText::kHost, text(head.host));
  Append(note, AccessText::kForwardedFor, text(head.forwarded_for));
  Append(note, AccessText::kReferer, fields.referer);
  Append(note, AccessText::kUserAgent, fields.user_agent);
}

void NoteRefused(std::string_view received, AccessNote& note) {
  NoteNothing(note);
  received = received.substr(0, std::min(received.find_first_of("\r\n"), received.size()));
  Append(note, AccessText::kLine, received);
}

}  // namespace ringway::dp

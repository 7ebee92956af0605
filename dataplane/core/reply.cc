#include "dataplane/core/reply.h"

#include <cstdio>
#include <cstring>

namespace ringway::dp {
namespace {

struct Text {
  uint16_t status;
  const char* reason;
  const char* body;
};

constexpr Text kTexts[] = {
    {400, "Bad Request", "The request is not valid HTTP.\n"},
    {404, "Not Found", "No service is routed here.\n"},
    {408, "Request Timeout", "The request did not arrive in time.\n"},
    {414, "URI Too Long", "The request target is too long.\n"},
    {431, "Request Header Fields Too Large", "The request head is too large.\n"},
    {501, "Not Implemented", "The request method is not supported.\n"},
    {502, "Bad Gateway", "The endpoint failed while it handled the request.\n"},
    {503, "Service Unavailable", "No endpoint is available right now.\n"},
    {504, "Gateway Timeout", "The endpoint did not answer in time.\n"},
    {505, "HTTP Version Not Supported", "Only HTTP/1.0 and HTTP/1.1 are spoken here.\n"},
};

const Text& Find(uint16_t status) {
  for (const Text& text : kTexts) {
    if (text.status == status) return text;
  }
  return kTexts[6];
}

}  // namespace

uint32_t WriteReply(const ReplyOptions& options, char* out) {
  const Text& text = Find(options.status);
  char retry_after[32] = "";
  if (options.retry_after_s != 0) std::snprintf(retry_after, sizeof retry_after, "Retry-After: %u\r\n", options.retry_after_s);
  const int written =
      std::snprintf(out, kReplyBytesMax,
                    "HTTP/1.1 %u %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\n"
                    "Cache-Control: no-store\r\n%s%s\r\n%s",
                    text.status, text.reason, std::strlen(text.body), retry_after,
                    options.keep_alive ? "" : "Connection: close\r\n", options.head_only ? "" : text.body);
  return static_cast<uint32_t>(written);
}

uint32_t ReplyBodySize(const ReplyOptions& options) {
  return options.head_only ? 0 : static_cast<uint32_t>(std::strlen(Find(options.status).body));
}

}  // namespace ringway::dp

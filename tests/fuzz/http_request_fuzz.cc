// Request heads: any bytes, under every rule, whole and in pieces. What is forwarded is parsed
// again and must frame and route the same, with nothing left to cut.
#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "dataplane/core/http_head.h"
#include "tests/fuzz/http_head_invariants.h"

namespace ringway::dp::fuzz {
namespace {

HeadError Parse(std::string_view text, const RequestRules& rules, uint32_t& scanned,
                RequestHead& head) {
  // A heap copy without room behind it: reading beyond the end is found by the address sanitizer.
  const std::unique_ptr<char[]> copy(new char[text.size()]);
  std::copy(text.begin(), text.end(), copy.get());
  return ParseRequestHead(copy.get(), static_cast<uint32_t>(text.size()), rules, scanned, head);
}

bool SameSpan(Span a, Span b) { return a.offset == b.offset && a.size == b.size; }

void CheckForwarded(std::string_view text, const RequestRules& rules, const RequestHead& head) {
  std::string forwarded = Without(text.substr(0, head.size), head.cuts);
  const Fields fields =
      SplitFields(text.substr(head.headers_offset, head.size - head.headers_offset));
  const Fields kept = SplitFields(std::string_view(forwarded).substr(head.headers_offset));
  CheckFraming(head, fields, false);
  CheckFraming(head, kept, false);
  CheckNoHopByHop(kept, head.upgrade);
  CheckNominated(fields, kept, head.upgrade);
  FUZZ_CHECK(fields.Count("host") <= 1 && fields.Count("host") == kept.Count("host"));
  FUZZ_CHECK(fields.Count("host") == 1 || head.minor_version == 0);
  if (!rules.keep_forwarded) {
    for (const char* name : {"x-forwarded-for", "x-forwarded-port", "x-forwarded-proto"}) {
      FUZZ_CHECK(kept.Count(name) == 0);
    }
  }
  FUZZ_CHECK(head.minor_version == 1 || kept.Count("expect") == 0);

  if (head.upgrade) forwarded.insert(forwarded.size() - 2, "Connection: Upgrade\r\n");
  RequestHead again;
  uint32_t scanned = 0;
  FUZZ_CHECK(Parse(forwarded, rules, scanned, again) == HeadError::kNone);
  FUZZ_CHECK(again.size == forwarded.size() && again.cuts.count == (head.upgrade ? 1 : 0));
  FUZZ_CHECK(again.chunked == head.chunked && again.has_length == head.has_length);
  FUZZ_CHECK(again.length == head.length && again.upgrade == head.upgrade);
  FUZZ_CHECK(again.expect_continue == head.expect_continue && again.method == head.method);
  FUZZ_CHECK(SameSpan(again.target, head.target) && SameSpan(again.path, head.path));
  FUZZ_CHECK(again.host.size == head.host.size);
  FUZZ_CHECK(forwarded.substr(again.host.offset, again.host.size) ==
             text.substr(head.host.offset, head.host.size));
}

void CheckAccepted(std::string_view text, const RequestRules& rules, const RequestHead& head) {
  FUZZ_CHECK(head.size <= text.size() && head.size <= rules.limits.head_bytes_max);
  FUZZ_CHECK(text.substr(head.size - 4, 4) == "\r\n\r\n");
  FUZZ_CHECK(text.substr(0, head.size).find("\r\n\r\n") == head.size - 4);
  FUZZ_CHECK(head.start == (text.starts_with("\r\n") ? 2 : 0));
  for (const Span span :
       {head.target, head.host, head.path, head.upgrade_value, head.forwarded_for}) {
    CheckSpan(span, head.size);
  }
  FUZZ_CHECK(head.target.size != 0 && head.target.size <= rules.limits.target_bytes_max);
  FUZZ_CHECK(head.path.offset >= head.target.offset);
  FUZZ_CHECK(head.path.offset + head.path.size <= head.target.offset + head.target.size);
  FUZZ_CHECK(text[head.version_offset] == '0' + head.minor_version);
  FUZZ_CHECK(text.substr(head.version_offset - 7, 7) == "HTTP/1.");
  FUZZ_CHECK(head.headers_offset == head.version_offset + 3);
  CheckCuts(text, head.cuts, head.headers_offset, head.size - 2);
  CheckForwarded(text, rules, head);
}

// In pieces of `step` bytes the answer is the same; only a refusal may come later, or wait for
// more.
void CheckPieces(std::string_view text, const RequestRules& rules, HeadError whole,
                 const RequestHead& head, size_t step) {
  RequestHead pieced;
  uint32_t scanned = 0;
  HeadError error = HeadError::kIncomplete;
  for (size_t end = step; error == HeadError::kIncomplete; end += step) {
    error = Parse(text.substr(0, end), rules, scanned, pieced);
    if (end >= text.size()) break;
  }
  if (whole == HeadError::kNone || whole == HeadError::kTooLarge) FUZZ_CHECK(error == whole);
  FUZZ_CHECK(error == whole || error == HeadError::kIncomplete);
  if (error == HeadError::kNone) {
    FUZZ_CHECK(pieced.size == head.size && pieced.cuts.count == head.cuts.count);
    FUZZ_CHECK(pieced.length == head.length && SameSpan(pieced.host, head.host));
  } else if (error != HeadError::kIncomplete) {
    FUZZ_CHECK(pieced.bad_reason == head.bad_reason);
  }
}

}  // namespace
}  // namespace ringway::dp::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ringway::dp;
  const std::string_view text(static_cast<const char*>(static_cast<const void*>(data)), size);
  for (const bool flag : {false, true}) {
    const RequestRules rules{
        .limits = {.head_bytes_max = flag ? 2048u : 1024u, .target_bytes_max = 200},
        .keep_forwarded = flag,
        .keep_upgrade = !flag || size % 2 == 0};
    RequestHead head;
    uint32_t scanned = 0;
    const HeadError error = fuzz::Parse(text, rules, scanned, head);
    FUZZ_CHECK((error == HeadError::kBad) == (head.bad_reason != BadReason::kNone));
    if (error == HeadError::kNone) fuzz::CheckAccepted(text, rules, head);
    fuzz::CheckPieces(text, rules, error, head, 1 + size % 61);
    if (size < 512) fuzz::CheckPieces(text, rules, error, head, 1);
  }
  return 0;
}

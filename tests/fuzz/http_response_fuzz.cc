// Response heads: any bytes, whole and in pieces. What is forwarded is parsed again and must frame
// the same, with nothing left to cut.
#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "dataplane/core/http_head.h"
#include "tests/fuzz/http_head_invariants.h"

namespace ringway::dp::fuzz {
namespace {

constexpr uint32_t kHeadBytesMax = 1024;

HeadError Parse(std::string_view text, uint32_t& scanned, ResponseHead& head) {
  // A heap copy without room behind it: reading beyond the end is found by the address sanitizer.
  const std::unique_ptr<char[]> copy(new char[text.size()]);
  std::copy(text.begin(), text.end(), copy.get());
  return ParseResponseHead(copy.get(), static_cast<uint32_t>(text.size()), kHeadBytesMax, scanned,
                           head);
}

void CheckForwarded(std::string_view text, const ResponseHead& head) {
  const bool bodiless = head.status < 200 || head.status == 204;
  std::string forwarded = Without(text.substr(0, head.size), head.cuts);
  const Fields fields =
      SplitFields(text.substr(head.headers_offset, head.size - head.headers_offset));
  const Fields kept = SplitFields(std::string_view(forwarded).substr(head.headers_offset));
  CheckFraming(head, fields, bodiless);
  CheckFraming(head, kept, bodiless);
  CheckNoHopByHop(kept, head.upgrade);
  CheckNominated(fields, kept, head.upgrade);
  FUZZ_CHECK(!bodiless || kept.Count("content-length") + kept.Count("transfer-encoding") == 0);
  FUZZ_CHECK(!head.upgrade || head.status == 101);

  if (head.upgrade) forwarded.insert(forwarded.size() - 2, "Connection: Upgrade\r\n");
  ResponseHead again;
  uint32_t scanned = 0;
  FUZZ_CHECK(Parse(forwarded, scanned, again) == HeadError::kNone);
  FUZZ_CHECK(again.size == forwarded.size() && again.cuts.count == (head.upgrade ? 1 : 0));
  FUZZ_CHECK(again.chunked == head.chunked && again.has_length == head.has_length);
  FUZZ_CHECK(again.length == head.length && again.upgrade == head.upgrade);
  FUZZ_CHECK(again.status == head.status && again.minor_version == head.minor_version);
}

void CheckAccepted(std::string_view text, const ResponseHead& head) {
  FUZZ_CHECK(head.size <= text.size() && head.size <= kHeadBytesMax);
  FUZZ_CHECK(text.substr(0, head.size).find("\r\n\r\n") == head.size - 4);
  FUZZ_CHECK(head.status >= 100 && head.status <= 599);
  FUZZ_CHECK(text.substr(9, 3) == std::to_string(head.status));
  FUZZ_CHECK(head.version_offset == 7 && text[7] == '0' + head.minor_version);
  FUZZ_CHECK(head.headers_offset == text.find("\r\n") + 2);
  CheckSpan(head.upgrade_value, head.size);
  CheckCuts(text, head.cuts, head.headers_offset, head.size - 2);
  CheckForwarded(text, head);
}

// In pieces of `step` bytes the answer is the same; only a refusal may come later, or wait for
// more.
void CheckPieces(std::string_view text, HeadError whole, const ResponseHead& head, size_t step) {
  ResponseHead pieced;
  uint32_t scanned = 0;
  HeadError error = HeadError::kIncomplete;
  for (size_t end = step; error == HeadError::kIncomplete; end += step) {
    error = Parse(text.substr(0, end), scanned, pieced);
    if (end >= text.size()) break;
  }
  if (whole == HeadError::kNone || whole == HeadError::kTooLarge) FUZZ_CHECK(error == whole);
  FUZZ_CHECK(error == whole || error == HeadError::kIncomplete);
  if (error == HeadError::kNone) {
    FUZZ_CHECK(pieced.size == head.size && pieced.cuts.count == head.cuts.count);
    FUZZ_CHECK(pieced.length == head.length);
  } else if (error != HeadError::kIncomplete) {
    FUZZ_CHECK(pieced.bad_reason == head.bad_reason);
  }
}

}  // namespace
}  // namespace ringway::dp::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ringway::dp;
  const std::string_view text(static_cast<const char*>(static_cast<const void*>(data)), size);
  ResponseHead head;
  uint32_t scanned = 0;
  const HeadError error = fuzz::Parse(text, scanned, head);
  FUZZ_CHECK((error == HeadError::kBad) == (head.bad_reason != BadReason::kNone));
  if (error == HeadError::kNone) fuzz::CheckAccepted(text, head);
  fuzz::CheckPieces(text, error, head, 1 + size % 61);
  if (size < 512) fuzz::CheckPieces(text, error, head, 1);
  return 0;
}

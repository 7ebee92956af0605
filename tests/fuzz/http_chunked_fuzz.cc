// Chunked bodies: any bytes, whole, in pieces and stripped, against the slow reference of the
// tests.
#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "dataplane/core/http_chunked.h"
#include "tests/fuzz/fuzz_check.h"
#include "tests/unit/dataplane/core/http_chunked_reference.h"

namespace ringway::dp::fuzz {
namespace {

test::ChunkedOutcome Run(std::string_view text, size_t step, bool strip) {
  ChunkScanner scanner;
  test::ChunkedOutcome out;
  for (size_t at = 0; at < text.size() && out.result == ChunkScanner::Result::kMore; at += step) {
    const std::string_view piece = text.substr(at, step);
    const auto size = static_cast<uint32_t>(piece.size());
    const std::unique_ptr<char[]> copy(new char[size]);
    std::copy(piece.begin(), piece.end(), copy.get());
    uint32_t consumed = 0;
    uint32_t payload = 0;
    out.result = strip ? scanner.Strip(copy.get(), size, consumed, payload)
                       : scanner.Scan(copy.get(), size, consumed);
    FUZZ_CHECK(consumed <= size && payload <= consumed);
    FUZZ_CHECK(out.result != ChunkScanner::Result::kMore || consumed == size);
    out.consumed += consumed;
    out.payload.append(copy.get(), payload);
  }
  return out;
}

}  // namespace
}  // namespace ringway::dp::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ringway::dp;
  const std::string_view text(static_cast<const char*>(static_cast<const void*>(data)), size);
  const test::ChunkedOutcome expected = test::ReferenceChunked(text);
  for (const size_t step : {size + 1, size < 512 ? 1 : size / 7, 1 + size % 61}) {
    FUZZ_CHECK(fuzz::Run(text, step, true) == expected);
    const test::ChunkedOutcome scanned = fuzz::Run(text, step, false);
    FUZZ_CHECK(scanned.result == expected.result && scanned.consumed == expected.consumed);
  }
  return 0;
}

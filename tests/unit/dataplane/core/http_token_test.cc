// The searches of http_token.h: every stop byte is found by the byte-wise way and by the
// sixteen-wise way alike, wherever it stands and however much input is around it.
#include "dataplane/core/http_token.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/dataplane/core/http_test_support.h"

namespace ringway::dp::test {
namespace {

template <typename Stop>
void ExpectFound(bool (*stops)(int), char other) {
  for (int c = 0; c < 256; ++c) {
    for (size_t size = 1; size < 50; ++size) {
      for (size_t at = 0; at < size; at += 1 + size / 5) {
        std::string text(size, other);
        text[at] = static_cast<char>(c);
        const Exact exact(text);
        const http::Input in{exact.bytes.get(), exact.bytes.get() + size};
        const size_t expected = stops(c) ? at : size;
        ASSERT_EQ(http::Find<Stop>(in, in.begin) - in.begin, static_cast<ptrdiff_t>(expected))
            << c << " at " << at << " of " << size;
        // A stop byte before the place where the search begins is not looked at.
        ASSERT_EQ(http::Find<Stop>(in, in.begin + at + 1), in.end);
      }
    }
  }
}

TEST(HttpToken, FindsControlBytes) {
  ExpectFound<http::ControlStop>([](int c) { return (c < 0x20 && c != '\t') || c == 0x7f; }, 'x');
}

TEST(HttpToken, FindsTheEndOfATarget) {
  ExpectFound<http::TargetStop>([](int c) { return c <= 0x20 || c >= 0x7f || c == '#'; }, '?');
}

TEST(HttpToken, FindsTheEndOfAPath) {
  ExpectFound<http::PathStop>([](int c) { return c <= 0x20 || c >= 0x7f || c == '#' || c == '?'; },
                              '/');
}

TEST(HttpToken, FindsTheEndOfAPlainName) {
  ExpectFound<http::PlainStop>(
      [](int c) {
        return !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                 c == '-' || c == '.');
      },
      'A');
}

}  // namespace
}  // namespace ringway::dp::test

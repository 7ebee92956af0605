// The searches of http_scan.h: every stop byte is found by the byte-wise way and by the
// sixteen-wise way alike, wherever it stands and however much input is around it.
#include "dataplane/core/http_scan.h"

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

TEST(HttpScan, FindsControlBytes) {
  ExpectFound<http::ControlStop>([](int c) { return (c < 0x20 && c != '\t') || c == 0x7f; }, 'x');
}

TEST(HttpScan, FindsTheEndOfATarget) {
  ExpectFound<http::TargetStop>([](int c) { return c <= 0x20 || c >= 0x7f || c == '#'; }, '?');
}

TEST(HttpScan, FindsTheEndOfAPath) {
  ExpectFound<http::PathStop>([](int c) { return c <= 0x20 || c >= 0x7f || c == '#' || c == '?'; },
                              '/');
}

TEST(HttpScan, FindsTheEndOfAPlainName) {
  ExpectFound<http::PlainStop>(
      [](int c) {
        return !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                 c == '-' || c == '.');
      },
      'A');
}

TEST(HttpScan, FindsTheEndOfAFieldName) {
  ExpectFound<http::NameStop>(
      [](int c) { return !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-'); }, 'A');
}

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

// The offset of the next control byte at or after `at` that has a byte behind it; -1 when there is none.
ptrdiff_t NextAt(http::ControlScan& scan, const http::Input& in, size_t at) {
  const char* found = nullptr;
  return scan.Next(in.begin + at, found) ? found - in.begin : -1;
}

// Every control byte of `text` but its last one, one after the other, as a reader of lines asks for them.
void ExpectAllControls(const std::string& text, size_t from) {
  const Exact exact(text);
  const http::Input in{exact.bytes.get(), exact.bytes.get() + text.size()};
  http::ControlScan scan(in, in.begin + from);
  size_t at = from;
  for (size_t i = from; i + 1 < text.size(); ++i) {
    if (!IsControl(text[i])) continue;
    ASSERT_EQ(NextAt(scan, in, at), static_cast<ptrdiff_t>(i)) << "of " << text.size();
    at = i + 1;
  }
  ASSERT_EQ(NextAt(scan, in, at), -1);
  ASSERT_EQ(NextAt(scan, in, text.size()), -1);
}

TEST(HttpScan, TellsEveryControlByteFromTheOthers) {
  for (int c = 0; c < 256; ++c) {
    for (const size_t size : {1u, 15u, 16u, 40u, 64u, 65u, 150u}) {
      for (size_t at = 0; at < size; at += 7) {
        std::string text(size, '\x80');
        text[at] = static_cast<char>(c);
        ExpectAllControls(text, 0);
        ExpectAllControls(text, at / 2);
      }
    }
  }
}

TEST(HttpScan, FindsControlBytesOfManyLinesWhereverTheSearchSkipsAhead) {
  for (size_t line = 1; line < 140; ++line) {
    std::string text;
    while (text.size() < 400) text += std::string(line, 'a') + "\r\n";
    ExpectAllControls(text, 0);
    ExpectAllControls(text, line);
    const Exact exact(text);
    const http::Input in{exact.bytes.get(), exact.bytes.get() + text.size()};
    http::ControlScan scan(in, in.begin);
    for (size_t at = 0; at < text.size(); at += 2 * (line + 2)) {  // every other line is not asked for
      const size_t end = at + line;
      ASSERT_EQ(NextAt(scan, in, at), end + 1 < text.size() ? static_cast<ptrdiff_t>(end) : -1);
    }
  }
}

}  // namespace
}  // namespace ringway::dp::test

// Whatever bytes a client sends, a line stays a line and a string stays a string.
#include "dataplane/access_log/escape.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <random>

namespace ringway::dp {
namespace {

std::string Json(std::string_view text) {
  std::string out;
  AppendJsonString(text, out);
  return out;
}

std::string Quotable(std::string_view text) {
  std::string out;
  AppendQuotable(text, out);
  return out;
}

TEST(AccessLogEscape, JsonOfPlainAndSpecialBytes) {
  EXPECT_EQ(Json({}), R"("")");
  EXPECT_EQ(Json(""), R"("")");
  EXPECT_EQ(Json("/a?b=c&d"), R"("/a?b=c&d")");
  EXPECT_EQ(Json("a\"b\\c"), R"("a\"b\\c")");
  EXPECT_EQ(Json("a\r\nb\t\x01\x7f"), R"("a\u000d\u000ab\u0009\u0001\u007f")");
  EXPECT_EQ(Json(std::string_view("a\0b", 3)), R"("a\u0000b")");
}

TEST(AccessLogEscape, JsonKeepsUtf8AndSpellsOutWhatIsNot) {
  EXPECT_EQ(Json("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"), "\"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80\"");
  EXPECT_EQ(Json("\xe4"), R"("\u00e4")");                        // Latin-1
  EXPECT_EQ(Json("\xc0\xaf"), R"("\u00c0\u00af")");              // overlong
  EXPECT_EQ(Json("\xe0\x80\xaf"), R"("\u00e0\u0080\u00af")");    // overlong
  EXPECT_EQ(Json("\xed\xa0\x80"), R"("\u00ed\u00a0\u0080")");    // surrogate
  EXPECT_EQ(Json("\xf4\x90\x80\x80"), R"("\u00f4\u0090\u0080\u0080")");  // beyond U+10FFFF
  EXPECT_EQ(Json("\xe2\x82"), R"("\u00e2\u0082")");              // cut in the middle
  EXPECT_EQ(Json("\xe2\x82\""), R"("\u00e2\u0082\"")");
}

TEST(AccessLogEscape, JsonOfAnyBytesIsAStringOnOneLine) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20000; ++i) {
    std::string text(random() % 24, '\0');
    for (char& c : text) c = static_cast<char>(random() % 4 == 0 ? "\"\\\n\xc3\xe2\xf0\x80\xbf"[random() % 8] : random());
    const std::string json = Json(text);
    boost::json::error_code error;
    EXPECT_TRUE(boost::json::parse(json, error).is_string()) << json;
    EXPECT_EQ(json.find_first_of("\r\n"), std::string::npos);
    for (const char c : json) EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20);
  }
}

// The search looks at sixteen bytes at once: a byte that has to be escaped is found wherever it stands, and no other is.
TEST(AccessLogEscape, EveryByteAtEveryPlace) {
  for (int c = 0; c < 256; ++c) {
    const std::string alone = Quotable(std::string(1, static_cast<char>(c)));
    const std::string json_alone = Json(std::string(1, static_cast<char>(c)));
    EXPECT_EQ(alone.size(), c >= 0x20 && c < 0x7f && c != '"' && c != '\\' ? 1u : 4u) << c;
    for (size_t size : {1u, 15u, 16u, 17u, 31u, 32u, 40u}) {
      for (size_t at = 0; at < size; ++at) {
        std::string text(size, 'a');
        text[at] = static_cast<char>(c);
        const std::string before(at, 'a'), after(size - at - 1, 'a');
        ASSERT_EQ(Quotable(text), before + alone + after) << c;
        ASSERT_EQ(Json(text), "\"" + before + json_alone.substr(1, json_alone.size() - 2) + after + "\"") << c;
      }
    }
  }
}

TEST(AccessLogEscape, TheCombinedFormatAsNginxDoes) {
  EXPECT_EQ(Quotable({}), "");
  EXPECT_EQ(Quotable("GET /a HTTP/1.1"), "GET /a HTTP/1.1");
  EXPECT_EQ(Quotable("a\"b\\c"), R"(a\x22b\x5Cc)");
  EXPECT_EQ(Quotable("a\r\n127.0.0.1 - - [x] \"GET"), R"(a\x0D\x0A127.0.0.1 - - [x] \x22GET)");
  EXPECT_EQ(Quotable("\xc3\xa4\x7f\x1b[31m"), R"(\xC3\xA4\x7F\x1B[31m)");
  for (int c = 0; c < 256; ++c) {
    for (const char out : Quotable(std::string(1, static_cast<char>(c)))) EXPECT_TRUE(out >= 0x20 && out < 0x7f && out != '"') << c;
  }
}

}  // namespace
}  // namespace ringway::dp

// A record as a line of the access log; docs/reference/access_log.md is its contract. The access log's thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/api/feed.h"
#include "dataplane/core/access_record.h"
#include "dataplane/feed/handle_names.h"

namespace ringway::dp {

// Wall-clock times as text; the date is made anew only when the second changes.
class Calendar {
 public:
  // 2026-11-22T19:32:14.123456Z
  void AppendIso(int64_t unix_us, std::string& out);
  // 22/Nov/2026:19:32:14 +0000
  void AppendCommon(int64_t unix_us, std::string& out);

 private:
  void Set(int64_t unix_s);
  int64_t second_ = -1;
  std::string iso_, common_;
};

class LineWriter {
 public:
  LineWriter() = default;
  // `record` and `text` as they stand in the ring; `unix_us_at_zero` turns Io::NowUs into wall-clock time.
  void Append(api::AccessFormat format, const AccessRecord& record, const char* text, const HandleNames::Reader& names,
              int64_t unix_us_at_zero, std::string& out);

 private:
  struct Texts {
    std::string_view line, host, forwarded_for, referer, user_agent;
    std::string_view method, target, version;  // of `line`; empty where it is not a request line
  };
  static Texts Split(const AccessRecord& record, const char* text);
  void AppendJson(const AccessRecord& r, const Texts& t, const HandleNames::Reader& names, int64_t unix_us, std::string& out);
  void AppendCombined(const AccessRecord& r, const Texts& t, const HandleNames::Reader& names, int64_t unix_us, std::string& out);

  Calendar calendar_;
};

}  // namespace ringway::dp

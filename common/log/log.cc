// The process's log; see log.h. One logger, stderr, flushed line by line.
#include "common/log/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <ctime>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "common/log/printable.h"

namespace ringway::log {
namespace {

// {"time":"2024-01-02T03:04:05.678Z","level":"info","program":"...","message":"..."}
class JsonFormatter final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    boost::json::object line;
    line["time"] = Time(message.time);
    const auto level = spdlog::level::to_string_view(message.level);
    line["level"] = boost::json::string_view(level.data(), level.size());
    line["program"] = boost::json::string_view(message.logger_name.data(), message.logger_name.size());
    line["message"] = boost::json::string_view(message.payload.data(), message.payload.size());
    const std::string text = boost::json::serialize(line);
    out.append(text.data(), text.data() + text.size());
    out.push_back('\n');
  }
  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<JsonFormatter>();
  }

 private:
  static std::string Time(spdlog::log_clock::time_point at) {
    const auto ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
    const std::time_t seconds = static_cast<std::time_t>(ms / 1000);
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    char text[32];
    const size_t length = std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
    return fmt::format("{}.{:03}Z", std::string_view(text, length), ms % 1000);
  }
};

// One line a message, whatever a name in it holds: nobody writes lines of the log from outside.
class TextFormatter final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    const std::string line = Printable(std::string_view(message.payload.data(), message.payload.size()));
    spdlog::details::log_msg printable = message;
    printable.payload = line;
    pattern_.format(printable, out);
  }
  std::unique_ptr<spdlog::formatter> clone() const override { return std::make_unique<TextFormatter>(); }

 private:
  spdlog::pattern_formatter pattern_{"%Y-%m-%dT%H:%M:%S.%e%z %l %n: %v"};
};

struct Spec {
  spdlog::level::level_enum level = spdlog::level::info;
  bool json = false;
};

absl::StatusOr<Spec> ParseSpec(std::string_view text) {
  Spec spec;
  if (text.empty()) return spec;
  const size_t comma = text.find(',');
  const std::string_view level = text.substr(0, comma);
  const std::string_view format = comma == text.npos ? "text" : text.substr(comma + 1);
  static constexpr std::string_view kLevels[] = {"trace", "debug", "info", "warn", "error"};
  bool known = format == "text" || format == "json";
  spec.json = format == "json";
  bool level_known = false;
  for (size_t i = 0; i < std::size(kLevels); ++i) {
    if (level != kLevels[i]) continue;
    level_known = true;
    spec.level = static_cast<spdlog::level::level_enum>(i);
  }
  if (known && level_known) return spec;
  return absl::InvalidArgumentError(
      absl::StrCat("log: wanted LEVEL or LEVEL,FORMAT with LEVEL trace, debug, info, warn or error "
                   "and FORMAT text or json, got \"",
                   std::string(text), "\""));
}

void Install(std::string_view program, const Spec& spec) {
  auto logger = std::make_shared<spdlog::logger>(
      std::string(program), std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_level(spec.level);
  if (spec.json) {
    logger->set_formatter(std::make_unique<JsonFormatter>());
  } else {
    logger->set_formatter(std::make_unique<TextFormatter>());
  }
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace

absl::Status Init(std::string_view program, std::string_view text) {
  absl::StatusOr<Spec> spec = ParseSpec(text);
  Install(program, spec.ok() ? *spec : Spec{});
  return spec.status();
}

absl::Status InitFromEnvironment(std::string_view program) {
  const char* spec = std::getenv("RINGWAY_LOG");
  absl::Status status = Init(program, spec == nullptr ? "" : spec);
  if (!status.ok()) {
    return absl::InvalidArgumentError("RINGWAY_LOG: " + std::string(status.message()));
  }
  return status;
}

}  // namespace ringway::log

// Boost.JSON reports an offset; people want a line.
#include "sidecar/json_file.h"

#include <sys/stat.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace ringway::sidecar {
namespace {

constexpr size_t kFileBytesMax = 4u << 20;

std::string Position(std::string_view text, size_t offset) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t newline = before.rfind('\n');
  const size_t column = newline == std::string_view::npos ? before.size() + 1 : before.size() - newline;
  return std::to_string(line) + ":" + std::to_string(column);
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    const std::string message = path + ": " + std::strerror(errno);
    return errno == ENOENT ? absl::NotFoundError(message) : absl::PermissionDeniedError(message);
  }
  if (S_ISDIR(info.st_mode)) return absl::InvalidArgumentError(path + ": wanted a file, got a directory");
  std::ifstream in(path, std::ios::binary);
  if (!in) return absl::PermissionDeniedError(path + ": cannot be read");
  std::ostringstream text;
  text << in.rdbuf();
  if (text.str().size() > kFileBytesMax) return absl::InvalidArgumentError(path + ": larger than 4 MiB");
  return text.str();
}

absl::StatusOr<boost::json::value> ReadJsonFile(const std::string& path) {
  absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) return text.status();
  return ParseJsonText(path, *text);
}

absl::StatusOr<boost::json::value> ParseJsonText(const std::string& path, std::string_view text) {
  boost::json::parse_options options;
  options.allow_comments = true;
  options.allow_trailing_commas = true;
  boost::json::stream_parser parser({}, options);
  boost::system::error_code error;
  size_t offset = parser.write_some(text.data(), text.size(), error);
  if (!error && offset < text.size()) error = boost::json::error::extra_data;
  if (!error) parser.finish(error);
  if (!error) return parser.release();
  return absl::InvalidArgumentError(path + ":" + Position(text, offset) + ": not valid JSON: " + error.message());
}

}  // namespace ringway::sidecar

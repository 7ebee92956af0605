// Line by line, as https://docs.python.org/3/library/configparser.html with supervisord's inline comments (" ;").
#include "sidecar/supervise/ini_file.h"

#include <algorithm>
#include <cctype>

namespace ringway::sidecar {
namespace {

std::string_view Trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::string_view WithoutComment(std::string_view line) {
  for (size_t at = 1; at < line.size(); ++at) {
    if (line[at] == ';' && (line[at - 1] == ' ' || line[at - 1] == '\t')) return line.substr(0, at);
  }
  return line;
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

// Adds one line that is neither blank nor comment. Returns what is wrong with it, or nothing.
std::string_view AddLine(std::string_view raw, int number, std::vector<IniSection>& sections) {
  const std::string_view line = Trim(WithoutComment(raw));
  const bool indented = raw.front() == ' ' || raw.front() == '\t';
  if (indented && !sections.empty() && !sections.back().keys.empty()) {
    std::string& value = sections.back().keys.back().value;
    value += "\n" + std::string(line);
    return {};
  }
  if (line.front() == '[') {
    if (line.back() != ']') return "wanted ] at the end of the section's name";
    sections.push_back({std::string(Trim(line.substr(1, line.size() - 2))), number, {}});
    return {};
  }
  const size_t separator = line.find_first_of("=:");
  if (separator == std::string_view::npos) return "wanted [section] or key=value";
  if (sections.empty()) return "wanted a [section] before the first key";
  sections.back().keys.push_back(
      {Lower(Trim(line.substr(0, separator))), std::string(Trim(line.substr(separator + 1))), number});
  return {};
}

}  // namespace

absl::StatusOr<std::vector<IniSection>> ParseIni(const std::string& path, std::string_view text) {
  std::vector<IniSection> sections;
  int number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view raw = text.substr(at, end - at);
    at = end + 1;
    ++number;
    const std::string_view line = Trim(raw);
    if (line.empty() || line.front() == ';' || line.front() == '#') continue;
    const std::string_view wrong = AddLine(raw, number, sections);
    if (!wrong.empty()) {
      return absl::InvalidArgumentError(path + ":" + std::to_string(number) + ": " + std::string(wrong));
    }
  }
  return sections;
}

}  // namespace ringway::sidecar

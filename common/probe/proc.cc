// See proc.h.
#include "common/probe/proc.h"

#include <cstdlib>
#include <fstream>

namespace ringway::probe {

std::optional<std::string> ReadLine(const std::string& path) {
  std::ifstream stream(path);
  std::string line;
  if (!std::getline(stream, line)) return std::nullopt;
  return line;
}

std::optional<long> ReadNumber(const std::string& path) {
  const auto line = ReadLine(path);
  if (!line) return std::nullopt;
  char* end = nullptr;
  const long number = std::strtol(line->c_str(), &end, 10);
  if (end == line->c_str()) return std::nullopt;
  return number;
}

std::string SelfStatus(const std::string& key) {
  std::ifstream stream("/proc/self/status");
  for (std::string line; std::getline(stream, line);) {
    if (line.rfind(key + ":", 0) != 0) continue;
    const size_t start = line.find_first_not_of(" \t", key.size() + 1);
    return start == std::string::npos ? "" : line.substr(start);
  }
  return "";
}

bool HasCapability(int number) {
  const uint64_t effective = std::strtoull(SelfStatus("CapEff").c_str(), nullptr, 16);
  return (effective >> number & 1) != 0;
}

}  // namespace ringway::probe

// Small readers of /proc and /sys for the probes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace ringway::probe {

// First line of a small file without its newline; nullopt when it cannot be read.
std::optional<std::string> ReadLine(const std::string& path);
std::optional<long> ReadNumber(const std::string& path);
// The value of "KEY:\tVALUE" in /proc/self/status; empty when absent.
std::string SelfStatus(const std::string& key);
// Does this process have the capability (number of linux/capability.h) in effect?
bool HasCapability(int number);

}  // namespace ringway::probe

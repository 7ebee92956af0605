// The demo's containers run a Consul client beside Apache. The sidecar does that agent's work, so the agent is left out and
// only what it was told to read is kept.
#include "sidecar/supervise/command_line.h"
#include "sidecar/supervise/program_list.h"

namespace ringway::sidecar {
namespace {

std::string_view BaseName(std::string_view path) { return path.substr(path.find_last_of('/') + 1); }

bool IsShellName(std::string_view name) { return name == "sh" || name == "bash" || name == "dash" || name == "ash"; }

// The words that are run: those of the string behind -c when `argv` is a shell.
std::vector<std::string> RunWords(const std::vector<std::string>& argv) {
  if (argv.empty() || !IsShellName(BaseName(argv.front()))) return argv;
  for (size_t i = 1; i + 1 < argv.size(); ++i) {
    if (argv[i].size() < 2 || argv[i][0] != '-' || argv[i].find('c') == std::string::npos) continue;
    absl::StatusOr<std::vector<std::string>> words = SplitWords(argv[i + 1]);
    if (words.ok()) return *words;
  }
  return argv;
}

// The value of option `name` at words[i] ("-name=V", "--name=V", "-name V"), or empty.
std::string OptionValue(const std::vector<std::string>& words, size_t i, std::string_view name) {
  std::string_view word = words[i];
  if (word.substr(0, 2) == "--") word.remove_prefix(1);
  const std::string dashed = "-" + std::string(name);
  if (word == dashed && i + 1 < words.size()) return words[i + 1];
  if (word.substr(0, dashed.size() + 1) == dashed + "=") return std::string(word.substr(dashed.size() + 1));
  return {};
}

}  // namespace

bool TakeConsulAgent(const std::vector<std::string>& argv, ProgramList& list) {
  const std::vector<std::string> words = RunWords(argv);
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    if (BaseName(words[i]) != "consul" || words[i + 1] != "agent") continue;
    for (size_t j = i + 2; j < words.size(); ++j) {
      if (std::string v = OptionValue(words, j, "config-dir"); !v.empty()) list.consul_config_dirs.push_back(v);
      if (std::string v = OptionValue(words, j, "config-file"); !v.empty()) list.consul_config_files.push_back(v);
    }
    return true;
  }
  return false;
}

}  // namespace ringway::sidecar

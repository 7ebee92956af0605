// What a file of programs says: supervisord.conf or the JSON form.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "sidecar/supervise/program.h"

namespace ringway::sidecar {

struct ProgramList {
  std::vector<Program> programs;
  std::vector<std::string> warnings;             // one for everything that is not honoured, "FILE: ..."
  std::vector<std::string> notices;              // what was done differently than written
  std::vector<std::string> consul_config_dirs;   // of a `consul agent` program that was left out
  std::vector<std::string> consul_config_files;
};

// Reads [program:x] sections as supervisord does, with [include]. The first program in start order that is no Consul agent is
// essential. InvalidArgument names file and line.
absl::StatusOr<ProgramList> ReadSupervisordConf(const std::string& path);
absl::StatusOr<ProgramList> ParseSupervisordConf(const std::string& path, std::string_view text);

// {"programs": [{"name", "command", ...}]}; an unknown key is an error: this format is ours. docs/reference/sidecar.md
absl::StatusOr<ProgramList> ReadProgramsJson(const std::string& path);
absl::StatusOr<ProgramList> ParseProgramsJson(const std::string& path, std::string_view text);

// True when `argv` runs `consul agent`, directly or in the string of `sh -c`; then its -config-dir and -config-file are
// added to `list`.
bool TakeConsulAgent(const std::vector<std::string>& argv, ProgramList& list);

// Makes the first program in start order essential when none is marked.
void ChooseEssential(std::vector<Program>& programs);

}  // namespace ringway::sidecar

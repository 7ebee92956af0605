// The command line, with environment variables for what a compose file sets. docs/reference/sidecar.md
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/http/client.h"
#include "sidecar/register/registration.h"
#include "sidecar/supervise/program.h"

namespace ringway::sidecar {

struct Options {
  std::vector<std::string> config_dirs;
  std::vector<std::string> config_files;
  std::string supervisord_conf;
  std::string programs_json;
  std::string service_name;  // --service: a definition without a file
  uint16_t service_port = 0;
  std::vector<std::string> service_tags;
  http::Url catalog;
  Registration::Options registration;
  std::optional<Restart> restart;  // of the command
  int stop_signal = 0;             // of every program; 0: as each says
  std::optional<std::chrono::milliseconds> stop_timeout;
  std::vector<std::string> command;  // behind "--"
};

// What main does when there is nothing to run: text for stdout (help, version; exit 0) or an error.
struct ParsedOptions {
  Options options;
  std::optional<std::string> print_and_leave;
};
// InvalidArgument for anything that cannot be understood. One dash or two before a long name, as Consul's own tools.
absl::StatusOr<ParsedOptions> ParseOptions(const std::vector<std::string>& arguments);

}  // namespace ringway::sidecar

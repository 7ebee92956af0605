// CLI11 does the parsing; what it does not know (one dash before long names, durations, the "--") is around it.
#include "sidecar/options.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "sidecar/duration.h"
#include "sidecar/supervise/signal_names.h"

namespace ringway::sidecar {
namespace {

// Options as CLI11 gives them, before they mean anything.
struct Raw {
  std::string catalog = "http://127.0.0.1:8500";
  std::string ttl = "3s";
  std::string deregister_after = "30s";
  std::string resync = "30s";
  std::string announce_after = "5s";
  std::string drain_timeout = "30s";
  std::string drain_grace = "2s";
  std::string stop_timeout;
  std::string stop_signal;
  std::string restart;
};

void Declare(CLI::App& app, Options& options, Raw& raw) {
  auto& registration = options.registration;
  app.add_option("--config-dir", options.config_dirs, "Directory of Consul service definitions (*.json); repeatable")
      ->allow_extra_args(false);
  app.add_option("--config-file", options.config_files, "One definition file; repeatable")->allow_extra_args(false);
  app.add_option("--supervisord", options.supervisord_conf, "supervisord.conf whose programs to run");
  app.add_option("--programs", options.programs_json, "JSON file of programs to run");
  app.add_option("--service", options.service_name, "Service to register, without a definition file");
  app.add_option("--port", options.service_port, "Port of --service")->check(CLI::Range(1, 65535));
  app.add_option("--tag", options.service_tags, "Tag of --service; repeatable")->allow_extra_args(false);
  app.add_option("--catalog", raw.catalog, "Catalog's address")->envname("RINGWAY_CATALOG")->capture_default_str();
  app.add_option("--token", registration.token, "Token for the catalog")->envname("CONSUL_HTTP_TOKEN");
  app.add_option("--address", registration.address, "Address to register; default: the one that leads to the catalog")
      ->envname("RINGWAY_ADDRESS");
  app.add_option("--instance", registration.instance, "Last part of the service id; default: the host name")
      ->envname("RINGWAY_INSTANCE");
  app.add_option("--ttl", raw.ttl, "TTL of the check in the catalog where it has no leases (a Consul), refreshed at a third of it")->capture_default_str();
  app.add_option("--deregister-after", raw.deregister_after, "Catalog removes the instance when critical this long")
      ->capture_default_str();
  app.add_option("--resync", raw.resync, "Registers again this often")->capture_default_str();
  app.add_option("--announce-after", raw.announce_after, "Registers an instance that does not pass yet after this long")
      ->capture_default_str();
  app.add_option("--drain-timeout", raw.drain_timeout, "Longest wait for requests in flight at a stop")
      ->envname("RINGWAY_DRAIN_TIMEOUT")
      ->capture_default_str();
  app.add_option("--drain-grace", raw.drain_grace, "Wait in maintenance mode, where the catalog is a real Consul")
      ->capture_default_str();
  app.add_option("--stop-signal", raw.stop_signal, "Graceful signal for the programs; default: by program");
  app.add_option("--stop-timeout", raw.stop_timeout, "From the graceful signal to SIGKILL; default 10s")
      ->envname("RINGWAY_STOP_TIMEOUT");
  app.add_option("--restart", raw.restart, "Restart the command behind --: never (default), on-failure, always")
      ->check(CLI::IsMember({"never", "on-failure", "always"}));
}

absl::Status SetDuration(const char* name, const std::string& text, std::chrono::milliseconds& out) {
  absl::StatusOr<std::chrono::milliseconds> parsed = ParseDuration(text);
  if (!parsed.ok()) return absl::InvalidArgumentError(std::string(name) + ": " + std::string(parsed.status().message()));
  out = *parsed;
  return absl::OkStatus();
}

absl::Status SetDurations(const Raw& raw, Options& options) {
  auto& registration = options.registration;
  std::chrono::milliseconds stop_timeout{0};
  const std::pair<const char*, absl::Status> set[] = {
      {"--ttl", SetDuration("--ttl", raw.ttl, registration.check.ttl)},
      {"--deregister-after", SetDuration("--deregister-after", raw.deregister_after, registration.check.deregister_after)},
      {"--resync", SetDuration("--resync", raw.resync, registration.resync)},
      {"--announce-after", SetDuration("--announce-after", raw.announce_after, registration.announce_after)},
      {"--drain-timeout", SetDuration("--drain-timeout", raw.drain_timeout, registration.drain_timeout)},
      {"--drain-grace", SetDuration("--drain-grace", raw.drain_grace, registration.drain_grace)},
      {"--stop-timeout", raw.stop_timeout.empty() ? absl::OkStatus()
                                                  : SetDuration("--stop-timeout", raw.stop_timeout, stop_timeout)}};
  for (const auto& [name, status] : set) {
    if (!status.ok()) return status;
  }
  if (!raw.stop_timeout.empty()) options.stop_timeout = stop_timeout;
  if (registration.check.ttl < std::chrono::seconds(1)) return absl::InvalidArgumentError("--ttl: wanted at least 1s");
  if (registration.resync < std::chrono::seconds(1)) return absl::InvalidArgumentError("--resync: wanted at least 1s");
  return absl::OkStatus();
}

absl::Status Interpret(const Raw& raw, Options& options) {
  if (const absl::Status set = SetDurations(raw, options); !set.ok()) return set;
  const bool has_scheme = raw.catalog.find("://") != std::string::npos || raw.catalog.rfind("unix:", 0) == 0;
  absl::StatusOr<http::Url> url = http::ParseUrl(has_scheme ? raw.catalog : "http://" + raw.catalog);
  if (!url.ok()) return absl::InvalidArgumentError("--catalog: " + std::string(url.status().message()));
  options.catalog = *url;
  if (!raw.stop_signal.empty()) {
    options.stop_signal = SignalFromName(raw.stop_signal);
    if (options.stop_signal == 0) {
      return absl::InvalidArgumentError("--stop-signal: wanted a signal such as TERM, got \"" + raw.stop_signal + "\"");
    }
  }
  if (raw.restart == "never") options.restart = Restart::kNever;
  if (raw.restart == "on-failure") options.restart = Restart::kOnFailure;
  if (raw.restart == "always") options.restart = Restart::kAlways;
  if (options.registration.instance.empty()) {
    char host[256] = {};
    gethostname(host, sizeof(host) - 1);
    options.registration.instance = host;
  }
  if (options.service_name.empty() && (options.service_port != 0 || !options.service_tags.empty())) {
    return absl::InvalidArgumentError("--port and --tag describe a --service, and there is none");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ParsedOptions> ParseOptions(const std::vector<std::string>& arguments) {
  ParsedOptions parsed;
  Options& options = parsed.options;
  Raw raw;
  const auto dashes = std::find(arguments.begin(), arguments.end(), "--");
  if (dashes != arguments.end()) options.command.assign(dashes + 1, arguments.end());
  std::vector<std::string> words;
  for (auto word = arguments.begin(); word != dashes; ++word) {
    const bool one_dash = word->size() > 2 && (*word)[0] == '-' && (*word)[1] != '-';
    words.push_back(one_dash ? "-" + *word : *word);
  }
  std::reverse(words.begin(), words.end());  // CLI11 takes them from the back
  CLI::App app("PID 1 of a container: runs programs, registers and checks services, drains before it stops them.\n"
               "ringway-sidecar [options] -- COMMAND ARGUMENTS...",
               "ringway-sidecar");
  app.set_version_flag("--version", std::string("ringway-sidecar ") + RINGWAY_VERSION);
  Declare(app, options, raw);
  try {
    app.parse(words);
  } catch (const CLI::CallForHelp&) {
    parsed.print_and_leave = app.help();
    return parsed;
  } catch (const CLI::CallForVersion& version) {
    parsed.print_and_leave = std::string(version.what()) + "\n";
    return parsed;
  } catch (const CLI::ExtrasError& error) {
    return absl::InvalidArgumentError(std::string(error.what()) + " (the command to run goes behind \"--\")");
  } catch (const CLI::Error& error) {
    return absl::InvalidArgumentError(error.what());
  }
  const absl::Status interpreted = Interpret(raw, options);
  if (!interpreted.ok()) return interpreted;
  return parsed;
}

}  // namespace ringway::sidecar

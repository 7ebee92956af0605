// `ringway`: what a person types. Parses the command line and calls one function a subcommand (commands.h).
#include <CLI/CLI.hpp>
#include <csignal>

#include "common/log/log.h"
#include "controlplane/cli/commands.h"
#include "controlplane/exit_codes.h"

int main(int argc, char** argv) {
  using namespace ringway;
  CLI::App app("Ringway: a load balancer that discovers its pool.", "ringway");
  app.require_subcommand(1);
  app.set_version_flag("--version", RINGWAY_VERSION);
  cp::UpOptions up;
  std::string service;
  std::string endpoint;
  std::string timeout = "30s";
  std::string upgrade_timeout = "15s";
  bool as_json = false;
  const auto with_config = [&up](CLI::App* command) {
    command->add_option("-c,--config", up.config, "config file (default: RINGWAY_CONFIG, /etc/ringway/ringway.json, built-in)");
  };
  const auto with_run_dir = [&up](CLI::App* command) {
    command->add_option("--run-dir", up.run_dir, "directory of the sockets (default: RINGWAY_RUN_DIR, run_dir of the config, /run/ringway)");
  };
  const auto with_client = [&](CLI::App* command) {
    with_config(command);
    with_run_dir(command);
  };
  const auto with_endpoint = [&](CLI::App* command) {
    command->add_option("endpoint", endpoint, "ID, the part of it after '/', or ADDRESS:PORT")->required();
    command->add_option("--service", service, "only of this service");
  };

  CLI::App* run = app.add_subcommand("up", "run the control plane and the dataplane on this host, until SIGTERM");
  with_config(run);
  with_run_dir(run);
  run->add_option("--state-dir", up.state_dir, "where the dataplane keeps its last snapshot (default: RINGWAY_STATE_DIR, /var/lib/ringway)");
  run->add_option("--workers", up.workers, "worker threads of the dataplane (default: one a usable CPU)")->check(CLI::Range(1u, 1024u));
  run->add_option("--pin", up.pin, "run each worker on one CPU: auto, or CPUs like 0-3,8");
  run->add_flag("--huge-pages", up.huge_pages, "huge pages for the dataplane's receive buffers, where they are to be had");
  CLI::App* status = app.add_subcommand("status", "services, endpoints and dataplanes, as the control plane sees them");
  with_client(status);
  status->add_flag("--json", as_json, "as JSON");
  CLI::App* validate = app.add_subcommand("validate", "check a config file and start nothing");
  with_config(validate);
  CLI::App* reload = app.add_subcommand("reload", "apply the config file as it is now, or say why not");
  with_client(reload);
  CLI::App* drain = app.add_subcommand("drain", "give an endpoint no new requests and wait until those in flight have ended");
  with_client(drain);
  with_endpoint(drain);
  drain->add_option("--timeout", timeout, "how long to wait (default 30s)");
  CLI::App* undrain = app.add_subcommand("undrain", "take a drained endpoint back into service");
  with_client(undrain);
  with_endpoint(undrain);
  run->add_flag("--take-over", up.take_over, "replace a `ringway up` that runs in the same run directory, without a reset")->envname("RINGWAY_TAKE_OVER");
  CLI::App* upgrade = app.add_subcommand("upgrade", "change to the programs now on disk without a reset, or say why not");
  with_client(upgrade);
  upgrade->add_option("--timeout", upgrade_timeout, "for the new dataplane to take over; then the old one goes on (default 15s)");
  CLI::App* capabilities = app.add_subcommand("capabilities", "what this kernel and these privileges allow");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : cp::kExitUsage;
  }

  std::signal(SIGPIPE, SIG_IGN);
  if (const absl::Status log = log::InitFromEnvironment("ringway"); !log.ok()) spdlog::warn("{}", std::string(log.message()));
  if (*run) return cp::Up(up);
  if (*validate) return cp::Validate(up.config);
  if (*capabilities) return cp::Capabilities();
  const std::string run_dir = cp::ClientRunDir(up.run_dir, up.config);
  if (*status) return cp::ShowStatus(run_dir, as_json);
  if (*reload) return cp::Reload(run_dir);
  if (*drain) return cp::Drain(run_dir, service, endpoint, timeout);
  if (*undrain) return cp::Undrain(run_dir, service, endpoint);
  if (*upgrade) return cp::Upgrade(run_dir, upgrade_timeout);
  return cp::kExitUsage;
}

// ringway-controlplane: config, catalog, health and drain become one snapshot that is pushed to the dataplanes of this host.
// One io_context, one thread. Wires the parts together and does nothing else. Exit codes: docs/reference/config.md.
#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <functional>
#include <iostream>

#include "common/log/log.h"
#include "common/privileges/privileges.h"
#include "controlplane/admin_server.h"
#include "controlplane/catalog/catalog_server.h"
#include "controlplane/catalog/embedded_catalog.h"
#include "controlplane/control_plane.h"
#include "controlplane/discovery/consul_source.h"
#include "controlplane/exit_codes.h"
#include "controlplane/open_files.h"
#include "controlplane/run_dir.h"

namespace {

namespace asio = boost::asio;
using namespace ringway;

int Fail(int code, const absl::Status& status) {
  spdlog::critical("{}", std::string(status.message()));
  return code;
}

// SIGHUP reloads, for ever; SIGTERM and SIGINT end the loop.
void FollowSignals(asio::io_context& io, asio::signal_set& signals, cp::ControlPlane& plane) {
  signals.async_wait([&io, &signals, &plane](boost::system::error_code error, int signal) {
    if (error) return;
    if (signal == SIGHUP) {
      (void)plane.Reload();  // it logs what came of it
      return FollowSignals(io, signals, plane);
    }
    spdlog::info("stopping on signal {}; the dataplanes go on with what they have", signal);
    io.stop();
  });
}

// The catalog in use: exactly one of the first two, and the server that only an embedded one has.
struct Catalog {
  std::unique_ptr<cp::EmbeddedCatalog> embedded;
  std::unique_ptr<cp::Source> consul;
  std::unique_ptr<cp::CatalogServer> server;

  cp::Source& source() { return embedded ? *embedded : *consul; }
};

absl::Status Open(asio::io_context& io, const cp::CatalogConfig& config, Catalog& catalog) {
  if (config.type == cp::CatalogConfig::Type::kConsul) {
    auto opened = cp::ConsulSource::Open(io, config.consul, config.data_dir);
    if (!opened.ok()) return opened.status();
    catalog.consul = *std::move(opened);
    return absl::OkStatus();
  }
  cp::EmbeddedCatalogOptions options;
  options.data_dir = config.data_dir;
  options.lease = {std::chrono::milliseconds(config.lease.timeout_ms), std::chrono::milliseconds(config.lease.deregister_after_ms)};
  auto opened = cp::EmbeddedCatalog::Open(io, options);
  if (!opened.ok()) return opened.status();
  catalog.embedded = *std::move(opened);
  return absl::OkStatus();
}

// The embedded catalog's HTTP API and page. A Consul has its own.
absl::Status Serve(asio::io_context& io, const cp::CatalogConfig& config, cp::ControlPlane& plane, Catalog& catalog) {
  if (!catalog.embedded) return absl::OkStatus();
  cp::CatalogServerOptions options;
  options.bind = config.listen;
  options.connections_max = cp::CatalogConnectionsMax();
  options.leases_max = options.connections_max / 2;
  options.drain = std::bind_front(&cp::ControlPlane::Drain, &plane);
  options.undrain = std::bind_front(&cp::ControlPlane::Undrain, &plane);
  auto server = cp::CatalogServer::Listen(io, *catalog.embedded, options);
  if (!server.ok()) return absl::UnavailableError("catalog.listen: " + std::string(server.status().message()));
  catalog.server = *std::move(server);
  return absl::OkStatus();
}

int Run(const std::string& config_option, const std::string& run_dir_option) {
  auto loaded = cp::LoadConfig(cp::ChooseConfigFile(config_option));
  if (!loaded.ok()) {
    std::cerr << loaded.status().message() << "\n";
    return cp::kExitConfig;
  }
  const cp::CatalogConfig catalog_config = loaded->config.catalog;
  const std::string run_dir = cp::ChooseRunDir(run_dir_option, loaded->config.run_dir);
  for (const std::string& directory : {run_dir, catalog_config.data_dir}) {
    if (const absl::Status status = cp::MakeDirectory(directory); !status.ok()) return Fail(cp::kExitCannotCreate, status);
  }

  asio::io_context io(1);
  asio::signal_set signals(io, SIGHUP, SIGTERM, SIGINT);
  Catalog catalog;  // outlives the resolver inside the plane
  cp::ControlPlane plane(io, *std::move(loaded), run_dir);
  if (const absl::Status status = plane.Listen(); !status.ok()) return Fail(cp::kExitCannotCreate, status);

  if (const absl::Status status = Open(io, catalog_config, catalog); !status.ok()) return Fail(cp::kExitUnavailable, status);
  plane.Follow(catalog.source());
  if (const absl::Status status = Serve(io, catalog_config, plane, catalog); !status.ok()) return Fail(cp::kExitUnavailable, status);
  const auto admin = cp::ListenAdmin(io, run_dir, plane);
  if (!admin.ok()) return Fail(cp::kExitCannotCreate, admin.status());

  FollowSignals(io, signals, plane);
  spdlog::info("ringway-controlplane {} runs: catalog {}, admin on {}/control.sock", RINGWAY_VERSION, cp::CatalogName(catalog_config), run_dir);
  io.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Ringway's control plane: config, catalog, health, drain, push.", "ringway-controlplane");
  std::string config;
  std::string run_dir;
  app.add_option("-c,--config", config, "config file (default: RINGWAY_CONFIG, /etc/ringway/ringway.json, built-in)");
  app.add_option("--run-dir", run_dir, "directory of feed.sock and control.sock (default: RINGWAY_RUN_DIR, /run/ringway)");
  app.set_version_flag("--version", RINGWAY_VERSION);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : ringway::cp::kExitUsage;
  }
  std::signal(SIGPIPE, SIG_IGN);
  if (const absl::Status status = log::InitFromEnvironment("ringway-controlplane"); !status.ok()) {
    spdlog::warn("{}", std::string(status.message()));
  }
  // Catalog and admin sockets, ports below 1024 among them, and files as root has them; it executes nothing.
  GainNoPrivileges();
  KeepOnly({CAP_NET_BIND_SERVICE, CAP_DAC_OVERRIDE, CAP_FOWNER});
  return Run(config, run_dir);
}

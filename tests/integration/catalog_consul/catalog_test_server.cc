// The embedded catalog alone, for tests: its HTTP API on a free port of 127.0.0.1, which it prints;
// ends with SIGTERM. Drain is answered as a control plane without dataplanes would: marked, and
// nothing in flight.
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"
#include "controlplane/catalog/catalog_server.h"

namespace cp = ringway::cp;

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s DATA_DIR\n", argv[0]);
    return 2;
  }
  boost::asio::io_context io(1);
  cp::EmbeddedCatalogOptions options;
  options.data_dir = argv[1];
  options.node_name = "ringway";
  options.node_address = "127.0.0.1";
  auto catalog = cp::EmbeddedCatalog::Open(io, options);
  if (!catalog.ok()) {
    std::fprintf(stderr, "%s\n", std::string(catalog.status().message()).c_str());
    return 1;
  }
  cp::EmbeddedCatalog& source = **catalog;
  cp::CatalogServerOptions server_options;
  server_options.bind = "127.0.0.1:0";
  server_options.drain = [&source](std::string service, std::string id, std::chrono::milliseconds)
      -> boost::asio::awaitable<absl::StatusOr<cp::DrainResult>> {
    if (!source.SetDraining(service, id, true))
      co_return absl::NotFoundError("unknown instance " + id);
    cp::DrainResult result;
    result.drained = true;
    co_return result;
  };
  server_options.undrain = [&source](const std::string& service, const std::string& id) {
    return source.SetDraining(service, id, false) ? absl::OkStatus()
                                                  : absl::NotFoundError("unknown instance " + id);
  };
  auto server = cp::CatalogServer::Listen(io, source, server_options);
  if (!server.ok()) {
    std::fprintf(stderr, "%s\n", std::string(server.status().message()).c_str());
    return 1;
  }
  std::printf("%d\n", (*server)->port());
  std::fflush(stdout);
  boost::asio::signal_set signals(io, SIGTERM, SIGINT);
  signals.async_wait([&](const boost::system::error_code&, int) {
    (*server)->Close();
    io.stop();
  });
  io.run();
  return 0;
}

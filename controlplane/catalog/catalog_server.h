// The HTTP face of the embedded catalog: Consul's API (docs/reference/catalog_api.md), Ringway's
// drain extension and the web page. One common/http server on the control plane's io_context.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "controlplane/catalog/embedded_catalog.h"
#include "controlplane/drain.h"

namespace ringway::cp {

struct CatalogServerOptions {
  std::string bind = "0.0.0.0:8500";
  size_t connections_max = 1024;  // further ones are closed
  size_t leases_max = 16384;      // connections beside those; a sidecar without one lives by its TTL check
  DrainFunction drain;      // empty: PUT /v1/ringway/drain answers 501
  UndrainFunction undrain;  // likewise
};

class CatalogServer {
 public:
  // Listens before it returns. `catalog` outlives the server.
  static absl::StatusOr<std::unique_ptr<CatalogServer>> Listen(boost::asio::io_context& io,
                                                               EmbeddedCatalog& catalog,
                                                               CatalogServerOptions options);
  virtual ~CatalogServer() = default;
  virtual uint16_t port() const = 0;
  // Stops accepting and closes every connection.
  virtual void Close() = 0;
};

}  // namespace ringway::cp

// Channels over TLS 1.2 and 1.3 (OpenSSL 3). A library of its own, ringway_http_tls: the sidecar stays small without it.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/http/channel.h"

namespace ringway::http {

struct TlsOptions {
  std::string ca_file;      // PEM; empty: the system's certificates
  std::string cert_file;    // the client's certificate with its chain, PEM; empty: none
  std::string key_file;
  std::string server_name;  // looked for in the server's certificate and sent as SNI; empty: the URL's host
  bool verify = true;       // false: any server is believed
};

// The files of TlsOptions, read; and read again when one has changed, so that a renewed certificate needs no restart: new
// connections then use it. Files that cannot be read later leave the old ones in use, with a log line.
class TlsClient {
 public:
  // InvalidArgument names the file and what is wrong with it.
  static absl::StatusOr<std::shared_ptr<TlsClient>> Load(TlsOptions options);
  virtual ~TlsClient() = default;
  virtual std::unique_ptr<Channel> MakeChannel(boost::asio::any_io_executor executor, Url url) = 0;
};

}  // namespace ringway::http

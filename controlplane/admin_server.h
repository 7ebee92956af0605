// The control plane's admin socket, RUN_DIR/control.sock (mode 0660): what the `ringway` program talks to.
//   GET  /status                                     JSON
//   POST /reload                                     200 "applied version N", 400 with the errors
//   POST /drain?service=&endpoint=&timeout=30s       200 JSON, 404, 409; service may be left out when the endpoint is unique
//   POST /undrain?service=&endpoint=                 200, 404, 409
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/http/server.h"
#include "controlplane/control_plane.h"

namespace ringway::cp {

// `plane` outlives the server.
absl::StatusOr<std::unique_ptr<http::Server>> ListenAdmin(boost::asio::io_context& io, const std::string& run_dir, ControlPlane& plane);

}  // namespace ringway::cp

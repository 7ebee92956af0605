// One probe, start to verdict: the HTTP or TCP request of a check and Consul's words for how it
// went.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>
#include <string_view>

#include "controlplane/catalog/records.h"

namespace ringway::cp {

struct ProbeVerdict {
  std::string status;
  std::string output;
};

// `spec` has http or tcp. Without a timeout: 10 s. Redirects are followed, ten at most.
boost::asio::awaitable<ProbeVerdict> RunProbe(CheckSpec spec);

// Where a redirect from `url` with this Location leads.
std::string ResolveLocation(std::string_view url, std::string_view location);

}  // namespace ringway::cp

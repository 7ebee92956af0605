// "stats": where the dataplane's stats server listens and who may ask it.
#include <boost/json/value.hpp>

#include "controlplane/config/object_reader.h"
#include "controlplane/config/sections.h"

namespace ringway::cp {

void ReadStats(const boost::json::value& value, const std::string& path, Diagnostics& diagnostics, api::Stats& out) {
  ObjectReader reader(value, path, diagnostics);
  reader.Bind("bind", out.bind);
  if (reader.String("user", out.user) && (out.user.empty() || out.user.find(':') != std::string::npos)) {
    diagnostics.Error(reader.PathOf("user"), "wanted a user name without ':', got \"" + out.user + "\"");
  }
  if (reader.String("password", out.password) && out.password.empty()) {
    diagnostics.Error(reader.PathOf("password"), "wanted a password, got \"\"");
  }
}

}  // namespace ringway::cp

// "stats": where the dataplane's stats server listens and who may ask it. "access_log": where listeners that log write to.
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

void ReadAccessLog(const boost::json::value& value, const std::string& path, Diagnostics& diagnostics, api::AccessLog& out) {
  ObjectReader reader(value, path, diagnostics);
  if (reader.String("path", out.path) && out.path != "stdout" && !(out.path.starts_with('/') && out.path.size() < 4096 && !out.path.ends_with('/'))) {
    diagnostics.Error(reader.PathOf("path"), "wanted \"stdout\" or the absolute path of a file, got \"" + out.path + "\"");
  }
  reader.Choice("format", out.format);
}

}  // namespace ringway::cp

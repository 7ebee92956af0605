// "catalog" and "stats".
#include <boost/json/value.hpp>

#include "controlplane/config/net_names.h"
#include "controlplane/config/object_reader.h"
#include "controlplane/config/sections.h"

namespace ringway::cp {
namespace {

enum class CatalogType { kEmbedded, kConsul };

}  // namespace

void ReadCatalog(const boost::json::value& value, const std::string& path, Diagnostics& diagnostics, CatalogConfig& out) {
  ObjectReader reader(value, path, diagnostics);
  CatalogType type = CatalogType::kEmbedded;
  reader.Choice<CatalogType>("type", {{"embedded", CatalogType::kEmbedded}, {"consul", CatalogType::kConsul}}, type);
  if (type == CatalogType::kEmbedded) {
    reader.Bind("listen", out.listen);
    if (reader.String("data_dir", out.data_dir) && (out.data_dir.empty() || out.data_dir[0] != '/')) {
      diagnostics.Error(reader.PathOf("data_dir"), "wanted an absolute path, got \"" + out.data_dir + "\"");
    }
    if (reader.Find("address") != nullptr) {
      diagnostics.ErrorAtKey(reader.PathOf("address"), "only a catalog of type \"consul\" has an address; wanted \"listen\" and \"data_dir\"");
    }
    return;
  }
  std::string address;
  if (reader.String("address", address) && address.rfind("http://", 0) != 0) {
    diagnostics.Error(reader.PathOf("address"), "wanted a URL like \"http://consul:8500\", got \"" + address + "\"");
  }
  diagnostics.Error(reader.PathOf("type"), "\"consul\" is not supported by this version; wanted \"embedded\"");
}

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

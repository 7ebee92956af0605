// One reader a section of ringway.json. Each notes what is wrong in the diagnostics and goes on, so that all errors show at once.
#pragma once

#include <boost/json/fwd.hpp>
#include <string>
#include <string_view>

#include "controlplane/config/config.h"
#include "controlplane/config/diagnostics.h"
#include "controlplane/config/object_reader.h"

namespace ringway::cp {

void ReadCatalog(const boost::json::value& value, const std::string& path, Diagnostics& diagnostics, CatalogConfig& out);
// RINGWAY_CATALOG, which counts when the file has no "catalog" section: "", "embedded", or URLs of a Consul, commas between.
void ReadCatalogVariable(const std::string& text, Diagnostics& diagnostics, CatalogConfig& out);
api::Listener ReadListener(const boost::json::value& value, const std::string& path, Diagnostics& diagnostics);
ServiceConfig ReadService(std::string_view name, const boost::json::value& value, const std::string& path, Diagnostics& diagnostics);
// The keys of a service that say what it does when its endpoints fail, are full, or are not there.
void ReadResilience(ObjectReader& reader, ServiceConfig& service);
// "packet": how packets are delivered, for all listeners with that delivery.
void ReadPacket(const boost::json::value& value, const std::string& path, Diagnostics& diagnostics, api::Packet& out);
void ReadAccessLog(const boost::json::value& value, const std::string& path, Diagnostics& diagnostics, api::AccessLog& out);
// "connect": who is led to endpoints in connect(2), for all listeners with that delivery.
void ReadConnect(const boost::json::value& value, const std::string& path, Diagnostics& diagnostics, api::Connect& out);
void ReadStats(const boost::json::value& value, const std::string& path, Diagnostics& diagnostics, api::Stats& out);

// What only the whole file can tell: names given twice, ports that clash. Also gives each service that is routed to but not
// described its defaults, and warns of those described but routed to by nobody.
void CheckWhole(Diagnostics& diagnostics, Config& config);

// The check a service has when its section has no "health_check".
std::optional<HealthCheck> DefaultHealthCheck(const Config& config, const std::string& service);

}  // namespace ringway::cp

// What runs when there is no config file: one service, "web", on port 80. docs/reference/config.md shows it.
#pragma once

#include <string_view>

namespace ringway::cp {

inline constexpr std::string_view kDefaultConfigName = "(built-in)";
inline constexpr std::string_view kDefaultConfig = R"({
  // "catalog" comes from RINGWAY_CATALOG, else embedded on 0.0.0.0:8500 with /var/lib/ringway
  "listeners": [ { "name": "web", "bind": "0.0.0.0:80", "protocol": "http", "routes": [ { "service": "web" } ] } ],
  "services":  { "web": {} },
  "stats":     { "bind": "0.0.0.0:9000" },
}
)";

}  // namespace ringway::cp

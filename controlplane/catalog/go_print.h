// Prints JSON the way Go does: <, > and & as \u003c, \u003e, \u0026, and on request four blanks of
// indentation.
#pragma once

#include <boost/json/value.hpp>
#include <string>

namespace ringway::cp {

// Objects keep the order of their members. Pretty documents end with a newline.
std::string PrintJson(const boost::json::value& value, bool pretty);

}  // namespace ringway::cp

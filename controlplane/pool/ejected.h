// The endpoints of one service that a dataplane keeps out by what it sees of their answers.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace ringway::cp {

using EjectedEndpoints = std::map<std::string, uint64_t>;  // endpoint id -> generation

}  // namespace ringway::cp

// The catalog's web page: one self-contained document that asks /v1/ringway/overview once a second.
#pragma once

#include <string_view>

namespace ringway::cp {

extern const std::string_view kUiPage;
// Nothing from elsewhere, and nobody else's frame.
inline constexpr char kUiPolicy[] =
    "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; style-src "
    "'unsafe-inline'; frame-ancestors 'none'";

}  // namespace ringway::cp

// Scanning of chunked bodies. See http_chunked.h.
#include "dataplane/core/http_chunked.h"

namespace ringway::dp {}  // namespace ringway::dp

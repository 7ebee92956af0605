// Parsing of message heads. See http_head.h.
#include "dataplane/core/http_head.h"

namespace ringway::dp {}  // namespace ringway::dp

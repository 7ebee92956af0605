// Keeps what the access log wants of a request: its line, and the values of a few fields. Pure; any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "dataplane/core/access_record.h"
#include "dataplane/core/http_head.h"

namespace ringway::dp {

// `data` is where `head` was parsed. `forwarded_for` is kept when the head holds one that is believed.
void NoteRequest(const char* data, const RequestHead& head, AccessNote& note);
// A request that could not be understood: the first line of what came, as far as it came.
void NoteRefused(std::string_view received, AccessNote& note);
void NoteNothing(AccessNote& note);

}  // namespace ringway::dp

// The stats in the forms people and scrapers ask for. Pure functions of the model.
#pragma once

#include <string>
#include <string_view>

#include "dataplane/stats/model.h"

namespace ringway::dp {

// HAProxy's CSV: its column names in its order (management guide, section 9.1), a FRONTEND row for each listener, a row for each
// endpoint and a BACKEND row for each service. Columns Ringway has no number for are empty.
std::string RenderCsv(const StatsModel& model);

// Prometheus text format 0.0.4. Metrics: docs/reference/metrics.md.
std::string RenderPrometheus(const StatsModel& model);

std::string RenderJson(const StatsModel& model);

// A whole HTML page, readable without scripts; with them its numbers follow /stats.json.
std::string RenderPage(const StatsModel& model);

// Changes whenever rows of the page come, go or change places. Part of the page and of the JSON.
std::string LayoutOf(const StatsModel& model);

// Text that is safe inside HTML elements and quoted attributes.
std::string HtmlEscaped(std::string_view text);

}  // namespace ringway::dp

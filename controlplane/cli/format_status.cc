// The status document as text: one line what it is, then a table of endpoints and one of dataplanes.
#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <exception>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/log/printable.h"
#include "controlplane/cli/commands.h"

namespace ringway::cp {
namespace {

namespace json = boost::json;

using Row = std::vector<std::string>;

std::string Text(const json::value& value) {
  if (value.is_string()) return log::Printable(std::string_view(value.get_string().data(), value.get_string().size()));
  return value.is_null() ? "-" : json::serialize(value);
}

// Columns as wide as their widest cell, two spaces between, the last one as it is.
std::string Table(const std::vector<Row>& rows) {
  std::vector<size_t> widths(rows[0].size());
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const Row& row : rows) {
    std::string line = " ";
    for (size_t i = 0; i < row.size(); ++i) {
      line += " " + row[i];
      if (i + 1 < row.size()) line += std::string(widths[i] - row[i].size() + 1, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

std::string Listeners(const json::value& status) {
  std::vector<Row> rows = {{"LISTENER", "BIND", "PROTOCOL", "DELIVERY", "ROUTES"}};
  for (const json::value& listener : status.at("listeners").as_array()) {
    std::string routes;
    for (const json::value& route : listener.at("routes").as_array()) {
      const std::string match = Text(route.at("host")) + Text(route.at("path"));
      absl::StrAppend(&routes, routes.empty() ? "" : ", ", match.empty() ? "*" : match, " -> ", Text(route.at("service")));
    }
    const json::value* delivery = listener.as_object().if_contains("delivery");  // a release before does not tell it
    rows.push_back({Text(listener.at("name")), Text(listener.at("bind")), Text(listener.at("protocol")), delivery == nullptr ? "-" : Text(*delivery), routes});
  }
  return Table(rows);
}

std::string Seconds(const json::value& ms) { return absl::StrFormat("%.1f", ms.to_number<double>() / 1000); }

// The reason in the snapshot, and what only holds for this moment.
std::string Why(const json::value& endpoint) {
  std::string why = Text(endpoint.at("reason"));
  if (!endpoint.at("back_in_ms").is_null()) absl::StrAppend(&why, " (", Seconds(endpoint.at("back_in_ms")), " s left)");
  for (const json::value& one : endpoint.at("ejected").as_array()) {
    absl::StrAppend(&why, why.empty() ? "" : "; ", "ejected by dataplane ", Text(one.at("pid")), " in ", Text(one.at("workers")), " of ",
                    Text(one.at("workers_of")), " workers: ", Text(one.at("reason")), ", ", Seconds(one.at("remaining_ms")), " s left, ",
                    Text(one.at("times")), " times so far");
  }
  return why;
}

std::string Services(const json::value& status) {
  std::string out;
  for (const json::value& service : status.at("services").as_array()) {
    const json::array& endpoints = service.at("endpoints").as_array();
    const auto ready = std::count_if(endpoints.begin(), endpoints.end(), [](const json::value& one) { return Text(one.at("state")) == "ready"; });
    absl::StrAppend(&out, "\nservice ", Text(service.at("name")), ": ", ready, " of ", endpoints.size(), " ready, ", Text(service.at("balance")),
                    ", check ", Text(service.at("health_check")), ", from the ", Text(service.at("source")), "\n");
    if (const std::string held = Text(service.at("held")); held != "0") {
      absl::StrAppend(&out, "  held: the catalog took the last ready endpoints away; ", held, " stay in service for another ",
                      Seconds(service.at("held_for_ms")), " s\n");
    }
    if (const std::string kept = Text(service.at("kept")); kept != "0") {
      absl::StrAppend(&out, "  kept: too many endpoints fail their checks; ", kept, " of these stay in service\n");
    }
    if (endpoints.empty()) continue;
    std::vector<Row> rows = {{"ENDPOINT", "ADDRESS", "WEIGHT", "STATE", "WHY"}};
    for (const json::value& one : endpoints) {
      rows.push_back({Text(one.at("id")), Text(one.at("address")), Text(one.at("weight")), Text(one.at("state")), Why(one)});
    }
    out += Table(rows);
  }
  return out;
}

std::string Dataplanes(const json::value& status) {
  const json::array& dataplanes = status.at("dataplanes").as_array();
  if (dataplanes.empty()) return "\nno dataplane is connected\n";
  std::vector<Row> rows = {{"DATAPLANE", "WORKERS", "VERSION", "CURRENT", "DRAINING", "REFUSED"}};
  for (const json::value& one : dataplanes) {
    const json::value& refused = one.at("refused");
    const std::string why = refused.is_null() ? "" : "version " + Text(refused.at("version")) + ": " + Text(refused.at("reason"));
    rows.push_back({"pid " + Text(one.at("pid")), Text(one.at("workers")), Text(one.at("acked")), one.at("current").as_bool() ? "yes" : "no",
                    Text(one.at("in_flight_draining")) + " in flight", one.at("leaving").as_bool() ? "leaving " + why : why});
  }
  return "\n" + Table(rows);
}

std::string Format(const json::value& status) {
  const json::value& config = status.at("config");
  std::string out = absl::StrCat("control plane ", Text(status.at("release")), ", pid ", Text(status.at("pid")), ", config ", Text(config.at("file")),
                                 " of ", Text(config.at("loaded_at")), ", version ", Text(status.at("version")), "\n");
  const json::value& catalog = status.at("catalog");
  absl::StrAppend(&out, "catalog ", Text(catalog.at("name")), ", data in ", Text(catalog.at("data_dir")), "; stats on ",
                  Text(status.at("stats").at("bind")), "\n");
  if (!catalog.at("ok").as_bool()) {
    absl::StrAppend(&out, "catalog ", Text(catalog.at("in_use")), " has not answered for ", Seconds(catalog.at("age_ms")), " s: ", Text(catalog.at("error")),
                    "; endpoints stay as last known\n");
  }
  for (const json::value& line : config.at("warnings").as_array()) absl::StrAppend(&out, "warning: ", Text(line), "\n");
  for (const json::value& line : config.at("last_refusal").as_array()) absl::StrAppend(&out, "the file now on disk is refused: ", Text(line), "\n");
  absl::StrAppend(&out, "\n", Listeners(status), Services(status), Dataplanes(status));
  return out;
}

}  // namespace

absl::StatusOr<std::string> FormatStatus(const std::string& text) {
  json::error_code error;
  const json::value status = json::parse(text, error);
  if (error) return absl::DataLossError("the control plane's status is not JSON: " + error.message());
  try {
    return Format(status);
  } catch (const std::exception& problem) {  // a key that is not there: another release answers
    return absl::DataLossError(std::string("the control plane's status is not what this program knows (another release?): ") + problem.what());
  }
}

}  // namespace ringway::cp

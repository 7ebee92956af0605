// The kinds of checks Consul knows, and which of them run here.
#include "sidecar/register/check_definition.h"

#include <boost/json.hpp>

#include "sidecar/register/field_reader.h"

namespace ringway::sidecar {
namespace {

constexpr std::chrono::milliseconds kScriptTimeout{30000};
constexpr std::chrono::milliseconds kIntervalMin{100};

// "header": {"Name": ["value", ...]}
void ReadHeaders(FieldReader& fields, CheckDefinition& check) {
  const boost::json::value* value = fields.Find("header");
  if (value == nullptr) return;
  if (!value->is_object()) return fields.Fail("header", "an object of lists of strings");
  for (const auto& [name, items] : value->as_object()) {
    if (!items.is_array()) return fields.Fail("header", "an object of lists of strings");
    for (const boost::json::value& item : items.as_array()) {
      if (!item.is_string()) return fields.Fail("header", "an object of lists of strings");
      check.headers.emplace_back(std::string(name), item.as_string().c_str());
    }
  }
}

void ReadInitialStatus(FieldReader& fields, CheckDefinition& check) {
  std::string text;
  fields.Text("status", text);
  if (text.empty()) return;
  if (text == "passing") check.initial_status = CheckStatus::kPassing;
  else if (text == "warning") check.initial_status = CheckStatus::kWarning;
  else if (text == "critical") check.initial_status = CheckStatus::kCritical;
  else fields.Fail("status", "passing, warning or critical");
}

// HOST:PORT of an https URL: without TLS, a connection is what can be seen.
std::string AuthorityOf(const std::string& url) {
  std::string rest = url.substr(std::string("https://").size());
  rest = rest.substr(0, rest.find_first_of("/?#"));
  const bool has_port = rest.find(':', rest.rfind(']') == std::string::npos ? 0 : rest.rfind(']')) != std::string::npos;
  return has_port ? rest : rest + ":443";
}

// Sets kind and target from whichever of http, tcp, args, script, ttl is there. False when none of them is.
bool ReadKind(FieldReader& fields, CheckDefinition& check, std::vector<std::string>& warnings) {
  std::string script;
  std::string http;
  std::string tcp;
  fields.Text("http", http);
  fields.Text("tcp", tcp);
  fields.Texts("args", check.args);
  if (!fields.Has("args")) fields.Texts("script_args", check.args);
  fields.Text("script", script);
  fields.Duration("ttl", check.ttl);
  if (!script.empty()) check.args = {"/bin/sh", "-c", script};
  if (http.rfind("https://", 0) == 0) {
    warnings.push_back(fields.Where("http") + ": https is not spoken here, a TCP connect stands in for it");
    check.kind = CheckDefinition::Kind::kTcp;
    check.target = AuthorityOf(http);
  } else if (!http.empty()) {
    check.kind = CheckDefinition::Kind::kHttp;
    check.target = http;
    if (http.rfind("http://", 0) != 0) fields.Fail("http", "http://HOST[:PORT]/PATH, got \"" + http + "\"");
  } else if (!tcp.empty()) {
    check.kind = CheckDefinition::Kind::kTcp;
    check.target = tcp;
    if (tcp.rfind(':') == std::string::npos) fields.Fail("tcp", "HOST:PORT, got \"" + tcp + "\"");
  } else if (!check.args.empty()) {
    check.kind = CheckDefinition::Kind::kScript;
    check.timeout = kScriptTimeout;
  } else if (check.ttl.count() > 0) {
    check.kind = CheckDefinition::Kind::kTtl;
  } else {
    return false;
  }
  return true;
}

}  // namespace

absl::StatusOr<std::optional<ParsedCheck>> ParseCheck(const boost::json::value& value, const std::string& where,
                                                      bool outside, std::vector<std::string>& warnings) {
  FieldReader fields(value, where);
  ParsedCheck parsed;
  CheckDefinition& check = parsed.check;
  if (!fields.status().ok()) return fields.status();
  if (!ReadKind(fields, check, warnings) && fields.status().ok()) {
    warnings.push_back(where + ": no http, tcp, args, script or ttl: this kind of check is not honoured");
    return std::optional<ParsedCheck>();
  }
  fields.Text("id", check.id);
  if (check.id.empty()) fields.Text("check_id", check.id);
  fields.Text("name", check.name);
  fields.Text("notes", check.notes);
  fields.Text("method", check.method);
  fields.Text("body", check.body);
  ReadHeaders(fields, check);
  ReadInitialStatus(fields, check);
  fields.Duration("interval", check.interval);
  fields.Duration("timeout", check.timeout);
  int64_t successes = 0;
  int64_t failures = 0;
  fields.Number("success_before_passing", 0, 1000, successes);
  fields.Number("failures_before_critical", 0, 1000, failures);
  check.success_before_passing = static_cast<int>(successes);
  check.failures_before_critical = static_cast<int>(failures);
  if (fields.Has("deregister_critical_service_after")) {
    std::chrono::milliseconds after{0};
    fields.Duration("deregister_critical_service_after", after);
    if (after.count() > 0) check.deregister_after = after;
  }
  if (outside) fields.Text("service_id", parsed.service_id);
  if (!fields.status().ok()) return fields.status();
  check.interval = std::max(check.interval, kIntervalMin);
  if (check.timeout.count() == 0) check.timeout = std::chrono::seconds(10);
  for (const std::string& key : fields.Unread()) warnings.push_back(fields.Where(key) + ": not honoured");
  return std::optional<ParsedCheck>(std::move(parsed));
}

}  // namespace ringway::sidecar

// From files to services. What a field means here, and that every other field is named, is decided in this file.
#include "sidecar/register/definition.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "sidecar/json_file.h"
#include "sidecar/register/check_definition.h"
#include "sidecar/register/field_reader.h"

namespace ringway::sidecar {
namespace {

namespace json = boost::json;

void ReadWeights(FieldReader& fields, ServiceDefinition& service, std::vector<std::string>& warnings) {
  const json::value* value = fields.Find("weights");
  if (value == nullptr) return;
  FieldReader inner(*value, fields.Where("weights"));
  int64_t passing = 1;
  int64_t warning = 1;
  inner.Number("passing", 1, 65535, passing);
  inner.Number("warning", 0, 65535, warning);
  if (!inner.status().ok()) return fields.Fail("weights", "passing 1..65535 and warning 0..65535");
  for (const std::string& key : inner.Unread()) warnings.push_back(inner.Where(key) + ": not honoured");
  service.weights = std::pair<int, int>(static_cast<int>(passing), static_cast<int>(warning));
}

// "check" and "checks" of one object, handed to `keep` one by one.
template <typename Keep>
absl::Status ReadChecks(FieldReader& fields, bool outside, std::vector<std::string>& warnings, Keep keep) {
  std::vector<std::pair<const json::value*, std::string>> found;
  if (const json::value* one = fields.Find("check")) found.emplace_back(one, fields.Where("check"));
  if (const json::value* many = fields.Find("checks")) {
    if (!many->is_array()) return absl::InvalidArgumentError(fields.Where("checks") + ": wanted a list");
    for (size_t i = 0; i < many->as_array().size(); ++i) {
      found.emplace_back(&many->as_array()[i], fields.Where("checks") + "[" + std::to_string(i) + "]");
    }
  }
  for (const auto& [value, where] : found) {
    absl::StatusOr<std::optional<ParsedCheck>> parsed = ParseCheck(*value, where, outside, warnings);
    if (!parsed.ok()) return parsed.status();
    if (parsed->has_value()) keep(**parsed, where);
  }
  return absl::OkStatus();
}

absl::StatusOr<ServiceDefinition> ParseService(const json::value& value, const std::string& where,
                                               std::vector<std::string>& warnings) {
  FieldReader fields(value, where);
  ServiceDefinition service;
  int64_t port = 0;
  fields.Text("id", service.id);
  fields.Text("name", service.name);
  fields.Number("port", 0, 65535, port);
  fields.Text("address", service.address);
  fields.Texts("tags", service.tags);
  fields.TextMap("meta", service.meta);
  fields.Flag("enable_tag_override", service.enable_tag_override);
  fields.Text("token", service.token);
  ReadWeights(fields, service, warnings);
  if (const json::value* tagged = fields.Find("tagged_addresses")) {
    service.tagged_addresses_json = json::serialize(*tagged);
  }
  service.port = static_cast<uint16_t>(port);
  const absl::Status checks = ReadChecks(fields, false, warnings, [&](const ParsedCheck& parsed, const std::string&) {
    service.checks.push_back(parsed.check);
  });
  if (!fields.status().ok()) return fields.status();
  if (!checks.ok()) return checks;
  if (service.name.empty()) return absl::InvalidArgumentError(fields.Where("name") + ": wanted the service's name");
  for (const std::string& key : fields.Unread()) warnings.push_back(fields.Where(key) + ": not honoured");
  return service;
}

absl::StatusOr<std::vector<std::string>> FilesOf(const std::string& directory) {
  std::error_code error;
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    const std::string path = entry.path().string();
    if (path.ends_with(".json") || path.ends_with(".hcl")) files.push_back(path);
  }
  if (error) return absl::NotFoundError(directory + ": " + error.message());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

absl::Status DefinitionReader::Add(const std::string& file, std::string_view text) {
  absl::StatusOr<json::value> root = ParseJsonText(file, text);
  if (!root.ok()) return root.status();
  FieldReader fields(*root, file + ": ");
  if (!fields.status().ok()) return fields.status();
  std::vector<std::pair<const json::value*, std::string>> found;
  if (const json::value* one = fields.Find("service")) found.emplace_back(one, fields.Where("service"));
  if (const json::value* many = fields.Find("services")) {
    if (!many->is_array()) return absl::InvalidArgumentError(fields.Where("services") + ": wanted a list");
    for (size_t i = 0; i < many->as_array().size(); ++i) {
      found.emplace_back(&many->as_array()[i], fields.Where("services") + "[" + std::to_string(i) + "]");
    }
  }
  for (const auto& [value, where] : found) {
    absl::StatusOr<ServiceDefinition> service = ParseService(*value, where, definitions_.warnings);
    if (!service.ok()) return service.status();
    definitions_.services.push_back(*std::move(service));
  }
  const absl::Status checks =
      ReadChecks(fields, true, definitions_.warnings, [&](const ParsedCheck& parsed, const std::string& where) {
        loose_checks_.push_back({parsed.check, parsed.service_id, where});
      });
  if (!checks.ok()) return checks;
  fields.Flag("leave_on_terminate", definitions_.leave_on_terminate);
  for (const std::string& key : fields.Unread()) {
    definitions_.warnings.push_back(fields.Where(key) + ": not honoured, it configures a Consul agent and there is none");
  }
  return fields.status();
}

absl::StatusOr<Definitions> DefinitionReader::Finish() {
  for (const LooseCheck& loose : loose_checks_) {
    bool taken = false;
    for (ServiceDefinition& service : definitions_.services) {
      const std::string& id = service.id.empty() ? service.name : service.id;
      if (!loose.service_id.empty() && loose.service_id != id) continue;
      service.checks.push_back(loose.check);
      taken = true;
    }
    if (!taken) definitions_.warnings.push_back(loose.where + ": belongs to no service of these files, not honoured");
  }
  std::map<std::string, int> seen;
  for (const ServiceDefinition& service : definitions_.services) {
    const std::string& id = service.id.empty() ? service.name : service.id;
    if (++seen[id] > 1) return absl::InvalidArgumentError("service id \"" + id + "\" is defined twice");
  }
  return std::move(definitions_);
}

absl::StatusOr<Definitions> ReadDefinitions(const std::vector<std::string>& directories,
                                            const std::vector<std::string>& files) {
  std::vector<std::string> paths;
  for (const std::string& directory : directories) {
    absl::StatusOr<std::vector<std::string>> inside = FilesOf(directory);
    if (!inside.ok()) return inside.status();
    paths.insert(paths.end(), inside->begin(), inside->end());
  }
  paths.insert(paths.end(), files.begin(), files.end());
  DefinitionReader reader;
  for (const std::string& path : paths) {
    if (path.ends_with(".hcl")) {
      return absl::InvalidArgumentError(path + ": HCL is not read here; write the definition as JSON");
    }
    absl::StatusOr<std::string> text = ReadFile(path);
    if (!text.ok()) return text.status();
    const absl::Status added = reader.Add(path, *text);
    if (!added.ok()) return added;
  }
  return reader.Finish();
}

}  // namespace ringway::sidecar

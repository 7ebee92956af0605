// Stored records as JSON: each field is named once for writing and once for reading.
#include "controlplane/catalog/record_json.h"

#include <boost/json.hpp>
#include <exception>

namespace ringway::cp {

namespace json = boost::json;

namespace {

// A missing member leaves the field as it is; a wrong one throws, which Decode turns into DataLoss.
const json::value* Member(const json::value& in, const char* name) {
  return in.as_object().if_contains(name);
}

std::string Text(const json::value& value) {
  return std::string(value.as_string().data(), value.as_string().size());
}

void Get(const json::value& in, const char* name, std::string& out) {
  if (const json::value* value = Member(in, name)) out = Text(*value);
}
void Get(const json::value& in, const char* name, int64_t& out) {
  if (const json::value* value = Member(in, name)) out = value->to_number<int64_t>();
}
void Get(const json::value& in, const char* name, uint64_t& out) {
  if (const json::value* value = Member(in, name)) out = value->to_number<uint64_t>();
}
void Get(const json::value& in, const char* name, bool& out) {
  if (const json::value* value = Member(in, name)) out = value->as_bool();
}
void Get(const json::value& in, const char* name, Nanoseconds& out) {
  if (const json::value* value = Member(in, name)) out = Nanoseconds(value->to_number<int64_t>());
}
void Get(const json::value& in, const char* name, std::vector<std::string>& out) {
  const json::value* list = Member(in, name);
  if (list == nullptr) return;
  for (const json::value& item : list->as_array()) out.push_back(Text(item));
}
void Get(const json::value& in, const char* name, std::map<std::string, std::string>& out) {
  const json::value* map = Member(in, name);
  if (map == nullptr) return;
  for (const auto& [key, item] : map->as_object())
    out[std::string(key.data(), key.size())] = Text(item);
}
void Get(const json::value& in, const char* name, std::map<std::string, TaggedAddress>& out) {
  const json::value* map = Member(in, name);
  if (map == nullptr) return;
  for (const auto& [key, item] : map->as_object()) {
    TaggedAddress& address = out[std::string(key.data(), key.size())];
    Get(item, "address", address.address);
    Get(item, "port", address.port);
  }
}
void Get(const json::value& in, const char* name,
         std::map<std::string, std::vector<std::string>>& out) {
  const json::value* map = Member(in, name);
  if (map == nullptr) return;
  for (const auto& [key, item] : map->as_object()) {
    std::vector<std::string>& list = out[std::string(key.data(), key.size())];
    for (const json::value& text : item.as_array()) list.push_back(Text(text));
  }
}

json::array ToJson(const std::vector<std::string>& list) {
  return json::array(list.begin(), list.end());
}
json::object ToJson(const std::map<std::string, std::string>& map) {
  json::object out;
  for (const auto& [key, value] : map) out[key] = value;
  return out;
}
json::object ToJson(const std::map<std::string, TaggedAddress>& map) {
  json::object out;
  for (const auto& [key, value] : map)
    out[key] = {{"address", value.address}, {"port", value.port}};
  return out;
}
json::object ToJson(const std::map<std::string, std::vector<std::string>>& map) {
  json::object out;
  for (const auto& [key, value] : map) out[key] = ToJson(value);
  return out;
}

template <typename Record, typename Reader>
absl::StatusOr<Record> Decode(std::string_view text, Reader read) {
  try {
    const json::value document = json::parse(json::string_view(text.data(), text.size()));
    Record record;
    read(document, record);
    return record;
  } catch (const std::exception& error) {
    return absl::DataLossError(error.what());
  }
}

json::value FromSpec(const CheckSpec& spec) {
  return {{"ttl_ns", spec.ttl.count()},
          {"http", spec.http},
          {"method", spec.method},
          {"headers", ToJson(spec.headers)},
          {"body", spec.body},
          {"tcp", spec.tcp},
          {"interval_ns", spec.interval.count()},
          {"timeout_ns", spec.timeout.count()},
          {"success_before_passing", spec.success_before_passing},
          {"failures_before_critical", spec.failures_before_critical},
          {"output_bytes_max", spec.output_bytes_max},
          {"deregister_after_ns", spec.deregister_after.count()}};
}

void ReadSpec(const json::value& in, CheckSpec& spec) {
  Get(in, "ttl_ns", spec.ttl);
  Get(in, "http", spec.http);
  Get(in, "method", spec.method);
  Get(in, "headers", spec.headers);
  Get(in, "body", spec.body);
  Get(in, "tcp", spec.tcp);
  Get(in, "interval_ns", spec.interval);
  Get(in, "timeout_ns", spec.timeout);
  Get(in, "success_before_passing", spec.success_before_passing);
  Get(in, "failures_before_critical", spec.failures_before_critical);
  Get(in, "output_bytes_max", spec.output_bytes_max);
  Get(in, "deregister_after_ns", spec.deregister_after);
}

void ReadNode(const json::value& in, NodeRecord& node) {
  Get(in, "id", node.id);
  Get(in, "name", node.name);
  Get(in, "address", node.address);
  Get(in, "tagged_addresses", node.tagged_addresses);
  Get(in, "meta", node.meta);
  Get(in, "create_index", node.create_index);
  Get(in, "modify_index", node.modify_index);
}

void ReadService(const json::value& in, ServiceRecord& service) {
  Get(in, "id", service.id);
  Get(in, "name", service.name);
  Get(in, "kind", service.kind);
  Get(in, "tags", service.tags);
  Get(in, "address", service.address);
  Get(in, "tagged_addresses", service.tagged_addresses);
  Get(in, "meta", service.meta);
  Get(in, "port", service.port);
  Get(in, "weight_passing", service.weights.passing);
  Get(in, "weight_warning", service.weights.warning);
  Get(in, "enable_tag_override", service.enable_tag_override);
  Get(in, "create_index", service.create_index);
  Get(in, "modify_index", service.modify_index);
  Get(in, "generation", service.generation);
  Get(in, "draining", service.draining);
}

void ReadCheck(const json::value& in, CheckRecord& check) {
  Get(in, "id", check.id);
  Get(in, "name", check.name);
  Get(in, "status", check.status);
  Get(in, "notes", check.notes);
  Get(in, "output", check.output);
  Get(in, "service_id", check.service_id);
  Get(in, "service_name", check.service_name);
  Get(in, "service_tags", check.service_tags);
  Get(in, "type", check.type);
  Get(in, "fresh_output", check.fresh_output);
  Get(in, "create_index", check.create_index);
  Get(in, "modify_index", check.modify_index);
  ReadSpec(in.at("spec"), check.spec);
}

}  // namespace

std::string EncodeNode(const NodeRecord& node) {
  return json::serialize(json::value{{"id", node.id},
                                     {"name", node.name},
                                     {"address", node.address},
                                     {"tagged_addresses", ToJson(node.tagged_addresses)},
                                     {"meta", ToJson(node.meta)},
                                     {"create_index", node.create_index},
                                     {"modify_index", node.modify_index}});
}

std::string EncodeService(const ServiceRecord& service) {
  return json::serialize(json::value{{"id", service.id},
                                     {"name", service.name},
                                     {"kind", service.kind},
                                     {"tags", ToJson(service.tags)},
                                     {"address", service.address},
                                     {"tagged_addresses", ToJson(service.tagged_addresses)},
                                     {"meta", ToJson(service.meta)},
                                     {"port", service.port},
                                     {"weight_passing", service.weights.passing},
                                     {"weight_warning", service.weights.warning},
                                     {"enable_tag_override", service.enable_tag_override},
                                     {"create_index", service.create_index},
                                     {"modify_index", service.modify_index},
                                     {"generation", service.generation},
                                     {"draining", service.draining}});
}

std::string EncodeCheck(const CheckRecord& check) {
  return json::serialize(json::value{{"id", check.id},
                                     {"name", check.name},
                                     {"status", check.status},
                                     {"notes", check.notes},
                                     {"output", check.output},
                                     {"service_id", check.service_id},
                                     {"service_name", check.service_name},
                                     {"service_tags", ToJson(check.service_tags)},
                                     {"type", check.type},
                                     {"spec", FromSpec(check.spec)},
                                     {"fresh_output", check.fresh_output},
                                     {"create_index", check.create_index},
                                     {"modify_index", check.modify_index}});
}

absl::StatusOr<NodeRecord> DecodeNode(std::string_view text) {
  return Decode<NodeRecord>(text, ReadNode);
}
absl::StatusOr<ServiceRecord> DecodeService(std::string_view text) {
  return Decode<ServiceRecord>(text, ReadService);
}
absl::StatusOr<CheckRecord> DecodeCheck(std::string_view text) {
  return Decode<CheckRecord>(text, ReadCheck);
}

}  // namespace ringway::cp

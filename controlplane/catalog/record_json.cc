// Stored records as JSON, by Boost.JSON's tag_invoke conversions: each field is named once for writing, once for reading.
#include "controlplane/catalog/record_json.h"

#include <boost/json.hpp>
#include <exception>

namespace ringway::cp {

namespace json = boost::json;

static void tag_invoke(json::value_from_tag, json::value& out, const TaggedAddress& address) {
  out = {{"address", address.address}, {"port", address.port}};
}
static TaggedAddress tag_invoke(json::value_to_tag<TaggedAddress>, const json::value& in) {
  return {json::value_to<std::string>(in.at("address")), in.at("port").to_number<int64_t>()};
}

namespace {

template <typename T>
void Get(const json::value& in, const char* name, T& out) {
  const json::object& object = in.as_object();
  if (const json::value* value = object.if_contains(name)) out = json::value_to<T>(*value);
}

void Get(const json::value& in, const char* name, Nanoseconds& out) {
  int64_t count = 0;
  Get(in, name, count);
  out = Nanoseconds(count);
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
          {"headers", json::value_from(spec.headers)},
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
                                     {"tagged_addresses", json::value_from(node.tagged_addresses)},
                                     {"meta", json::value_from(node.meta)},
                                     {"create_index", node.create_index},
                                     {"modify_index", node.modify_index}});
}

std::string EncodeService(const ServiceRecord& service) {
  return json::serialize(json::value{{"id", service.id},
                                     {"name", service.name},
                                     {"kind", service.kind},
                                     {"tags", json::value_from(service.tags)},
                                     {"address", service.address},
                                     {"tagged_addresses", json::value_from(service.tagged_addresses)},
                                     {"meta", json::value_from(service.meta)},
                                     {"port", service.port},
                                     {"weight_passing", service.weights.passing},
                                     {"weight_warning", service.weights.warning},
                                     {"enable_tag_override", service.enable_tag_override},
                                     {"create_index", service.create_index},
                                     {"modify_index", service.modify_index},
                                     {"generation", service.generation}});
}

std::string EncodeCheck(const CheckRecord& check) {
  return json::serialize(json::value{{"id", check.id},
                                     {"name", check.name},
                                     {"status", check.status},
                                     {"notes", check.notes},
                                     {"output", check.output},
                                     {"service_id", check.service_id},
                                     {"service_name", check.service_name},
                                     {"service_tags", json::value_from(check.service_tags)},
                                     {"type", check.type},
                                     {"spec", FromSpec(check.spec)},
                                     {"fresh_output", check.fresh_output},
                                     {"create_index", check.create_index},
                                     {"modify_index", check.modify_index}});
}

absl::StatusOr<NodeRecord> DecodeNode(std::string_view text) { return Decode<NodeRecord>(text, ReadNode); }
absl::StatusOr<ServiceRecord> DecodeService(std::string_view text) { return Decode<ServiceRecord>(text, ReadService); }
absl::StatusOr<CheckRecord> DecodeCheck(std::string_view text) { return Decode<CheckRecord>(text, ReadCheck); }

}  // namespace ringway::cp

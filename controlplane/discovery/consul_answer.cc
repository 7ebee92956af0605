// See consul_answer.h.
#include "controlplane/discovery/consul_answer.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controlplane/discovery/instance_health.h"

namespace ringway::cp {
namespace {

namespace json = boost::json;

const json::object* ObjectAt(const json::object& parent, std::string_view key) {
  const json::value* value = parent.if_contains(key);
  return value == nullptr ? nullptr : value->if_object();
}

const json::array* ArrayAt(const json::object& parent, std::string_view key) {
  const json::value* value = parent.if_contains(key);
  return value == nullptr ? nullptr : value->if_array();
}

std::string_view TextAt(const json::object& parent, std::string_view key) {
  const json::value* value = parent.if_contains(key);
  if (value == nullptr || !value->is_string()) return {};
  return {value->get_string().data(), value->get_string().size()};
}

int64_t NumberAt(const json::object& parent, std::string_view key, int64_t missing) {
  const json::value* value = parent.if_contains(key);
  if (value == nullptr || !value->is_number()) return missing;
  json::error_code error;
  const int64_t number = value->to_number<int64_t>(error);
  return error ? missing : number;
}

// FNV-1a, the same on every machine and in every release: an endpoint keeps its connections over a restart.
class StableHash {
 public:
  void Add(std::string_view bytes) {
    for (const char c : bytes) hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }
  // Positive in every reader's integers.
  uint64_t value() const { return hash_ >> 1; }

 private:
  uint64_t hash_ = 0xcbf29ce484222325ULL;
};

uint64_t GenerationOf(int64_t create_index, const std::string& address, int64_t port) {
  StableHash hash;
  hash.Add(absl::StrCat(create_index, " ", address, " ", port));
  return hash.value();
}

CheckView ViewOf(const json::object& check) {
  const std::string_view id = TextAt(check, "CheckID");
  CheckView view;
  view.name = TextAt(check, "Name");
  view.status = TextAt(check, "Status");
  view.output = TextAt(check, "Output");
  view.notes = TextAt(check, "Notes");
  view.maintenance = id == "_node_maintenance" || id.starts_with("_service_maintenance:") || TextAt(check, "Type") == "maintenance";
  return view;
}

absl::Status Wanted(const char* what) {
  return absl::DataLossError(absl::StrCat("wanted Consul's list of {Node, Service, Checks}, got ", what));
}

absl::StatusOr<Instance> InstanceOf(const json::value& entry) {
  const json::object* object = entry.if_object();
  if (object == nullptr) return Wanted("an entry that is no object");
  const json::object* service = ObjectAt(*object, "Service");
  if (service == nullptr || TextAt(*service, "ID").empty()) return Wanted("an entry without a service");
  const json::object nothing;
  const json::object* node = ObjectAt(*object, "Node");
  if (node == nullptr) node = &nothing;
  const json::object* weights = ObjectAt(*service, "Weights");
  if (weights == nullptr) weights = &nothing;

  Instance instance;
  instance.id = absl::StrCat(std::string(TextAt(*node, "Node")), "/", std::string(TextAt(*service, "ID")));
  instance.address = TextAt(*service, "Address");
  if (instance.address.empty()) instance.address = TextAt(*node, "Address");
  const int64_t port = NumberAt(*service, "Port", 0);
  const int64_t create_index = NumberAt(*service, "CreateIndex", 0);
  instance.generation = GenerationOf(create_index, instance.address, port);
  // The last registration that changed something: a container that comes back under its old id with a new address is newer
  // than whoever had that address before, though its CreateIndex is old. Checks do not move it.
  instance.registered_index = static_cast<uint64_t>(std::max<int64_t>(0, NumberAt(*service, "ModifyIndex", create_index)));
  if (const json::array* tags = ArrayAt(*service, "Tags")) {
    for (const json::value& tag : *tags) {
      if (tag.is_string()) instance.tags.emplace_back(tag.get_string());
    }
  }
  instance.health = InstanceHealth::kPassing;
  if (const json::array* checks = ArrayAt(*object, "Checks")) {
    for (const json::value& check : *checks) {
      if (check.is_object()) Worsen(instance, ViewOf(check.get_object()));
    }
  }
  SetWeightAndPort(instance, NumberAt(*weights, "Passing", 1), NumberAt(*weights, "Warning", 1), port);
  return instance;
}

}  // namespace

absl::StatusOr<std::vector<Instance>> ParseHealthService(std::string_view body) {
  json::error_code error;
  const json::value document = json::parse(json::string_view(body.data(), body.size()), error);
  if (error) return absl::DataLossError(absl::StrCat("not JSON, or cut short: ", error.message()));
  if (!document.is_array()) return Wanted("something else");
  std::vector<Instance> instances;
  instances.reserve(document.get_array().size());
  for (const json::value& entry : document.get_array()) {
    absl::StatusOr<Instance> instance = InstanceOf(entry);
    if (!instance.ok()) return instance.status();
    instances.push_back(*std::move(instance));
  }
  std::sort(instances.begin(), instances.end(), [](const Instance& a, const Instance& b) { return a.id < b.id; });
  const auto twice = std::unique(instances.begin(), instances.end(), [](const Instance& a, const Instance& b) { return a.id == b.id; });
  instances.erase(twice, instances.end());
  return instances;
}

}  // namespace ringway::cp

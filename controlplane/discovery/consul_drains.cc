// See consul_drains.h.
#include "controlplane/discovery/consul_drains.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "absl/status/status.h"
#include "common/log/log.h"
#include "controlplane/kept_file.h"

namespace ringway::cp {

namespace json = boost::json;

ConsulDrains::ConsulDrains(const std::string& data_dir) : file_(data_dir + "/drains.json") {
  const absl::StatusOr<std::string> text = ReadKept(file_);
  if (absl::IsNotFound(text.status())) return;
  json::error_code error;
  const json::value document = text.ok() ? json::parse(*text, error) : json::value();
  if (!text.ok() || error || !document.is_array()) {
    const std::string why = text.ok() ? "not the list it should be" : std::string(text.status().message());
    spdlog::warn("catalog: {}: {}; no instance is draining from before", file_, why);
    return;
  }
  for (const json::value& entry : document.get_array()) {
    const json::object* drain = entry.if_object();
    if (drain == nullptr) continue;
    const json::value* service = drain->if_contains("service");
    const json::value* id = drain->if_contains("id");
    const json::value* generation = drain->if_contains("generation");
    if (service == nullptr || id == nullptr || generation == nullptr || !service->is_string() || !id->is_string() || !generation->is_int64()) continue;
    drains_[{std::string(service->get_string()), std::string(id->get_string())}] = {.generation = static_cast<uint64_t>(generation->get_int64())};
  }
}

bool ConsulDrains::Draining(const std::string& service, const Instance& instance) const {
  const auto drain = drains_.find({service, instance.id});
  return drain != drains_.end() && drain->second.generation == instance.generation;
}

bool ConsulDrains::Set(const std::string& service, const Instance& instance, bool draining) {
  if (Draining(service, instance) == draining) return false;
  if (draining) {
    drains_[{service, instance.id}] = {.generation = instance.generation};
  } else {
    drains_.erase({service, instance.id});
  }
  Write();
  return true;
}

void ConsulDrains::OnAnswer(const std::string& service, const std::vector<Instance>& instances, Clock::time_point now) {
  if (drains_.empty()) return;
  bool ended = false;
  for (auto drain = drains_.lower_bound({service, ""}); drain != drains_.end() && drain->first.first == service;) {
    Clock::time_point& gone_since = drain->second.gone_since;
    bool other = false;
    bool here = false;
    for (const Instance& instance : instances) {
      if (instance.id != drain->first.second) continue;
      here = true;
      other = instance.generation != drain->second.generation;
    }
    gone_since = here ? Clock::time_point::max() : std::min(gone_since, now);
    const bool over = other || (!here && now - gone_since > kGoneFor);
    ended = ended || over;
    drain = over ? drains_.erase(drain) : std::next(drain);
  }
  if (ended) Write();
}

void ConsulDrains::Write() const {
  json::array list;
  for (const auto& [key, drain] : drains_) {
    list.push_back({{"service", key.first}, {"id", key.second}, {"generation", static_cast<int64_t>(drain.generation)}});
  }
  const absl::Status status = WriteKept(file_, json::serialize(list) + "\n", Durability::kOnDisk);
  if (!status.ok()) spdlog::error("catalog: {}; a restart of the control plane forgets who is draining", std::string(status.message()));
}

}  // namespace ringway::cp

// See object_reader.h.
#include "controlplane/config/object_reader.h"

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "controlplane/config/duration.h"
#include "controlplane/config/net_names.h"

namespace ringway::cp {

namespace json = boost::json;

std::string Describe(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null: return "null";
    case json::kind::bool_: return value.get_bool() ? "true" : "false";
    case json::kind::array: return "an array";
    case json::kind::object: return "an object";
    case json::kind::string: return "\"" + std::string(value.get_string()) + "\"";
    default: return "the number " + json::serialize(value);
  }
}

ObjectReader::ObjectReader(const json::value& value, std::string path, Diagnostics& diagnostics)
    : object_(value.if_object()), path_(std::move(path)), diagnostics_(diagnostics) {
  if (object_ == nullptr) diagnostics_.Error(path_, "wanted an object, got " + Describe(value));
}

ObjectReader::~ObjectReader() {
  if (object_ == nullptr) return;
  for (const auto& pair : *object_) {
    const std::string key(pair.key());
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    std::string message = "unknown key \"" + key + "\"" + DidYouMean(key, known_);
    if (Nearest(key, known_).empty()) {
      message += "; wanted one of";
      for (size_t i = 0; i < known_.size(); ++i) message += (i == 0 ? " " : ", ") + known_[i];
    }
    diagnostics_.ErrorAtKey(JoinPath(path_, key), message);
  }
}

const json::value* ObjectReader::Find(std::string_view key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.emplace_back(key);
  return object_ == nullptr ? nullptr : object_->if_contains({key.data(), key.size()});
}

bool ObjectReader::String(std::string_view key, std::string& out) {
  const json::value* value = Find(key);
  if (value == nullptr) return false;
  if (!value->is_string()) return diagnostics_.Error(PathOf(key), "wanted a string, got " + Describe(*value)), false;
  out = std::string(value->get_string());
  return true;
}

bool ObjectReader::Boolean(std::string_view key, bool& out) {
  const json::value* value = Find(key);
  if (value == nullptr) return false;
  if (!value->is_bool()) return diagnostics_.Error(PathOf(key), "wanted true or false, got " + Describe(*value)), false;
  out = value->get_bool();
  return true;
}

bool ObjectReader::Integer(std::string_view key, uint32_t min, uint32_t max, uint32_t& out) {
  const json::value* value = Find(key);
  if (value == nullptr) return false;
  const int64_t* number = value->if_int64();
  if (number == nullptr || *number < int64_t{min} || *number > int64_t{max}) {
    diagnostics_.Error(PathOf(key), "wanted an integer from " + std::to_string(min) + " to " + std::to_string(max) + ", got " + Describe(*value));
    return false;
  }
  out = static_cast<uint32_t>(*number);
  return true;
}

bool ObjectReader::Port(std::string_view key, uint16_t& out) {
  uint32_t number = 0;
  if (!Integer(key, 1, 65535, number)) return false;
  out = static_cast<uint16_t>(number);
  return true;
}

bool ObjectReader::Duration(std::string_view key, uint32_t min_ms, uint32_t max_ms, uint32_t& out) {
  const json::value* value = Find(key);
  if (value == nullptr) return false;
  if (const int64_t* number = value->if_int64()) {
    const std::string digits = std::to_string(*number);
    diagnostics_.Error(PathOf(key), "wanted a duration with its unit in quotes, got the number " + digits + "; write \"" + digits +
                                        "s\" for seconds or \"" + digits + "ms\" for milliseconds");
    return false;
  }
  if (!value->is_string()) {
    return diagnostics_.Error(PathOf(key), "wanted a duration like \"500ms\", \"2s\" or \"1m\", got " + Describe(*value)), false;
  }
  const auto ms = ParseDurationMs(std::string_view(value->get_string().data(), value->get_string().size()));
  if (!ms.ok()) return diagnostics_.Error(PathOf(key), std::string(ms.status().message())), false;
  if (*ms < min_ms || *ms > max_ms) {
    diagnostics_.Error(PathOf(key), "wanted a duration from " + FormatDuration(min_ms) + " to " + FormatDuration(max_ms) + ", got " + Describe(*value));
    return false;
  }
  out = *ms;
  return true;
}

bool ObjectReader::Bind(std::string_view key, std::string& out) {
  std::string text;
  if (!String(key, text)) return false;
  const auto socket = ParseHostPort(text);
  if (!socket) {
    return diagnostics_.Error(PathOf(key), "wanted \"ADDRESS:PORT\" or \"[IPv6]:PORT\" with an IP address and a port from 1 to 65535, got \"" + text + "\""),
           false;
  }
  out = text;
  return true;
}

int ObjectReader::ChoiceIndex(std::string_view key, const std::vector<std::string>& words) {
  const json::value* value = Find(key);
  if (value == nullptr) return -1;
  std::string wanted = "wanted ";
  for (size_t i = 0; i < words.size(); ++i) wanted += (i == 0 ? "\"" : i + 1 == words.size() ? " or \"" : ", \"") + words[i] + "\"";
  std::string text;
  if (value->is_string()) {
    text = std::string(value->get_string());
    const auto found = std::find(words.begin(), words.end(), text);
    if (found != words.end()) return static_cast<int>(found - words.begin());
  }
  diagnostics_.Error(PathOf(key), wanted + ", got " + Describe(*value) + (value->is_string() ? DidYouMean(text, words) : ""));
  return -1;
}

bool ObjectReader::Array(std::string_view key, const std::function<void(const json::value&, const std::string&)>& each) {
  const json::value* value = Find(key);
  if (value == nullptr) return false;
  if (!value->is_array()) return diagnostics_.Error(PathOf(key), "wanted an array, got " + Describe(*value)), false;
  size_t i = 0;
  for (const json::value& element : value->get_array()) each(element, JoinPath(PathOf(key), i++));
  return true;
}

void ObjectReader::EachKey(const std::function<void(std::string_view, const json::value&, const std::string&)>& each) {
  if (object_ == nullptr) return;
  for (const auto& pair : *object_) {
    known_.emplace_back(pair.key());
    each({pair.key().data(), pair.key().size()}, pair.value(), PathOf({pair.key().data(), pair.key().size()}));
  }
}

}  // namespace ringway::cp

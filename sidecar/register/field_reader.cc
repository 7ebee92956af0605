// Types are checked here, meaning in definition.cc.
#include "sidecar/register/field_reader.h"

#include <boost/json.hpp>
#include <cctype>

#include "sidecar/duration.h"

namespace ringway::sidecar {
namespace {

std::string Folded(std::string_view key) {
  std::string folded;
  for (const char c : key) {
    if (c != '_') folded += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return folded;
}

std::string_view View(boost::json::string_view text) { return {text.data(), text.size()}; }

}  // namespace

FieldReader::FieldReader(const boost::json::value& value, std::string where)
    : object_(value.if_object()), where_(std::move(where)) {
  if (object_ == nullptr) status_ = absl::InvalidArgumentError(where_ + ": wanted an object");
}

const boost::json::value* FieldReader::Find(std::string_view key) {
  if (object_ == nullptr) return nullptr;
  const std::string wanted = Folded(key);
  const boost::json::value* found = nullptr;
  for (const auto& [name, value] : *object_) {
    if (Folded(View(name)) != wanted) continue;
    read_.insert(std::string(name));
    if (!value.is_null()) found = &value;
  }
  return found;
}

bool FieldReader::Has(std::string_view key) const {
  if (object_ == nullptr) return false;
  for (const auto& [name, value] : *object_) {
    if (Folded(View(name)) == Folded(key) && !value.is_null()) return true;
  }
  return false;
}

std::string FieldReader::Where(std::string_view key) const {
  const bool at_root = where_.ends_with(": ");
  return where_ + (at_root ? "" : ".") + std::string(key);
}

void FieldReader::Fail(std::string_view key, const std::string& wanted) {
  if (status_.ok()) status_ = absl::InvalidArgumentError(Where(key) + ": wanted " + wanted);
}

void FieldReader::Text(std::string_view key, std::string& out) {
  const boost::json::value* value = Find(key);
  if (value == nullptr) return;
  if (!value->is_string()) return Fail(key, "a string");
  out = value->as_string().c_str();
}

void FieldReader::Flag(std::string_view key, bool& out) {
  const boost::json::value* value = Find(key);
  if (value == nullptr) return;
  if (!value->is_bool()) return Fail(key, "true or false");
  out = value->as_bool();
}

void FieldReader::Number(std::string_view key, int64_t min, int64_t max, int64_t& out) {
  const boost::json::value* value = Find(key);
  if (value == nullptr) return;
  if (!value->is_int64() || value->as_int64() < min || value->as_int64() > max) {
    return Fail(key, "a number from " + std::to_string(min) + " to " + std::to_string(max));
  }
  out = value->as_int64();
}

void FieldReader::Duration(std::string_view key, std::chrono::milliseconds& out) {
  const boost::json::value* value = Find(key);
  if (value == nullptr) return;
  if (value->is_int64() && value->as_int64() >= 0) {  // Go reads a bare number as nanoseconds
    out = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::nanoseconds(value->as_int64()));
    return;
  }
  if (!value->is_string()) return Fail(key, "a duration such as \"10s\"");
  absl::StatusOr<std::chrono::milliseconds> parsed = ParseDuration(View(value->as_string()));
  if (!parsed.ok()) return Fail(key, "a duration such as \"10s\", got \"" + std::string(value->as_string()) + "\"");
  out = *parsed;
}

void FieldReader::Texts(std::string_view key, std::vector<std::string>& out) {
  const boost::json::value* value = Find(key);
  if (value == nullptr) return;
  if (!value->is_array()) return Fail(key, "a list of strings");
  for (const boost::json::value& item : value->as_array()) {
    if (!item.is_string()) return Fail(key, "a list of strings");
    out.emplace_back(item.as_string().c_str());
  }
}

void FieldReader::TextMap(std::string_view key, std::map<std::string, std::string>& out) {
  const boost::json::value* value = Find(key);
  if (value == nullptr) return;
  if (!value->is_object()) return Fail(key, "an object of strings");
  for (const auto& [name, item] : value->as_object()) {
    if (!item.is_string()) return Fail(key, "an object of strings");
    out[std::string(name)] = item.as_string().c_str();
  }
}

std::vector<std::string> FieldReader::Unread() const {
  std::vector<std::string> unread;
  if (object_ == nullptr) return unread;
  for (const auto& [name, value] : *object_) {
    if (read_.count(std::string(name)) == 0) unread.emplace_back(name);
  }
  return unread;
}

}  // namespace ringway::sidecar

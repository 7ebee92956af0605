// Reads the fields of one JSON object and keeps count of what nobody asked for, so that it can be named in a warning.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace ringway::sidecar {

// Keys match as Consul matches them: without regard to case and underscores ("DeregisterCriticalServiceAfter").
// The first error is kept in status(); after it, readers do nothing.
class FieldReader {
 public:
  // `where`: "FILE: PATH". `value` must outlive the reader.
  FieldReader(const boost::json::value& value, std::string where);

  void Text(std::string_view key, std::string& out);
  void Flag(std::string_view key, bool& out);
  void Number(std::string_view key, int64_t min, int64_t max, int64_t& out);
  void Duration(std::string_view key, std::chrono::milliseconds& out);
  void Texts(std::string_view key, std::vector<std::string>& out);
  void TextMap(std::string_view key, std::map<std::string, std::string>& out);
  // The raw value, marked as read; null when absent or JSON null.
  const boost::json::value* Find(std::string_view key);
  bool Has(std::string_view key) const;

  // Marks as read without an effect.
  void Ignore(std::string_view key) { (void)Find(key); }
  void Fail(std::string_view key, const std::string& wanted);

  const absl::Status& status() const { return status_; }
  const std::string& where() const { return where_; }
  std::string Where(std::string_view key) const;
  // The keys that were never asked for, as written.
  std::vector<std::string> Unread() const;

 private:
  const boost::json::object* object_ = nullptr;
  const std::string where_;
  absl::Status status_;
  std::set<std::string> read_;  // as written
};

}  // namespace ringway::sidecar

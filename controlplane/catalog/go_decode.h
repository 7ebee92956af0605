// Reads a JSON document as Go's encoding/json with DisallowUnknownFields does, errors included:
// field names without regard to case, null leaves a field alone, the first fault in document order
// is the one reported.
#pragma once

#include <boost/json/value.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace ringway::cp {

// InvalidArgument "Request decode failed: ..." for everything that is no JSON. Bytes after the
// document are ignored.
absl::StatusOr<boost::json::value> ParseGoJson(std::string_view body);

// One struct: which fields it has and where they go. Used once, lives on the stack.
class GoStruct {
 public:
  // Stores one value; the text of the fault, or empty.
  using Setter = std::function<std::string(const boost::json::value&)>;

  // `path` is what Go writes before the field in "cannot unmarshal": "." for our anonymous structs.
  explicit GoStruct(std::string path = ".") : path_(std::move(path)) {}

  GoStruct& String(const std::string& field, std::string& out);
  GoStruct& Int(const std::string& field, int64_t& out);
  GoStruct& Bool(const std::string& field, bool& out);
  GoStruct& Strings(const std::string& field, std::vector<std::string>& out);
  GoStruct& StringMap(const std::string& field, std::map<std::string, std::string>& out);
  GoStruct& HeaderMap(const std::string& field,
                      std::map<std::string, std::vector<std::string>>& out);
  GoStruct& Duration(const std::string& field, std::chrono::nanoseconds& out);
  GoStruct& Any(const std::string& field, Setter setter);
  GoStruct& Ignore(const std::string& field);  // known, without a meaning here

  // The fault of the first field that has one, or empty. A document that is null is an empty
  // struct.
  std::string Decode(const boost::json::value& document, std::string_view go_type = "struct") const;
  // "json: cannot unmarshal KIND into Go struct field PATH of type TYPE"
  std::string Mismatch(const boost::json::value& value, const std::string& field,
                       std::string_view type) const;

 private:
  std::string path_;
  std::map<std::string, Setter> fields_;  // by lower-case name
};

// The text of time.ParseDuration's refusal.
std::string GoDurationFault(std::string_view text);

}  // namespace ringway::cp

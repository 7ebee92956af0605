// Strict decoding with Go's words; see go_decode.h.
#include "controlplane/catalog/go_decode.h"

#include <boost/json/parser.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/stream_parser.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "controlplane/catalog/go_duration.h"

namespace ringway::cp {
namespace {

namespace json = boost::json;

std::string Text(const json::string& string) { return std::string(string.data(), string.size()); }

std::string KindOf(const json::value& value) {
  switch (value.kind()) {
    case json::kind::object:
      return "object";
    case json::kind::array:
      return "array";
    case json::kind::string:
      return "string";
    case json::kind::bool_:
      return "bool";
    default:
      return "number";
  }
}

absl::Status DecodeFailed(const std::string& why) {
  return absl::InvalidArgumentError("Request decode failed: " + why);
}

}  // namespace

absl::StatusOr<json::value> ParseGoJson(std::string_view body) {
  if (absl::StripAsciiWhitespace(absl::string_view(body.data(), body.size())).empty())
    return DecodeFailed("EOF");
  json::stream_parser parser;
  boost::system::error_code error;
  const size_t used = parser.write_some(body.data(), body.size(), error);
  if (!error && !parser.done()) {
    parser.finish(error);
    if (error) return DecodeFailed("unexpected EOF");
  }
  if (error == json::error::incomplete) return DecodeFailed("unexpected EOF");
  if (error) {
    const std::string_view at = used < body.size() ? body.substr(used, 1) : std::string_view();
    return DecodeFailed(absl::StrCat("invalid character '", std::string(at), "' at offset ", used,
                                     ": ", error.message()));
  }
  return parser.release();
}

std::string GoDurationFault(std::string_view text) {
  const std::string quoted = "\"" + std::string(text) + "\"";
  std::string_view rest = text;
  if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) rest.remove_prefix(1);
  size_t digits = 0;
  while (digits < rest.size() &&
         (absl::ascii_isdigit(static_cast<unsigned char>(rest[digits])) || rest[digits] == '.')) {
    ++digits;
  }
  if (digits == 0) return "time: invalid duration " + quoted;
  if (digits == rest.size()) return "time: missing unit in duration " + quoted;
  size_t end = digits;
  while (end < rest.size() && rest[end] != '.' &&
         !absl::ascii_isdigit(static_cast<unsigned char>(rest[end])))
    ++end;
  return absl::StrCat("time: unknown unit \"", std::string(rest.substr(digits, end - digits)),
                      "\" in duration ", quoted);
}

std::string GoStruct::Mismatch(const json::value& value, const std::string& field,
                               std::string_view type) const {
  std::string kind = KindOf(value);
  if (kind == "number" && type == "int") {
    kind += " " + (value.is_double() ? absl::StrCat(value.get_double()) : json::serialize(value));
  }
  return absl::StrCat("json: cannot unmarshal ", kind, " into Go struct field ", path_, field,
                      " of type ", std::string(type));
}

GoStruct& GoStruct::Any(const std::string& field, Setter setter) {
  fields_[absl::AsciiStrToLower(field)] = std::move(setter);
  return *this;
}

GoStruct& GoStruct::Ignore(const std::string& field) {
  return Any(field, [](const json::value&) { return std::string(); });
}

GoStruct& GoStruct::String(const std::string& field, std::string& out) {
  return Any(field, [this, field, &out](const json::value& value) {
    if (!value.is_string()) return Mismatch(value, field, "string");
    out = Text(value.get_string());
    return std::string();
  });
}

GoStruct& GoStruct::Int(const std::string& field, int64_t& out) {
  return Any(field, [this, field, &out](const json::value& value) {
    if (!value.is_int64()) return Mismatch(value, field, "int");
    out = value.get_int64();
    return std::string();
  });
}

GoStruct& GoStruct::Bool(const std::string& field, bool& out) {
  return Any(field, [this, field, &out](const json::value& value) {
    if (!value.is_bool()) return Mismatch(value, field, "bool");
    out = value.get_bool();
    return std::string();
  });
}

GoStruct& GoStruct::Strings(const std::string& field, std::vector<std::string>& out) {
  return Any(field, [this, field, &out](const json::value& value) {
    if (!value.is_array()) return Mismatch(value, field, "[]string");
    out.clear();
    for (const json::value& item : value.get_array()) {
      if (!item.is_string() && !item.is_null()) return Mismatch(item, field, "string");
      out.push_back(item.is_null() ? std::string() : Text(item.get_string()));
    }
    return std::string();
  });
}

GoStruct& GoStruct::StringMap(const std::string& field, std::map<std::string, std::string>& out) {
  return Any(field, [this, field, &out](const json::value& value) {
    if (!value.is_object()) return Mismatch(value, field, "map[string]string");
    for (const auto& [key, item] : value.get_object()) {
      if (!item.is_string() && !item.is_null()) return Mismatch(item, field, "string");
      out[std::string(key.data(), key.size())] =
          item.is_null() ? std::string() : Text(item.get_string());
    }
    return std::string();
  });
}

GoStruct& GoStruct::HeaderMap(const std::string& field,
                              std::map<std::string, std::vector<std::string>>& out) {
  return Any(field, [this, field, &out](const json::value& value) {
    if (!value.is_object()) return Mismatch(value, field, "map[string][]string");
    for (const auto& [key, item] : value.get_object()) {
      GoStruct one(path_);
      one.Strings(field, out[std::string(key.data(), key.size())]);
      if (std::string fault = item.is_null() ? "" : one.fields_.begin()->second(item);
          !fault.empty())
        return fault;
    }
    return std::string();
  });
}

// A string in Go's form or a number of nanoseconds; Consul takes anything else as not given.
GoStruct& GoStruct::Duration(const std::string& field, std::chrono::nanoseconds& out) {
  return Any(field, [&out](const json::value& value) {
    if (value.is_number())
      out = std::chrono::nanoseconds(static_cast<int64_t>(value.to_number<double>()));
    if (!value.is_string()) return std::string();
    const std::string text = Text(value.get_string());
    const auto duration = ParseGoDuration(text);
    if (!duration) return GoDurationFault(text);
    out = *duration;
    return std::string();
  });
}

std::string GoStruct::Decode(const json::value& document, std::string_view go_type) const {
  if (document.is_null()) return {};
  if (!document.is_object()) {
    return absl::StrCat("json: cannot unmarshal ", KindOf(document), " into Go value of type ",
                        std::string(go_type));
  }
  for (const auto& [key, value] : document.get_object()) {
    const std::string name(key.data(), key.size());
    const auto field = fields_.find(absl::AsciiStrToLower(name));
    if (field == fields_.end()) return "json: unknown field \"" + name + "\"";
    if (value.is_null()) continue;
    if (std::string fault = field->second(value); !fault.empty()) return fault;
  }
  return {};
}

}  // namespace ringway::cp

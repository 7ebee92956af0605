// JSON codec of the feed's messages. Each struct lists its fields once (feed_fields.h); one visitor writes them, another
// reads them and keeps the first error together with its path, such as "services[2].endpoints[0].port".
#include "common/api/feed_json.h"

#include <boost/json.hpp>
#include <concepts>
#include <limits>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/api/feed_fields.h"

namespace ringway::api {
namespace {

namespace json = boost::json;

json::string_view View(std::string_view text) { return {text.data(), text.size()}; }

class Writer {
 public:
  template <typename T>
  void operator()(std::string_view key, const T& value) {
    object[View(key)] = Value(value);
  }
  json::object object;

  template <typename T>
  static json::value Value(const T& value) {
    if constexpr (std::is_enum_v<T>) {
      return json::value(View(NameOf(value)));
    } else if constexpr (std::integral<T>) {
      return json::value(value);
    } else if constexpr (std::same_as<T, std::string>) {
      return json::value(View(value));
    } else {
      Writer writer;
      Fields(writer, value);
      return writer.object;
    }
  }
  template <typename T>
  static json::value Value(const std::vector<T>& values) {
    json::array array;
    array.reserve(values.size());
    for (const T& value : values) array.push_back(Value(value));
    return array;
  }
};

// Where in the document a value stands: a chain through the callers' frames, spelled out only for an error.
struct Place {
  const Place* parent = nullptr;
  std::string_view key;  // empty: an array's element
  size_t index = 0;
  std::string Spell() const {
    std::string text = parent != nullptr ? parent->Spell() : "";
    if (parent == nullptr) return text;
    if (key.empty()) return absl::StrCat(text, "[", index, "]");
    return absl::StrCat(text, text.empty() ? "" : ".", std::string(key));
  }
};

std::string_view KindName(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null: return "null";
    case json::kind::bool_: return "true or false";
    case json::kind::string: return "a string";
    case json::kind::array: return "an array";
    case json::kind::object: return "an object";
    default: return "a number";
  }
}

class Reader {
 public:
  Reader(const json::object& object, const Place& place, absl::Status& status)
      : object_(object), place_(place), status_(status) {}

  template <typename T>
  void operator()(std::string_view key, T& out) {
    const json::value* value = object_.if_contains(View(key));
    if (value == nullptr || !status_.ok()) return;
    Read(*value, Place{&place_, key, 0}, status_, out);
  }

  template <typename T>
  static void Read(const json::value& value, const Place& place, absl::Status& status, T& out) {
    if constexpr (std::is_enum_v<T>) {
      ReadEnum(value, place, status, out);
    } else if constexpr (std::same_as<T, bool>) {
      if (!value.is_bool()) return Wanted(value, place, status, "true or false");
      out = value.get_bool();
    } else if constexpr (std::integral<T>) {
      ReadInteger(value, place, status, out);
    } else if constexpr (std::same_as<T, std::string>) {
      if (!value.is_string()) return Wanted(value, place, status, "a string");
      out.assign(value.get_string().data(), value.get_string().size());
    } else {
      if (!value.is_object()) return Wanted(value, place, status, "an object");
      Reader reader(value.get_object(), place, status);
      Fields(reader, out);
    }
  }
  template <typename T>
  static void Read(const json::value& value, const Place& place, absl::Status& status,
                   std::vector<T>& out) {
    if (!value.is_array()) return Wanted(value, place, status, "an array");
    const json::array& array = value.get_array();
    out.clear();
    out.reserve(array.size());
    for (size_t i = 0; i < array.size() && status.ok(); ++i) {
      Read(array[i], Place{&place, {}, i}, status, out.emplace_back());
    }
  }

 private:
  static void Wanted(const json::value& value, const Place& place, absl::Status& status,
                     const std::string& wanted) {
    const std::string came = value.is_structured() ? std::string(KindName(value))
                                                   : std::string(json::serialize(value));
    status = absl::InvalidArgumentError(
        absl::StrCat(place.Spell(), ": wanted ", wanted, ", got ", came));
  }

  template <typename T>
  static void ReadEnum(const json::value& value, const Place& place, absl::Status& status, T& out) {
    std::string wanted = "one of";
    size_t i = 0;
    for (std::string_view name : kWords<T>) {
      if (value.is_string() && value.get_string() == View(name)) {
        out = static_cast<T>(i);
        return;
      }
      wanted += (i++ == 0 ? " " : ", ") + std::string(name);
    }
    Wanted(value, place, status, wanted);
  }

  template <typename T>
  static void ReadInteger(const json::value& value, const Place& place, absl::Status& status,
                          T& out) {
    constexpr T kMin = std::numeric_limits<T>::min();
    constexpr T kMax = std::numeric_limits<T>::max();
    if (value.is_int64() && std::in_range<T>(value.get_int64())) {
      out = static_cast<T>(value.get_int64());
    } else if (value.is_uint64() && std::in_range<T>(value.get_uint64())) {
      out = static_cast<T>(value.get_uint64());
    } else {
      Wanted(value, place, status, absl::StrCat("a whole number from ", kMin, " to ", kMax));
    }
  }

  const json::object& object_;
  const Place& place_;
  absl::Status& status_;
};

constexpr std::string_view kTypeNames[] = {"hello", "snapshot", "delta", "ack", "refuse", "report",
                                            "catalog_status"};
static_assert(std::size(kTypeNames) == std::variant_size_v<Message>);

template <size_t I = 0>
absl::StatusOr<Message> DecodeAs(std::string_view type, const json::value& document) {
  if constexpr (I == std::variant_size_v<Message>) {
    return absl::InvalidArgumentError(
        absl::StrCat("type: wanted hello, snapshot, delta, ack, refuse, report or catalog_status, got \"",
                     std::string(type), "\""));
  } else {
    if (type != kTypeNames[I]) return DecodeAs<I + 1>(type, document);
    std::variant_alternative_t<I, Message> message;
    absl::Status status;
    const Place root;
    Reader::Read(document, root, status, message);
    if (!status.ok()) return status;
    return Message(std::move(message));
  }
}

}  // namespace

std::string EncodeMessage(const Message& message) {
  return std::visit(
      [&](const auto& m) {
        Writer writer;
        writer("type", std::string(kTypeNames[message.index()]));
        Fields(writer, m);
        return std::string(json::serialize(writer.object));
      },
      message);
}

absl::StatusOr<Message> DecodeMessage(std::string_view text) {
  json::error_code error;
  const json::value document = json::parse(View(text), error);
  if (error) return absl::InvalidArgumentError("not JSON: " + error.message());
  const json::object* object = document.if_object();
  if (object == nullptr) {
    return absl::InvalidArgumentError("wanted an object, got " + std::string(KindName(document)));
  }
  const json::value* type = object->if_contains("type");
  if (type == nullptr || !type->is_string()) {
    return absl::InvalidArgumentError("type: wanted a string that names the message");
  }
  return DecodeAs({type->get_string().data(), type->get_string().size()}, document);
}

}  // namespace ringway::api

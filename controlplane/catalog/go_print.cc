// Go's encoding/json with HTML escaping, json.MarshalIndent("", "    "); see go_print.h.
#include "controlplane/catalog/go_print.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <string_view>

namespace ringway::cp {
namespace {

namespace json = boost::json;

void PrintString(std::string_view text, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (byte < 0x20 || c == '<' || c == '>' || c == '&') {
          out += "\\u00";
          out += kHex[byte >> 4];
          out += kHex[byte & 15];
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

class Printer {
 public:
  explicit Printer(bool pretty) : pretty_(pretty) {}

  void Print(const json::value& value, size_t depth) {
    if (value.is_object()) {
      PrintMembers(value.get_object(), depth);
    } else if (value.is_array()) {
      PrintItems(value.get_array(), depth);
    } else if (value.is_string()) {
      PrintString({value.get_string().data(), value.get_string().size()}, out);
    } else {
      out += json::serialize(value);
    }
  }

  std::string out;

 private:
  void Break(size_t depth) {
    if (!pretty_) return;
    out += '\n';
    out.append(depth * 4, ' ');
  }
  void PrintMembers(const json::object& object, size_t depth) {
    out += '{';
    bool first = true;
    for (const auto& [key, value] : object) {
      if (!first) out += ',';
      first = false;
      Break(depth + 1);
      PrintString({key.data(), key.size()}, out);
      out += pretty_ ? ": " : ":";
      Print(value, depth + 1);
    }
    if (!first) Break(depth);
    out += '}';
  }
  void PrintItems(const json::array& array, size_t depth) {
    out += '[';
    bool first = true;
    for (const json::value& item : array) {
      if (!first) out += ',';
      first = false;
      Break(depth + 1);
      Print(item, depth + 1);
    }
    if (!first) Break(depth);
    out += ']';
  }

  const bool pretty_;
};

}  // namespace

std::string PrintJson(const json::value& value, bool pretty) {
  Printer printer(pretty);
  printer.Print(value, 0);
  if (pretty) printer.out += '\n';
  return std::move(printer.out);
}

}  // namespace ringway::cp

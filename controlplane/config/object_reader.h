// Reads one JSON object of the config key by key: type and range are checked, each complaint names the path and what was
// wanted, and a key that nobody asked for is an error with the nearest known key. Lives as long as one object is read.
#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/api/words.h"
#include "controlplane/config/diagnostics.h"

namespace ringway::cp {

class ObjectReader {
 public:
  // `value` need not be an object: then one error is noted and every key reads as absent.
  ObjectReader(const boost::json::value& value, std::string path, Diagnostics& diagnostics);
  // Reports the keys that were not asked for.
  ~ObjectReader();
  ObjectReader(const ObjectReader&) = delete;
  ObjectReader& operator=(const ObjectReader&) = delete;

  // Each leaves `out` alone when the key is absent or wrong, and returns whether it was given and right.
  bool String(std::string_view key, std::string& out);
  bool Boolean(std::string_view key, bool& out);
  bool Integer(std::string_view key, uint32_t min, uint32_t max, uint32_t& out);
  bool Port(std::string_view key, uint16_t& out);
  bool Duration(std::string_view key, uint32_t min_ms, uint32_t max_ms, uint32_t& out);
  // "ADDRESS:PORT", "[V6]:PORT" with an IP literal.
  bool Bind(std::string_view key, std::string& out);
  // One of the words of an enum of the feed, or of the list.
  template <typename Enum>
  bool Choice(std::string_view key, Enum& out) {
    const int found = ChoiceIndex(key, {api::kWords<Enum>.begin(), api::kWords<Enum>.end()});
    if (found >= 0) out = static_cast<Enum>(found);
    return found >= 0;
  }
  template <typename Enum>
  bool Choice(std::string_view key, std::initializer_list<std::pair<std::string_view, Enum>> choices, Enum& out) {
    std::vector<std::string> words;
    for (const auto& choice : choices) words.emplace_back(choice.first);
    const int found = ChoiceIndex(key, words);
    if (found < 0) return false;
    out = (choices.begin() + found)->second;
    return true;
  }

  // The value itself, null when absent; marks the key as known.
  const boost::json::value* Find(std::string_view key);
  // Calls `each` with every element (and its path) of an array. False when absent or not an array.
  bool Array(std::string_view key, const std::function<void(const boost::json::value&, const std::string& path)>& each);
  // Every key of the object as a name chosen by the user (services): all become known.
  void EachKey(const std::function<void(std::string_view key, const boost::json::value&, const std::string& path)>& each);

  std::string PathOf(std::string_view key) const { return JoinPath(path_, key); }
  const std::string& path() const { return path_; }
  Diagnostics& diagnostics() const { return diagnostics_; }

 private:
  int ChoiceIndex(std::string_view key, const std::vector<std::string>& words);

  const boost::json::object* object_ = nullptr;
  const std::string path_;
  Diagnostics& diagnostics_;
  std::vector<std::string> known_;
};

// `an object`, `the string "x"`, `the number 5`: what came, for error messages.
std::string Describe(const boost::json::value& value);

}  // namespace ringway::cp

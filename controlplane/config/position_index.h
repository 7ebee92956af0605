// Where each value and key of a JSON document stands. Boost.JSON reports no positions for values, and an error that says
// "line 14, column 9" is worth more than one that says "services.web". A small scanner walks the text once, follows the
// same dialect the config allows (comments, trailing commas), and remembers line and column by path. It is also the first
// to meet a syntax error, and says what it wanted there. Bounded by the depth limit and the file's size.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ringway::cp {

// Both count from 1; a column is a byte, as compilers count.
struct Position {
  int line = 1;
  int column = 1;
  bool operator==(const Position&) const = default;
};

// Paths read as a person would write them: `listeners[0].bind`; a key that is not a plain word is quoted: `services["a.b"]`.
// The root's path is empty.
std::string JoinPath(std::string_view parent, std::string_view key);
std::string JoinPath(std::string_view parent, size_t index);

class PositionIndex {
 public:
  struct Problem {
    Position position;
    std::string path;
    std::string wanted;
  };

  explicit PositionIndex(std::string_view text);

  // The first syntax error, if any. What follows it is not indexed.
  const std::optional<Problem>& syntax_error() const { return syntax_error_; }
  // Keys given twice in one object (JSON readers silently take one of them).
  const std::vector<Problem>& duplicates() const { return duplicates_; }

  bool Contains(std::string_view path) const { return entries_.count(std::string(path)) != 0; }
  // Position of the value at `path`, of its key; for an unknown path that of its nearest known parent.
  Position Value(std::string_view path) const;
  Position Key(std::string_view path) const;

 private:
  friend class PositionScanner;
  struct Entry {
    Position key;
    Position value;
  };
  const Entry* Nearest(std::string_view path) const;

  std::unordered_map<std::string, Entry> entries_;
  std::optional<Problem> syntax_error_;
  std::vector<Problem> duplicates_;
};

// Line and column of a byte offset.
Position PositionAt(std::string_view text, size_t offset);

}  // namespace ringway::cp

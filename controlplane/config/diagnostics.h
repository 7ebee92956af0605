// What is wrong with a config file, gathered whole, so that one run shows every error: `file:line:column path: what was
// wanted`. Errors refuse the file; warnings are logged and it is taken.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "controlplane/config/position_index.h"

namespace ringway::cp {

class Diagnostics {
 public:
  Diagnostics(std::string file, const PositionIndex& index) : file_(std::move(file)), index_(index) {}

  void Error(std::string_view path, std::string_view message) { Add(errors_, index_.Value(path), path, message); }
  void ErrorAtKey(std::string_view path, std::string_view message) { Add(errors_, index_.Key(path), path, message); }
  void ErrorAt(Position position, std::string_view path, std::string_view message) { Add(errors_, position, path, message); }
  void WarningAtKey(std::string_view path, std::string_view message) { Add(warnings_, index_.Key(path), path, message); }

  // Was it written in the file (else it is a default)?
  bool Given(std::string_view path) const { return index_.Contains(path); }
  bool failed() const { return !errors_.empty(); }
  // In the order of the file, one line each.
  std::vector<std::string> errors() const { return Lines(errors_); }
  std::vector<std::string> warnings() const { return Lines(warnings_); }

 private:
  struct Finding {
    Position position;
    size_t order;  // found first, shown first
    std::string text;
  };
  void Add(std::vector<Finding>& to, Position position, std::string_view path, std::string_view message) const;
  static std::vector<std::string> Lines(std::vector<Finding> findings);

  const std::string file_;
  const PositionIndex& index_;
  std::vector<Finding> errors_;
  std::vector<Finding> warnings_;
};

// The candidate a person most likely meant by `word` (edit distance at most 2, and less than half of it), or "".
std::string Nearest(std::string_view word, const std::vector<std::string>& candidates);
// `; did you mean "x"?` or "".
std::string DidYouMean(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace ringway::cp

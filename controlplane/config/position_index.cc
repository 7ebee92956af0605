// The scanner: recursive descent over the text, one function a kind of value. See position_index.h.
#include "controlplane/config/position_index.h"

#include <algorithm>
#include <string>
#include <unordered_set>
#include <utility>

namespace ringway::cp {
namespace {

constexpr int kDepthMax = 32;

bool IsPlainWord(std::string_view key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '/';
  });
}

bool EndsScalar(char c) { return std::string_view(" \t\r\n,:]}[{\"/").find(c) != std::string_view::npos; }

}  // namespace

std::string JoinPath(std::string_view parent, std::string_view key) {
  std::string path(parent);
  if (!IsPlainWord(key)) return path.append("[\"").append(key).append("\"]");
  if (!path.empty()) path += '.';
  return path.append(key);
}

std::string JoinPath(std::string_view parent, size_t index) {
  return std::string(parent) + "[" + std::to_string(index) + "]";
}

Position PositionAt(std::string_view text, size_t offset) {
  const std::string_view before = text.substr(0, offset);
  const size_t newline = before.rfind('\n');
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const size_t column = newline == std::string_view::npos ? before.size() + 1 : before.size() - newline;
  return {static_cast<int>(line), static_cast<int>(column)};
}

class PositionScanner {
 public:
  PositionScanner(std::string_view text, PositionIndex& index) : text_(text), index_(index) {}

  void Scan() {
    if (!SkipBlank("")) return;
    if (!ScanValue("", Here(), 0) || !SkipBlank("")) return;
    if (at_ < text_.size()) Fail("", "end of file after the closing brace");
  }

 private:
  bool ScanValue(const std::string& path, Position key, int depth) {
    index_.entries_.emplace(path, PositionIndex::Entry{key, Here()});
    if (depth > kDepthMax) return Fail(path, "at most 32 levels of nesting");
    if (at_ == text_.size()) return Fail(path, "a value, got the end of the file");
    switch (text_[at_]) {
      case '{': return ScanObject(path, depth);
      case '[': return ScanArray(path, depth);
      case '"': return ScanString(path, nullptr);
      default: return ScanScalar(path);
    }
  }

  bool ScanObject(const std::string& path, int depth) {
    std::unordered_set<std::string> seen;
    ++at_;
    for (;;) {
      if (!SkipBlank(path)) return false;
      if (Take('}')) return true;
      const Position key_position = Here();
      std::string key;
      if (at_ == text_.size() || text_[at_] != '"') return Fail(path, "a key in double quotes or '}'");
      if (!ScanString(path, &key) || !SkipBlank(path)) return false;
      const std::string child = JoinPath(path, key);
      if (!seen.insert(key).second) index_.duplicates_.push_back({key_position, child, "a key only once, this one is given twice"});
      if (!Take(':')) return Fail(child, "':' after the key");
      if (!SkipBlank(child) || !ScanValue(child, key_position, depth + 1) || !SkipBlank(path)) return false;
      if (Take(',')) continue;
      if (Take('}')) return true;
      return Fail(path, "',' or '}' after the value of \"" + key + "\"");
    }
  }

  bool ScanArray(const std::string& path, int depth) {
    ++at_;
    for (size_t i = 0;; ++i) {
      if (!SkipBlank(path)) return false;
      if (Take(']')) return true;
      const std::string child = JoinPath(path, i);
      if (!ScanValue(child, Here(), depth + 1) || !SkipBlank(path)) return false;
      if (Take(',')) continue;
      if (Take(']')) return true;
      return Fail(path, "',' or ']' after the element");
    }
  }

  // The text between the quotes goes to `out`, with simple escapes undone; \u is left as it is written (keys are plain words).
  bool ScanString(const std::string& path, std::string* out) {
    const Position start = Here();
    for (++at_; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '"') return ++at_, true;
      if (c == '\n') break;
      if (c == '\\' && at_ + 1 < text_.size()) {
        ++at_;
        if (out != nullptr && text_[at_] == 'u') *out += '\\';
      }
      if (out != nullptr) *out += text_[at_];
    }
    return FailAt(start, path, "a closing quote on the same line");
  }

  bool ScanScalar(const std::string& path) {
    const Position start = Here();
    const size_t from = at_;
    while (at_ < text_.size() && !EndsScalar(text_[at_])) ++at_;
    const std::string_view word = text_.substr(from, at_ - from);
    if (word == "true" || word == "false" || word == "null") return true;
    if (!word.empty() && (word[0] == '-' || (word[0] >= '0' && word[0] <= '9'))) return true;  // Boost judges the digits
    return FailAt(start, path, word.empty() ? "a value" : "a value, got '" + std::string(word) + "' (text goes in double quotes)");
  }

  // White space, // and /* */ comments.
  bool SkipBlank(const std::string& path) {
    while (at_ < text_.size()) {
      if (std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) {
        ++at_;
      } else if (text_.substr(at_, 2) == "//") {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (text_.substr(at_, 2) == "/*") {
        const size_t end = text_.find("*/", at_ + 2);
        if (end == std::string_view::npos) return Fail(path, "'*/' at the end of the comment");
        at_ = end + 2;
      } else {
        break;
      }
    }
    return true;
  }

  bool Take(char c) {
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  // Lines are counted on from the last position asked for, so that the whole scan stays linear.
  Position Here() {
    for (; counted_ < at_; ++counted_) {
      if (text_[counted_] == '\n') {
        ++line_;
        line_start_ = counted_ + 1;
      }
    }
    return {line_, static_cast<int>(at_ - line_start_) + 1};
  }

  bool Fail(const std::string& path, std::string wanted) { return FailAt(Here(), path, std::move(wanted)); }
  bool FailAt(Position position, const std::string& path, std::string wanted) {
    index_.syntax_error_ = PositionIndex::Problem{position, path, std::move(wanted)};
    return false;
  }

  const std::string_view text_;
  PositionIndex& index_;
  size_t at_ = 0;
  size_t counted_ = 0;
  size_t line_start_ = 0;
  int line_ = 1;
};

PositionIndex::PositionIndex(std::string_view text) { PositionScanner(text, *this).Scan(); }

const PositionIndex::Entry* PositionIndex::Nearest(std::string_view path) const {
  for (;;) {
    if (const auto found = entries_.find(std::string(path)); found != entries_.end()) return &found->second;
    if (path.empty()) return nullptr;
    const size_t cut = path.find_last_of(".[");
    path = cut == std::string_view::npos ? std::string_view() : path.substr(0, cut);
  }
}

Position PositionIndex::Value(std::string_view path) const {
  const Entry* entry = Nearest(path);
  return entry == nullptr ? Position{} : entry->value;
}

Position PositionIndex::Key(std::string_view path) const {
  const Entry* entry = Nearest(path);
  return entry == nullptr ? Position{} : entry->key;
}

}  // namespace ringway::cp

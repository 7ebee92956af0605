// Python's shlex.split(posix=True) and the % operator with a dict, as far as supervisord uses them.
#include "sidecar/supervise/command_line.h"

namespace ringway::sidecar {
namespace {

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// Reads a quoted run that starts at text[at] (the quote). Moves `at` behind the closing quote; false when there is none.
bool TakeQuoted(std::string_view text, size_t& at, std::string& word) {
  const char quote = text[at++];
  while (at < text.size() && text[at] != quote) {
    if (quote == '"' && text[at] == '\\' && at + 1 < text.size() && (text[at + 1] == '"' || text[at + 1] == '\\')) ++at;
    word += text[at++];
  }
  if (at == text.size()) return false;
  ++at;
  return true;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> SplitWords(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (IsBlank(c)) {
      if (in_word) words.push_back(std::move(word));
      word.clear();
      in_word = false;
      ++at;
      continue;
    }
    in_word = true;
    if (c == '\'' || c == '"') {
      if (!TakeQuoted(text, at, word)) {
        return absl::InvalidArgumentError("a quote is not closed in: " + std::string(text));
      }
      continue;
    }
    if (c == '\\' && ++at == text.size()) {
      return absl::InvalidArgumentError("nothing follows the last backslash in: " + std::string(text));
    }
    word += text[at++];
  }
  if (in_word) words.push_back(std::move(word));
  return words;
}

absl::StatusOr<std::string> Expand(std::string_view text, const Lookup& lookup) {
  std::string out;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      out += text[at];
      continue;
    }
    if (at + 1 < text.size() && text[at + 1] == '%') {
      out += text[++at];
      continue;
    }
    const size_t close = text.find(')', at);
    if (at + 1 >= text.size() || text[at + 1] != '(' || close == std::string_view::npos || close + 1 >= text.size() ||
        (text[close + 1] != 's' && text[close + 1] != 'd')) {
      return absl::InvalidArgumentError("wanted %(NAME)s or %% in: " + std::string(text));
    }
    const std::string_view name = text.substr(at + 2, close - at - 2);
    const std::optional<std::string> value = lookup(name);
    if (!value) {
      return absl::InvalidArgumentError("%(" + std::string(name) + ")s is not known in: " + std::string(text));
    }
    out += *value;
    at = close + 1;
  }
  return out;
}

}  // namespace ringway::sidecar

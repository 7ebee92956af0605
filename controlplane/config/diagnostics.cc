// See diagnostics.h.
#include "controlplane/config/diagnostics.h"

#include <algorithm>
#include <numeric>
#include <tuple>

namespace ringway::cp {
namespace {

// Levenshtein distance with one row.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

void Diagnostics::Add(std::vector<Finding>& to, Position position, std::string_view path, std::string_view message) const {
  std::string text = file_ + ":" + std::to_string(position.line) + ":" + std::to_string(position.column) + " ";
  text.append(path.empty() ? "(file)" : path).append(": ").append(message);
  to.push_back({position, to.size(), std::move(text)});
}

std::vector<std::string> Diagnostics::Lines(std::vector<Finding> findings) {
  std::sort(findings.begin(), findings.end(), [](const Finding& a, const Finding& b) {
    return std::tuple(a.position.line, a.position.column, a.order) < std::tuple(b.position.line, b.position.column, b.order);
  });
  std::vector<std::string> lines;
  for (Finding& finding : findings) lines.push_back(std::move(finding.text));
  return lines;
}

std::string Nearest(std::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  size_t best_distance = std::min<size_t>(2, (word.size() - (word.empty() ? 0 : 1)) / 2) + 1;
  for (const std::string& candidate : candidates) {
    const size_t distance = EditDistance(word, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string DidYouMean(std::string_view word, const std::vector<std::string>& candidates) {
  const std::string nearest = Nearest(word, candidates);
  return nearest.empty() ? "" : "; did you mean \"" + nearest + "\"?";
}

}  // namespace ringway::cp

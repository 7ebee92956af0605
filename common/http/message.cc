// Pure helpers on messages: responses, targets, Basic authentication; see server.h.
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "common/http/percent.h"
#include "common/http/server.h"

namespace ringway::http {
namespace {

// Takes as long whatever the content, so that an answer's time tells nothing of where a guess went wrong.
bool SameConstantTime(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (size_t i = 0; i < a.size(); ++i) {
    const char other = b.empty() ? '\0' : b[i % b.size()];
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(other);
  }
  return difference == 0;
}

}  // namespace

Response MakeResponse(const Request& request, boost::beast::http::status status,
                      std::string_view content_type, std::string body) {
  Response response(status, request.version());
  response.keep_alive(request.keep_alive());
  if (!content_type.empty()) {
    response.set(boost::beast::http::field::content_type,
                 boost::beast::string_view(content_type.data(), content_type.size()));
  }
  response.body() = std::move(body);
  response.content_length(response.body().size());
  return response;
}

const std::string* Target::Find(std::string_view key) const {
  for (const auto& [name, value] : query) {
    if (name == key) return &value;
  }
  return nullptr;
}

Target ParseTarget(std::string_view text) {
  Target target;
  text = text.substr(0, text.find('#'));
  const size_t mark = text.find('?');
  target.path = PercentDecoded(text.substr(0, mark), false);
  if (mark == text.npos) return target;
  std::string_view rest = text.substr(mark + 1);
  while (!rest.empty()) {
    const size_t end = rest.find('&');
    const std::string_view pair = rest.substr(0, end);
    rest = end == rest.npos ? std::string_view() : rest.substr(end + 1);
    if (pair.empty()) continue;
    const size_t equals = pair.find('=');
    const std::string_view value =
        equals == pair.npos ? std::string_view() : pair.substr(equals + 1);
    target.query.emplace_back(PercentDecoded(pair.substr(0, equals), true),
                              PercentDecoded(value, true));
  }
  return target;
}

bool BasicAuthMatches(const Request& request, std::string_view user, std::string_view password) {
  const auto field = request[boost::beast::http::field::authorization];
  const std::string header(field.data(), field.size());
  constexpr std::string_view kScheme = "basic ";
  if (header.size() < kScheme.size() ||
      absl::AsciiStrToLower(header.substr(0, kScheme.size())) != kScheme) {
    return false;
  }
  std::string credentials;
  const size_t start = header.find_first_not_of(' ', kScheme.size());
  if (start == header.npos) return false;
  if (!absl::Base64Unescape(header.substr(start), &credentials)) return false;
  std::string wanted(user);
  wanted.append(":").append(password);
  return SameConstantTime(credentials, wanted);
}

}  // namespace ringway::http

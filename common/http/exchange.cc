// What an exchange needs that does not depend on the stream; see exchange.h.
#include "common/http/exchange.h"

#include <strings.h>

#include <utility>

#include "absl/strings/str_cat.h"

namespace ringway::http {

namespace bhttp = boost::beast::http;

std::string Spell(const Url& url, const ClientRequest& request) {
  if (!url.unix_path.empty()) return absl::StrCat(request.method, " unix:", url.unix_path, " ", request.target);
  return absl::StrCat(request.method, url.tls ? " https://" : " http://", url.HostHeader(), url.base, request.target);
}

BeastRequest BuildRequest(const Url& url, const ClientRequest& request, bool keep_alive) {
  BeastRequest message;
  message.version(11);
  message.method_string(request.method);
  message.target(url.base + request.target);
  message.set(bhttp::field::host, url.HostHeader());
  if (!keep_alive) message.set(bhttp::field::connection, "close");
  for (const auto& [name, value] : request.headers) {
    if (strcasecmp(name.c_str(), "host") == 0) {
      message.set(bhttp::field::host, value);
    } else {
      message.insert(name, value);
    }
  }
  message.body() = request.body;
  message.prepare_payload();
  return message;
}

ClientResponse Converted(BeastResponse message) {
  ClientResponse response;
  response.status = static_cast<int>(message.result_int());
  response.reason = std::string(message.reason());
  for (const auto& field : message.base()) {
    response.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  }
  response.body = std::move(message.body());
  return response;
}

absl::Status TimedOut(const std::string& what, const ClientRequest& request) {
  return absl::DeadlineExceededError(absl::StrCat(what, ": no answer within ", request.timeout.count(), " ms"));
}

absl::Status ReadError(const boost::system::error_code& error, const std::string& what, const ClientRequest& request) {
  if (error == boost::beast::error::timeout) return TimedOut(what, request);
  if (error == bhttp::error::body_limit) {
    return absl::DataLossError(absl::StrCat(what, ": the response's body exceeds ", request.body_bytes_max, " bytes"));
  }
  return absl::DataLossError(absl::StrCat(what, ": the response was cut short or is not HTTP: ", error.message()));
}

}  // namespace ringway::http

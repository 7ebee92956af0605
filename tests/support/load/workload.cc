#include "tests/support/load/workload.h"

#include <cmath>

#include "tests/support/load/digest.h"

namespace ringway::load {

std::string_view Name(Kind kind) {
  switch (kind) {
    case Kind::kGet: return "get";
    case Kind::kPost: return "post";
    case Kind::kBig: return "big";
    case Kind::kSlow: return "slow";
  }
  return "";
}

Workload::Workload(const Options& options)
    : options_(options),
      random_(options.seed),
      kinds_({options.mix.get, options.mix.post, options.mix.big, options.mix.slow}),
      bytes_(2 * options.post_bytes_max + 1, '\0') {
  for (char& byte : bytes_) byte = static_cast<char>(random_());
}

// Lengths of every order of magnitude; one in ten is the longest or close to it.
size_t Workload::RandomLength(size_t longest) {
  if (longest == 0) return 0;
  std::uniform_real_distribution<double> share(0, 1);
  if (share(random_) < 0.1) return longest - static_cast<size_t>(random_() % (longest / 64 + 1));
  return static_cast<size_t>(std::exp(share(random_) * std::log(static_cast<double>(longest) + 1))) - 1;
}

std::chrono::microseconds Workload::Delay() {
  if (options_.jitter.count() == 0) return std::chrono::microseconds(0);
  return std::chrono::microseconds(std::uniform_int_distribution<int64_t>(0, options_.jitter.count() * 1000)(random_));
}

Job Workload::Next(std::chrono::steady_clock::time_point intended) {
  Job job;
  job.id = ++made_;
  job.intended = intended;
  job.kind = static_cast<Kind>(kinds_(random_));
  job.new_connection = std::bernoulli_distribution(options_.new_connections)(random_);
  switch (job.kind) {
    case Kind::kGet:
      job.target = options_.get_path;
      break;
    case Kind::kPost: {
      const size_t length = RandomLength(options_.post_bytes_max);
      job.target = options_.post_path;
      job.body = std::string_view(bytes_).substr(random_() % (bytes_.size() - length), length);
      break;
    }
    case Kind::kBig:
      job.expected_bytes = RandomLength(options_.big_bytes_max);
      job.target = options_.big_path + "?bytes=" + std::to_string(job.expected_bytes);
      break;
    case Kind::kSlow:
      job.target = options_.slow_path + "?ms=" + std::to_string(options_.slow_ms);
      break;
  }
  return job;
}

std::string Workload::Head(const Job& job) const {
  std::string head(job.Method());
  head += " " + job.target + " HTTP/1.1\r\nHost: " + options_.authority + "\r\nUser-Agent: ringway-load\r\nAccept: */*\r\nX-Load-Id: " +
          std::to_string(options_.seed) + "-" + std::to_string(job.id) + "\r\n";
  if (job.kind == Kind::kPost) {
    head += "Content-Type: application/octet-stream\r\nContent-Length: " + std::to_string(job.body.size()) + "\r\n";
  }
  if (job.new_connection) head += "Connection: close\r\n";
  return head + "\r\n";
}

std::optional<Mismatch> Compare(const Job& job, ResponseReader& response) {
  if (response.status() < 200 || response.status() > 299) {
    return Mismatch{"status", std::to_string(response.status())};
  }
  const std::string digest = response.BodyDigest();
  const std::string* claimed = response.Header("x-content-sha256");
  if (claimed != nullptr && *claimed != digest) return Mismatch{"wrong_checksum", "response body, wanted " + *claimed};
  if (job.kind == Kind::kBig) {
    if (response.body_bytes() != job.expected_bytes) {
      return Mismatch{"short_body", std::to_string(response.body_bytes()) + " bytes, wanted " + std::to_string(job.expected_bytes)};
    }
    if (claimed == nullptr) return Mismatch{"wrong_checksum", "the response carries no X-Content-SHA256"};
  }
  if (job.kind == Kind::kPost) {
    Digest sent;
    sent.Update(job.body);
    const std::string* length = response.Header("x-body-length");
    const std::string* seen = response.Header("x-body-sha256");
    if (length == nullptr || seen == nullptr) return Mismatch{"wrong_checksum", "the response carries no X-Body-SHA256"};
    if (*length != std::to_string(job.body.size())) {
      return Mismatch{"wrong_checksum", "the endpoint got " + *length + " bytes of " + std::to_string(job.body.size())};
    }
    if (*seen != sent.Hex()) return Mismatch{"wrong_checksum", "the endpoint got other bytes than were sent"};
  }
  return std::nullopt;
}

}  // namespace ringway::load

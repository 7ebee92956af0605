#include "tests/support/load/report.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <limits>

namespace ringway::load {
namespace {

namespace json = boost::json;

int64_t UnixMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

double Ms(uint32_t us) { return static_cast<double>(us) / 1000.0; }

}  // namespace

void Report::Begin() {
  begin_ = std::chrono::steady_clock::now();
  begin_unix_ms_ = UnixMs();
}

double Report::Seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }

Report::Step& Report::StepNow() {
  const size_t index = static_cast<size_t>((std::chrono::steady_clock::now() - begin_) / kStep);
  if (steps_.size() <= index) steps_.resize(index + 1);
  return steps_[index];
}

void Report::Issued(const Job& job) {
  ++issued_;
  ++kinds_[static_cast<size_t>(job.kind)];
  ++StepNow().issued;
}

void Report::Ended(const Job& job, const Outcome& outcome) {
  const auto latency = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - job.intended).count();
  const auto latency_us = static_cast<uint32_t>(std::clamp<int64_t>(latency, 0, std::numeric_limits<uint32_t>::max()));
  recorder_.Write(job, outcome);
  Step& step = StepNow();
  step.latency_max_us = std::max(step.latency_max_us, latency_us);
  bytes_sent_ += outcome.bytes_sent;
  bytes_received_ += outcome.bytes_received;
  if (outcome.status != 0) ++statuses_[outcome.status];
  if (!outcome.endpoint.empty()) {
    Endpoint& endpoint = endpoints_[outcome.endpoint];
    const int64_t now = UnixMs();
    if (endpoint.requests++ == 0) endpoint.first_unix_ms = now;
    endpoint.last_unix_ms = now;
  }
  if (outcome.failure.empty()) {
    ++ok_;
    ++step.ok;
    latencies_us_.push_back(latency_us);
    return;
  }
  ++failed_;
  ++step.failed;
  Failures& failures = failures_[outcome.failure];
  ++failures.count;
  ++failures.by_kind[std::string(Name(job.kind))];
  if (failures.samples.size() < samples_max_) {
    failures.samples.push_back({Seconds(), std::string(job.Method()) + " " + job.target, outcome});
  }
}

void Report::KeepAliveRace(const Job& job) {
  ++races_;
  if (race_samples_.size() < samples_max_) race_samples_.push_back({Seconds(), std::string(job.Method()) + " " + job.target, {}});
}

std::string Report::ProgressLine() const {
  json::object endpoints;
  for (const auto& [name, endpoint] : endpoints_) endpoints[name] = endpoint.requests;
  json::object line{{"t", Seconds()}, {"unix_ms", UnixMs()}, {"requests", issued_},     {"ok", ok_},
                    {"failed", failed_}, {"races", races_},  {"endpoints", std::move(endpoints)}};
  return json::serialize(line);
}

uint32_t Report::Percentile(const std::vector<uint32_t>& sorted, double share) const {
  if (sorted.empty()) return 0;
  const auto rank = static_cast<size_t>(share * static_cast<double>(sorted.size()));
  return sorted[std::min(rank, sorted.size() - 1)];
}

std::string Report::Json() const {
  std::vector<uint32_t> sorted = latencies_us_;
  std::sort(sorted.begin(), sorted.end());
  json::object kinds, statuses, failures, endpoints;
  for (size_t i = 0; i < kKinds; ++i) kinds[Name(static_cast<Kind>(i))] = kinds_[i];
  for (const auto& [status, count] : statuses_) statuses[std::to_string(status)] = count;
  const auto sample_json = [](const Sample& sample) {
    return json::object{{"t", sample.seconds},
                        {"request", sample.what},
                        {"status", sample.outcome.status},
                        {"endpoint", sample.outcome.endpoint},
                        {"detail", sample.outcome.detail}};
  };
  for (const auto& [name, entry] : failures_) {
    json::object by_kind;
    for (const auto& [kind, count] : entry.by_kind) by_kind[kind] = count;
    json::array samples;
    for (const Sample& sample : entry.samples) samples.push_back(sample_json(sample));
    failures[name] = json::object{{"count", entry.count}, {"by_kind", std::move(by_kind)}, {"samples", std::move(samples)}};
  }
  for (const auto& [name, endpoint] : endpoints_) {
    endpoints[name] = json::object{{"requests", endpoint.requests},
                                   {"first_unix_ms", endpoint.first_unix_ms},
                                   {"last_unix_ms", endpoint.last_unix_ms}};
  }
  json::array race_samples, issued, ok, failed, latency_max;
  for (const Sample& sample : race_samples_) race_samples.push_back(sample_json(sample));
  for (const Step& step : steps_) {
    issued.push_back(step.issued);
    ok.push_back(step.ok);
    failed.push_back(step.failed);
    latency_max.push_back(Ms(step.latency_max_us));
  }
  json::object report{
      {"seconds", Seconds()},
      {"requests", issued_},
      {"ok", ok_},
      {"failed", failed_},
      {"kinds", std::move(kinds)},
      {"statuses", std::move(statuses)},
      {"failures", std::move(failures)},
      {"keepalive", json::object{{"races", races_},
                                 {"race_samples", std::move(race_samples)},
                                 {"closed_while_idle", closed_while_idle_},
                                 {"connections_opened", connections_opened_}}},
      {"endpoints", std::move(endpoints)},
      {"latency_ms", json::object{{"p50", Ms(Percentile(sorted, 0.5))},
                                  {"p90", Ms(Percentile(sorted, 0.9))},
                                  {"p99", Ms(Percentile(sorted, 0.99))},
                                  {"p999", Ms(Percentile(sorted, 0.999))},
                                  {"max", Ms(sorted.empty() ? 0 : sorted.back())}}},
      {"bytes", json::object{{"sent", bytes_sent_}, {"received", bytes_received_}}},
      {"series", json::object{{"step_ms", kStep.count()},
                              {"begin_unix_ms", begin_unix_ms_},
                              {"issued", std::move(issued)},
                              {"ok", std::move(ok)},
                              {"failed", std::move(failed)},
                              {"latency_max_ms", std::move(latency_max)}}}};
  return json::serialize(report) + "\n";
}

std::string Report::Summary() const {
  std::vector<uint32_t> sorted = latencies_us_;
  std::sort(sorted.begin(), sorted.end());
  char line[256];
  std::snprintf(line, sizeof line, "%llu requests, %llu failed, %llu keep-alive races; p50 %.1f ms, p99 %.1f ms, max %.1f ms\n",
                static_cast<unsigned long long>(issued_), static_cast<unsigned long long>(failed_),
                static_cast<unsigned long long>(races_), Ms(Percentile(sorted, 0.5)), Ms(Percentile(sorted, 0.99)),
                Ms(sorted.empty() ? 0 : sorted.back()));
  std::string text = line;
  for (const auto& [name, endpoint] : endpoints_) text += "  " + name + ": " + std::to_string(endpoint.requests) + "\n";
  for (const auto& [name, entry] : failures_) {
    text += "  failed, " + name + ": " + std::to_string(entry.count) + "\n";
    for (const Sample& sample : entry.samples) {
      std::snprintf(line, sizeof line, "    at %.3f s: %.100s %.20s %.80s\n", sample.seconds, sample.what.c_str(),
                    sample.outcome.endpoint.c_str(), sample.outcome.detail.c_str());
      text += line;
    }
  }
  return text;
}

}  // namespace ringway::load

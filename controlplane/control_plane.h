// The control plane as one thing: it holds the running config, reloads it, and answers for the parts that main.cc wired to it.
// On the io_context's thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/config/load.h"
#include "controlplane/drain.h"
#include "controlplane/feed_state.h"
#include "controlplane/health/checker.h"
#include "controlplane/last_known.h"
#include "controlplane/push/feed_server.h"
#include "controlplane/resolver.h"

namespace ringway::cp {

// An endpoint as a person may name it.
struct EndpointName {
  std::string service;
  std::string id;
};

class ControlPlane {
 public:
  // `loaded` is the config to begin with; `run_dir` exists.
  ControlPlane(boost::asio::io_context& io, Loaded loaded, std::string run_dir);
  ~ControlPlane();

  // First: claims the run directory. AlreadyExists when another control plane has it.
  absl::Status Listen();
  // Then: begins to follow the catalog and publishes the first snapshot. Once.
  void Follow(Source& catalog);

  // Reads the file again: a good one is applied, a bad one refused whole. Either way it is logged. On success what was
  // applied, in words; InvalidArgument carries the errors.
  absl::StatusOr<std::string> Reload();
  // Waits until every dataplane has taken or refused the current version, at most `wait`; what they refused, in words.
  boost::asio::awaitable<std::string> Answers(std::chrono::milliseconds wait);

  boost::asio::awaitable<absl::StatusOr<DrainResult>> Drain(std::string service, std::string instance_id, std::chrono::milliseconds wait);
  absl::Status Undrain(const std::string& service, const std::string& instance_id);
  // By id, by the part of the id after '/', or by ADDRESS:PORT; in `service`, or in any when it is empty. NotFound, or
  // FailedPrecondition when more than one fits.
  absl::StatusOr<EndpointName> Find(const std::string& service, const std::string& endpoint) const;

  // As it is in the snapshot; null when it is not there.
  const api::Endpoint* EndpointOf(const EndpointName& name) const;

  // What GET /status answers (docs/reference/config.md).
  boost::json::value Status() const;

 private:
  void LogWarnings() const;
  void TakeEjections();
  void TellCatalogState();

  boost::asio::io_context& io_;
  Loaded loaded_;
  const std::string run_dir_;
  std::chrono::system_clock::time_point loaded_at_;
  std::string last_refusal_;  // errors of the last file that was refused, until one is applied
  FeedState state_;
  Checker checker_;
  std::unique_ptr<Resolver> resolver_;
  std::unique_ptr<FeedServer> feed_;
  std::unique_ptr<DrainCoordinator> drain_;
  std::unique_ptr<LastKnown> last_known_;
  const Source* catalog_ = nullptr;
  api::CatalogStatus catalog_told_;
  std::chrono::steady_clock::time_point catalog_told_at_{};
  boost::asio::steady_timer catalog_timer_;
  const api::Snapshot nothing_yet_;
};

}  // namespace ringway::cp

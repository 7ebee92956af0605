// See feed_server.h. Three kinds of coroutine share the State: one accepts, and each link has one that reads and one that writes.
#include "controlplane/push/feed_server.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <list>
#include <set>
#include <utility>

#include "common/api/feed_frame.h"
#include "common/api/feed_json.h"
#include "common/log/log.h"
#include "controlplane/push/dataplane_link.h"
#include "controlplane/push/delta_history.h"
#include "controlplane/push/feed_socket.h"

namespace ringway::cp {

namespace asio = boost::asio;
using Stream = asio::local::stream_protocol;
using Clock = std::chrono::steady_clock;
using LinkPtr = std::shared_ptr<DataplaneLink>;

struct FeedServer::State : std::enable_shared_from_this<FeedServer::State> {
  State(asio::io_context& context, std::string socket_path, RunDirLock held, std::function<const api::Snapshot&()> snapshot)
      : io(context), path(std::move(socket_path)), lock(std::move(held)), acceptor(context), current(std::move(snapshot)) {}

  void Notify() {
    for (asio::steady_timer* waiter : waiters) waiter->cancel();
  }

  // The current snapshot as a frame, encoded once a version.
  SharedFrame WholeFrame() {
    const api::Snapshot& snapshot = current();
    if (!whole || whole_version != snapshot.version || whole_epoch != snapshot.epoch) {
      whole = std::make_shared<const std::string>(api::Frame(api::EncodeMessage(snapshot)));
      whole_version = snapshot.version;
      whole_epoch = snapshot.epoch;
    }
    return whole;
  }

  void EjectionsChanged() {
    if (!on_ejections || std::exchange(ejections_posted, true)) return;
    asio::post(io, [state = weak_from_this()] {
      const auto self = state.lock();
      if (!self || self->closed) return;
      self->ejections_posted = false;
      self->on_ejections();
    });
  }

  asio::io_context& io;
  const std::string path;
  RunDirLock lock;
  Stream::acceptor acceptor;
  std::function<const api::Snapshot&()> current;
  std::list<LinkPtr> links;
  std::set<asio::steady_timer*> waiters;
  std::function<void()> on_ejections;
  bool ejections_posted = false;
  SharedFrame status;  // the latest; null before the first
  DeltaHistory history;
  SharedFrame whole;
  uint64_t whole_version = 0;
  std::string whole_epoch;
  Clock::time_point alone_since = Clock::now();
  bool closed = false;
};

namespace {

using StatePtr = std::shared_ptr<FeedServer::State>;
constexpr std::chrono::seconds kHelloTimeout{5};

std::string Name(const DataplaneLink& link) { return link.hello ? "dataplane " + std::to_string(link.hello->pid) : "dataplane (no hello yet)"; }

// What a dataplane that has `hello.version` still needs. One that is up to date gets the snapshot too: its ack and report
// then tell what it has in flight, which another control plane's life may have asked for.
void Greet(FeedServer::State& state, DataplaneLink& link, const api::Hello& hello) {
  const api::Snapshot& now = state.current();
  link.hello = hello;
  if (state.status) link.QueueStatus(state.status);
  const bool known = hello.epoch == now.epoch && hello.version != 0;
  if (known) link.acked = hello.version;
  const auto missed = known ? state.history.Since(hello.version) : std::nullopt;
  spdlog::info("{} connected: {} workers, has version {}, {}", Name(link), hello.workers, hello.version,
               missed ? std::to_string(missed->size()) + " deltas to send" : "a whole snapshot to send");
  if (!missed) return link.QueueWhole();
  for (const SharedFrame& frame : *missed) link.Queue(frame);
}

// False when the connection has to go.
bool OnMessage(FeedServer::State& state, DataplaneLink& link, const api::Message& message) {
  if (const auto* hello = std::get_if<api::Hello>(&message)) {
    if (hello->protocol != 1 || link.hello) {
      spdlog::error("feed: a dataplane (pid {}) speaks protocol {}, wanted one hello with protocol 1; closed", hello->pid, hello->protocol);
      return false;
    }
    Greet(state, link, *hello);
  } else if (!link.hello) {
    spdlog::error("feed: wanted a hello first; closed");
    return false;
  } else if (const auto* ack = std::get_if<api::Ack>(&message)) {
    link.OnAck(*ack);
  } else if (const auto* refusal = std::get_if<api::Refuse>(&message)) {
    if (link.IsNews(*refusal)) spdlog::error("{} refused version {}: {}", Name(link), refusal->version, refusal->reason);
    link.OnRefuse(*refusal);
  } else if (const auto* report = std::get_if<api::Report>(&message)) {
    const bool leaves = report->leaving && !(link.report && link.report->leaving);
    if (leaves) spdlog::info("{} has handed over to a successor and ends its sessions", Name(link));
    if (link.OnReport(*report) || leaves) state.EjectionsChanged();
  } else {
    spdlog::error("{} sent a message that only a control plane sends; closed", Name(link));
    return false;
  }
  state.Notify();
  return true;
}

bool OnBytes(FeedServer::State& state, DataplaneLink& link, api::FrameReader& frames, std::string_view bytes) {
  frames.Append(bytes);
  for (;;) {
    const auto payload = frames.Next();
    if (!payload.ok()) return spdlog::error("{}: {}", Name(link), std::string(payload.status().message())), false;
    if (!payload->has_value()) return true;
    const auto message = api::DecodeMessage(**payload);
    if (!message.ok()) return spdlog::error("{}: {}", Name(link), std::string(message.status().message())), false;
    if (!OnMessage(state, link, *message)) return false;
  }
}

void Leave(FeedServer::State& state, const LinkPtr& link) {
  if (!link->closed) {
    spdlog::warn("{} disconnected", Name(*link));
    link->Close();
  }
  if (link->report && !link->report->ejected.empty()) state.EjectionsChanged();
  if (state.links.remove(link) > 0 && state.links.empty()) state.alone_since = Clock::now();
  state.Notify();
}

asio::awaitable<void> Read(StatePtr state, LinkPtr link) {
  api::FrameReader frames;
  std::array<char, 16384> bytes;
  boost::system::error_code error;
  while (!link->closed) {
    const size_t count = co_await link->socket.async_read_some(asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, error));
    if (error || !OnBytes(*state, *link, frames, {bytes.data(), count})) break;
  }
  Leave(*state, link);
}

asio::awaitable<void> Write(StatePtr state, LinkPtr link) {
  boost::system::error_code error;
  while (!link->closed && !error) {
    if (!link->status && !link->whole_wanted && link->queue.empty()) {
      link->wake.expires_at(link->hello ? Clock::time_point::max() : link->connected_at + kHelloTimeout);
      boost::system::error_code woken;
      co_await link->wake.async_wait(asio::redirect_error(asio::use_awaitable, woken));
      if (!woken && !link->hello) break;  // five seconds and no hello
      continue;
    }
    SharedFrame frame;
    if (link->status) {
      frame = std::exchange(link->status, nullptr);
    } else if (std::exchange(link->whole_wanted, false)) {
      frame = state->WholeFrame();
      ++link->snapshots_total;
    } else {
      frame = link->queue.front();
      link->queue.pop_front();
      link->queue_bytes -= frame->size();
      ++link->deltas_total;
    }
    co_await asio::async_write(link->socket, asio::buffer(*frame), asio::redirect_error(asio::use_awaitable, error));
  }
  Leave(*state, link);
}

asio::awaitable<void> Accept(StatePtr state) {
  Clock::time_point refused_told_at{};
  while (!state->closed) {
    boost::system::error_code error;
    Stream::socket socket = co_await state->acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
    if (state->closed) co_return;
    if (error || state->links.size() >= FeedServer::kDataplanesMax) {
      // At the limit of files or of dataplanes: the connection is refused and we pause rather than spin.
      if (Clock::now() - refused_told_at >= std::chrono::minutes(1)) {
        refused_told_at = Clock::now();
        spdlog::error("feed: connections are refused: {}", error ? error.message() : "at most 64 dataplanes");
      }
      asio::steady_timer pause(state->io, std::chrono::milliseconds(200));
      boost::system::error_code ignored;
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      continue;
    }
    const LinkPtr link = std::make_shared<DataplaneLink>(std::move(socket));
    state->links.push_back(link);
    asio::co_spawn(state->io, Read(state, link), asio::detached);
    asio::co_spawn(state->io, Write(state, link), asio::detached);
  }
}

void AddReport(const DataplaneLink& link, DataplaneView& view) {
  const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - link.reported_at).count();
  for (const api::InFlight& entry : link.report->draining) view.in_flight_draining += entry.exchanges;
  view.ejected = link.report->ejected;
  for (api::Ejection& one : view.ejected) one.remaining_ms = static_cast<uint32_t>(std::max<int64_t>(0, int64_t{one.remaining_ms} - age));
  view.leaving = link.report->leaving;
}

}  // namespace

absl::StatusOr<std::unique_ptr<FeedServer>> FeedServer::Listen(asio::io_context& io, const std::string& run_dir,
                                                               std::function<const api::Snapshot&()> current) {
  auto lock = RunDirLock::Take(run_dir);
  if (!lock.ok()) return lock.status();
  const std::string path = run_dir + "/feed.sock";
  const auto listener = ListenUnix(path);
  if (!listener.ok()) return listener.status();
  const auto state = std::make_shared<State>(io, path, *std::move(lock), std::move(current));
  state->acceptor.assign(Stream(), *listener);
  asio::co_spawn(io, Accept(state), asio::detached);
  return std::unique_ptr<FeedServer>(new FeedServer(state));
}

FeedServer::~FeedServer() {
  state_->closed = true;
  boost::system::error_code ignored;
  state_->acceptor.close(ignored);
  for (const LinkPtr& link : std::list<LinkPtr>(state_->links)) link->Close();
  state_->links.clear();
  unlink(state_->path.c_str());
  state_->Notify();
}

void FeedServer::Publish(const api::Delta* delta) {
  if (delta == nullptr) {
    state_->history.Clear();
    for (const LinkPtr& link : state_->links) {
      if (link->hello) link->QueueWhole();
    }
    return;
  }
  const auto frame = std::make_shared<const std::string>(api::Frame(api::EncodeMessage(*delta)));
  state_->history.Add(delta->from_version, delta->version, frame);
  for (const LinkPtr& link : state_->links) {
    if (link->hello) link->Queue(frame);
  }
}

void FeedServer::PublishStatus(const api::CatalogStatus& status) {
  state_->status = std::make_shared<const std::string>(api::Frame(api::EncodeMessage(status)));
  for (const LinkPtr& link : state_->links) {
    if (link->hello) link->QueueStatus(state_->status);
  }
}

void FeedServer::OnEjections(std::function<void()> callback) { state_->on_ejections = std::move(callback); }

std::map<std::string, EjectedEndpoints> FeedServer::Ejected() const {
  std::map<std::string, EjectedEndpoints> ejected;
  for (const LinkPtr& link : state_->links) {
    if (!link->report || link->report->leaving) continue;
    for (const api::Ejection& one : link->report->ejected) ejected[one.service][one.endpoint] = one.generation;
  }
  return ejected;
}

std::vector<DataplaneView> FeedServer::Dataplanes() const {
  std::vector<DataplaneView> views;
  for (const LinkPtr& link : state_->links) {
    if (!link->hello) continue;
    DataplaneView view;
    view.pid = link->hello->pid;
    view.workers = link->hello->workers;
    view.acked = link->acked;
    view.refused = link->refused;
    view.snapshots_total = link->snapshots_total;
    view.deltas_total = link->deltas_total;
    view.refusals_total = link->refusals_total;
    view.collapses_total = link->collapses_total;
    view.connected_for = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - link->connected_at);
    if (link->report) AddReport(*link, view);
    views.push_back(std::move(view));
  }
  return views;
}

DrainProgress FeedServer::Progress(const std::string& service, const std::string& endpoint, uint64_t version) const {
  DrainProgress progress;
  for (const LinkPtr& link : state_->links) {
    const auto in_flight = link->InFlight(service, endpoint, version);
    DataplaneProgress one;
    one.pid = link->hello ? link->hello->pid : 0;
    one.behind = !link->HasTaken(version) || !in_flight;
    one.leaving = link->report && link->report->leaving;
    one.in_flight = in_flight.value_or(0);
    ++progress.dataplanes;
    progress.behind += one.behind ? 1 : 0;
    progress.in_flight += one.in_flight;
    if (one.behind || one.in_flight != 0) progress.waiting.push_back(one);
  }
  return progress;
}

uint32_t FeedServer::Unanswered(uint64_t version) const {
  return static_cast<uint32_t>(
      std::count_if(state_->links.begin(), state_->links.end(), [&](const LinkPtr& link) { return link->hello && !link->HasAnswered(version); }));
}

Clock::time_point FeedServer::AloneSince() const { return state_->alone_since; }

asio::awaitable<void> FeedServer::Changed(Clock::time_point deadline) {
  const std::shared_ptr<State> state = state_;
  asio::steady_timer timer(state->io, deadline);
  state->waiters.insert(&timer);
  boost::system::error_code ignored;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  state->waiters.erase(&timer);
}

}  // namespace ringway::cp

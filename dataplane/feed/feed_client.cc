// The dataplane's end of the feed; see feed_client.h.
#include "dataplane/feed/feed_client.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/log/log.h"
#include "dataplane/feed/feed_connection.h"
#include "dataplane/feed/in_flight.h"

namespace ringway::dp {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);
constexpr milliseconds kBackoffMin{50};
constexpr milliseconds kBackoffMax{2000};
constexpr milliseconds kReportEvery{50};
constexpr std::chrono::seconds kTellAgainAfter{10};
constexpr size_t kReadBytes = 64 << 10;

}  // namespace

FeedClient::FeedClient(asio::io_context& io, std::string socket_path, Applier& applier,
                       SnapshotStore* store)
    : io_(io), socket_path_(std::move(socket_path)), applier_(applier), store_(store) {
  status_.since = Clock::now();
  applier_.OnLate([this](const Applier::Snapshot& snapshot) { OnRunning(snapshot); });
  // The watch looks every 50 ms at most, and a report that is due anyway takes the news along.
  applier_.OnEjections([this] {
    const ConnectionPtr connection = connection_.lock();
    if (connection != nullptr && connection->report_waits) connection->report_timer.cancel();
  });
}

void FeedClient::SetLeaving() {
  applier_.SetLeaving();
  if (store_ != nullptr) store_->Stop();
  ReportAgain();
}

asio::awaitable<void> FeedClient::Run() {
  milliseconds backoff = kBackoffMin;
  for (;;) {
    const Clock::time_point begin = Clock::now();
    const uint64_t connects = status_.connects_total;
    const std::string why = co_await Session();
    if (status_.connected) {
      status_.connected = false;
      status_.since = Clock::now();
    }
    const bool lasts = Clock::now() - told_at_ > kTellAgainAfter;
    if (trouble_.empty() || (why != trouble_ && lasts)) {  // an outage is one line; a long one has another when its reason changes
      trouble_ = why;
      told_at_ = Clock::now();
      spdlog::warn("no control plane: {}; going on with what runs, trying again", why);
    }
    // A connection that held for a while starts the back-off anew; one that fails at once does not.
    if (connects != status_.connects_total && Clock::now() - begin > kBackoffMax) backoff = kBackoffMin;
    std::uniform_int_distribution<int64_t> jitter(backoff.count() / 2, backoff.count());
    asio::steady_timer timer(io_, milliseconds(jitter(random_)));
    co_await timer.async_wait(kNoThrow);
    backoff = std::min(backoff * 2, kBackoffMax);
  }
}

asio::awaitable<std::string> FeedClient::Session() {
  const auto connection = std::make_shared<Connection>(io_);
  const asio::local::stream_protocol::endpoint endpoint(socket_path_);
  auto [connect_error] = co_await connection->socket.async_connect(endpoint, kNoThrow);
  if (connect_error) co_return absl::StrCat(socket_path_, ": ", connect_error.message());
  connection_ = connection;
  status_.connected = true;
  status_.since = Clock::now();
  ++status_.connects_total;
  trouble_.clear();
  spdlog::info("connected to the control plane at {}", socket_path_);
  SendHello(connection);
  asio::co_spawn(io_, ReportLoop(connection), asio::detached);

  api::FrameReader frames;
  std::string bytes(kReadBytes, '\0');
  for (;;) {
    auto [error, size] = co_await connection->socket.async_read_some(asio::buffer(bytes), kNoThrow);
    if (error) {
      connection->Close();
      co_return absl::StrCat("the connection ended: ", error.message());
    }
    frames.Append(std::string_view(bytes).substr(0, size));
    for (;;) {
      absl::StatusOr<std::optional<std::string>> payload = frames.Next();
      if (!payload.ok()) {
        connection->Close();
        co_return std::string(payload.status().message());
      }
      if (!payload->has_value()) break;
      ++status_.messages_total;
      absl::StatusOr<api::Message> message = api::DecodeMessage(**payload);
      if (!message.ok()) {
        OnUndecodable(connection, std::string(message.status().message()));
        continue;
      }
      api::Message taken = *std::move(message);
      const bool go_on = co_await OnMessage(connection, std::move(taken));
      if (!go_on) {
        connection->Close();
        co_return std::string("asking for a whole snapshot");
      }
    }
  }
}

// Said once for each text: a newer control plane may go on sending what is not known here.
void FeedClient::OnUndecodable(const ConnectionPtr& connection, const std::string& why) {
  if (why != undecodable_) spdlog::error("the control plane sent what cannot be understood: {}", why);
  undecodable_ = why;
  connection->Send(api::Refuse{0, why});
}

void FeedClient::SendHello(const ConnectionPtr& connection) {
  api::Hello hello;
  hello.pid = getpid();
  hello.workers = static_cast<uint32_t>(applier_.publisher().workers().size());
  received_ = applier_.applied().snapshot;
  if (received_ != nullptr && !need_whole_ && !applier_.applied().partial) {
    hello.epoch = received_->epoch;
    hello.version = received_->version;
  }
  need_whole_ = false;
  connection->Send(hello);
  // What runs is acknowledged at once: the control plane may have nothing newer.
  if (hello.version != 0) OnRunning(received_);
}

asio::awaitable<bool> FeedClient::OnMessage(ConnectionPtr connection, api::Message message) {
  if (auto* snapshot = std::get_if<api::Snapshot>(&message)) {
    received_ = std::make_shared<const api::Snapshot>(std::move(*snapshot));
    co_await TakeSnapshot(connection, received_);
  } else if (const auto* delta = std::get_if<api::Delta>(&message)) {
    Applier::Snapshot next = AfterDelta(*delta);
    if (next == nullptr) {
      need_whole_ = true;
      co_return false;
    }
    received_ = next;
    co_await TakeSnapshot(connection, next);
  } else if (auto* catalog = std::get_if<api::CatalogStatus>(&message)) {
    status_.catalog = std::move(*catalog);
    status_.catalog_at = Clock::now();
  } else {
    spdlog::warn("the control plane sent a message that only a dataplane sends");
  }
  co_return true;
}

// A delta starts from the last version that came, or, when that one was refused, perhaps from the one that runs.
Applier::Snapshot FeedClient::AfterDelta(const api::Delta& delta) {
  absl::Status status = absl::FailedPreconditionError("there is no snapshot yet");
  for (const Applier::Snapshot& base : {received_, applier_.applied().snapshot}) {
    if (base == nullptr) continue;
    api::Snapshot next = *base;
    status = api::ApplyDelta(delta, next);
    if (status.ok()) return std::make_shared<const api::Snapshot>(std::move(next));
  }
  spdlog::warn("a delta does not fit: {}", std::string(status.message()));
  return nullptr;
}

asio::awaitable<void> FeedClient::TakeSnapshot(ConnectionPtr connection, Applier::Snapshot snapshot) {
  const uint64_t version = snapshot->version;
  // Named locals: g++ 12 miscompiles temporaries in a co_await.
  std::string source = "push";
  const auto now = std::chrono::system_clock::now();
  const absl::Status status = co_await applier_.Apply(snapshot, std::move(source), now);
  if (status.ok()) {
    OnRunning(snapshot);
  } else {
    if (applier_.applied().partial) Acknowledge(version, true);
    connection->Send(api::Refuse{version, std::string(status.message())});
  }
}

// Every worker runs it: keep it and say so.
void FeedClient::OnRunning(const Applier::Snapshot& snapshot) {
  if (store_ != nullptr && applier_.applied().source == "push") store_->Save(snapshot);
  Acknowledge(snapshot->version, false);
}

// And what is in flight.
void FeedClient::Acknowledge(uint64_t version, bool partial) {
  const ConnectionPtr connection = connection_.lock();
  if (connection == nullptr || !connection->socket.is_open()) return;
  connection->Send(api::Ack{version, partial});
  ReportAgain();
}

void FeedClient::ReportAgain() {
  const ConnectionPtr connection = connection_.lock();
  if (connection == nullptr) return;
  connection->reported = false;
  connection->report_timer.cancel();
}

asio::awaitable<void> FeedClient::ReportLoop(ConnectionPtr connection) {
  while (connection->socket.is_open()) {
    std::vector<api::InFlight> draining = Draining();
    const bool idle = std::all_of(draining.begin(), draining.end(),
                                  [](const api::InFlight& f) { return f.exchanges == 0; });
    const bool news = !connection->reported || draining != connection->last_report ||
                      applier_.ejections().changes() != connection->ejections_reported;
    const bool can = applier_.applied().snapshot != nullptr && connection->outbox.size() <= 2;
    if (news && can) Report(connection, std::move(draining));
    // Nothing can begin on a draining endpoint: once all is quiet and told, only another snapshot or an ejection makes news.
    connection->report_waits = idle && (!news || can);
    connection->report_timer.expires_after(connection->report_waits ? Clock::duration(std::chrono::hours(1))
                                                                    : Clock::duration(kReportEvery));
    co_await connection->report_timer.async_wait(kNoThrow);
    connection->report_waits = false;
  }
}

void FeedClient::Report(const ConnectionPtr& connection, std::vector<api::InFlight> draining) {
  connection->reported = true;
  connection->ejections_reported = applier_.ejections().changes();
  connection->last_report = draining;
  api::Report report;
  report.version = applier_.applied().snapshot->version;
  report.draining = std::move(draining);
  report.ejected = applier_.ejections().Ejected(MonotonicNowUs());
  report.leaving = applier_.leaving();
  connection->Send(report);
}

std::vector<api::InFlight> FeedClient::Draining() const {
  std::vector<const WorkerShared*> workers;
  for (const WorkerPort& port : applier_.publisher().workers()) workers.push_back(port.shared);
  return InFlightOnDraining(applier_.directory(), workers, elsewhere_);
}

}  // namespace ringway::dp

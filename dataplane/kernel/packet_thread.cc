// See packet_thread.h.
#include "dataplane/kernel/packet_thread.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/log/log.h"
#include "common/privileges/privileges.h"
#include "dataplane/kernel/packet_wanted.h"

namespace ringway::dp {
namespace {

constexpr std::chrono::milliseconds kTurnEvery{50};
constexpr std::chrono::seconds kRetryEvery{1};
constexpr std::chrono::seconds kPublishEvery{1};
constexpr PacketThread::Clock::duration kRestMax = std::chrono::seconds(1);  // between writes
constexpr const char* kHeaderless = "its packets have no Ethernet header, and the programs read what is behind one";

void Add(PacketTraffic& sum, const PacketTraffic& one) {
  sum.flows += one.flows;
  sum.flows_opened += one.flows_opened;
  sum.flows_reset += one.flows_reset;
  sum.flows_dropped += one.flows_dropped;
  sum.refused += one.refused;
  sum.packets_to_endpoint += one.packets_to_endpoint;
  sum.bytes_to_endpoint += one.bytes_to_endpoint;
  sum.packets_to_client += one.packets_to_client;
  sum.bytes_to_client += one.bytes_to_client;
  sum.syn_repeated += one.syn_repeated;
  for (const auto round_trip : {&PacketTraffic::endpoint_rtt, &PacketTraffic::client_rtt}) {
    (sum.*round_trip).samples += (one.*round_trip).samples;
    (sum.*round_trip).us_sum += (one.*round_trip).us_sum;
  }
}

// The mean of what came since `before`, a quarter of it each second that brings any.
void Smooth(PacketRoundTrip& now, const PacketRoundTrip& before) {
  now.us = before.us;
  if (now.samples <= before.samples || now.us_sum < before.us_sum) return;
  const uint64_t mean = std::max<uint64_t>((now.us_sum - before.us_sum) / (now.samples - before.samples), 1);
  now.us = before.us == 0 ? mean : (before.us * 3 + mean) / 4;
}

template <typename Key>
void SmoothAll(std::map<Key, PacketTraffic>& now, std::map<Key, PacketTraffic>& before) {
  for (auto& [key, traffic] : now) {
    const PacketTraffic& old = before[key];
    Smooth(traffic.endpoint_rtt, old.endpoint_rtt);
    Smooth(traffic.client_rtt, old.client_rtt);
  }
  before = now;
}

// The same with nobody ready.
std::shared_ptr<const api::Snapshot> Drained(const api::Snapshot& snapshot) {
  auto drained = std::make_shared<api::Snapshot>(snapshot);
  for (api::Service& service : drained->services) {
    for (api::Endpoint& endpoint : service.endpoints) {
      if (endpoint.state == api::EndpointState::kReady) endpoint.state = api::EndpointState::kDraining;
    }
  }
  return drained;
}

}  // namespace

PacketThread::PacketThread(std::unique_ptr<PacketPrograms> programs)
    : programs_(std::move(programs)), maps_(programs_->maps()), sweeper_(programs_->maps(), programs_->ender()) {}

PacketThread::~PacketThread() {
  {
    const std::lock_guard guard(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

absl::Status PacketThread::Start() {
  if (absl::Status s = Restore(Clock::now()); !s.ok()) return s;
  stats_.active = true;
  thread_ = std::thread([this] { Run(); });
  pthread_setname_np(thread_.native_handle(), "ringway-packet");
  return absl::OkStatus();
}

// What is applied while it drains gives nobody new flows either.
void PacketThread::Apply(Snapshot snapshot) {
  {
    const std::lock_guard guard(mutex_);
    newest_ = draining_ ? Drained(*snapshot) : std::move(snapshot);
  }
  changed_.notify_all();
}

void PacketThread::Drain() {
  {
    const std::lock_guard guard(mutex_);
    if (std::exchange(draining_, true) || newest_ == nullptr) return;
    newest_ = Drained(*newest_);
    take_at_ = {};
  }
  changed_.notify_all();
}

PacketStats PacketThread::Stats() const {
  const std::lock_guard guard(mutex_);
  return stats_;
}

uint64_t PacketThread::FlowsOf(uint64_t identity) const {
  const std::lock_guard guard(mutex_);
  const auto found = known_.find(identity);
  if (found == known_.end()) return 0;
  const bool settled = found->second.settled && published_snapshot_ == newest_;
  return settled ? found->second.flows : std::max<uint64_t>(found->second.flows, 1);
}

uint64_t PacketThread::FlowsOpen() const {
  const std::lock_guard guard(mutex_);
  return published_snapshot_ == newest_ && counted_since_write_ ? flows_open_ : std::max<uint64_t>(flows_open_, 1);
}

void PacketThread::Run() {
  KeepOnly({CAP_BPF, CAP_NET_ADMIN});  // new tables, and interfaces that come later
  std::unique_lock lock(mutex_);
  while (!stop_) {
    if (newest_ != applied_ && Clock::now() >= take_at_) Take(newest_);
    lock.unlock();
    if (applied_ != nullptr) Turn(Clock::now());
    const Clock::time_point next = Clock::now() + kTurnEvery;
    lock.lock();
    // However many snapshots come meanwhile.
    while (!stop_ && Clock::now() < next && !(newest_ != applied_ && Clock::now() >= take_at_)) {
      changed_.wait_until(lock, newest_ != applied_ ? std::min(take_at_, next) : next);
    }
  }
}

void PacketThread::Take(Snapshot snapshot) {
  attach_ = attach_ || applied_ == nullptr || applied_->packet != snapshot->packet || WantsPacketDelivery(*applied_) != WantsPacketDelivery(*snapshot);
  applied_ = std::move(snapshot);
  replan_ = true;
  programs_->SetPorts(applied_->packet);
  SayKept();
}

// What was taken at the start, or kept from an earlier process, and is not what the config says.
void PacketThread::SayKept() {
  const api::Packet& packet = applied_->packet;
  std::string trouble;
  if (WantsPacketDelivery(*applied_) && FlowEntries(packet) != maps_.fds().flows_max) {
    trouble = absl::StrCat("packet.flows_max: the flow table has ", maps_.fds().flows_max, " entries, ", FlowEntries(packet),
                           " are wanted; it stays as it is until packet delivery begins anew, after a stop with \"on_stop\": \"detach\"");
  } else if (packet.pin_dir != programs_->pin_dir()) {
    trouble = absl::StrCat("packet.pin_dir is ", programs_->pin_dir(), " until the dataplane is started again");
  }
  if (trouble != kept_trouble_ && !trouble.empty()) spdlog::warn("{}", trouble);
  kept_trouble_ = std::move(trouble);
}

// The maps come before the programs: what these find is whole.
void PacketThread::Turn(Clock::time_point now) {
  if (interfaces_.Look(now)) replan_ = attach_ = true;  // addresses and ways may be others
  if (replan_ || (restore_ && now >= retry_at_)) WriteMaps(now);
  if (attach_ || (ending_ && !FlowsLeft())) AttachInterfaces();
  if (replan_ && !restore_) WriteMaps(now);  // what is attached now may be handed packets
  sweeper_.SetTimeouts(applied_->packet.timeouts);
  Sweep(now);
  RestSlots(now);
  PublishFlows();
  if (now - published_at_ >= kPublishEvery) Publish(now);
}

void PacketThread::Sweep(Clock::time_point now) {
  const bool well = sweeper_.trouble().empty();
  sweeper_.Step(planner_, now, FlowsAreWaitedFor());
  if (well && !sweeper_.trouble().empty()) spdlog::error("packet delivery: {}; flows that are over stay until they can be", sweeper_.trouble());
}

// An endpoint that drains keeps its flows and gets no more: their end is waited for.
bool PacketThread::FlowsAreWaitedFor() const {
  const auto draining = [this](const auto& one) { return planner_.RecordOf(one.second).state == L4_DRAINING; };
  return ending_ || std::any_of(planner_.slots().begin(), planner_.slots().end(), draining);
}

// Until they have been counted without an end since the last write.
bool PacketThread::FlowsLeft() const {
  return !sweeper_.counted() || sweeper_.counted_since() <= written_ || sweeper_.FlowsOpen() != 0;
}

// The last listener is gone: its flows end as those of any listener that goes, in peace, with the programs where they are.
bool PacketThread::StaysForFlows() {
  const bool wanted = WantsPacketDelivery(*applied_);
  const bool stays = !wanted && !programs_->Attached().empty() && FlowsLeft();
  if (stays && !ending_) spdlog::info("packet delivery: no listener has it any more; its flows may end, then the interfaces are left");
  ending_ = stays;
  return stays;
}

void PacketThread::AttachInterfaces() {
  attach_ = false;
  if (StaysForFlows()) return;
  const api::Packet& packet = applied_->packet;
  const bool wanted = WantsPacketDelivery(*applied_);
  const std::vector<uint32_t> before = programs_->Attached();
  const std::set<uint32_t> chosen = wanted ? AttachAll(packet) : std::set<uint32_t>();
  for (const uint32_t index : programs_->Attached()) {
    if (chosen.contains(index)) continue;
    programs_->DetachFrom(index);
    spdlog::info("packet delivery: interface {} is left", attached_.contains(index) ? attached_[index].name : std::to_string(index));
  }
  std::erase_if(attached_, [&](const auto& one) { return !chosen.contains(one.first); });
  programs_->SetXdpPorts({chosen.begin(), chosen.end()});
  if (programs_->Attached() != before) replan_ = true;  // HostNow asks for them
  std::set<std::string> missing;
  for (const std::string& name : wanted ? MissingInterfaces(interfaces_.all(), packet.interfaces) : std::vector<std::string>()) {
    if (!missing_.contains(name)) spdlog::warn("packet delivery: there is no interface {} that is up; it is attached when it comes", name);
    missing.insert(name);
  }
  missing_ = std::move(missing);
  SayForwarding();
}

std::set<uint32_t> PacketThread::AttachAll(const api::Packet& packet) {
  std::set<uint32_t> chosen;
  for (const auto& [interface, mode] : ChooseInterfaces(interfaces_.all(), packet.interfaces, ways_)) {
    chosen.insert(interface.index);
    AttachOne(interface, mode);
  }
  SayHeaderless(packet);
  return chosen;
}

void PacketThread::SayHeaderless(const api::Packet& packet) {
  std::set<std::string> headerless;
  for (const std::string& name : HeaderlessInterfaces(interfaces_.all(), packet.interfaces, ways_)) {
    if (!headerless_.contains(name)) spdlog::warn("packet delivery: interface {} is left alone: {}", name, kHeaderless);
    headerless.insert(name);
  }
  headerless_ = std::move(headerless);
}

void PacketThread::AttachOne(const Interface& interface, api::PacketMode mode) {
  Attached& attached = attached_[interface.index];
  std::string trouble;
  const absl::StatusOr<std::string> how = programs_->AttachTo(interface.index, mode, trouble);
  if (!how.ok()) trouble = std::string(how.status().message());
  const std::string now_how = how.ok() ? *how : "";
  if (now_how != attached.how && how.ok()) spdlog::info("packet delivery: interface {} by {}", interface.name, now_how);
  if (trouble != attached.trouble && !trouble.empty()) spdlog::error("packet delivery: interface {}: {}", interface.name, trouble);
  if (how.ok() && !std::exchange(firewall_said_, true)) {
    spdlog::info("packet delivery: its packets pass this host's firewall (INPUT, FORWARD) unseen; docs/operating/packet.md says where to filter");
  }
  attached = {interface.name, mode, now_how, trouble};
}

// Packets may then only leave by the interface they came by.
void PacketThread::SayForwarding() {
  std::string trouble;
  if (attached_.size() > 1) {
    bool v4 = false, v6 = false;
    for (const auto& [name, index] : planner_.services()) (name.ends_with("/6") ? v6 : v4) = true;
    if (v4 && Interfaces::ForwardingOff(false)) trouble = "net.ipv4.ip_forward is 0: packets can only leave by the interface they came by";
    if (v6 && Interfaces::ForwardingOff(true)) trouble = "net.ipv6.conf.all.forwarding is 0: packets can only leave by the interface they came by";
  }
  if (trouble != forwarding_trouble_ && !trouble.empty()) spdlog::warn("packet delivery: {}", trouble);
  forwarding_trouble_ = std::move(trouble);
}

void PacketThread::WriteMaps(Clock::time_point now) {
  replan_ = false;
  const absl::Status status = WriteWanted(now);
  LookAtWays();
  restore_ = !status.ok();
  written_ = Clock::now();
  {
    const std::lock_guard guard(mutex_);
    take_at_ = draining_ ? written_ : written_ + std::min(4 * (written_ - now), kRestMax);
  }
  const std::string trouble(status.message());
  if (trouble != write_trouble_ && !trouble.empty()) spdlog::error("packet delivery: the maps are not as they should be: {}; tried again each second", trouble);
  if (trouble.empty() && !write_trouble_.empty()) spdlog::info("packet delivery: the maps are as they should be");
  write_trouble_ = trouble;
  if (restore_) {
    retry_at_ = now + kRetryEvery;
    return;
  }
  const std::lock_guard guard(mutex_);
  stats_.snapshot_version = applied_->version;
}

absl::Status PacketThread::WriteWanted(Clock::time_point now) {
  if (restore_) {
    if (absl::Status s = Restore(now); !s.ok()) return s;
  }
  PacketWanted wanted = WantedByPacket(*applied_, HostNow());
  for (const std::string& line : troubles_.Note(std::move(wanted.troubles), now)) spdlog::warn("packet delivery: {}", line);
  const absl::StatusOr<PacketPlan> plan = planner_.Next(wanted.services, now);
  if (!plan.ok()) return plan.status();
  return maps_.Write(*plan);
}

// An endpoint is handed its packets at its end of a veth pair where the programs are attached to ours, now and after this turn.
Host PacketThread::HostNow() {
  const std::vector<api::PacketInterface>& names = applied_->packet.interfaces;
  std::set<uint32_t> stay;
  const std::vector<uint32_t> attached = programs_->Attached();
  for (const auto& [interface, mode] : ChooseInterfaces(interfaces_.all(), names, ways_)) {
    if (std::binary_search(attached.begin(), attached.end(), interface.index)) stay.insert(interface.index);
  }
  const auto peer = [this, stay = std::move(stay)](const IpAddress& to) {
    const uint32_t veth = interfaces_.Peer(to);
    return stay.contains(veth) ? veth : 0;
  };
  return {interfaces_.addresses(), [this](const IpAddress& to) { return interfaces_.Source(to); }, peer,
          [this](const IpAddress& to) -> const Route& { return interfaces_.RouteOf(to); }, UnheardInterfaces(interfaces_.all(), names)};
}

// Those of endpoints that have left and have flows, too.
void PacketThread::LookAtWays() {
  std::set<uint32_t> ways;
  for (const auto& [identity, slot] : planner_.slots()) {
    const l4_endpoint& record = planner_.RecordOf(slot);
    const Route& route = interfaces_.RouteOf(FromAbi(record.ip, record.port));
    if (applied_->packet.nat != api::PacketNat::kDirect && route.kind == Route::Kind::kThere) ways.insert(route.out.begin(), route.out.end());
  }
  attach_ = attach_ || ways != ways_;
  ways_ = std::move(ways);
}

absl::Status PacketThread::Restore(Clock::time_point now) {
  absl::StatusOr<std::vector<l4_endpoint>> records = maps_.ReadEndpoints();
  if (!records.ok()) return records.status();
  absl::StatusOr<PacketPlanner::VipList> vips = maps_.ReadVips();
  if (!vips.ok()) return vips.status();
  absl::StatusOr<std::vector<uint32_t>> tables = maps_.ReadTables();
  if (!tables.ok()) return tables.status();
  planner_.Restore(*records, *vips, *tables, now);
  return absl::OkStatus();
}

void PacketThread::RestSlots(Clock::time_point now) {
  if (restore_ || !sweeper_.counted() || sweeper_.counted_since() == rested_) return;
  rested_ = sweeper_.counted_since();
  const PacketPlan plan = planner_.Rest([this](uint32_t slot) { return sweeper_.FlowsOf(slot); }, rested_, now);
  if (plan.empty()) return;
  LookAtWays();
  if (absl::Status s = maps_.Write(plan); !s.ok()) {
    restore_ = true;
    retry_at_ = now;
  }
}

void PacketThread::PublishFlows() {
  absl::flat_hash_map<uint64_t, Known> known;
  for (const auto& [identity, slot] : planner_.slots()) {
    const bool quiet = planner_.RecordOf(slot).state != L4_READY;
    known[identity] = {sweeper_.FlowsOf(slot), quiet && !restore_ && sweeper_.counted() && planner_.SinceOf(slot) < sweeper_.counted_since()};
  }
  const std::lock_guard guard(mutex_);
  known_ = std::move(known);
  flows_open_ = sweeper_.FlowsOpen();
  counted_since_write_ = sweeper_.counted() && sweeper_.counted_since() > written_;
  published_snapshot_ = applied_;
}

void PacketThread::Publish(Clock::time_point now) {
  published_at_ = now;
  PacketStats stats;
  stats.active = true;
  for (const PacketTrouble& one : troubles_.all()) stats.endpoint_troubles[one.identity] = one.words;
  for (const auto& [index, one] : attached_) stats.interfaces.push_back({one.name, one.how, one.trouble});
  for (const std::string& name : applied_->packet.interfaces.empty() ? std::set<std::string>() : headerless_) stats.interfaces.push_back({name, "", kHeaderless});
  for (const std::string& name : missing_) stats.interfaces.push_back({name, "", "there is none of this name that is up"});
  for (const auto& [name, index] : planner_.services()) Add(stats.services[ServiceOfPacketService(name)], maps_.ServiceTraffic(index));
  for (const auto& [identity, slot] : planner_.slots()) {
    PacketTraffic traffic = maps_.EndpointTraffic(slot);
    traffic.flows = sweeper_.FlowsOf(slot);
    for (const auto& [name, index] : planner_.services()) {
      if (index == planner_.RecordOf(slot).service) stats.services[ServiceOfPacketService(name)].flows += traffic.flows;
    }
    stats.endpoints[identity] = traffic;
  }
  SmoothAll(stats.services, services_before_);
  SmoothAll(stats.endpoints, endpoints_before_);
  stats.reasons = maps_.Reasons();
  stats.flow_entries = sweeper_.entries();
  stats.flow_entries_max = maps_.fds().flows_max;
  stats.half_open_entries = sweeper_.half_open_entries();
  stats.half_open_entries_max = maps_.fds().half_open_max;
  stats.swept = sweeper_.swept();
  SayLimits(stats, now);
  for (const std::string& trouble : {write_trouble_, sweeper_.trouble(), forwarding_trouble_, kept_trouble_, troubles_.Words(), limit_log_.trouble()}) {
    if (!trouble.empty()) absl::StrAppend(&stats.trouble, stats.trouble.empty() ? "" : "; ", trouble);
  }
  const std::lock_guard guard(mutex_);
  stats.snapshot_version = stats_.snapshot_version;
  stats_ = std::move(stats);
}

void PacketThread::SayLimits(const PacketStats& stats, Clock::time_point now) {
  PacketLimits limits{.services = {},
                      .no_port = stats.reasons[L4_NO_PORT].packets,
                      .table_full = stats.reasons[L4_EVENT_TABLE_FULL].packets,
                      .half_open_displaced = stats.reasons[L4_EVENT_HALF_OPEN_DISPLACED].packets,
                      .half_open_entries = stats.half_open_entries,
                      .half_open_max = stats.half_open_entries_max};
  std::set<uint32_t> ready;
  for (const auto& [identity, slot] : planner_.slots()) {
    if (planner_.RecordOf(slot).state == L4_READY) ready.insert(planner_.RecordOf(slot).service);
  }
  for (const auto& [name, index] : planner_.services()) {
    limits.services[absl::StrCat(ServiceOfPacketService(name), name.ends_with("/6") ? " (IPv6)" : " (IPv4)")] = {maps_.ServiceTraffic(index).refused, ready.contains(index)};
  }
  for (const std::string& line : limit_log_.Tick(limits, now)) spdlog::warn("{}", line);
}

}  // namespace ringway::dp

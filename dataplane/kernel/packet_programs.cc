// See packet_programs.h. tcx: Documentation/bpf, kernel 6.6; clsact: tc-bpf(8).
#include "dataplane/kernel/packet_programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include "bpf/lb_abi.h"
// After the ABI, whose options stand in their rodata.
#include <l4_tc.skel.h>
#include <l4_xdp.skel.h>

#include "absl/strings/str_cat.h"
#include "common/log/log.h"
#include "dataplane/kernel/bpf_error.h"
#include "dataplane/kernel/bpf_link.h"
#include "dataplane/kernel/bpf_object.h"
#include "dataplane/kernel/clsact.h"
#include "dataplane/kernel/interface_xdp.h"
#include "dataplane/kernel/pin_directory.h"

namespace ringway::dp {
namespace {

constexpr char kTcLink[] = "link-tc-";        // + ifindex: a pinned tcx link
constexpr char kXdpLink[] = "link-xdp-";      // + ifindex
static_assert(std::string_view(kTcLink).starts_with(kLinkPin) && std::string_view(kXdpLink).starts_with(kLinkPin));
constexpr uint32_t kHashSeed = 0x72696e67;  // of every balancer, for good: the same client hash finds the same entry on all

// What an older release's programs and these read alike, as long as type and sizes are the same.
const std::set<std::string> kKeptMaps = {"l4_vips", "l4_endpoints", "l4_flows", "l4_half_open", "l4_fragments", "l4_reasons"};

std::string FolderOf(const std::string& pin_dir) { return absl::StrCat(pin_dir, "/l4-v", L4_ABI); }

bool IsPinned(const bpf_map* map) {
  const std::string name = bpf_map__name(map);
  return name.starts_with("l4_") && name != "l4_scratch" && name.find('.') == std::string::npos;
}

// Pinned maps of other dimensions than the program's cannot be used. The size of the flow table may differ: the kept one stays.
absl::Status FitPinnedMaps(const bpf_object* object, const PinDirectory& pins, uint32_t flow_entries) {
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    if (!IsPinned(map)) continue;
    const std::string name = bpf_map__name(map);
    if (name == "l4_flows") bpf_map__set_max_entries(map, flow_entries);
    bpf_map__set_pin_path(map, pins.PathOf(name).c_str());
    const absl::StatusOr<UniqueFd> kept = pins.Get(name);
    if (!kept.ok()) continue;
    bpf_map_info info{};
    uint32_t size = sizeof(info);
    if (bpf_map_get_info_by_fd(kept->get(), &info, &size) != 0) return BpfError(errno, pins.PathOf(name));
    if (info.type != bpf_map__type(map) || info.key_size != bpf_map__key_size(map) || info.value_size != bpf_map__value_size(map)) {
      return absl::FailedPreconditionError(pins.PathOf(name) + " has another layout");
    }
    if (info.max_entries == bpf_map__max_entries(map)) continue;
    bpf_map__set_max_entries(map, info.max_entries);
  }
  return absl::OkStatus();
}

// The memory is the program's own.
template <typename Skeleton>
void WritePorts(const Skeleton& object, const api::Packet& packet) {
  object.data->l4_ports = L4_PORTS(packet.snat_port_first, packet.snat_port_last);
}

template <typename Skeleton>
absl::StatusOr<BpfObject<Skeleton>> LoadOver(const std::string& name, const PinDirectory& pins, const api::Packet& packet, const std::string& log_folder) {
  absl::StatusOr<BpfObject<Skeleton>> object = BpfObject<Skeleton>::Open(name, log_folder);
  if (!object.ok()) return object;
  (*object)->rodata->options.hash_seed = kHashSeed;
  if (absl::Status s = FitPinnedMaps((*object)->obj, pins, FlowEntries(packet)); !s.ok()) return s;
  if (absl::Status s = object->Load(); !s.ok()) return s;
  WritePorts(*object->get(), packet);
  return object;
}

// One that is there already stays.
void Move(const PinDirectory& from, const PinDirectory& to, const std::string& name) {
  if (renameat2(AT_FDCWD, from.PathOf(name).c_str(), AT_FDCWD, to.PathOf(name).c_str(), RENAME_NOREPLACE) != 0 && errno != EEXIST) {
    spdlog::warn("{}: cannot be taken over: {}", from.PathOf(name), std::strerror(errno));
  }
}

// An older release's programs go on over the same maps until these replace them, link by link: no packet is without a program.
// Tables and counters of another layout are made anew; flows of another layout are lost (FitPinnedMaps).
void TakeOlder(const std::string& pin_dir, const PinDirectory& pins) {
  for (int abi = L4_ABI - 1; abi > 0; --abi) {
    const std::string folder = absl::StrCat(pin_dir, "/l4-v", abi);
    struct stat status {};
    if (stat(folder.c_str(), &status) != 0) continue;
    const absl::StatusOr<PinDirectory> older = PinDirectory::Open(folder);
    if (!older.ok()) continue;
    for (const std::string& name : older->Names()) {
      if (!name.starts_with("l4_") || kKeptMaps.contains(name)) Move(*older, pins, name);
    }
    if (const absl::Status s = PinDirectory::Remove(folder); !s.ok()) spdlog::warn("{}", std::string(s.message()));
    spdlog::info("packet delivery: the flows and links of an older release are taken over from {}", folder);
  }
}

std::optional<uint32_t> IndexAfter(const std::string& name, const std::string& prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  char* end = nullptr;
  const unsigned long index = std::strtoul(name.c_str() + prefix.size(), &end, 10);
  if (end == name.c_str() + prefix.size() || *end != '\0') return std::nullopt;
  return static_cast<uint32_t>(index);
}

absl::Status RemoveFilters(const PinDirectory& pins, PinHome home) {
  if (home == PinHome::kGone) return absl::OkStatus();
  for (const std::string& name : pins.Names()) {
    const auto index = IndexAfter(name, kClsact);
    if (!index) continue;
    if (home == PinHome::kElsewhere) return absl::FailedPreconditionError(pins.path() + ": its clsact filters are in another network namespace, they can be removed from there only");
    RemoveClsact(pins, *index);
  }
  return absl::OkStatus();
}

}  // namespace

struct PacketPrograms::State {
  State(PinDirectory p, BpfObject<l4_tc_bpf> t, api::Packet settings, std::string log)
      : pins(std::move(p)), tc(std::move(t)), packet(std::move(settings)), log_folder(std::move(log)) {}
  PinDirectory pins;
  BpfObject<l4_tc_bpf> tc;
  std::optional<FlowEnder> ender;  // from Load on
  std::optional<BpfObject<l4_xdp_bpf>> xdp;
  std::optional<absl::Status> xdp_status;
  std::set<uint32_t> xdp_ports;  // as written
  bool tcx = true;  // until the kernel says otherwise
  const api::Packet packet;
  const std::string log_folder;
};

uint32_t FlowEntries(const api::Packet& packet) { return packet.flows_max * (packet.nat == api::PacketNat::kDirect ? 1 : 2); }

PacketPrograms::PacketPrograms(std::unique_ptr<State> state) : state_(std::move(state)) {
  const auto fd = [this](const char* name) { return bpf_object__find_map_fd_by_name(state_->tc->obj, name); };
  fds_ = {.vips = fd("l4_vips"),
          .tables = fd("l4_tables"),
          .endpoints = fd("l4_endpoints"),
          .flows = fd("l4_flows"),
          .half_open = fd("l4_half_open"),
          .reasons = fd("l4_reasons"),
          .service_traffic = fd("l4_service_traffic"),
          .endpoint_traffic = fd("l4_endpoint_traffic"),
          .flows_max = bpf_map__max_entries(state_->tc->maps.l4_flows),
          .half_open_max = bpf_map__max_entries(state_->tc->maps.l4_half_open)};
}

PacketPrograms::~PacketPrograms() = default;

FlowEnder& PacketPrograms::ender() const { return *state_->ender; }

absl::StatusOr<std::unique_ptr<PacketPrograms>> PacketPrograms::Load(const api::Packet& packet, const std::string& log_folder, PinHome home) {
  absl::StatusOr<PinDirectory> pins = PinDirectory::Open(FolderOf(packet.pin_dir));
  if (!pins.ok()) return pins.status();
  TakeOlder(packet.pin_dir, *pins);
  if (home != PinHome::kHere) ForgetClsact(*pins);
  const bool anew = pins->Names().empty();
  absl::StatusOr<BpfObject<l4_tc_bpf>> tc = LoadOver<l4_tc_bpf>("l4_tc", *pins, packet, log_folder);
  if (absl::IsFailedPrecondition(tc.status())) {
    spdlog::warn("packet delivery begins anew, its kept flows are lost: {}", std::string(tc.status().message()));
    if (absl::Status s = Detach(packet.pin_dir, home); !s.ok()) return s;
    if (pins = PinDirectory::Open(FolderOf(packet.pin_dir)); !pins.ok()) return pins.status();
    tc = LoadOver<l4_tc_bpf>("l4_tc", *pins, packet, log_folder);
  }
  if (!tc.ok()) {
    // Nothing pinned before: then nothing is left of the try.
    if (pins->Names().empty()) rmdir(pins->path().c_str());
    return tc.status();
  }
  std::unique_ptr<PacketPrograms> programs(new PacketPrograms(std::make_unique<State>(*std::move(pins), *std::move(tc), packet, log_folder)));
  absl::StatusOr<FlowEnder> ender = FlowEnder::Load(programs->fds_, log_folder);
  if (!ender.ok()) {
    if (anew) Detach(packet.pin_dir, home).IgnoreError();
    return ender.status();
  }
  programs->state_->ender = *std::move(ender);
  return programs;
}

absl::Status PacketPrograms::LoadXdp() {
  if (state_->xdp_status) return *state_->xdp_status;
  absl::StatusOr<BpfObject<l4_xdp_bpf>> xdp = LoadOver<l4_xdp_bpf>("l4_xdp", state_->pins, state_->packet, state_->log_folder);
  if (xdp.ok()) state_->xdp = *std::move(xdp);
  state_->xdp_status = xdp.status();
  return *state_->xdp_status;
}

absl::StatusOr<std::string> PacketPrograms::AttachTo(uint32_t ifindex, api::PacketMode mode, std::string& trouble) {
  trouble.clear();
  absl::StatusOr<std::string> tc = AttachTc(ifindex);
  if (!tc.ok()) return tc;
  if (mode != api::PacketMode::kXdp) {
    // What an earlier process had there by other settings.
    if (absl::Status s = DropPinnedLink(state_->pins, kXdpLink + std::to_string(ifindex)); !s.ok()) trouble = std::string(s.message());
    return tc;
  }
  absl::StatusOr<std::string> xdp = AttachXdp(ifindex);
  if (xdp.ok()) return *xdp + " and " + *tc;
  // What an earlier process had there would run beside.
  DropPinnedLink(state_->pins, kXdpLink + std::to_string(ifindex)).IgnoreError();
  trouble = "XDP is not to be had: " + std::string(xdp.status().message());
  return tc;
}

absl::StatusOr<std::string> PacketPrograms::AttachTc(uint32_t ifindex) {
  const int program = bpf_program__fd(state_->tc->progs.l4_tc);
  if (state_->tcx) {
    const absl::StatusOr<UniqueFd> link = CreatePinnedLink(state_->pins, kTcLink + std::to_string(ifindex), program, static_cast<int>(ifindex), BPF_TCX_INGRESS);
    if (link.ok()) {
      RemoveClsact(state_->pins, ifindex);  // of a time before this kernel
      return "tcx";
    }
    // EINVAL: no such attach type; only asked once.
    if (!absl::IsInvalidArgument(link.status()) && !absl::IsUnimplemented(link.status())) return link.status();
    state_->tcx = false;
  }
  if (absl::Status s = AttachClsact(state_->pins, ifindex, program); !s.ok()) return s;
  return "clsact";
}

absl::StatusOr<std::string> PacketPrograms::AttachXdp(uint32_t ifindex) {
  if (absl::Status s = LoadXdp(); !s.ok()) return s;
  const int program = bpf_program__fd((*state_->xdp)->progs.l4_xdp);
  const std::string name = kXdpLink + std::to_string(ifindex);
  if (IsVeth(ifindex) && !TakesXdpFrames(ifindex)) {
    if (absl::Status s = DropPinnedLink(state_->pins, name); !s.ok()) return s;
    return absl::FailedPreconditionError(
        "on a veth whose other end runs neither XDP nor GRO (or a kernel before 6.3, which cannot tell) what XDP sends back is lost without a word; tc is used");
  }
  absl::StatusOr<UniqueFd> link = CreatePinnedLink(state_->pins, name, program, static_cast<int>(ifindex), BPF_XDP, XDP_FLAGS_DRV_MODE);
  if (link.ok()) return XdpAttachedHow(ifindex);  // one that was there is of either kind
  const std::string refused(link.status().message());
  link = CreatePinnedLink(state_->pins, name, program, static_cast<int>(ifindex), BPF_XDP, XDP_FLAGS_SKB_MODE);
  if (!link.ok()) return link.status();
  spdlog::warn("interface {}: its driver does not take XDP ({}), the generic one is used", ifindex, refused);
  return "xdp (generic)";
}

void PacketPrograms::SetXdpPorts(const std::vector<uint32_t>& interfaces) {
  if (!state_->xdp) return;
  const int ports = bpf_map__fd((*state_->xdp)->maps.xdp_ports);
  std::set<uint32_t> wanted;
  std::copy_if(interfaces.begin(), interfaces.end(), std::inserter(wanted, wanted.end()), TakesXdpFrames);
  for (const uint32_t gone : state_->xdp_ports) {
    if (!wanted.contains(gone)) bpf_map_delete_elem(ports, &gone);  // or the interface itself is gone, and its entry with it
  }
  state_->xdp_ports.clear();
  for (const uint32_t ifindex : wanted) {
    if (bpf_map_update_elem(ports, &ifindex, &ifindex, BPF_ANY) == 0) state_->xdp_ports.insert(ifindex);
  }
}

void PacketPrograms::SetPorts(const api::Packet& packet) {
  WritePorts(*state_->tc.get(), packet);
  if (state_->xdp) WritePorts(*state_->xdp->get(), packet);
}

const std::string& PacketPrograms::pin_dir() const { return state_->packet.pin_dir; }

void PacketPrograms::DetachFrom(uint32_t ifindex) {
  for (const char* prefix : {kXdpLink, kTcLink}) {
    if (absl::Status s = DropPinnedLink(state_->pins, prefix + std::to_string(ifindex)); !s.ok()) spdlog::warn("{}", std::string(s.message()));
  }
  RemoveClsact(state_->pins, ifindex);
}

std::vector<uint32_t> PacketPrograms::Attached() const {
  std::set<uint32_t> indices;
  for (const std::string& name : state_->pins.Names()) {
    for (const char* prefix : {kTcLink, kXdpLink, kClsact}) {
      if (const auto index = IndexAfter(name, prefix)) indices.insert(*index);
    }
  }
  return {indices.begin(), indices.end()};
}

bool PacketPrograms::AreThere(const std::string& pin_dir) {
  struct stat status {};
  for (int abi = 1; abi <= L4_ABI; ++abi) {
    if (stat(absl::StrCat(pin_dir, "/l4-v", abi).c_str(), &status) == 0) return true;
  }
  return false;
}

absl::Status PacketPrograms::Detach(const std::string& pin_dir, PinHome home) {
  // Folders of other ABI numbers are of other releases.
  for (int abi = 1; abi <= L4_ABI; ++abi) {
    const std::string folder = absl::StrCat(pin_dir, "/l4-v", abi);
    struct stat status {};
    if (stat(folder.c_str(), &status) != 0) continue;
    absl::StatusOr<PinDirectory> pins = PinDirectory::Open(folder);
    if (!pins.ok()) return pins.status();
    if (absl::Status s = RemoveFilters(*pins, home); !s.ok()) return s;
    for (const std::string& name : pins->Names()) {
      if (name.starts_with(kLinkPin)) DropPinnedLink(*pins, name).IgnoreError();  // else Remove says what is wrong
    }
    if (absl::Status s = PinDirectory::Remove(folder); !s.ok()) return s;
  }
  return absl::OkStatus();
}

}  // namespace ringway::dp

// "packet": how packets are delivered. One section for all listeners with "delivery": "packet"; docs/deliveries.md.
#include <boost/json/value.hpp>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "controlplane/config/net_names.h"
#include "controlplane/config/object_reader.h"
#include "controlplane/config/sections.h"

namespace ringway::cp {
namespace {

constexpr uint32_t kSecondMs = 1000;
constexpr uint32_t kDayMs = 24 * 3600 * kSecondMs;
constexpr size_t kInterfaceNameMax = 15;  // IFNAMSIZ less its end

bool IsInterfaceName(const std::string& name) {
  if (name.empty() || name.size() > kInterfaceNameMax || name == "." || name == "..") return false;
  const size_t star = name.find('*');
  if (star != std::string::npos && star + 1 != name.size()) return false;
  return std::none_of(name.begin(), name.end(), [](unsigned char c) { return c == '/' || c == ':' || c <= ' ' || c >= 0x7f; });
}

// "eth0", or {"name": "eth0", "mode": "xdp"}.
void ReadInterface(const boost::json::value& value, const std::string& path, Diagnostics& diagnostics, api::Packet& out) {
  api::PacketInterface interface;
  std::string name_path = path;
  if (value.is_string()) {
    interface.name = std::string(value.get_string());
  } else if (!value.is_object()) {
    return diagnostics.Error(path, "wanted the name of an interface like \"eth0\", or an object with \"name\" and \"mode\", got " + Describe(value));
  } else {
    ObjectReader reader(value, path, diagnostics);
    name_path = reader.PathOf("name");
    reader.Choice("mode", interface.mode);
    if (reader.Find("name") == nullptr) diagnostics.Error(path, "wanted the \"name\" of an interface");
    if (!reader.String("name", interface.name)) return;
  }
  if (const size_t colon = interface.name.find(':'); colon != std::string::npos && IsInterfaceName(interface.name.substr(0, colon))) {
    return diagnostics.Error(name_path, "wanted the name of an interface, which is \"" + interface.name.substr(0, colon) + "\" here; \"" + interface.name +
                                            "\" is the label of an address at it");
  }
  if (!IsInterfaceName(interface.name)) {
    return diagnostics.Error(name_path, "wanted the name of an interface like \"eth0\", or its beginning like \"br-*\", got \"" + interface.name + "\"");
  }
  const auto same = [&](const api::PacketInterface& other) { return other.name == interface.name; };
  if (std::any_of(out.interfaces.begin(), out.interfaces.end(), same)) {
    return diagnostics.Error(name_path, "\"" + interface.name + "\" stands here twice; wanted each interface once");
  }
  out.interfaces.push_back(std::move(interface));
}

// "10240-32767".
void ReadPorts(ObjectReader& reader, api::Packet& out) {
  std::string text;
  if (!reader.String("snat_ports", text)) return;
  uint32_t first = 0, last = 0;
  const char* const end = text.data() + text.size();
  const auto [dash, first_error] = std::from_chars(text.data(), end, first);
  bool right = first_error == std::errc() && dash != end && *dash == '-';
  if (right) {
    const auto [stop, last_error] = std::from_chars(dash + 1, end, last);
    right = last_error == std::errc() && stop == end && first >= 1024 && first <= last && last <= 65535;
  }
  if (!right) return reader.diagnostics().Error(reader.PathOf("snat_ports"), "wanted ports from 1024 to 65535 like \"10240-32767\", got \"" + text + "\"");
  out.snat_port_first = first;
  out.snat_port_last = last;
}

void ReadTimeouts(const boost::json::value& value, const std::string& path, Diagnostics& diagnostics, api::PacketTimeouts& out) {
  ObjectReader reader(value, path, diagnostics);
  reader.Duration("syn", kSecondMs, kDayMs, out.syn_ms);
  reader.Duration("established", kSecondMs, 7 * kDayMs, out.established_ms);
  reader.Duration("fin", kSecondMs, kDayMs, out.fin_ms);
  reader.Duration("closed", kSecondMs, kDayMs, out.closed_ms);
  reader.Duration("reset", kSecondMs, kDayMs, out.reset_ms);
  reader.Duration("udp", kSecondMs, kDayMs, out.udp_ms);
  reader.Duration("udp_answered", kSecondMs, kDayMs, out.udp_answered_ms);
  reader.Duration("udp_stream", kSecondMs, kDayMs, out.udp_stream_ms);
}

}  // namespace

void ReadPacket(const boost::json::value& value, const std::string& path, Diagnostics& diagnostics, api::Packet& out) {
  using Nat = api::PacketNat;
  ObjectReader reader(value, path, diagnostics);
  reader.Array("interfaces", [&](const boost::json::value& element, const std::string& element_path) {
    ReadInterface(element, element_path, diagnostics, out);
  });
  reader.Choice("nat", out.nat);
  reader.Array("snat_addresses", [&](const boost::json::value& element, const std::string& element_path) {
    const std::string text = element.is_string() ? std::string(element.get_string()) : "";
    if (IsIpLiteral(text)) out.snat_addresses.push_back(text);
    else diagnostics.Error(element_path, "wanted an address of this host like \"10.0.0.5\", got " + Describe(element));
  });
  ReadPorts(reader, out);
  for (const char* key : {"snat_addresses", "snat_ports"}) {
    if (out.nat == Nat::kNat || reader.Find(key) == nullptr) continue;
    diagnostics.ErrorAtKey(reader.PathOf(key), "endpoints see the client's own address; wanted \"nat\": \"nat\", or this key gone");
  }
  reader.Choice("on_dead", out.on_dead);
  reader.Choice("on_stop", out.on_stop);
  reader.Integer("flows_max", 1024, 16u << 20, out.flows_max);
  if (const auto* timeouts = reader.Find("timeouts")) ReadTimeouts(*timeouts, reader.PathOf("timeouts"), diagnostics, out.timeouts);
  if (reader.String("pin_dir", out.pin_dir) && (out.pin_dir.size() < 2 || out.pin_dir[0] != '/' || out.pin_dir.back() == '/')) {
    diagnostics.Error(reader.PathOf("pin_dir"), "wanted an absolute path on a bpf file system, got \"" + out.pin_dir + "\"");
  }
}

}  // namespace ringway::cp

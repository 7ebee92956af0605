// "connect": who is led to endpoints in connect(2). One section for all listeners with "delivery": "connect"; docs/deliveries.md.
#include <boost/json/value.hpp>

#include <algorithm>

#include "controlplane/config/object_reader.h"
#include "controlplane/config/sections.h"

namespace ringway::cp {
namespace {

bool IsPath(const std::string& text) { return text.size() > 1 && text[0] == '/' && text.back() != '/'; }

}  // namespace

void ReadConnect(const boost::json::value& value, const std::string& path, Diagnostics& diagnostics, api::Connect& out) {
  ObjectReader reader(value, path, diagnostics);
  reader.Array("cgroups", [&](const boost::json::value& element, const std::string& element_path) {
    const std::string text = element.is_string() ? std::string(element.get_string()) : "";
    const bool twice = std::find(out.cgroups.begin(), out.cgroups.end(), text) != out.cgroups.end();
    if (twice) diagnostics.Error(element_path, "\"" + text + "\" stands here twice; wanted each cgroup once");
    else if (IsPath(text)) out.cgroups.push_back(text);
    else diagnostics.Error(element_path, "wanted a directory of a cgroup v2 file system like \"/sys/fs/cgroup/system.slice\", got " + Describe(element));
  });
  reader.Choice("on_stop", out.on_stop);
  if (reader.String("pin_dir", out.pin_dir) && !IsPath(out.pin_dir)) {
    diagnostics.Error(reader.PathOf("pin_dir"), "wanted an absolute path on a bpf file system, got \"" + out.pin_dir + "\"");
  }
}

}  // namespace ringway::cp

// See load.h.
#include "controlplane/config/load.h"

#include <sys/stat.h>

#include <algorithm>
#include <boost/json/parser.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "absl/strings/str_join.h"
#include "controlplane/config/default_config.h"
#include "controlplane/config/object_reader.h"
#include "controlplane/config/sections.h"

namespace ringway::cp {
namespace {

constexpr char kDefaultFile[] = "/etc/ringway/ringway.json";
constexpr size_t kFileBytesMax = 4u << 20;
constexpr uint32_t kDayMs = 24 * 3600 * 1000;

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

absl::StatusOr<std::string> ReadFile(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  std::string text(kFileBytesMax + 1, '\0');
  if (stream) stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!stream.is_open() || stream.bad()) {
    return absl::NotFoundError(file + ": wanted a config file, cannot read it: " + std::strerror(errno));
  }
  text.resize(static_cast<size_t>(stream.gcount()));
  if (text.size() > kFileBytesMax) {
    return absl::InvalidArgumentError(file + ": wanted a config file of at most " + std::to_string(kFileBytesMax >> 20) + " MiB");
  }
  if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);  // the mark some editors begin a file with
  return text;
}

absl::Status Refusal(const Diagnostics& diagnostics) {
  return absl::InvalidArgumentError(absl::StrJoin(diagnostics.errors(), "\n"));
}

// Files that an editor saved as something else: nothing that a JSON parser says of them would help.
bool IsText(std::string_view text, Diagnostics& diagnostics) {
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) {
    diagnostics.ErrorAt({1, 1}, "", "wanted UTF-8 text, this file is UTF-16");
  } else if (const size_t zero = text.find('\0'); zero != text.npos) {
    diagnostics.ErrorAt(PositionAt(text, zero), "", "wanted UTF-8 text, got a zero byte");
  }
  return !diagnostics.failed();
}

// Boost.JSON has the last word on numbers, escapes and UTF-8; what it refuses is placed by how far it came.
bool ParseJson(std::string_view text, const PositionIndex& index, Diagnostics& diagnostics, boost::json::value& out) {
  if (const auto& problem = index.syntax_error()) {
    diagnostics.ErrorAt(problem->position, problem->path, "wanted " + problem->wanted);
    return false;
  }
  boost::json::parse_options options;
  options.allow_comments = true;
  options.allow_trailing_commas = true;
  boost::json::parser parser({}, options);
  boost::json::error_code error;
  const size_t consumed = parser.write_some(text.data(), text.size(), error);
  if (error) {
    const bool ascii = consumed >= text.size() || static_cast<unsigned char>(text[consumed]) < 0x80;
    diagnostics.ErrorAt(PositionAt(text, consumed), "",
                        ascii ? "wanted JSON (comments and trailing commas are fine): " + error.message() : "wanted UTF-8 text, got another byte here");
    return false;
  }
  out = parser.release();
  for (const auto& duplicate : index.duplicates()) diagnostics.ErrorAt(duplicate.position, duplicate.path, "wanted " + duplicate.wanted);
  return true;
}

void ReadServices(ObjectReader& root, Config& config, std::vector<std::string>& unchecked) {
  const auto* services = root.Find("services");
  if (services == nullptr) return;
  ObjectReader reader(*services, root.PathOf("services"), root.diagnostics());
  reader.EachKey([&](std::string_view name, const boost::json::value& value, const std::string& path) {
    if (name.empty()) return root.diagnostics().ErrorAtKey(path, "wanted the name of a service, got \"\"");
    config.services[std::string(name)] = ReadService(name, value, path, root.diagnostics());
    if (value.is_object() && !value.get_object().contains("health_check")) unchecked.emplace_back(name);
  });
}

void ReadRoot(const boost::json::value& value, Diagnostics& diagnostics, const std::string& catalog_address, Config& config) {
  ObjectReader root(value, "", diagnostics);
  if (const auto* catalog = root.Find("catalog")) {
    ReadCatalog(*catalog, "catalog", diagnostics, config.catalog);
  } else {
    ReadCatalogVariable(catalog_address, diagnostics, config.catalog);
  }
  const bool listeners = root.Array("listeners", [&](const boost::json::value& element, const std::string& path) {
    config.listeners.push_back(ReadListener(element, path, diagnostics));
  });
  if (value.is_object() && (!listeners ? root.Find("listeners") == nullptr : config.listeners.empty())) {
    diagnostics.Error("listeners", "wanted at least one listener");
  }
  std::vector<std::string> unchecked;
  ReadServices(root, config, unchecked);
  if (const auto* stats = root.Find("stats")) ReadStats(*stats, "stats", diagnostics, config.stats);
  if (const auto* packet = root.Find("packet")) ReadPacket(*packet, "packet", diagnostics, config.packet);
  if (const auto* log = root.Find("access_log")) ReadAccessLog(*log, "access_log", diagnostics, config.access_log);
  if (const auto* connect = root.Find("connect")) ReadConnect(*connect, "connect", diagnostics, config.connect);
  root.Choice("steering", config.steering);
  if (const auto* limits = root.Find("limits")) {
    ObjectReader reader(*limits, "limits", diagnostics);
    reader.Integer("sessions_max", 1, 16u << 20, config.sessions_max);
  }
  root.Duration("shutdown_timeout", 100, kDayMs, config.shutdown_timeout_ms);
  root.Duration("handover_timeout", 100, 7 * kDayMs, config.handover_timeout_ms);
  if (root.String("run_dir", config.run_dir) && (config.run_dir.empty() || config.run_dir[0] != '/')) {
    diagnostics.Error("run_dir", "wanted an absolute path, got \"" + config.run_dir + "\"");
  }
  for (const std::string& name : unchecked) config.services[name].health_check = DefaultHealthCheck(config, name);
}

}  // namespace

std::string ChooseConfigFile(const std::string& asked_for) {
  if (!asked_for.empty()) return asked_for;
  if (const std::string named = Environment("RINGWAY_CONFIG"); !named.empty()) return named;
  struct stat status {};
  return stat(kDefaultFile, &status) == 0 ? kDefaultFile : "";
}

absl::StatusOr<Loaded> ParseConfig(std::string_view text, const std::string& file, const std::string& catalog_address) {
  const PositionIndex index(text);
  Diagnostics diagnostics(file, index);
  boost::json::value root;
  if (!IsText(text, diagnostics) || !ParseJson(text, index, diagnostics, root)) return Refusal(diagnostics);
  Loaded loaded;
  loaded.config.file = file;
  ReadRoot(root, diagnostics, catalog_address, loaded.config);
  CheckWhole(diagnostics, loaded.config);
  if (diagnostics.failed()) return Refusal(diagnostics);
  std::sort(loaded.config.listeners.begin(), loaded.config.listeners.end(),
            [](const api::Listener& a, const api::Listener& b) { return a.name < b.name; });
  loaded.warnings = diagnostics.warnings();
  return loaded;
}

absl::StatusOr<Loaded> LoadConfig(const std::string& file) {
  const std::string catalog_address = Environment("RINGWAY_CATALOG");
  if (file.empty()) return ParseConfig(kDefaultConfig, std::string(kDefaultConfigName), catalog_address);
  const auto text = ReadFile(file);
  if (!text.ok()) return text.status();
  return ParseConfig(*text, file, catalog_address);
}

}  // namespace ringway::cp

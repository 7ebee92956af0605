// The sidecar's own list of programs. Strict: a key it does not know is a typing error.
#include <boost/json.hpp>

#include "sidecar/duration.h"
#include "sidecar/json_file.h"
#include "sidecar/supervise/command_line.h"
#include "sidecar/supervise/program_list.h"
#include "sidecar/supervise/signal_names.h"

namespace ringway::sidecar {
namespace {

namespace json = boost::json;

absl::Status Wanted(const std::string& what) { return absl::InvalidArgumentError("wanted " + what); }

absl::Status SetText(const json::value& value, std::string& out) {
  if (!value.is_string()) return Wanted("a string");
  out = value.as_string().c_str();
  return absl::OkStatus();
}

absl::Status SetBool(const json::value& value, bool& out) {
  if (!value.is_bool()) return Wanted("true or false");
  out = value.as_bool();
  return absl::OkStatus();
}

absl::Status SetInt(const json::value& value, int& out) {
  if (!value.is_int64() || value.as_int64() < -100000 || value.as_int64() > 100000) return Wanted("a number");
  out = static_cast<int>(value.as_int64());
  return absl::OkStatus();
}

absl::Status SetDuration(const json::value& value, std::chrono::milliseconds& out) {
  if (!value.is_string()) return Wanted("a duration such as \"10s\"");
  absl::StatusOr<std::chrono::milliseconds> parsed = ParseDuration(value.as_string().c_str());
  if (parsed.ok()) out = *parsed;
  return parsed.status();
}

absl::Status SetCommand(const json::value& value, std::vector<std::string>& argv) {
  if (value.is_string()) {
    absl::StatusOr<std::vector<std::string>> words = SplitWords(value.as_string().c_str());
    if (words.ok()) argv = *words;
    return words.status();
  }
  if (!value.is_array()) return Wanted("a string or a list of strings");
  for (const json::value& item : value.as_array()) {
    if (!item.is_string()) return Wanted("a list of strings");
    argv.emplace_back(item.as_string().c_str());
  }
  return absl::OkStatus();
}

absl::Status SetRestart(const json::value& value, Restart& restart) {
  const std::string text = value.is_string() ? value.as_string().c_str() : "";
  if (text == "always") restart = Restart::kAlways;
  else if (text == "on-failure") restart = Restart::kOnFailure;
  else if (text == "never") restart = Restart::kNever;
  else return Wanted("\"always\", \"on-failure\" or \"never\"");
  return absl::OkStatus();
}

absl::Status SetOutput(const json::value& value, Output& output) {
  std::string text;
  if (const absl::Status set = SetText(value, text); !set.ok()) return set;
  if (text == "stdout") output = {Output::To::kStdout, {}};
  else if (text == "stderr") output = {Output::To::kStderr, {}};
  else if (text == "none") output = {Output::To::kNull, {}};
  else if (!text.empty() && text.front() == '/') output = {Output::To::kFile, text};
  else return Wanted("\"stdout\", \"stderr\", \"none\" or an absolute path");
  return absl::OkStatus();
}

absl::Status SetSignal(const json::value& value, int& signal) {
  signal = value.is_string() ? SignalFromName(value.as_string().c_str()) : 0;
  return signal != 0 ? absl::OkStatus() : Wanted("a signal such as \"TERM\"");
}

absl::Status SetExitCodes(const json::value& value, std::vector<int>& codes) {
  if (!value.is_array()) return Wanted("a list of numbers");
  codes.clear();
  for (const json::value& item : value.as_array()) {
    int code = 0;
    if (const absl::Status set = SetInt(item, code); !set.ok()) return set;
    codes.push_back(code);
  }
  return absl::OkStatus();
}

absl::Status SetEnvironment(const json::value& value, std::map<std::string, std::string>& environment) {
  if (!value.is_object()) return Wanted("an object of strings");
  for (const auto& [key, item] : value.as_object()) {
    if (const absl::Status set = SetText(item, environment[std::string(key)]); !set.ok()) return set;
  }
  return absl::OkStatus();
}

absl::Status Apply(std::string_view key, const json::value& value, Program& program) {
  if (key == "name") return SetText(value, program.name);
  if (key == "command") return SetCommand(value, program.argv);
  if (key == "essential") return SetBool(value, program.essential);
  if (key == "restart") return SetRestart(value, program.rules.restart);
  if (key == "exit_codes") return SetExitCodes(value, program.rules.expected_exit_codes);
  if (key == "start_retries") return SetInt(value, program.rules.start_retries_max);
  if (key == "start_time") return SetDuration(value, program.rules.start_time);
  if (key == "autostart") return SetBool(value, program.autostart);
  if (key == "priority") return SetInt(value, program.priority);
  if (key == "directory") return SetText(value, program.directory);
  if (key == "user") return SetText(value, program.user);
  if (key == "environment") return SetEnvironment(value, program.environment);
  if (key == "stop_signal") return SetSignal(value, program.stop_signal);
  if (key == "stop_timeout") return SetDuration(value, program.stop_timeout);
  if (key == "stdout") return SetOutput(value, program.standard_output);
  if (key == "stderr") return SetOutput(value, program.standard_error);
  return absl::InvalidArgumentError("no such key");
}

absl::StatusOr<Program> ParseProgram(const json::value& value, const std::string& where) {
  if (!value.is_object()) return absl::InvalidArgumentError(where + ": wanted an object");
  Program program;
  for (const auto& [key, item] : value.as_object()) {
    const absl::Status applied = Apply(std::string_view(key.data(), key.size()), item, program);
    if (!applied.ok()) {
      return absl::InvalidArgumentError(where + "." + std::string(key) + ": " + std::string(applied.message()));
    }
  }
  if (program.argv.empty()) return absl::InvalidArgumentError(where + ".command: wanted a command");
  if (program.name.empty()) program.name = program.argv.front().substr(program.argv.front().find_last_of('/') + 1);
  return program;
}

}  // namespace

absl::StatusOr<ProgramList> ReadProgramsJson(const std::string& path) {
  absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) return text.status();
  return ParseProgramsJson(path, *text);
}

absl::StatusOr<ProgramList> ParseProgramsJson(const std::string& path, std::string_view text) {
  absl::StatusOr<json::value> root = ParseJsonText(path, text);
  if (!root.ok()) return root.status();
  const json::object* object = root->if_object();
  const json::value* programs = object != nullptr ? object->if_contains("programs") : nullptr;
  if (programs == nullptr || !programs->is_array() || object->size() != 1) {
    return absl::InvalidArgumentError(path + ": wanted {\"programs\": [...]} and nothing else");
  }
  ProgramList list;
  bool essential_seen = false;
  for (size_t i = 0; i < programs->as_array().size(); ++i) {
    const std::string where = path + ": programs[" + std::to_string(i) + "]";
    absl::StatusOr<Program> program = ParseProgram(programs->as_array()[i], where);
    if (!program.ok()) return program.status();
    if (program->essential && std::exchange(essential_seen, true)) {
      return absl::InvalidArgumentError(where + ".essential: only one program can be essential");
    }
    list.programs.push_back(*std::move(program));
  }
  return list;
}

}  // namespace ringway::sidecar

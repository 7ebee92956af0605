// Supervisor's configuration as the list of programs. http://supervisord.org/configuration.html#program-x-section-values
#include <glob.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "sidecar/duration.h"
#include "sidecar/json_file.h"
#include "sidecar/supervise/command_line.h"
#include "sidecar/supervise/ini_file.h"
#include "sidecar/supervise/program_list.h"
#include "sidecar/supervise/signal_names.h"

namespace ringway::sidecar {
namespace {

absl::StatusOr<int> ParseNumber(const std::string& text) {
  char* end = nullptr;
  const long number = std::strtol(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0' || number < -1000000 || number > 1000000) {
    return absl::InvalidArgumentError("wanted a number, got \"" + text + "\"");
  }
  return static_cast<int>(number);
}

absl::StatusOr<bool> ParseSwitch(const std::string& text) {
  for (const std::string_view yes : {"true", "True", "TRUE", "yes", "on", "1"}) {
    if (text == yes) return true;
  }
  for (const std::string_view no : {"false", "False", "FALSE", "no", "off", "0"}) {
    if (text == no) return false;
  }
  return absl::InvalidArgumentError("wanted true or false, got \"" + text + "\"");
}

Output ParseOutput(const std::string& text, Output::To own) {
  if (text == "NONE" || text == "none" || text == "/dev/null") return {Output::To::kNull, {}};
  if (text == "AUTO" || text == "auto" || text == "syslog") return {own, {}};
  if (text == "/dev/stdout" || text == "/dev/fd/1" || text == "/proc/self/fd/1") return {Output::To::kStdout, {}};
  if (text == "/dev/stderr" || text == "/dev/fd/2" || text == "/proc/self/fd/2") return {Output::To::kStderr, {}};
  return {Output::To::kFile, text};
}

// environment=KEY="val",KEY2=val2
absl::Status ParseEnvironment(const std::string& text, std::map<std::string, std::string>& environment) {
  std::string spaced;
  char quote = 0;
  for (const char c : text) {
    if (quote == 0 && (c == '"' || c == '\'')) quote = c;
    else if (c == quote) quote = 0;
    spaced += quote == 0 && c == ',' ? ' ' : c;
  }
  absl::StatusOr<std::vector<std::string>> words = SplitWords(spaced);
  if (!words.ok()) return words.status();
  for (const std::string& word : *words) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos) return absl::InvalidArgumentError("wanted KEY=value, got \"" + word + "\"");
    environment[word.substr(0, equals)] = word.substr(equals + 1);
  }
  return absl::OkStatus();
}

absl::Status ParseExitCodes(const std::string& text, std::vector<int>& codes) {
  codes.clear();
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    std::string item = text.substr(at, end - at);
    item.erase(std::remove(item.begin(), item.end(), ' '), item.end());
    at = end + 1;
    if (item.empty()) continue;
    absl::StatusOr<int> code = ParseNumber(item);
    if (!code.ok()) return code.status();
    codes.push_back(*code);
  }
  return absl::OkStatus();
}

absl::Status SetRestart(const std::string& text, Restart& restart) {
  if (text == "unexpected") {
    restart = Restart::kOnFailure;
    return absl::OkStatus();
  }
  absl::StatusOr<bool> on = ParseSwitch(text);
  if (!on.ok()) return absl::InvalidArgumentError("wanted true, false or unexpected, got \"" + text + "\"");
  restart = *on ? Restart::kAlways : Restart::kNever;
  return absl::OkStatus();
}

absl::Status SetCommand(const std::string& text, Program& program) {
  absl::StatusOr<std::vector<std::string>> words = SplitWords(text);
  if (!words.ok()) return words.status();
  program.argv = *words;
  return absl::OkStatus();
}

absl::Status SetNumber(const std::string& text, int& number) {
  absl::StatusOr<int> value = ParseNumber(text);
  if (value.ok()) number = *value;
  return value.status();
}

absl::Status SetSeconds(const std::string& text, std::chrono::milliseconds& duration) {
  absl::StatusOr<int> seconds = ParseNumber(text);
  if (seconds.ok() && *seconds < 0) return absl::InvalidArgumentError("wanted seconds, got \"" + text + "\"");
  if (seconds.ok()) duration = std::chrono::seconds(*seconds);
  return seconds.status();
}

absl::Status SetSwitch(const std::string& text, bool& value) {
  absl::StatusOr<bool> on = ParseSwitch(text);
  if (on.ok()) value = *on;
  return on.status();
}

// Sets what `key` says. Unimplemented for a key that is not honoured.
absl::Status Apply(const IniKey& key, const std::string& value, Program& program, bool& redirect_stderr) {
  const std::string& name = key.name;
  if (name == "command") return SetCommand(value, program);
  if (name == "autostart") return SetSwitch(value, program.autostart);
  if (name == "autorestart") return SetRestart(value, program.rules.restart);
  if (name == "exitcodes") return ParseExitCodes(value, program.rules.expected_exit_codes);
  if (name == "startretries") return SetNumber(value, program.rules.start_retries_max);
  if (name == "startsecs") return SetSeconds(value, program.rules.start_time);
  if (name == "stopwaitsecs") return SetSeconds(value, program.stop_timeout);
  if (name == "priority") return SetNumber(value, program.priority);
  if (name == "environment") return ParseEnvironment(value, program.environment);
  if (name == "redirect_stderr") return SetSwitch(value, redirect_stderr);
  if (name == "directory") program.directory = value;
  else if (name == "user") program.user = value;
  else if (name == "stdout_logfile") program.standard_output = ParseOutput(value, Output::To::kStdout);
  else if (name == "stderr_logfile") program.standard_error = ParseOutput(value, Output::To::kStderr);
  else if (name == "stopsignal") {
    program.stop_signal = SignalFromName(value);
    if (program.stop_signal == 0) return absl::InvalidArgumentError("wanted a signal such as TERM, got \"" + value + "\"");
  } else {
    return absl::UnimplementedError("");
  }
  return absl::OkStatus();
}

// Rotation switched off is what the sidecar does anyway; one process is the only number it knows.
bool SaysNothingNew(const IniKey& key) {
  if (key.name == "stdout_logfile_maxbytes" || key.name == "stderr_logfile_maxbytes") return key.value == "0";
  if (key.name == "stdout_logfile_backups" || key.name == "stderr_logfile_backups") return key.value == "0";
  return key.name == "numprocs" && key.value == "1";
}

Lookup LookupFor(const std::string& path, const std::string& program) {
  return [path, program](std::string_view name) -> std::optional<std::string> {
    if (name.substr(0, 4) == "ENV_") {
      const char* value = std::getenv(std::string(name.substr(4)).c_str());
      if (value == nullptr) return std::nullopt;
      return std::string(value);
    }
    if (name == "program_name" || name == "group_name") return program;
    if (name == "process_num" || name == "numprocs") return name == "numprocs" ? "1" : "0";
    if (name == "here") return path.find('/') == std::string::npos ? "." : path.substr(0, path.find_last_of('/'));
    if (name != "host_node_name") return std::nullopt;
    char host[256] = {};
    gethostname(host, sizeof(host) - 1);
    return std::string(host);
  };
}

std::string At(const std::string& path, int line) { return path + ":" + std::to_string(line) + ": "; }

absl::Status AddProgram(const std::string& path, const IniSection& section, ProgramList& list) {
  Program program;
  program.name = section.name.substr(section.name.find(':') + 1);
  bool redirect_stderr = false;
  const Lookup lookup = LookupFor(path, program.name);
  for (const IniKey& key : section.keys) {
    if (SaysNothingNew(key)) continue;
    absl::StatusOr<std::string> value = Expand(key.value, lookup);
    const absl::Status applied = value.ok() ? Apply(key, *value, program, redirect_stderr) : value.status();
    if (absl::IsUnimplemented(applied)) {
      list.warnings.push_back(At(path, key.line) + "[" + section.name + "] " + key.name + " is not honoured");
    } else if (!applied.ok()) {
      return absl::InvalidArgumentError(At(path, key.line) + key.name + ": " + std::string(applied.message()));
    }
  }
  if (program.argv.empty()) {
    return absl::InvalidArgumentError(At(path, section.line) + "[" + section.name + "] has no command");
  }
  if (redirect_stderr) program.standard_error = program.standard_output;
  if (TakeConsulAgent(program.argv, list)) {
    list.notices.push_back(At(path, section.line) + "[" + section.name +
                           "] runs a Consul agent: left out, the sidecar registers and checks itself");
    return absl::OkStatus();
  }
  list.programs.push_back(std::move(program));
  return absl::OkStatus();
}

absl::Status AddIncluded(const std::string& path, const IniSection& section, ProgramList& list);

absl::Status AddSections(const std::string& path, std::string_view text, bool may_include, ProgramList& list) {
  absl::StatusOr<std::vector<IniSection>> sections = ParseIni(path, text);
  if (!sections.ok()) return sections.status();
  for (const IniSection& section : *sections) {
    absl::Status added = absl::OkStatus();
    if (section.name.rfind("program:", 0) == 0) {
      added = AddProgram(path, section, list);
    } else if (section.name == "include" && may_include) {
      added = AddIncluded(path, section, list);
    } else if (section.name == "supervisord") {
      for (const IniKey& key : section.keys) {
        if (key.name == "nodaemon") continue;
        list.warnings.push_back(At(path, key.line) + "[supervisord] " + key.name + " is not honoured");
      }
    } else {
      list.warnings.push_back(At(path, section.line) + "[" + section.name + "] is not honoured");
    }
    if (!added.ok()) return added;
  }
  return absl::OkStatus();
}

absl::Status AddIncluded(const std::string& path, const IniSection& section, ProgramList& list) {
  const std::string here = path.find('/') == std::string::npos ? "." : path.substr(0, path.find_last_of('/'));
  for (const IniKey& key : section.keys) {
    if (key.name != "files") continue;
    absl::StatusOr<std::string> value = Expand(key.value, LookupFor(path, ""));
    if (!value.ok()) return value.status();
    absl::StatusOr<std::vector<std::string>> patterns = SplitWords(*value);
    if (!patterns.ok()) return patterns.status();
    for (const std::string& pattern : *patterns) {
      glob_t found{};
      glob((pattern.front() == '/' ? pattern : here + "/" + pattern).c_str(), 0, nullptr, &found);
      std::vector<std::string> files(found.gl_pathv, found.gl_pathv + found.gl_pathc);
      globfree(&found);
      for (const std::string& file : files) {
        absl::StatusOr<std::string> text = ReadFile(file);
        if (!text.ok()) return text.status();
        const absl::Status added = AddSections(file, *text, false, list);
        if (!added.ok()) return added;
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ProgramList> ReadSupervisordConf(const std::string& path) {
  absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) return text.status();
  return ParseSupervisordConf(path, *text);
}

absl::StatusOr<ProgramList> ParseSupervisordConf(const std::string& path, std::string_view text) {
  ProgramList list;
  const absl::Status added = AddSections(path, text, true, list);
  if (!added.ok()) return added;
  return list;
}

void ChooseEssential(std::vector<Program>& programs) {
  Program* first = nullptr;
  for (Program& program : programs) {
    if (program.essential) return;
    if (!program.autostart) continue;
    if (first == nullptr || program.priority < first->priority) first = &program;
  }
  if (first != nullptr) first->essential = true;
}

}  // namespace ringway::sidecar

// Reads everything before anything is started: a wrong file is refused whole.
#include "sidecar/plan.h"

#include <algorithm>
#include <string_view>

#include "sidecar/supervise/program_list.h"

namespace ringway::sidecar {
namespace {

// The program behind "--": its end is the sidecar's end, as with any entry point.
Program CommandOf(const Options& options) {
  Program program;
  const std::string& path = options.command.front();
  program.name = path.substr(path.find_last_of('/') + 1);
  program.argv = options.command;
  program.essential = true;
  program.keeps_stdin = true;
  program.rules.restart = options.restart.value_or(Restart::kNever);
  if (program.rules.restart == Restart::kNever) {
    program.rules.start_time = std::chrono::milliseconds(0);
    program.rules.start_retries_max = 0;
  }
  return program;
}

void Append(ProgramList&& list, Plan& plan, Options& options) {
  const bool has_command = !options.command.empty();
  for (Program& program : list.programs) {
    if (has_command) program.essential = false;
    plan.programs.push_back(std::move(program));
  }
  plan.warnings.insert(plan.warnings.end(), list.warnings.begin(), list.warnings.end());
  plan.notices.insert(plan.notices.end(), list.notices.begin(), list.notices.end());
  const auto add_new = [](const std::vector<std::string>& from, std::vector<std::string>& to) {
    for (const std::string& path : from) {
      if (std::find(to.begin(), to.end(), path) == to.end()) to.push_back(path);
    }
  };
  add_new(list.consul_config_dirs, options.config_dirs);
  add_new(list.consul_config_files, options.config_files);
}

absl::Status ReadPrograms(Options& options, Plan& plan) {
  if (!options.command.empty()) {
    ProgramList agent;
    if (TakeConsulAgent(options.command, agent)) {
      return absl::InvalidArgumentError("the command behind -- is a Consul agent: the sidecar does its work, "
                                        "name the program to supervise instead");
    }
    plan.programs.push_back(CommandOf(options));
  }
  if (!options.supervisord_conf.empty()) {
    absl::StatusOr<ProgramList> list = ReadSupervisordConf(options.supervisord_conf);
    if (!list.ok()) return list.status();
    Append(*std::move(list), plan, options);
  }
  if (!options.programs_json.empty()) {
    absl::StatusOr<ProgramList> list = ReadProgramsJson(options.programs_json);
    if (!list.ok()) return list.status();
    Append(*std::move(list), plan, options);
  }
  ChooseEssential(plan.programs);
  for (Program& program : plan.programs) {
    if (options.stop_signal != 0) program.stop_signal = options.stop_signal;
    if (options.stop_timeout) program.stop_timeout = *options.stop_timeout;
  }
  const bool runs_one = std::any_of(plan.programs.begin(), plan.programs.end(),
                                    [](const Program& program) { return program.essential; });
  if (runs_one) return absl::OkStatus();
  return absl::InvalidArgumentError("nothing to run: wanted a command behind --, --supervisord or --programs");
}

// Without a check in the definition, a connection to the port says that the service is there.
void AddDefaultCheck(ServiceDefinition& service) {
  if (!service.checks.empty() || service.port == 0) return;
  CheckDefinition check;
  check.kind = CheckDefinition::Kind::kTcp;
  check.target = (service.address.empty() ? "127.0.0.1" : service.address) + ":" + std::to_string(service.port);
  service.checks.push_back(std::move(check));
}

void NameChecks(ServiceDefinition& service) {
  for (size_t i = 0; i < service.checks.size(); ++i) {
    CheckDefinition& check = service.checks[i];
    if (!check.name.empty()) continue;
    check.name = "Service '" + service.name + "' check";
    if (service.checks.size() > 1) check.name += " " + std::to_string(i + 1);
  }
}

}  // namespace

absl::StatusOr<Plan> ReadPlan(const Options& given) {
  Options options = given;
  Plan plan;
  if (const absl::Status read = ReadPrograms(options, plan); !read.ok()) return read;
  absl::StatusOr<Definitions> definitions = ReadDefinitions(options.config_dirs, options.config_files);
  if (!definitions.ok()) return definitions.status();
  plan.definitions = *std::move(definitions);
  if (!options.service_name.empty()) {
    ServiceDefinition service;
    service.name = options.service_name;
    service.port = options.service_port;
    service.tags = options.service_tags;
    plan.definitions.services.push_back(std::move(service));
  }
  for (ServiceDefinition& service : plan.definitions.services) {
    AddDefaultCheck(service);
    NameChecks(service);
  }
  const auto& warnings = plan.definitions.warnings;
  plan.warnings.insert(plan.warnings.end(), warnings.begin(), warnings.end());
  return plan;
}

}  // namespace ringway::sidecar

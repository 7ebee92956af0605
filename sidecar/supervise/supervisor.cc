// Order and consequences; the life of each program is in managed_program.cc.
#include "sidecar/supervise/supervisor.h"

#include <algorithm>
#include <limits>

#include "common/log/log.h"

namespace ringway::sidecar {
namespace {

// By priority; equal ones as they were. (Not std::stable_sort: libstdc++ 12's uses what it deprecates, and clang says so.)
std::vector<Program> InStartOrder(std::vector<Program> programs) {
  std::vector<Program> ordered;
  for (Program& program : programs) {
    const auto behind = std::upper_bound(ordered.begin(), ordered.end(), program.priority,
                                         [](int priority, const Program& other) { return priority < other.priority; });
    ordered.insert(behind, std::move(program));
  }
  return ordered;
}

}  // namespace

Supervisor::Supervisor(boost::asio::io_context& io, Reaper& reaper, std::vector<Program> programs,
                       std::vector<std::pair<std::string, std::string>> environment, Events events)
    : events_(std::move(events)) {
  for (Program& program : InStartOrder(std::move(programs))) {
    auto managed = std::make_unique<ManagedProgram>(io, reaper, std::move(program), environment);
    ManagedProgram& it = *managed;
    const std::string name = it.program().name;
    it.events.on_started = [this, &it, name] {
      if (it.program().essential) events_.on_essential(true, "program " + name + " started");
    };
    it.events.on_ended = [this, &it](int wait_status) { OnEnded(it, wait_status); };
    it.events.on_final = [this, &it](int exit_code) {
      if (it.program().essential) OnGivenUp(it, exit_code);
    };
    it.events.on_given_up = [this, &it](int exit_code) { OnGivenUp(it, exit_code == 0 ? 1 : exit_code); };
    it.events.on_stopped = [this] { StopNextGroup(); };
    programs_.push_back(std::move(managed));
  }
}

void Supervisor::Start() {
  for (const auto& program : programs_) {
    if (finished_ || stopping_) return;
    if (program->program().autostart) program->Start();
  }
}

void Supervisor::OnEnded(ManagedProgram& program, int wait_status) {
  if (!program.program().essential) return;
  events_.on_essential(false, "program " + program.program().name + " " + DescribeEnd(wait_status));
}

// For an essential program this is also the good end.
void Supervisor::OnGivenUp(ManagedProgram& program, int exit_code) {
  if (finished_ || stopping_) return;
  finished_ = true;
  spdlog::info("program {} decides: the sidecar ends with status {}", program.program().name, exit_code);
  events_.on_finished(exit_code);
}

void Supervisor::Stop(std::function<void()> stopped) {
  stopping_ = true;
  stopped_ = std::move(stopped);
  StopNextGroup();
}

// All programs of the highest priority number at once; the next ones when those are gone.
void Supervisor::StopNextGroup() {
  int highest = std::numeric_limits<int>::min();
  bool any = false;
  for (const auto& program : programs_) {
    if (program->stopped()) continue;
    any = true;
    highest = std::max(highest, program->program().priority);
  }
  if (!any) {
    if (stopped_) std::exchange(stopped_, nullptr)();
    return;
  }
  for (const auto& program : programs_) {
    if (program->program().priority == highest && !program->stopping()) program->Stop();
  }
}

void Supervisor::Forward(int signal) {
  for (const auto& program : programs_) program->Forward(signal);
}

int Supervisor::ExitCodeAfterStop() const {
  for (const auto& program : programs_) {
    if (program->program().essential) return program->ExitCodeAfterStop();
  }
  return 0;
}

}  // namespace ringway::sidecar

// HAProxy's CSV; see render.h. A row is a set of named cells, so that no column is written by position.
#include <algorithm>
#include <array>
#include <map>

#include "absl/strings/str_cat.h"
#include "dataplane/stats/render.h"

namespace ringway::dp {
namespace {

// HAProxy 2.6, `show stat`.
constexpr std::string_view kHeader =
    "# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight,act,bck,"
    "chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,rate,rate_lim,rate_max,check_status,"
    "check_code,check_duration,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,hanafail,req_rate,req_rate_max,"
    "req_tot,cli_abrt,srv_abrt,comp_in,comp_out,comp_byp,comp_rsp,lastsess,last_chk,last_agt,qtime,ctime,rtime,ttime,"
    "agent_status,agent_code,agent_duration,check_desc,agent_desc,check_rise,check_fall,check_health,agent_rise,agent_fall,"
    "agent_health,addr,cookie,mode,algo,conn_rate,conn_rate_max,conn_tot,intercepted,dcon,dses,wrew,connect,reuse,"
    "cache_lookups,cache_hits,srv_icur,src_ilim,qtime_max,ctime_max,rtime_max,ttime_max,eint,idle_conn_cur,safe_conn_cur,"
    "used_conn_cur,need_conn_est,uweight,agg_server_status,agg_server_check_status,agg_check_status,";

constexpr int kTypeFrontend = 0, kTypeBackend = 1, kTypeServer = 2;

std::vector<std::string> Columns() {
  std::vector<std::string> columns;
  std::string_view rest = kHeader.substr(2);
  for (size_t comma = rest.find(','); comma != rest.npos; comma = rest.find(',')) {
    columns.emplace_back(rest.substr(0, comma));
    rest = rest.substr(comma + 1);
  }
  return columns;
}

std::string Quoted(const std::string& cell) {
  if (cell.find_first_of(",\"\r\n") == cell.npos) return cell;
  std::string quoted = "\"";
  for (const char c : cell) {
    if (c == '"') quoted.push_back('"');
    quoted.push_back(c);
  }
  return quoted + "\"";
}

using Row = std::map<std::string, std::string>;

void Set(Row& row, const char* column, uint64_t value) { row[column] = absl::StrCat(value); }

void SetResponses(Row& row, const Responses& responses) {
  for (int c = 1; c <= 5; ++c) row[absl::StrCat("hrsp_", c, "xx")] = absl::StrCat(responses[static_cast<size_t>(c)]);
  row["hrsp_other"] = "0";
}

void Append(std::string& out, const Row& row) {
  static const std::vector<std::string> columns = Columns();
  for (const std::string& column : columns) {
    const auto cell = row.find(column);
    if (cell != row.end()) out += Quoted(cell->second);
    out += ',';
  }
  out += '\n';
}

uint64_t RefusalsOf(const ListenerStats& listener, Refusal refusal) {
  return listener.refused[static_cast<size_t>(refusal)];
}

Row Frontend(const ListenerStats& l, size_t id) {
  Row row{{"pxname", l.name}, {"svname", "FRONTEND"}, {"status", "OPEN"}, {"mode", l.protocol}, {"addr", l.bind}, {"sid", "0"}};
  Set(row, "type", kTypeFrontend);
  Set(row, "pid", 1);
  Set(row, "iid", id);
  Set(row, "scur", l.sessions_open);
  Set(row, "stot", l.sessions);
  Set(row, "bin", l.bytes_received);
  Set(row, "bout", l.bytes_sent);
  Set(row, "dreq", RefusalsOf(l, Refusal::kNoRoute));
  Set(row, "ereq", l.RefusedSum() - RefusalsOf(l, Refusal::kNoRoute));
  Set(row, "rate", l.session_rate);
  Set(row, "rate_max", l.session_rate_max);
  Set(row, "conn_rate", l.session_rate);
  Set(row, "conn_rate_max", l.session_rate_max);
  Set(row, "conn_tot", l.sessions);
  Set(row, "req_rate", l.rate);
  Set(row, "req_rate_max", l.rate_max);
  Set(row, "req_tot", l.requests);
  SetResponses(row, l.responses);
  return row;
}

std::string ServerStatus(const EndpointStats& e) {
  if (e.state == "ready") return "UP";
  if (e.state == "down" || e.state == "ejected") return "DOWN";
  return "DRAIN";
}

void SetUpstreamSide(Row& row, uint64_t connects, uint64_t connect_failures, uint64_t reuses, uint64_t moved) {
  Set(row, "connect", connects);
  Set(row, "econ", connect_failures);
  Set(row, "reuse", reuses);
  Set(row, "wredis", moved);
}

Row Server(const ServiceStats& s, const EndpointStats& e, size_t iid, size_t sid) {
  Row row{{"pxname", s.name}, {"svname", e.id}, {"status", ServerStatus(e)}, {"addr", e.address}, {"last_chk", e.reason}};
  Set(row, "type", kTypeServer);
  Set(row, "pid", 1);
  Set(row, "iid", iid);
  Set(row, "sid", sid);
  // Requests wait for a service, never for one endpoint.
  Set(row, "qcur", 0);
  Set(row, "qmax", 0);
  Set(row, "scur", e.in_flight + e.packet.flows);
  if (e.in_flight_max != 0) Set(row, "slim", e.in_flight_max);
  // HAProxy's "health analysis": judged by the traffic, as its `observe` does.
  if (e.ejected != 0) row["check_status"] = "HANA";
  Set(row, "hanafail", e.ejections);
  Set(row, "stot", e.exchanges + e.packet.flows_opened);
  Set(row, "lbtot", e.exchanges + e.packet.flows_opened);
  Set(row, "req_tot", e.exchanges);
  Set(row, "bin", e.bytes_sent + e.packet.bytes_to_endpoint);  // HAProxy counts from the client's side
  Set(row, "bout", e.bytes_received + e.packet.bytes_to_client);
  Set(row, "eresp", e.failures + e.response_timeouts);
  Set(row, "weight", e.weight);
  Set(row, "uweight", e.weight);
  Set(row, "act", e.state == "ready" ? 1 : 0);
  Set(row, "bck", 0);
  Set(row, "rate", e.rate);
  Set(row, "rate_max", e.rate_max);
  Set(row, "rtime", e.response_time_us_ewma / 1000);
  Set(row, "srv_icur", e.upstreams_idle);
  Set(row, "idle_conn_cur", e.upstreams_idle);
  Set(row, "used_conn_cur", e.upstreams_open - std::min(e.upstreams_open, e.upstreams_idle));
  SetUpstreamSide(row, e.connects, e.connect_failures, e.reuses, e.moved);
  SetResponses(row, e.responses);
  return row;
}

Row Backend(const ServiceStats& s, size_t iid) {
  const uint64_t ready = s.Ready();
  Row row{{"pxname", s.name}, {"svname", "BACKEND"}, {"status", ready > 0 ? "UP" : "DOWN"}, {"algo", s.balance}, {"sid", "0"}};
  Set(row, "type", kTypeBackend);
  Set(row, "pid", 1);
  Set(row, "iid", iid);
  Set(row, "qcur", s.waiting);
  Set(row, "qmax", s.waiting_max);
  Set(row, "scur", s.Sum(&EndpointStats::in_flight) + s.packet.flows);
  Set(row, "stot", s.requests + s.packet.flows_opened);
  Set(row, "lbtot", s.Sum(&EndpointStats::exchanges) + s.packet.flows_opened);
  Set(row, "req_tot", s.requests);
  Set(row, "bin", s.Sum(&EndpointStats::bytes_sent) + s.packet.bytes_to_endpoint);
  Set(row, "bout", s.Sum(&EndpointStats::bytes_received) + s.packet.bytes_to_client);
  Set(row, "dresp", 0);
  Set(row, "eresp", s.Sum(&EndpointStats::failures) + s.Sum(&EndpointStats::response_timeouts));
  Set(row, "wretr", s.retries);
  Set(row, "cli_abrt", s.client_aborts);
  Set(row, "srv_abrt", s.failed);
  uint64_t weight = 0;
  for (const EndpointStats& e : s.endpoints) weight += e.state == "ready" ? e.weight : 0;
  Set(row, "weight", weight);
  Set(row, "act", ready);
  Set(row, "bck", 0);
  Set(row, "rate", s.rate);
  Set(row, "rate_max", s.rate_max);
  Set(row, "rtime", static_cast<uint64_t>(s.LatencyMeanMs()));
  SetUpstreamSide(row, s.Sum(&EndpointStats::connects), s.Sum(&EndpointStats::connect_failures),
                  s.Sum(&EndpointStats::reuses), s.Sum(&EndpointStats::moved));
  SetResponses(row, s.responses);
  return row;
}

}  // namespace

std::string RenderCsv(const StatsModel& model) {
  std::string out(kHeader);
  out += '\n';
  size_t iid = 1;
  for (const ListenerStats& listener : model.listeners) Append(out, Frontend(listener, ++iid));
  for (const ServiceStats& service : model.services) {
    ++iid;
    size_t sid = 0;
    for (const EndpointStats& endpoint : service.endpoints) Append(out, Server(service, endpoint, iid, ++sid));
    Append(out, Backend(service, iid));
  }
  return out;
}

}  // namespace ringway::dp

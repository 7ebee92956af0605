// The stats page; see render.h. Numbers are rendered here once and refreshed by the script through their data-k paths.
#include <cinttypes>
#include <cmath>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "dataplane/stats/page_assets.h"
#include "dataplane/stats/render.h"

namespace ringway::dp {
namespace {

// The same forms as the script's `forms`.
std::string Grouped(uint64_t value) {
  const std::string digits = std::to_string(value);
  std::string text;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += "\u202f";
    text += digits[i];
  }
  return text;
}

std::string Bytes(uint64_t value) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double v = static_cast<double>(value);
  size_t unit = 0;
  while (v >= 1024 && unit < 5) v /= 1024, ++unit;
  char text[32];
  std::snprintf(text, sizeof(text), "%.*f %s", unit == 0 ? 0 : 1, v, kUnits[unit]);
  return text;
}

std::string Milliseconds(double ms) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.*f ms", ms < 10 ? 2 : ms < 100 ? 1 : 0, ms);
  return text;
}

std::string Duration(uint64_t ms) {
  const uint64_t s = ms / 1000, d = s / 86400, h = s / 3600 % 24, m = s / 60 % 60;
  if (d > 0) return absl::StrCat(d, " d ", h, " h");
  if (h > 0) return absl::StrCat(h, " h ", m, " min");
  if (m > 0) return absl::StrCat(m, " min ", s % 60, " s");
  return absl::StrCat(s % 60, " s");
}

// A value in an element of its own, with its place in /stats.json and its form.
std::string Live(const char* element, const std::string& key, char form, const std::string& text) {
  return absl::StrCat("<", element, " data-k=\"", HtmlEscaped(key), "\" data-f=\"", std::string(1, form), "\">",
                      HtmlEscaped(text), "</", element, ">");
}
std::string Number(const std::string& key, uint64_t v) { return Live("td", key, 'n', Grouped(v)); }
std::string Size(const std::string& key, uint64_t v) { return Live("td", key, 'b', Bytes(v)); }
std::string Time(const std::string& key, double ms) { return Live("td", key, 'm', Milliseconds(ms)); }
std::string Fact(const char* name, const std::string& value) {
  return absl::StrCat("<div><span>", name, "</span>", value, "</div>");
}
std::string Text(const std::string& text) { return "<b>" + HtmlEscaped(text) + "</b>"; }

std::string Badge(std::string_view kind, const std::string& text) {
  return absl::StrCat("<span class=\"state ", std::string(kind), "\">", HtmlEscaped(text), "</span>");
}

std::string_view StateKind(const std::string& state) {
  if (state == "ready") return "good";
  return state == "down" || state == "ejected" ? "bad" : "warn";
}

std::string Readiness(const StatsModel& m) {
  if (m.ready) return Badge("good", "ready");
  if (!m.leaving) return Badge("bad", m.not_ready_reason);
  return absl::StrCat("<span class=\"state warn\">finishing: ", Live("span", "sessions_open", 'n', Grouped(m.sessions_open)),
                      " sessions</span> <span class=\"dim\">a successor takes new ones</span>");
}

// In words and colour when something is wrong; one quiet line when not.
std::string CatalogLine(const StatsModel& m) {
  const CatalogStats& c = m.catalog;
  if (!m.feed.used) return "";
  if (!c.known) return "<p class=\"dim\">Catalog: nothing was said of it yet.</p>";
  const std::string age = Live("span", "catalog/age_ms", 'd', Duration(c.age_ms));
  if (c.up) {
    return absl::StrCat("<p>Catalog ", Badge("good", "answers"), " <span class=\"dim\">", HtmlEscaped(c.name),
                        " &middot; last known good ", age, " ago</span></p>");
  }
  return absl::StrCat("<p class=\"alarm\"><b>Catalog ", HtmlEscaped(c.name), ": ", HtmlEscaped(c.trouble),
                      "</b><br>Last known good ", age,
                      " ago. Requests are served with the endpoints that were known; changes since then are not seen.</p>");
}

std::string Header(const StatsModel& m) {
  return absl::StrCat(
      "<header><h1>Ringway</h1> <span class=\"dim\">", HtmlEscaped(m.version), " &middot; pid ", m.pid, "</span> ",
      Readiness(m), " <span class=\"dim\">up ", Live("span", "uptime_ms", 'd', Duration(m.uptime_ms)),
      " &middot; <a href=\"/haproxy_stats;csv\">CSV</a> &middot; <a href=\"/metrics\">Prometheus</a> &middot; "
      "<a href=\"/stats.json\">JSON</a></span>"
      "<p id=\"lost\" class=\"state bad\">No answer: these numbers are old.</p>",
      CatalogLine(m), "</header>");
}

std::string FeedSection(const FeedStats& f) {
  std::string out = "<section><h2>Feed</h2><div class=\"facts\">";
  if (f.used) {
    out += Fact("control plane", absl::StrCat(f.connected ? Badge("good", "connected") : Badge("warn", "not connected"), " ",
                                              Live("b", "feed/since_ms", 'd', Duration(f.since_ms))));
  } else {
    out += Fact("control plane", Text("none, run from a file"));
  }
  out += Fact("snapshot version", Live("b", "feed/version", 'n', Grouped(f.version)));
  out += Fact("came by", Text(f.source.empty() ? "nothing yet" : f.source));
  out += Fact("age", Live("b", "feed/age_ms", 'd', Duration(f.age_ms)));
  out += Fact("taken", Live("b", "feed/applied", 'n', Grouped(f.applied)));
  out += Fact("refused", Live("b", "feed/refused", 'n', Grouped(f.refused)));
  if (!f.refusal.empty()) out += Fact("last refusal", Text(f.refusal));
  return out + "</div></section>";
}

std::string AccessLogSection(const AccessLogStatus& log) {
  if (!log.used) return "";
  std::string out = "<section><h2>Access log</h2>";
  if (!log.trouble.empty()) {
    absl::StrAppend(&out, "<p class=\"alarm\"><b>", HtmlEscaped(log.path), ": ", HtmlEscaped(log.trouble),
                    "</b><br>Requests are served; lines that cannot be written are dropped.</p>");
  }
  out += "<div class=\"facts\">" + Fact("to", Text(log.path));
  out += Fact("lines written", Live("b", "access_log/written", 'n', Grouped(log.written)));
  out += Fact("bytes", Live("b", "access_log/written_bytes", 'b', Bytes(log.written_bytes)));
  out += Fact("dropped: too many", Live("b", "access_log/dropped_ring", 'n', Grouped(log.dropped_ring)));
  out += Fact("dropped: not writable", Live("b", "access_log/dropped_output", 'n', Grouped(log.dropped_output)));
  return out + "</div></section>";
}

// A leading dot marks a column of text.
std::string HeadRow(std::initializer_list<const char*> names) {
  std::string out = "<div class=\"scroll\"><table><thead><tr>";
  for (const char* name : names) {
    const bool text = *name == '.';
    absl::StrAppend(&out, text ? "<th class=\"text\">" : "<th>", name + (text ? 1 : 0), "</th>");
  }
  return out + "</tr></thead><tbody>";
}
constexpr const char* kTableEnd = "</tbody></table></div>";

std::string ClassCells(const std::string& key, const Responses& responses) {
  std::string out;
  for (size_t c = 2; c <= 5; ++c) out += Number(absl::StrCat(key, "/responses/", c, "xx"), responses[c]);
  return out;
}

std::string ListenerSection(const StatsModel& m) {
  std::string out = "<section><h2>Listeners</h2>";
  out += HeadRow({"name", ".address", "sessions now", "sessions", "requests", "req/s", "max", "in", "out", "2xx", "3xx", "4xx",
                  "5xx", "refused"});
  for (size_t i = 0; i < m.listeners.size(); ++i) {
    const ListenerStats& l = m.listeners[i];
    const std::string k = absl::StrCat("listeners/", i, "/");
    absl::StrAppend(&out, "<tr><td><b>", HtmlEscaped(l.name), "</b> <span class=\"dim\">", HtmlEscaped(l.protocol), l.delivery == "proxy" ? "" : ", " + HtmlEscaped(l.delivery),
                    "</span></td><td class=\"text\">", HtmlEscaped(l.bind), "</td>");
    out += Number(k + "sessions_open", l.sessions_open) + Number(k + "sessions", l.sessions) +
           Number(k + "requests", l.requests) + Number(k + "rate", l.rate) + Number(k + "rate_max", l.rate_max) +
           Size(k + "bytes_received", l.bytes_received) + Size(k + "bytes_sent", l.bytes_sent) +
           ClassCells(k.substr(0, k.size() - 1), l.responses) + Number(k + "refused_sum", l.RefusedSum()) + "</tr>";
  }
  if (m.listeners.empty()) out += "<tr><td>none</td></tr>";
  return out + kTableEnd + "</section>";
}

std::string StateCells(const EndpointStats& e, const std::string& k) {
  const bool in_part = e.ejected != 0 && e.state == "ready", doubtful = e.state == "ready" && !e.reason.empty();
  std::string out = absl::StrCat("<td class=\"text\">", Badge(doubtful ? "warn" : StateKind(e.state), in_part ? "ejected in part" : e.state),
                                 "</td><td class=\"reason\">", HtmlEscaped(e.reason));
  if (e.ejected != 0) out += "; back in " + Live("span", k + "ejected_ms", 'd', Duration(e.ejected_ms));
  return out + "</td>";
}

std::string EndpointRow(const EndpointStats& e, const std::string& k) {
  const std::string_view kind = e.ejected != 0 ? "out" : e.state == "ready" ? "" : e.state == "down" ? "out" : "fading";
  std::string out = absl::StrCat("<tr class=\"", std::string(kind), "\"><td title=\"generation ", e.generation, "\">",
                                 HtmlEscaped(e.id), "<div class=\"dim\">", HtmlEscaped(e.address), "</div></td>");
  out += StateCells(e, k);
  out += Number(k + "weight", e.weight) + Number(k + "in_flight", e.in_flight) + Number(k + "connect_open", e.connect_open) +
         Number(k + "exchanges", e.exchanges) + Number(k + "rate", e.rate) + Size(k + "bytes_sent", e.bytes_sent) + Size(k + "bytes_received", e.bytes_received) +
         ClassCells(k.substr(0, k.size() - 1), e.responses) + Number(k + "connect_failures", e.connect_failures) +
         Number(k + "failures", e.failures) + Number(k + "response_timeouts", e.response_timeouts) +
         Number(k + "moved", e.moved) + Number(k + "ejections", e.ejections) +
         Time(k + "response_time_ms", static_cast<double>(e.response_time_us_ewma) / 1000) +
         Time(k + "rtt_ms", static_cast<double>(e.rtt_us) / 1000) +
         Number(k + "upstreams_open", e.upstreams_open) + Number(k + "upstreams_idle", e.upstreams_idle);
  return out + "</tr>";
}

// Beside the service's requests, which the proxy counts.
std::string PacketFacts(const PacketTraffic& t, const std::string& k) {
  const auto number = [&](const char* name, const char* key, uint64_t v) { return Fact(name, Live("b", k + "packet/" + key, 'n', Grouped(v))); };
  const auto size = [&](const char* name, const char* key, uint64_t v) { return Fact(name, Live("b", k + "packet/" + key, 'b', Bytes(v))); };
  const auto time = [&](const char* name, const char* key, const PacketRoundTrip& v) {
    return Fact(name, Live("b", k + "packet/" + key, 'm', Milliseconds(static_cast<double>(v.us) / 1000)));
  };
  return "<div class=\"facts\">" + number("flows now", "flows", t.flows) + number("flows", "flows_opened", t.flows_opened) +
         number("flows reset", "flows_reset", t.flows_reset) + number("flows dropped", "flows_dropped", t.flows_dropped) +
         number("flows refused", "refused", t.refused) + number("packets in", "packets_to_endpoint", t.packets_to_endpoint) +
         size("bytes in", "bytes_to_endpoint", t.bytes_to_endpoint) + number("packets out", "packets_to_client", t.packets_to_client) +
         size("bytes out", "bytes_to_client", t.bytes_to_client) + number("SYN again", "syn_repeated", t.syn_repeated) +
         time("endpoint rtt", "endpoint_rtt_ms", t.endpoint_rtt) + time("client rtt", "client_rtt_ms", t.client_rtt) + "</div>";
}

std::string PacketEndpoints(const ServiceStats& s, const std::string& key) {
  std::string out = HeadRow({"by packet", "flows now", "flows", "reset", "dropped", "refused", "packets in", "bytes in", "packets out", "bytes out", "SYN again", "rtt", "client rtt"});
  for (size_t i = 0; i < s.endpoints.size(); ++i) {
    const PacketTraffic& t = s.endpoints[i].packet;
    const std::string& trouble = s.endpoints[i].packet_trouble;
    const std::string k = absl::StrCat(key, "endpoints/", i, "/packet/");
    absl::StrAppend(&out, "<tr><td>", HtmlEscaped(s.endpoints[i].id), trouble.empty() ? "" : " " + Badge("bad", trouble), "</td>");
    out += Number(k + "flows", t.flows) + Number(k + "flows_opened", t.flows_opened) + Number(k + "flows_reset", t.flows_reset) +
           Number(k + "flows_dropped", t.flows_dropped) + Number(k + "refused", t.refused) + Number(k + "packets_to_endpoint", t.packets_to_endpoint) +
           Size(k + "bytes_to_endpoint", t.bytes_to_endpoint) + Number(k + "packets_to_client", t.packets_to_client) +
           Size(k + "bytes_to_client", t.bytes_to_client) + Number(k + "syn_repeated", t.syn_repeated) +
           Time(k + "endpoint_rtt_ms", static_cast<double>(t.endpoint_rtt.us) / 1000) +
           Time(k + "client_rtt_ms", static_cast<double>(t.client_rtt.us) / 1000) + "</tr>";
  }
  return out + kTableEnd;
}

std::string ServiceSection(const ServiceStats& s, size_t index) {
  const std::string k = absl::StrCat("services/", index, "/");
  const uint64_t ready = s.Ready(), doubtful = s.Doubtful();
  std::string out = absl::StrCat("<section><h2>", HtmlEscaped(s.name), " ",
                                 Badge(ready == 0 ? "bad" : ready < s.endpoints.size() || doubtful > 0 ? "warn" : "good",
                                       absl::StrCat(ready, " of ", s.endpoints.size(), " ready", doubtful > 0 ? absl::StrCat(", ", doubtful, " in doubt") : "")),
                                 " <small>", HtmlEscaped(s.balance), "</small></h2><div class=\"facts\">");
  const auto number = [&](const char* name, const char* key, uint64_t v) {
    return Fact(name, Live("b", k + key, 'n', Grouped(v)));
  };
  const auto time = [&](const char* name, const char* key, double ms) {
    return Fact(name, Live("b", k + key, 'm', Milliseconds(ms)));
  };
  out += number("requests", "requests", s.requests) + number("req/s", "rate", s.rate) + number("max req/s", "rate_max", s.rate_max) +
         number("in flight", "in_flight", s.Sum(&EndpointStats::in_flight)) + time("mean", "latency_mean_ms", s.LatencyMeanMs()) +
         time("p50", "latency_p50_ms", s.LatencyQuantileMs(0.5)) + time("p99", "latency_p99_ms", s.LatencyQuantileMs(0.99)) +
         number("5xx", "responses/5xx", s.responses[5]) + number("failed", "failed", s.failed) +
         number("client aborts", "client_aborts", s.client_aborts) + "</div><div class=\"facts\">" +
         number("waiting", "waiting", s.waiting) + number("max waiting", "waiting_max", s.waiting_max) +
         number("had to wait", "waited", s.waited) + number("waited in vain", "wait_timeouts", s.wait_timeouts) +
         number("queue full", "wait_full", s.wait_full) + number("no endpoint", "no_endpoint", s.no_endpoint) +
         number("retries", "retries", s.retries) + number("retries over budget", "retries_denied", s.retries_denied) +
         number("ejections", "ejections", s.Sum(&EndpointStats::ejections)) +
         number("ejections over the cap", "ejections_denied", s.ejections_denied) + "</div>";
  if (s.by_packet) out += PacketFacts(s.packet, k);
  if (s.endpoints.empty()) return out + "<p class=\"dim\">no endpoints: nobody can be served</p></section>";
  out += HeadRow({"endpoint", ".state", ".reason", "weight", "in flight", "by connect", "exchanges", "req/s", "sent", "received", "2xx", "3xx",
                  "4xx", "5xx", "connect failed", "failed", "timed out", "moved on", "ejections", "response", "round trip", "conns", "idle"});
  for (size_t i = 0; i < s.endpoints.size(); ++i) {
    out += EndpointRow(s.endpoints[i], absl::StrCat(k, "endpoints/", i, "/"));
  }
  out += kTableEnd;
  if (s.by_packet) out += PacketEndpoints(s, k);
  return out + "</section>";
}

std::string ReasonTable(const PacketStats& p) {
  std::string out = HeadRow({"packets", ".what became of them", "packets", "bytes"});
  for (const PacketReason& reason : p.reasons) {
    if (reason.packets == 0) continue;
    const std::string k = absl::StrCat("packet/reasons/", reason.name, "/");
    absl::StrAppend(&out, "<tr><td>", HtmlEscaped(reason.name), "</td><td class=\"text\">", HtmlEscaped(reason.text), reason.event ? " (counted besides)" : "", "</td>",
                    Number(k + "packets", reason.packets), Size(k + "bytes", reason.bytes), "</tr>");
  }
  return out + kTableEnd;
}

// The kernel's part: whether it delivers, by which interfaces, how full its tables are, what became of the packets.
std::string PacketSection(const StatsModel& m) {
  const PacketStats& p = m.packet;
  if (!p.wanted) return "";
  std::string out = absl::StrCat("<section><h2>packet delivery ", p.active ? Badge(p.trouble.empty() ? "good" : "warn", "in the kernel") : Badge("bad", "not possible"), "</h2>");
  if (!p.trouble.empty()) absl::StrAppend(&out, "<p class=\"alarm\"><b>", HtmlEscaped(p.trouble), "</b></p>");
  if (!p.active) return out + "</section>";
  out += "<div class=\"facts\">";
  for (const PacketInterfaceStats& i : p.interfaces) {
    out += Fact(HtmlEscaped(i.name).c_str(), i.how.empty() ? Badge("bad", i.trouble) : absl::StrCat(Text(i.how), i.trouble.empty() ? "" : " " + Badge("warn", i.trouble)));
  }
  const auto number = [&](const char* name, const char* key, uint64_t v) { return Fact(name, Live("b", std::string("packet/") + key, 'n', Grouped(v))); };
  out += number("flow entries", "flow_entries", p.flow_entries) + number("of", "flow_entries_max", p.flow_entries_max) +
         number("half open", "half_open_entries", p.half_open_entries) + number("of", "half_open_entries_max", p.half_open_entries_max) +
         number("ended by time-out", "swept", p.swept) + "</div>";
  return out + ReasonTable(p) + "</section>";
}

std::string ProgramSection(const StatsModel& m) {
  std::string out = "<section><h2>Kernel programs</h2>";
  out += HeadRow({"program", ".state", ".what"});
  for (const ProgramStats& p : m.programs) {
    absl::StrAppend(&out, "<tr><td>", HtmlEscaped(p.program), "</td><td class=\"text\">", Badge(p.state == "on" ? "good" : p.state == "off" ? "dim" : "warn", p.state),
                    "</td><td class=\"text\">", HtmlEscaped(p.detail), "</td></tr>");
  }
  return out + kTableEnd + "</section>";
}

std::string WorkerSection(const StatsModel& m) {
  std::string out = "<section><h2>Workers</h2>";
  out += HeadRow({"worker", "CPU", ".pages", "sessions", "exchanges", "upstreams", "small buffers", "large buffers", "turns", "completions",
                  ".bulk", "pipes", "copied", "spliced", "accept errors", "unexpected"});
  for (size_t i = 0; i < m.workers.size(); ++i) {
    const WorkerStats& w = m.workers[i];
    const std::string k = absl::StrCat("workers/", i, "/");
    out += absl::StrCat("<tr><td>", i, "</td><td>", w.cpu < 0 ? "any" : std::to_string(w.cpu), "</td><td class=\"text\">", HtmlEscaped(w.pages),
                        "</td>") + Number(k + "sessions_open", w.sessions_open) +
           Number(k + "exchanges_open", w.exchanges_open) + Number(k + "upstreams_open", w.upstreams_open) +
           Number(k + "buffers_small_used", w.buffers_small_used) + Number(k + "buffers_large_used", w.buffers_large_used) +
           Number(k + "turns", w.turns) + Number(k + "completions", w.completions) +
           absl::StrCat("<td class=\"text\">", w.splice_refused ? Badge("warn", w.bulk) : HtmlEscaped(w.bulk), "</td>") +
           Number(k + "pipes_used", w.pipes_used) +
           Size(k + "bytes_copied", w.bytes_copied) + Size(k + "bytes_spliced", w.bytes_spliced) +
           Number(k + "accept_errors", w.accept_errors) + Number(k + "unexpected", w.unexpected) + "</tr>";
  }
  out += kTableEnd;
  const auto sums = [&](const char* title, const char* group, const auto& names, auto member) {
    absl::StrAppend(&out, "<h2><small>", title, "</small></h2>", HeadRow({"worker"}));
    out.resize(out.size() - std::string_view("</tr></thead><tbody>").size());
    for (const char* name : names) absl::StrAppend(&out, "<th>", name, "</th>");
    out += "</tr></thead><tbody>";
    for (size_t i = 0; i < m.workers.size(); ++i) {
      absl::StrAppend(&out, "<tr><td>", i, "</td>");
      for (size_t j = 0; j < names.size(); ++j) {
        out += Number(absl::StrCat("workers/", i, "/", group, "/", names[j]), (m.workers[i].*member)[j]);
      }
      out += "</tr>";
    }
    out += kTableEnd;
  };
  sums("limits reached", "limits", kLimitNames, &WorkerStats::limits);
  sums("time-outs", "timeouts", kTimeoutNames, &WorkerStats::timeouts);
  return out + "</section>";
}

}  // namespace

std::string HtmlEscaped(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&': escaped += "&amp;"; break;
      case '<': escaped += "&lt;"; break;
      case '>': escaped += "&gt;"; break;
      case '"': escaped += "&quot;"; break;
      case '\'': escaped += "&#39;"; break;
      default: escaped += c;
    }
  }
  return escaped;
}

// A hash (FNV-1a) of every text on the page that is not a number.
std::string LayoutOf(const StatsModel& m) {
  uint64_t hash = 14695981039346656037u;
  const auto add = [&](std::string_view text) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
    hash = (hash ^ 0xff) * 1099511628211u;
  };
  add(m.leaving ? "leaving" : m.not_ready_reason);
  add(m.feed.connected ? "connected" : "");
  add(m.feed.source);
  add(m.feed.refusal);
  add(m.catalog.known ? m.catalog.up ? "up" : "not up" : "");
  add(m.catalog.name), add(m.catalog.trouble);
  add(m.access_log.used ? m.access_log.path : ""), add(m.access_log.trouble);
  add(absl::StrCat(m.workers.size(), " ", m.pid));
  for (const ListenerStats& l : m.listeners) add(l.name), add(l.bind), add(l.protocol), add(l.delivery);
  add(absl::StrCat(m.packet.wanted ? 1 : 0, m.packet.active ? 1 : 0, m.packet.trouble));
  for (const PacketInterfaceStats& i : m.packet.interfaces) add(i.name), add(i.how), add(i.trouble);
  for (const PacketReason& r : m.packet.reasons) add(r.packets == 0 ? "" : r.name);
  for (const ProgramStats& p : m.programs) add(p.program), add(p.state), add(p.detail);
  for (const ServiceStats& s : m.services) {
    add(s.by_packet ? "packet" : "");
    add(s.name), add(s.balance);
    for (const EndpointStats& e : s.endpoints) {
      add(e.id), add(e.address), add(e.state), add(e.reason), add(e.packet_trouble);
      add(absl::StrCat(e.generation, " ", e.ejected));
    }
    add("end");
  }
  char text[17];
  std::snprintf(text, sizeof(text), "%016" PRIx64, hash);
  return text;
}

std::string RenderPage(const StatsModel& m) {
  std::string out = absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Ringway stats</title>"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><style>",
      std::string(kPageStyle), "</style></head><body>", Header(m), "<main data-layout=\"", LayoutOf(m), "\">");
  const bool trouble = m.access_log.used && !m.access_log.trouble.empty();
  if (trouble) out += AccessLogSection(m.access_log);
  for (size_t i = 0; i < m.services.size(); ++i) out += ServiceSection(m.services[i], i);
  if (!trouble) out += AccessLogSection(m.access_log);
  out += PacketSection(m) + ListenerSection(m) + FeedSection(m.feed) + WorkerSection(m) + (m.programs.empty() ? "" : ProgramSection(m));
  absl::StrAppend(&out, "</main><script>", std::string(kPageScript), "</script></body></html>\n");
  return out;
}

}  // namespace ringway::dp

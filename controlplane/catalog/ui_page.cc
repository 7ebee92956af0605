// The page itself. Everything from the catalog is put in as text nodes, never as markup.
#include "controlplane/catalog/ui_page.h"

namespace ringway::cp {

const std::string_view kUiPage = R"page(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Ringway catalog</title>
<style>
 body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 68rem; padding: 0 1rem; color: #1b1f24 }
 h1 { font-size: 1.3rem } h2 { font-size: 1.1rem; margin: 2rem 0 .4rem }
 .muted { color: #59636e; font-weight: normal } .stale { color: #b42318 }
 table { border-collapse: collapse; width: 100% }
 th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #d8dee4 }
 th { font-weight: 600; color: #59636e }
 code { font: 13px ui-monospace, monospace; overflow-wrap: anywhere; white-space: pre-wrap }
 .state { font-weight: 600 } .passing { color: #1a7f37 } .warning { color: #9a6700 } .critical { color: #b42318 }
 .draining { color: #0550ae }
 @media (prefers-color-scheme: dark) { body { background: #14181d; color: #e6edf3 } th, td { border-color: #30363d }
  .muted, th { color: #9198a1 } .passing { color: #3fb950 } .warning { color: #d29922 } .critical, .stale { color: #f85149 }
  .draining { color: #58a6ff } }
</style></head><body>
<h1>Ringway catalog <span class="muted" id="about"></span></h1>
<p id="note" class="muted">loading</p><main id="services"></main>
<script>
'use strict';
const rank = { passing: 0, warning: 1, critical: 2 };
function element(name, text, style) {
  const e = document.createElement(name);
  if (text !== undefined) e.textContent = text;
  if (style) e.className = style;
  return e;
}
function worst(checks) {
  return checks.reduce((w, c) => (rank[c.status] ?? 2) > rank[w] ? (c.status in rank ? c.status : 'critical') : w, 'passing');
}
function row(instance) {
  const tr = element('tr');
  tr.append(element('td', instance.id));
  const host = instance.address.includes(':') ? '[' + instance.address + ']' : instance.address;
  tr.append(element('td', host + ':' + instance.port), element('td', instance.node), element('td', instance.tags.join(', ')));
  const state = worst(instance.checks);
  const td = element('td', state, 'state ' + state);
  if (instance.draining) td.append(element('div', 'draining', 'draining'));
  const checks = element('td');
  for (const check of instance.checks) {
    const line = element('div');
    line.append(element('span', check.name + ': ' + check.status, check.status in rank ? check.status : 'critical'));
    if (check.output) line.append(element('br'), element('code', check.output.slice(0, 300)));
    checks.append(line);
  }
  tr.append(td, checks);
  return tr;
}
function show(catalog) {
  document.getElementById('about').textContent = catalog.node + ', datacenter ' + catalog.datacenter + ', index ' + catalog.index;
  const main = element('main');
  main.id = 'services';
  for (const service of catalog.services) {
    const good = service.instances.filter(i => worst(i.checks) === 'passing' && !i.draining).length;
    const h2 = element('h2', service.name + ' ');
    h2.append(element('span', good + ' of ' + service.instances.length + ' passing', 'muted'));
    const table = element('table'), head = element('tr');
    for (const name of ['instance', 'address', 'node', 'tags', 'state', 'checks']) head.append(element('th', name));
    table.append(head, ...service.instances.map(row));
    main.append(h2, table);
  }
  document.getElementById('services').replaceWith(main);
}
let shown = '';
async function refresh() {
  const note = document.getElementById('note');
  try {
    const text = await (await fetch('/v1/ringway/overview', { cache: 'no-store' })).text();
    if (text !== shown) show(JSON.parse(text));
    shown = text;
    note.className = 'muted';
    note.textContent = 'as of ' + new Date().toLocaleTimeString();
  } catch (error) {
    note.className = 'stale';
    note.textContent = 'the catalog does not answer; what you see is old';
  }
  setTimeout(refresh, 1000);
}
refresh();
</script></body></html>
)page";

}  // namespace ringway::cp

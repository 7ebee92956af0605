const rows = JSON.parse(document.getElementById('data').textContent).rows;
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
let charts = [];

const color = key => {
  const [name, variant] = key.split(':');
  if (name !== 'haproxy') return css('--' + name);
  return css(!variant ? '--haproxy' : /splice/.test(variant) ? '--haproxy3' : '--haproxy2');
};

// The span of the rounds on a horizontal or vertical bar: dataset.spans[i] = {min, max}.
const whiskers = { id: 'whiskers', afterDatasetsDraw(chart) {
  const g = chart.ctx, flat = chart.options.indexAxis === 'y', scale = chart.scales[flat ? 'x' : 'y'];
  g.save(); g.strokeStyle = css('--ink'); g.lineWidth = 1.25;
  chart.data.datasets.forEach((set, n) => chart.getDatasetMeta(n).data.forEach((bar, i) => {
    const span = set.spans && set.spans[i];
    if (!span || span.min === span.max) return;
    const a = scale.getPixelForValue(span.min), b = scale.getPixelForValue(span.max), c = flat ? bar.y : bar.x, h = 3;
    g.beginPath();
    for (const [x, y] of [[a, c - h], [a, c + h], null, [a, c], [b, c], null, [b, c - h], [b, c + h]].reduce((all, p, k, list) =>
      (p && list[k + 1] ? all.concat([[p, list[k + 1]]]) : all), [])) {
      flat ? (g.moveTo(x[0], x[1]), g.lineTo(y[0], y[1])) : (g.moveTo(x[1], x[0]), g.lineTo(y[1], y[0]));
    }
    g.stroke();
  }));
  g.restore();
} };

// A line at 1 across the chart of ratios.
const unity = { id: 'unity', afterDatasetsDraw(chart) {
  const x = chart.scales.x.getPixelForValue(1), g = chart.ctx, area = chart.chartArea;
  g.save(); g.strokeStyle = css('--ink'); g.setLineDash([5, 4]); g.beginPath(); g.moveTo(x, area.top); g.lineTo(x, area.bottom); g.stroke();
  g.restore();
} };

const figure = v => v >= 1000 ? Math.round(v).toLocaleString('en') : Number(v.toPrecision(3)).toString();
const axis = (title, more = {}) => ({ title: { display: true, text: title }, grid: { color: css('--line') }, ...more });
const span = (one, form = figure) => one ? `${form(one.median)} (${form(one.min)} to ${form(one.max)})` : '';

function draw(canvas, config) {
  config.options = { responsive: true, maintainAspectRatio: false, animation: false, ...config.options };
  charts.push(new Chart(canvas, config));
}

function drawRow(canvas, row) {
  const keys = Object.keys(row.results).filter(k => row.results[k][row.metric]);
  const found = keys.map(k => row.results[k][row.metric]);
  draw(canvas, { type: 'bar', plugins: [whiskers],
    data: { labels: keys.map(k => row.labels[k]), datasets: [{ data: found.map(f => f.median), spans: found,
      backgroundColor: keys.map(color), maxBarThickness: 20 }] },
    options: { indexAxis: 'y', scales: { x: axis(row.unit, { beginAtZero: true, suggestedMax: Math.max(...found.map(f => f.max)) * 1.02 }),
      y: { grid: { display: false } } },
      plugins: { legend: { display: false }, tooltip: { callbacks: { label: c => span(found[c.dataIndex]) } } } } });
}

function drawRatios(canvas) {
  const told = rows.filter(r => r.metric === 'cpu_us' && r.results.null && !r.varied);
  const series = [['ringway', 'Ringway', () => 'ringway'], ['haproxy:best', 'HAProxy, best settings for the row', r => r.best],
    ['haproxy', 'HAProxy, defaults', () => 'haproxy'], ['nginx', 'nginx', () => 'nginx']];
  const datasets = series.map(([key, label, pick]) => {
    const spans = told.map(r => {
      const one = r.results[pick(r)] && r.results[pick(r)].cpu_us, base = r.results.null.cpu_us.median;
      return one ? { median: r.ratios[pick(r)], min: one.min / base, max: one.max / base } : null;
    });
    return { label, data: spans.map(s => s && s.median), spans, base: 0.1, backgroundColor: color(key) };
  });
  const most = Math.max(2, ...datasets.flatMap(d => d.spans.map(s => s ? s.max : 0)));
  const least = Math.min(0.7, ...datasets.flatMap(d => d.spans.map(s => s ? s.min * 0.9 : 1)));
  draw(canvas, { type: 'bar', plugins: [whiskers, unity], data: { labels: told.map(r => r.title), datasets },
    options: { indexAxis: 'y', scales: {
      x: axis('CPU µs per request / that of the null proxy', { type: 'logarithmic', min: least, max: most * 1.05,
        afterBuildTicks: a => { a.ticks = [0.3, 0.4, 0.5, 0.7, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 7, 10, 15, 20].filter(v => v >= least && v <= most * 1.05).map(value => ({ value })); },
        ticks: { callback: v => v + ' ×' } }), y: { grid: { display: false } } },
      plugins: { legend: { position: 'top' }, tooltip: { callbacks: { label: c => `${c.dataset.label}: ${span(c.dataset.spans[c.dataIndex], v => v.toFixed(2))}` } } } } });
}

function drawLatency(canvas, metric) {
  const told = rows.filter(r => r.open && /^rate-/.test(r.name));
  const keys = [...new Set(told.flatMap(r => Object.keys(r.results)))];
  const name = { p50_us: 'p50', p99_us: 'p99', p999_us: 'p99.9' }[metric];
  draw(canvas, { type: 'bar', plugins: [whiskers],
    data: { labels: told.map(r => r.name.slice(5) + ' %'), datasets: keys.map(k => {
      const spans = told.map(r => r.results[k] && r.results[k][metric]);
      return { label: told[0].labels[k] || k, data: spans.map(s => s && s.median), spans, backgroundColor: color(k) };
    }) },
    options: { scales: { x: axis('share of saturation', { grid: { display: false } }), y: axis(name + ' latency (µs)', { type: 'logarithmic',
      ticks: { callback: v => /^[125]0*$/.test(String(v)) ? figure(v) : null } }) },
      plugins: { legend: { position: 'top', labels: { boxWidth: 12 } }, title: { display: true, text: name },
        tooltip: { callbacks: { label: c => `${c.dataset.label}: ${span(c.dataset.spans[c.dataIndex])} µs` } } } } });
}

function drawAll() {
  charts.forEach(c => c.destroy()); charts = [];
  Chart.defaults.color = css('--dim'); Chart.defaults.borderColor = css('--line');
  Chart.defaults.font.family = 'system-ui, sans-serif'; Chart.defaults.font.size = 12;
  drawRatios(document.getElementById('ratios'));
  for (const canvas of document.querySelectorAll('canvas[data-row]')) drawRow(canvas, rows.find(r => r.name === canvas.dataset.row));
  for (const canvas of document.querySelectorAll('canvas[data-latency]')) drawLatency(canvas, canvas.dataset.latency);
}

drawAll();
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawAll);

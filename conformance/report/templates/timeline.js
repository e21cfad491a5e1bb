// One history as a drawing: lanes, marks, real or warped time. Texts from the target are only ever set as text.
"use strict";
const el = (tag, attributes = {}, ...children) => {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes)) k === "class" ? (e.className = v) : e.setAttribute(k, v);
  e.append(...children);
  return e;
};

const data_span = (data) => Math.max(1, data.to - data.from);

class Timeline {
  static ROW = 17;
  static GAP = 7;
  static AXIS = 24;
  static COLOURS = {
    ok: "call", lost: "unsure", failed: "failed", refused: "refused", step: "step", open: "broken", broken: "broken",
    told: "step", gate: "gate", opens: "hold", remark: "unsure", alarm: "broken", unsure: "unsure", holds: "hold",
    waits: "gate", displaced: "broken", legal: "good", "is state": "band", "is pending": "band", "is running": "inflight",
    "is busy": "inflight", "is success": "good", "is idle": "good",
  };
  static LEGEND = [
    ["call", "call, from send to receive"], ["refused", "refused"], ["failed", "failed"], ["step", "superstep"],
    ["gate", "gate closed"], ["hold", "executes"], ["unsure", "between two reads"], ["overlap", "overlap"],
    ["proof", "cited by the proof"],
  ];

  constructor(place, data, cited, changed, legal = null) {
    Object.assign(this, { place, data, changed, legal });
    this.cited = new Set(cited);
    this.lit = null; // records that are pointed at
    this.chosen = null; // a sentence of the proof
    this.pin = null;
    this.current = null;
    this.marks = data.marks.map(([lane, row, kind, a, b, label, records], i) => ({ i, lane, row, kind, a, b, label, records }));
    if (legal) this.compare(legal);
    this.prepare();
    this.build();
    this.warpButton.setAttribute("aria-pressed", String(this.warped));
    this.colours();
    this.fit(false);
    new ResizeObserver(() => this.size()).observe(this.stage);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { this.colours(); this.draw(); });
  }

  compare({ record, legal }) { // below the answer that is to blame, on a lane of its own, what would have been legal
    const blamed = this.marks.find((m) => this.primary(m) && m.records.includes(record));
    if (!blamed) return;
    const lane = blamed.lane + 1;
    this.data = { ...this.data, lanes: [...this.data.lanes.slice(0, lane), ["legal", "legal"], ...this.data.lanes.slice(lane)] };
    for (const m of this.marks) if (m.lane >= lane) m.lane += 1;
    legal.forEach((label, row) => {
      this.marks.push({ i: this.marks.length, lane, row, kind: "legal", a: blamed.a, b: blamed.b, label, records: [record] });
    });
  }

  prepare() { // warped time: each instant at which something happens is as far from the next as any other
    const at = [...new Set(this.marks.flatMap((m) => [m.a, m.b]))].sort((x, y) => x - y);
    this.instants = at;
    const index = new Map(at.map((t, i) => [t, i]));
    for (const m of this.marks) { m.wa = index.get(m.a); m.wb = index.get(m.b); }
    const rows = this.data.lanes.map(() => 1);
    for (const m of this.marks) rows[m.lane] = Math.max(rows[m.lane], m.row + 1);
    let y = Timeline.AXIS;
    this.lanes = this.data.lanes.map(([name, kind], i) => {
      const lane = { name, kind, y, rows: rows[i] };
      y += rows[i] * Timeline.ROW + Timeline.GAP;
      return lane;
    });
    this.height = y + 4;
    const gaps = at.slice(1).map((t, i) => t - at[i]);
    this.warped = Math.max(0, ...gaps.slice(0, 5000)) > 0.2 * (data_span(this.data)); // mostly waiting: better warped
    this.order = this.marks.slice().sort((p, q) => p.a - q.a || p.lane - q.lane);
    this.order.forEach((m, i) => (m.rank = i));
  }

  build() {
    const button = (text, title, act) => {
      const b = el("button", { type: "button", title, "aria-label": title }, text);
      b.addEventListener("click", act);
      return b;
    };
    this.warpButton = button("Warp time", "Warp time: every instant as far from the next as any other", () => this.warp(!this.warped));
    this.where = el("span", { class: "where" });
    const bar = el("div", { class: "bar", role: "group", "aria-label": "Timeline controls" },
      button("+", "Zoom in", () => this.zoom(0.5)), button("−", "Zoom out", () => this.zoom(2)),
      button("‹", "Earlier", () => this.pan(-0.3)), button("›", "Later", () => this.pan(0.3)),
      button("Fit", "Fit everything", () => this.fit()));
    if (this.cited.size) bar.append(button("Proof", "Zoom to what the proof cites", () => this.zoomTo([...this.cited])));
    bar.append(this.warpButton, this.where);
    const cites = this.cited.size ? ` The proof cites ${this.cited.size} of them.` : "";
    this.canvas = el("canvas", { tabindex: "0", role: "application", "aria-label":
      `Timeline of ${this.data.name}: ${this.data.records.length} records on ${this.lanes.length} lanes.${cites} ` +
      "Arrow keys move between marks, Enter pins, plus and minus zoom, 0 fits all, W warps time. The same as a table below." });
    this.tip = el("div", { class: "tip", hidden: "" });
    this.stage = el("div", { class: "stage", tabindex: "-1" }, this.canvas, this.tip);
    this.live = el("div", { class: "vh", "aria-live": "polite" });
    this.pinned = el("div", { class: "pinned", hidden: "", tabindex: "0", role: "region", "aria-label": "Pinned record" });
    const legend = el("div", { class: "legend" });
    const more = this.legal ? [["good", "would have been legal"]] : [];
    for (const [name, text] of [...Timeline.LEGEND, ...more]) {
      const swatch = el("i");
      swatch.style.background = `var(--${name === "proof" ? "proof" : "t-" + name})`;
      legend.append(el("span", {}, swatch, text));
    }
    this.place.replaceChildren(bar, this.stage, this.live, this.pinned, legend, this.table(), ...this.text());
    this.context = this.canvas.getContext("2d");
    this.listen();
  }

  text() {
    if (!this.data.text) return [];
    const pre = el("pre", { tabindex: "0", "aria-label": "Timeline as text" }, this.data.text);
    return [el("details", { class: "more" }, el("summary", {}, "As text"), pre)];
  }

  table() { // the same for those who cannot see the drawing; made as far as it is read
    const body = el("tbody"), records = this.data.records;
    const box = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Records" });
    const more = el("button", { type: "button" }, "Show more");
    let n = 0;
    const grow = () => {
      for (const end = Math.min(records.length, n + 200); n < end; n++) {
        const r = records[n], pin = el("button", { type: "button" }, `#${n}`), own = n;
        pin.addEventListener("click", () => this.pinRecord(own));
        const what = Object.entries(r).filter(([k]) => k !== "request" && k !== "answer" && k !== "metadata").map(([k, v]) => `${k} ${v}`).join(" · ");
        body.append(el("tr", {}, el("td", {}, pin), el("td", {}, what), el("td", {}, (r.answer || "").slice(0, 160))));
      }
      more.hidden = n >= records.length;
    };
    more.addEventListener("click", grow);
    const head = el("thead", {}, el("tr", {}, ...["record", "what", "answer"].map((t) => el("th", { scope: "col" }, t))));
    box.append(el("table", {}, head, body));
    const details = el("details", { class: "more" }, el("summary", {}, `Records as a table (${records.length})`), box, more);
    details.addEventListener("toggle", () => { if (details.open && !n) grow(); });
    return details;
  }

  colours() {
    const style = getComputedStyle(document.documentElement);
    this.colour = (name) => (this.cache[name] ??= style.getPropertyValue(name).trim());
    this.cache = {};
  }

  size() {
    const width = this.stage.clientWidth, scale = devicePixelRatio || 1;
    if (!width) return;
    this.width = width;
    this.gutter = width < 520 ? 74 : 112;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(this.height * scale);
    this.canvas.style.height = this.height + "px";
    this.context.setTransform(scale, 0, 0, scale, 0, 0);
    this.draw();
  }

  // --- coordinates: the view is [from, to], in milliseconds or, warped, in instants

  get whole() {
    const real = [this.data.from, this.data.to > this.data.from ? this.data.to : this.data.from + 1];
    return this.warped ? [0, Math.max(1, this.instants.length - 1)] : real;
  }
  start(m) { return this.warped ? m.wa : m.a; }
  end(m) { return this.warped ? m.wb : m.b; }
  x(value) { return this.gutter + ((value - this.view[0]) / (this.view[1] - this.view[0])) * (this.width - this.gutter - 8); }
  value(x) { return this.view[0] + ((x - this.gutter) / (this.width - this.gutter - 8)) * (this.view[1] - this.view[0]); }
  real(value) { // milliseconds of a coordinate
    if (!this.warped) return value;
    const i = Math.max(0, Math.min(this.instants.length - 1, Math.floor(value))), next = Math.min(i + 1, this.instants.length - 1);
    return this.instants[i] + (value - i) * (this.instants[next] - this.instants[i]);
  }
  coordinate(ms) {
    if (!this.warped) return ms;
    let lo = 0, hi = this.instants.length - 1;
    while (lo < hi) { const mid = (lo + hi + 1) >> 1; this.instants[mid] <= ms ? (lo = mid) : (hi = mid - 1); }
    const next = this.instants[lo + 1];
    return next === undefined ? lo : lo + (ms - this.instants[lo]) / (next - this.instants[lo]);
  }

  look(from, to, tell = true) {
    const [lo, hi] = this.whole, margin = (hi - lo) * 0.02 || 1;
    const least = this.warped ? 1 : 0.01, span = Math.min(Math.max(to - from, least), hi - lo + 2 * margin);
    from = Math.min(Math.max(from, lo - margin), hi + margin - span);
    this.view = [from, from + span];
    this.draw();
    if (tell) this.tell();
  }
  fit(tell = true) { const [lo, hi] = this.whole, m = (hi - lo) * 0.01; this.look(lo - m, hi + m, tell); }
  zoom(factor, at = (this.view[0] + this.view[1]) / 2) {
    this.look(at - (at - this.view[0]) * factor, at + (this.view[1] - at) * factor);
  }
  pan(share) { const d = (this.view[1] - this.view[0]) * share; this.look(this.view[0] + d, this.view[1] + d); }
  zoomTo(records) {
    const set = new Set(records), marks = this.marks.filter((m) => this.primary(m) && m.records.some((n) => set.has(n)));
    if (!marks.length) return;
    const from = Math.min(...marks.map((m) => this.start(m))), to = Math.max(...marks.map((m) => this.end(m)));
    const margin = Math.max((to - from) * 0.08, this.warped ? 1 : 2);
    this.look(from - margin, to + margin);
  }
  warp(on) {
    const [from, to] = this.view.map((v) => this.real(v));
    const wholeShown = from <= this.data.from && to >= this.data.to;
    this.warped = on;
    this.warpButton.setAttribute("aria-pressed", String(on));
    if (wholeShown) this.fit(); else this.look(this.coordinate(from), this.coordinate(to));
  }

  // --- drawing

  draw() {
    if (!this.width || this.waiting) return;
    this.waiting = requestAnimationFrame(() => { this.waiting = 0; this.paint(); });
  }

  paint() {
    const c = this.context, { width, height, gutter } = this, ROW = Timeline.ROW;
    c.clearRect(0, 0, width, height);
    c.font = "12px system-ui, sans-serif";
    c.textBaseline = "middle";
    for (const lane of this.lanes) { // separators
      c.fillStyle = this.colour("--line");
      c.globalAlpha = 0.6;
      c.fillRect(0, lane.y - Timeline.GAP / 2 - 0.5, width, 1);
      c.globalAlpha = 1;
    }
    c.save();
    c.beginPath();
    c.rect(gutter, 0, width - gutter, height);
    c.clip();
    this.axis();
    c.fillStyle = this.colour("--t-overlap");
    for (const [a, b] of this.data.overlaps) {
      const x = this.x(this.coordinate(a));
      c.fillRect(x, Timeline.AXIS - 4, Math.max(2, this.x(this.coordinate(b)) - x), height);
    }
    const drawn = new Map(); // of each lane's row, how far it is painted: what is narrower than a pixel is skipped
    for (const m of this.order) {
      const x = this.x(this.start(m)), to = this.x(this.end(m));
      if (to < gutter || x > width) continue;
      const key = m.lane * 8 + m.row, special = this.special(m);
      if (!special && to - x < 0.7 && (drawn.get(key) ?? -1) >= Math.floor(x * 2)) continue;
      drawn.set(key, Math.floor(x * 2));
      this.mark(c, m, x, Math.max(to - x, 1.5), this.lanes[m.lane].y + m.row * ROW, special);
    }
    c.restore();
    for (const lane of this.lanes) { // names
      c.fillStyle = this.colour(lane.kind === "derived" || lane.kind === "status" ? "--dim" : "--ink");
      c.fillText(this.short(c, lane.name, gutter - 10), 6, lane.y + ROW / 2);
    }
    const span = this.real(this.view[1]) - this.real(this.view[0]);
    this.where.textContent = `${this.real(this.view[0]).toFixed(1)} to ${this.real(this.view[1]).toFixed(1)} ms` +
      (this.warped ? ", warped" : "") + ` (${span.toFixed(1)} ms)`;
  }

  special(m) {
    if (this.pin === m || this.current === m) return 3;
    const shown = this.lit || this.chosen;
    if (shown && this.primary(m) && m.records.some((n) => shown.has(n))) return 2;
    return this.primary(m) && m.records.some((n) => this.cited.has(n)) ? 1 : 0;
  }
  primary(m) { // what was seen, not what follows from it
    return !["derived", "status", "legal"].includes(this.data.lanes[m.lane][1]) || m.kind === "displaced";
  }

  mark(c, m, x, w, y, special) {
    const h = Timeline.ROW - 2, left = Math.max(x, this.gutter), right = Math.min(x + w, this.width);
    const colour = this.colour("--t-" + (Timeline.COLOURS[m.kind] || (m.kind.startsWith("is ") ? "ended" : "band")));
    if ((this.lit || this.chosen) && special < 2) c.globalAlpha = 0.3;
    c.fillStyle = colour;
    c.strokeStyle = colour;
    if (m.kind === "unsure" || m.kind === "lost" || m.kind === "open") { // whiskers: somewhere in between
      c.lineWidth = 1.5;
      c.setLineDash([4, 3]);
      c.beginPath();
      c.moveTo(left, y + h / 2); c.lineTo(right, y + h / 2);
      c.stroke();
      c.setLineDash([]);
      c.fillRect(x, y + 3, 1.5, h - 6);
      c.fillRect(x + w - 1.5, y + 3, 1.5, h - 6);
    } else if (m.a === m.b) { // an instant
      c.beginPath();
      c.moveTo(x, y + 1); c.lineTo(x + 5, y + h / 2); c.lineTo(x, y + h - 1); c.lineTo(x - 5, y + h / 2);
      c.fill();
    } else {
      c.fillRect(x, y, w, h);
    }
    if (m.kind === "legal") {
      c.globalAlpha = 1;
      c.lineWidth = 1.5;
      c.strokeStyle = this.colour("--ok");
      c.setLineDash([3, 2]);
      c.strokeRect(x - 0.5, y + 0.5, w + 1, h - 1);
      c.setLineDash([]);
    }
    if (special) {
      c.globalAlpha = 1;
      c.lineWidth = special > 1 ? 3 : 2;
      c.strokeStyle = this.colour(special === 3 ? "--accent" : "--proof");
      c.strokeRect(x - 1.5, y - 0.5, w + 3, h + 1);
    }
    const room = right - left - 6;
    if (m.kind === "legal") { // alone on its row: its label may be longer than itself, on the side where there is room
      const width = c.measureText(m.label).width, before = x - this.gutter - 8;
      c.fillStyle = this.colour("--ok");
      if (width <= room) c.fillText(m.label, left + 4, y + h / 2 + 0.5);
      else if (x + w + 8 + width <= this.width || before < width) c.fillText(m.label, Math.max(x + w, this.gutter) + 6, y + h / 2 + 0.5);
      else c.fillText(m.label, x - 6 - width, y + h / 2 + 0.5);
    } else if (room > 14) {
      const whisker = m.kind === "unsure" || m.kind === "lost" || m.kind === "open";
      const text = this.short(c, m.label, room);
      if (text && whisker) {
        c.fillStyle = this.colour("--bg");
        c.fillRect(left + 3, y + 1, c.measureText(text).width + 2, h - 2);
      }
      c.fillStyle = this.colour(whisker ? "--dim" : "--ink");
      if (text) c.fillText(text, left + 4, y + h / 2 + 0.5);
    }
    c.globalAlpha = 1;
  }

  short(c, text, room) { // as much of a text as there is room for; a rough measure first, which is cheap
    if (text.length * 6 <= room && c.measureText(text).width <= room) return text;
    let n = Math.min(text.length, Math.floor(room / 5.2));
    while (n > 0 && c.measureText(text.slice(0, n) + "…").width > room) n -= 1;
    return n >= text.length ? text : n > 1 ? text.slice(0, n) + "…" : "";
  }

  axis() {
    const c = this.context;
    c.fillStyle = this.colour("--dim");
    const room = Math.max(2, Math.floor((this.width - this.gutter) / 96));
    let ticks = [];
    if (this.warped) {
      const step = Math.max(1, Math.ceil((this.view[1] - this.view[0]) / room));
      for (let v = Math.ceil(this.view[0] / step) * step; v <= this.view[1]; v += step) {
        if (this.instants[v] !== undefined) ticks.push([v, this.instants[v].toFixed(1)]);
      }
    } else {
      const rough = (this.view[1] - this.view[0]) / room, power = 10 ** Math.floor(Math.log10(rough));
      const step = [1, 2, 5, 10].map((f) => f * power).find((s) => s >= rough), digits = Math.max(0, -Math.floor(Math.log10(step)));
      for (let v = Math.ceil(this.view[0] / step) * step; v <= this.view[1]; v += step) ticks.push([v, v.toFixed(digits)]);
    }
    for (const [value, text] of ticks) {
      const x = this.x(value);
      c.globalAlpha = 0.35;
      c.fillRect(x, Timeline.AXIS - 6, 1, this.height);
      c.globalAlpha = 1;
      if (x + 40 < this.width) c.fillText(text, x + 3, 9);
    }
  }

  // --- people

  at(event) {
    const box = this.canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    let best = null, distance = 7;
    for (const m of this.marks) {
      const top = this.lanes[m.lane].y + m.row * Timeline.ROW;
      if (y < top - 1 || y > top + Timeline.ROW) continue;
      const a = this.x(this.start(m)), b = this.x(this.end(m));
      const d = x < a ? a - x : x > b ? x - b : 0;
      if (d < distance || (d === distance && best && b - a < this.x(this.end(best)) - this.x(this.start(best)))) { best = m; distance = d; }
    }
    return { mark: best, x, y };
  }

  say(m) { return `${this.lanes[m.lane].name}: ${m.label} · ${m.a.toFixed(3)}${m.b > m.a ? ` to ${m.b.toFixed(3)}` : ""} ms · ${m.records.map((n) => "#" + n).join(" ")}`; }

  listen() {
    const canvas = this.canvas;
    const fingers = new Map();
    let drag = null, pinch = 0;
    canvas.addEventListener("wheel", (e) => {
      if (!e.ctrlKey && !e.metaKey && !e.shiftKey && Math.abs(e.deltaX) <= Math.abs(e.deltaY) && document.activeElement !== canvas) return;
      e.preventDefault(); // once the drawing has the focus the wheel zooms; before that it scrolls the page
      if (e.shiftKey || Math.abs(e.deltaX) > Math.abs(e.deltaY)) this.pan((e.deltaX || e.deltaY) / this.width);
      else this.zoom(Math.exp(e.deltaY * 0.002), this.value(e.clientX - canvas.getBoundingClientRect().left));
    }, { passive: false });
    canvas.addEventListener("pointerdown", (e) => {
      fingers.set(e.pointerId, e.clientX);
      canvas.setPointerCapture(e.pointerId);
      drag = { x: e.clientX, view: [...this.view], moved: false };
      if (fingers.size === 2) { const [p, q] = fingers.values(); pinch = Math.abs(p - q); }
      this.tip.hidden = true;
    });
    canvas.addEventListener("pointermove", (e) => {
      if (fingers.has(e.pointerId)) fingers.set(e.pointerId, e.clientX);
      if (fingers.size === 2 && pinch) {
        const [p, q] = fingers.values(), now = Math.max(8, Math.abs(p - q));
        this.zoom(pinch / now, this.value((p + q) / 2 - canvas.getBoundingClientRect().left));
        pinch = now;
        drag.moved = true;
        return;
      }
      if (drag && fingers.size) {
        const dx = e.clientX - drag.x;
        if (Math.abs(dx) > 3) { drag.moved = true; canvas.classList.add("drag"); }
        if (drag.moved) {
          const per = (drag.view[1] - drag.view[0]) / (this.width - this.gutter - 8);
          this.look(drag.view[0] - dx * per, drag.view[1] - dx * per, false);
        }
        return;
      }
      const { mark, x, y } = this.at(e);
      this.hover(mark, x, y);
    });
    const up = (e) => {
      fingers.delete(e.pointerId);
      canvas.classList.remove("drag");
      if (drag && !drag.moved && e.type === "pointerup") this.pinMark(this.at(e).mark);
      else if (drag && drag.moved) this.tell();
      if (!fingers.size) { drag = null; pinch = 0; }
    };
    canvas.addEventListener("pointerup", up);
    canvas.addEventListener("pointercancel", up);
    canvas.addEventListener("pointerleave", () => (this.tip.hidden = true));
    canvas.addEventListener("keydown", (e) => this.key(e));
    canvas.addEventListener("blur", () => { this.current = null; this.draw(); });
  }

  hover(mark, x, y) {
    this.tip.hidden = !mark;
    if (!mark) return;
    this.tip.textContent = this.say(mark) + this.peek(mark);
    const right = x > this.width / 2;
    this.tip.style.left = right ? "" : x + 14 + "px";
    this.tip.style.right = right ? this.width - x + 14 + "px" : "";
    this.tip.style.top = y + 14 + "px";
  }
  peek(mark) {
    if (mark.kind === "unsure" && mark.label.includes("→")) return "\nchanged somewhere between these two reads";
    const r = this.primary(mark) ? this.data.records[mark.records[0]] : null;
    if (!r || r.record !== "call") return "";
    return (r.request ? `\n → ${r.request.slice(0, 160)}` : "") + (r.answer ? `\n ← ${r.answer.slice(0, 200)}` : "");
  }

  key(e) {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const acts = {
      ArrowRight: () => this.step(1), ArrowLeft: () => this.step(-1), ArrowDown: () => this.lane(1), ArrowUp: () => this.lane(-1),
      Enter: () => this.pinMark(this.current), " ": () => this.pinMark(this.current), Escape: () => this.pinMark(null),
      "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2), 0: () => this.fit(),
      w: () => this.warp(!this.warped), W: () => this.warp(!this.warped), Home: () => this.select(this.order[0]),
      End: () => this.select(this.order[this.order.length - 1]),
    };
    if (acts[e.key]) { e.preventDefault(); acts[e.key](); }
  }
  step(by) {
    const here = this.current, lane = here ? here.lane : 0;
    const own = this.order.filter((m) => m.lane === lane);
    const i = here ? own.indexOf(here) + by : by > 0 ? 0 : own.length - 1;
    this.select(own[Math.max(0, Math.min(own.length - 1, i))]);
  }
  lane(by) {
    const here = this.current || this.order[0], middle = here.a;
    for (let lane = here.lane + by; lane >= 0 && lane < this.lanes.length; lane += by) {
      const own = this.marks.filter((m) => m.lane === lane);
      if (own.length) return this.select(own.reduce((p, q) => (Math.abs(q.a - middle) < Math.abs(p.a - middle) ? q : p)));
    }
  }
  select(m) {
    if (!m) return;
    this.current = m;
    const a = this.start(m), b = this.end(m), span = this.view[1] - this.view[0];
    if (a < this.view[0] || Math.min(b, a + span * 0.2) > this.view[1]) this.look(a - span * 0.2, a + span * 0.8);
    this.live.textContent = this.say(m);
    this.draw();
  }

  pinRecord(n) { this.pinMark(this.marks.find((m) => this.primary(m) && m.records.includes(n)) || this.marks.find((m) => m.records.includes(n)) || null); }

  pinMark(m, tell = true) {
    this.pin = m && this.pin === m && tell ? null : m;
    this.pinned.hidden = !this.pin;
    this.pinned.replaceChildren();
    if (this.pin) {
      const close = el("button", { type: "button", "aria-label": "Unpin" }, "✕ Unpin");
      close.addEventListener("click", () => { this.pinMark(null); this.canvas.focus(); });
      this.pinned.append(el("h5", {}, this.say(this.pin)), close);
      for (const n of this.pin.records.slice(0, 6)) {
        const list = el("dl", {}, el("dt", {}, "record"), el("dd", {}, `#${n}`));
        for (const [k, v] of Object.entries(this.data.records[n] || {})) list.append(el("dt", {}, k), el("dd", {}, v));
        this.pinned.append(list);
      }
      this.live.textContent = "pinned: " + this.say(this.pin);
    }
    this.draw();
    if (tell) this.tell();
  }

  highlight(records) { this.lit = records && new Set(records); this.draw(); }
  show(records) { // a sentence of the proof
    this.chosen = records && new Set(records);
    if (records) this.zoomTo(records);
    this.draw();
    this.tell();
  }

  // --- permalinks

  tell() {
    const [from, to] = this.view.map((v) => this.real(v)), [lo, hi] = this.whole;
    const all = this.view[0] <= lo && this.view[1] >= hi;
    this.changed({
      from: all ? null : from.toFixed(3), to: all ? null : to.toFixed(3), warp: this.warped ? "1" : "0",
      pin: this.pin ? String(this.pin.i) : null, fact: this.chosen ? [...this.chosen].join(" ") : null,
    });
  }
  restore(params) {
    if (params.has("warp")) this.warped = params.get("warp") === "1";
    this.warpButton.setAttribute("aria-pressed", String(this.warped));
    const from = parseFloat(params.get("from")), to = parseFloat(params.get("to"));
    if (from < to) this.look(this.coordinate(from), this.coordinate(to), false); else this.fit(false);
    const fact = params.get("fact");
    this.chosen = fact ? new Set(fact.split(" ").map(Number)) : null;
    const pin = params.get("pin");
    this.pinMark(pin !== null ? this.marks[Number(pin)] || null : null, false);
    this.tell();
  }
}

// The page around the timelines: filters, which are kept in the URL, and permalinks.
"use strict";
(() => {
  const all = (q, of = document) => [...of.querySelectorAll(q)];
  const form = document.querySelector(".filters");
  const requirements = all("#requirements .requirement");
  const state = () => new URLSearchParams(location.hash.slice(1).includes("=") ? location.hash.slice(1) : "");
  const keep = (params) => {
    const text = params.toString();
    history.replaceState(null, "", text ? "#" + text : location.pathname + location.search);
  };
  const change = (values) => {
    const params = state();
    for (const [k, v] of Object.entries(values)) v === null || v === "" ? params.delete(k) : params.set(k, v);
    keep(params);
  };
  const checked = (name) => all(`input[name=${name}]:checked`, form).map((i) => i.value);

  function filter() {
    const words = form.elements.q.value.toLowerCase().split(/\s+/).filter(Boolean);
    const verdicts = checked("verdict"), levels = checked("level");
    let shown = 0;
    for (const r of requirements) {
      const text = (r.dataset.id + " " + r.querySelector(".statement").textContent).toLowerCase();
      r.hidden = !(words.every((w) => text.includes(w))
        && (!verdicts.length || verdicts.includes(r.dataset.verdict))
        && (!levels.length || levels.includes(r.dataset.level)));
      if (!r.hidden) shown += 1;
    }
    for (const g of all("#requirements .group")) g.hidden = !g.querySelector(".requirement:not([hidden])");
    form.querySelector("output").value = `${shown} of ${requirements.length} ${form.querySelector("output").dataset.what || "requirements"}`;
    change({ q: form.elements.q.value, verdict: checked("verdict").join(), level: checked("level").join() });
  }

  form.addEventListener("input", filter);
  form.addEventListener("submit", (e) => e.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  document.addEventListener("keydown", (e) => {
    if (e.key === "/" && !/INPUT|TEXTAREA/.test(document.activeElement.tagName)) {
      e.preventDefault();
      form.elements.q.focus();
    }
  });

  const data = all("script.timeline-data");
  const viewers = new Map();
  function open(place) { // the timeline of a violation, made when it is first looked at
    if (viewers.has(place)) return viewers.get(place);
    const violation = place.closest(".violation");
    const facts = all(".fact", violation);
    const cited = facts.flatMap((f) => f.dataset.cites.split(" ").map(Number));
    const drawn = JSON.parse(data[Number(place.dataset.timeline)].textContent);
    const viewer = new Timeline(place, drawn, cited, (view) => {
      change({ at: place.dataset.name, ...view });
      for (const f of facts) f.setAttribute("aria-pressed", String(view.fact === f.dataset.cites));
    }, place.dataset.legal ? JSON.parse(place.dataset.legal) : null);
    for (const f of facts) {
      const records = f.dataset.cites.split(" ").map(Number);
      f.addEventListener("mouseenter", () => viewer.highlight(records));
      f.addEventListener("mouseleave", () => viewer.highlight(null));
      f.addEventListener("focus", () => viewer.highlight(records));
      f.addEventListener("blur", () => viewer.highlight(null));
      f.addEventListener("click", () => viewer.show(f.getAttribute("aria-pressed") === "true" ? null : records));
    }
    viewers.set(place, viewer);
    return viewer;
  }
  function visible(details) {
    for (const place of all(".timeline", details)) {
      const other = place.closest("details:not([open])");
      if (!other) open(place);
    }
  }
  for (const d of all("details.requirement, details.other")) {
    d.addEventListener("toggle", () => {
      if (d.open) visible(d);
      if (d.dataset.id && d.open) change({ open: d.dataset.id });
      else if (d.dataset.id && state().get("open") === d.dataset.id) change({ open: null });
    });
  }

  function restore() {
    const params = state();
    form.elements.q.value = params.get("q") || "";
    for (const name of ["verdict", "level"]) {
      const values = (params.get(name) || "").split(",");
      for (const i of all(`input[name=${name}]`, form)) i.checked = values.includes(i.value);
    }
    filter();
    const at = params.get("at"), id = params.get("open");
    const place = at && all(".timeline").find((p) => p.dataset.name === at);
    const target = place ? place.closest(".violation") : id && document.getElementById("r-" + id);
    for (let d = target && target.closest("details"); d; d = d.parentElement.closest("details")) d.open = true;
    if (place) open(place).restore(params);
    if (target) target.scrollIntoView({ block: "start" });
  }
  window.addEventListener("hashchange", restore);
  restore();
  for (const d of all("details.requirement[open]")) visible(d); // those that the page has open from the beginning
  document.documentElement.dataset.ready = "true";
})();

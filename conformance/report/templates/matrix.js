// Filters of the matrix, kept in the URL.
"use strict";
(() => {
  const form = document.querySelector(".filters"), rows = [...document.querySelectorAll("tbody tr")];
  function filter() {
    const words = form.elements.q.value.toLowerCase().split(/\s+/).filter(Boolean);
    const only = [...form.querySelectorAll("input[name=only]:checked")].map((i) => i.value);
    for (const r of rows) {
      const text = r.querySelector("th").textContent.toLowerCase();
      r.hidden = !(words.every((w) => text.includes(w))
        && (!only.includes("disagreements") || r.dataset.disagreement === "1")
        && (!only.includes("failures") || r.dataset.fails === "1"));
    }
    form.querySelector("output").value = `${rows.filter((r) => !r.hidden).length} of ${rows.length} requirements`;
    const params = new URLSearchParams();
    if (form.elements.q.value) params.set("q", form.elements.q.value);
    if (only.length) params.set("only", only.join());
    const text = params.toString();
    history.replaceState(null, "", text ? "#" + text : location.pathname + location.search);
  }
  function restore() {
    const params = new URLSearchParams(location.hash.slice(1)), only = (params.get("only") || "").split(",");
    form.elements.q.value = params.get("q") || "";
    for (const i of form.querySelectorAll("input[name=only]")) i.checked = only.includes(i.value);
    filter();
  }
  form.addEventListener("input", filter);
  form.addEventListener("submit", (e) => e.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  window.addEventListener("hashchange", restore);
  document.addEventListener("keydown", (e) => {
    if (e.key === "/" && document.activeElement.tagName !== "INPUT") { e.preventDefault(); form.elements.q.focus(); }
  });
  restore();
  document.documentElement.dataset.ready = "true";
})();

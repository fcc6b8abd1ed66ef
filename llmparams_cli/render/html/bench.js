// Rates of a benchmark: a table, bars beside the limit, what bounds the model, every run.
"use strict";
(() => {
  const { at, el, svg, percent, shortened, head, body, boxed, data } = llmparams.elements;
  const page = data();
  const WIDTH = 720, ROW = 42, EDGE = 24, LONGEST = 64;
  const known = page.tests.filter(({ share }) => share !== null);
  const MOST = Math.max(1, ...known.map(({ share, spread }) => share + (spread ?? 0))) * 1.05;

  const x = (share) => EDGE + (Math.max(0, share) / MOST) * (WIDTH - 2 * EDGE);
  const text = (place, y, words, anchor) =>
    svg("text", { x: place, y, "text-anchor": anchor }, words);
  const upright = (share, foot, attributes) =>
    svg("line", { x1: x(share), x2: x(share), y1: 0, y2: foot, ...attributes });

  function bar({ label, share, spread }, i) {
    const y = i * ROW;
    const words = `${shortened(label, LONGEST)}: ${percent(share)}`;
    const whole = [text(EDGE + 4, y + 15, words, "start"),
      svg("rect", { class: "run", x: EDGE, y: y + 20, height: 14, width: x(share) - EDGE })];
    if (spread === null) return whole;
    return [...whole, svg("line", { class: "cursor", "stroke-width": 2, y1: y + 27, y2: y + 27,
      x1: x(share - spread), x2: x(share + spread) })];
  }

  function bars() {
    const foot = known.length * ROW, told = known.map(({ label, share }) => `${label}: ${percent(share)}`);
    return svg("svg", { viewBox: `0 0 ${WIDTH} ${foot + 20}`, role: "img",
      "aria-label": `Share of the limit. ${told.join("; ")}` },
    ...[0, 0.25, 0.5, 0.75, 1].flatMap((share) => [
      upright(share, foot, { class: share === 1 ? "cursor dashed" : "grid" }),
      text(x(share), foot + 16, `${share * 100}%`, "middle")]),
    ...known.flatMap(bar));
  }

  at("title").textContent = page.title;
  at("facts").textContent = page.facts;
  at("warning").textContent = page.warning;
  at("rates").append(boxed("Tokens a second", head(...page.head), body(page.rows)));
  at("reached").append(known.length ? bars() : el("p", {}, "No limit is known here."));
  at("says").append(...page.tests.map(({ label, says }) =>
    el("li", {}, el("strong", {}, el("bdi", {}, label)), `: ${says}`)));
  at("runs").append(boxed("Tokens a second of each run",
    head("test", ...Array.from({ length: page.repeat }, (_, i) => String(i + 1))),
    body(page.tests.map(({ label, runs }) => [label, ...runs]))));
})();

// Cases that variants were asked: who passed what, and every answer.
"use strict";
(() => {
  const { at, el, svg, plural, percent, head, boxed, data } = llmparams.elements;
  const { names, standings, pairs, cases } = data();
  const WIDTH = 640, ROW = 26, NAME = 190, LONGEST = 26;

  // -- standings -------------------------------------------------------------------------------

  const cut = (words) => {
    const chars = Array.from(words);
    return chars.length <= LONGEST ? words : `${chars.slice(0, LONGEST - 1).join("")}\u2026`;
  };

  // A dot for each variant's share passed, on a line from end to end of its interval.
  function picture() {
    const foot = names.length * ROW + 4, x = (share) => NAME + share * (WIDTH - NAME - 20);
    const text = (place, y, words, anchor) =>
      svg("text", { x: place, y, "text-anchor": anchor }, words);
    return svg("svg", { viewBox: `0 0 ${WIDTH} ${foot + 16}`, role: "img",
      "aria-label": names.map((name, i) => `${name}: ${percent(standings.passed[i])}, ${
        standings.intervals[i].map(percent).join(" to ")}`).join("; ") },
    ...[0, 0.25, 0.5, 0.75, 1].flatMap((share) => [
      svg("line", { class: "grid", x1: x(share), x2: x(share), y1: 0, y2: foot }),
      text(x(share), foot + 13, `${share * 100}%`, "middle")]),
    ...names.flatMap((name, i) => {
      const y = i * ROW + ROW / 2, [low, high] = standings.intervals[i];
      return [text(0, y + 4, cut(name), "start"),
        svg("line", { class: "line-0", "stroke-width": 3, x1: x(low), x2: x(high), y1: y, y2: y }),
        svg("circle", { class: "run", cx: x(standings.passed[i]), cy: y, r: 5 })];
    }));
  }

  const table = boxed("With 95 % intervals of the share of cases passed", head(...standings.head),
    el("tbody", {}, ...standings.rows.map(([first, ...rest]) => el("tr", {},
      el("th", { scope: "row" }, el("bdi", {}, first)),
      ...rest.map((words) => el("td", {}, words))))));
  at("standings").append(
    el("div", { class: "inside pictures" }, el("figure", {}, picture())), table);
  at("pairs").append(...pairs.map(({ text, shown }) =>
    el("li", { class: shown ? "differs" : "" }, text)));
  at("pairs").parentElement.hidden = pairs.length === 0;

  // -- cases -----------------------------------------------------------------------------------

  const asked = (result) => result.answers.reduce((sum, { seeds }) => sum + seeds.length, 0);
  const flaky = (result) => result.passes > 0 && result.passes < asked(result);

  function answer({ seeds, text, thoughts, stop, failures }) {
    const which = `seed${seeds.length > 1 ? "s" : ""} ${seeds.join(", ")}`;
    return el("div", { class: failures.length ? "failed" : "met" },
      el("h4", {}, `${which}: ${failures.length ? "failed" : "passed"}, ${stop}`),
      thoughts ? el("details", {}, el("summary", {}, "Thoughts"),
        el("div", { class: "answer" }, thoughts)) : null,
      el("div", { class: "answer" }, text === "" ? "\u2205" : text),
      ...failures.map((reason) => el("p", { class: "reason" }, reason)));
  }

  const side = (result, i) => el("div", {}, el("h3", {}, el("bdi", {}, names[i])),
    result.distinct ? el("p", { class: "reason" }, result.distinct) : null,
    ...result.answers.map(answer));

  function mark(result, i) {
    const word = result.passed ? "passed" : "failed";
    return el("span", { class: result.passed ? "met" : "failed" },
      `${result.passed ? "\u2713" : "\u2717"} ${names[i]}: ${word} (${result.passes} of ${
        asked(result)})`);
  }

  // Its answers are laid out when it is opened: there may be thousands of cases.
  function shown({ name, input, expect, needed, results }) {
    const seeds = asked(results[0]);
    const fill = (box) => {
      if (box.childElementCount > 1) return;
      box.append(
        input ? el("div", { class: "answer" }, input) : null,
        el("p", { class: "hint" }, `Expected: ${expect.join("; ")}${
          seeds > 1 ? ` \u2013 with ${needed} of ${plural(seeds, "seed")}` : ""}`),
        el("div", { class: "sides" }, ...results.map(side)));
    };
    return el("details", { ontoggle: ({ currentTarget }) => fill(currentTarget), class: "case" },
      el("summary", {}, el("strong", {}, el("bdi", {}, name)), " ",
        el("span", { class: "marks" }, ...results.map(mark))));
  }

  const kinds = {
    "all cases": () => true,
    "some variant failed": ({ results }) => results.some(({ passed }) => !passed),
    "variants differ": ({ results }) => new Set(results.map(({ passed }) => passed)).size > 1,
    "not every time": ({ results }) => results.some(flaky),
    "all variants failed": ({ results }) => results.every(({ passed }) => !passed),
  };
  const boxes = cases.map(shown);
  const choice = el("select", { id: "kind", onchange: choose },
    ...Object.entries(kinds).map(([name, holds]) =>
      el("option", { value: name }, `${name} (${cases.filter(holds).length})`)));

  function choose() {
    const wanted = cases.map(kinds[choice.value]);
    boxes.forEach((box, i) => { box.hidden = !wanted[i]; });
    at("count").textContent = `${plural(wanted.filter(Boolean).length, "case")} of ${cases.length}`;
  }

  const counts = cases.map(({ results }) => asked(results[0])).sort((a, b) => a - b);
  const [least, most] = [counts[0], counts.at(-1)];
  at("facts").textContent = [plural(cases.length, "case"), plural(names.length, "variant"),
    `${least < most ? "up to " : ""}${plural(most, "answer")} to each`].join(", ");
  at("choices").append(el("label", {}, el("span", {}, "Show"), choice));
  at("cases").append(...boxes);
  addEventListener("beforeprint", () => boxes.forEach((box) =>
    box.dispatchEvent(new Event("toggle"))));
  choose();
})();

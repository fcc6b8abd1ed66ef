// What the pages of evaluate share: standings, what pairs show, and a list to choose from.
"use strict";
llmparams.report = (() => {
  const { at, el, svg, plural, percent, shortened, head, body, boxed } = llmparams.elements;
  const WIDTH = 640, ROW = 42, EDGE = 24, LONGEST = 48;

  // A dot for each share, on a line from end to end of its interval, under its name.
  function dots(names, { title, note, shares, intervals }) {
    const foot = names.length * ROW + 2, x = (share) => EDGE + share * (WIDTH - 2 * EDGE);
    const text = (place, y, words, anchor) =>
      svg("text", { x: place, y, "text-anchor": anchor }, words);
    const told = names.map((name, i) =>
      `${name}: ${percent(shares[i])}, ${intervals[i].map(percent).join(" to ")}`).join("; ");
    const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${foot + 20}`, role: "img",
      "aria-label": title ? `${title}. ${told}` : told },
    ...[0, 0.25, 0.5, 0.75, 1].flatMap((share) => [
      svg("line", { class: "grid", x1: x(share), x2: x(share), y1: 0, y2: foot }),
      text(x(share), foot + 16, `${share * 100}%`, "middle")]),
    ...names.flatMap((name, i) => {
      const y = i * ROW + 27, [low, high] = intervals[i];
      return [text(EDGE + 4, y - 12, shortened(name, LONGEST), "start"),
        svg("line", { class: "line-0", "stroke-width": 3, x1: x(low), x2: x(high), y1: y, y2: y }),
        svg("circle", { class: "run", cx: x(shares[i]), cy: y, r: 5 })];
    }));
    const caption = title ? el("figcaption", {}, el("bdi", {}, title), " ",
      el("small", {}, note)) : null;
    return el("figure", { class: "dots" }, caption, picture);
  }

  // The page's title and all that comes before its list.
  function lead({ title, names, standings, pairs }, facts, caption) {
    at("title").textContent = title;
    at("facts").textContent = facts.join(", ");
    at("standings").append(
      el("div", { class: "inside pictures" },
        ...standings.pictures.map((picture) => dots(names, picture))),
      boxed(caption, head(...standings.head), body(standings.rows)));
    at("pairs").append(...pairs.map(({ text, shown }) =>
      el("li", { class: shown ? "differs" : "" }, text)));
    at("pairs").parentElement.hidden = pairs.length === 0;
  }

  const outcome = (passed) => (passed ? "met" : "failed");
  const mark = (passed, ...words) =>
    el("span", { class: outcome(passed) }, passed ? "\u2713 " : "\u2717 ", ...words);
  const answer = (text) => el("div", { class: "answer" }, text === "" ? "\u2205" : text);

  // A box that is filled when it is opened: there may be thousands.
  function box(title, marks, contents) {
    const fill = ({ currentTarget }) => {
      if (currentTarget.childElementCount > 1) return;
      currentTarget.append(...contents().filter((child) => child !== null));
    };
    return el("details", { ontoggle: fill, class: "case" },
      el("summary", {}, el("strong", {}, el("bdi", {}, title)), " ",
        el("span", { class: "marks" }, ...marks)));
  }

  const failed = ({ passed }) => !passed;
  // By what became of them: `unit` is one of the list, `who` answered, `word` is no success.
  const kinds = (unit, who, word) => ({
    [`all ${unit}s`]: () => true,
    [`some ${who} ${word}`]: ({ results }) => results.some(failed),
    [`${who}s differ`]: ({ results }) => new Set(results.map(({ passed }) => passed)).size > 1,
    [`all ${who}s ${word}`]: ({ results }) => results.every(failed),
  });

  // Boxes of items under a field that chooses the kind of items to show.
  function list(unit, items, boxes, kinds) {
    const choose = () => {
      const wanted = items.map(kinds[choice.value]);
      boxes.forEach((each, i) => { each.hidden = !wanted[i]; });
      at("count").textContent =
        `${plural(wanted.filter(Boolean).length, unit)} of ${items.length}`;
    };
    const choice = el("select", { id: "kind", onchange: choose },
      ...Object.entries(kinds).map(([name, holds]) =>
        el("option", { value: name }, `${name} (${items.filter(holds).length})`)));
    at("items-title").textContent = `${unit[0].toUpperCase()}${unit.slice(1)}s`;
    at("choices").append(el("label", {}, el("span", {}, "Show"), choice));
    at("items").append(...boxes);
    addEventListener("beforeprint", () => boxes.forEach((each) =>
      each.dispatchEvent(new Event("toggle"))));
    choose();
  }

  return { lead, outcome, mark, answer, box, kinds, list };
})();

// Documents of a task that models were asked: what each chose or wrote, and what is right.
"use strict";
(() => {
  const { el, plural, boxed, data } = llmparams.elements;
  const { lead, outcome, mark, answer, box, kinds, list } = llmparams.report;
  const page = data();
  const { names, columns, items } = page;

  const marked = ({ passed, said }, i) => mark(passed, el("bdi", {}, names[i]),
    `: ${passed ? "right" : "wrong"}, `, said === "" ? "\u2205" : el("bdi", {}, said));

  // -- choices ---------------------------------------------------------------------------------

  const heads = () => el("thead", {},
    el("tr", {}, el("th", { scope: "col", rowspan: 2 }, "choice"), ...names.map((name) =>
      el("th", { scope: "colgroup", colspan: columns.length }, el("bdi", {}, name)))),
    el("tr", {}, ...names.flatMap(() => columns.map((words) => el("th", { scope: "col" }, words)))));

  // What a model's columns say of a choice; an arrow points at the one that the model chose.
  const cells = (place, right) => ({ columns: texts, chosen }) => texts.map((each, column) =>
    (chosen[column].includes(place)
      ? el("td", { class: outcome(right) }, el("span", { class: "unseen" }, "chosen: "),
        el("span", { "aria-hidden": "true" }, "\u25b8 "), each[place])
      : el("td", {}, each[place])));

  const choices = ({ choices: texts, places, results }) => boxed(
    "Log probabilities; \u25b8 is what the model chose", heads(),
    el("tbody", { class: "texts" }, ...texts.map((text, place) => {
      const right = places.includes(place);
      return el("tr", {}, el("th", { scope: "row" }, el("bdi", {}, text),
        right ? el("span", { class: "met" }, " \u2713 right") : null),
      ...results.flatMap(cells(place, right)));
    })));

  // -- answers ---------------------------------------------------------------------------------

  const filtered = (whole) => ({ name, passed, text }) => el("div", { class: outcome(passed) },
    el("h4", {}, mark(passed, el("bdi", {}, name), `: ${passed ? "right" : "wrong"}`)),
    text === whole ? null : answer(text));

  const side = (result, i) => el("div", {}, el("h3", {}, el("bdi", {}, names[i])),
    answer(result.answer), ...result.filtered.map(filtered(result.answer)));

  const answers = ({ right, results }) => el("div", { class: "sides" },
    el("div", {}, el("h3", {}, right.length > 1 ? "Right is any of" : "Right is"),
      ...right.map(answer)), ...results.map(side));

  // -- the page --------------------------------------------------------------------------------

  const shown = (item) => box(item.title, item.results.map(marked), () => [
    item.before ? el("details", {}, el("summary", {}, "What comes before it"),
      answer(item.before)) : null,
    answer(item.question), columns ? choices(item) : answers(item)]);

  lead(page, [page.method, plural(names.length, "model")],
    "error: the standard error over documents; the lines above reach as far to each side");
  list("document", items, items.map(shown), kinds("document", "model", "wrong"));
})();

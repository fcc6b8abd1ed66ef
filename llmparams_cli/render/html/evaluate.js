// Cases that variants were asked: who passed what, and every answer.
"use strict";
(() => {
  const { el, plural, data } = llmparams.elements;
  const { lead, outcome, mark, answer, box, kinds, list } = llmparams.report;
  const page = data();
  const { names, items } = page;

  const asked = (result) => result.answers.reduce((sum, { seeds }) => sum + seeds.length, 0);
  const flaky = (result) => result.passes > 0 && result.passes < asked(result);

  function told({ seeds, text, thoughts, stop, failures }) {
    const which = `seed${seeds.length > 1 ? "s" : ""} ${seeds.join(", ")}`;
    return el("div", { class: outcome(!failures.length) },
      el("h4", {}, `${which}: ${failures.length ? "failed" : "passed"}, ${stop}`),
      thoughts ? el("details", {}, el("summary", {}, "Thoughts"), answer(thoughts)) : null,
      answer(text),
      ...failures.map((reason) => el("p", { class: "reason" }, reason)));
  }

  const side = (result, i) => el("div", {}, el("h3", {}, el("bdi", {}, names[i])),
    result.distinct ? el("p", { class: "reason" }, result.distinct) : null,
    ...result.answers.map(told));

  const marked = (result, i) => mark(result.passed, el("bdi", {}, names[i]),
    `: ${result.passed ? "passed" : "failed"} (${result.passes} of ${asked(result)})`);

  function shown({ name, input, expect, needed, results }) {
    const seeds = asked(results[0]);
    return box(name, results.map(marked), () => [
      input ? answer(input) : null,
      el("p", { class: "hint" }, `Expected: ${expect.join("; ")}${
        seeds > 1 ? ` \u2013 with ${needed} of ${plural(seeds, "seed")}` : ""}`),
      el("div", { class: "sides" }, ...results.map(side))]);
  }

  const counts = items.map(({ results }) => asked(results[0])).sort((a, b) => a - b);
  const [least, most] = [counts[0], counts.at(-1)];
  lead(page, [plural(items.length, "case"), plural(names.length, "variant"),
    `${least < most ? "up to " : ""}${plural(most, "answer")} to each`],
  "With 95 % intervals of the share of cases passed");
  list("case", items, items.map(shown), { ...kinds("case", "variant", "failed"),
    "not every time": ({ results }) => results.some(flaky) });
})();

// The page of one answer, from its data.
"use strict";
(() => {
  const { at, el, svg, name, percent, plural, head, boxed } = llmparams.elements;
  const data = llmparams.prepare(llmparams.elements.data());
  const { draws, pieces, own } = data;
  const deciders = (i) =>
    data.settings.filter(({ changed }) => changed && changed.includes(i + 1)).map((s) => s.name);
  const recorded = (i) => llmparams.explain(data, i, own);
  const panel = llmparams.panel((i) => select(i), deciders);
  let selected = 0;

  const tokens = draws.map((draw, i) => {
    const { rows, drawn } = recorded(i);
    return { text: pieces[draw.id], p: rows[0].probabilities[drawn][0], isEnd: draw.is_end,
      isThought: data.thoughts[i] };
  });
  const nodes = tokens.map((token, i) => llmparams.answer.token(i, token, () => select(i, true), [],
    deciders(i).length ? ["decided"] : []));
  const answer = { title: "", tokens, nodes, data };

  // -- the answer ----------------------------------------------------------------------------

  function showTokens() {
    const box = at("tokens");
    box.append(...(nodes.length ? nodes : [el("p", {}, "Nothing was drawn.")]));
    llmparams.answer.keys(box, nodes.length, () => selected, (i) => select(i, true));
    at("legend").append(...llmparams.answer.legend(
      data.thoughts.includes(true),
      el("li", {}, el("span", { class: "token decided" }, "a"), " a setting changed this draw")));
  }

  function showPlot() {
    if (!draws.length) return;
    const lines = draws.map((_, i) => {
      const { rows } = recorded(i);
      return [rows[0].entropy[0], rows.at(-1).entropy[0]];
    });
    const top = Math.max(1, ...lines.flat()), mean = (k) =>
      (lines.reduce((sum, line) => sum + line[k], 0) / lines.length).toFixed(2);
    const bar = (i, value, kind) => svg("rect", {
      class: kind, x: i + 0.1, width: 0.8, y: 1 - value / top, height: value / top });
    const picture = svg("svg", {
      viewBox: `0 0 ${draws.length} 1`, preserveAspectRatio: "none", role: "img",
      "aria-label": `Entropy of ${plural(draws.length, "draw")}: the model's own ${mean(0)} bits on `
        + `average, ${mean(1)} after the stages.`,
    }, ...lines.flatMap(([model, last], i) => [bar(i, model, "model"), bar(i, last, "run")]),
    svg("rect", { id: "here", y: 0, width: 1, height: 1 }));
    picture.addEventListener("click", (event) => {
      const box = picture.getBoundingClientRect();
      select(Math.floor(((event.clientX - box.left) / box.width) * draws.length));
    });
    at("plot").prepend(picture);
    at("plot-title").append("Entropy along the text, 0 to ", `${top.toFixed(2)} bits: `,
      el("span", { class: "key model" }), " the model\u2019s own, ",
      el("span", { class: "key run" }), " after the stages. Click to select a draw.");
  }

  function select(i, focus = false) {
    if (!draws.length) return;
    nodes[selected].setAttribute("tabindex", -1);
    nodes[selected].removeAttribute("aria-current");
    selected = Math.max(0, Math.min(draws.length - 1, i));
    nodes[selected].setAttribute("tabindex", 0);
    nodes[selected].setAttribute("aria-current", "true");
    if (focus) nodes[selected].focus();
    at("here").setAttribute("x", selected);
    history.replaceState(null, "", `#draw-${selected + 1}`);
    panel.show(answer, selected);
  }

  // -- the summary -----------------------------------------------------------------------------

  const jump = (number) => el("a", { href: `#draw-${number}` }, String(number));
  const jumps = (all) => all.slice(0, 50).flatMap((number, i) => [i ? ", " : "", jump(number)])
    .concat(all.length > 50 ? [", \u2026"] : []);

  function effect({ changed }) {
    if (!changed) return [];
    if (!changed.length) return [`changed nothing in ${plural(draws.length, "draw")}`];
    return [`decided ${changed.length} of ${plural(draws.length, "draw")}: `, ...jumps(changed)];
  }

  function ruled() {
    if (!data.ruled) return [];
    const { draws: count, decided, forced, probability } = data.ruled;
    const listed = (numbers) => (numbers.length ? [" (", ...jumps(numbers), ")"] : []);
    return [el("p", { id: "ruled" }, `The grammar decided ${decided.length} of `
      + plural(count, "draw"), ...listed(decided), ` and forced ${forced.length}`,
    ...listed(forced), `; on average it forbade ${percent(probability)} of the model\u2019s `
      + "probability.")];
  }

  function showSettings() {
    const line = (each) => el("tr", {}, el("th", { scope: "row" }, each.name),
      el("td", { class: "text" }, each.value === "" ? "\u2013" : each.value),
      el("td", { class: "text" }, each.origin), el("td", { class: "text" }, ...effect(each)));
    const table = (caption, all) => boxed(caption, head("Setting", "value", "from", "effect"),
      el("tbody", {}, ...all.map(line)));
    const matter = ({ changed, is_default: isDefault }) => changed || !isDefault;
    const count = ({ changed }) => (changed ? changed.length : -1);
    const first = data.settings.filter(matter).sort((a, b) => count(b) - count(a));
    const others = data.settings.filter((each) => !matter(each));
    at("settings").append(
      el("p", { class: "hint" }, "Effect: the setting alone at its neutral value, with the same "
        + "random numbers, would have drawn other tokens at these draws."),
      ...ruled(),
      first.length ? table("Settings that were given, or at work", first)
        : el("p", {}, "No sampling setting is on."),
      el("details", {}, el("summary", {}, `The other ${others.length}, at their defaults`),
        table("At their defaults", others)));
  }

  function showWhatIf() {
    const box = at("what-if");
    box.hidden = !data.what_if.length;
    data.what_if.forEach((each) => {
      box.append(el("h3", {}, `With ${each.changes.join(", ")}`));
      if (each.number === null) {
        const end = each.ends_at ? `, but the text ends after ${each.ends_at}: ${each.stop}`
          : each.goes_on ? ", but the text goes on" : "";
        box.append(el("p", {}, `Every draw is the same${end}.`));
        if (each.text !== null) box.append(comparison(each));
        return;
      }
      const p = (share) => (share === null ? "" : ` (${percent(share)})`);
      const token = (text) => (text ? el("bdi", {}, name(text)) : "the end");
      box.append(el("p", {}, "Draw ", jump(each.number), " is ", token(each.instead),
        `${p(each.instead_probability)} instead of `, token(each.drawn),
        `${p(each.probability)}.`));
      if (each.text !== null) box.append(comparison(each), el("p", {}, `Stopped: ${each.stop}.`));
    });
  }

  function comparison(each) {
    const one = Array.from(data.text), other = Array.from(each.text);
    let same = 0;
    while (same < one.length && one[same] === other[same]) same++;
    const side = (title, chars, tag) => el("div", {}, el("h4", {}, title),
      el("p", { class: "answer", dir: "auto" }, el("span", { class: "same" }, chars.slice(0, same).join("")),
        el(tag, {}, chars.slice(same).join(""))));
    return el("div", { class: "sides" }, side("This run", one, "del"),
      side(`With ${each.changes.join(", ")}`, other, "ins"));
  }

  function showEnd() {
    const items = [`Stopped: ${data.stop}.`];
    if (draws.length) {
      const best = draws.reduce((max, draw, i) => (draw.end[0] > draws[max].end[0] ? i : max), 0);
      const [p, rank] = draws[best].end;
      items.push(el("span", {}, "An end token was likeliest at draw ", jump(best + 1),
        `: ${percent(p)}, rank ${rank}.`));
    }
    data.stop_sequences.forEach(({ text, seen, at: place, number, matched }) => {
      const told = matched ? `matched at character ${place - Array.from(text).length}`
        : seen === text ? "came too"
          : seen ? `the nearest was ${name(seen)}, up to character ${place}`
            : "not even its first character came";
      const by = number === null ? [] : [", by draw ", jump(number)];
      items.push(el("span", {}, `Stop sequence ${name(text)}: ${told}`, ...by, "."));
    });
    at("end").append(el("ul", {}, ...items.map((item) => el("li", {}, item))),
      el("details", {}, el("summary", {}, "The prompt, as the model read it"),
        el("p", { class: "answer", dir: "auto" }, data.prompt)));
  }

  // -- together --------------------------------------------------------------------------------

  at("facts").textContent = [data.model, `seed ${data.seed}`, plural(draws.length, "draw"),
    `stopped: ${data.stop}`].join(" \u00b7 ");
  showTokens();
  showPlot();
  showSettings();
  showWhatIf();
  showEnd();
  at("draw").hidden = !draws.length;
  const fromAddress = () => {
    const found = /^#draw-(\d+)$/.exec(location.hash);
    return found ? Number(found[1]) - 1 : null;
  };
  addEventListener("hashchange", () => {
    const number = fromAddress();
    if (number !== null && number !== selected) select(number, true);
  });
  select(fromAddress() ?? data.start - 1);

  // For other scripts on this page, such as a console: the draw `at` (from 0) with settings.
  llmparams.distribution = (i, settings = {}) =>
    llmparams.explain(data, i, { ...own, ...settings });
})();

// The page of several variants' answers, from its data.
"use strict";
(() => {
  const { at, el, name, percent, plural, boxed, numbers, number, shortened } =
    llmparams.elements;
  const data = llmparams.elements.data();
  const { variants, prompts, rounds, pieces } = data;
  const MANY = 4; // names in a row
  const panel = llmparams.panel((i) => select(column, i));
  let round = 0, reference = 0, column = 0, columns = [];

  // -- the answers side by side ----------------------------------------------------------------

  function draws(answer) {
    if (answer.data && !answer.data.own) llmparams.prepare(Object.assign(answer.data, { pieces }));
    return answer.data;
  }

  const tokensOf = (answer) => {
    const thoughts = new Set(answer.thoughts);
    return answer.tokens.map(([id, p], i) => ({ id, p, text: pieces[id],
      isEnd: answer.ended && i === answer.tokens.length - 1, isThought: thoughts.has(i) }));
  };
  const written = (answer) => answer.tokens.map(([id], i) => (
    answer.ended && i === answer.tokens.length - 1 ? "" : answer.completed[i] ?? pieces[id]));

  function showRound() {
    const all = rounds[round].answers.map(tokensOf);
    columns = all.map((tokens, place) => makeColumn(place, tokens, all[reference]));
    at("columns").replaceChildren(...columns.map((each) => each.box));
    const prompt = prompts[rounds[round].prompt];
    at("prompt").replaceChildren(el("h3", {}, "Prompt"),
      el("p", { class: "answer", dir: "auto", tabindex: 0 }, prompt));
    showForks();
  }

  function makeColumn(place, tokens, others) {
    const answer = rounds[round].answers[place], { name: title } = variants[place];
    const known = variants[reference].name;
    const isReference = place === reference;
    const { added, missing } = llmparams.diff.compare(
      written(rounds[round].answers[reference]), written(answer));
    const parts = isReference ? -1 : tokens.findIndex(({ id }, i) => id !== others[i]?.id);
    const nodes = tokens.map((token, i) => llmparams.answer.token(i, token,
      () => select(place, i, true),
      [...(i === parts ? [`parts from ${known} here`] : []),
        ...(added[i] ? [`not in ${known}`] : [])],
      i === parts ? ["parts"] : []));
    const text = el("div", { class: "tokens", role: "group", "aria-describedby": "keys",
      "aria-label": `The answer of ${title}, token by token`, dir: "auto" },
    ...marked(nodes, added, missing, known));
    if (!nodes.length) text.append(el("p", {}, "Nothing was drawn."));
    const own = { answer: { title, tokens, nodes, data: draws(answer) }, selected: 0, place };
    llmparams.answer.keys(text, nodes.length, () => own.selected, (i) => select(place, i, true));
    if (nodes.length) nodes[0].setAttribute("tabindex", 0);
    const facts = [`seed ${answer.seed}`, plural(tokens.length, "draw"), `stopped: ${answer.stop}`,
      ...(answer.data ? [] : ["text only"])];
    own.box = el("article", { class: "column", "aria-labelledby": `column-${place}` },
      el("h3", { id: `column-${place}` }, el("bdi", {}, title),
        isReference ? el("small", {}, " reference") : null),
      el("p", { class: "hint" }, facts.join(" \u00b7 ")), text);
    return own;
  }

  // Tokens of words that the reference lacks are inserted; its words that are missing, deleted.
  function marked(nodes, added, missing, known) {
    const parts = [];
    const lost = (i) => {
      if (missing.has(i)) parts.push(el("del", {},
        el("span", { class: "unseen" }, ` missing, from ${known}: `),
        ` ${missing.get(i).join(" ")}`, el("span", { class: "unseen" }, ", end of what is missing ")));
    };
    nodes.forEach((node, i) => {
      lost(i);
      if (!added[i]) parts.push(node);
      else if (i && added[i - 1] && !missing.has(i)) parts.at(-1).append(node);
      else parts.push(el("ins", {}, node));
    });
    lost(nodes.length);
    return parts;
  }

  // Select draw `i` (from 0) of the answer in this column.
  function select(place, i, focus = false) {
    const next = columns[place], { nodes } = next.answer;
    if (!nodes.length) return;
    columns.forEach((each) => each.answer.nodes.forEach((node) =>
      node.removeAttribute("aria-current")));
    nodes[next.selected].setAttribute("tabindex", -1);
    column = place;
    next.selected = Math.max(0, Math.min(nodes.length - 1, i));
    nodes[next.selected].setAttribute("tabindex", 0);
    nodes[next.selected].setAttribute("aria-current", "true");
    if (focus) nodes[next.selected].focus();
    history.replaceState(null, "", address(place, next.selected + 1));
    panel.show(next.answer, next.selected);
  }

  const address = (place, number_) => `#answer-${round + 1}-${place + 1}-${number_}`;

  // -- what is shown ---------------------------------------------------------------------------

  // A select with these [value, text] pairs.
  function choice(id, title, pairs, chosen, onchange) {
    const box = el("select", { id, onchange: () => onchange(Number(box.value)) },
      ...pairs.map(([value, text]) => el("option", { value, selected: value === chosen }, text)));
    return el("label", {}, el("span", {}, title), box);
  }

  function show(next, known = reference) {
    round = next;
    reference = known;
    const { selected } = columns[column];
    showRound();
    showChoices();
    select(column, selected);
  }

  function showChoices() {
    const form = at("choices"), { prompt } = rounds[round], parts = [];
    const of = (which) => rounds.flatMap((each, i) => (each.prompt === which ? [i] : []));
    const own = of(prompt), rank = own.indexOf(round);
    if (prompts.length > 1) parts.push(choice("choose-prompt", "Prompt",
      prompts.map((text, i) => [i, shortened(text, 60)]), prompt, (i) => show(of(i)[rank] ?? of(i)[0])));
    if (own.length > 1) parts.push(choice("choose-sample", "Sample",
      own.map((i, sample) => [i, sampleName(rounds[i], sample)]), round, (i) => show(i)));
    parts.push(choice("choose-reference", "Compare with",
      variants.map((variant, i) => [i, variant.name]), reference, (i) => show(round, i)));
    const missing = el("input", { type: "checkbox", id: "missing",
      checked: at("columns").classList.contains("with-missing"),
      onchange: () => at("columns").classList.toggle("with-missing", missing.checked) });
    parts.push(el("label", { class: "check" }, missing, " show the words that are missing, too"));
    form.replaceChildren(...parts);
  }

  function sampleName({ answers }, sample) {
    const seeds = new Set(answers.map((answer) => answer.seed));
    return seeds.size === 1 ? `seed ${answers[0].seed}` : String(sample + 1);
  }

  // -- where they part -------------------------------------------------------------------------

  const jump = (place, number_, text = variants[place].name) =>
    el("a", { href: address(place, number_) }, el("bdi", {}, text));

  // The variants of a branch by their names; many that part again further on only by their number.
  function names(places, number_, forks) {
    const partAgain = forks.some((fork) => fork.number > number_
      && fork.branches.every(([, , some]) => some.every((place) => places.includes(place))));
    return partAgain && places.length > MANY
      ? [jump(places[0], number_, plural(places.length, "variant"))]
      : places.flatMap((place, i) => [i ? ", " : "", jump(place, number_)]);
  }

  function showForks() {
    const { forks } = rounds[round], root = el("ul", { class: "tree" });
    const open = []; // by depth: the branches of the last fork, with their items
    forks.forEach(({ number: at_, before, depth, branches }) => {
      const [first] = branches[0][2];
      const items = branches.map(([id, p, places]) => [places, el("li", {},
        id === null ? el("em", {}, "the end") : el("b", {}, el("bdi", {}, name(pieces[id]))),
        p === null ? null : ` ${percent(p)}`, " \u2013 ",
        ...names(places, at_, forks))]);
      const place = before ? ["after ", el("bdi", {}, name(before))] : ["from the start"];
      const fork = el("div", { class: "fork" }, el("p", {}, ...place, `, draw ${at_}:`),
        el("ul", {}, ...items.map(([, item]) => item)));
      if (depth === 0) root.append(el("li", {}, fork));
      else open[depth - 1].find(([places]) => places.includes(first))[1].append(fork);
      open[depth] = items;
    });
    at("tree").replaceChildren(forks.length ? root : el("p", {}, "All these answers are the same."));
  }

  // -- numbers, plots, settings ----------------------------------------------------------------

  const given = data.metrics.filter((metric) => variants.some(({ means }) => means[metric] !== null));

  function showNumbers() {
    const lines = variants.map(({ name: title, means, stops }) => el("tr", {},
      el("th", { scope: "row" }, el("bdi", {}, title)),
      ...numbers(given.map((metric) => number(means[metric]))),
      el("td", { class: "text" },
        Object.entries(stops).map(([reason, count]) => `${count} ${reason}`).join(", "))));
    at("means").append(boxed(rounds.length > 1
      ? `Means over the ${rounds.length} answers of each variant` : "Each variant's answer",
    el("thead", {}, el("tr", {}, ...["Variant", ...given].map((text) =>
      el("th", { scope: "col" }, text)), el("th", { scope: "col", class: "text" }, "stops"))), el("tbody", {}, ...lines)));
  }

  const dots = (place, metric) => rounds.map(({ answers }) => answers[place].metrics[metric])
    .filter((value) => value !== null && value !== undefined);

  function showPlots() {
    const axes = llmparams.plots.axes(variants);
    const drawn = given.filter((metric) => !data.unpictured.includes(metric));
    const draw = (i) => at("pictures").replaceChildren(...llmparams.plots.legend(variants, axes[i]),
      el("div", { class: "pictures" }, ...drawn.map((metric) => el("figure", {},
        el("figcaption", {}, metric),
        llmparams.plots.picture(axes[i], metric, variants, dots)))));
    if (axes.length > 1) at("plot-choice").append(
      choice("choose-axis", "Against", axes.map((axis, i) => [i, axis]), 0, draw));
    at("plots-title").textContent = axes.length === 1 ? `Plots against ${axes[0]}` : "Plots";
    draw(0);
  }

  function showSettings() {
    const lines = data.settings.map(({ name: title, values }) => el("tr", {
      class: new Set(values).size > 1 ? "differs" : null },
    el("th", { scope: "row" }, title),
    ...values.map((value) => el("td", { class: "text" }, value === "" ? "\u2013" : value))));
    at("settings").append(boxed("What was given; all others are at their defaults. Bold: they differ",
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Setting"),
        ...variants.map((variant) => el("th", { scope: "col", class: "text" },
          el("bdi", {}, variant.name))))), el("tbody", {}, ...lines)));
  }

  // -- together --------------------------------------------------------------------------------

  function fromAddress() {
    const found = /^#answer-(\d+)-(\d+)-(\d+)$/.exec(location.hash);
    if (!found) return null;
    const [next, place, i] = found.slice(1).map((each) => Number(each) - 1);
    return rounds[next] && variants[place] ? [next, place, i] : null;
  }

  function go([next, place, i], focus) {
    if (next !== round) show(next);
    select(place, i, focus);
  }

  const answers = rounds.flatMap((each) => each.answers);
  const full = answers.filter((answer) => answer.data).length;
  at("facts").textContent = [data.model, plural(variants.length, "variant"),
    plural(answers.length, "answer"), ...(prompts.length > 1 ? [plural(prompts.length, "prompt")] : []),
  ].join(" \u00b7 ");
  at("bound").hidden = full === answers.length;
  at("bound").textContent = `The draws of ${full} of the ${answers.length} answers are in this page, `
    + "those with the first seed first. The others show their text only, with the probabilities of "
    + "its tokens.";
  at("choices").addEventListener("submit", (event) => event.preventDefault());
  at("legend").append(...llmparams.answer.legend(
    answers.some((answer) => answer.thoughts.length),
    el("li", {}, el("ins", {}, el("span", { class: "token" }, "a")), " not in the reference"),
    el("li", {}, el("span", { class: "token parts" }, "a"), " parts from it here")));
  showRound();
  showChoices();
  showNumbers();
  showPlots();
  showSettings();
  addEventListener("hashchange", () => {
    const found = fromAddress();
    if (found) go(found, true);
  });
  const start = fromAddress() ?? [0, reference, (rounds[0].forks[0]?.number ?? 1) - 1];
  at("draw").hidden = answers.every((answer) => !answer.tokens.length);
  go(start, false);

  // For other scripts on this page, such as a console: the draw `at` (from 0) of a variant's
  // answer in a round, with settings.
  llmparams.distribution = (round_, place, i, settings = {}) => {
    const own = draws(rounds[round_].answers[place]);
    return llmparams.explain(own, i, { ...own.own, ...settings });
  };
})();

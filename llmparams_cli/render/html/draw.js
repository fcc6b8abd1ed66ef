// What became of the model's distribution at one draw of an answer, and under other settings.
"use strict";
llmparams.panel = (select, deciders = null) => {
  const { at, el, name, percent, range, plural, head, boxed, numbers } = llmparams.elements;
  const SHOWN = 12, AGREED = 1e-4;
  const SLIDERS = [
    ["temperature", 0, 2, 0.01, 10], ["top_k", 0, 100, 1, 1e6], ["top_p", 0, 1, 0.01, 1],
    ["min_p", 0, 1, 0.01, 1], ["repeat_penalty", 0.5, 2, 0.01, 10],
    ["frequency_penalty", -2, 2, 0.05, 10], ["presence_penalty", -2, 2, 0.05, 10],
  ];
  const inputs = new Map();
  let answer = null, own = {}, values = {}, selected = 0, showAll = false;

  const piece = (id) => answer.data.pieces[id];
  const isOwn = () => llmparams.NAMES.every((each) => values[each] === own[each]);
  const result = (i) => llmparams.explain(answer.data, i, values);
  const recorded = (i) => llmparams.explain(answer.data, i, own);

  // `answer`: its title, its tokens and their nodes in the page, and its data where the draws
  // were recorded. Other settings stay as they are until another answer is shown.
  function show(next, i) {
    selected = i;
    if (next !== answer) {
      const isOther = !answer || next.data !== answer.data;
      unmark();
      answer = next;
      at("recorded").hidden = !answer.data;
      if (answer.data && isOther) {
        own = answer.data.own;
        values = { ...own };
        showSliders();
      }
      if (answer.data) markImpossible();
    }
    at("previous").disabled = selected === 0;
    at("next").disabled = selected === answer.tokens.length - 1;
    showTitle();
    at("status").textContent = answer.data ? status() : `The model gave it `
      + `${percent(answer.tokens[selected].p)}. This answer's draws are not in the page.`;
    if (answer.data) showDraw();
  }

  function showTitle() {
    const { title, tokens } = answer;
    at("draw-title").replaceChildren(el("a", { href: "#draw" },
      `Draw ${selected + 1} of ${tokens.length}: `, el("bdi", {}, name(tokens[selected].text)),
      ...(title ? [" \u00b7 ", el("bdi", {}, title)] : [])));
  }

  function status() {
    const { rows, draw, drawn } = recorded(selected), by = deciders && deciders(selected);
    const [model, last] = [rows[0], rows.at(-1)], [p, rank] = draw.end;
    return `The model gave it ${percent(model.probabilities[drawn][0])} (rank ${model.rank[0]} of `
      + `${model.kept[0]}); it was drawn with ${percent(last.probabilities[drawn][0])} from `
      + `${plural(last.kept[0], "candidate")}. `
      + (!by ? "" : by.length ? `Changed by ${by.join(", ")}. ` : "No single setting changed it. ")
      + ruling(draw)
      + (draw.is_end ? "It is an end token. " : `An end token had ${percent(p)}, rank ${rank}.`);
  }

  // What the grammar said, where it had a say.
  function ruling({ grammar }) {
    if (!grammar) return "";
    const { removed, left, probability, forced, decided } = grammar;
    return `The grammar forbade ${removed} of ${plural(removed + left, "token")}, which had `
      + `${percent(probability)} together; `
      + (forced ? "forced: none other was left. " : decided ? "the first draw was one of them. "
        : "the first draw was none of them. ");
  }

  function showDraw() {
    const now = result(selected), run = recorded(selected);
    showNotes(now);
    const shown = chosen(now, run);
    at("candidates").replaceChildren(candidateTable(now, run, shown), ...more(run));
    at("stages").replaceChildren(stageTable(now, shown));
    showLedger();
  }

  // The candidates worth a line, the model's best first.
  function chosen({ rows, draw, drawn }, run) {
    const all = draw.ids.map((_, i) => i);
    if (showAll) return all;
    const lists = [run.rows[0], run.rows.at(-1), rows.at(-1)].map((each) => each.probabilities);
    const score = all.map((i) => Math.max(...lists.map((list) => (list[i] ? list[i][1] : 0))));
    const best = [...all].sort((a, b) => score[b] - score[a] || a - b).slice(0, SHOWN);
    return [...new Set([...best, drawn])].sort((a, b) => a - b);
  }

  function more({ draw }) {
    if (draw.ids.length <= SHOWN + 1) return [];
    const text = showAll ? "Show the most probable only" : `Show all ${draw.ids.length} recorded`;
    return [el("button", { type: "button", class: "more", onclick: () => {
      showAll = !showAll;
      showDraw();
    } }, text)];
  }

  function candidate(draw, i, drawn, ...below) {
    const isDrawn = i === drawn;
    return el("th", { scope: "row", class: isDrawn ? "drawn" : null },
      el("bdi", {}, name(piece(draw.ids[i]))), isDrawn ? " drawn" : null,
      draw.grammar && draw.grammar.removes.includes(draw.ids[i]) ? " forbidden" : null, ...below);
  }

  function bar(kind, interval) {
    const [low, high] = interval || [0, 0];
    const inner = el("span", { class: kind });
    const outer = el("span", { class: "meter" }, inner);
    outer.style.setProperty("width", `${high * 100}%`);
    inner.style.setProperty("width", high > 0 ? `${(low / high) * 100}%` : "0");
    return outer;
  }

  function candidateTable(now, run, shown) {
    const sets = [["model", "Model", run.rows[0]], ["run", "This run", run.rows.at(-1)]];
    if (!isOwn()) sets.push(["now", "Other settings", now.rows.at(-1)]);
    const line = (i) => el("tr", {},
      candidate(run.draw, i, run.drawn, el("span", { class: "bars", "aria-hidden": "true" },
        ...sets.map(([kind, , row]) => bar(kind, row.probabilities[i])))),
      ...numbers(sets.map(([, , row]) => range(row.probabilities[i], percent))));
    const caption = "Probability of the candidates; \u00b7 is removed";
    const heads = sets.map(([kind, text]) => el("th", { scope: "col" },
      el("span", { class: `key ${kind}`, "aria-hidden": "true" }), ` ${text}`));
    return boxed(caption, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Token"), ...heads)),
      el("tbody", {}, ...shown.map(line), others(run, shown, sets.map(([, , row]) => row))));
  }

  // What is not on its own line, recorded or not.
  function others({ draw }, shown, rows) {
    const hidden = draw.ids.map((_, i) => i).filter((i) => !shown.includes(i));
    if (!hidden.length && rows.every((row) => !row.rest)) return null;
    const sum = (row) => [0, 1].map((end) => Math.min(1, (row.rest ? row.rest[end] : 0)
      + hidden.reduce((p, i) => p + (row.probabilities[i] ? row.probabilities[i][end] : 0), 0)));
    const share = (row) =>
      (row.rest || hidden.some((i) => row.probabilities[i]) ? range(sum(row), percent) : "\u00b7");
    return el("tr", { class: "others" }, el("th", { scope: "row" }, "all others"),
      ...numbers(rows.map(share)));
  }

  function stageTable({ rows, draw, drawn }, shown) {
    const stages = rows.filter((row) => row.name !== "dist" || rows.length <= 2);
    const fact = (text, show) =>
      el("tr", { class: "fact" }, el("th", { scope: "row" }, text), ...numbers(stages.map(show)));
    const digits = (x) => x.toFixed(2), whole = String;
    return boxed(isOwn() ? "What every stage left, as recorded"
      : "What every stage leaves with the other settings; * is computed here",
    head("", ...stages.map((row) => row.name + (row.computed ? " *" : ""))),
    el("tbody", {},
      fact("candidates left", (row) => range(row.kept, whole)),
      fact("removed", (row) => range(row.cut, percent)),
      fact("entropy, bits", (row) => range(row.entropy, digits, "?")),
      fact("rank of the drawn", (row) =>
        (row.probabilities[drawn] ? range(row.rank, whole, "?") : "\u00b7"))),
    el("tbody", {}, ...shown.map((i) => el("tr", { class: i === drawn ? "drawn" : null },
      candidate(draw, i, drawn),
      ...numbers(stages.map((row) => range(row.probabilities[i], percent))))),
    others({ draw }, shown, stages)));
  }

  function showLedger() {
    const entries = llmparams.ledger(answer.data, selected, values), box = at("penalties");
    const title = el("h3", {}, "Penalties");
    if (entries === null) box.replaceChildren(title, el("p", {},
      "With these settings and this sampler_order, the logits before the penalties are not known."));
    else if (!entries.length) box.replaceChildren();
    else {
      const number = (x) => (x === null ? "-\u221e" : x.toFixed(3)), taken = (x) => (x ? number(-x) : "0");
      const lines = entries.map(([id, count, before, repetition, frequency, presence, after]) =>
        el("tr", {}, el("th", { scope: "row" }, el("bdi", {}, name(piece(id)))),
          ...numbers([String(count), number(before), taken(repetition), taken(frequency),
            taken(presence), number(after)])));
      box.replaceChildren(title, boxed(
        `What the penalties take from logits, over the last ${answer.data.sampler.window} tokens at most`,
        head("Token", "count", "logit", "repetition", "frequency", "presence", "after"),
        el("tbody", {}, ...lines)));
    }
  }

  // -- other settings ------------------------------------------------------------------------

  function showSliders() {
    const form = at("sliders");
    inputs.clear();
    form.replaceChildren();
    SLIDERS.forEach(([key, low, high, step, limit]) => {
      const label = `${key}-label`, why = useless(key);
      const common = { "aria-labelledby": label, "aria-describedby": `${key}-run`, disabled: !!why };
      const slider = el("input", { type: "range", min: Math.min(low, own[key]),
        max: Math.max(high, own[key]), step, ...common });
      const number = el("input", { type: "number", min: low < 0 ? -limit : 0, max: limit,
        step: key === "top_k" ? 1 : "any", ...common });
      [slider, number].forEach((input) => input.addEventListener("input", () => {
        if (input.value === "" || !input.validity.valid) return;
        if (key === "repeat_penalty" && Number(input.value) <= 0) return;
        change({ [key]: Number(input.value) }, input);
      }));
      inputs.set(key, [slider, number]);
      form.append(el("div", { class: "slider" }, el("span", { id: label }, key), slider, number,
        el("small", { id: `${key}-run` }, why || `run: ${own[key]}`)));
    });
    const key = "repeat_penalty_growth", why = useless(key);
    const select_ = el("select", { "aria-labelledby": `${key}-label`, disabled: !!why,
      onchange: () => change({ [key]: select_.value }) },
    ...["once", "exponential"].map((each) => el("option", { value: each }, each)));
    inputs.set(key, [select_]);
    form.append(
      el("div", { class: "slider" }, el("span", { id: `${key}-label` }, key), select_,
        el("small", {}, why || `run: ${own[key]}`)),
      el("p", { class: "buttons" }, el("button", { type: "button", id: "reset",
        onclick: () => change(own) }, "Reset to the run\u2019s settings"),
      el("code", { id: "flags" })));
    fillInputs();
  }

  // Why a value cannot matter in this run, if it cannot.
  function useless(key) {
    const { sampler_order: order, window, mirostat } = answer.data.sampler;
    const stage = /penalty/.test(key) ? "penalties" : key;
    if (stage === "temperature") return "";
    if (!order.includes(stage)) return "sampler_order leaves it out";
    if (stage === "penalties") return window > 0 ? "" : "repeat_last_n is 0";
    return mirostat && own.temperature > 0 ? `mirostat ${mirostat} replaces it` : "";
  }

  function fillInputs(besides) {
    inputs.forEach((group, key) => group.forEach((input) => {
      if (input !== besides) input.value = values[key];
    }));
    const flags = llmparams.NAMES.filter((key) => values[key] !== own[key])
      .map((key) => `--${key.replace(/_/g, "-")} ${values[key]}`);
    at("flags").textContent = flags.join(" ");
    at("reset").disabled = !flags.length;
  }

  function change(new_, besides) {
    values = { ...values, ...new_ };
    fillInputs(besides);
    showDraw();
    markImpossible();
  }

  function showNotes(now) {
    const notes = [], { sampler } = answer.data;
    const fixed = now.leftOut.filter((each) => each !== "dynatemp_range");
    if (fixed.length) notes.push(`${fixed.join(", ")}: left out. It depends on what the changed `
      + "stages leave, which this page does not compute; these are the probabilities without it.");
    if (fixed.length < now.leftOut.length)
      notes.push("dynatemp_range: left out. The temperature is taken as fixed.");
    if (!isOwn() && sampler.grammar)
      notes.push(now.rows.some((row) => row.name === "grammar")
        ? "The grammar allowed the tokens shown here after it had refused the first try. With other "
          + "settings a first try may be allowed, and then come from all tokens."
        : "The first try fitted the grammar. With other settings it may not; then a second one "
          + "comes from what the grammar allows, which is not shown here.");
    const error = llmparams.error(now);
    if (error > AGREED) notes.push(`These probabilities are open by up to ${percent(error)} on either `
      + "side, because of tokens that were not recorded or a cut that is too close to call. They "
      + "are given as ranges.");
    at("notes").replaceChildren(...notes.map((text) => el("p", {}, text)),
      el("p", { id: "impossible" }));
    tellImpossible();
  }

  // Along the whole text: which drawn tokens could not be drawn with the other settings.
  let pending = 0, impossible = 0, checked = true;
  function markImpossible() {
    unmark();
    checked = isOwn();
    let i = 0;
    const { nodes, data: { draws } } = answer, some = () => {
      const until = performance.now() + 30;
      for (; i < draws.length && performance.now() < until; i++) {
        const { rows, drawn } = result(i), gone = !rows.at(-1).probabilities[drawn];
        nodes[i].classList.toggle("impossible", gone);
        impossible += gone;
      }
      if (i < draws.length) pending = setTimeout(some, 0);
      else {
        checked = true;
        tellImpossible();
      }
    };
    if (!checked) pending = setTimeout(some, 0);
    tellImpossible();
  }

  function unmark() {
    clearTimeout(pending);
    if (answer) answer.nodes.forEach((token) => token.classList.remove("impossible"));
    impossible = 0;
  }

  function tellImpossible() {
    const line = at("impossible");
    if (line) line.textContent = isOwn() || !checked ? ""
      : `Of the ${plural(answer.tokens.length, "drawn token")}, ${impossible} could not be drawn `
        + `with these settings${impossible ? "; they are struck out above." : "."}`;
  }

  at("sliders").addEventListener("submit", (event) => event.preventDefault());
  at("previous").addEventListener("click", () => select(selected - 1));
  at("next").addEventListener("click", () => select(selected + 1));
  return { show };
};

// Fills the page from its data. What a model wrote goes in as text nodes, never as markup.
"use strict";
(() => {
  const data = llmparams.prepare(JSON.parse(document.getElementById("data").textContent));
  const { draws, pieces, own } = data;
  const SHOWN = 12, AGREED = 1e-4;
  const SLIDERS = [
    ["temperature", 0, 2, 0.01, 10], ["top_k", 0, 100, 1, 1e6], ["top_p", 0, 1, 0.01, 1],
    ["min_p", 0, 1, 0.01, 1], ["repeat_penalty", 0.5, 2, 0.01, 10],
    ["frequency_penalty", -2, 2, 0.05, 10], ["presence_penalty", -2, 2, 0.05, 10],
  ];
  const LEVELS = [0.05, 0.2, 0.5, 0.9];
  const LEVEL_NAMES = ["below 5%", "5 to 20%", "20 to 50%", "50 to 90%", "90% and more"];
  let selected = 0, values = { ...own }, showAll = false, tokens = [];

  const at = (id) => document.getElementById(id);

  function el(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.filter((child) => child !== null));
    return node;
  }

  const svg = (tag, attributes, ...children) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    Object.entries(attributes).forEach(([name, value]) => node.setAttribute(name, value));
    node.append(...children);
    return node;
  };

  // -- words and numbers ---------------------------------------------------------------------

  const code = (char) => `<${char.codePointAt(0).toString(16).padStart(2, "0")}>`;
  const name = (text) => `"${text.replace(/\n/g, "\\n").replace(/\t/g, "\\t")
    .replace(/[\p{Cf}\p{Zl}\p{Zp}]/gu, code)}"`;
  const piece = (id) => pieces[id];

  function percent(p) {
    const share = p * 100;
    if (share >= 99.95 || share === 0) return `${share.toFixed(0)}%`;
    if (share >= 1) return `${share.toFixed(1)}%`;
    return share >= 0.005 ? `${share.toFixed(2)}%` : `${share.toExponential(0)}%`;
  }
  // A number, or both ends where it is not exact.
  function range(interval, show, none = "\u00b7") {
    if (!interval) return none;
    const [low, high] = interval.map(show);
    return low === high ? low : `${low}\u2013${high}`;
  }
  const middle = (interval) => (interval ? (interval[0] + interval[1]) / 2 : 0);
  const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
  const isOwn = () => llmparams.NAMES.every((each) => values[each] === own[each]);
  const result = (i) => llmparams.explain(data, i, values);
  const recorded = (i) => llmparams.explain(data, i, own);
  const deciders = (i) =>
    data.settings.filter(({ changed }) => changed && changed.includes(i + 1)).map((s) => s.name);

  // -- the answer ----------------------------------------------------------------------------

  const level = (p) => LEVELS.filter((bound) => p >= bound).length;

  function showTokens() {
    const box = at("tokens");
    if (!draws.length) box.append(el("p", {}, "Nothing was drawn."));
    tokens = draws.map((draw, i) => {
      const { rows, drawn } = recorded(i);
      const p = rows[0].probabilities[drawn][0];
      const text = piece(draw.id), by = deciders(i);
      const shown = draw.is_end ? [el("span", { class: "end" }, text)]
        : text.split(/(\n)/).flatMap((part) =>
          (part === "\n" ? [el("span", { class: "mark" }, "\u21b5"), "\n"] : [part]));
      const token = el("span", {
        role: "button", tabindex: -1, class: `token level-${level(p)}${by.length ? " decided" : ""}`,
        "aria-label": `draw ${i + 1}: ${name(text)}, ${percent(p)}${draw.is_end ? ", end token" : ""}`,
        title: `${name(text)} ${percent(p)}`,
        onclick: () => select(i, true),
      }, ...(text === "" ? ["\u2205"] : shown));
      box.append(token);
      return token;
    });
    box.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: selected - 1, ArrowRight: selected + 1, Home: 0,
        End: draws.length - 1, Enter: selected, " ": selected }[event.key];
      if (step === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      select(step, true);
    });
    const legend = [...LEVEL_NAMES].reverse().map((text, i) =>
      el("li", {}, el("span", { class: `token level-${LEVEL_NAMES.length - 1 - i}` }, "a"), ` ${text}`));
    at("legend").append(
      el("p", {}, "The model\u2019s own probability of the token:"),
      el("ul", { class: "legend" }, ...legend,
        el("li", {}, el("span", { class: "token decided" }, "a"), " a setting changed this draw")),
    );
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

  // -- one draw --------------------------------------------------------------------------------

  function select(i, focus = false) {
    if (!draws.length) return;
    tokens[selected].setAttribute("tabindex", -1);
    tokens[selected].removeAttribute("aria-current");
    selected = Math.max(0, Math.min(draws.length - 1, i));
    tokens[selected].setAttribute("tabindex", 0);
    tokens[selected].setAttribute("aria-current", "true");
    if (focus) tokens[selected].focus();
    at("here").setAttribute("x", selected);
    at("previous").disabled = selected === 0;
    at("next").disabled = selected === draws.length - 1;
    history.replaceState(null, "", `#draw-${selected + 1}`);
    showStatus();
    showDraw();
  }

  function showStatus() {
    const { rows, draw, drawn } = recorded(selected), by = deciders(selected);
    const [model, last] = [rows[0], rows.at(-1)];
    at("draw-title").replaceChildren(el("a", { href: "#draw" },
      `Draw ${selected + 1} of ${draws.length}: `, el("bdi", {}, name(piece(draw.id)))));
    const [p, rank] = draw.end;
    at("status").textContent =
      `The model gave it ${percent(model.probabilities[drawn][0])} (rank ${model.rank[0]} of `
      + `${model.kept[0]}); it was drawn with ${percent(last.probabilities[drawn][0])} from `
      + `${plural(last.kept[0], "candidate")}. `
      + (by.length ? `Changed by ${by.join(", ")}. ` : "No single setting changed it. ")
      + (draw.is_end ? "It is an end token. " : `An end token had ${percent(p)}, rank ${rank}.`);
  }

  function showDraw() {
    if (!draws.length) return;
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

  const head = (...texts) =>
    el("thead", {}, el("tr", {}, ...texts.map((text) => el("th", { scope: "col" }, text))));
  // A wide table scrolls in its own box; the box can be reached with the keyboard.
  const boxed = (caption, ...parts) => el("div", { class: "wide", role: "region", tabindex: 0,
    "aria-label": caption }, el("table", {}, el("caption", {}, caption), ...parts));
  const numbers = (texts) => texts.map((text) => el("td", {}, text));

  function candidate(draw, i, drawn, ...below) {
    const isDrawn = i === drawn;
    return el("th", { scope: "row", class: isDrawn ? "drawn" : null },
      el("bdi", {}, name(piece(draw.ids[i]))), isDrawn ? " drawn" : null, ...below);
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
    const entries = llmparams.ledger(data, selected, values), box = at("penalties");
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
        `What the penalties take from logits, over the last ${data.sampler.window} tokens at most`,
        head("Token", "count", "logit", "repetition", "frequency", "presence", "after"),
        el("tbody", {}, ...lines)));
    }
  }

  // -- other settings --------------------------------------------------------------------------

  const inputs = new Map();

  function showSliders() {
    const form = at("sliders");
    form.addEventListener("submit", (event) => event.preventDefault());
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
    const { sampler_order: order, window, mirostat } = data.sampler;
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
    const notes = [], { sampler } = data;
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
    clearTimeout(pending);
    tokens.forEach((token) => token.classList.remove("impossible"));
    impossible = 0;
    checked = isOwn();
    let i = 0;
    const some = () => {
      const until = performance.now() + 30;
      for (; i < draws.length && performance.now() < until; i++) {
        const { rows, drawn } = result(i), gone = !rows.at(-1).probabilities[drawn];
        tokens[i].classList.toggle("impossible", gone);
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

  function tellImpossible() {
    const line = at("impossible");
    if (line) line.textContent = isOwn() || !checked ? "" : `Of the ${plural(draws.length, "drawn token")}`
      + `, ${impossible} could not be drawn with these settings`
      + (impossible ? "; they are struck out above." : ".");
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
        box.append(el("p", {}, "Every draw is the same."));
        return;
      }
      const p = (share) => (share === null ? "" : ` (${percent(share)})`);
      box.append(el("p", {}, "Draw ", jump(each.number), " is ", el("bdi", {}, name(each.instead)),
        `${p(each.instead_probability)} instead of `, el("bdi", {}, name(each.drawn)),
        `${p(each.probability)}.`));
      if (each.text !== null) box.append(comparison(each));
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
    data.stop_sequences.forEach(({ text, seen, at: place, matched }) => {
      const told = matched ? `matched at character ${place - Array.from(text).length}`
        : seen ? `the nearest was ${name(seen)}, up to character ${place}`
          : "not even its first character came";
      items.push(`Stop sequence ${name(text)}: ${told}.`);
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
  showSliders();
  showSettings();
  showWhatIf();
  showEnd();
  at("draw").hidden = !draws.length;
  at("previous").addEventListener("click", () => select(selected - 1));
  at("next").addEventListener("click", () => select(selected + 1));
  const fromAddress = () => {
    const found = /^#draw-(\d+)$/.exec(location.hash);
    return found ? Number(found[1]) - 1 : null;
  };
  addEventListener("hashchange", () => {
    const number = fromAddress();
    if (number !== null && number !== selected) select(number, true);
  });
  addEventListener("beforeprint", () =>
    document.querySelectorAll("details").forEach((each) => { each.open = true; }));
  select(fromAddress() ?? data.start - 1);

  // For other scripts on this page, such as a console: the draw `at` (from 0) with settings.
  llmparams.distribution = (i, settings = {}) =>
    llmparams.explain(data, i, { ...own, ...settings });
})();

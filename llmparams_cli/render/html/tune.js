// A training run: its curves, its answers at every check, and what changed.
"use strict";
(() => {
  const { at, el, svg, head, body, boxed, data } = llmparams.elements;
  const page = data();
  const { curves, checks, prompts, changes } = page;
  const WIDTH = 720, LOSS = 300, RATE = 80, LEFT = 76, RIGHT = 24, TOP = 14, GAP = 18, FOOT = 40;
  const HEIGHT = TOP + LOSS + GAP + RATE + FOOT;
  const [LOW, HIGH] = curves.limits;
  const LAST = Math.max(1, ...curves.steps.slice(-1), ...checks.map(({ step }) => step));
  const MOST_RATE = Math.max(...curves.rates, 0) * 1.15 || 1;

  const x = (step) => LEFT + (step / LAST) * (WIDTH - LEFT - RIGHT);
  const y = (loss) => TOP + ((HIGH - Math.min(HIGH, loss)) / (HIGH - LOW)) * LOSS;
  const height = (rate) => TOP + LOSS + GAP + (1 - rate / MOST_RATE) * RATE;
  const loss = (value) => (value === null ? "no number" : value.toFixed(3));
  const rate = (value) => {
    if (value === null) return "no number";
    const short = Number(value.toPrecision(3));
    return short === 0 || Math.abs(short) >= 0.001 ? String(short) : short.toExponential();
  };
  const counted = (step) => step.toLocaleString("en");
  const text = (left, top, words, anchor = "middle") =>
    svg("text", { x: left, y: top, "text-anchor": anchor }, words);

  // -- curves --------------------------------------------------------------------------------

  // Round numbers between both, as many as `most`.
  function ticks(low, high, most) {
    const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((digit) => digit * power).find((each) => each >= rough);
    const first = Math.ceil(low / step);
    return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) =>
      Number(((first + i) * step).toPrecision(6)));
  }

  // A line through what is known; where a number is missing, it has a gap.
  function line(steps, values, place, attributes) {
    let pen = "M";
    const path = values.map((value, i) => {
      if (value === null) { pen = "M"; return ""; }
      const part = `${pen}${x(steps[i]).toFixed(1)} ${place(value).toFixed(1)}`;
      pen = "L";
      return part;
    }).join("");
    return svg("path", { d: path || "M0 0", ...attributes });
  }

  function grid() {
    const across = (top) => svg("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: top, y2: top });
    const foot = HEIGHT - FOOT;
    return [
      ...ticks(LOW, HIGH, 6).flatMap((each) =>
        [across(y(each)), text(LEFT - 6, y(each) + 4, String(each), "end")]),
      across(foot), text(LEFT - 6, foot + 4, "0", "end"),
      across(height(MOST_RATE / 1.15)),
      text(LEFT - 6, height(MOST_RATE / 1.15) + 4, rate(MOST_RATE / 1.15), "end"),
      text(LEFT + 4, TOP + LOSS + GAP + 8, "rate", "start"),
      ...ticks(0, LAST, 6).map((each) => text(x(each), foot + 19, counted(each))),
      text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4, "step")];
  }

  function marks() {
    const { best, overfits } = curves;
    if (best === null) return [];
    const left = x(best), before = best > LAST / 4;
    const word = text(left + (before ? -6 : 6), TOP + 12, `kept: step ${counted(best)}`,
      before ? "end" : "start");
    const upright = svg("line", { class: "grid dashed", x1: left, x2: left, y1: TOP, y2: TOP + LOSS });
    if (overfits === null) return [upright, word];
    return [svg("rect", { class: "over", x: left, y: TOP, height: LOSS, width: x(LAST) - left }),
      upright, word, text(x(LAST) - 4, TOP + 12, "overfits", "end")];
  }

  const dots = () => checks.filter((check) => check.loss !== null).map(({ step, loss: value }) =>
    svg("circle", { class: step === curves.best ? "line-1 best" : "line-1 held", cx: x(step),
      cy: y(value), r: step === curves.best ? 6 : 3.5 }));

  const cursor = svg("line", { class: "cursor", y1: TOP, y2: HEIGHT - FOOT, x1: LEFT, x2: LEFT });

  function chart() {
    const first = checks[0], best = checks.find(({ step }) => step === curves.best);
    const told = first && best ? `, held out from ${first.told} to ${best.told}` : "";
    const own = { class: "line-0", fill: "none" };
    return svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img",
      "aria-label": `Loss and learning rate over ${counted(LAST)} steps${told}` },
    ...marks().slice(0, curves.overfits === null ? 0 : 1), ...grid(),
    line(curves.steps, curves.losses, y, { ...own, class: "line-0 faint" }),
    line(curves.steps, curves.smoothed, y, { ...own, "stroke-width": 2 }),
    line(checks.map(({ step }) => step), checks.map((check) => check.loss), y,
      { class: "line-1", fill: "none", "stroke-width": 1.5 }),
    ...dots(), ...marks().slice(curves.overfits === null ? 0 : 1),
    line(curves.steps, curves.rates, height, { ...own, "stroke-width": 1.5 }), cursor);
  }

  const latest = (step) => checks.findLast((check) => check.step <= step);

  function told(step) {
    const found = curves.steps.findIndex((each) => each >= step);
    const place = found < 0 ? curves.steps.length - 1 : found;
    const check = latest(step);
    const parts = [`step ${counted(step)}`];
    if (step > 0 && place >= 0) {
      parts.push(`loss ${loss(curves.losses[place])}`, `smoothed ${loss(curves.smoothed[place])}`);
    }
    if (check) parts.push(`held out ${check.told}${check.step === step ? "" : ` (step ${counted(check.step)})`}`);
    if (step > 0 && place >= 0) parts.push(`rate ${rate(curves.rates[place])}`);
    return parts.join(" \u00b7 ");
  }

  function point(step) {
    cursor.setAttribute("x1", x(step));
    cursor.setAttribute("x2", x(step));
    at("here-told").textContent = told(step);
  }

  const sample = (words, mark) => el("li", {}, svg("svg", { viewBox: "0 0 24 8", class: "sample",
    "aria-hidden": "true" }, mark), ` ${words}`);
  const legend = () => el("ul", { class: "legend" },
    sample(curves.each > 1 ? `loss, mean of ${curves.each} steps` : "loss of each step",
      svg("line", { class: "line-0 faint", x1: 0, x2: 24, y1: 4, y2: 4 })),
    sample("smoothed", svg("line", { class: "line-0", x1: 0, x2: 24, y1: 4, y2: 4 })),
    ...(checks.length ? [sample("held out", svg("circle", { class: "line-1 held", cx: 12, cy: 4, r: 3 }))] : []));

  // -- answers -------------------------------------------------------------------------------

  const answer = (words) => el("div", { class: "answer" }, words === "" ? "\u2205" : words);
  const titled = (words, ...parts) => [el("h3", {}, el("bdi", {}, words)), ...parts];
  const boxes = prompts.map(() => el("div", {}));

  function show(place) {
    const { step, told: held, answers } = checks[place];
    at("slider").querySelector("small").textContent = `step ${counted(step)}, held out ${held}`;
    boxes.forEach((box, i) => box.replaceChildren(answer(answers[i] ?? "")));
    point(step);
  }

  function slider(start) {
    const input = el("input", { type: "range", min: 0, max: checks.length - 1, step: 1, value: start,
      "aria-label": "Check", oninput: () => show(Number(input.value)) });
    return [el("div", { class: "slider" }, el("span", {}, "At the check after"), el("small", {}), input), input];
  }

  // Every answer in a table: what the slider shows one by one, for those who read or print all.
  const all = (prompt, i) => el("details", {}, el("summary", {}, "All answers to ", el("bdi", {}, prompt)),
    boxed("At every check", head("Step", "held out", "answer"), el("tbody", {}, ...checks.map((check) =>
      el("tr", {}, el("th", { scope: "row" }, counted(check.step)), el("td", {}, check.told),
        el("td", { class: "text" }, check.answers[i] ?? ""))))));

  const known = checks.some(({ answers }) => answers.length > 0);

  function fillAnswers(input) {
    at("answers").append(...prompts.flatMap((prompt, i) => titled(prompt, boxes[i])), ...prompts.map(all));
    const picture = at("curves").querySelector("svg");
    const nearest = (step) => checks.reduce((found, check, i) =>
      (Math.abs(check.step - step) < Math.abs(checks[found].step - step) ? i : found), 0);
    picture.addEventListener("click", (event) => {
      input.value = nearest(under(picture, event));
      show(Number(input.value));
    });
  }

  // The step under the pointer.
  function under(picture, { clientX }) {
    const { left, width } = picture.getBoundingClientRect();
    const place = ((clientX - left) / width) * WIDTH;
    return Math.round(Math.min(1, Math.max(0, (place - LEFT) / (WIDTH - LEFT - RIGHT))) * LAST);
  }

  // -- before and after, changes -------------------------------------------------------------

  const side = (name, words) => el("div", {}, el("h4", {}, name), answer(words ?? ""));
  const pair = (prompt, i) => titled(prompt, el("div", { class: "sides" },
    ...(page.before[i] === page.after[i] ? [side("before and after", page.after[i])]
      : [side("before", page.before[i]), side("after", page.after[i])])));

  function heat({ name, cells }) {
    return el("tr", {}, el("th", { scope: "row" }, el("bdi", {}, name)), ...cells.map((cell) => {
      if (!cell) return el("td", {}, "");
      const node = el("td", { class: "heat" }, cell[0]);
      node.style.setProperty("--share", cell[1] ?? 1);
      return node;
    }));
  }

  function fillChanges() {
    const caption = "The norm of the difference by the norm before; of several tensors the mean";
    if (changes.layers.length) {
      at("changes").append(boxed(caption, head("layer", ...changes.kinds),
        el("tbody", {}, ...changes.layers.map(heat))));
    }
    if (changes.more) at("changes").append(el("p", { class: "hint" }, `${changes.more} more layers are left out.`));
    if (changes.outside.length) {
      at("changes").append(boxed("Outside of the layers", head("tensor", "change"),
        el("tbody", {}, ...changes.outside.map(heat))));
    }
    const words = page.untouched ? `${page.untouched} untouched: the same to the bit.` : "";
    if (words) at("changes").append(el("p", { class: "hint" }, words));
    at("changes").parentElement.hidden = at("changes").childElementCount === 0;
  }

  function fillGain() {
    const { head: heads, rows, ratio } = page.measured;
    if (rows.length) at("measured").append(boxed("The loss is in nats a token", head(...heads), body(rows)));
    if (ratio) at("measured").append(el("p", { class: "hint" }, ratio));
    at("pairs").append(...prompts.flatMap(pair));
    at("pairs").parentElement.hidden = rows.length + prompts.length === 0;
  }

  // -- the page ------------------------------------------------------------------------------

  at("title").textContent = page.title;
  at("facts").textContent = page.facts;
  at("kept").textContent = page.kept;
  at("notes").append(...page.warnings.map((words) => el("p", {}, words)));
  at("legend").append(legend());
  at("curves").append(el("figure", {}, chart()));
  const picture = at("curves").querySelector("svg");
  picture.addEventListener("pointermove", (event) => point(under(picture, event)));
  at("answers").parentElement.hidden = !known || prompts.length === 0;
  if (known) {
    const start = Math.max(0, checks.findIndex(({ step }) => step === curves.best));
    const [box, input] = slider(start);
    at("slider").append(box);
    fillAnswers(input);
    show(start);
  } else {
    point(curves.best ?? LAST);
  }
  fillGain();
  fillChanges();
  at("plan").append(boxed("The plan", body(page.plan)));
})();

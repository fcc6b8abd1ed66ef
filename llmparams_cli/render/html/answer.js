// An answer as text in which every token can be selected, with the mouse or the arrow keys.
"use strict";
llmparams.answer = (() => {
  const { el, name, percent } = llmparams.elements;
  const LEVELS = [0.05, 0.2, 0.5, 0.9];
  const LEVEL_NAMES = ["below 5%", "5 to 20%", "20 to 50%", "50 to 90%", "90% and more"];

  const level = (p) => LEVELS.filter((bound) => p >= bound).length;

  // The token drawn at `i` (from 0). `remarks` are told after its probability in the model's own
  // distribution.
  function token(i, { text, p, isEnd, isThought }, onclick, remarks = [], classes = []) {
    const shown = isEnd ? [el("span", { class: "end" }, text)]
      : text.split(/(\n)/).flatMap((part) =>
        (part === "\n" ? [el("span", { class: "mark" }, "\u21b5"), "\n"] : [part]));
    const thought = isThought ? ["thought"] : [];
    const told = [`draw ${i + 1}: ${name(text)}`, percent(p), ...(isEnd ? ["end token"] : []),
      ...thought, ...remarks];
    return el("span", {
      role: "button", tabindex: -1,
      class: ["token", `level-${level(p)}`, ...thought, ...classes].join(" "),
      "aria-label": told.join(", "),
      title: [`${name(text)} ${percent(p)}`, ...thought, ...remarks].join(", "),
      onclick,
    }, ...(text === "" ? ["\u2205"] : shown));
  }

  // `current` tells which draw is selected.
  function keys(box, count, current, select) {
    box.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: current() - 1, ArrowRight: current() + 1, Home: 0,
        End: count - 1, Enter: current(), " ": current() }[event.key];
      if (step === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      select(step);
    });
  }

  // `thinks`: is any of the tokens a thought?
  const legend = (thinks, ...more) => [
    el("p", {}, "The model\u2019s own probability of the token:"),
    el("ul", { class: "legend" }, ...[...LEVEL_NAMES].reverse().map((text, i) =>
      el("li", {}, el("span", { class: `token level-${LEVEL_NAMES.length - 1 - i}` }, "a"),
        ` ${text}`)), ...(thinks ? [el("li", {}, el("span", { class: "token thought" }, "a"),
      " a thought, or a mark around thoughts")] : []), ...more),
  ];

  return { token, keys, legend };
})();

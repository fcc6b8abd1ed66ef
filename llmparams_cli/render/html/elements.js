// What the pages are built with. What a model wrote goes in as text nodes, never as markup.
"use strict";
globalThis.llmparams ??= {};
llmparams.elements = (() => {
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

  function percent(p) {
    const share = p * 100;
    if (share >= 99.95 || share === 0) return `${share.toFixed(0)}%`;
    if (share >= 1) return `${share.toFixed(1)}%`;
    if (share >= 0.01) return `${share.toFixed(2)}%`;
    const tiny = share.toExponential(0), decimals = -Number(tiny.split("e")[1]);
    return decimals <= 3 ? `${share.toFixed(decimals)}%` : `${tiny}%`;
  }
  // A number, or both ends where it is not exact.
  function range(interval, show, none = "\u00b7") {
    if (!interval) return none;
    const [low, high] = interval.map(show);
    return low === high ? low : `${low}\u2013${high}`;
  }
  // As in the table that compare prints.
  function number(value) {
    if (value === null || value === undefined) return "-";
    if (Math.abs(value) >= 100 || Number.isInteger(value)) return value.toFixed(0);
    return String(Number(value.toPrecision(3)));
  }
  const shortened = (text, most) => {
    const chars = Array.from(text);
    return chars.length <= most ? text : `${chars.slice(0, most).join("")}\u2026`;
  };
  const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

  const head = (...texts) =>
    el("thead", {}, el("tr", {}, ...texts.map((text) => el("th", { scope: "col" }, text))));
  // A wide table scrolls in its own box; the box can be reached with the keyboard.
  const boxed = (caption, ...parts) => el("div", { class: "wide", role: "region", tabindex: 0,
    "aria-label": caption }, el("table", {}, el("caption", {}, caption), ...parts));
  // A table's rows, each with its heading in the first column.
  const body = (rows) => el("tbody", {}, ...rows.map(([first, ...rest]) => el("tr", {},
    el("th", { scope: "row" }, el("bdi", {}, first)),
    ...rest.map((words) => el("td", {}, el("bdi", {}, words))))));
  const numbers = (texts) => texts.map((text) => el("td", {}, text));

  const data = () => JSON.parse(at("data").textContent);
  addEventListener("beforeprint", () =>
    document.querySelectorAll("details").forEach((each) => { each.open = true; }));

  return { at, el, svg, name, percent, range, number, shortened, plural, head, body,
    boxed, numbers, data };
})();

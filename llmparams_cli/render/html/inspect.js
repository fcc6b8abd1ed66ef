// A model's inside: sections with a picture and a table each.
"use strict";
(() => {
  const { at, el, svg, number, plural, head, body, boxed, data } = llmparams.elements;
  const document_ = data();
  const WIDTH = 640, HEIGHT = 220, FOOT = 20, CELL = 20, NAME = 210, ROW = 22;
  const LONGEST = 32;

  const text = (x, y, words, anchor = "start") => svg("text", { x, y, "text-anchor": anchor }, words);
  const cut = (words) => words.length <= LONGEST ? words : `\u2026${words.slice(1 - LONGEST)}`;
  const titled = (node, words) => { node.append(svg("title", {}, words)); return node; };

  function histogram({ low, high, counts }) {
    const most = Math.max(1, ...counts), step = WIDTH / counts.length;
    return svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT + FOOT}`, role: "img",
      "aria-label": `How many values lie where, from ${low} to ${high}` },
    ...counts.map((count, i) => {
      const height = (count / most) * HEIGHT;
      return titled(svg("rect", { class: "run", x: i * step, y: HEIGHT - height, height,
        width: Math.max(1, step - 1) }), String(count));
    }),
    text(0, HEIGHT + 15, low), text(WIDTH, HEIGHT + 15, high, "end"));
  }

  // A cell for each layer, filled from 0 to the largest of its row.
  function cells({ rows }) {
    const longest = Math.max(...rows.map(({ values }) => values.length));
    const step = Math.min(CELL, (2 * WIDTH - NAME) / longest), width = NAME + step * longest;
    return svg("svg", { viewBox: `0 0 ${width} ${rows.length * ROW}`, role: "img",
      "aria-label": rows.map(({ name, values }) =>
        `${name}: ${number(Math.min(...values))} to ${number(Math.max(...values))}`).join("; ") },
    ...rows.flatMap(({ name, layers, values }, row) => {
      const most = Math.max(...values) || 1;
      return [text(0, row * ROW + 15, cut(name)), ...values.map((value, i) => titled(
        svg("rect", { class: "run", x: NAME + i * step, y: row * ROW + 1, width: step - 1,
          height: ROW - 2, "fill-opacity": 0.08 + 0.92 * (value / most) }),
        `layer ${layers[i]}: ${number(value)}`))];
    }));
  }

  function bars({ names, values }) {
    const most = Math.max(...values) || 1, room = WIDTH - NAME - 60;
    return svg("svg", { viewBox: `0 0 ${WIDTH} ${names.length * ROW}`, role: "img",
      "aria-label": names.map((name, i) => `${name}: ${number(values[i])}`).join("; ") },
    ...names.flatMap((name, i) => [text(0, i * ROW + 15, cut(name)),
      svg("rect", { class: "run", x: NAME, y: i * ROW + 4, height: ROW - 8,
        width: (values[i] / most) * room }),
      text(WIDTH, i * ROW + 15, number(values[i]), "end")]));
  }

  const pictures = { histogram, cells, bars };

  function section({ title, hint, picture, heads, rows, more }) {
    const table = rows.length ? [el("details", { open: rows.length <= 30 },
      el("summary", {}, plural(rows.length, "row")),
      boxed(title, head(...heads), body(rows)),
      more ? el("p", { class: "hint" }, `${more} more are left out.`) : null)] : [];
    return el("section", {}, el("h2", {}, el("bdi", {}, title)), el("p", { class: "hint" }, hint),
      picture ? el("div", { class: "inside pictures" }, el("figure", {},
        pictures[picture.kind](picture))) : null, ...table);
  }

  at("title").textContent = document_.title;
  at("facts").textContent = document_.facts;
  at("sections").append(...document_.sections.map(section));
})();

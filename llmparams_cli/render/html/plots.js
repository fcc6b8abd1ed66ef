// The metrics as pictures: against a parameter with numbers for values, else a bar for each
// variant. Dots are single answers, lines and bars their means.
"use strict";
llmparams.plots = (() => {
  const { el, svg, number, shortened } = llmparams.elements;
  const WIDTH = 300, HEIGHT = 190, LEFT = 48, RIGHT = 14, TOP = 12, BOTTOM = 34;
  const ROW = 34, NAME = 13, LINES = 6;

  // Parameters that have several values, all of them numbers.
  const axes = (variants) => Object.keys(variants[0].values).filter((key) => {
    const all = variants.map((variant) => Number(variant.values[key] ?? NaN));
    return all.every(Number.isFinite) && new Set(all).size > 1;
  });

  const text = (x, y, words, anchor = "middle") =>
    svg("text", { x, y, "text-anchor": anchor }, words);

  const scale = ([low, high], [from, to]) => (value) =>
    from + ((value - low) / (high - low)) * (to - from);

  function extent(values) {
    const low = Math.min(...values), high = Math.max(...values);
    const room = low === high ? Math.abs(low) * 0.1 || 1 : 0;
    return [low - room, high + room];
  }

  // One line for each combination of the other parameters' values.
  function lines(variants, axis) {
    const groups = new Map();
    variants.forEach((variant, place) => {
      const others = Object.entries(variant.values).filter(([key]) => key !== axis)
        .map(([key, value]) => (key === "preset" ? value : `${key}=${value}`)).join(" ");
      if (!groups.has(others)) groups.set(others, []);
      groups.get(others).push({ x: Number(variant.values[axis]), variant, place });
    });
    return [...groups].map(([title, points]) =>
      ({ title, points: points.sort((a, b) => a.x - b.x) }));
  }

  const kind = (i) => `line-${i % LINES}${i >= LINES ? " dashed" : ""}`;

  // `dots(place, metric)` are the numbers of a variant's answers.
  function against(axis, metric, variants, dots) {
    const all = lines(variants, axis);
    const values = variants.flatMap((variant, place) => [variant.means[metric],
      ...dots(place, metric)]).filter((value) => value !== null);
    const ticks = [...new Set(variants.map((variant) => Number(variant.values[axis])))]
      .sort((a, b) => a - b);
    const range = extent(values), marks = [...new Set([Math.min(...values), Math.max(...values)])];
    const x = scale(extent(ticks), [LEFT, WIDTH - RIGHT]);
    const y = scale(range, [HEIGHT - BOTTOM, TOP]);
    const shown = ticks.length <= 6 ? ticks : [ticks[0], ticks.at(-1)];
    const told = all.map(({ title, points }) => (title ? `${title}: ` : "")
      + points.map((point) => `${point.x}: ${number(point.variant.means[metric])}`).join(", "));
    return svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img",
      "aria-label": `${metric} against ${axis}. ${told.join("; ")}` },
    ...marks.map((value) => svg("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT,
      y1: y(value), y2: y(value) })),
    ...marks.map((value) => text(LEFT - 6, y(value) + 4, number(value), "end")),
    ...shown.map((tick) => text(x(tick), HEIGHT - BOTTOM + 15, String(tick))),
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4, axis),
    ...all.flatMap(({ points }, i) => {
      const known = points.filter(({ variant }) => variant.means[metric] !== null);
      return [
        ...points.flatMap((point) => dots(point.place, metric).map((value) =>
          svg("circle", { class: `dot ${kind(i)}`, cx: x(point.x), cy: y(value), r: 2.5 }))),
        svg("polyline", { class: kind(i), points: known.map(({ x: at, variant }) =>
          `${x(at)},${y(variant.means[metric])}`).join(" ") }),
      ];
    }));
  }

  function bars(metric, variants, dots) {
    const values = variants.flatMap((variant, place) => [variant.means[metric],
      ...dots(place, metric)]).filter((value) => value !== null);
    const x = scale(extent([0, ...values]), [2, WIDTH - 60]);
    const told = variants.map(({ name, means }) => `${name}: ${number(means[metric])}`);
    return svg("svg", { viewBox: `0 0 ${WIDTH} ${variants.length * ROW}`, role: "img",
      "aria-label": `${metric}. ${told.join("; ")}` },
    ...variants.flatMap(({ name, means }, place) => {
      const value = means[metric], top = place * ROW;
      const ends = value === null ? [0, 0] : [x(Math.min(0, value)), x(Math.max(0, value))];
      return [
        text(2, top + NAME - 2, shortened(name, 44), "start"),
        svg("rect", { class: "run", x: ends[0], y: top + NAME + 3, height: 12,
          width: ends[1] - ends[0] }),
        ...(dots(place, metric).length < 2 ? [] : dots(place, metric)).map((dot) =>
          svg("circle", { class: "dot", cx: x(dot), cy: top + NAME + 9, r: 2.5 })),
        text(WIDTH - 4, top + NAME + 13, number(value), "end"),
      ];
    }));
  }

  const legend = (variants, axis) => {
    const all = axis ? lines(variants, axis) : [];
    return all.length < 2 ? [] : [el("ul", { class: "legend" }, ...all.map(({ title }, i) =>
      el("li", {}, svg("svg", { viewBox: "0 0 24 8", class: "sample", "aria-hidden": "true" },
        svg("line", { class: kind(i), x1: 0, x2: 24, y1: 4, y2: 4 })),
      " ", el("bdi", {}, title))))];
  };

  const picture = (axis, metric, variants, dots) =>
    (axis ? against(axis, metric, variants, dots) : bars(metric, variants, dots));

  return { axes, legend, picture };
})();

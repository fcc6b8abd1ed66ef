// The sampler's arithmetic for other settings, from the recorded logits.
//
// A run is told up to the first stage that differs; from there on it is computed, in single
// precision where the engine is. Tokens that were not recorded are a rest of which the mass and
// the highest logit are known or bounded. So every number is an interval [low, high]: where both
// ends agree it is exact, and where they do not, the truth lies between. Masses are kept as
// natural logarithms.
"use strict";
globalThis.llmparams = (() => {
  const GONE = 0, MAYBE = 1, SURE = 2;
  const NONE = -Infinity;
  const PARAMETERS = {
    penalties: ["repeat_penalty", "repeat_penalty_growth", "frequency_penalty", "presence_penalty"],
    top_k: ["top_k"], top_p: ["top_p"], min_p: ["min_p"], temperature: ["temperature"],
  };
  const NAMES = Object.values(PARAMETERS).flat();
  const FIRST = ["model", "grammar", "suppress"];
  const WITH_MIROSTAT = ["logit_bias", "penalties", "dry", "temperature"];
  const CHANGE_ARGMAX = ["logit_bias", "penalties", "dry", "typical_p", "xtc"];
  const OFFSETS = ["logit_bias", "dry"];
  const FLOAT = 2 ** -24; // the rounding of one addition in single precision
  const f32 = Math.fround;

  const add = (a, b) => {
    const [low, high] = a < b ? [a, b] : [b, a];
    return low === NONE ? high : high + Math.log1p(Math.exp(low - high));
  };
  const subtract = (a, b) => (b >= a ? NONE : b === NONE ? a : a + Math.log1p(-Math.exp(b - a)));
  const total = (logits) => {
    let best = NONE, sum = 0;
    for (const logit of logits) best = Math.max(best, logit);
    if (best === NONE) return NONE;
    for (const logit of logits) sum += Math.exp(logit - best);
    return best + Math.log(sum);
  };
  // The share of `part` beside `others`.
  const share = (part, others) =>
    part === NONE ? 0 : others === NONE ? 1 : 1 / (1 + Math.exp(others - part));

  // -- what was recorded ------------------------------------------------------------------

  function floats(text) {
    const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
  }

  // Every stage with the logits of all candidates, those that are gone at minus infinity.
  function unpack(draw) {
    let before = [];
    draw.stages.forEach((stage) => {
      const logits = new Float64Array(draw.ids.length).fill(NONE);
      const given = stage.logits === null ? null : floats(stage.logits);
      let next = 0;
      for (let run = 0; run < stage.left.length; run += 2)
        for (let i = stage.left[run]; i < stage.left[run + 1]; i++)
          logits[i] = given ? given[next++] : before[i];
      stage.logits = before = logits;
    });
  }

  // How often each token occurs in the penalties' window before draw `at`.
  function counts(data, at) {
    const { window, history } = data.sampler;
    const drawn = data.draws.slice(Math.max(0, at - window), at).map((draw) => draw.id);
    const missing = Math.max(0, window - drawn.length);
    const all = [...(missing ? history.slice(-missing) : []), ...drawn];
    const found = new Map();
    all.forEach((id) => found.set(id, (found.get(id) || 0) + 1));
    return found;
  }

  // -- the chain --------------------------------------------------------------------------

  function stages(sampler, values) {
    let order = sampler.sampler_order;
    const greedy = values.temperature === 0;
    if (greedy && order.includes("temperature"))
      order = order.slice(0, order.indexOf("temperature"));
    else if (!greedy && sampler.mirostat)
      order = order.filter((name) => WITH_MIROSTAT.includes(name));
    const names = order.filter((name) => isOn(name, sampler, values));
    while (greedy && names.length && !CHANGE_ARGMAX.includes(names.at(-1))) names.pop();
    return [...names, greedy ? "greedy" : sampler.draw];
  }

  function isOn(name, sampler, values) {
    switch (name) {
      case "penalties":
        return sampler.window > 0 && (values.repeat_penalty !== 1
          || values.frequency_penalty !== 0 || values.presence_penalty !== 0);
      case "top_k": return values.top_k > 0;
      case "top_p": return values.top_p < 1;
      case "min_p": return values.min_p > 0;
      case "temperature": return values.temperature !== 1 || sampler.dynatemp_range > 0;
      default: return sampler.on[name];
    }
  }

  const isSame = (name, sampler, values) =>
    (PARAMETERS[name] || []).every((parameter) => values[parameter] === sampler[parameter]);

  // What the penalties take: repetition, frequency, presence.
  function taken(values, logit, count) {
    const { repeat_penalty: repeat, frequency_penalty: frequency } = values;
    let factor = repeat;
    if (values.repeat_penalty_growth === "exponential")
      factor = Math.min(Math.max(repeat ** count, 1e-30), 1e30);
    const repeated = logit <= 0 ? logit * factor : logit / factor;
    return [repeat === 1 ? 0 : logit - repeated, count * frequency, values.presence_penalty];
  }
  const penalised = (values, logit, count) =>
    taken(values, logit, count).reduce((left, part) => left - part, logit);

  // -- a state: candidates with a status and a logit, and the rest -------------------------
  // rest: at least `least` and at most `most` tokens, their mass between `low` and `high`, none
  // of them with a logit above `top`.

  const NO_REST = { least: 0, most: 0, low: NONE, high: NONE, top: NONE };

  function told(data, draw, at) {
    const stage = draw.stages[at];
    const logits = stage.logits.slice();
    const status = Uint8Array.from(logits, (logit) => (logit === NONE ? GONE : SURE));
    const count = stage.kept - status.reduce((n, each) => n + (each === SURE), 0);
    const mass = 1 - Math.exp(total(logits) - stage.log_total);
    const log = (p) => (p > 0 ? Math.log(p) + stage.log_total : NONE);
    const rest = count <= 0 ? NO_REST : {
      least: count, most: count, low: log(mass - 1e-12), high: log(Math.max(mass, 0) + 1e-12),
    };
    if (count > 0) rest.top = Math.min(rest.high, highest(data, draw, at));
    return { logits, status, rest };
  }

  // No token that was not recorded has a higher logit after stage `at`.
  function highest(data, draw, at) {
    const { sampler } = data;
    let top = draw.stages[0].logits[draw.best - 1];
    draw.stages.slice(1, at + 1).forEach(({ name }) => {
      if (name === "logit_bias") top += sampler.highest_bias;
      if (name === "penalties") top = raised(sampler, top, draw.counts.values());
      if (name === "temperature")
        top = sampler.dynatemp_range > 0 ? Infinity : top / sampler.temperature;
    });
    return top;
  }

  const raised = (values, top, numbers) =>
    Math.max(top, ...[...numbers].map((count) => penalised(values, top, count)));

  const places = (state, wanted) =>
    [...state.logits.keys()].filter((i) => state.status[i] >= wanted);
  const mass = (state, chosen) => total(chosen.map((i) => state.logits[i]));

  // -- the stages that are computed --------------------------------------------------------

  const compute = {
    penalties(state, values, data, draw) {
      const known = new Set(draw.ids);
      draw.ids.forEach((id, i) => {
        const count = draw.counts.get(id);
        if (count && state.status[i] !== GONE)
          state.logits[i] = f32(penalised(values, state.logits[i], count));
      });
      const { rest } = state;
      const others = [...draw.counts].filter(([id]) => !known.has(id)).map(([, count]) => count);
      if (rest.most === 0 || others.length === 0) return;
      const each = others.map((count) => penalised(values, rest.top, count));
      const lifted = each.filter((logit) => logit > rest.top);
      state.rest = {
        ...rest,
        low: subtract(rest.low, Math.log(others.length) + rest.top),
        high: add(rest.high, total(lifted)),
        top: Math.max(rest.top, ...each),
      };
    },

    top_k(state, values) {
      const k = values.top_k, { rest } = state;
      const best = places(state, MAYBE).map((i) => state.logits[i]).sort((a, b) => b - a);
      const tie = best[k - 1] === best[k] ? best[k] : null; // which of them stays is open
      decide(state, (i, above) => {
        if (state.logits[i] === tie) return [true, false];
        const hidden = rest.top > state.logits[i] ? rest.most : 0;
        return [above.sure < k, above.any + hidden < k];
      });
      const before = places(state, SURE).filter((i) => state.logits[i] >= rest.top).length;
      if (before >= k) state.rest = NO_REST;
      else {
        const others = places(state, MAYBE).length;
        const all = others + rest.most <= k;
        limit(state, { most: Math.min(rest.most, k), all });
      }
    },

    top_p(state, values) {
      const { rest } = state, p = f32(values.top_p);
      const sure = places(state, SURE), any = places(state, MAYBE);
      const size = any.length + rest.most;
      const everything = add(mass(state, any), rest.high);
      // The engine adds up in single precision, where small terms can be lost.
      const tolerance = 1e-6 + FLOAT * any.length
        + Math.min(share(rest.high, mass(state, sure)), FLOAT * size);
      decide(state, (i, above, from) => {
        const hidden = rest.top > state.logits[i];
        const aboveHigh = hidden ? add(above.anyMass, rest.high) : above.anyMass;
        const fromLow = hidden ? from.sureMass : add(from.sureMass, rest.low);
        const first = above.any === 0 && !hidden;
        return [
          share(above.sureMass, add(from.anyMass, rest.high)) < p + tolerance,
          first || share(aboveHigh, fromLow) < p - tolerance,
        ];
      });
      const before = mass(state, sure.filter((i) => state.logits[i] > rest.top));
      if (share(before, subtract(everything, before)) >= p + tolerance) state.rest = NO_REST;
      else limit(state, { all: false });
    },

    min_p(state, values) {
      const { rest } = state, width = Math.log(values.min_p);
      const top = (chosen) => chosen.reduce((best, i) => Math.max(best, state.logits[i]), NONE);
      const low = top(places(state, SURE));
      const high = Math.max(top(places(state, MAYBE)), rest.most ? rest.top : NONE);
      const tolerance = 4 * FLOAT * (1 + Math.abs(high) + Math.abs(width));
      decide(state, (i) => [
        state.logits[i] >= low + width - tolerance,
        state.logits[i] >= high || state.logits[i] >= high + width + tolerance,
      ]);
      if (rest.top < low + width - tolerance) state.rest = NO_REST;
      else limit(state, { all: false });
    },

    temperature(state, values) {
      const divisor = f32(values.temperature), q = 1 / values.temperature, { rest } = state;
      state.logits = state.logits.map((logit) => f32(logit / divisor));
      if (rest.most === 0) return;
      // Of a given mass, an even spread and a concentrated one are the extremes.
      const count = Math.log(rest.most);
      const even = (logarithm) => count + q * (logarithm - count);
      const steep = (logarithm) => logarithm + (q - 1) * rest.top;
      const [low, high] = q > 1 ? [even, steep] : [steep, even];
      const top = rest.top * q;
      state.rest = {
        ...rest,
        low: rest.low === NONE ? NONE : low(rest.low),
        high: Math.min(high(rest.high), count + top),
        top,
      };
    },

    greedy(state) {
      const { rest } = state;
      const best = places(state, SURE).reduce((top, i) => Math.max(top, state.logits[i]), NONE);
      const rivals = places(state, MAYBE).filter((i) => state.logits[i] >= best);
      const alone = rivals.length === 1 && rest.top <= best;
      decide(state, (i) => [state.logits[i] >= best, alone]);
      if (rest.most && rest.top > best) limit(state, { most: 1, all: false });
      else state.rest = NO_REST;
    },
  };

  // Set every status by [may stay, must stay]. The rule is told how many candidates have a
  // higher logit and their mass, and the mass of the others, from this one on.
  function decide(state, rule) {
    const order = places(state, MAYBE).sort((a, b) => state.logits[b] - state.logits[a] || a - b);
    const isSure = (i) => state.status[i] === SURE;
    let sureMass = NONE, anyMass = NONE;
    const froms = [...order].reverse().map((i) => {
      const own = state.logits[i];
      const from = { sureMass: add(sureMass, own), anyMass: add(anyMass, own) };
      if (isSure(i)) ({ sureMass } = from);
      ({ anyMass } = from);
      return from;
    }).reverse();
    const above = { sure: 0, any: 0, sureMass: NONE, anyMass: NONE };
    const status = state.status.slice();
    order.forEach((i, at) => {
      const [may, must] = rule(i, above, froms[at]);
      if (!may) status[i] = GONE;
      else if (!must) status[i] = MAYBE;
      if (isSure(i)) {
        above.sure++;
        above.sureMass = add(above.sureMass, state.logits[i]);
      }
      above.any++;
      above.anyMass = add(above.anyMass, state.logits[i]);
    });
    state.status = status;
  }

  // Some of the rest may have been removed, unless `all` of it stayed.
  function limit(state, { most = state.rest.most, all }) {
    const { rest } = state;
    if (all || rest.most === 0) return;
    const high = Math.min(rest.high, Math.log(most) + rest.top);
    state.rest = { least: 0, most, low: NONE, high, top: rest.top };
  }

  // A stage that adds the same to a logit whatever the settings: as it was recorded.
  function shift(name, state, data, draw) {
    const at = draw.stages.findIndex((stage) => stage.name === name);
    if (at < 0) return false;
    const before = draw.stages[at - 1].logits, after = draw.stages[at].logits;
    const lift = name === "logit_bias" ? data.sampler.highest_bias : 0;
    let { rest } = state;
    if (rest.most) rest = { ...rest, low: NONE, high: rest.high + lift, top: rest.top + lift };
    places(state, MAYBE).forEach((i) => {
      if (before[i] === NONE) { // its offset was not recorded, so it joins the rest
        const logit = state.logits[i] + lift;
        rest = {
          least: rest.least, most: rest.most + 1, low: rest.low,
          high: add(rest.high, logit), top: Math.max(rest.top, logit),
        };
        state.status[i] = GONE;
        state.unknown.add(i);
      } else if (after[i] === NONE) state.status[i] = GONE;
      else state.logits[i] = f32(state.logits[i] + after[i] - before[i]);
    });
    state.rest = rest;
    return true;
  }

  // -- what is shown of a state -------------------------------------------------------------

  function probabilities(state) {
    const { rest, logits, status } = state;
    const sure = places(state, SURE), maybe = places(state, MAYBE).filter((i) => status[i] < SURE);
    const all = mass(state, sure), possible = mass(state, maybe);
    const result = Array.from(logits, (logit, i) => {
      if (state.unknown.has(i)) return [0, share(rest.high, all)];
      if (status[i] === GONE) return null;
      if (status[i] === MAYBE) return [0, share(logit, add(all, rest.low))];
      const others = subtract(all, logit);
      return [
        share(logit, add(add(others, possible), rest.high)),
        share(logit, add(others, rest.low)),
      ];
    });
    const hidden = [share(rest.low, add(all, possible)), share(rest.high, all)];
    return { probabilities: result, rest: rest.most ? hidden : null };
  }

  function kept(state) {
    const sure = places(state, SURE).length, any = places(state, MAYBE).length;
    return [sure + state.rest.least, any + state.rest.most];
  }

  function rank(state, drawn) {
    if (state.status[drawn] !== SURE) return null;
    const above = (wanted) =>
      places(state, wanted).filter((i) => state.logits[i] > state.logits[drawn]).length;
    const hidden = state.rest.top > state.logits[drawn] ? state.rest.most : 0;
    return [1 + above(SURE), 1 + above(MAYBE) + hidden];
  }

  // In bits; null where it is open which candidates are there.
  function entropy(state) {
    const { rest, logits } = state, sure = places(state, SURE);
    if (places(state, MAYBE).length > sure.length || state.unknown.size) return null;
    const all = mass(state, sure);
    const own = sure.reduce((sum, i) => sum + Math.exp(logits[i] - all) * (all - logits[i]), 0);
    if (rest.most === 0) return [own / Math.LN2, own / Math.LN2];
    const mixed = (r, inner) =>
      (1 - r) * own + r * inner - [r, 1 - r].reduce((h, p) => h + (p > 0 ? p * Math.log(p) : 0), 0);
    const ends = [share(rest.low, all), share(rest.high, all)];
    const inner = [Math.max(0, rest.low - rest.top), Math.log(rest.most)];
    const peak = Math.min(Math.max(1 / (1 + Math.exp(own - inner[1])), ends[0]), ends[1]);
    const low = Math.min(...ends.map((r) => mixed(r, inner[0])));
    return [low / Math.LN2, mixed(peak, inner[1]) / Math.LN2];
  }

  // The share of `before` that is no longer there.
  function cut(before, after) {
    const was = (i) => before.status[i], is = (i) => after.status[i];
    const all = [...before.logits.keys()];
    const weight = (chosen) => mass(before, all.filter(chosen));
    const gone = weight((i) => was(i) === SURE && is(i) === GONE && !after.unknown.has(i));
    const open = weight((i) => was(i) !== GONE && is(i) !== SURE);
    const lost = before.rest.most > after.rest.most || before.rest.least > after.rest.least;
    const left = weight((i) => is(i) === SURE), most = weight((i) => is(i) !== GONE);
    const hidden = lost && after.rest.most === 0 ? before.rest.low : NONE;
    return [
      share(add(gone, hidden), add(most, after.rest.high)),
      share(add(open, lost ? before.rest.high : NONE), left),
    ];
  }

  const REMOVE = ["top_k", "top_p", "min_p", "greedy"];
  const same = (number) => (number === null ? null : [number, number]);

  function row(name, state, before, drawn) {
    const removes = REMOVE.includes(name);
    return {
      name, computed: true, ...probabilities(state),
      kept: kept(state), cut: removes ? cut(before, state) : [0, 0],
      entropy: entropy(state), rank: rank(state, drawn),
    };
  }

  function toldRow(stage, state) {
    return {
      name: stage.name, computed: false,
      probabilities: Array.from(stage.logits, (logit) =>
        (logit === NONE ? null : same(Math.exp(logit - stage.log_total)))),
      rest: state.rest.most ? probabilities(state).rest : null,
      kept: same(stage.kept), cut: same(stage.cut),
      entropy: same(stage.entropy), rank: same(stage.rank),
    };
  }

  // -- all of it ----------------------------------------------------------------------------

  function prepare(data) {
    data.draws.forEach((draw, at) => {
      unpack(draw);
      draw.counts = counts(data, at);
    });
    data.own = Object.fromEntries(NAMES.map((name) => [name, data.sampler[name]]));
    return data;
  }

  // Every stage of draw `at` under `values`, and the names of the stages that are left out.
  function explain(data, at, values) {
    const { sampler } = data, draw = data.draws[at];
    const drawn = draw.ids.indexOf(draw.id);
    const recorded = draw.stages.map((stage) => stage.name);
    const unchanged = NAMES.every((name) => values[name] === sampler[name]);
    const wanted = [
      ...recorded.filter((name) => FIRST.includes(name)), ...stages(sampler, values),
    ];
    let told_ = 0;
    while (told_ < recorded.length && (unchanged || (wanted[told_] === recorded[told_]
      && isSame(wanted[told_], sampler, values)))) told_++;
    const rows = [], leftOut = [];
    let state;
    for (let i = 0; i < told_; i++) {
      state = { ...told(data, draw, i), unknown: new Set() };
      const isGreedy = recorded[i] === "greedy";
      rows.push(isGreedy ? greedily(state, drawn) : toldRow(draw.stages[i], state));
    }
    if (unchanged) return { rows, leftOut, draw, drawn };
    wanted.slice(told_).forEach((name) => {
      const before = state;
      state = { ...before, logits: before.logits.slice(), status: before.status.slice(),
        unknown: new Set(before.unknown) };
      let known = true;
      if (OFFSETS.includes(name)) known = shift(name, state, data, draw);
      else if (compute[name]) compute[name](state, values, data, draw);
      else known = false;
      if (name === "temperature" && sampler.dynatemp_range > 0) leftOut.push("dynatemp_range");
      if (known) rows.push(row(name, state, before, drawn));
      else if (name !== "dist") leftOut.push(name);
    });
    return { rows, leftOut, draw, drawn };
  }

  // At temperature 0 the drawn token was certain, whatever share it had.
  function greedily(state, drawn) {
    const after = { ...state, status: state.status.map((_, i) => (i === drawn ? SURE : GONE)) };
    after.rest = NO_REST;
    return { ...row("greedy", after, state, drawn), computed: false };
  }

  // The penalties' ledger under `values`, from the logits that reach their stage.
  function ledger(data, at, values) {
    const draw = data.draws[at];
    const { sampler } = data;
    if (NAMES.every((name) => values[name] === sampler[name])) return draw.penalties;
    if (!stages(sampler, values).includes("penalties")) return [];
    const order = sampler.sampler_order.slice(0, sampler.sampler_order.indexOf("penalties"));
    const others = order.filter((name) => !OFFSETS.includes(name));
    if (others.some((name) => isOn(name, sampler, values) || isOn(name, sampler, sampler)))
      return null;
    if (isSame("penalties", sampler, values)) return draw.penalties;
    const earlier = draw.stages.filter(({ name }) => FIRST.includes(name) || order.includes(name));
    const logits = earlier.at(-1).logits;
    return draw.ids.flatMap((id, i) => {
      const count = draw.counts.get(id);
      if (!count || logits[i] === NONE) return [];
      const parts = taken(values, logits[i], count);
      return [[id, count, logits[i], ...parts, penalised(values, logits[i], count)]];
    }).sort((a, b) => a[6] - a[2] - (b[6] - b[2]));
  }

  // By how much a probability of the last stage may be wrong when the middle is taken.
  const error = (result) => {
    const last = result.rows.at(-1);
    const all = [...last.probabilities, last.rest].filter(Boolean);
    return Math.max(0, ...all.map(([low, high]) => (high - low) / 2));
  };

  return { prepare, explain, ledger, error, stages, NAMES };
})();

// Which words of one answer are not in another, and which of the other's are missing.
"use strict";
llmparams.diff = (() => {
  const MOST = 2 ** 24; // cells of the table; longer answers are compared at their ends only

  // Words with the places of their first and last token.
  function words(tokens) {
    const starts = [];
    let text = "";
    tokens.forEach((token) => {
      starts.push(text.length);
      text += token;
    });
    const found = [];
    let at = 0;
    for (const match of text.matchAll(/\S+/g)) {
      const end = match.index + match[0].length;
      while (at + 1 < tokens.length && starts[at + 1] <= match.index) at++;
      const first = at;
      while (at + 1 < tokens.length && starts[at + 1] < end) at++;
      found.push({ text: match[0], first, last: at });
    }
    return found;
  }

  // The longest common subsequence, as pairs of places.
  function common(one, other) {
    const same = (i, j) => one[i].text === other[j].text;
    let start = 0, end = 0;
    const most = Math.min(one.length, other.length);
    while (start < most && same(start, start)) start++;
    while (end < most - start && same(one.length - 1 - end, other.length - 1 - end)) end++;
    const pairs = Array.from({ length: start }, (_, i) => [i, i]);
    const rows = one.length - start - end, columns = other.length - start - end;
    if (rows * columns <= MOST) {
      const width = columns + 1, length = new Uint16Array((rows + 1) * width);
      for (let i = rows - 1; i >= 0; i--)
        for (let j = columns - 1; j >= 0; j--)
          length[i * width + j] = same(start + i, start + j) ? length[(i + 1) * width + j + 1] + 1
            : Math.max(length[(i + 1) * width + j], length[i * width + j + 1]);
      for (let i = 0, j = 0; i < rows && j < columns;) {
        if (same(start + i, start + j)) pairs.push([start + i++, start + j++]);
        else if (length[(i + 1) * width + j] >= length[i * width + j + 1]) i++;
        else j++;
      }
    }
    for (let k = end; k > 0; k--) pairs.push([one.length - k, other.length - k]);
    return pairs;
  }

  // `added`: for each token of `other`, whether it has a part in a word that `one` lacks.
  // `missing`: by the place of a token of `other`, the words of `one` that are missing before it.
  function compare(one, other) {
    const before = words(one), after = words(other);
    const added = other.map(() => false), missing = new Map();
    let i = 0, j = 0;
    for (const [a, b] of [...common(before, after), [before.length, after.length]]) {
      const gone = before.slice(i, a).map((word) => word.text);
      const place = j < after.length ? after[j].first : other.length;
      if (gone.length) missing.set(place, gone);
      after.slice(j, b).forEach((word) => added.fill(true, word.first, word.last + 1));
      [i, j] = [a + 1, b + 1];
    }
    return { added, missing };
  }

  return { compare };
})();

// Pages of studies: tables are sorted, filtered and copied; arms are picked out; figures show names on a tap, and are
// saved as PNG. Without this script they are plain. What is sorted, filtered and picked stands in the address, as
// ?TABLE.sort=-3&TABLE.arm=Geometric&arms=mixup.weighted, so that Back and reload show it again and a link can be sent.
"use strict";

(() => {
  const number = (cell) => {
    const text = cell.dataset.value ?? cell.textContent.trim();
    return text === "" ? null : isNaN(text) ? text.toLowerCase() : Number(text);
  };

  // Missing values stay last in either direction; equal ones keep their order.
  const compare = (a, b, sign) => {
    if (a === null || b === null) return (a === null) - (b === null);
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return a < b ? -sign : a > b ? sign : 0;
  };

  // Each part of a page that the address speaks of has a function here that makes it as the address says.
  const restorers = [];
  const kept = (name) => new URLSearchParams(location.search).get(name);
  const remember = (name, value) => {
    const state = new URLSearchParams(location.search);
    if (value) state.set(name, value);
    else state.delete(name);
    const query = state.toString();
    history.replaceState(history.state, "", (query ? `?${query}` : location.pathname) + location.hash);
  };
  const restoring = (restore) => {
    restorers.push(restore);
    restore();
  };
  const choose = (select, value) => {
    select.value = [...select.options].some((option) => option.value === value) ? value : "";
  };

  const makeSortable = (table, name) => {
    const headings = [...[...table.tHead.rows].at(-1).cells];
    const unsorted = [...table.tBodies[0].rows];
    const sort = (column, descending) => {
      for (const heading of headings) heading.removeAttribute("aria-sort");
      const rows = unsorted.map((row) => [column < 0 ? 0 : number(row.cells[column]), row]);
      if (column >= 0) headings[column].setAttribute("aria-sort", descending ? "descending" : "ascending");
      rows.sort((a, b) => compare(a[0], b[0], descending ? -1 : 1));
      table.tBodies[0].append(...rows.map(([, row]) => row));
    };
    headings.forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "ma-sort";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const descending = heading.getAttribute("aria-sort") === "ascending";
        sort(column, descending);
        remember(`${name}.sort`, `${descending ? "-" : ""}${column + 1}`);
      });
    });
    restoring(() => {
      const asked = /^(-?)(\d+)$/.exec(kept(`${name}.sort`) ?? "");
      const column = asked ? Number(asked[2]) - 1 : -1;
      const known = column >= 0 && column < headings.length;
      if (known || headings.some((heading) => heading.hasAttribute("aria-sort"))) sort(known ? column : -1, known && asked[1] === "-");
    });
  };

  // What a row can be found by: its words, and the study's own names of what they call by a title or label.
  const wordsOf = (row) =>
    [row.textContent, row.id, ...[...row.cells].map((cell) => cell.dataset.name ?? "")].join(" ").toLowerCase();

  const makeFilterable = (box, table, name) => {
    const text = box.querySelector("[data-filter-text]");
    const choices = [...box.querySelectorAll("[data-filter]")];
    const output = box.querySelector(".ma-rows");
    if (!text) return;
    const apply = () => {
      const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
      let left = 0;
      for (const row of table.tBodies[0].rows) {
        const all = wordsOf(row);
        const fits =
          choices.every((c) => !c.value || row.getAttribute(`data-${c.dataset.filter}`) === c.value) &&
          words.every((word) => all.includes(word));
        row.hidden = !fits;
        left += fits;
      }
      const total = table.tBodies[0].rows.length;
      output.textContent = left === total ? `${total} rows` : `${left} of ${total} rows`;
    };
    for (const control of [text, ...choices]) {
      const key = `${name}.${control.dataset.filter ?? "text"}`;
      control.addEventListener(control === text ? "input" : "change", () => {
        apply();
        remember(key, control.value);
      });
    }
    restoring(() => {
      text.value = kept(`${name}.text`) ?? "";
      for (const choice of choices) choose(choice, kept(`${name}.${choice.dataset.filter}`));
      apply();
    });
    box.querySelector(".ma-tools").hidden = false;
  };

  // What is copied is what is seen: shown rows in their order, columns set apart by tabs.
  const makeCopyable = (box, table) => {
    const button = box.querySelector(".ma-copy");
    if (!button || !navigator.clipboard) return;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const rows = [[...table.tHead.rows].at(-1), ...[...table.tBodies[0].rows].filter((row) => !row.hidden)];
      const line = (row) => [...row.cells].map((cell) => cell.innerText.replace(/\s+/g, " ").trim()).join("\t");
      await navigator.clipboard.writeText(rows.map(line).join("\n") + "\n");
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 1500);
    });
  };

  // Columns beyond the width of a page are there on demand. Print, and a page without this script, has them all.
  const makeChoosable = (box, table, name) => {
    const button = box.querySelector(".ma-columns");
    if (!button) return;
    const show = (all) => {
      table.classList.toggle("ma-fewer", !all);
      button.setAttribute("aria-pressed", String(all));
    };
    button.addEventListener("click", () => {
      const all = button.getAttribute("aria-pressed") === "false";
      show(all);
      remember(`${name}.columns`, all ? "all" : "");
    });
    box.querySelector(".ma-tools").hidden = false;
    restoring(() => show(kept(`${name}.columns`) === "all"));
  };

  // Whatever scrolls says so in words, and a row that is cut fades. A table that is a little too wide is set tighter.
  const hintAtMore = (region) => {
    const table = region.querySelector("table");
    const [across, down] = ["More columns to the right: scroll sideways.", "More rows below: scroll inside the table."].map((words) => {
      const hint = document.createElement("p");
      hint.className = "ma-more";
      hint.textContent = words;
      return hint;
    });
    region.before(across);
    region.after(down);
    const look = () => {
      if (region.scrollWidth > region.clientWidth + 1) table.classList.add("ma-tight");
      across.hidden = region.scrollWidth <= region.clientWidth + 1;
      down.hidden = region.scrollHeight <= region.clientHeight + 1;
      region.classList.toggle("ma-goes-on", region.scrollTop + region.clientHeight < region.scrollHeight - 2);
    };
    if (region.scrollHeight < 1.25 * region.clientHeight) region.classList.add("ma-whole"); // a few rows more are shown
    for (const one of [table, region]) new ResizeObserver(look).observe(one);
    region.addEventListener("scroll", look, { passive: true });
    look();
  };

  // On a phone the pages of a study stand in one line: it begins with the page that is shown, and fades where it goes on.
  const hintAtPages = (nav) => {
    const look = () => nav.classList.toggle("ma-goes-on", nav.scrollLeft + nav.clientWidth < nav.scrollWidth - 2);
    const current = nav.querySelector("[aria-current]");
    if (current && nav.scrollWidth > nav.clientWidth) nav.scrollLeft = Math.max(0, current.offsetLeft - nav.offsetLeft - nav.clientWidth / 3);
    nav.addEventListener("scroll", look, { passive: true });
    new ResizeObserver(look).observe(nav);
    look();
  };

  // Arms that are picked out stay as they are, in figures and tables; the others step back. Links to the study's other
  // pages take the choice along.
  const makePickable = (box) => {
    const boxes = [...box.querySelectorAll("input")];
    const names = new Set(boxes.map((input) => input.value));
    const links = [...document.querySelectorAll(".ma-nav a, .ma-jump a")].filter((link) => !link.getAttribute("href").startsWith("#"));
    const show = (picked) => {
      const parts = [...document.querySelectorAll("svg [data-arm]")].map((part) => [part.dataset.arm, part]);
      for (const cell of document.querySelectorAll("table.ma tbody [data-name]"))
        if (names.has(cell.dataset.name)) parts.push([cell.dataset.name, cell.closest("tr")]);
      for (const [name, part] of parts) part.classList.toggle("ma-back", picked.length > 0 && !picked.includes(name));
      for (const link of links) link.search = picked.length ? `?arms=${picked.join(",")}` : "";
    };
    box.addEventListener("change", () => {
      const picked = boxes.filter((input) => input.checked).map((input) => input.value);
      show(picked);
      remember("arms", picked.join(","));
    });
    restoring(() => {
      const picked = (kept("arms") ?? "").split(",").filter((name) => names.has(name));
      for (const input of boxes) input.checked = picked.includes(input.value);
      box.open ||= picked.length > 0;
      show(picked);
    });
    box.hidden = false;
  };

  // Which class of images is shown. The hiding is CSS, so that it works without this script.
  const keepClass = (gallery) => {
    const radios = [...gallery.querySelectorAll("input[type=radio]")];
    if (!radios.length) return;
    const key = `${gallery.dataset.name}.class`;
    gallery.addEventListener("change", (event) => {
      if (radios.includes(event.target)) remember(key, event.target.value);
    });
    restoring(() => {
      const asked = radios.find((radio) => radio.value === (kept(key) ?? "")) ?? radios[0];
      asked.checked = true;
    });
  };

  // Of the grids of every arm against every other, the one column of the arm that is chosen as the baseline.
  const makeBaseline = (select) => {
    const show = () => {
      for (const table of document.querySelectorAll("table.ma-each")) {
        const chosen = [...table.tHead.rows[0].cells].findIndex((cell) => cell.dataset.arm === select.value);
        for (const row of table.rows)
          [...row.cells].forEach((cell, place) => (cell.hidden = select.value !== "" && place > 0 && place !== chosen));
      }
    };
    select.addEventListener("change", () => {
      show();
      remember("baseline", select.value);
    });
    restoring(() => {
      choose(select, kept("baseline"));
      show();
    });
    select.closest("[hidden]").hidden = false;
  };

  // The first page in another metric, or with another baseline: a grid and a forest plot, drawn from the numbers that the
  // page holds. What the study declared is what the page was written with; it comes back as it was.
  const MARKS = { better: "\u25b2", worse: "\u25bc", equivalent: "\u25c6" };
  const OPPOSITE = { better: "worse", worse: "better" };
  const escaped = (text) => text.replace(/[&<>"]/g, (mark) => `&#${mark.charCodeAt(0)};`);
  // As `points` of format.py: halves go away from 0, and what is not 0 is not written as 0. Means of numbers with three
  // decimals are exact to half the last one.
  const rounded = (value, scale) => Math.floor(Math.abs(value) * scale + 0.5 + 1e-7) / scale;
  const signed = (value) => {
    if (Math.abs(value) < 6e-4) return "0.0";
    const text = rounded(value, 10) ? rounded(value, 10).toFixed(1) : Math.max(rounded(value, 100), 0.01).toFixed(2);
    return `${value < 0 ? "\u2212" : "+"}${text}`;
  };
  const average = (values) => (values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null);
  const span = ({ low, high }) => (low === null ? "no interval" : `${signed(low)} to ${signed(high)}`);

  // Of numbers that are kept once for two arms, those of the one less the other.
  const turned = (kept, arm, base) => {
    if (`${arm}.${base}` in kept) return [1, kept[`${arm}.${base}`]];
    return [-1, kept[`${base}.${arm}`]];
  };
  const ends = (sign, low, high) => (low === null ? [null, null] : sign > 0 ? [low, high] : [-high, -low]);

  // An arm less the baseline on a data set: effect, ends of its interval, verdict, runs; or the reason why there is none.
  const differenceOf = (metric, set, arm, base) => {
    const [sign, test] = turned(metric.tests[set], arm, base);
    if (!test || test.length === 1) return { effect: null, reason: test ? test[0] : "not part of this study" };
    const others = metric.runs[set][base];
    const runs = metric.runs[set][arm].flatMap((run, i) => (run === null || others[i] === null ? [] : [run - others[i]]));
    const [low, high] = ends(sign, test[0], test[1]);
    const word = sign > 0 ? test[2] : (OPPOSITE[test[2]] ?? test[2]);
    return { effect: average(runs), low, high, runs, word };
  };

  const meanOf = (metric, arm, base, each) => {
    const there = each.filter((one) => one.effect !== null);
    const [sign, mean] = turned(metric.means, arm, base);
    if (!mean) return { effect: average(there.map((one) => one.effect)), low: null, high: null, sets: there.length };
    const [low, high] = ends(sign, mean[1], mean[2]);
    return { effect: sign * mean[0], low, high, sets: mean[3] };
  };

  const cellOf = (one, small, href = "") => {
    if (one.effect === null) return `<td class="ma-effect"><span class="ma-missing" title="${escaped(one.reason ?? "")}">\u2013<span class="ma-hidden"> ${escaped(one.reason ?? "")}</span></span></td>`;
    const mark = MARKS[one.word] ? `<span class="ma-mark" aria-hidden="true">${MARKS[one.word]}</span> ` : "";
    const words = one.word === "not distinguishable" ? "inconclusive" : (one.word ?? "");
    const value = href ? `<a href="${escaped(href)}">${signed(one.effect)}</a>` : signed(one.effect);
    return `<td class="ma-effect ma-v-${(one.word ?? "no-verdict").replace(/ /g, "-")}" title="${span(one)}">${mark}${value}<span class="ma-hidden"> ${words}</span>${small}</td>`;
  };

  // The most replicates that a row of a view rests on: a row of fewer says of how many.
  const mostRuns = (rows) => Math.max(0, ...rows.flatMap(([, each]) => each.map((one) => one.runs?.length ?? 0)));

  // As `figures.differences` draws a panel, below a title of the page's own.
  const panelOf = (numbers, metric, base, set, rows) => {
    const axis = metric.axes[base], labels = numbers.labels, parts = [];
    const at = (value) => axis.start + Math.min(Math.max((value - axis.low) / (axis.high - axis.low), 0), 1) * (axis.end - axis.start);
    const text = (x, y, words, look = "", color = "ink") => parts.push(`<text x="${x}" y="${y}" font-size="11" fill="var(--ma-${color})" ${look}>${escaped(words)}</text>`);
    const line = (x1, y1, x2, y2, color, look = "", title = "") => parts.push(`<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="var(--ma-${color})" ${look}><title>${escaped(title)}</title></line>`);
    const path = (d, color, look, title = "") => parts.push(`<path d="${d}" stroke="var(--ma-${color})" ${look}><title>${escaped(title)}</title></path>`);
    const right = 'text-anchor="end"';
    const most = mostRuns(rows);
    const belows = rows.map(([arm, each]) => {
      const few = each[set].runs && each[set].runs.length < most ? `n = ${each[set].runs.length}` : "";
      return numbers.arms[arm].control ? (few ? `control, ${few}` : "control: copies") : few;
    });
    const heights = rows.map(([arm], i) => 22 + 13 * (numbers.arms[arm].lines.length - 1) + (belows[i] ? 13 : 0));
    const bottom = 8 + heights.reduce((sum, height) => sum + height, 0);
    for (const [value, words] of axis.ticks) {
      line(at(value), 2, at(value), bottom, "rule");
      text(at(value), bottom + 14, words, 'text-anchor="middle"', "muted");
    }
    line(at(0), 2, at(0), bottom, "ink");
    text(0, bottom + 14, "points", "", "muted");
    text(360, bottom + 14, "95 % interval", right, "muted");
    for (const [words, value, look] of linesOf(numbers, metric, base, set))
      if (value >= axis.low && value <= axis.high) line(at(value), 2, at(value), bottom, "muted", `stroke-width="1.5" ${look}`, `${words}: ${signed(value)}`);
    let top = 6;
    rows.forEach(([arm, each], i) => {
      const look = numbers.arms[arm], one = each[set], y = top + heights[i] / 2, up = belows[i] ? 6.5 : 0;
      const said = one.effect === null ? one.reason : `${signed(one.effect)}, ${span(one)}${MARKS[one.word] ? `, ${one.word}` : ""}`;
      top += heights[i];
      parts.push(`<g data-arm="${escaped(look.name)}">`);
      look.lines.forEach((words, k) => text(labels, y - up + (k - (look.lines.length - 1) / 2) * 13 + 4, words, right));
      if (belows[i]) text(labels, y + 6.5 * look.lines.length + 4, belows[i], `${right} font-style="italic"`, "muted");
      if (one.effect === null) text(360, y + 4, one.reason, `${right} font-style="italic"`, "muted");
      else {
        path(one.runs.map((run) => `M${at(run)} ${y + 7}h0`).join(""), look.color, 'fill="none" stroke-width="3.6" stroke-linecap="round"');
        if (one.low !== null) {
          const [x1, x2] = [at(one.low), at(one.high)];
          line(x1, y - 1, x2, y - 1, look.color, 'stroke-width="2"');
          if (one.low < axis.low) path(`M${x1 + 5} ${y - 5}L${x1} ${y - 1}L${x1 + 5} ${y + 3}`, look.color, 'fill="none" stroke-width="2"');
          if (one.high > axis.high) path(`M${x2 - 5} ${y - 5}L${x2} ${y - 1}L${x2 - 5} ${y + 3}`, look.color, 'fill="none" stroke-width="2"');
        }
        const fill = look.hollow ? "page" : look.color;
        path(look.mark, look.color, `transform="translate(${at(one.effect)} ${y - 1})" fill="var(--ma-${fill})" stroke-width="1.75"`, `${look.label}: ${said}`);
        text(axis.values, y + 4, `${MARKS[one.word] ?? ""} ${signed(one.effect)}`.trim(), `${right} font-weight="600"`);
        text(360, y + 4, span(one), right, "muted");
      }
      parts.push("</g>");
    });
    const words = rows.map(([arm, each]) => `${numbers.arms[arm].label}: ${each[set].effect === null ? each[set].reason : `${signed(each[set].effect)}, ${span(each[set])}`}`);
    const level = metric.levels[set][base];
    const majority = metric.majority[set];
    const notes = [level === null ? "" : `${metric.name} of ${numbers.arms[base].label} ${level.toFixed(1)} %`];
    if (majority !== null) notes.push(`of always naming the largest class ${majority.toFixed(1)} %`);
    const note = notes.filter(Boolean).join("; ");
    const title = numbers.sets[set].title;
    return `<div><p class="ma-sheet"><bdi>${escaped(title)}</bdi></p><p class="ma-note">${escaped(note)}</p><svg viewBox="0 0 360 ${bottom + 20}" role="img" aria-label="${escaped(`${title}. ${note}. ${words.join("; ")}.`)}" style="width:100%;max-width:480px;height:auto" font-family="Arial, 'Liberation Sans', Helvetica, system-ui, sans-serif">${parts.join("")}</svg></div>`;
  };

  // Lines across a panel: what they are, where, and how they are drawn.
  const linesOf = (numbers, metric, base, set) => {
    const found = [];
    if (metric.margin !== null) found.push(["the margin", -metric.margin, 'stroke-dasharray="2 2"'], ["the margin", metric.margin, 'stroke-dasharray="2 2"']);
    const level = metric.levels[set][base];
    if (metric.majority[set] !== null && level !== null) found.push(["always naming the largest class", metric.majority[set] - level, 'stroke-dasharray="1 3"']);
    const copies = numbers.arms.flatMap((arm, i) => (arm.control && !numbers.arms[base].control ? [differenceOf(metric, set, i, base).effect] : []));
    if (copies.length === 1 && copies[0] !== null) found.push(["the mean of copies of real images", copies[0], 'stroke-dasharray="5 3"']);
    return found;
  };

  const makeViews = (box) => {
    const numbers = JSON.parse(box.querySelector("script").textContent);
    const selects = ["metric", "baseline"].map((name) => box.querySelector(`[name=${name}]`)).filter(Boolean);
    const written = ["verdicts-table", "differences"].map((id) => document.getElementById(id));
    let places = null; // where it is drawn: a line on what it is, the grid, the forest plot
    const placed = () => {
      const [grid, forest] = ["div", "figure"].map((tag, i) => {
        const made = document.createElement(tag);
        made.className = tag === "div" ? "ma-view" : "ma-fig ma-view";
        written[i].after(made);
        return made;
      });
      const [status, shown] = ["p", "div"].map((tag) => document.createElement(tag));
      status.className = "ma-note";
      status.setAttribute("role", "status");
      grid.append(status, shown);
      return { all: [grid, forest], status, shown, forest };
    };
    const own = numbers.arms[numbers.base].label;
    const draw = (metric, base) => {
      const { status, shown, forest } = (places ??= placed());
      const primary = metric === numbers.metrics[0], declared = base === numbers.base, several = numbers.of > 1;
      const rows = numbers.arms.flatMap((_, arm) => {
        if (arm === base) return [];
        const each = numbers.sets.map((_, set) => differenceOf(metric, set, arm, base));
        return [[arm, each, several ? meanOf(metric, arm, base, each) : each[0]]];
      });
      const isControl = ([arm]) => Number(numbers.arms[arm].control);
      rows.sort((a, b) => isControl(a) - isControl(b) || compare(a[2].effect, b[2].effect, -1));
      const label = escaped(numbers.arms[base].label), words = escaped(metric.words);
      const first = escaped(numbers.metrics[0].words);
      status.innerHTML = [
        primary ? "" : `<strong>Exploratory:</strong> the study\u2019s tests are on ${first}. Intervals here are not corrected, and there is no verdict.`,
        primary || !declared ? "" : ' p is on <a href="significance.html#exploratory">Significance</a>.',
        declared ? "" : ` <strong>Another baseline</strong> than the declared one, \u201c${escaped(own)}\u201d.`,
        !primary || declared ? "" : ` Verdicts are those of <a href="compare.html">Compare</a>: corrected for all pairs of arms, and those of the study\u2019s own comparisons among themselves${several ? "; means have none" : ""}.`,
        ` The answer above is that of the study\u2019s own tests.`,
      ].join("").trim();
      const most = mostRuns(rows), differ = rows.some(([, each]) => each.some((one) => one.runs && one.runs.length < most));
      const count = (one) => (one.runs && one.runs.length < most ? `<small>n = ${one.runs.length}</small>` : "");
      const small = (one) => `<small>${span(one)}${one.sets < numbers.of ? `, ${one.sets} of ${numbers.of}` : ""}</small>${count(one)}`;
      const heads = several ? [`Mean of ${numbers.of} data sets`, ...numbers.sets.map((set) => set.title)] : ["Difference, 95 % interval"];
      const body = rows.map(([arm, each, mean]) => {
        const href = (set) => (declared && !primary ? `${numbers.sets[set].page}#exploratory` : "");
        const cells = several ? [cellOf(mean, mean.effect === null ? "" : small(mean)), ...each.map((one, set) => cellOf(one, count(one), href(set)))] : [cellOf(mean, small(mean), href(0))];
        return `<tr><th scope="row" data-name="${escaped(numbers.arms[arm].name)}"><bdi>${escaped(numbers.arms[arm].label)}</bdi>${numbers.arms[arm].control && !/control/i.test(numbers.arms[arm].label) ? ' <span class="ma-tag">control</span>' : ""}</th>${cells.join("")}</tr>`;
      });
      const caption = `Test ${words}: difference to \u201c${label}\u201d in points${several ? ", means with uncorrected 95 % intervals" : ""}.`;
      shown.innerHTML = `<div class="ma-scroll" role="region" tabindex="0" aria-label="${caption}"><table class="ma ma-grid"><caption>${caption}</caption><thead><tr><th scope="col">Arm</th>${heads.map((head) => `<th scope="col"><bdi>${escaped(head)}</bdi></th>`).join("")}</tr></thead><tbody>${body.join("")}</tbody></table></div>`;
      const drawn = new Set(numbers.sets.flatMap((_, set) => linesOf(numbers, metric, base, set).filter(([, at]) => at >= metric.axes[base].low && at <= metric.axes[base].high).map(([words]) => words)));
      const hollow = numbers.arms.map((arm) => arm.hollow);
      const filling = hollow.includes(true) && hollow.includes(false) ? ", hollow with shuffled batches, filled with weighted ones" : "";
      const there = Object.keys(MARKS).filter((word) => rows.some(([, each]) => each.some((one) => one.word === word)));
      const verdicts = there.length ? ` ${there.map((word) => `${MARKS[word]} ${word}`).join(", ")}, by the corrected test.` : "";
      forest.innerHTML = `<div class="ma-scroll" role="region" tabindex="0" aria-label="${caption}"><div class="ma-figure ma-panels">${numbers.sets.map((_, set) => panelOf(numbers, metric, base, set, rows)).join("")}</div></div><figcaption>Difference to \u201c<bdi>${label}</bdi>\u201d in test ${words}, points${primary ? "" : ": exploratory"}. Mark: mean over replicates${filling}; line: its 95 % interval; dots: each replicate.${verdicts}${differ ? ` n: the replicates that both have, where they are fewer than ${most}.` : ""}${drawn.size ? ` Dashed and dotted: ${[...drawn].join("; ")}.` : ""}</figcaption>`;
      hintAtMore(shown.querySelector(".ma-scroll"));
    };
    restoring(() => {
      for (const select of selects) choose(select, kept(select.name));
      const metric = numbers.metrics.find((one) => one.key === selects[0].value) ?? numbers.metrics[0];
      const chosen = numbers.arms.findIndex((arm) => arm.name === selects[1]?.value);
      const base = chosen < 0 ? numbers.base : chosen;
      const asWritten = metric === numbers.metrics[0] && base === numbers.base;
      if (!asWritten) draw(metric, base);
      for (const one of written) one.hidden = !asWritten;
      for (const one of places?.all ?? []) one.hidden = asWritten;
    });
    for (const select of selects)
      select.addEventListener("change", () => {
        remember(select.name, select.value);
        restorers.forEach((restore) => restore());
      });
    box.hidden = false;
  };

  // A number that stands for several runs leads to the first of its rows; the others are marked with it.
  const markNamedRows = () => {
    const first = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    document.querySelectorAll(".ma-named").forEach((row) => row.classList.remove("ma-named"));
    if (!first || first.tagName !== "TR") return;
    const same = ["data-data-set", "data-arm", "data-sampling"];
    for (const row of first.parentElement.rows) {
      const fits = same.every((name) => row.getAttribute(name) === first.getAttribute(name));
      row.classList.toggle("ma-named", fits);
    }
  };

  // What a pointer shows when it rests on a mark of a figure, a tap shows too.
  const tellOnTap = () => {
    const tip = document.createElement("div");
    tip.className = "ma-tip";
    tip.setAttribute("role", "status");
    document.body.append(tip);
    addEventListener("pointerup", (event) => {
      const mark = event.pointerType === "mouse" ? null : event.target.closest(".ma-figure svg *");
      tip.textContent = mark?.querySelector("title")?.textContent ?? "";
    });
  };

  // A figure's panels as one picture in light colors, two side by side, as in its SVG file. It is drawn from the page, as
  // a file beside a page that was opened by double-click may be shown but not read.
  const NS = "http://www.w3.org/2000/svg";
  const pictureOf = (panels) => {
    const whole = document.createElementNS(NS, "svg");
    const columns = Math.min(2, panels.length), gap = 16, margin = 8;
    let top = margin, across = margin, width = 0, tallest = 0;
    panels.forEach((panel, i) => {
      const copy = panel.cloneNode(true);
      const box = panel.viewBox.baseVal;
      if (i && i % columns === 0) [top, across, tallest] = [top + tallest + gap, margin, 0];
      for (const [name, value] of Object.entries({ x: across, y: top, width: box.width, height: box.height }))
        copy.setAttribute(name, value);
      copy.removeAttribute("style");
      for (const style of copy.querySelectorAll("style"))
        style.textContent = style.textContent.replace(/@media\s*\(prefers-color-scheme:\s*dark\)\{[^{}]*\{[^{}]*\}\s*\}/g, "");
      whole.append(copy);
      across += box.width + gap;
      tallest = Math.max(tallest, box.height);
      width = Math.max(width, across - gap + margin);
    });
    const height = top + tallest + margin;
    whole.setAttribute("width", width);
    whole.setAttribute("height", height);
    return [new XMLSerializer().serializeToString(whole), width, height];
  };

  const pngOf = async (panels) => {
    const [text, width, height] = pictureOf(panels);
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
    await image.decode();
    // Three dots a pixel are 288 a printed inch; phones draw no more than 16 million.
    const scale = Math.min(3, Math.sqrt(16e6 / (width * height)), 16000 / Math.max(width, height));
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [Math.floor(width * scale), Math.floor(height * scale)];
    const brush = canvas.getContext("2d");
    brush.fillStyle = "#fff";
    brush.fillRect(0, 0, canvas.width, canvas.height);
    brush.drawImage(image, 0, 0, canvas.width, canvas.height);
    return new Promise((done) => canvas.toBlob(done, "image/png"));
  };

  const makeSavable = (figure) => {
    const panels = [...figure.querySelectorAll(".ma-figure svg")];
    const links = figure.querySelector(".ma-links");
    if (!panels.length || !links) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "ma-save";
    button.textContent = "PNG";
    button.setAttribute("aria-label", "Save the figure as PNG");
    button.addEventListener("click", async () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await pngOf(panels));
      link.download = `${figure.id}.png`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    });
    links.prepend(button, ", ");
  };
  document.querySelectorAll(".ma-fig").forEach(makeSavable);

  for (const box of document.querySelectorAll(".ma-table")) {
    const table = box.querySelector("table");
    if (!table) continue; // its rows are on other pages
    makeSortable(table, box.dataset.name);
    makeChoosable(box, table, box.dataset.name);
    makeFilterable(box, table, box.dataset.name);
    makeCopyable(box, table);
  }
  document.querySelectorAll(".ma-scroll:has(> table)").forEach(hintAtMore);
  document.querySelectorAll(".ma-nav").forEach(hintAtPages);
  document.querySelectorAll(".ma-views").forEach(makeViews);
  document.querySelectorAll(".ma-arms").forEach(makePickable);
  document.querySelectorAll(".ma-gallery").forEach(keepClass);
  document.querySelectorAll("[data-baseline]").forEach(makeBaseline);
  addEventListener("popstate", () => restorers.forEach((restore) => restore()));
  tellOnTap();
  markNamedRows();
  addEventListener("hashchange", markNamedRows);
})();

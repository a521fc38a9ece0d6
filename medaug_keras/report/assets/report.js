// Tables of study pages: sort by a column, filter rows, copy. Figures: names on a tap, PNG. Without it they are plain.
// How a table is sorted and filtered stands in the address, as ?TABLE.sort=-3&TABLE.arm=Geometric&TABLE.text=weighted, so
// that Back and reload show it again and a link can be sent.
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

  const state = new URLSearchParams(location.search);
  const remember = (name, value) => {
    if (value) state.set(name, value);
    else state.delete(name);
    const query = state.toString();
    history.replaceState(history.state, "", (query ? `?${query}` : location.pathname) + location.hash);
  };

  const makeSortable = (table, name) => {
    const headings = [...table.tHead.rows].at(-1).cells;
    [...headings].forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "ma-sort";
      button.append(...heading.childNodes);
      heading.append(button);
      const sort = (descending) => {
        for (const other of headings) other.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
        const body = table.tBodies[0];
        const rows = [...body.rows].map((row) => [number(row.cells[column]), row]);
        rows.sort((a, b) => compare(a[0], b[0], descending ? -1 : 1));
        body.append(...rows.map(([, row]) => row));
      };
      button.addEventListener("click", () => {
        const descending = heading.getAttribute("aria-sort") === "ascending";
        sort(descending);
        remember(`${name}.sort`, `${descending ? "-" : ""}${column + 1}`);
      });
      const asked = state.get(`${name}.sort`);
      if (asked === `${column + 1}` || asked === `-${column + 1}`) sort(asked[0] === "-");
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
      const asked = state.get(key);
      if (asked && (control === text || [...control.options].some((option) => option.value === asked))) control.value = asked;
    }
    apply();
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
    show(state.get(`${name}.columns`) === "all");
  };

  const hintAtMore = (box) => {
    const region = box.querySelector(".ma-scroll");
    const hint = document.createElement("p");
    hint.className = "ma-more";
    hint.textContent = "More columns to the right: scroll sideways.";
    region.before(hint);
    const look = () => (hint.hidden = region.scrollWidth <= region.clientWidth + 1);
    new ResizeObserver(look).observe(region.firstElementChild);
    new ResizeObserver(look).observe(region);
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
    hintAtMore(box);
    makeFilterable(box, table, box.dataset.name);
    makeCopyable(box, table);
  }
  tellOnTap();
  markNamedRows();
  addEventListener("hashchange", markNamedRows);
})();

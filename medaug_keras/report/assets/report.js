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

  // Arms that are picked out stay as they are, in figures and tables; the others step back. Links to the study's other
  // pages take the choice along.
  const makePickable = (box) => {
    const boxes = [...box.querySelectorAll("input")];
    const names = new Set(boxes.map((input) => input.value));
    const parts = [...document.querySelectorAll("svg [data-arm]")].map((part) => [part.dataset.arm, part]);
    for (const cell of document.querySelectorAll("table.ma tbody [data-name]"))
      if (names.has(cell.dataset.name)) parts.push([cell.dataset.name, cell.closest("tr")]);
    const links = [...document.querySelectorAll(".ma-nav a, .ma-jump a")].filter((link) => !link.getAttribute("href").startsWith("#"));
    const show = (picked) => {
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
  document.querySelectorAll(".ma-arms").forEach(makePickable);
  document.querySelectorAll(".ma-gallery").forEach(keepClass);
  document.querySelectorAll("[data-baseline]").forEach(makeBaseline);
  addEventListener("popstate", () => restorers.forEach((restore) => restore()));
  tellOnTap();
  markNamedRows();
  addEventListener("hashchange", markNamedRows);
})();

"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const page = JSON.parse(document.getElementById("imblens-page").textContent);
  const SIGNAL = page.signal;
  const views = new Map();
  const classTable = document.getElementById("table-of-classes");
  let classRows = Array.from(classTable?.tBodies[0].rows ?? []);  // in their order; of more than 1,000 classes not all are in the page
  let chosen = page.of;
  let settled;  // a promise: the list of errors is drawn
  let cell = "";  // the predicted class of the chosen cell of a matrix

  const all = (what, inside = document) => Array.from(inside.querySelectorAll(what));

  for (const table of all("table[data-of]")) {
    for (const row of table.tBodies[0].rows) row.dataset.class = row.cells[table.dataset.of].textContent;
  }

  // --- charts: the static drawing is shown until the live chart is ready, and again in print

  let unpacked;
  const store = () => unpacked ??= typeof page.columns === "string" ? inflated(page.columns) : Promise.resolve(page.columns);
  const inflated = (text) => {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).json();
  };

  // of more than 1,000 classes, most rows and sentences are unpacked when a class is searched, sorted or chosen
  let unpackedRows;
  const withAllRows = () => unpackedRows ??= inflated(page.more).then(({ rows: texts, places, lines, sentences }) => {
    Object.assign(page, { lines, sentences, more: null });
    const packed = make("template", { innerHTML: texts.join("") }).content;
    const at = new Set(places), [out, kept] = [packed.children, classRows].map((some) => Array.from(some).values());
    classRows = Array.from({ length: texts.length + classRows.length }, (_, place) => (at.has(place) ? out : kept).next().value);
  });

  const rows = async ({ n, columns }) => {
    const keys = Object.keys(columns);
    const known = await store();
    const read = keys.map((key) => {
      const column = known[columns[key]];
      return column.texts ? (i) => column.texts[column.at[i]] : (i) => column[i];
    });
    return Array.from({ length: n }, (_, i) => Object.fromEntries(keys.map((key, k) => [key, read[k](i)])));
  };

  const narrow = (width) => width < 560;
  const legends = (width) => ({
    ...page.config.legend, columns: 1, labelLimit: Math.round(width / 2), layout: { top: { direction: "vertical" } },
  });

  // names that every JavaScript object has carry a space at their end in the rows of charts: Vega groups by name
  const asDrawn = (name) => (name in {} ? name + "\u00a0" : name);
  const asNamed = (text) => (typeof text === "string" && text.endsWith("\u00a0") && text.slice(0, -1) in {}
    ? text.slice(0, -1) : text);

  // on a narrow screen labels take a third at most, titles wrap, legends are one column, and numbers wider than their cell are left out
  function fitted(spec, width, composed) {
    if (!narrow(width)) return spec;
    const third = Math.round(width / 3);
    const wrap = (text) => {
      const lines = [""];
      for (const word of text.split(" ")) {
        if (lines.at(-1) && (lines.at(-1) + word).length > width / 13) lines.push("");
        lines.push([lines.pop(), word].filter(Boolean).join(" "));
      }
      return lines;
    };
    // keep the numbers that fit their cell, at 5.2 pixels a character and 6.6 of the row's name
    const inCells = (layer) => {
      const { x, y, text } = layer.encoding;
      const cells = spec.datasets[(layer.data ?? spec.data)?.name] ?? [];
      const of = (channel) => [...new Set(cells.map((row) => row[channel?.field]))];
      const named = Math.min(third, 6.6 * Math.max(...of(y).map((name) => String(name).length)));
      const most = Math.floor((width - named - 45) / of(x).length / 5.2);
      const lengths = cells.map((row) => row[text?.field]).filter((value) => value !== null && value !== "").map((value) =>
        (typeof value === "string" ? value.length : (text.format ?? "").includes("%") ? 4 : 3));
      const held = lengths.filter((length) => length <= most).length > 0.7 * lengths.length;  // else only a few cells would have one
      layer.transform = [...(layer.transform ?? []), { filter: !held ? "false"
        : typeof cells[0]?.[text?.field] === "string" ? `length(datum[${JSON.stringify(text.field)}]) <= ${most}` : "true" }];
      Object.assign(layer.mark, { fontSize: 9, clip: true });
    };
    const visit = (node, key, above) => {
      if (!node || typeof node !== "object") return;
      if (Array.isArray(node)) return node.forEach((inner) => visit(inner, key, above));
      const titled = node.field || ["axis", "legend", "header"].includes(key);
      if (titled && key !== "tooltip" && node.title && String(node.title).length > width / 13) {
        node.title = [node.title].flat().flatMap(wrap);
      }
      if (key === "legend" && node.columns) node.columns = 1;
      if (node.labelLimit > third) node.labelLimit = third;
      if (key === "axis" && node.orient === "top" && node.labelAngle) Object.assign(node, { labelAngle: -90, labelLimit: 90 });
      if (key === "axis" && above === "y" && composed) {  // "truck (48, 6.2x rarer)" is two lines
        const at = "lastindexof(datum.label, ' (')";
        node.labelExpr = `${at} < 0 ? datum.label : [slice(datum.label, 0, ${at}), slice(datum.label, ${at} + 1)]`;
        node.labelOffset = -6;
      }
      if (node.layer?.some((layer) => layer.mark?.type === "rect" || layer.mark === "rect")) {
        for (const layer of node.layer) if (layer.mark?.type === "text") inCells(layer);
      }
      for (const [inner, value] of Object.entries(node)) if (inner !== "datasets") visit(value, inner, key);
    };
    visit(spec);
    if (composed && spec.height?.step) spec.height.step = Math.max(spec.height.step, 32);
    return spec;
  }

  // --- tooltips, with the image of the instance where there is one

  const tip = make("div", { id: "tip", hidden: true });
  tip.setAttribute("aria-hidden", "true");  // the figure and its table have the same content
  document.body.append(tip);

  function make(tag, properties = {}, ...inside) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...inside);
    return element;
  }

  function tile(split, id) {
    const sheet = page.images;
    const places = sheet && sheet.at[split];
    if (!places || !Object.hasOwn(places, id)) return null;
    const place = places[id];
    const part = (at, of) => `${of > 1 ? (100 * at) / (of - 1) : 0}%`;
    const image = make("span", { className: "pic large" });
    image.style.backgroundPosition =
      `${part(place % sheet.columns, sheet.columns)} ${part(Math.floor(place / sheet.columns), sheet.rows)}`;
    return image;
  }

  const SVG = "http://www.w3.org/2000/svg";

  function preview(split, id) {
    const of = page.previews && page.previews[split];
    if (!of || !Object.hasOwn(of, id)) return null;
    const found = of[id];
    if (Array.isArray(found)) {
      return make("span", { className: "preview" }, ...found.map((text) => make("bdi", { textContent: text })));
    }
    const wave = document.createElementNS(SVG, "svg");
    wave.setAttribute("class", "wave");
    wave.setAttribute("viewBox", `0 0 ${found.width} 32`);
    wave.setAttribute("preserveAspectRatio", "none");
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", found.path);
    wave.append(path);
    return wave;
  }

  function point(_, event, item, value) {
    tip.hidden = !value;
    if (!value) return;
    tip.replaceChildren();
    const datum = (item && item.datum) || {};
    const image = tile(datum.split || "train", datum.id) || preview(datum.split || "train", datum.id);
    if (image) tip.append(image);
    const facts = typeof value === "object" ? Object.entries(value) : [["", value]];
    tip.append(make("dl", { className: "facts" }, ...facts.map(([key, text]) =>
      make("div", {}, make("dt", { textContent: key }), make("dd", {}, make("bdi", { textContent: text }))))));
    const { width, height } = tip.getBoundingClientRect();
    const right = event.clientX + 14 + width > innerWidth ? event.clientX - 14 - width : event.clientX + 14;
    tip.style.left = `${Math.max(4, right)}px`;
    tip.style.top = `${Math.max(4, Math.min(event.clientY + 14, innerHeight - height - 4))}px`;
  }

  // Vega-Lite warns authors of charts that a height in steps cannot fit its container; readers need no warning
  console.warn = () => {};

  async function wake(figure) {
    const chart = page.charts[figure.id];
    if (!chart || figure.dataset.live || !window.vegaEmbed) return;
    figure.dataset.live = "making";
    const box = document.createElement("div");
    box.className = "live making";
    box.setAttribute("aria-hidden", "true");  // the figure around it has the label
    figure.append(box);
    const inputs = document.createElement("div");  // the inputs of a chart are outside the image
    inputs.className = "inputs";
    const drawing = figure.firstElementChild;
    try {
      const spec = structuredClone(chart.spec);
      spec.datasets = {};
      const config = narrow(figure.clientWidth)
        ? { ...page.config, legend: legends(figure.clientWidth) }
        : page.config;
      const drawn = new Set();
      for (const [name, table] of Object.entries(chart.data)) {
        spec.datasets[name] = await rows(table);
        for (const row of spec.datasets[name]) chart.keys.forEach((key) => drawn.add(row[key]));
      }
      fitted(spec, figure.clientWidth, chart.keys[0] === "name");
      const made = await window.vegaEmbed(box, spec, {
        mode: "vega-lite", actions: false, ast: true, logLevel: 0, bind: inputs, tooltip: point,
        renderer: chart.dense ? "canvas" : "svg", config,
      });
      // Vega reports no error here; it draws nothing
      const { height } = box.querySelector("svg, canvas").getBoundingClientRect();
      if (height < 40) throw new Error(`the live chart is ${height} pixels high`);
      drawing.remove();
      box.classList.remove("making");
      if (inputs.childElementCount) figure.after(inputs);
      views.set(figure, { view: made.view, drawing, box, drawn });
      made.view.addEventListener("click", (event, item) => {
        const datum = item && item.datum;
        const name = datum && [datum.name, datum.class, datum.reference].map(asNamed).find((value) => page.classes.includes(value));
        const other = datum && [datum.predicted, datum.adversary].map(asNamed).find((value) => page.classes.includes(value) && value !== name);
        if (name === undefined) return;
        if (other === undefined || !panel) choose(name === chosen && cell === "" ? "" : name);
        else goTo(name, name === chosen && other === cell ? "" : other);
      });
      await follow(figure);
      figure.dataset.live = "yes";
    } catch (error) {
      views.delete(figure);
      box.remove();
      figure.prepend(drawing);
      figure.dataset.live = "no";
      figure.dataset.reason = String(error);
    }
  }

  // a chart follows the chosen class, or states why it cannot
  function follow(figure) {
    const { view, drawn } = views.get(figure);
    figure.parentElement.querySelector(".apart")?.remove();
    const name = asDrawn(chosen);
    if (chosen !== "" && !drawn.has(name)) {
      const why = drawn.size ? `${chosen} is not among the classes of this chart.`
        : `This chart shows all classes together, including ${chosen}.`;
      figure.after(make("p", { className: "key apart", textContent: why }));
    }
    if (view.getState().signals[SIGNAL] !== undefined) {
      return view.signal(SIGNAL, drawn.has(name) ? name : "").runAsync();
    }
  }

  addEventListener("beforeprint", () => {
    for (const [figure, { drawing, box }] of views) box.remove(), figure.append(drawing);
  });
  addEventListener("afterprint", () => {
    root.classList.remove("whole");
    for (const [figure, { drawing, box }] of views) drawing.remove(), figure.append(box);
  });

  addEventListener("beforeprint", () => {
    for (const folded of all("details.in-print:not([open])")) folded.open = true, folded.dataset.folded = "yes";
  });
  addEventListener("afterprint", () => {
    for (const folded of all("details[data-folded]")) folded.open = false, delete folded.dataset.folded;
  });

  // --- one class chosen: charts, lines, rows and the address follow

  const select = document.getElementById("class");
  const alone = !select && page.of !== "";  // the short page of one class
  const box = document.getElementById("chosen");

  function choose(name, write = true, predicted = "") {
    chosen = alone ? page.of : page.classes.includes(name) ? name : "";
    cell = chosen !== "" && chosen === name ? predicted : "";
    if (select) select.value = chosen;
    if (chosen !== "") document.getElementById("hint")?.remove();
    for (const item of all("[data-class]")) {
      const own = item.dataset.class;
      item.classList.toggle("chosen", chosen !== "" && own === chosen);
      item.classList.toggle("other", chosen !== "" && own !== "" && own !== chosen && !item.closest(".classes"));
    }
    for (const table of all(".tables table, .suspects")) {
      const body = all("tbody tr[data-class]", table).filter((row) => row.dataset.class !== "");
      const none = chosen !== "" && body.length > 0 && body.every((row) => row.classList.contains("other"));
      table.classList.toggle("none", none);
      table.dataset.none = none ? `No row of this table is about ${chosen}.` : "";
    }
    for (const list of all(".lines")) {
      const own = list.closest("details.more") ? null : list.closest("section") ?? list;  // the other lines may be below
      const silent = chosen !== "" && own && !all(".lines li[data-class]:not(.other)", own).length;
      list.querySelector(".silent").hidden = !silent;
      if (silent) list.querySelector(".silent").textContent = `No notable findings for ${chosen}.`;
    }
    for (const more of all("details.more")) {
      if (chosen !== "" && all("li.chosen", more).length) more.open = true;
    }
    for (const figure of views.keys()) follow(figure);
    narrowDown();
    lead();
    describe();
    settled = errors();
    if (page.more && chosen !== "") withAllRows().then(() => { narrowDown(); lead(); describe(); });
    if (write && (asked().name !== chosen || asked().cell !== cell)) history.pushState(null, "", address());
  }

  // the address holds the chosen class and the section: "#class=truck&at=lens-adversaries"; Back returns to the previous choice
  const address = (at = "") => chosen === "" && at === "" && page.of === ""
    ? "#" : `#class=${encodeURIComponent(chosen)}` + (cell && `&predicted=${encodeURIComponent(cell)}`) + (at && `&at=${at}`);

  function asked() {
    const [, name, predicted, at] = /^#class=([^&]*)(?:&predicted=([^&]*))?(?:&at=(.*))?$/.exec(location.hash) || [];
    try {
      return {
        name: name === undefined ? (location.hash === "" ? page.of : chosen) : decodeURIComponent(name),
        cell: name === undefined && location.hash !== "" ? cell : decodeURIComponent(predicted ?? ""), at,
      };
    } catch {
      return { name: "", cell: "" };
    }
  }

  function arrive() {
    const { name, cell: predicted, at } = asked();
    if (name !== chosen || predicted !== cell) choose(name, false, predicted);
    const target = at ? document.getElementById(at) : predicted ? panel : null;
    target?.scrollIntoView();
    if (target && target === panel) {  // the next Tab is in the list
      panel.tabIndex = -1;
      panel.focus({ preventScroll: true });
    }
    settled?.then(() => target?.scrollIntoView());  // the list of errors moves what is below it
  }

  // headline, reason and cards are about the chosen class first
  const headline = document.getElementById("headline");
  const why = document.getElementById("why");
  const cards = document.querySelector(".cards");
  const inside = (element) => Array.from(element?.childNodes ?? []);
  const original = [inside(headline), inside(why), Array.from(cards?.children ?? [])];

  function lead() {
    const known = page.sentences ?? {};
    if (!headline || !page.sentences) return;
    const own = chosen !== "" && chosen !== page.of && Object.hasOwn(known, chosen) ? known[chosen] : null;
    headline.replaceChildren(...(own ? [own[0]] : original[0]));
    why?.replaceChildren(...(own ? [own[1]] : original[1]));
    if (why) why.hidden = Boolean(own) && own[1] === "";
    const first = (card) => (card.dataset.choose === chosen ? 0 : 1);
    cards?.append(...[...original[2]].sort((a, b) => first(a) - first(b)));
  }

  function describe() {
    if (!box) return;
    const row = chosen === "" ? null : (classTable ? classRows : all(".classes tbody tr")).find((tr) => tr.dataset.class === chosen);
    box.hidden = !row;
    box.replaceChildren();
    if (!row) return;
    const list = make("dl", { className: "facts" });
    for (const cell of all("td", row)) {
      const text = make("dd", {}, ...Array.from(cell.firstElementChild.cloneNode(true).childNodes));
      list.append(make("div", {}, make("dt", { textContent: cell.dataset.label }), text));
    }
    box.append(make("h2", {}, make("bdi", { textContent: chosen })), list);
    const lines = make("ul", { className: "stated" });
    for (const line of all("section[id^='lens-'] .lines li[data-class]")) {
      if (line.dataset.class !== chosen) continue;
      const section = line.closest("section");
      const link = make("a", { href: "#" + section.id, textContent: section.querySelector("h2").textContent });
      lines.append(make("li", {}, link, " ", ...Array.from(line.cloneNode(true).childNodes)));
    }
    for (const [id, more] of Object.entries(page.lines || {})) {
      if (!Object.hasOwn(more, chosen)) continue;
      const link = make("a", { href: "#" + id, textContent: document.querySelector(`#${id} h2`).textContent });
      lines.append(make("li", {}, link, " ", more[chosen]));
    }
    const images = all(".gallery > li").find((item) => item.dataset.class === chosen);
    if (images) box.append(images.querySelector(".kinds").cloneNode(true));
    if (lines.childElementCount) {
      box.append(make("details", {}, make("summary", { textContent: "Results of each lens" }), lines));
    }
  }

  // --- errors: the test instances behind a class, or behind a cell of a matrix

  const AT_ONCE = 24;
  const panel = document.getElementById("errors");
  const list = document.getElementById("error-list");
  const cells = document.getElementById("predicted");
  const tickedErrors = new Map();
  const named = (row) => JSON.stringify(row.slice(0, 3));  // the same in the report and in the page of a class
  let held;
  for (const figure of all(".gallery.errors figcaption[id]")) figure.removeAttribute("id");  // addresses where no script runs

  function goTo(name, predicted) {
    choose(name, true, predicted);
    if (predicted) panel.scrollIntoView();
  }

  const shownAs = (split, id, label) => {
    const shown = tile(split, id) ?? preview(split, id);
    if (!shown) return null;
    if (!shown.classList.contains("preview")) {
      shown.setAttribute("role", "img");
      shown.setAttribute("aria-label", label);
    }
    return shown;
  };

  function card([id, label, predicted, probability, near], number) {
    const { ids, predictions } = held;
    const name = page.classes[label];
    const row = [id, name, predictions[predicted], probability];
    const map = document.querySelector(`.map-of[data-number="${number}"] svg`);
    const image = map?.cloneNode(true) ?? shownAs("test", id, `${id}, ${name}`);
    const box = make("input", { type: "checkbox", className: "tick", checked: tickedErrors.has(named(row)) });
    box.addEventListener("change", () => {
      if (box.checked) tickedErrors.set(named(row), row);
      else tickedErrors.delete(named(row));
      sync();
    });
    const words = near.map(([place, of]) => {
      const other = shownAs("train", ids[place], `${ids[place]}, ${predictions[of]}`);
      return make("span", { className: "neighbour" }, ...[other].filter(Boolean),
        make("bdi", { textContent: predictions[of] }), ...(other ? [] : [make("bdi", { className: "sub", textContent: ` ${ids[place]}` })]));
    });
    const isText = image?.classList.contains("preview");
    return make("li", { className: image && !isText ? "" : "plain" }, ...[image].filter(Boolean),
      make("div", {}, make("label", { className: "mark" }, box, make("bdi", { className: "sub", textContent: id })), make("br"),
        make("bdi", { textContent: name }), " predicted ", make("b", { dir: "auto", textContent: predictions[predicted] }),
        ` ${(100 * probability).toFixed(probability < 0.995 ? 0 : 1)}%`),
      make("span", { className: "near-title", textContent: "Nearest training instances" }),
      make("div", { className: isText ? "near words" : "near" }, ...words));
  }

  async function errors(whole = false) {
    if (!panel) return;
    held ??= await (unpackedErrors ??= inflated(page.errors));
    const own = page.classes.indexOf(chosen);
    const { predictions, pairs } = held;
    const of = pairs.filter(([label]) => label === own).sort((a, b) => b[2] - a[2]);
    const at = of.find(([, predicted]) => predictions[predicted] === cell);
    const found = held.errors.map((error, number) => [error, number])
      .filter(([[, label, predicted]]) => label === own && (cell === "" || predictions[predicted] === cell));
    panel.closest("section").classList.toggle("asked", own >= 0);
    const total = (cell === "" ? of : [at].filter(Boolean)).reduce((sum, [, , n]) => sum + n, 0);
    const msg = document.getElementById("errors-of");
    msg.hidden = list.hidden = own < 0;
    const what = chosen + (cell && ` predicted ${cell}`);
    msg.textContent = !total ? `No test error of ${what}.`
      : `${total} test error${total === 1 ? "" : "s"} of ${what}` + (found.length === total ? "."
        : !found.length ? `; none of them is among the ${held.errors.length} listed errors.`
        : cell === "" && of.length > 1 ? `; ${found.length} are listed, the most confident of each predicted class.`
        : `; the ${found.length} most confident are listed.`);
    cells.replaceChildren(make("option", { value: "", textContent: "Any class" }), ...(own < 0 ? [] : of.map(([, predicted, n]) =>
      make("option", { value: predictions[predicted], textContent: `${predictions[predicted]} (${n})` }))));
    if (cell !== "" && !at) cells.append(make("option", { value: cell, textContent: `${cell} (0)` }));
    cells.value = cell;
    cells.disabled = own < 0;
    const few = whole ? found : found.slice(0, AT_ONCE);
    const more = document.getElementById("all-errors");
    more.hidden = few.length === found.length || own < 0;
    more.textContent = `Show all ${found.length}`;
    list.replaceChildren(...(own < 0 ? [] : few.map(([error, number]) => card(error, number))));
  }
  let unpackedErrors;

  function sync(store = true) {
    const n = tickedErrors.size;
    document.getElementById("ticked-errors").textContent = n ? `${n} ticked.` : "None ticked.";
    document.getElementById("take-errors").disabled = !n;
    try { if (store) localStorage.setItem(page.key + " ticked errors", JSON.stringify([...tickedErrors.values()])); } catch { /* not stored */ }
  }

  if (panel) {
    try {
      for (const row of JSON.parse(localStorage.getItem(page.key + " ticked errors") || "[]")) tickedErrors.set(named(row), row);
    } catch { /* nothing is stored */ }
    sync(false);
    cells.addEventListener("change", () => choose(chosen, true, cells.value));
    document.getElementById("all-errors").addEventListener("click", () => errors(true));
    document.getElementById("clear-errors").addEventListener("click", () => { tickedErrors.clear(); sync(); errors(); });
    document.getElementById("take-errors").addEventListener("click", () => save("errors.csv", "text/csv",
      csv([["id", "class", "predicted", "probability"], ...[...tickedErrors.values()]])));
    list.addEventListener("keydown", (event) => {  // arrows walk through the errors
      const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      const boxes = all(".tick", list);
      const next = by && boxes[boxes.indexOf(event.target) + by];
      if (!next) return;
      event.preventDefault();
      next.focus();
    });
  }

  if (select) select.addEventListener("change", () => choose(select.value));
  const step = (by) => {
    const names = ["", ...page.classes];
    choose(names[(names.indexOf(chosen) + by + names.length) % names.length]);
  };
  document.getElementById("before")?.addEventListener("click", () => step(-1));
  document.getElementById("after")?.addEventListener("click", () => step(1));
  addEventListener("keydown", (event) => { if (event.key === "Escape" && chosen !== "") choose(""); });
  addEventListener("hashchange", arrive);
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button.copy");
    if (button) {
      try {
        await navigator.clipboard.writeText(button.dataset.copy);
        button.textContent = "Copied";
      } catch {
        const range = document.createRange();
        range.selectNodeContents(button.parentElement.querySelector("code"));
        const selection = getSelection();
        selection.removeAllRanges();
        selection.addRange(range);
        button.textContent = "Selected";
      }
      return;
    }
    const taken = event.target.closest("button.save");
    if (taken) return take(taken);
    const link = event.target.closest("a[href^='#']");
    if (link && link.hash.startsWith("#class=")) return;  // a cell, which `arrive` chooses
    if (link && chosen !== "") {  // the address keeps the class
      event.preventDefault();
      const target = document.getElementById(link.hash.slice(1));
      history.pushState(null, "", address(target.id));
      target.scrollIntoView();
      target.tabIndex = -1;
      target.focus({ preventScroll: true });
      return;
    }
    const row = event.target.closest(".classes tbody tr, [data-choose]");
    if (!row || event.target.closest("a, button")) return;
    const name = row.dataset.choose ?? row.dataset.class;
    choose(name === chosen ? "" : name);
  });

  // --- downloads: drawings, their numbers, ticked suspects

  function save(name, type, content) {
    const link = make("a", { href: URL.createObjectURL(new Blob([content], { type })), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  const guarded = (value) => {  // as in the CSV files: no cell that a spreadsheet would run
    if (value === null || value === undefined) return "";
    const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? "'" + value : String(value);
    return /[",\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
  };
  const csv = (lines) => lines.map((line) => line.map(guarded).join(",") + "\n").join("");

  async function take(button) {
    const figure = document.getElementById(button.dataset.of);
    const name = button.dataset.name.replace(/[^A-Za-z0-9_-]+/g, "_");
    if (button.dataset.kind === "csv") {
      const tables = Object.values(page.charts[figure.id].data);
      const largest = await rows(tables.reduce((a, b) => (b.n > a.n ? b : a)));
      const known = Object.keys(largest[0] || {});
      // columns that only position or describe a mark are left out; where "class" is a label with counts, "name" is the class
      const keys = known.filter((key) => !["few", "remark", "dark", "position"].includes(key)
        && (key !== "name" || !known.includes("class")));
      const from = (key) => (key === "class" && page.charts[figure.id].keys[0] === "name" ? "name" : key);
      const lines = largest.map((row) => keys.map((key) => asNamed(row[from(key)])));
      return save(name + "-chart.csv", "text/csv", csv([keys, ...lines]));
    }
    await wake(figure);
    const live = views.get(figure);
    if (!live) return;
    if (button.dataset.kind === "svg") return save(name + ".svg", "image/svg+xml", await live.view.toSVG());
    const drawn = await live.view.toCanvas(3);  // 300 dots per inch at 100 pixels per inch
    const sheet = make("canvas", { width: drawn.width, height: drawn.height });
    const brush = sheet.getContext("2d");
    brush.fillStyle = "#fff";
    brush.fillRect(0, 0, sheet.width, sheet.height);
    brush.drawImage(drawn, 0, 0);
    sheet.toBlob((blob) => save(name + ".png", "image/png", blob));
  }

  document.getElementById("print-all")?.addEventListener("click", () => {
    root.classList.add("whole");
    print();
  });

  document.getElementById("unfold")?.addEventListener("click", (event) => {
    document.querySelector(".suspects").classList.remove("folded");
    event.target.parentElement.remove();
  });
  const ticks = all(".suspects .tick");
  const ticked = () => ticks.filter((box) => box.checked);
  const kept = "imblens " + page.key;
  const report = () => {
    const n = ticked().length;
    document.getElementById("ticked").textContent = n ? `${n} ticked.` : "None ticked.";
    document.getElementById("take-ticks").disabled = !n;
    try { localStorage.setItem(kept, JSON.stringify(ticked().map((box) => box.dataset.id))); } catch { /* not stored */ }
  };
  if (ticks.length) {
    try {
      const before = new Set(JSON.parse(localStorage.getItem(kept) || "[]"));
      for (const box of ticks) box.checked = before.has(box.dataset.id);
    } catch { /* nothing is stored */ }
    for (const box of ticks) box.addEventListener("change", report);
    document.getElementById("take-ticks").addEventListener("click", () => save("wrong-labels.csv", "text/csv",
      csv([["id", "class", "suggested"],
        ...ticked().map(({ dataset }) => [dataset.id, dataset.label, dataset.suggested])])));
    document.getElementById("clear-ticks").addEventListener("click", () => {
      for (const box of ticks) box.checked = false;
      report();
    });
    report();
  }

  // --- tables can be sorted; of very many classes both ends of the order are shown, and search results

  const value = (row, column) => {
    const cell = row.cells[column];
    const tick = cell.querySelector("input");
    if (tick) return tick.checked ? 0 : 1;
    const text = cell.dataset.sort ?? cell.textContent.trim();
    const number = Number(text.replaceAll(",", ""));
    return text === "" || text === "–" ? null : Number.isNaN(number) ? text : number;
  };

  function compare(a, b) {
    if (typeof a === typeof b) return typeof a === "number" ? a - b : a.localeCompare(b);
    return typeof a === "number" ? -1 : 1;
  }

  function sort(table, column, down) {
    if (page.more && table === classTable) return withAllRows().then(() => sort(table, column, down));
    const keyed = (table === classTable ? classRows : Array.from(table.tBodies[0].rows)).map((row) => [value(row, column), row]);
    const known = keyed.filter(([key]) => key !== null).sort(([a], [b]) => (down ? compare(b, a) : compare(a, b)));
    const sorted = [...known, ...keyed.filter(([key]) => key === null)].map(([, row]) => row);
    if (table === classTable) classRows = sorted;
    if (table !== classTable || !unpackedRows) table.tBodies[0].append(...sorted);
    Array.from(table.tHead.rows[0].cells, (head, at) => {
      if (at === column) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    narrowDown();
  }

  for (const table of all("table.sortable")) {
    Array.from(table.tHead.rows[0].cells, (head, column) => {
      if ("plain" in head.dataset) return;
      const button = make("button", { type: "button", className: "sort", textContent: head.textContent });
      button.addEventListener("click", () => sort(table, column, head.getAttribute("aria-sort") === "ascending"));
      head.replaceChildren(button);
    });
    const heads = all("th", table.tHead).filter((head) => !("plain" in head.dataset));
    const by = make("select", { ariaLabel: "Sort by" },
      make("option", { value: "", textContent: "Sort by …" }),
      ...heads.flatMap((head) => ["ascending", "descending"].map((way) => make("option", {
        value: `${head.cellIndex} ${way}`, textContent: `${head.textContent}, ${way}` }))));
    by.addEventListener("change", () => {
      const [column, way] = by.value.split(" ");
      if (column !== "") sort(table, Number(column), way === "descending");
    });
    table.closest(".scroll").before(make("p", { className: "sort-by" }, by));
  }

  const find = document.getElementById("find");
  function narrowDown() {
    if (!find) return;
    const ends = Number(classTable.dataset.ends);
    const body = classRows;
    const wanted = find.value.trim().toLocaleLowerCase();
    if (page.more && wanted) return withAllRows().then(narrowDown);
    const fits = body.filter((row) => row.dataset.class.toLocaleLowerCase().includes(wanted));
    const shown = new Set(wanted ? fits.slice(0, 2 * ends) : [...body.slice(0, ends), ...body.slice(-ends)]);
    for (const row of body) {
      row.classList.toggle("rest", !shown.has(row) && row.dataset.class !== chosen);
      row.classList.toggle("chosen", row.dataset.class === chosen);
    }
    if (unpackedRows) classTable.tBodies[0].replaceChildren(...body.filter((row) => !row.classList.contains("rest")));
    document.getElementById("found").textContent =
      wanted ? `${fits.length} found${fits.length > shown.size ? `, ${shown.size} shown` : ""}.` : "";
  }
  find?.addEventListener("input", narrowDown);

  const figures = all("figure[id]");
  if ("IntersectionObserver" in window) {
    const near = new IntersectionObserver((seen) => {
      for (const { target, isIntersecting } of seen) {
        if (isIntersecting) near.unobserve(target), wake(target);
      }
    }, { rootMargin: "600px 0px" });
    figures.forEach((figure) => near.observe(figure));
  } else {
    figures.forEach(wake);
  }
  choose(asked().name, false, asked().cell);
  arrive();
})();

"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const page = JSON.parse(document.getElementById("imblens-page").textContent);
  const SIGNAL = page.signal;
  const views = new Map();
  let chosen = "";

  const all = (what, inside = document) => Array.from(inside.querySelectorAll(what));

  // --- charts: the static drawing stands until its live twin is ready, and comes back on paper

  const rows = ({ n, columns }) => {
    const keys = Object.keys(columns);
    const read = keys.map((key) => {
      const column = columns[key];
      return column.texts ? (i) => column.texts[column.at[i]] : (i) => column[i];
    });
    return Array.from({ length: n }, (_, i) => Object.fromEntries(keys.map((key, k) => [key, read[k](i)])));
  };

  const narrow = (width) => width < 560;
  const legends = (width) => ({
    ...page.config.legend, columns: 1, labelLimit: Math.round(width / 2), layout: { top: { direction: "vertical" } },
  });

  // on a narrow screen labels may take a third, and titles wrap
  function fitted(spec, width) {
    if (!narrow(width)) return spec;
    const wrap = (text) => {
      const lines = [""];
      for (const word of text.split(" ")) {
        if (lines.at(-1) && (lines.at(-1) + word).length > width / 13) lines.push("");
        lines.push([lines.pop(), word].filter(Boolean).join(" "));
      }
      return lines;
    };
    const visit = (node) => {
      if (!node || typeof node !== "object") return;
      if (typeof node.title === "string" && (node.field || "labelLimit" in node || "format" in node || "grid" in node)) {
        if (node.title.length > width / 13) node.title = wrap(node.title);
      }
      if (node.labelLimit > width / 3) node.labelLimit = Math.round(width / 3);
      Object.values(node).forEach(visit);
    };
    visit(spec);
    return spec;
  }

  // Vega-Lite tells authors of charts that a height in steps cannot fit its container; readers need not know
  console.warn = () => {};

  async function wake(figure) {
    const chart = page.charts[figure.id];
    if (!chart || figure.dataset.live || !window.vegaEmbed) return;
    figure.dataset.live = "making";
    const box = document.createElement("div");
    box.className = "live making";
    box.setAttribute("aria-hidden", "true");  // the figure around it says what it shows
    figure.append(box);
    const inputs = document.createElement("div");  // what a chart lets people choose stands outside the picture
    inputs.className = "inputs";
    try {
      const spec = fitted(structuredClone(chart.spec), figure.clientWidth);
      spec.datasets = {};
      const config = narrow(figure.clientWidth)
        ? { ...page.config, legend: legends(figure.clientWidth) }
        : page.config;
      for (const [name, table] of Object.entries(chart.data)) spec.datasets[name] = rows(table);
      const made = await window.vegaEmbed(box, spec, {
        mode: "vega-lite", actions: false, ast: true, logLevel: 1, bind: inputs,
        renderer: chart.dense ? "canvas" : "svg", config,
      });
      const drawing = figure.firstElementChild;
      drawing.remove();
      box.classList.remove("making");
      if (inputs.childElementCount) figure.after(inputs);
      views.set(figure, { view: made.view, drawing, box });
      made.view.addEventListener("click", (event, item) => {
        const datum = item && item.datum;
        const name = datum && [datum.name, datum.class, datum.reference].find((value) => page.classes.includes(value));
        if (name !== undefined) choose(name === chosen ? "" : name);
      });
      show(made.view);
      figure.dataset.live = "yes";
    } catch (error) {
      box.remove();
      figure.dataset.live = "no";
      figure.dataset.reason = String(error);
    }
  }

  const show = (view) => {
    if (view.getState().signals[SIGNAL] !== undefined) view.signal(SIGNAL, chosen).runAsync();
  };

  addEventListener("beforeprint", () => {
    for (const [figure, { drawing, box }] of views) box.remove(), figure.append(drawing);
    for (const details of all("details.page-of, details.more")) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const [figure, { drawing, box }] of views) drawing.remove(), figure.append(box);
  });

  // --- one class chosen: charts, lines, rows and the address follow

  const select = document.getElementById("class");
  const box = document.getElementById("chosen");

  function choose(name, write = true) {
    chosen = page.classes.includes(name) ? name : "";
    if (select) select.value = chosen;
    for (const item of all("[data-class]")) {
      const own = item.dataset.class;
      item.classList.toggle("chosen", chosen !== "" && own === chosen);
      item.classList.toggle("other", chosen !== "" && own !== "" && own !== chosen && !item.closest(".classes"));
    }
    for (const list of all(".lines")) {
      const silent = chosen !== "" && !all("li[data-class]:not(.other)", list).length;
      list.querySelector(".silent").hidden = !silent;
      if (silent) list.querySelector(".silent").textContent = `Nothing notable on ${chosen} here.`;
    }
    for (const more of all("details.more")) {
      if (chosen !== "" && all("li.chosen", more).length) more.open = true;
    }
    for (const { view } of views.values()) show(view);
    tell();
    if (write) {
      const address = chosen === "" ? "#" : "#class=" + encodeURIComponent(chosen);
      if (location.hash !== address) history.replaceState(null, "", address);
    }
  }

  function tell() {
    if (!box) return;
    const row = chosen === "" ? null : all(".classes tbody tr").find((tr) => tr.dataset.class === chosen);
    box.hidden = !row;
    box.replaceChildren();
    if (!row) return;
    const title = document.createElement("h2");
    title.textContent = chosen;
    const list = document.createElement("dl");
    list.className = "facts";
    for (const cell of all("td", row)) {
      const pair = document.createElement("div");
      const term = document.createElement("dt");
      const text = document.createElement("dd");
      term.textContent = cell.dataset.label;
      text.append(...Array.from(cell.firstElementChild.cloneNode(true).childNodes));
      pair.append(term, text);
      list.append(pair);
    }
    const counted = row.querySelector("th .sub").cloneNode(true);
    counted.className = "quiet";
    box.append(title, counted, list);
  }

  const asked = () => {
    const found = /^#class=(.*)$/.exec(location.hash);
    try { return found ? decodeURIComponent(found[1]) : null; } catch { return null; }
  };

  if (select) select.addEventListener("change", () => choose(select.value));
  addEventListener("hashchange", () => { const name = asked(); if (name !== null) choose(name, false); });
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
    const row = event.target.closest(".classes tbody tr");
    if (row && !event.target.closest("a, button")) choose(row.dataset.class === chosen ? "" : row.dataset.class);
  });

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
  choose(asked() ?? page.of, false);
})();

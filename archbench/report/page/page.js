"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const columns = new Map(data.columns.map((column) => [column.name, column]));
  const filled = data.columns.filter((column) => column.texts);
  const table = $("records-table");
  const every = data.names.map((_, row) => row);
  const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#B04A86", "#8A6D00", "#3C9BD6", "#6A4FA3", "#555555"];
  const ON_DARK = ["#5CB3F0", "#FF9A4D", "#3FD0A0", "#F0A0D0", "#E3BD5B", "#A8DBFF", "#BDA6F5", "#BBBBBB"];
  const MARKERS = ["circle", "square", "diamond", "triangle-up", "cross", "x", "star", "triangle-down", "pentagon"];
  const MOST_GROUPS = 12; // that a legend tells apart; the smallest beyond are one
  const OTHER = "other";
  const state = { columns: [...data.shown], sort: "", falling: false, words: [], facets: new Map(), unflagged: false };
  const dark = matchMedia("screen and (prefers-color-scheme: dark)");
  const narrow = matchMedia("screen and (max-width: 40rem)");
  const counted = (count) => count.toLocaleString("en");
  const AT_ONCE = 100; // rows
  const seen = new IntersectionObserver((entries) => { if (entries.some((entry) => entry.isIntersecting)) drawMore(AT_ONCE); });
  let waiting = []; // rows that are still to be shown
  let printing = false;

  // What is shown: rows that the filters leave, in order.

  const haystacks = data.names.map((name, row) =>
    [name, ...filled.filter((column) => !column.number).map((column) => column.texts[row])].join("\n").toLowerCase());

  function isWanted(row) {
    return state.words.every((word) => haystacks[row].includes(word))
      && [...state.facets].every(([name, text]) => columns.get(name).texts[row] === text)
      && !(state.unflagged && columns.get("flags").texts && columns.get("flags").texts[row] !== "-");
  }

  function compare(left, right) {
    const column = columns.get(state.sort);
    const values = state.sort === "network" ? data.names : column.number ? column.values : column.texts;
    const [a, b] = [values[left], values[right]];
    const lacks = (value) => value === null || value === "-";
    if (lacks(a) || lacks(b)) return lacks(a) - lacks(b); // what is missing comes last either way
    const order = typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
    return state.falling ? -order : order;
  }

  function rows() {
    const wanted = every.filter((row) => printing || isWanted(row));
    return state.sort ? wanted.sort(compare) : wanted;
  }

  // The table.

  function element(tag, { text, ...properties } = {}, ...children) {
    const node = Object.assign(document.createElement(tag), properties);
    if (text !== undefined) node.textContent = text;
    node.append(...children);
    return node;
  }

  const side = (column) => column.number ? "right" : column.name === "command" ? "command" : "left";

  function padding(column, text) {
    if (!column.number || !column.decimals) return "";
    const own = (text.split(".")[1] ?? "").length;
    const lacking = column.decimals - own;
    return lacking ? ` pad${lacking}${own ? "" : "p"}` : "";
  }

  function cell(column, row) {
    const text = column.texts?.[row] ?? "-";
    if (column.name === "command") {
      const copy = element("button", { type: "button", text: "copy", ariaLabel: `Copy the command of ${data.names[row]}` });
      return element("td", { className: "command" }, element("code", { text, title: text }), copy);
    }
    const node = element("td", { className: side(column) + padding(column, text), text });
    if (column.spans?.[row]) node.title = column.spans[row];
    return node;
  }

  function head(name, label, className, unit) {
    const button = element("button", { type: "button", text: label });
    button.dataset.sort = name;
    if (unit) button.append(" ", element("span", { className: "unit", text: `(${unit})` }));
    const node = element("th", { scope: "col", className, title: name }, button);
    if (state.sort === name) node.ariaSort = state.falling ? "descending" : "ascending";
    return node;
  }

  function drawHead() {
    const shown = state.columns.map((name) => columns.get(name));
    const cells = shown.map((column) => head(column.name, column.heading, side(column), column.unit));
    table.tHead.rows[0].replaceChildren(head("network", "network", "left"), ...cells);
  }

  function line(row) {
    const cells = state.columns.map((name) => cell(columns.get(name), row));
    return element("tr", {}, element("th", { scope: "row", className: "left", text: data.names[row] }), ...cells);
  }

  function drawBody() {
    waiting = rows();
    table.ariaRowCount = waiting.length + 1;
    $("count").textContent = `${counted(waiting.length)} of ${counted(every.length)} records`;
    table.tBodies[0].replaceChildren();
    drawMore(printing ? waiting.length : AT_ONCE);
  }

  // Rows are made as they come into view: the page opens as fast with thousands.
  function drawMore(count) {
    table.tBodies[0].append(...waiting.splice(0, count).map(line));
    seen.disconnect();
    if (waiting.length) seen.observe(table.tBodies[0].lastElementChild);
  }

  function sortBy(name) {
    if (state.sort !== name) Object.assign(state, { sort: name, falling: false });
    else if (!state.falling) state.falling = true;
    else Object.assign(state, { sort: "", falling: false });
    drawHead();
    drawBody();
    table.querySelector(`[data-sort="${name}"]`).focus();
  }

  async function copy(button) {
    const code = button.previousElementSibling;
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      getSelection().selectAllChildren(code);
      document.execCommand("copy");
    }
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  }

  // Filters and the choice of columns.

  function option(value, label = value) {
    return element("option", { value, text: label });
  }

  function drawFacets() {
    for (const name of data.facets) {
      const column = columns.get(name);
      const texts = [...new Set(column.texts ?? [])].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
      if (texts.length < 2) continue;
      const select = element("select", {}, option("", "all"), ...texts.map((text, index) => option(String(index), text === "-" ? "(none)" : text)));
      select.addEventListener("change", () => {
        if (select.value) state.facets.set(name, texts[Number(select.value)]);
        else state.facets.delete(name);
        filter();
      });
      $("facets").append(element("label", { text: `${column.heading} ` }, select));
    }
  }

  function filter() {
    drawBody();
    plot();
  }

  function reset() {
    Object.assign(state, { words: [], facets: new Map(), unflagged: false });
    $("query").value = "";
    $("unflagged").checked = false;
    for (const select of $("facets").querySelectorAll("select")) select.value = "";
    filter();
  }

  function drawPicker() {
    for (const group of ["asked", "counted", "measured", "published"]) {
      const boxes = data.columns.filter((column) => column.group === group).map((column) => {
        const box = element("input", { type: "checkbox", checked: state.columns.includes(column.name) });
        box.addEventListener("change", () => choose(column.name, box.checked));
        const empty = column.texts ? "" : " empty";
        const unit = column.unit ? ` (${column.unit})` : "";
        return element("label", { className: `check${empty}`, title: column.name }, box, `${column.heading}${unit}`);
      });
      $("columns").append(element("fieldset", {}, element("legend", { text: group }), ...boxes));
    }
  }

  function choose(name, isWanted) {
    const chosen = new Set(state.columns);
    if (isWanted) chosen.add(name);
    else chosen.delete(name);
    state.columns = data.columns.map((column) => column.name).filter((other) => chosen.has(other));
    drawHead();
    drawBody();
  }

  // The plot.

  const literally = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;"); // plotly reads markup in texts
  const label = (column) => column.unit ? `${column.heading} (${column.unit})` : column.heading;

  function drawPickers() {
    const numbers = filled.filter((column) => column.number);
    for (const axis of ["x", "y"]) $(axis).append(...numbers.map((column) => option(column.name, label(column))));
    const groups = filled.filter((column) => column.name !== "command" && new Set(column.texts).size <= Math.max(MOST_GROUPS, data.names.length / 2));
    $("group").append(option("", "one colour"), ...groups.map((column) => option(column.name, column.heading)));
    const first = (names, among) => names.find((name) => among.some((column) => column.name === name)) ?? "";
    const distinct = (name) => new Set(columns.get(name).texts ?? []).size;
    $("x").value = first(["macs", "params"], numbers);
    $("y").value = first(["total_ms", "latency_ms", "activation_peak_bytes", "mac_eq1"], numbers);
    $("group").value = first(["device", "engine", "detector", "backbone"].filter((name) => distinct(name) > 1 && (name !== "engine" || data.facets.includes(name))), groups);
    for (const axis of ["x", "y"]) $(`${axis}-log`).checked = isWide(columns.get($(axis).value));
  }

  function isWide(column) {
    const values = (column?.values ?? []).filter((value) => value !== null);
    return values.length > 1 && Math.min(...values) > 0 && Math.max(...values) / Math.min(...values) > 20;
  }

  function tip(row, x, y) {
    const figure = (column) => `${column.heading}: ${column.texts[row]}${column.unit ? ` ${column.unit}` : ""}`
      + (column.spans?.[row] ? ` (${column.spans[row]})` : "");
    const also = ["device", "precision", "mode", "batch", "flags"].map((name) => columns.get(name))
      .filter((column) => column.texts && column.texts[row] !== "-").map((column) => `${column.heading}: ${column.texts[row]}`);
    const [name, ...lines] = [data.names[row], figure(x), figure(y), ...also].map(literally);
    return [`<b>${name}</b>`, ...lines].join("<br>");
  }

  // The groups of all records, the last one of the smallest where there are too many to tell apart.
  function groupsOf(texts) {
    const counts = new Map();
    for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
    const ranked = [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a));
    const kept = ranked.slice(0, ranked.length > MOST_GROUPS ? MOST_GROUPS - 1 : MOST_GROUPS);
    kept.sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
    return ranked.length > MOST_GROUPS ? [...kept, OTHER] : kept;
  }

  function traces(shown, x, y) {
    const group = columns.get($("group").value);
    // A group keeps its looks whatever the filters leave.
    const all = group ? groupsOf(group.texts) : [""];
    const groups = new Map();
    for (const row of shown) {
      const own = group ? group.texts[row] : "";
      const text = all.includes(own) ? own : OTHER;
      groups.set(text, [...(groups.get(text) ?? []), row]);
    }
    const colours = dark.matches && !printing ? ON_DARK : COLOURS;
    return all.filter((text) => groups.has(text)).map((text) => ({
      type: "scatter", mode: "markers", name: literally(text === "-" ? "(none)" : text), hoverinfo: "text",
      x: groups.get(text).map((row) => x.values[row]), y: groups.get(text).map((row) => y.values[row]),
      hovertext: groups.get(text).map((row) => tip(row, x, y)),
      marker: { color: colours[all.indexOf(text) % colours.length], symbol: MARKERS[all.indexOf(text) % MARKERS.length], size: 9, opacity: 0.8 },
    }));
  }

  function layout(x, y) {
    const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const axis = (id, column) => ({
      title: { text: literally(label(column)) }, type: $(`${id}-log`).checked ? "log" : "linear", gridcolor: colour("--line"),
      linecolor: colour("--line"), zeroline: false, automargin: true,
    });
    return {
      xaxis: axis("x", x), yaxis: axis("y", y), paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: "system-ui, sans-serif", size: 12, color: colour("--ink") }, margin: { l: 55, r: 15, t: 30, b: 50 }, hovermode: "closest",
      showlegend: $("group").value !== "", legend: narrow.matches ? { orientation: "h", y: -0.25 } : {}, uirevision: $("x").value + $("y").value,
      hoverlabel: { align: "left", bgcolor: colour("--panel"), bordercolor: colour("--line"), font: { color: colour("--ink") } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--faint"), activecolor: colour("--accent") },
    };
  }

  function plot() {
    const [x, y] = [columns.get($("x").value), columns.get($("y").value)];
    if (!x || !y) return;
    const wanted = rows();
    const fits = (column, axis, row) => column.values[row] !== null && (column.values[row] > 0 || !$(`${axis}-log`).checked);
    const shown = wanted.filter((row) => fits(x, "x", row) && fits(y, "y", row));
    const lacking = wanted.length - shown.length;
    $("plotted").textContent = `${counted(shown.length)} of ${counted(wanted.length)} records that the filters leave`
      + (lacking ? `; ${counted(lacking)} lack a value${$("x-log").checked || $("y-log").checked ? ", or one above 0," : ""} for an axis.` : ".");
    const settings = { responsive: true, displaylogo: false, modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]] };
    return Plotly.react("plot", traces(shown, x, y), layout(x, y), settings);
  }

  // Printing shows every row, everything that is folded, and light colours.

  function print(isOn) {
    printing = isOn;
    for (const details of document.querySelectorAll("details:not(#picker)")) {
      if (isOn) details.dataset.was = details.open ? "open" : "";
      details.open = isOn || details.dataset.was === "open";
    }
    drawBody();
    plot();
    if (window.Plotly && $("x").value) Plotly.relayout("plot", isOn ? { autosize: false, width: 980, height: 420 } : { autosize: true, width: null, height: null });
  }

  for (const control of document.querySelectorAll(".controls")) control.hidden = false;
  table.hidden = false;
  drawHead();
  drawBody();
  drawFacets();
  drawPicker();
  drawPickers();
  $("trade-off").hidden = !$("x").value || !$("y").value;

  table.tHead.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) sortBy(button.dataset.sort);
  });
  table.tBodies[0].addEventListener("click", (event) => {
    if (event.target.localName === "button") copy(event.target);
  });
  $("query").addEventListener("input", () => {
    state.words = $("query").value.toLowerCase().split(/\s+/).filter(Boolean);
    filter();
  });
  $("unflagged").addEventListener("change", () => {
    state.unflagged = $("unflagged").checked;
    filter();
  });
  $("reset").addEventListener("click", reset);
  for (const id of ["x", "y"]) {
    $(id).addEventListener("change", () => {
      $(`${id}-log`).checked = isWide(columns.get($(id).value));
      plot();
    });
  }
  for (const id of ["x-log", "y-log", "group"]) $(id).addEventListener("change", plot);
  for (const query of [dark, narrow]) query.addEventListener("change", plot);
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));
  // The table is there to read before the plot is drawn.
  requestAnimationFrame(() => setTimeout(plot));
})();

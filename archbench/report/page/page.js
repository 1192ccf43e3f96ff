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
  const MOST_GROUPS = 12; // that a legend tells apart; the smallest beyond are one
  const OTHER = "other";
  const state = { columns: [...data.shown], sort: "", falling: false, words: [], facets: new Map(), unflagged: false, marked: new Set(), only: "" };
  const dark = matchMedia("screen and (prefers-color-scheme: dark)");
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
    const [a, b] = [values?.[left], values?.[right]]; // an empty column has no values
    const lacks = (value) => value == null || value === "-";
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
    return element("tr", { id: `row-${row}`, className: state.marked.has(row) ? "marked" : "" }, element("th", { scope: "row", className: "left", text: data.names[row] }), ...cells);
  }

  function drawBody() {
    waiting = rows();
    table.ariaRowCount = waiting.length + 1;
    $("count").textContent = `${counted(waiting.length)} of ${counted(every.length)} ${data.unit}`;
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
    tellAddress();
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
      const select = element("select", {}, option("", "all"), ...texts.map((text) => option(text, text === "-" ? "(none)" : text)));
      select.dataset.facet = name;
      if (name === "mode" && texts.includes("infer")) select.value = "infer"; // inference and training stand apart
      select.addEventListener("change", filter);
      $("facets").append(element("label", { text: `${column.heading} ` }, select));
    }
  }

  function readFilters() {
    const chosen = [...$("facets").querySelectorAll("select")].filter((select) => select.value);
    state.words = $("query").value.toLowerCase().split(/\s+/).filter(Boolean);
    state.facets = new Map(chosen.map((select) => [select.dataset.facet, select.value]));
    state.unflagged = $("unflagged").checked;
  }

  function filter() {
    readFilters();
    drawBody();
    plot();
    tellAddress();
  }

  function reset() {
    for (const [name, control] of controls()) if (!PLOTTED.includes(name)) give(control, usual.get(name));
    filter();
  }

  // The address keeps what was chosen and is not usual, so that a view can be linked.

  const PLOTTED = ["x", "y", "group"];
  const usual = new Map();
  const valueOf = (control) => control.type === "checkbox" ? (control.checked ? "1" : "") : control.value;

  function controls() {
    const facets = [...$("facets").querySelectorAll("select")].map((select) => [select.dataset.facet, select]);
    return new Map([["q", $("query")], ["unflagged", $("unflagged")], ...facets, ...PLOTTED.map((id) => [id, $(id)])]);
  }

  function give(control, value) {
    if (control.type === "checkbox") control.checked = value === "1";
    else if (control.localName !== "select" || [...control.options].some((each) => each.value === value)) control.value = value;
  }

  function tellAddress() {
    const told = new URLSearchParams();
    for (const [name, control] of controls()) if (valueOf(control) !== usual.get(name)) told.set(name, valueOf(control));
    for (const axis of ["x", "y"]) if ($(`${axis}-log`).checked !== isWide(columns.get($(axis).value))) told.set(`${axis}-log`, valueOf($(`${axis}-log`)));
    if (state.sort) told.set("sort", (state.falling ? "-" : "") + state.sort);
    if (state.columns.join() !== data.shown.join()) told.set("columns", state.columns.join());
    if (state.marked.size) told.set("marked", [...state.marked].map((row) => columns.get("record_id").texts[row]).join());
    history.replaceState(null, "", told.size ? `#${told}` : location.href.split("#")[0]);
  }

  function readAddress() {
    if (location.hash && !location.hash.includes("=")) return; // a section
    const told = new URLSearchParams(location.hash.slice(1));
    for (const [name, control] of controls()) {
      give(control, usual.get(name));
      if (told.has(name)) give(control, told.get(name));
    }
    for (const axis of ["x", "y"]) {
      $(`${axis}-log`).checked = told.has(`${axis}-log`) ? told.get(`${axis}-log`) === "1" : isWide(columns.get($(axis).value));
    }
    const sort = told.get("sort") ?? "";
    const by = sort.replace("-", "");
    Object.assign(state, by === "network" || columns.has(by) ? { sort: by, falling: sort.startsWith("-") } : { sort: "", falling: false });
    const named = (told.get("columns") ?? "").split(",");
    state.columns = told.has("columns") ? named.filter((name) => columns.has(name)) : [...data.shown];
    const marked = (told.get("marked") ?? "").split(",");
    state.marked = new Set(every.filter((row) => marked.includes(columns.get("record_id").texts[row])));
    for (const box of $("columns").querySelectorAll("input")) box.checked = state.columns.includes(box.name);
    readFilters();
    drawHead();
    drawBody();
  }

  function drawPicker() {
    for (const group of ["asked", "counted", "measured", "published"]) {
      const boxes = data.columns.filter((column) => column.group === group).map((column) => {
        const box = element("input", { type: "checkbox", name: column.name, checked: state.columns.includes(column.name) });
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
    const inOrder = new Set([...data.shown.filter((other) => other !== "command"), ...columns.keys()]);
    state.columns = [...inOrder].filter((other) => chosen.has(other));
    drawHead();
    drawBody();
    tellAddress();
  }

  // The plot.

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
    $("group").value = first(["device", "engine", "detector", "backbone"].filter((name) => distinct(name) > 1 && data.facets.includes(name)), groups);
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
    return [figure(x), figure(y), ...also];
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

  function grouped(shown, x, y) {
    const group = columns.get($("group").value);
    // A group keeps its looks whatever the filters leave.
    const all = group ? groupsOf(group.texts) : [""];
    const colours = dark.matches && !printing ? ON_DARK : COLOURS;
    const groups = all.map((text, place) => ({ name: text === "-" ? "(none)" : text, colour: colours[place % colours.length], marker: place, points: [] }));
    for (const row of shown) {
      const place = group ? all.indexOf(group.texts[row]) : 0;
      const point = { key: row, name: data.names[row], x: x.values[row], y: y.values[row], lines: tip(row, x, y) };
      groups.at(place).points.push(point); // what has no group of its own is of the last
    }
    return groups.filter((each) => each.points.length);
  }

  function mark(row) {
    if (!state.marked.delete(row)) state.marked.add(row);
    $(`row-${row}`)?.classList.toggle("marked", state.marked.has(row));
    redraw()?.(row);
    tellAddress();
  }

  // What had the focus has it again; gives what tells a point where that is the plot.
  function redraw() {
    const stops = () => [...$("plot").querySelectorAll("button, [tabindex]")];
    const place = stops().indexOf(document.activeElement);
    const tell = plot();
    stops()[place]?.focus();
    return $("plot").contains(document.activeElement) ? tell : undefined;
  }

  function plot() {
    const [x, y] = [columns.get($("x").value), columns.get($("y").value)];
    if (!x || !y) return;
    const wanted = rows();
    const fits = (column, axis, row) => column.values[row] !== null && (column.values[row] > 0 || !$(`${axis}-log`).checked);
    const shown = wanted.filter((row) => fits(x, "x", row) && fits(y, "y", row));
    const lacking = wanted.length - shown.length;
    $("plotted").textContent = `${counted(shown.length)} of ${counted(wanted.length)} ${data.unit} that the filters leave`
      + (lacking ? `; ${counted(lacking)} lack a value${$("x-log").checked || $("y-log").checked ? ", or one above 0," : ""} for an axis.` : ".");
    const groups = grouped(shown, x, y);
    if (!groups.some((group) => group.name === state.only)) state.only = "";
    const axis = (id, column) => ({ label: label(column), isLog: $(`${id}-log`).checked });
    const pick = (name) => { state.only = state.only === name ? "" : name; redraw(); };
    return scatter($("plot"), { groups, x: axis("x", x), y: axis("y", y), chosen: state.marked, choose: mark, only: state.only, pick });
  }

  function replot() {
    plot();
    tellAddress();
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
  }

  for (const control of document.querySelectorAll(".controls")) control.hidden = false;
  table.hidden = false;
  drawFacets();
  drawPicker();
  drawPickers();
  for (const [name, control] of controls()) usual.set(name, valueOf(control));
  readFilters();
  drawHead();
  drawBody();
  readAddress();
  $("trade-off").hidden = !$("x").value || !$("y").value;

  table.tHead.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) sortBy(button.dataset.sort);
  });
  table.tBodies[0].addEventListener("click", (event) => {
    if (event.target.localName === "button") copy(event.target);
  });
  $("query").addEventListener("input", filter);
  $("unflagged").addEventListener("change", filter);
  $("reset").addEventListener("click", reset);
  for (const id of ["x", "y"]) {
    $(id).addEventListener("change", () => {
      $(`${id}-log`).checked = isWide(columns.get($(id).value));
      replot();
    });
  }
  for (const id of ["x-log", "y-log", "group"]) $(id).addEventListener("change", replot);
  dark.addEventListener("change", plot);
  addEventListener("hashchange", () => {
    readAddress();
    plot();
  });
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));
  // The table is there to read before the plot is drawn.
  requestAnimationFrame(() => setTimeout(() => {
    let width = 0;
    new ResizeObserver(() => {
      if (width !== (width = $("plot").clientWidth) && !printing) plot();
    }).observe($("plot"));
  }));
})();

"use strict";
// Draws a scatter into `host`: groups of points over two axes, each of them linear or logarithmic.
// A point tells its lines under the pointer or by the arrow keys; a click or Enter chooses it. Gives a
// function that tells the point of a key.
const scatter = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const REACH = 20; // pixels from the pointer to a point
  const HEIGHT = 460;
  const MARKERS = [
    "M5 0A5 5 0 1 1-5 0A5 5 0 1 1 5 0Z", "M-4.5-4.5H4.5V4.5H-4.5Z", "M0-6.5L6.5 0L0 6.5L-6.5 0Z", "M0-6L6 5H-6Z",
    "M-2-6H2V-2H6V2H2V6H-2V2H-6V-2H-2Z", "M-3-6L0-3L3-6L6-3L3 0L6 3L3 6L0 3L-3 6L-6 3L-3 0L-6-3Z",
    "M0-7L2-2L7-2L3 1.5L4.5 6.5L0 3.5L-4.5 6.5L-3 1.5L-7-2L-2-2Z", "M0 6L6-5H-6Z", "M0-6L6-1.5L3.5 5.5H-3.5L-6-1.5Z",
  ];
  const written = (value) => value.toLocaleString("en", { maximumSignificantDigits: 4 });

  function node(tag, attributes = {}, ...children) {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  function html(tag, properties = {}, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  function evenTicks(least, most, count) {
    const rough = (most - least) / count;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
    const first = Math.ceil(least / step);
    return Array.from({ length: Math.max(0, Math.floor(most / step) - first + 1) }, (_, index) => (first + index) * step);
  }

  function decadeTicks(least, most, count) {
    const decades = Array.from({ length: Math.ceil(most) - Math.floor(least) + 1 }, (_, index) => Math.floor(least) + index);
    const within = (factors) => decades.flatMap((exponent) => factors.map((factor) => factor * 10 ** exponent))
      .filter((value) => Math.log10(value) >= least && Math.log10(value) <= most);
    const fine = within([1, 2, 5]);
    if (fine.length < 2) return evenTicks(10 ** least, 10 ** most, count);
    return fine.length <= 1.5 * count ? fine : within([1]);
  }

  // Where values stand between two pixels, and which of them have a tick.
  function scale(values, isLog, [from, to], count) {
    const turned = isLog ? values.map(Math.log10) : values;
    const [low, high] = turned.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [Infinity, -Infinity]);
    const margin = 0.05 * (high - low) || (isLog ? 0.3 : 0.1 * Math.abs(high) || 1);
    const least = !isLog && low >= 0 ? Math.max(0, low - margin) : low - margin;
    const most = high + margin;
    const place = (value) => from + ((isLog ? Math.log10(value) : value) - least) / (most - least) * (to - from);
    return { place, ticks: (isLog ? decadeTicks : evenTicks)(least, most, count) };
  }

  function axes(x, y, across, up, box) {
    const text = (words, attributes) => node("text", attributes, words);
    const middle = (box.top + box.bottom) / 2;
    return [
      ...across.ticks.flatMap((tick) => [
        node("path", { class: "grid", d: `M${across.place(tick)} ${box.top}V${box.bottom}` }),
        text(written(tick), { x: across.place(tick), y: box.bottom + 17, "text-anchor": "middle" }),
      ]),
      ...up.ticks.flatMap((tick) => [
        node("path", { class: "grid", d: `M${box.left} ${up.place(tick)}H${box.right}` }),
        text(written(tick), { x: box.left - 7, y: up.place(tick) + 4, "text-anchor": "end" }),
      ]),
      text(x.label, { x: (box.left + box.right) / 2, y: box.bottom + 38, "text-anchor": "middle", class: "axis" }),
      text(y.label, { transform: `translate(14 ${middle}) rotate(-90)`, "text-anchor": "middle", class: "axis" }),
    ];
  }

  function legend(groups, only, pick) {
    const buttons = groups.filter((group) => group.name).map((group) => {
      const sign = node("svg", { viewBox: "-8 -8 16 16", width: 14, height: 14, "aria-hidden": "true" },
        node("path", { d: MARKERS[group.marker % MARKERS.length], fill: group.colour }));
      const button = html("button", { type: "button", ariaPressed: String(only === group.name), title: "Show this group alone" }, sign, ` ${group.name}`);
      button.addEventListener("click", () => pick(group.name));
      return button;
    });
    return html("div", { className: "legend" }, ...buttons);
  }

  return function draw(host, { groups, x, y, chosen, choose, only, pick }) {
    const points = groups.flatMap((group) => group.points.map((point) => ({ ...point, group })));
    const width = Math.max(280, host.clientWidth);
    const box = { left: 72, right: width - 14, top: 12, bottom: HEIGHT - 48 };
    const across = scale(points.map((point) => point.x), x.isLog, [box.left, box.right], Math.max(3, width / 130));
    const up = scale(points.map((point) => point.y), y.isLog, [box.bottom, box.top], 7);
    const tip = html("div", { className: "tip", hidden: true, role: "status" });
    const ring = node("circle", { r: 9, class: "ring", visibility: "hidden" });
    const marks = points.map((point) => {
      Object.assign(point, { left: across.place(point.x), top: up.place(point.y), isDim: Boolean(only) && only !== point.group.name });
      const kind = [chosen.has(point.key) && "chosen", point.isDim && "dim"].filter(Boolean).join(" ");
      return node("path", { class: `point ${kind}`, d: MARKERS[point.group.marker % MARKERS.length], fill: point.group.colour, transform: `translate(${point.left} ${point.top})` });
    });
    const labels = points.filter((point) => chosen.has(point.key)).map((point) => {
      const isRight = point.left > (box.left + box.right) / 2;
      return node("text", { class: "label", x: point.left + (isRight ? -11 : 11), y: point.top + 4, "text-anchor": isRight ? "end" : "start" }, point.name);
    });
    const drawing = node("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, tabindex: 0, role: "application", "aria-label": `${y.label} over ${x.label}, ${points.length} points: arrow keys move between them, Enter marks one` });
    if (points.length) drawing.append(...axes(x, y, across, up, box), ...marks, ring, ...labels);
    host.replaceChildren(legend(groups, only, pick), html("div", { className: "drawing" }, drawing, tip));

    const inOrder = points.filter((point) => !point.isDim).sort((a, b) => a.left - b.left || a.top - b.top);
    let at = -1;
    function tell(index) {
      at = index;
      const point = inOrder[index];
      tip.hidden = !point;
      ring.setAttribute("visibility", point ? "visible" : "hidden");
      if (!point) return;
      ring.setAttribute("cx", point.left);
      ring.setAttribute("cy", point.top);
      tip.replaceChildren(html("b", { textContent: point.name }), ...point.lines.map((line) => html("div", { textContent: line })));
      const drawn = drawing.clientWidth / width; // the pixels of a unit: fewer where the page was made narrower
      tip.style.left = `${Math.max(0, Math.min(point.left * drawn + 12, drawing.clientWidth - tip.offsetWidth))}px`;
      tip.style.top = `${point.top * drawn + (point.top > HEIGHT / 2 ? -tip.offsetHeight - 12 : 12)}px`;
    }
    function nearest(event) {
      const { left, top, width: drawn } = drawing.getBoundingClientRect();
      const away = inOrder.map((point) => Math.hypot(point.left * drawn / width - event.clientX + left, point.top * drawn / width - event.clientY + top));
      const index = away.indexOf(Math.min(...away));
      return away[index] <= REACH ? index : -1;
    }
    const chooseAt = (index) => { if (inOrder[index]) choose(inOrder[index].key); };
    drawing.addEventListener("pointermove", (event) => tell(nearest(event)));
    drawing.addEventListener("pointerleave", () => tell(-1));
    drawing.addEventListener("blur", () => tell(-1));
    drawing.addEventListener("click", (event) => chooseAt(nearest(event)));
    drawing.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
      if (step) tell((at + step + inOrder.length + (at < 0 && step < 0 ? 1 : 0)) % inOrder.length);
      else if (event.key === "Enter") chooseAt(at);
      else if (event.key === "Escape") tell(-1);
      else return;
      event.preventDefault();
    });
    return (key) => tell(inOrder.findIndex((point) => point.key === key));
  };
})();

// A chart of lines and bands in SVG.

import { drawing, element, short } from "./dom.js";

const NARROW = 480; // a phone
const LETTER = 8; // pixels
const MARGIN = { left: 58, right: 18, top: 28, bottom: 40 };

/** Round numbers from low to high, about `count` of them. */
export function ticks(low, high, count) {
  const rough = (high - low) / count || 1;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * size).find((each) => each >= rough);
  const first = Math.ceil(low / step);
  const last = Math.floor(high / step);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, k) => (first + k) * step);
}

/** The least and the greatest of some numbers, of which there may be more than a call takes arguments. */
const extremes = (numbers) =>
  numbers.reduce(([low, high], number) => [Math.min(low, number), Math.max(high, number)], [Infinity, -Infinity]);

/** Lines [x, y] and bands [x, low, high] with axes; text beside it tells the same to a screen reader. */
export class Chart {
  /** @param label What is drawn. */
  constructor(label) {
    this.label = label;
    this.svg = drawing("svg", { class: "chart", role: "img", "aria-label": label });
    this.resize(640);
    new ResizeObserver(([{ contentRect }]) => this.resize(contentRect.width)).observe(this.svg);
    this.legend = element("ul", { class: "legend" });
    this.element = element("figure", { class: "chart-figure" }, this.svg, this.legend);
  }

  /** A new width on the page; texts keep their size. */
  resize(width) {
    if (!width || Math.abs(width - (this.width ?? 0)) < 1) return;
    this.width = width;
    this.height = width < NARROW ? 230 : 300;
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
    if (this.picture) this.draw(this.picture);
  }

  x(value) {
    const { x0, x1 } = this.range;
    return MARGIN.left + ((value - x0) / (x1 - x0 || 1)) * (this.width - MARGIN.left - MARGIN.right);
  }

  y(value) {
    const { y0, y1 } = this.range;
    return this.height - MARGIN.bottom - ((value - y0) / (y1 - y0 || 1)) * (this.height - MARGIN.top - MARGIN.bottom);
  }

  /** The place of a pointer in the units of the axes. */
  at(event) {
    const box = this.svg.getBoundingClientRect();
    const { x0, x1, y0, y1 } = this.range;
    const left = ((event.clientX - box.left) / box.width) * this.width;
    const top = ((event.clientY - box.top) / box.height) * this.height;
    return {
      x: x0 + ((left - MARGIN.left) / (this.width - MARGIN.left - MARGIN.right)) * (x1 - x0),
      y: y0 + ((this.height - MARGIN.bottom - top) / (this.height - MARGIN.top - MARGIN.bottom)) * (y1 - y0),
    };
  }

  /**
   * Draws.
   *
   * @param lines {name, points: [[x, y]], kind}: `kind` is a class of page.css, such as "actual".
   * @param bands {name, points: [[x, low, high]]}.
   * @param xText Gives the text of a tick on the x axis.
   * @param cursor An x that is marked.
   * @param dots Places [x, y] with a dot; the one at x = `chosen` is larger. With `keep`, the axes stay as they are.
   */
  draw(picture) {
    const { lines, bands = [], xName = "", yName = "", xText = short, cursor = null } = picture;
    const { dots = [], chosen = -1, keep = false } = picture;
    this.picture = picture;
    const finite = (numbers) => numbers.filter(Number.isFinite);
    const xs = finite([...lines, ...bands].flatMap(({ points }) => points.map(([x]) => x)));
    const ys = finite([...lines, ...bands].flatMap(({ points }) => points.flatMap(([, ...values]) => values)));
    if (!keep || !this.range) {
      const [x0, x1] = extremes(xs);
      const [low, high] = extremes(ys);
      const space = 0.06 * (high - low) || Math.abs(high) * 0.1 || 1;
      this.range = { x0, x1, y0: low - space, y1: high + space };
    }
    this.svg.replaceChildren(
      ...this.axes(xName, yName, xText),
      ...bands.map((band, k) => this.band(band, k)),
      ...(cursor === null ? [] : [this.vertical(cursor)]),
      ...lines.map((line, k) => this.line(line, k)),
      ...dots.map((place) => this.dot(place, place[0] === chosen, dots.length)),
    );
    const entry = (name, kind) => element("li", {}, element("span", { class: `swatch ${kind}` }), name);
    this.legend.replaceChildren(
      ...lines.map(({ name, kind }, k) => entry(name, `line ${kind ?? `line-${k % 8}`}`)),
      ...bands.map(({ name }, k) => entry(name, `band band-${k}`)),
    );
  }

  axes(xName, yName, xText) {
    const { x0, x1, y0, y1 } = this.range;
    const [bottom, right] = [this.height - MARGIN.bottom, this.width - MARGIN.right];
    const horizontal = ticks(y0, y1, 5).flatMap((value) => [
      drawing("line", { x1: MARGIN.left, x2: right, y1: this.y(value), y2: this.y(value), class: "grid" }),
      drawing("text", { x: MARGIN.left - 8, y: this.y(value) + 5, "text-anchor": "end" }, short(value)),
    ]);
    const letters = Math.max(...[x0, x1].map((value) => xText(Math.round(value)).length));
    const room = Math.floor(this.width / (20 + LETTER * letters)); // texts that fit beside one another
    const places = x1 - x0 < room ? ticks(x0, x1, x1 - x0) : ticks(x0, x1, Math.min(6, room));
    const whole = [...new Set(places.map(Math.round))].filter((value) => value >= x0 && value <= x1);
    const vertical = whole.flatMap((value) => [
      drawing("line", { x1: this.x(value), x2: this.x(value), y1: bottom, y2: bottom + 5, class: "tick" }),
      drawing("text", { ...this.beside(value, xText(value).length), y: bottom + 20 }, xText(value)),
    ]);
    return [
      ...horizontal,
      ...vertical,
      drawing("text", { x: right, y: this.height - 3, "text-anchor": "end", class: "axis" }, xName),
      drawing("text", { x: 4, y: 14, class: "axis" }, yName),
    ];
  }

  /** Where the text of a tick is: below it, or at an edge of the picture where it would stick out. */
  beside(value, letters) {
    const [x, half] = [this.x(value), LETTER * letters / 2];
    if (x + half > this.width) return { x: this.width, "text-anchor": "end" };
    return x < half ? { x: 0, "text-anchor": "start" } : { x, "text-anchor": "middle" };
  }

  line({ points, kind }, k) {
    const place = ([x, y]) => (Number.isFinite(y) ? `${this.x(x).toFixed(1)} ${this.y(y).toFixed(1)}` : "");
    const places = points.map(place);
    const step = (each, t) => each && `${t && places[t - 1] ? "L" : "M"}${each}`;
    return drawing("path", { d: places.map(step).join(""), class: `line ${kind ?? `line-${k % 8}`}` });
  }

  dot([x, y], chosen, count) {
    const [r, kind] = chosen ? [7, "dot chosen"] : [count > 60 ? 2 : 4, "dot"];
    return drawing("circle", { cx: this.x(x), cy: this.y(y), r, class: kind });
  }

  band({ points: all }, k) {
    const points = all.filter((numbers) => numbers.every(Number.isFinite));
    const place = (x, y) => `${this.x(x).toFixed(1)} ${this.y(y).toFixed(1)}`;
    const upper = points.map(([x, , high]) => place(x, high));
    const lower = points.map(([x, low]) => place(x, low)).reverse();
    const d = points.length ? `M${[...upper, ...lower].join("L")}Z` : "";
    return drawing("path", { d, class: `band band-${k}` });
  }

  vertical(value) {
    const [top, bottom] = [MARGIN.top, this.height - MARGIN.bottom];
    return drawing("line", { x1: this.x(value), x2: this.x(value), y1: top, y2: bottom, class: "cursor" });
  }
}

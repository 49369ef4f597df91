// A picture to draw with mouse, finger or keys; it becomes a sequence of rows, columns or pixels.

import { chooser, colour, element, labelled, onThemeChange } from "./dom.js";

const SIDE = 320; // of the longer side on the page, in canvas pixels
const FINE = 112; // strokes are drawn on a grid at least this fine, then averaged into the model's pixels

const clamp = (value, most) => Math.min(Math.max(value, 0), most);

/** Pixels [height, width] with values from 0 to 255. */
export class DrawInput {
  /**
   * @param description {height, width, layout, masks, samples}: samples are {name, values}, [T, C] each.
   * @param onchange Called after each change.
   */
  constructor({ height, width, layout, masks, samples }, onchange) {
    Object.assign(this, { height, width, layout, masks, samples, onchange });
    this.factor = Math.max(1, Math.ceil(FINE / Math.max(height, width)));
    this.ink = new Float32Array(height * width * this.factor ** 2);
    this.pixels = new Float32Array(height * width);
    this.cell = Math.max(1, Math.floor(SIDE / Math.max(height, width)));
    this.key = { x: Math.floor(width / 2), y: Math.floor(height / 2) };
    this.step = 0;
    this.build();
    if (samples.length) this.show(samples[0].values);
    onThemeChange(() => this.paint());
  }

  build() {
    const { width, height, cell } = this;
    this.canvas = element("canvas", {
      class: "drawing",
      width: width * cell,
      height: height * cell,
      tabindex: 0,
      role: "img",
      "aria-label": `A drawing of ${width} by ${height} pixels. Arrow keys move, space draws, backspace erases.`,
    });
    this.canvas.addEventListener("pointerdown", (event) => this.begin(event));
    this.canvas.addEventListener("pointermove", (event) => this.follow(event));
    this.canvas.addEventListener("keydown", (event) => this.press(event));
    for (const name of ["focus", "blur"]) this.canvas.addEventListener(name, () => this.paint());
    const pen = 1 + 0.05 * Math.max(width, height);
    this.brush = element("input", { type: "range", min: 0.5, max: 4, step: 0.1, value: pen });
    this.sample = chooser(this.samples.map(({ name }) => name), (place) => this.show(this.samples[place].values));
    this.element = element(
      "div",
      { class: "draw" },
      this.canvas,
      element("p", { class: "hint" }, "Draw with the mouse, a finger, or the arrow keys and space."),
      element(
        "div",
        { class: "controls" },
        this.samples.length ? labelled("Example", this.sample) : null,
        labelled("Width of the pen", this.brush),
        element("button", { type: "button", onclick: () => this.clear() }, "Clear"),
      ),
    );
  }

  /** The sequence that the model reads, and a name for each step. */
  value() {
    const at = (x, y) => this.pixels[y * this.width + x];
    const count = (length) => Array.from({ length }, (_, k) => k);
    const [columns, rows] = [count(this.width), count(this.height)];
    const steps = {
      rows: () => rows.map((y) => columns.map((x) => at(x, y))),
      columns: () => columns.map((x) => rows.map((y) => at(x, y))),
      pixels: () => Array.from(this.pixels, (value) => [value]),
    }[this.layout]();
    const unit = this.layout.slice(0, -1);
    const input = steps.map((step) => Float32Array.from([...step, ...new Array(this.masks).fill(0)]));
    return { input, labels: input.map((_, t) => `${unit} ${t + 1}`) };
  }

  setStep(step) {
    this.step = step;
    this.paint();
  }

  show(values) {
    this.pixels = new Float32Array(this.height * this.width);
    values.forEach((step, t) =>
      step.forEach((value, k) => {
        const place = { rows: t * this.width + k, columns: k * this.width + t, pixels: t }[this.layout];
        this.pixels[place] = value;
      }));
    const { factor, width } = this;
    this.ink = this.ink.map((_, place) => {
      const [x, y] = [place % (width * factor), Math.floor(place / (width * factor))];
      return this.pixels[Math.floor(y / factor) * width + Math.floor(x / factor)] / 255;
    });
    this.changed();
  }

  clear() {
    this.ink.fill(0);
    this.pixels.fill(0);
    this.sample.selectedIndex = -1;
    this.changed();
  }

  changed() {
    this.paint();
    this.onchange();
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) / box.width) * this.width,
      y: ((event.clientY - box.top) / box.height) * this.height,
    };
  }

  begin(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.last = this.place(event);
    this.stroke(this.last, this.last, 1);
  }

  follow(event) {
    if (!this.canvas.hasPointerCapture(event.pointerId)) return;
    const next = this.place(event);
    this.stroke(this.last, next, 1);
    this.last = next;
  }

  press(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (Object.hasOwn(moves, event.key)) {
      const [x, y] = moves[event.key];
      this.key = { x: clamp(this.key.x + x, this.width - 1), y: clamp(this.key.y + y, this.height - 1) };
      this.paint();
    } else if ([" ", "Enter", "Backspace", "Delete"].includes(event.key)) {
      const centre = { x: this.key.x + 0.5, y: this.key.y + 0.5 };
      this.stroke(centre, centre, event.key === " " || event.key === "Enter" ? 1 : 0);
    } else return;
    event.preventDefault();
  }

  /** A line of ink 1, or of paper 0, from one place to another, both in pixels of the model. */
  stroke(from, to, ink) {
    const { factor, width, height } = this;
    const radius = (Number(this.brush.value) / 2) * factor;
    const length = Math.hypot(to.x - from.x, to.y - from.y) * factor;
    const stamps = Math.max(1, Math.ceil(length));
    for (let k = 0; k <= stamps; k += 1) {
      const [cx, cy] = [from.x + ((to.x - from.x) * k) / stamps, from.y + ((to.y - from.y) * k) / stamps];
      const [left, top] = [cx * factor, cy * factor];
      for (let y = Math.max(0, Math.floor(top - radius)); y < Math.min(height * factor, top + radius); y += 1) {
        for (let x = Math.max(0, Math.floor(left - radius)); x < Math.min(width * factor, left + radius); x += 1) {
          if (Math.hypot(x + 0.5 - left, y + 0.5 - top) <= radius) this.ink[y * width * factor + x] = ink;
        }
      }
    }
    this.average();
    this.changed();
  }

  /** Each pixel of the model is the mean of the fine grid under it. */
  average() {
    const { factor, width } = this;
    this.pixels.fill(0);
    this.ink.forEach((ink, place) => {
      const [x, y] = [place % (width * factor), Math.floor(place / (width * factor))];
      this.pixels[Math.floor(y / factor) * width + Math.floor(x / factor)] += (255 * ink) / factor ** 2;
    });
    this.pixels = this.pixels.map(Math.round);
  }

  paint() {
    const context = this.canvas.getContext("2d");
    const { cell, width, height } = this;
    const [paper, ink, accent] = ["paper", "ink", "accent"].map(colour);
    this.pixels.forEach((value, place) => {
      const [x, y] = [place % width, Math.floor(place / width)];
      const t = { rows: y, columns: x, pixels: place }[this.layout];
      const share = (value / 255) * (t <= this.step ? 1 : 0.35);
      context.fillStyle = `rgb(${paper.map((channel, k) => channel + share * (ink[k] - channel)).join(" ")})`;
      context.fillRect(x * cell, y * cell, cell, cell);
    });
    context.strokeStyle = `rgb(${accent.join(" ")})`;
    context.lineWidth = 3;
    const boxes = {
      rows: [0, this.step, width, 1],
      columns: [this.step, 0, 1, height],
      pixels: [this.step % width, Math.floor(this.step / width), 1, 1],
    };
    const frame = ([x, y, w, h]) => context.strokeRect(x * cell + 1.5, y * cell + 1.5, w * cell - 3, h * cell - 3);
    frame(boxes[this.layout]);
    if (document.activeElement === this.canvas && this.canvas.matches(":focus-visible")) {
      context.setLineDash([4, 3]);
      frame([this.key.x, this.key.y, 1, 1]);
      context.setLineDash([]);
    }
  }
}

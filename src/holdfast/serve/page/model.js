// One model: what it reads, what it answers, what is inside while it streams, its card, and how a program asks it.

import { Asking } from "./asking.js";
import { askJSON } from "./client.js";
import { element } from "./dom.js";
import { programs } from "./programs.js";
import { Stepping } from "./stepping.js";
import { TensorForm } from "./tensors.js";
import { Writer } from "./writer.js";

const TITLES = {
  image: "Draw",
  numbers: "The sequence",
  pairs: "Two numbers",
  sound: "Speak, or choose a recording",
  table: "The history and the forecast",
  tensors: "The inputs",
  text: "Type a text",
  words: "Type a sentence",
  labels: "What the model says",
  tags: "The tag of each step",
  values: "What the model says",
  written: "What the model writes",
  next: "The text goes on",
  beginning: "The beginning of a text",
  forecast: "The forecast in numbers",
};

const STEPS = ["image", "numbers", "pairs"]; // inputs whose rows are the steps of a stream

let sections = 0;

/** A section with a heading. */
function section(title, ...children) {
  sections += 1;
  const id = `section-${sections}`;
  return element("section", { "aria-labelledby": id }, element("h2", { id }, title), ...children);
}

/** HTML of the server, whose texts it has escaped, as elements. */
function parsed(html) {
  return [...new DOMParser().parseFromString(html, "text/html").body.childNodes];
}

/** Lets a wide table scroll. */
function scrolling(table) {
  const around = element("div", { class: "scrolling", tabindex: 0, role: "region", "aria-label": "A table" });
  table.replaceWith(around);
  around.append(table);
}

/** Everything about one model. */
export class ModelView {
  /**
   * @param about What the server says of the model, as `page/models/NAME` has it.
   * @param versions Whether there are other versions of it.
   */
  constructor(about, versions) {
    this.about = about;
    const { input, answer } = about;
    const path = `${encodeURIComponent(about.name)}?version=${encodeURIComponent(about.version)}`;
    this.parts = this.made(path);
    const wide = ["forecast", "next"].includes(answer.kind);
    const [first, second] = this.parts;
    this.elements = [
      this.heading(),
      element(
        "div",
        { class: wide ? "try" : "try beside" },
        section(TITLES[answer.kind === "next" ? "beginning" : input.kind], first.element),
        section(input.kind === "tensors" ? "The outputs" : TITLES[answer.kind], second.element),
      ),
      ...this.parts.slice(2).map((part) => section(part.title, part.element)),
      section("From a program", ...programs(about, versions)),
      this.card(path),
    ];
  }

  heading() {
    const { name, version, task, description, note } = this.about;
    return element(
      "div",
      { class: "model" },
      element("h1", {}, name),
      element("p", {}, `Version ${version}, ${task}. ${description}`),
      note ? element("p", { class: "hint" }, note) : null,
    );
  }

  /** The input, the answer, and what else the model has. */
  made(path) {
    const { about } = this;
    if (about.input.kind === "tensors") {
      const form = new TensorForm(about, path);
      return [form, form.outputs];
    }
    if (about.door === "generate") {
      const writer = new Writer(about, path);
      return [writer.input, writer];
    }
    const asking = new Asking(about, path);
    const steps = about.stream && STEPS.includes(about.input.kind) ? [new Stepping(about, asking)] : [];
    const live = asking.live ? [asking.live] : [];
    return [asking.inputs, asking, ...steps, ...live];
  }

  /** The card, which is asked for when it is opened. */
  card(path) {
    const place = element("div", { class: "card" }, element("p", { class: "hint", role: "status" }, "Asking …"));
    const [name, query] = path.split("?");
    const fill = async () => {
      try {
        const { card, computation } = await askJSON(`page/models/${name}/card?${query}`);
        const computes = computation ? [element("h2", {}, "What it computes"), ...parsed(computation)] : [];
        place.replaceChildren(...parsed(card), ...computes);
        place.querySelectorAll("table").forEach(scrolling);
      } catch (error) {
        place.replaceChildren(element("p", { class: "wrong", role: "alert" }, error.message));
      }
    };
    const details = element("details", {}, element("summary", {}, element("h2", {}, "The model's card")), place);
    details.addEventListener("toggle", () => details.open && fill(), { once: true });
    return element("section", {}, details);
  }

  start() {
    for (const part of this.parts) part.start?.();
  }

  close() {
    for (const part of this.parts) part.close?.();
  }
}

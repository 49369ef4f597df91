// A form for a model that has tensors alone: numbers or texts with a shape in, tables of numbers out.

import { Refusal, askJSON, posted } from "./client.js";
import { element, labelled, short } from "./dom.js";

const STEPS = 4; // of an open axis beyond the first one, to begin with
const MOST = 64; // rows and columns that are shown

/** The sizes to begin with. */
const begun = (shape) => shape.map((size, axis) => (size >= 0 ? size : axis ? STEPS : 1));
const product = (sizes) => sizes.reduce((all, size) => all * size, 1);

/** Controls for one tensor; an optional one without values is left out. */
class TensorInput {
  constructor({ name, datatype, shape, parameters = {} }) {
    Object.assign(this, { name, datatype, optional: parameters.optional ?? false });
    const sizes = begun(shape);
    const zeros = datatype === "BYTES" || this.optional ? "" : new Array(Math.min(product(sizes), 4096)).fill(0);
    this.shape = element("input", { type: "text", value: sizes.join(", "), inputmode: "numeric", autocomplete: "off" });
    this.values = element("textarea", { rows: 4, spellcheck: "false" });
    this.values.value = this.lines(zeros, sizes.at(-1) || 1);
    const kind = datatype === "BYTES" ? "texts, one per line" : "numbers";
    const asked = this.optional ? ` (${kind}; may be empty)` : ` (${kind})`;
    this.element = element(
      "fieldset",
      { class: "tensor" },
      element("legend", {}, `${name}, ${datatype}, [${shape.map((size) => (size < 0 ? "any" : size)).join(", ")}]`),
      labelled(`Values of ${name}${asked}`, this.values),
      labelled(`Shape of ${name}`, this.shape),
    );
  }

  lines(values, width) {
    if (!values) return "";
    return Array.from({ length: Math.ceil(values.length / width) }, (_, row) =>
      values.slice(row * width, (row + 1) * width).join(", ")).join("\n");
  }

  /** The tensor of a request; null where it is left out. */
  given() {
    const text = this.values.value;
    if (this.optional && !text.trim()) return null;
    const shape = (this.shape.value.match(/\d+/gu) ?? []).map(Number);
    const data = this.datatype === "BYTES" ? text.split("\n") : this.numbers(text);
    if (data.length !== product(shape)) {
      const got = `${data.length} values`;
      throw new Refusal(`${this.name} has ${got}; expected ${product(shape)}, for the shape [${shape.join(", ")}].`);
    }
    return { name: this.name, datatype: this.datatype, shape, data };
  }

  numbers(text) {
    const words = text.split(/[\s,;[\]]+/u).filter(Boolean);
    if (this.datatype === "BOOL") return words.map((word) => word === "true" || word === "1");
    const wrong = words.find((word) => !Number.isFinite(Number(word)));
    if (wrong !== undefined) throw new Refusal(`${this.name} has ${wrong}; expected numbers.`);
    return words.map(Number);
  }
}

/** The inputs of a model, and its outputs beside them. */
export class TensorForm {
  constructor({ name, version, tensors }) {
    this.place = `v2/models/${encodeURIComponent(name)}/versions/${encodeURIComponent(version)}/infer`;
    this.tensors = tensors;
    this.inputs = tensors.inputs.map((tensor) => new TensorInput(tensor));
    this.status = element("p", { class: "hint", role: "status" });
    const send = (event) => {
      event.preventDefault();
      this.run();
    };
    const button = element("button", { type: "submit", class: "main" }, "Compute");
    this.element = element("form", { onsubmit: send }, this.inputs.map((input) => input.element), button, this.status);
    this.outputs = { element: element("div", { class: "answer" }) };
  }

  async run() {
    this.status.classList.remove("wrong");
    try {
      const inputs = this.inputs.map((input) => input.given()).filter(Boolean);
      const begin = performance.now();
      const { outputs } = await askJSON(this.place, posted({ inputs }));
      this.status.textContent = `Answered in ${short(performance.now() - begin)} ms.`;
      this.outputs.element.replaceChildren(...outputs.flatMap((output) => this.shown(output)));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.status.classList.add("wrong");
      this.status.textContent = error.message;
    }
  }

  /** An output as a heading and a table: a row for each position of the axes before the last one. */
  shown({ name, datatype, shape, data }) {
    const width = shape.length > 1 ? shape.at(-1) : 1;
    const labels = this.tensors.parameters.labels[name] ?? [];
    const count = Math.min(MOST, Math.ceil(data.length / (width || 1)));
    const cell = (value) => (value === null ? "NaN" : typeof value === "number" ? short(value) : String(value));
    const head = ["", ...Array.from({ length: Math.min(width, MOST) }, (_, k) => labels[k] ?? String(k))];
    const rows = Array.from({ length: count }, (_, row) => {
      const values = data.slice(row * width, row * width + Math.min(width, MOST));
      return element(
        "tr",
        {},
        element("th", { scope: "row" }, position(row, shape.slice(0, shape.length > 1 ? -1 : 1))),
        values.map((value) => element("td", {}, cell(value))),
      );
    });
    const heads = element("tr", {}, head.map((text) => element("th", { scope: "col" }, text)));
    const table = element("table", { class: "values" }, element("thead", {}, heads), element("tbody", {}, rows));
    const around = { class: "scrolling", tabindex: 0, role: "region", "aria-label": name };
    return [element("h3", {}, `${name}, ${datatype}, [${shape.join(", ")}]`), element("div", around, table)];
  }

  start() {
    this.run();
  }
}

/** The indices of a row, such as "0, 3". */
function position(row, sizes) {
  const found = [];
  let rest = row;
  for (const size of [...sizes].reverse()) {
    found.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return found.join(", ");
}

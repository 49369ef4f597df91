// Elements of the page. Text is always set as text, never as HTML, so a label can hold anything.

const SVG = "http://www.w3.org/2000/svg";

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null));
  return node;
}

/** An element with attributes, listeners ("onclick") and children: elements or texts. */
export function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function drawing(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

let count = 0;

/** A label above a control. */
export function labelled(text, control) {
  count += 1;
  control.id ||= `control-${count}`;
  return element("div", { class: "field" }, element("label", { for: control.id }, text), control);
}

/** A list to choose from; `onchoose` gets the position. */
export function chooser(names, onchoose, { first = null } = {}) {
  const options = names.map((name, place) => element("option", { value: place }, name));
  const select = element("select", {}, first === null ? [] : element("option", { value: "" }, first), options);
  select.addEventListener("change", () => select.value !== "" && onchoose(Number(select.value)));
  return select;
}

/** A list with one entry per step; a click on an entry becomes the event "pick" with the number of the step. */
export function stepList(name) {
  const list = element("ol", { class: name });
  list.addEventListener("click", (event) => {
    const step = Array.from(list.children).indexOf(event.target.closest("li"));
    if (step >= 0) list.dispatchEvent(new CustomEvent("pick", { detail: step, bubbles: true }));
  });
  return list;
}

const VISIBLE = new Map([["\n", "↵"], ["\t", "⇥"], [" ", "␣"]]);

const sign = (letter) => VISIBLE.get(letter) ?? (/\s/u.test(letter) ? "·" : letter);

/** A token as a person can see it: blanks alone and control characters get a sign. */
export function visible(token) {
  const shown = token.trim() ? token : Array.from(token, sign).join("");
  return shown.replace(/[\u0000-\u001f\u007f]/gu, (letter) => VISIBLE.get(letter) ?? "�");
}

/** A number with few digits. */
export function short(value) {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-3) return value.toExponential(2);
  return String(Number(value.toPrecision(size >= 1000 ? 6 : 4)));
}

export const percent = (share) => `${(100 * share).toFixed(share > 0.9995 || share < 0.0995 ? 1 : 0)} %`;

/** A colour of the page, as [red, green, blue]; the names are those of page.css. */
export function colour(name) {
  const text = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  return [1, 3, 5].map((place) => parseInt(text.slice(place, place + 2), 16));
}

/** Calls `redraw` when light turns to dark, or back. */
export function onThemeChange(redraw) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}

/** The colour of a value: from `paper` at 0 to `high` at 1 and to `low` at -1. */
export function shades() {
  const [paper, high, low] = ["heat-zero", "heat-high", "heat-low"].map(colour);
  return (value) => {
    const share = Math.min(Math.abs(value), 1);
    const end = value < 0 ? low : high;
    return paper.map((channel, k) => Math.round(channel + share * (end[k] - channel)));
  };
}

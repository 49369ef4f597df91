// Files to send: chosen, or dropped.

import { element, labelled } from "./dom.js";

const MANY = 5; // names that are shown

/** Files as they are; a picture is shown, a sound can be heard. */
export class FileDrop {
  /**
   * @param endings Of the files that are read, such as ".png".
   * @param onchange Called when files were chosen.
   * @param reader A widget that shows a file too, by `openFile(file)`, and tells by `edited` that it was changed since.
   */
  constructor(endings, onchange, reader) {
    Object.assign(this, { onchange, reader: reader?.openFile ? reader : null, files: [], url: null });
    this.control = element("input", { type: "file", multiple: true, accept: endings.join(",") });
    this.control.addEventListener("change", () => this.take([...this.control.files]));
    this.preview = element("div", { class: "preview" });
    const shown = endings.slice(0, MANY).map((ending) => ending.slice(1).toUpperCase()).join(", ");
    this.element = element(
      "div",
      { class: "drop" },
      labelled(`Or choose a file, or drop it here: ${shown}`, this.control),
      this.preview,
    );
    const over = (on) => (event) => {
      event.preventDefault();
      this.element.classList.toggle("over", on);
    };
    this.element.addEventListener("dragover", over(true));
    this.element.addEventListener("dragleave", over(false));
    this.element.addEventListener("drop", (event) => {
      over(false)(event);
      this.take([...event.dataTransfer.files]);
    });
  }

  async take(files) {
    if (!files.length) return;
    this.clear();
    this.files = files;
    this.show();
    if (this.reader) await this.reader.openFile(files[0]);
    this.onchange();
  }

  given() {
    return { files: this.files };
  }

  setStep() {}

  show() {
    const [first] = this.files;
    const names = this.files.slice(0, MANY).map(({ name }) => name).join(", ");
    const more = this.files.length > MANY ? ` and ${this.files.length - MANY} more` : "";
    const parts = [element("p", { class: "hint" }, `${names}${more}`)];
    const kind = first.type.split("/")[0];
    if (kind === "image" || kind === "audio") this.url = URL.createObjectURL(first);
    if (kind === "image") parts.unshift(element("img", { src: this.url, alt: `The picture ${first.name}` }));
    if (kind === "audio") parts.push(element("audio", { src: this.url, controls: true, "aria-label": first.name }));
    this.preview.replaceChildren(...parts);
  }

  clear() {
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = null;
    this.files = [];
    this.control.value = "";
    this.preview.replaceChildren();
  }
}

// How a program asks the server for what the page shows.

import { token } from "./client.js";
import { element } from "./dom.js";

const FILES = { image: "picture.png", sound: "speech.wav", table: "series.csv" };

/** The body of a request, where it is JSON. */
function body({ door, input, answer, tensors }) {
  if (door === "generate") return { prompt: input.samples[0].text, options: { length: answer.length }, stream: true };
  if (door === "infer") {
    const sizes = (shape) => shape.map((size) => Math.max(size, 1));
    const tensor = ({ name, datatype, shape }) => ({ name, datatype, shape: sizes(shape), data: ["…"] });
    return { inputs: tensors.inputs.filter(({ parameters }) => !parameters?.optional).map(tensor) };
  }
  if (input.kind === "pairs") return { examples: [[13, 29]] };
  if (input.kind === "text" || input.kind === "words") return { texts: [input.samples[0]?.text ?? "a text"] };
  return { examples: [[new Array(input.channels).fill(0)]] };
}

/** Commands for a shell; where a model has `versions`, they name the one that is shown. */
export function programs(about, versions) {
  const { origin, pathname } = location;
  const root = origin + pathname.replace(/\/$/u, "");
  const door = about.door === "infer" ? `v2/models/${about.name}/infer` : `${about.door}/${about.name}`;
  const key = token.get() ? ' -H "Authorization: Bearer $HOLDFAST_TOKEN"' : "";
  const file = about.door === "predict" && FILES[about.input.kind];
  const json = JSON.stringify(body(about)).replaceAll("'", "'\\''");
  const sent = file ? `-F files=@${file}` : `-d '${json}'`;
  const quiet = about.door === "generate" ? "-N" : "-s";
  const url = versions ? `'${root}/${door}?version=${about.version}'` : `${root}/${door}`;
  const lines = [`curl ${quiet} ${url}${key} ${sent}`];
  const what = about.task === "transcribe" ? "sound as it comes" : "one step at a time";
  const stream = `${root.replace(/^http/u, "ws")}/stream/${about.name}${versions ? `/versions/${about.version}` : ""}`;
  if (about.stream) lines.push(`# ${what}: ${stream}`);
  return [element("pre", { tabindex: 0 }, lines.join("\n"))];
}

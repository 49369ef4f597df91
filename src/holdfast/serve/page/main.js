// The page: asks for the models and, where the server wants one, for a token; shows one model at a time.

import { Refusal, ask, askJSON, token } from "./client.js";
import { element, labelled } from "./dom.js";
import { ModelView } from "./model.js";

const byId = (id) => document.getElementById(id);
let models = [];
let view = null;
let shows = 0; // how often a model was to be shown

const hasVersions = ({ name }) => models.filter((model) => model.name === name).length > 1;

/** What the address has after its # for a model. */
const keyOf = (model) => (hasVersions(model) ? `${model.name}@${model.version}` : model.name);

function say(text, wrong = false) {
  view?.close();
  view = null;
  byId("main").replaceChildren(element("p", { class: wrong ? "wrong" : "hint", role: "status" }, text));
}

/** Shows the model that the address names after its #, or the first one. */
async function show() {
  const key = location.hash.slice(1); // the names of models need no escapes but for the @
  const model = models.find((each) => [keyOf(each), encodeURIComponent(keyOf(each))].includes(key)) ?? models[0];
  shows += 1;
  const own = shows;
  for (const link of byId("models").querySelectorAll("a")) {
    if (link.dataset.key === keyOf(model)) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  say(`Opening ${model.name} …`);
  const path = `page/models/${encodeURIComponent(model.name)}`;
  const query = `?version=${encodeURIComponent(model.version)}`;
  const about = await askJSON(path + query);
  if (own !== shows) return; // another one was chosen meanwhile
  document.title = `${model.name} – holdfast serve`;
  view = new ModelView(about, hasVersions(model));
  byId("main").replaceChildren(...view.elements);
  view.start();
  Object.assign(window, { holdfast: view }); // for a look from the console
}

function list() {
  const link = (model) => {
    const key = keyOf(model);
    const streams = model.streams ? ", streams" : "";
    return element(
      "a",
      { href: `#${encodeURIComponent(key)}`, "data-key": key },
      element("strong", {}, key),
      element("span", {}, `${model.task}${streams}`),
    );
  };
  byId("models").replaceChildren(...models.map(link));
  byId("models").hidden = false;
}

/** Asks for the token, and begins again with it. */
function askForToken(problem) {
  const control = element("input", { type: "password", autocomplete: "off", required: true });
  const enter = (event) => {
    event.preventDefault();
    if (!/^[!-~]+$/u.test(control.value)) {
      askForToken("A token has letters, digits and signs of ASCII alone, and no spaces.");
      return;
    }
    token.set(control.value);
    start();
  };
  const form = element(
    "form",
    { class: "token", onsubmit: enter },
    element("h1", {}, "This server asks for a token"),
    problem ? element("p", { class: "wrong", role: "alert" }, problem) : null,
    labelled("Token", control),
    element("button", { type: "submit", class: "main" }, "Continue"),
    element("p", { class: "hint" }, "This tab keeps it until the tab is closed, and sends it to this server alone."),
  );
  view?.close();
  view = null;
  byId("models").hidden = true;
  byId("main").replaceChildren(element("section", {}, form));
  control.focus();
}

/** Runs a step of the page; a refusal is shown in the server's sentence. */
async function shown(step) {
  try {
    await step();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.status !== 401) say(error.message, true);
  }
}

const start = () =>
  shown(async () => {
    say("Asking the server for its models …");
    ({ models } = await askJSON("page/models"));
    byId("forget").hidden = !token.get();
    list();
    await show();
  });

/** Opens a page of the server that a link cannot open, because a link sends no token. */
async function openWithToken(event) {
  const link = event.target.closest("a[data-kind]");
  if (!link || !token.get()) return;
  event.preventDefault();
  const tab = window.open("about:blank");
  await shown(async () => {
    const content = await (await ask(link.getAttribute("href"))).text();
    tab.location = URL.createObjectURL(new Blob([content], { type: `${link.dataset.kind};charset=utf-8` }));
  });
}

document.addEventListener("token", ({ detail }) => askForToken(detail));
document.querySelector("footer").addEventListener("click", openWithToken);
byId("forget").addEventListener("click", () => {
  token.forget();
  byId("forget").hidden = true;
  start();
});
window.addEventListener("hashchange", () => models.length && shown(show));
start();

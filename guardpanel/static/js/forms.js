// Forms: what is not saved yet, one submit at a time, the steps of a save, repeated rows. Forms also work without it.

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const isBusy = (form) => form.hasAttribute("data-busy");

function ready() {
  for (const row of $$("[data-spare]")) if ($$("[data-row]", row.parentElement).length > 1) row.remove();
  $$("form[data-save]").forEach(watch);
}

// ---- unsaved changes -----------------------------------------------------------------------

const saved = new Map(); // action of a form -> its fields as they were before anybody typed; survives a refused answer
let leaving = false;

const keyOf = (form) => form.getAttribute("action") || location.pathname;
const changedForm = () => $$("form[data-save]").find((form) => !isBusy(form) && changes(form).length);

function watch(form) {
  if (form.hasAttribute("data-watched")) return;
  form.setAttribute("data-watched", "");
  if (!saved.has(keyOf(form)) || !$("[data-refusal]")) saved.set(keyOf(form), fieldsOf(form));
  updateSaveBar(form);
}

function fieldsOf(form) {
  const fields = new Map();
  for (const [name, value] of new FormData(form)) {
    const control = controlOf(form, name);
    if (control.type === "hidden" || control.matches("[data-choice], [data-not-saved]")) continue;
    const text = value instanceof File ? value.name : value;
    fields.set(name, { value: `${fields.get(name)?.value ?? ""}${text}\n`, label: labelOf(control), row: rowOf(control) });
  }
  return fields;
}

const controlOf = (form, name) => $(`[name="${CSS.escape(name)}"]`, form);

function labelOf(control) {
  const group = control.type === "radio" && control.closest("fieldset");
  const text = (group && $("legend", group)?.textContent) || control.getAttribute("aria-label") || control.labels?.[0]?.firstChild.textContent || control.name;
  return text.trim().replace(/^[A-Z](?=[^A-Z\s]*(\s|$))/, (letter) => letter.toLowerCase()); // a name, such as SecLang, stays as it is
}

function rowOf(control) {
  const row = control.closest("[data-row]");
  const list = row?.closest("[data-rows]");
  return list && `${list.dataset.rowWord} ${$$("[data-row]", list).indexOf(row) + 1}`;
}

const rowFields = (form, name) => $$("[name]", controlOf(form, name).closest("[data-row]"));

function changes(form) {
  const before = saved.get(keyOf(form)) ?? new Map();
  const now = fieldsOf(form);
  const words = new Set();
  for (const name of new Set([...before.keys(), ...now.keys()])) {
    const [old, fresh] = [before.get(name), now.get(name)];
    if (old?.value === fresh?.value) continue;
    if (fresh?.row && !rowFields(form, name).some((field) => before.has(field.name))) words.add(`${fresh.row} added`);
    else if (old?.row && !fresh && !controlOf(form, name)) words.add(`${old.row} removed`);
    else words.add((old ?? fresh).label);
  }
  return [...words];
}

function updateSaveBar(form) {
  const [bar, place] = [$(".savebar", form), $("[data-unsaved]", form)];
  if (!bar || !place) return;
  const words = changes(form);
  const lead = document.createElement("b");
  lead.textContent = words.length === 1 ? "1 unsaved change" : words.length ? `${words.length} unsaved changes` : $("[data-refusal]") ? "Not saved" : "";
  const rest = words.length > 4 ? `${words.slice(0, 4).join(", ")} and ${words.length - 4} more` : words.join(", ");
  if (form.hasAttribute("data-too-large")) place.textContent = "Nothing was saved: this is too large to send. Shorten a text.";
  else if (form.hasAttribute("data-lost")) place.textContent = "No response from guardpanel. Check Changes to see whether the save went live.";
  else place.replaceChildren(lead, rest && `: ${rest}`);
  bar.toggleAttribute("data-clean", !lead.textContent && !bar.hasAttribute("data-new") && !form.matches("[data-lost], [data-too-large]"));
}

function mayLeave() {
  const form = !leaving && changedForm();
  leaving = !form || confirm("You have unsaved changes. Leave this page?");
  return leaving;
}

document.addEventListener("input", ({ target }) => {
  if (!target.form?.matches("[data-save]")) return;
  chooseMine(target);
  updateSaveBar(target.form);
});
addEventListener("beforeunload", (event) => !leaving && changedForm() && event.preventDefault());
window.navigation?.addEventListener("navigate", (event) => {
  if (event.navigationType !== "traverse" || !event.cancelable || event.hashChange || mayLeave()) return;
  event.preventDefault();
  event.stopImmediatePropagation(); // htmx would intercept the cancelled event
});

// ---- a form that is behind: whoever types into a field means their own value -----------------

function chooseMine(control) {
  const mine = $(`[data-choice][name="take.${CSS.escape(control.name.split(".")[0])}"][value="mine"]`, control.form);
  if (mine) mine.checked = true;
}

// ---- one submit at a time, and the steps of a save -----------------------------------------

const running = new WeakMap(); // busy form -> function that gives it back

document.addEventListener("submit", (event) => {
  const [form, button] = [event.target, event.submitter];
  if (form.getAttribute("method")?.toLowerCase() !== "post" || form.matches("[data-download]")) return; // its page stays
  if (isBusy(form)) {
    event.preventDefault();
    event.stopImmediatePropagation();
    return;
  }
  form.setAttribute("data-busy", "");
  for (const outcome of ["data-lost", "data-too-large"]) form.removeAttribute(outcome);
  setTimeout(() => isBusy(form) && lock(form, button)); // after the browser has read the fields
}, true);

function lock(form, button) {
  if (button) button.disabled = true;
  const stop = form.matches("[data-save]") ? showSteps(form) : () => {};
  running.set(form, () => {
    stop();
    if (button) button.disabled = false;
  });
}

function unlock(form) {
  running.get(form)?.();
  running.delete(form);
  form.removeAttribute("data-busy");
  if (form.matches("[data-save]")) updateSaveBar(form);
}

function showSteps(form) {
  const [box, label, button] = [$("[data-steps]", form), $("[data-save-button] [data-label]", form), $("[data-save-button]", form)];
  const [words, started, key] = [label.textContent, performance.now(), $("[name=save_key]", form)?.value];
  const parts = [...form.children].filter((part) => !part.matches(".savebar"));
  for (const part of parts) part.inert = true;
  button.disabled = true;
  const count = () => (label.textContent = `Going live, ${((performance.now() - started) / 1000).toFixed(1)} s`);
  count();
  let isAsking = false;
  const ask = async () => {
    if (isAsking || !key) return;
    isAsking = true;
    const answer = await fetch(`/saves/${encodeURIComponent(key)}`, { headers: { "HX-Request": "true" } }).catch(() => null);
    if (answer?.status === 200) draw(box, await answer.text());
    isAsking = false;
  };
  const timers = [setInterval(count, 100), setInterval(ask, 150)];
  return () => {
    timers.forEach(clearInterval);
    for (const part of parts) part.inert = false;
    button.disabled = false;
    label.textContent = words;
    box.replaceChildren();
  };
}

function draw(box, html) {
  const fresh = $(".steps", new DOMParser().parseFromString(html, "text/html"));
  const current = $(".steps", box);
  if (!fresh) return;
  if (!current) return box.replaceChildren(fresh);
  [...fresh.children].forEach((step, n) => {
    if (!current.children[n]) current.append(step);
    else if (current.children[n].outerHTML !== step.outerHTML) current.children[n].replaceWith(step);
  });
}

addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const form of $$("form[data-busy]")) {
    unlock(form);
    const key = $("[name=save_key]", form);
    if (key) key.value = uuid(); // the old one names the save that has ended
  }
});

function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, "$1-$2-$3-$4-$5");
}

// ---- htmx ----------------------------------------------------------------------------------

const isRestore = (ctx) => "HX-History-Restore-Request" in ctx.request.headers;

document.addEventListener("htmx:config:request", (event) => {
  const { ctx } = event.detail;
  const leaves = ctx.target === document.body && ctx.swap !== "none" && !isRestore(ctx) && !ctx.sourceElement.matches("[data-save]");
  if (leaves && !mayLeave()) {
    event.preventDefault();
    if (ctx.sourceElement.matches("form")) unlock(ctx.sourceElement);
  }
});
document.addEventListener("htmx:before:history:update", (event) => {
  const { response, sourceElement } = event.detail; // a refused form keeps the address that shows it
  if (response?.status >= 400 && sourceElement.matches("form[method=post]")) event.preventDefault();
});
document.addEventListener("htmx:before:swap", (event) => {
  const { sourceElement, response } = event.detail.ctx; // a form that is too large stays: the answer has nothing of it
  if (response?.raw.status !== 413 || !sourceElement.matches("form[data-save]")) return;
  event.preventDefault();
  sourceElement.setAttribute("data-too-large", "");
});
document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
  if (ctx.swap === "none") return;
  if (ctx.target === document.body) leaving = false;
  ready();
});
document.addEventListener("htmx:error", ({ detail }) => detail.ctx?.sourceElement.toggleAttribute("data-lost", true));
document.addEventListener("htmx:finally:request", ({ detail: { ctx } }) => ctx.sourceElement.matches("form") && unlock(ctx.sourceElement));

// ---- repeated rows, Discard and Ctrl S -----------------------------------------------------

const clicks = {
  "[data-discard]": () => (leaving = true),
  "[data-add-row]": addRow,
  "[data-remove-row]": removeRow,
};
document.addEventListener("click", (event) => {
  for (const [selector, does] of Object.entries(clicks)) {
    const element = event.target.closest(selector);
    if (element && selector !== "[data-discard]") event.preventDefault();
    if (element) does(element);
  }
}, true);

document.addEventListener("keydown", (event) => {
  if (event.key !== "s" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
  const form = event.target.closest?.("form[data-save]") ?? $("form[data-save]");
  if (form) event.preventDefault();
  if (form && !isBusy(form) && !$("[data-clean]", form)) form.requestSubmit($("[data-save-button]", form));
});

function addRow(button) {
  const list = $(`[data-rows="${button.dataset.addRow}"]`, button.form);
  const row = $("template", list).content.firstElementChild.cloneNode(true);
  row.removeAttribute("data-spare"); // ready() removes what is spare, each time something on the page is updated
  const number = Math.max(Number(list.dataset.next ?? 0), $$("[data-row]", list).length);
  list.dataset.next = number + 1;
  for (const element of [row, ...$$("*", row)])
    for (const { name, value } of [...element.attributes]) if (value.includes("__")) element.setAttribute(name, value.replaceAll("__n__", number).replaceAll("__number__", number + 1));
  list.insertBefore(row, $("template", list));
  renumber(list);
  $("input, select", row).focus();
  updateSaveBar(button.form);
}

function renumber(list) {
  const number = new RegExp(`(\\b${list.dataset.rowWord}) \\d+`, "i"); // as errors name rows: by their order
  $$("[data-row]", list).forEach((row, n) => {
    for (const named of $$("[aria-label]", row)) named.setAttribute("aria-label", named.getAttribute("aria-label").replace(number, `$1 ${n + 1}`));
    for (const hidden of $$(".visually-hidden", row)) hidden.textContent = hidden.textContent.replace(number, `$1 ${n + 1}`);
  });
}

function removeRow(button) {
  const [form, row] = [button.form, button.closest("[data-row]")];
  const next = row.nextElementSibling?.matches("[data-row]") ? row.nextElementSibling : null;
  const list = row.closest("[data-rows]");
  row.remove();
  renumber(list);
  (next ? $("input, select", next) : $(`[data-add-row="${list.dataset.rows}"]`, form))?.focus();
  updateSaveBar(form);
}

ready();

// What the browser adds to pages that also work without it: listeners on the document, found by data attributes.

const one = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const isBusy = (form) => form.hasAttribute("data-busy");

// ---- each time content arrives -------------------------------------------------------------

function ready(wholePage) {
  for (const row of all("[data-spare]")) if (row.parentElement.querySelectorAll("[data-row]").length > 1) row.remove();
  all("form[data-save]").forEach(watch);
  all("[data-toast]:not([data-seen])").forEach(announce);
  const refusal = one("[data-refusal]:not([data-seen])");
  refusal?.setAttribute("data-seen", "");
  if (refusal) refusal.focus();
  else if (wholePage && !one("[autofocus]") && document.activeElement === document.body) one("#main")?.focus({ preventScroll: true });
  const keys = localStorage.getItem("keys") ?? "on";
  document.documentElement.dataset.keys = keys;
  for (const box of all("[data-keys-switch]")) box.checked = keys === "on";
}

function announce(toast) {
  const place = toast.parentElement;
  toast.setAttribute("data-seen", "");
  toast.remove();
  setTimeout(() => place.replaceChildren(toast), 50); // into a live region that is already there
  let timer;
  const wait = () => (timer = setTimeout(() => toast.remove(), 12_000));
  const stay = () => clearTimeout(timer);
  for (const [event, does] of [["pointerenter", stay], ["pointerleave", wait], ["focusin", stay], ["focusout", wait]]) toast.addEventListener(event, () => (stay(), does()));
  wait();
}

// ---- unsaved changes -----------------------------------------------------------------------

const saved = new Map(); // action of a form -> its fields as they were before anybody typed; survives a refused answer
let leaving = false;

const keyOf = (form) => form.getAttribute("action") || location.pathname;
const changedForm = () => all("form[data-save]").find((form) => !isBusy(form) && changes(form).length);

function watch(form) {
  if (form.hasAttribute("data-watched")) return;
  form.setAttribute("data-watched", "");
  if (!saved.has(keyOf(form)) || !one("[data-refusal]")) saved.set(keyOf(form), fieldsOf(form));
  tell(form);
}

function fieldsOf(form) {
  const fields = new Map();
  for (const [name, value] of new FormData(form)) {
    const control = controlOf(form, name);
    if (control.type === "hidden") continue;
    const text = value instanceof File ? value.name : value;
    fields.set(name, { value: (fields.get(name)?.value ?? "") + text + "\n", label: labelOf(control), row: rowOf(control) });
  }
  return fields;
}

const controlOf = (form, name) => one(`[name="${CSS.escape(name)}"]`, form);

function labelOf(control) {
  const group = control.type === "radio" && control.closest("fieldset");
  const text = (group && one("legend", group)?.textContent) || control.getAttribute("aria-label") || control.labels?.[0]?.firstChild.textContent || control.name;
  return text.trim().replace(/^[A-Z](?=[a-z ])/, (letter) => letter.toLowerCase());
}

function rowOf(control) {
  const row = control.closest("[data-row]");
  const list = row?.closest("[data-rows]");
  return list && `${list.dataset.rowWord} ${all("[data-row]", list).indexOf(row) + 1}`;
}

function changes(form) {
  const before = saved.get(keyOf(form)) ?? new Map();
  const now = fieldsOf(form);
  const words = new Set();
  for (const name of new Set([...before.keys(), ...now.keys()])) {
    const [old, fresh] = [before.get(name), now.get(name)];
    if (old?.value === fresh?.value) continue;
    if (fresh?.row && !old && controlOf(form, name).closest("[data-added]")) words.add(`${fresh.row} added`);
    else if (old?.row && !fresh && !controlOf(form, name)) words.add(`${old.row} removed`);
    else words.add((old ?? fresh).label);
  }
  return [...words];
}

function tell(form) {
  const [bar, place] = [one(".savebar", form), one("[data-unsaved]", form)];
  if (!bar || !place) return;
  const words = changes(form);
  const lead = document.createElement("b");
  lead.textContent = words.length === 1 ? "1 change not saved" : words.length ? `${words.length} changes not saved` : one("[data-refusal]") ? "Not saved" : "";
  const rest = words.length > 4 ? `${words.slice(0, 4).join(", ")} and ${words.length - 4} more` : words.join(", ");
  if (form.hasAttribute("data-lost")) place.textContent = "guardpanel did not answer. Changes shows whether the save went live.";
  else place.replaceChildren(lead, rest && `: ${rest}`);
  bar.toggleAttribute("data-clean", !lead.textContent && !bar.hasAttribute("data-new") && !form.hasAttribute("data-lost"));
}

function mayLeave() {
  const form = !leaving && changedForm();
  leaving = !form || confirm("What you changed here is not saved. Leave this page?");
  return leaving;
}

document.addEventListener("input", ({ target }) => target.form?.matches("[data-save]") && tell(target.form));
addEventListener("beforeunload", (event) => !leaving && changedForm() && event.preventDefault());
window.navigation?.addEventListener("navigate", (event) => {
  if (event.navigationType !== "traverse" || !event.cancelable || event.hashChange || mayLeave()) return;
  event.preventDefault();
  event.stopImmediatePropagation(); // htmx would intercept the cancelled event
});

// ---- one submit at a time, and the steps of a save -----------------------------------------

const running = new WeakMap(); // busy form -> function that gives it back

document.addEventListener("submit", (event) => {
  const [form, button] = [event.target, event.submitter];
  if (form.getAttribute("method")?.toLowerCase() !== "post") return;
  if (isBusy(form)) {
    event.preventDefault();
    event.stopImmediatePropagation();
    return;
  }
  form.setAttribute("data-busy", "");
  form.removeAttribute("data-lost");
  if (form.matches("[data-theme-form]")) showTheme(form, button.value);
  setTimeout(() => isBusy(form) && hold(form, button)); // after the browser has read the fields
}, true);

function hold(form, button) {
  if (button) button.disabled = true;
  const stop = form.matches("[data-save]") ? showSteps(form) : () => {};
  running.set(form, () => {
    stop();
    if (button) button.disabled = false;
  });
}

function release(form) {
  running.get(form)?.();
  running.delete(form);
  form.removeAttribute("data-busy");
  if (form.matches("[data-save]")) tell(form);
}

function showSteps(form) {
  const [box, label, button] = [one("[data-steps]", form), one("[data-save-button] [data-label]", form), one("[data-save-button]", form)];
  const [words, started, key] = [label.textContent, performance.now(), one("[name=save_key]", form)?.value];
  const parts = [...form.children].filter((part) => !part.matches(".savebar"));
  for (const part of parts) part.inert = true;
  button.disabled = true;
  const count = () => (label.textContent = `Going live, ${((performance.now() - started) / 1000).toFixed(1)} s`);
  count();
  let asked = false;
  const ask = async () => {
    if (asked || !key) return;
    asked = true;
    const answer = await fetch(`/saves/${encodeURIComponent(key)}`, { headers: { "HX-Request": "true" } }).catch(() => null);
    if (answer?.status === 200) draw(box, await answer.text());
    asked = false;
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
  const fresh = one(".steps", new DOMParser().parseFromString(html, "text/html"));
  const shown = one(".steps", box);
  if (!fresh) return;
  if (!shown) return box.replaceChildren(fresh);
  [...fresh.children].forEach((step, n) => {
    if (!shown.children[n]) shown.append(step);
    else if (shown.children[n].outerHTML !== step.outerHTML) shown.children[n].replaceWith(step);
  });
}

addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const form of all("form[data-busy]")) {
    release(form);
    const key = one("[name=save_key]", form);
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
    if (ctx.sourceElement.matches("form")) release(ctx.sourceElement);
  }
});
document.addEventListener("htmx:before:history:update", (event) => {
  const { response, sourceElement } = event.detail; // a refused form keeps the address that shows it
  if (response?.status >= 400 && sourceElement.matches("form[method=post]")) event.preventDefault();
});
document.addEventListener("htmx:before:swap", (event) => {
  const { target, response } = event.detail.ctx;
  if (target === document.body || !response?.raw.redirected || !response.raw.url.includes("/login")) return;
  event.preventDefault(); // logged out meanwhile: no log-in form inside a page
  location.assign("/login");
});
document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
  if (ctx.swap === "none") return;
  if (ctx.target === document.body) leaving = false;
  ready(ctx.target === document.body);
});
document.addEventListener("htmx:error", ({ detail }) => detail.ctx?.sourceElement.toggleAttribute("data-lost", true));
document.addEventListener("htmx:finally:request", ({ detail: { ctx } }) => ctx.sourceElement.matches("form") && release(ctx.sourceElement));

// ---- clicks --------------------------------------------------------------------------------

const clicks = {
  "[data-discard]": () => (leaving = true),
  "[data-open]": (button) => one(`#${button.dataset.open}`).showModal(),
  "[data-open-menu]": openMenu,
  ".menu-dialog .side-close": (link) => link.closest("dialog").close(),
  "[data-dismiss]": (button) => button.closest("[data-toast]").remove(),
  "[data-copy]": copy,
  "[data-add-row]": addRow,
  "[data-remove-row]": removeRow,
};
document.addEventListener("click", (event) => {
  for (const open of all("details[data-popover][open], .user[open]")) if (!open.contains(event.target) || event.target.closest("[data-open]")) open.open = false;
  if (event.target.matches("dialog")) event.target.close();
  for (const [selector, does] of Object.entries(clicks)) {
    const found = event.target.closest(selector);
    if (!found) continue;
    if (selector !== "[data-discard]") event.preventDefault();
    does(found);
  }
}, true);

function openMenu() {
  const [side, dialog] = [one("#menu"), document.createElement("dialog")];
  dialog.className = "menu-dialog";
  dialog.setAttribute("aria-label", "Menu");
  dialog.append(...side.children);
  dialog.addEventListener("close", () => (side.append(...dialog.children), dialog.remove()));
  one(".app").append(dialog);
  dialog.showModal();
}

async function copy(button) {
  const [source, label] = [one(`#${button.dataset.copy}`), one("[data-label]", button)];
  const done = await navigator.clipboard?.writeText(source.innerText).then(() => true, () => false); // needs https or localhost
  if (!done) getSelection().selectAllChildren(source);
  label.textContent = done ? "Copied" : "Selected, press Ctrl C";
  setTimeout(() => (label.textContent = "Copy"), 4000);
}

function addRow(button) {
  const list = one(`[data-rows="${button.dataset.addRow}"]`, button.form);
  const row = one("template", list).content.firstElementChild.cloneNode(true);
  const number = Math.max(Number(list.dataset.next ?? 0), all("[data-row]", list).length);
  list.dataset.next = number + 1;
  for (const element of [row, ...all("*", row)])
    for (const { name, value } of [...element.attributes]) if (value.includes("__")) element.setAttribute(name, value.replaceAll("__n__", number).replaceAll("__number__", number + 1));
  row.toggleAttribute("data-added", true);
  list.insertBefore(row, one("template", list));
  one("input, select", row).focus();
  tell(button.form);
}

function removeRow(button) {
  const [form, row] = [button.form, button.closest("[data-row]")];
  const next = row.nextElementSibling?.matches("[data-row]") ? row.nextElementSibling : null;
  const list = row.closest("[data-rows]");
  row.remove();
  (next ? one("input, select", next) : one(`[data-add-row="${list.dataset.rows}"]`, form))?.focus();
  tell(form);
}

function showTheme(form, theme) {
  document.documentElement.dataset.theme = theme;
  for (const button of all("button[name=theme]", form)) button.setAttribute("aria-pressed", String(button.value === theme));
}

// ---- keys ----------------------------------------------------------------------------------

const places = { d: "/", v: "/virtual-hosts", p: "/policies", c: "/changes", s: "/system" };
let goUntil = 0;

document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && key === "s") {
    const form = target.closest?.("form[data-save]") ?? one("form[data-save]");
    if (form) event.preventDefault();
    if (form && !isBusy(form) && !one("[data-clean]", form)) form.requestSubmit(one("[data-save-button]", form));
  } else if (key === "Escape") {
    const open = one("details[data-popover][open], .user[open]");
    if (open) (open.open = false), one("summary", open).focus();
    else if (!one("dialog[open]")) one("[data-toast]")?.remove();
  } else if (!event.ctrlKey && !event.metaKey && !event.altKey && !target.closest?.("input:not([type=checkbox], [type=radio]), select, textarea, dialog") && document.documentElement.dataset.keys === "on") {
    if (press(key)) event.preventDefault();
  }
});

function press(key) {
  const going = performance.now() < goUntil;
  goUntil = key === "g" ? performance.now() + 1000 : 0;
  const link = going && key in places ? one(`.nav a[href="${places[key]}"]`) : /^[a-z]$/.test(key) && one(`[data-key="${key}"]`);
  if (link) return link.click(), true;
  if (key === "/") return one("[data-search]").checkVisibility() ? one("[data-search]").focus() : one('.bar a[href="/search"]')?.click(), true;
  if (key === "?") return one("#shortcuts")?.showModal(), true;
  if (key === "j" || key === "k") return step(key === "j" ? 1 : -1), true;
  if (key === "x") return one("tr.current .c-check input")?.click(), true;
  return false;
}

function step(by) {
  const rows = all(".table tbody tr");
  const row = rows[rows.findIndex((each) => each.matches(".current")) + by];
  if (!row) return;
  for (const each of rows) each.classList.toggle("current", each === row);
  one("a", row)?.focus();
}

document.addEventListener("change", ({ target }) => {
  if (!target.matches("[data-keys-switch]")) return;
  localStorage.setItem("keys", target.checked ? "on" : "off");
  document.documentElement.dataset.keys = target.checked ? "on" : "off";
});

ready(false);

// What the browser adds to every page: focus, toasts, menus, theme, keys. Listeners on the document, found by data attributes.

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

// ---- each time content arrives -------------------------------------------------------------

function ready(wholePage) {
  follow();
  $$("[data-toast]:not([data-seen])").forEach(announce);
  const refusal = $("[data-refusal]:not([data-seen])");
  refusal?.setAttribute("data-seen", "");
  if (refusal) refusal.focus();
  else if (wholePage && !$("[autofocus]") && document.activeElement === document.body) $("#main")?.focus({ preventScroll: true });
  const keys = localStorage.getItem("keys") ?? "on";
  document.documentElement.dataset.keys = keys;
  for (const box of $$("[data-keys-switch]")) box.checked = keys === "on";
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

document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => ctx.swap !== "none" && ready(ctx.target === document.body));
document.addEventListener("htmx:error", ({ detail }) => {
  const detailOf = detail.ctx?.sourceElement.matches("#live-slot") && $(".live-detail");
  if (detailOf) detailOf.textContent = "guardpanel is not responding";
});
document.addEventListener("htmx:before:swap", (event) => {
  const { target, response } = event.detail.ctx;
  if (target === document.body || !response?.raw.redirected || !response.raw.url.includes("/login")) return;
  event.preventDefault(); // logged out meanwhile: no log-in form inside a page
  location.assign("/login");
});

// ---- parts that follow (views/streams.py) ----------------------------------------------------

const streams = new Map();

function follow() {
  for (const place of streams.keys()) if (!place.isConnected) end(place);
  for (const place of $$("[data-stream]:not([data-followed])")) {
    const source = new EventSource(place.dataset.stream);
    place.dataset.followed = "running";
    streams.set(place, source);
    source.addEventListener("part", ({ data }) => fill(JSON.parse(data)));
    source.addEventListener("end", () => end(place));
    source.addEventListener("error", () => end(place, "lost"));
  }
}

function end(place, how = "ended") {
  streams.get(place)?.close();
  streams.delete(place);
  place.dataset.followed = how;
}

function fill({ into, html, way }) {
  const place = document.getElementById(into);
  if (!place) return;
  if (way === "show") place.hidden = false;
  else if (way === "append") place.insertAdjacentHTML("beforeend", html);
  else place.innerHTML = html;
  htmx.process(place);
  follow();
}

addEventListener("pageshow", ({ persisted }) => persisted && $("[data-followed=running]") && location.reload());

// ---- clicks --------------------------------------------------------------------------------

const clicks = {
  "[data-open]": (button) => $(`#${button.dataset.open}`).showModal(),
  "[data-open-menu]": openMenu,
  ".menu-dialog .side-close": (link) => link.closest("dialog").close(),
  "[data-dismiss]": (button) => button.closest("[data-toast]").remove(),
  "[data-copy]": copy,
  "[data-stream-stop]": (button) => end(button.closest("[data-stream]"), "stopped"),
};
document.addEventListener("click", (event) => {
  for (const open of $$("details[data-popover][open], .user[open]")) if (!open.contains(event.target) || event.target.closest("[data-open]")) open.open = false;
  if (event.target.matches("dialog")) event.target.close();
  for (const [selector, does] of Object.entries(clicks)) {
    const element = event.target.closest(selector);
    if (!element) continue;
    event.preventDefault();
    does(element);
  }
}, true);

function openMenu() {
  const [side, dialog] = [$("#menu"), document.createElement("dialog")];
  dialog.className = "menu-dialog";
  dialog.setAttribute("aria-label", "Menu");
  dialog.append(...side.children);
  dialog.addEventListener("close", () => (side.append(...dialog.children), dialog.remove()));
  $(".app").append(dialog);
  dialog.showModal();
}

async function copy(button) {
  const [source, label] = [$(`#${button.dataset.copy}`), $("[data-label]", button)];
  const done = await navigator.clipboard?.writeText(source.innerText).then(() => true, () => false); // needs https or localhost
  if (!done) getSelection().selectAllChildren(source);
  label.textContent = done ? "Copied" : "Selected, press Ctrl C";
  setTimeout(() => (label.textContent = "Copy"), 4000);
}

function showTheme(form, theme) {
  document.documentElement.dataset.theme = theme;
  for (const button of $$("button[name=theme]", form)) button.setAttribute("aria-pressed", String(button.value === theme));
}

document.addEventListener("submit", ({ target, submitter }) => target.matches("[data-theme-form]") && showTheme(target, submitter.value), true);

// ---- text that does not fit: a tooltip has all of it ---------------------------------------------

document.addEventListener("pointerover", ({ target }) => {
  const cut = target.closest?.(".cut, .c-name");
  if (cut && cut.scrollWidth > cut.clientWidth && !cut.closest("[title]")) cut.title = cut.innerText.replace(/\s+/g, " ").trim();
});

// ---- keys ----------------------------------------------------------------------------------

let goUntil = 0;

document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (key === "Escape") {
    const open = $("details[data-popover][open], .user[open]");
    if (open) (open.open = false), $("summary", open).focus();
    else if (!$("dialog[open]")) $("[data-toast]")?.remove();
  } else if (!event.ctrlKey && !event.metaKey && !event.altKey && !target.closest?.("input:not([type=checkbox], [type=radio]), select, textarea, dialog") && document.documentElement.dataset.keys === "on") {
    if (press(key)) event.preventDefault();
  }
});

function press(key) {
  const going = performance.now() < goUntil;
  goUntil = key === "g" ? performance.now() + 1000 : 0;
  const letter = /^[a-z]$/.test(key);
  const link = letter && ((going && $(`.nav a[data-go="${key}"]`)) || $(`[data-key="${key}"]`));
  if (link) return link.click(), true;
  if (key === "/") return $("[data-search]")?.checkVisibility() ? $("[data-search]").focus() : $('.bar a[href="/search"]')?.click(), true;
  if (key === "?") return $("#shortcuts")?.showModal(), true;
  if (key === "j" || key === "k") return step(key === "j" ? 1 : -1), true;
  if (key === "x") return $("tr.current .c-check input")?.click(), true;
  return false;
}

function step(by) {
  const rows = $$(".table tbody tr");
  const row = rows[rows.findIndex((each) => each.matches(".current")) + by];
  if (!row) return;
  for (const each of rows) each.classList.toggle("current", each === row);
  $("a", row)?.focus();
}

document.addEventListener("change", ({ target }) => {
  if (!target.matches("[data-keys-switch]")) return;
  localStorage.setItem("keys", target.checked ? "on" : "off");
  document.documentElement.dataset.keys = target.checked ? "on" : "off";
});

ready(false);

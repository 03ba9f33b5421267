// What is wrong with a page at this width, as far as a script can tell.
() => {
  const faults = [], seen = new Set();
  const name = (e) => `${e.tagName.toLowerCase()}${e.id ? "#" + e.id : ""}${e.className?.baseVal === undefined && e.className ? "." + String(e.className).trim().replace(/\s+/g, ".") : ""} "${(e.innerText || e.value || "").trim().replace(/\s+/g, " ").slice(0, 60)}"`;
  const say = (kind, e, more = "") => { const line = `${kind}: ${name(e)} ${more}`; if (!seen.has(line)) { seen.add(line); faults.push(line); } };
  // only for readers of the screen: a box of one pixel
  const unseen = (e) => { for (let n = e; n; n = n.parentElement) if (n.clientWidth === 1 || getComputedStyle(n).clipPath === "inset(50%)") return true; return false; };
  // what of a box its ancestors let through
  const visible = (e) => {
    const box = e.getBoundingClientRect(), part = { left: box.left, right: box.right, top: box.top, bottom: box.bottom };
    for (let n = e; n && n !== document.body; n = n.parentElement) {
      const { overflowX, overflowY } = getComputedStyle(n), outer = n.getBoundingClientRect();
      if (overflowX !== "visible") { part.left = Math.max(part.left, outer.left); part.right = Math.min(part.right, outer.right); }
      if (overflowY !== "visible") { part.top = Math.max(part.top, outer.top); part.bottom = Math.min(part.bottom, outer.bottom); }
    }
    return part;
  };
  const hides = (e) => unseen(e) || !e.checkVisibility({ visibilityProperty: true, opacityProperty: true }) || e.closest(".visually-hidden, [hidden], dialog:not([open])");
  const page = document.documentElement;
  if (page.scrollWidth > innerWidth) say("page wider than the window", document.body, `${page.scrollWidth} > ${innerWidth}`);
  for (const e of document.querySelectorAll("body *")) {
    if (hides(e)) continue;
    const box = e.getBoundingClientRect(), style = getComputedStyle(e);
    if (!box.width || !box.height) continue;
    // wider than the window, where no ancestor scrolls
    if (visible(e).right > innerWidth + 1 && !e.closest(".filters, .tabs, .code, .diff, .table-frame, svg, .phrases, pre")) say("beyond the window", e, `${Math.round(box.right)}`);
    // text that is cut, without its whole text in a title
    if (style.overflowX === "hidden" && e.scrollWidth > e.clientWidth + 1 && e.innerText?.trim() && !e.closest("[title], .cut, .c-name") && !e.closest("svg")) say("cut without a title", e, `${e.scrollWidth} > ${e.clientWidth}`);
    if (e.matches("input:not([type=checkbox], [type=radio], [type=hidden], [type=file])") && e.value && e.scrollWidth > e.clientWidth + 1) say("field too narrow for its value", e, `${e.scrollWidth} > ${e.clientWidth}`);
    // buttons, tags, chips of two lines
    if (e.matches(".button, .tag, .chip, .filter summary, .tabs a, thead th .sort, .nav a, .key")) {
      const range = document.createRange(); range.selectNodeContents(e);
      const tops = new Set([...range.getClientRects()].filter((r) => r.width > 2 && r.height > 8).map((r) => Math.round((r.top + r.bottom) / 2 / 9)));
      if (tops.size > 1 && Math.max(...tops) - Math.min(...tops) > 1) say("wraps", e, `${Math.round(box.height)} high`);
    }
    if (parseFloat(style.fontSize) < 11 && e.childNodes.length && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) say("smaller than 11 px", e, style.fontSize);
    if (innerWidth < 760 && e.matches("input:not([type=checkbox], [type=radio], [type=hidden]), select, textarea") && parseFloat(style.fontSize) < 16) say("field below 16 px, phones zoom", e, style.fontSize);
  }
  // words one letter per line: a column too narrow for its text
  for (const e of document.querySelectorAll("td, th, dd, dt, li, p, h1, h2, h3, label, a, span, b, code")) {
    if (hides(e) || !e.innerText) continue;
    const text = [...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data.trim()).join(" ").trim();
    const box = e.getBoundingClientRect();
    if (text.length > 6 && box.width && box.width < 48 && box.height > 60) say("column too narrow", e, `${Math.round(box.width)} × ${Math.round(box.height)}`);
  }
  // siblings that lie over each other
  const flows = [...document.querySelectorAll(".main *")].filter((e) => e.children.length === 0 && e.innerText?.trim() && !hides(e) && !e.closest("svg, .chart, .menu, .savebar, [data-popover], .toasts, details:not([open]) > :not(summary)"));
  const lines = (e) => {
    const range = document.createRange(), part = visible(e);
    range.selectNodeContents(e);
    return [...range.getClientRects()].map((r) => [e, {
      left: Math.max(r.left, part.left), right: Math.min(r.right, part.right), top: Math.max(r.top, part.top), bottom: Math.min(r.bottom, part.bottom),
    }]);
  };
  const boxes = flows.flatMap(lines).filter(([, b]) => b.right > b.left && b.bottom > b.top).sort((a, b) => a[1].top - b[1].top);
  for (let i = 0; i < boxes.length; i++) for (let j = i + 1; j < boxes.length && boxes[j][1].top < boxes[i][1].bottom; j++) {
    const [a, p] = boxes[i], [b, q] = boxes[j];
    const across = Math.min(p.right, q.right) - Math.max(p.left, q.left), down = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
    if (a !== b && across > 3 && down > 5 && !a.contains(b) && !b.contains(a)) say("overlaps", a, `with ${name(b)} by ${Math.round(across)} × ${Math.round(down)}`);
  }
  // columns in which every cell is empty or a dash
  for (const table of document.querySelectorAll("table.table")) {
    if (hides(table) || table.tBodies.length !== 1 || table.tBodies[0].rows.length < 3) continue;
    [...(table.tHead?.rows[0]?.cells ?? [])].forEach((head, at) => {
      if (hides(head) || head.querySelector(".visually-hidden") || !head.innerText.trim()) return;
      const cells = [...table.tBodies[0].rows].map((row) => row.cells[at]?.querySelector("input, svg") ? "?" : row.cells[at]?.innerText.trim() ?? "");
      if (cells.every((text) => text === "" || text === "—")) say("empty column", head, `${cells.length} rows`);
    });
  }
  return faults;
}

// Runs on every page. Small repairs to the theme's markup, and the theme's colours before first paint.
"use strict";

// "auto" means what the reader's system prefers; settled here, so that nothing flashes.
(() => {
  const root = document.documentElement;
  if (root.dataset.theme !== "light" && root.dataset.theme !== "dark") {
    root.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  }
})();

// Whatever scrolls must be reachable with the keyboard (WCAG 2.1.1).
const SCROLLING = [
  ".bd-article pre", ".bd-article .cell_output .output", ".bd-article .cell_output",
  ".bd-article .pst-scrollable-table-container", ".bd-article div.math", ".bd-article mjx-container",
].join(",");

function labelOf(element) {
  if (element.querySelector("table")) return "Table, scrolls sideways";
  if (element.matches("div.math, mjx-container")) return "Formula, scrolls sideways";
  return element.closest(".cell_output") ? "Output, scrolls" : "Code, scrolls";
}

function scrolls(element) {
  const style = getComputedStyle(element);
  const sideways = /auto|scroll/.test(style.overflowX) && element.scrollWidth > element.clientWidth;
  const down = /auto|scroll/.test(style.overflowY) && element.scrollHeight > element.clientHeight;
  return sideways || down;
}

function reachScrollers() {
  document.querySelectorAll(SCROLLING).forEach((element) => {
    if (scrolls(element)) {
      if (element.dataset.scrolls) return;
      element.dataset.scrolls = "true";
      element.tabIndex = 0;
      element.setAttribute("role", "group");
      element.setAttribute("aria-label", labelOf(element));
    } else if (element.dataset.scrolls) {
      delete element.dataset.scrolls;
      ["tabindex", "role", "aria-label"].forEach((name) => element.removeAttribute(name));
    }
  });
}

// The theme names some controls otherwise than it shows them (WCAG 2.5.3).
function dropWrongNames() {
  const named = ".search-button-field[aria-label], details > summary[aria-label]";
  document.querySelectorAll(named).forEach((element) => {
    if (element.textContent.trim()) element.removeAttribute("aria-label");
  });
}

// Roles: the left sidebar is a navigation; the bibliography's roles are deprecated or half used.
function mendRoles() {
  const sidebar = document.querySelector(".bd-sidebar-primary");
  if (sidebar && !sidebar.hasAttribute("role")) {
    sidebar.setAttribute("role", "navigation");
    sidebar.setAttribute("aria-label", "Book");
  }
  document.querySelectorAll(".citation-list, .citation-list > [role]").forEach(
    (element) => element.removeAttribute("role"));
}

// Controls that the theme and the parser leave without a name.
function nameControls() {
  document.querySelectorAll(".bd-sidebar-primary li > details > summary").forEach((summary) => {
    const chapter = summary.closest("li").querySelector("a")?.textContent.trim();
    summary.setAttribute("aria-label", `Pages that belong to: ${chapter}`);
  });
  document.querySelectorAll(".task-list-item-checkbox").forEach((box) => {
    box.setAttribute("aria-label", box.closest("li").textContent.trim());
  });
}

// Header cells of tables: an empty one is no header, the others say what they head.
function scopeHeaders() {
  document.querySelectorAll(".bd-article table thead th").forEach((cell) => {
    if (cell.textContent.trim()) cell.scope = "col";
    else cell.replaceWith(document.createElement("td"));
  });
  document.querySelectorAll("table.dataframe tbody th").forEach((cell) => { cell.scope = "row"; });
}

// On paper nothing can be unfolded.
function unfold() {
  document.querySelectorAll(".bd-article details").forEach((each) => { each.open = true; });
}

document.addEventListener("DOMContentLoaded", () => {
  dropWrongNames();
  mendRoles();
  nameControls();
  scopeHeaders();
  reachScrollers();
  new ResizeObserver(reachScrollers).observe(document.body);
  document.addEventListener("change", reachScrollers);                 // a tab was chosen
  document.addEventListener("toggle", reachScrollers, true);           // a <details> was opened
  window.addEventListener("beforeprint", unfold);
});
// MathJax is a deferred script: it is there when the page has loaded.
window.addEventListener("load", () => window.MathJax?.startup?.promise?.then(reachScrollers));

/* What scrolls sideways can be reached by the keyboard, and nothing else has a stop there. */
(() => {
const reach = () => {
  for (const node of document.querySelectorAll("pre, .table-wrapper, .formula, .highlight, .cell_output div")) {
    if (node.scrollWidth > node.clientWidth && getComputedStyle(node).overflowX !== "visible") node.tabIndex = 0;
    else node.removeAttribute("tabindex");
  }
};
document.addEventListener("DOMContentLoaded", reach);
window.addEventListener("load", reach);
window.addEventListener("resize", reach);
})();

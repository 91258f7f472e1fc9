/* What site_in_browser.py does on a page of the site: it uses every control that is there. */
({
use() {
  let used = 0;
  const click = (node) => { node.click(); used += 1; };
  for (const node of document.querySelectorAll("button.theme-toggle")) for (let k = 0; k < 3; k++) click(node);     // auto, and both colours
  for (const node of document.querySelectorAll("input[type=checkbox]")) { click(node); click(node); }
  for (const node of document.querySelectorAll("label[for]")) {
    const box = document.getElementById(node.htmlFor), before = box && box.checked;
    if (!box) throw new Error(`a label of nothing: ${node.outerHTML.slice(0, 120)}`);
    click(node);
    if (box.checked === before) throw new Error(`a label without effect: ${node.outerHTML.slice(0, 120)}`);
    click(node);
  }
  for (const node of document.querySelectorAll("details > summary")) click(node);
  return used;
},
look() {
  const wrong = [];
  if (document.documentElement.scrollWidth > document.documentElement.clientWidth) wrong.push(`wider than the screen: ${document.documentElement.scrollWidth}`);
  for (const node of document.images) if (node.complete && !node.naturalWidth) wrong.push(`no picture: ${node.getAttribute("src")}`);
  for (const node of document.querySelectorAll("pre, .formula, .table-wrapper, .highlight")) {
    if (node.scrollHeight > node.clientHeight + 1 && getComputedStyle(node).overflowY !== "visible") wrong.push(`cut below: ${node.textContent.trim().slice(0, 60)}`);
  }
  return wrong;
}
})

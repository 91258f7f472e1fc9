/* What report_in_browser.py does on a page: it uses every control, and looks at names, widths and contrasts. */
({
use() {
  let used = 0;
  const change = (node, value, kind) => { node.value = value; node.dispatchEvent(new Event(kind, {bubbles: true})); used += 1; };
  const dialog = document.getElementById("dialog");
  for (const one of document.querySelectorAll("details")) one.open = true;
  for (let k = 0; k < document.querySelectorAll("select").length; k++) {
    const n = Math.min(12, document.querySelectorAll("select")[k].options.length);
    for (let o = n - 1; o >= 0; o--) { const node = document.querySelectorAll("select")[k]; change(node, node.options[o].value, "change"); }
  }
  for (const node of document.querySelectorAll("input[type=range]")) for (const part of [0, 0.4, 1]) change(node, Math.round(part * node.max), "input");
  for (let k = 0; k < Math.min(800, document.querySelectorAll("main button").length); k++) {
    document.querySelectorAll("main button")[k].click();
    used += 1;
    if (dialog.open) {
      if (!dialog.querySelector("h2").textContent) throw new Error("a dialog without a title");
      dialog.close();
    }
  }
  return used;
},
look() {
  const wrong = [], name = (node) => node.outerHTML.slice(0, 120);
  if (document.documentElement.dataset.ready !== "yes") wrong.push("the page has not filled itself");
  if (document.documentElement.scrollWidth > document.documentElement.clientWidth) wrong.push(`wider than the screen: ${document.documentElement.scrollWidth}`);
  for (const node of document.querySelectorAll("main button, main select, main input")) {
    if (!(node.textContent.trim() && node.tagName === "BUTTON") && !node.getAttribute("aria-label") && !(node.labels || []).length) wrong.push(`no name: ${name(node)}`);
  }
  for (const node of document.querySelectorAll("canvas, svg")) if (!node.getAttribute("aria-label") && !node.getAttribute("aria-hidden")) wrong.push(`no name: ${name(node)}`);
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  if (new Set(ids).size !== ids.length) wrong.push("an id twice");
  const parts = (text) => (text.match(/[\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const back = (node) => { for (let at = node; at; at = at.parentElement) { const c = parts(getComputedStyle(at).backgroundColor); if (c.length === 3 || c[3] > 0) return c; } return [255, 255, 255]; };
  const seen = new Set();
  for (const node of document.querySelectorAll("body *")) {
    if (![...node.childNodes].some((kid) => kid.nodeType === 3 && kid.textContent.trim()) || !node.getClientRects().length || node.disabled) continue;
    const style = getComputedStyle(node), front = parts(node instanceof SVGElement ? style.fill : style.color), behind = back(node);
    const [a, b] = [light(front), light(behind)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05), key = `${front}/${behind}`;
    if (ratio < 4.5 && !seen.has(key)) { seen.add(key); wrong.push(`contrast ${ratio.toFixed(2)}: ${name(node)}`); }
  }
  return wrong;
}
})

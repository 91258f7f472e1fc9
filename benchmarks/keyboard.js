/* Follows the key Tab through a page: what it reaches, what it does not, where one cannot see where one is. */
({
begin() {
  const all = "a[href], button, select, input, textarea, summary, [tabindex]";
  const usable = (node) => !node.disabled && node.tabIndex >= 0 && node.checkVisibility({visibilityProperty: true}) && node.getClientRects().length;
  window.walked = {wanted: new Set([...document.querySelectorAll(all)].filter(usable)), seen: new Set(), wrong: []};
  document.activeElement.blur();
},
stop() {
  const node = document.activeElement, {seen, wrong} = window.walked;
  if (node === document.body || node === document.documentElement || seen.has(node)) return true;
  seen.add(node);
  const style = getComputedStyle(node), ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  if (!ring && style.boxShadow === "none") wrong.push(`no sign of the focus: ${node.outerHTML.slice(0, 120)}`);
  return false;
},
end() {
  const {wanted, seen, wrong} = window.walked;
  const left = [...wanted].filter((node) => !seen.has(node) && !(node.type === "radio"));
  if (!seen.size) wrong.push("the keyboard reaches nothing");
  return [...wrong, ...left.map((node) => `not reached by the keyboard: ${node.outerHTML.slice(0, 120)}`)].slice(0, 9);
}
})

// Tables that are wider than the page can be scrolled with the keyboard too.

/** scrolls makes an element one that is reached with the keyboard, under a name, whenever there is something to scroll in it. */
export function scrolls(element, name) {
  const look = () => {
    const needed = element.scrollWidth > element.clientWidth || element.scrollHeight > element.clientHeight;
    for (const [attribute, value] of [["tabindex", "0"], ["role", "region"], ["aria-label", name]]) {
      if (needed) element.setAttribute(attribute, value);
      else element.removeAttribute(attribute);
    }
  };
  const watch = new ResizeObserver(look);
  watch.observe(element);
  new MutationObserver(() => {
    watch.disconnect();
    watch.observe(element);
    for (const child of element.children) watch.observe(child);
  }).observe(element, { childList: true });
  for (const child of element.children) watch.observe(child);
  return element;
}

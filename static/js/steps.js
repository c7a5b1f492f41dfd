// Where in the lesson the reader is: the foot of the text marks the step that is being read.

/** Wire the step links of a lesson. */
export function startSteps() {
  const text = document.querySelector(".lesson");
  const links = [...document.querySelectorAll(".steps a")];
  if (!text || links.length === 0) return;
  const steps = links.map((link) => document.getElementById(decodeURIComponent(link.hash.slice(1))));
  let last = null;
  const mark = () => {
    // In one column the page scrolls, and the text is as high as it is long.
    const box = text.getBoundingClientRect();
    const top = Math.max(0, box.top) + Math.min(text.clientHeight, innerHeight) / 3;
    const own = text.scrollHeight > text.clientHeight;
    const atEnd = own ? text.scrollTop > 0 && text.scrollTop + text.clientHeight >= text.scrollHeight - 2 : box.bottom <= innerHeight;
    const passed = steps.findLastIndex((step) => step && step.getBoundingClientRect().top <= top);
    const now = atEnd ? steps.length - 1 : passed;
    if (now === last) return;
    last = now;
    links.forEach((link, i) =>
      i === now ? link.setAttribute("aria-current", "step") : link.removeAttribute("aria-current"),
    );
  };
  text.addEventListener("scroll", mark, { passive: true });
  addEventListener("scroll", mark, { passive: true });
  mark();
}

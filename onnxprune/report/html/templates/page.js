"use strict";
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const button = document.querySelector(".theme");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const label = () => { button.textContent = isDark() ? "Light" : "Dark"; };
  button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; label(); });
  dark.addEventListener("change", label);
  label();
  button.hidden = false;

  const reveal = () => {
    const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    const folded = target && target.closest("details:not([open])");
    if (folded) { folded.open = true; target.scrollIntoView(); }
  };
  addEventListener("hashchange", reveal);
  reveal();

  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    folded.forEach((own) => { own.open = true; });
  });
  addEventListener("afterprint", () => folded.forEach((own) => { own.open = false; }));

  document.querySelectorAll("input[data-table]").forEach((input) => {
    const rows = [...document.getElementById(input.dataset.table).tBodies[0].rows];
    const texts = rows.map((row) => row.textContent.toLowerCase());
    input.closest("label").hidden = false;
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/);
      rows.forEach((row, place) => { row.hidden = !words.every((word) => texts[place].includes(word)); });
    });
  });

  const number = (text) => { const found = text.replaceAll(",", "").match(/-?\d+(\.\d+)?/g); return found ? Number(found.at(-1)) : NaN; };
  document.querySelectorAll("table.layers thead th").forEach((head) => {
    const text = head.textContent;
    if (head.classList.contains("barcol")) return;
    const sorter = document.createElement("button");
    sorter.type = "button";
    sorter.textContent = text;
    head.replaceChildren(sorter);
    head.setAttribute("aria-sort", head.cellIndex ? "none" : "ascending");
    sorter.addEventListener("click", () => {
      const way = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      head.parentNode.querySelectorAll("[aria-sort]").forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
      const key = (row) => row.cells[head.cellIndex].textContent;
      const numeric = head.classList.contains("num");
      const compare = (a, b) => {
        const [x, y] = [number(key(a)), number(key(b))];
        if (numeric && !(Number.isNaN(x) && Number.isNaN(y))) return (Number.isNaN(x) ? 1 : Number.isNaN(y) ? -1 : x - y);
        return key(a).localeCompare(key(b), "en", { numeric: true });
      };
      const body = head.closest("table").tBodies[0];
      body.append(...[...body.rows].sort((a, b) => way * compare(a, b)));
    });
  });
})();

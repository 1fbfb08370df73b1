"use strict";
// The page says everything without this: it only lets a reader single out a species and sort.
(() => {
  const all = (where, what) => [...where.querySelectorAll(what)];

  function single(species) {
    for (const node of all(document, "main [data-species]")) {
      node.classList.toggle("dim", species !== "" && node.dataset.species !== species);
    }
    for (const node of all(document, "main [data-has]")) {
      const has = node.dataset.has.split(" ");
      node.classList.toggle("dim", species !== "" && !has.includes(species));
    }
    for (const button of all(document, ".chips button")) {
      button.setAttribute("aria-pressed", String(button.dataset.choice === species));
    }
  }

  function offer(chips) {
    const rows = all(document, ".species tbody tr");
    if (rows.length < 2) return;
    const choices = [["", "All species", ""]].concat(
      rows.map((row) => [row.dataset.species, row.cells[0].dataset.sort, row.className]),
    );
    for (const [species, name, colour] of choices) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      button.className = colour;
      button.dataset.choice = species;
      button.addEventListener("click", () => single(species));
      chips.append(button);
    }
    chips.hidden = false;
    single("");
  }

  function compare(one, other) {
    const a = Number(one), b = Number(other);
    return Number.isNaN(a) || Number.isNaN(b) ? one.localeCompare(other) : a - b;
  }

  function sortable(table) {
    const heads = all(table, "thead th");
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") !== "descending";
        for (const each of heads) each.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const key = (row) => row.cells[column].dataset.sort ?? "";
        const rows = all(table, "tbody tr").sort((a, b) => compare(key(a), key(b)));
        table.tBodies[0].append(...(down ? rows.reverse() : rows));
      });
    });
  }

  for (const chips of all(document, ".chips")) offer(chips);
  for (const table of all(document, "table.sortable")) sortable(table);
})();

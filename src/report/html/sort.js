// Makes the tables of a page sortable: by a click on a heading, or Enter there. Empty cells stay at the end.
for (const table of document.querySelectorAll("table.data")) {
  const heads = [...table.tHead.rows[0].cells];
  const key = (row, i) => row.cells[i] ? row.cells[i].title || row.cells[i].textContent.trim() : "";
  const compare = (a, b) => {
    const x = Number(a), y = Number(b);
    return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, "en", { numeric: true }) : x - y;
  };
  if (table.tBodies[0].rows.length < 2) continue;
  heads.forEach((head, i) => {
    if (!head.textContent) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const full = [], empty = [];
      for (const row of table.tBodies[0].rows) (key(row, i) === "" ? empty : full).push(row);
      full.sort((a, b) => (down ? -1 : 1) * compare(key(a, i), key(b, i)));
      table.tBodies[0].append(...full, ...empty);
    });
  });
}

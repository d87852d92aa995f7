"use strict";
// Tables: a heading's button sorts its column, names upwards and numbers from the best; pressed
// again, the other way. What has no value stays below.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const first = column === 0 ? "ascending" : "descending";
      const other = first === "ascending" ? "descending" : "ascending";
      const order = head.getAttribute("aria-sort") === first ? other : first;
      heads.forEach((h) => h.setAttribute("aria-sort", h === head ? order : "none"));
      const sign = order === "ascending" ? 1 : -1;
      const of = (row) => {
        const cell = row.cells[column];
        if (column === 0) return cell.textContent;
        return cell.dataset.value === "" ? null : Number(cell.dataset.value);
      };
      const compare = (a, b) => {
        const [x, y] = [of(a), of(b)];
        if (x === null || y === null) return (x === null) - (y === null);
        return sign * (column === 0 ? x.localeCompare(y, undefined, { numeric: true }) : x - y);
      };
      [...body.rows].sort(compare).forEach((row) => body.append(row));
    });
  });
}

// Legends: a button brings out one class in the charts of its section.
for (const button of document.querySelectorAll("[data-focus]")) {
  button.addEventListener("click", () => {
    const section = button.closest("section");
    const on = button.getAttribute("aria-pressed") !== "true";
    for (const other of section.querySelectorAll("[data-focus]")) {
      other.setAttribute("aria-pressed", String(on && other === button));
    }
    section.classList.toggle("focused", on);
    for (const mark of section.querySelectorAll(".chart [data-class]")) {
      mark.classList.toggle("on", on && mark.dataset.class === button.dataset.focus);
    }
  });
}

// Values under the pointer.
const tip = document.getElementById("tip");
document.addEventListener("pointermove", (event) => {
  const text = event.target.dataset?.tip;
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const { offsetWidth: width, offsetHeight: height } = tip;
  const x = Math.min(event.clientX + 14, document.documentElement.clientWidth - width - 8);
  const y = event.clientY - height - 10;
  tip.style.left = `${Math.max(8, x)}px`;
  tip.style.top = `${y < 4 ? event.clientY + 18 : y}px`;
});

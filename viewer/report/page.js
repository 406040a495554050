"use strict";
// Folds and filters; the page can be read without it.
for (const box of document.querySelectorAll(".tools")) {
  box.hidden = false;
  const table = document.getElementById(box.dataset.for);
  const input = box.querySelector("input");
  const told = box.querySelector("output");
  const rows = table.tBodies[0].rows;
  input.addEventListener("input", () => {
    const want = input.value.toLowerCase();
    let shown = 0;
    for (const row of rows) {
      row.hidden = !row.textContent.toLowerCase().includes(want);
      if (!row.hidden) shown++;
    }
    told.textContent = want ? shown + " of " + rows.length : "";
  });
}
for (const button of document.querySelectorAll("button[data-fold]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    for (const d of document.querySelectorAll("details")) d.open = button.dataset.fold === "open";
  });
}
function follow() {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  const d = target && target.closest("details");
  if (d) d.open = true;
}
addEventListener("hashchange", follow);
addEventListener("beforeprint", () => {
  for (const d of document.querySelectorAll("details")) d.open = true;
});
follow();
